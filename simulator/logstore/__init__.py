"""LogStores: records in DuckDB, and the query language that reads them."""

from simulator.logstore.engine import MAX_PUSH_RECORDS, LogStoreEngine
from simulator.logstore.statement import is_search
from simulator.logstore.values import (
    DEFAULT_PROJECT,
    DEFAULT_SEPARATORS,
    IndexField,
    IndexSettings,
    IndexType,
    LogStore,
    LogStoreSettings,
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
)
from simulator.logstore.watchdog import QueryHandle

__all__ = [
    "DEFAULT_PROJECT",
    "DEFAULT_SEPARATORS",
    "MAX_PUSH_RECORDS",
    "IndexField",
    "IndexSettings",
    "IndexType",
    "LogStore",
    "LogStoreEngine",
    "LogStoreSettings",
    "LogStream",
    "NewRecord",
    "Page",
    "Paging",
    "Project",
    "PulledRecord",
    "QueryHandle",
    "QueryResult",
    "RecordType",
    "Selection",
    "Sort",
    "is_search",
]
