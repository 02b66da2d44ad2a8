"""LogStores: records in DuckDB, and the query language that reads them."""

from simulator.logstore.engine import MAX_PUSH_RECORDS, LogStoreEngine
from simulator.logstore.values import (
    DEFAULT_PROJECT,
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

__all__ = [
    "DEFAULT_PROJECT",
    "MAX_PUSH_RECORDS",
    "LogStore",
    "LogStoreEngine",
    "LogStoreSettings",
    "LogStream",
    "NewRecord",
    "Page",
    "Paging",
    "Project",
    "PulledRecord",
    "QueryResult",
    "RecordType",
    "Selection",
    "Sort",
]
