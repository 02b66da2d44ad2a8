"""LogStores: records in DuckDB, and the query language that reads them.

``engine`` is the door for callers, ``database`` the one to DuckDB. Between them:

- What there is: ``catalog`` has projects, LogStores and streams; ``fields`` those of their
  records; ``indexes``, ``views``, ``templates``, ``fast_queries`` and ``bindings`` the rest, most
  of it kept by ``resources``. ``availability`` says whether a LogStore answers, ``overview`` how
  everything stands.
- Records in: ``pushes`` and ``deliveries`` give them to ``loader``, ``discovery`` learns their
  fields; ``ledger`` keeps what became of deliveries.
- A query: ``statement`` divides it, ``origins`` says what it reads, ``queries`` runs it; ``pages``
  are of a search, ``results`` of SQL, ``marker`` is where a page ended.
- Its search: ``search`` is the language, ``conditions`` makes SQL of it, ``words`` and
  ``folds`` of its texts.
- Its SQL: ``dialect`` reads it, ``selects`` and ``expressions`` write it anew, on what ``sources``
  and ``unions`` offer; ``functions`` lists the tables of functions, ``calls`` is what these are
  given, ``typed`` what everything is written in. ``selecting`` runs it, ``extracts`` are what it
  reads of messages.
- Bounds: ``admission`` and ``watchdog`` of how many are at work and how long, ``patterns`` of what
  nothing can stop, ``footprint`` (by ``widths`` and ``repeats``) of the memory of a statement,
  ``spilling`` of what it puts on the disk, ``record_sizes`` and ``late_rows`` of what is read at a
  time.
- On the clock: ``upkeep`` runs ``retention``, ``shipping`` (for ``shippers``, whose files are made
  by ``files``), ``downloads`` and ``alarms``.
- ``elastic`` is the Elasticsearch-compatible search.
"""

from simulator.logstore.alarms import (
    MAX_ALARM_STORES,
    MAX_ALARM_TRIGGERS,
    Alarm,
    AlarmContent,
    AlarmExecution,
    AlarmLevel,
    AlarmPolicy,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    Reference,
    StoreName,
    parse_condition,
)
from simulator.logstore.availability import Gate, not_ready
from simulator.logstore.bindings import Binding
from simulator.logstore.buckets import Buckets
from simulator.logstore.download_files import DownloadFormat
from simulator.logstore.downloads import (
    DEFAULT_QUERY,
    MAX_DOWNLOAD_ROWS,
    DownloadRequest,
    DownloadState,
    DownloadTask,
    split_directory,
)
from simulator.logstore.elastic.capabilities import CapabilityRequest
from simulator.logstore.elastic.indices import IndexOptions
from simulator.logstore.engine import LogStoreEngine
from simulator.logstore.fast_queries import FastQuery, FastQueryContent
from simulator.logstore.ledger import (
    HeldPiece,
    LedgerChange,
    LedgerEntry,
    LedgerException,
    LedgerTables,
)
from simulator.logstore.overview import Look, Overview, PolicyLook, ShipperLook, StoreLook
from simulator.logstore.results import Cells, RowSink
from simulator.logstore.shipper_settings import ShipperSettings
from simulator.logstore.shippers import Shipper
from simulator.logstore.statement import is_search
from simulator.logstore.templates import Template, TemplateContent, TemplateSettings
from simulator.logstore.upkeep import Upkeep
from simulator.logstore.values import (
    DEFAULT_PROJECT,
    DEFAULT_SEPARATORS,
    Histogram,
    HistogramBucket,
    IndexField,
    IndexSettings,
    IndexType,
    LogStore,
    LogStoreSettings,
    LogStoreType,
    LogStream,
    NewRecord,
    Page,
    Paging,
    Project,
    PulledRecord,
    QueryResult,
    RecordType,
    Selection,
    Sort,
    Value,
)
from simulator.logstore.views import View, ViewColumn, ViewStore
from simulator.logstore.watchdog import QueryHandle
from simulator.logstore.wildcards import compile_pattern

__all__ = [
    "DEFAULT_PROJECT",
    "DEFAULT_QUERY",
    "DEFAULT_SEPARATORS",
    "MAX_ALARM_STORES",
    "MAX_ALARM_TRIGGERS",
    "MAX_DOWNLOAD_ROWS",
    "Alarm",
    "AlarmContent",
    "AlarmExecution",
    "AlarmLevel",
    "AlarmPolicy",
    "AlarmSchedule",
    "AlarmTarget",
    "AlarmTrigger",
    "Binding",
    "Buckets",
    "CapabilityRequest",
    "Cells",
    "DownloadFormat",
    "DownloadRequest",
    "DownloadState",
    "DownloadTask",
    "FastQuery",
    "FastQueryContent",
    "Gate",
    "HeldPiece",
    "Histogram",
    "HistogramBucket",
    "IndexField",
    "IndexOptions",
    "IndexSettings",
    "IndexType",
    "LedgerChange",
    "LedgerEntry",
    "LedgerException",
    "LedgerTables",
    "LogStore",
    "LogStoreEngine",
    "LogStoreSettings",
    "LogStoreType",
    "LogStream",
    "Look",
    "NewRecord",
    "Overview",
    "Page",
    "Paging",
    "PolicyLook",
    "Project",
    "PulledRecord",
    "QueryHandle",
    "QueryResult",
    "RecordType",
    "Reference",
    "RowSink",
    "Selection",
    "Shipper",
    "ShipperLook",
    "ShipperSettings",
    "Sort",
    "StoreLook",
    "StoreName",
    "Template",
    "TemplateContent",
    "TemplateSettings",
    "Upkeep",
    "Value",
    "View",
    "ViewColumn",
    "ViewStore",
    "compile_pattern",
    "is_search",
    "not_ready",
    "parse_condition",
    "split_directory",
]
