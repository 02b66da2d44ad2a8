"""What a caller of the LogStores handles: projects, LogStores, records, results.

Instants end in ``_at`` (Unix seconds, simulated); record times are epoch milliseconds, the unit of
the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

DEFAULT_PROJECT: Final = "default"
"""The project that always exists. Source: doc bls SDK comments (2026-08)."""

Value: TypeAlias = int | float | str | bool | None
"""One cell of a result."""


class RecordType(StrEnum):
    """How a pushed message is to be understood; names are those of the wire."""

    TEXT = "TEXT"
    JSON = "JSON"


class Sort(StrEnum):
    """Direction of a walk through records, by time."""

    ASC = "asc"
    DESC = "desc"


class LogStoreType(StrEnum):
    """What a name stands for; names are those of the wire."""

    LOGSTORE = "LOGSTORE"
    LOGSTORE_VIEW = "LOGSTORE_VIEW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A container of LogStores."""

    uuid: str
    name: str
    description: str
    top: bool
    created_at: float
    updated_at: float


DEFAULT_SEPARATORS: Final = "@&?|#()='\",;:<>[]{}/ \n\t\r\\"
"""Of an index that names none. Source: observed in SDK tests (Go 0.9.273), exact."""


class IndexType(StrEnum):
    """What the values of an indexed field are; names are those of the wire."""

    TEXT = "text"
    LONG = "long"
    FLOAT = "float"
    BOOL = "bool"
    JSON = "json"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexField:
    """The index of one field."""

    name: str
    """A first-level field of a record, or one within the field above."""
    type: IndexType
    case_sensitive: bool = False
    include_chinese: bool = False
    """Each Chinese character is a word."""
    separators: str = DEFAULT_SEPARATORS
    """The characters between words; never empty."""
    dynamic_mapping: bool = False
    """Kept for ``json`` and ``object``; without effect of its own."""
    fields: tuple["IndexField", ...] = ()
    """What is indexed within a ``json`` or ``object``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The index of a LogStore."""

    fulltext: bool = False
    """Words of the raw text can be searched."""
    case_sensitive: bool = False
    include_chinese: bool = False
    separators: str = DEFAULT_SEPARATORS
    fields: tuple[IndexField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStoreSettings:
    """The part of a LogStore its owner chooses."""

    retention_days: int
    """1 to 3650, or -1 for ever."""
    tags: tuple[tuple[str, str], ...] = ()
    enable_hot_retention: bool = False
    hot_retention_days: int = 0
    shard_count: int = 1
    max_shard_count: int = 50
    disable_shard_auto_split: bool = False
    index: IndexSettings | None = None
    """None when no index was made, or it was deleted."""
    index_enabled: bool = True
    """False switches an index off and keeps its definition."""
    strict_search: bool = False
    """Whether a search that the index does not cover is refused; else it scans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStore:
    """A LogStore as its owner sees it."""

    project: str
    name: str
    settings: LogStoreSettings
    short_id: str
    resource_id: str
    created_at: float
    updated_at: float

    @property
    def active_index(self) -> IndexSettings | None:
        """The index that searches and statements have; None without one or when it is off."""
        return self.settings.index if self.settings.index_enabled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStream:
    """A stream; made by the first push that names it."""

    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record on its way in."""

    message: str
    timestamp_ms: int = 0
    """0 stands for the instant of receipt."""
    sequence: int = 0
    """Carried through for clients that number their records; without effect."""


class PulledRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record on its way out of a pull; a struct, since it is made a thousand times a page."""

    message: str
    type: RecordType
    timestamp_ms: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a pull."""

    records: tuple[PulledRecord, ...]
    next_marker: str
    """Empty when nothing is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records a pull or a query looks at: start inclusive, end exclusive."""

    start_ms: int
    end_ms: int
    stream: str | None = None
    """None for all streams."""
    as_of: float | None = None
    """Unix seconds: the query is asked as if it were then, with what had been received and what
    retention had left; None: now."""
    oldest_ms: int = -(2**62)
    """What is older has been taken by retention; set by the engine, as the next."""
    before_seq: int | None = None
    """Records with this ``@seq`` or a later one have come since; None: none has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which part of the hits of a search to return. SQL statements ignore it."""

    limit: int = 100
    offset: int = 0
    sort: Sort = Sort.DESC
    marker: str | None = None
    """The ``next_marker`` of the page before."""
    sample_percentage: float = 100.0
    """How many of the hits to look at, drawn by chance."""
    sample_seed: int | None = None
    """The same seed draws the same hits; None draws others each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramBucket:
    """A stretch of time and how many hits are in it."""

    start_ms: int
    end_ms: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How the hits of a statement are spread over a range."""

    query_type: str
    start_ms: int
    end_ms: int
    """Of the range, which its first and last bucket may exceed."""
    interval_ms: int
    buckets: tuple[HistogramBucket, ...]
    """Without gaps, from the one that the range begins in to the one it ends in."""
    execution_time_ms: int

    @property
    def hits(self) -> int:
        """All of them."""
        return sum(bucket.count for bucket in self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """What a statement found."""

    query_type: str
    """``match``, ``sql`` or ``match_and_sql``."""
    columns: tuple[str, ...]
    column_types: tuple[str, ...]
    """``int``, ``float``, ``bool`` or ``string`` for each column."""
    rows: tuple[tuple[Value, ...], ...]
    tags: tuple[Mapping[str, str], ...] = field(default=())
    """The pushed tags of each row of a search; empty when no row has any."""
    next_marker: str | None
    """Set for a search with more hits only."""
    truncated_reason: str
    """Empty when nothing was cut."""
    scan_count: int
    scan_bytes: int
    execution_time_ms: int
