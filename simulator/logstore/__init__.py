"""LogStores: records in DuckDB, and the query language that reads them."""

from simulator.logstore.alarms import (
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
    "NewRecord",
    "Page",
    "Paging",
    "Project",
    "PulledRecord",
    "QueryHandle",
    "QueryResult",
    "RecordType",
    "Reference",
    "RowSink",
    "Selection",
    "Shipper",
    "ShipperSettings",
    "Sort",
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
