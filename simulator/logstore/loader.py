"""Brings records into a LogStore's table: whole segments in one statement, pushes as arrays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Transaction
from simulator.logstore.discovery import discover_kinds, kinds_in
from simulator.logstore.json_paths import json_pointer
from simulator.logstore.typed import Kind
from simulator.logstore.values import NewRecord, RecordType

SEQ_SHIFT: Final = 14
"""``@seq`` is the millisecond of receipt, shifted by this, plus a counter.

Source: observed markers: (1742223843350 << 14) | 92 for a record stamped 1.4 s before.
"""
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
READ_BYTES: Final = 65_536
"""Of a segment file, whose lines are looked at for fields together: then other threads, such as
that of the proxied path, have a turn."""
SLICE_BYTES: Final = 64 * 1024 * 1024
"""Of files that one statement reads: bounds what it keeps in memory, and the file they are
combined into."""
MANY_FILES: Final = 64
"""More files than this are combined into one: DuckDB keeps a buffer of megabytes for each, and
takes about a millisecond to open one."""
BYTES_PER_ROW: Final = 2048
"""Of a record: a larger one is followed by rows without a time, which are no records.

DuckDB packs, unpacks and computes 2048 rows at a time, and keeps 61 440 in a group that it writes
anew while it grows; with rows of half a megabyte neither fits into any memory.
"""
MAX_TOGETHER_BYTES: Final = 8192
"""Of a record in a segment, all of whose records then lie together: they are mostly much smaller,
and to look at each would make loading slower."""
_ARRAY_LINES: Final = 16_384
"""Records in memory that one statement takes."""
COMBINED_SUFFIX: Final = ".load"

_SEGMENTS: Final = (
    "SELECT ts, 0 AS sequence, m FROM read_csv($paths, delim = '\t', quote = '', escape = '',"
    " comment = '', header = false, auto_detect = false, encoding = 'utf-8',"
    f" columns = {{'ts': 'BIGINT', 'm': 'VARCHAR'}}, max_line_size = {MAX_LINE_BYTES})"
)
_Source: TypeAlias = tuple[str, Mapping[str, object]]
"""A query for ``ts, sequence, m`` and its parameters."""
_ARRAYS: Final = "SELECT unnest($times) AS ts, unnest($sequences) AS sequence, unnest($texts) AS m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all records of one load share."""

    stream: str
    type: RecordType
    tags: Mapping[str, str]
    received_at: float
    """Unix seconds."""


def load_segments(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    paths: Sequence[Path],
    batch: Batch,
) -> range:
    """Load every line of the segment files, in order; returns their ``@seq``.

    Many small files are first written into one, beside them and for the length of the call.

    Raises:
        OSError: a file cannot be read or written.
    """
    lines: list[Iterable[bytes]] = []
    sources: list[_Source] = []
    with ExitStack() as stack:
        for files in _slices(paths):
            if len(files) > MANY_FILES:
                combined = files[0].with_name(f"{len(sources)}{COMBINED_SUFFIX}")
                stack.callback(combined.unlink, missing_ok=True)
                lines.append(_combine(files, combined))
                sources.append((_SEGMENTS, {"paths": [str(combined)]}))
            else:
                lines.extend(map(_lines, files))
                sources.append((_SEGMENTS, {"paths": [str(path) for path in files]}))
        # Lazy, so that few lines are in memory; read to their end before the statements run.
        texts = (line.partition(b"\t")[2] for line in chain.from_iterable(lines))
        found = discover_kinds(texts, state.fields.kinds)
        return _insert(transaction, catalog, state, found, batch, sources)


def load_lines(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    lines: Sequence[tuple[int, bytes]],
    batch: Batch,
) -> range:
    """Load delivered records from memory, ``(epoch ms, text)``; returns their ``@seq``.

    Bytes that are not UTF-8 become U+FFFD; what is not JSON is a text without fields.
    """
    texts = [text.decode("utf-8", "replace") for _, text in lines]
    sources: list[_Source] = []
    for start in range(0, len(lines), _ARRAY_LINES):
        part = slice(start, start + _ARRAY_LINES)
        times = [at_ms for at_ms, _ in lines[part]]
        arrays = {"times": times, "sequences": [0] * len(times), "texts": texts[part]}
        sources.append((_ARRAYS, arrays))
    found = discover_kinds(texts, state.fields.kinds)
    return _insert(transaction, catalog, state, found, batch, sources)


def load_records(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    records: Sequence[NewRecord],
    decoded: Iterable[Mapping[str, object]],
    batch: Batch,
) -> range:
    """Load pushed records; ``decoded`` are the objects in JSON messages. Returns their ``@seq``."""
    source = {
        "times": [record.timestamp_ms for record in records],
        "sequences": [record.sequence for record in records],
        "texts": [record.message for record in records],
    }
    found = kinds_in(decoded)
    return _insert(transaction, catalog, state, found, batch, [(_ARRAYS, source)])


def _insert(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    found: Mapping[str, Kind],
    batch: Batch,
    sources: Sequence[_Source],
) -> range:
    base = max(state.next_seq, int(batch.received_at * 1000) << SEQ_SHIFT)
    first = 0 if state.next_seq == 0 else base
    changes = state.fields.plan(found, first)
    catalog.add_fields(transaction, state, changes)
    catalog.add_stream(transaction, state, batch.stream, batch.received_at)
    catalog.add_tag_keys(transaction, state, frozenset(batch.tags))
    columns = state.fields.with_column(changes) if batch.type is RecordType.JSON else []
    names = "".join(f", f{field.position}" for field in columns)
    values = "".join(
        f", v[{index + 1}] AS f{field.position}" for index, field in enumerate(columns)
    )
    extracted = ", TRY(json_extract_string(m, $pointers)) AS v" if columns else ""
    shared: dict[str, object] = {
        "stream": batch.stream,
        "type": batch.type.value,
        "tags": msgspec.json.encode(batch.tags).decode() if batch.tags else None,
    }
    if columns:
        shared["pointers"] = [json_pointer(field.name) for field in columns]
    next_seq = base
    for query, parameters in sources:
        texts = parameters.get("texts")
        rows = (
            f"SELECT {next_seq - 1} + row_number() OVER () AS seq, ts, $stream AS stream,"
            f" sequence, m AS message, strlen(m) AS size, $type AS type, $tags AS tags{values}"
            f" FROM (SELECT *{extracted} FROM ({query}))"
        )
        apart = _spread(rows, names)
        insert = (
            f"INSERT INTO {state.table}"
            f"(seq, ts, stream, sequence, message, size, type, tags{names})"
        )
        values_of = {**parameters, **shared}
        if isinstance(texts, list):
            chosen = apart if any(map(_is_large, texts)) else rows
            transaction.cursor.execute(f"{insert} {chosen}", values_of)
            next_seq += len(texts)
            continue
        inserted = transaction.cursor.execute(f"{insert} {rows}", values_of).fetchone()
        if _largest_from(transaction, state, next_seq) > MAX_TOGETHER_BYTES:
            transaction.cursor.execute(f"DELETE FROM {state.table} WHERE seq >= {next_seq}")
            transaction.cursor.execute(f"{insert} {apart}", values_of)
        next_seq += 0 if inserted is None else int(inserted[0])
    if next_seq > base:
        transaction.after_commit(lambda: setattr(state, "next_seq", next_seq))
    return range(base, next_seq)


def _largest_from(transaction: Transaction, state: StoreState, seq: int) -> int:
    """Bytes of the largest record from ``seq`` on."""
    row = transaction.cursor.execute(
        f"SELECT max(size) FROM {state.table} WHERE seq >= {seq}"
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def _is_large(text: str) -> bool:
    if text.isascii():
        return len(text) > BYTES_PER_ROW
    return len(text.encode("utf-8", "surrogatepass")) > BYTES_PER_ROW


def _spread(rows: str, names: str) -> str:
    """The same rows, each large one followed by some that are no records.

    These have the time of their record as ``sequence``, so that they expire with it.
    """
    columns = f"stream, message, size, type, tags{names}".split(", ")
    values = ", ".join(f"CASE WHEN k = 0 THEN {column} END" for column in columns[1:])
    more = f"greatest(size - 1, 0) // {BYTES_PER_ROW}"
    return (
        "SELECT CASE WHEN k = 0 THEN seq END, CASE WHEN k = 0 THEN ts END,"
        " CASE WHEN k = 0 THEN stream END, CASE WHEN k = 0 THEN sequence ELSE ts END,"
        f" {values} FROM (SELECT *, unnest(range(1 + {more})) AS k FROM ({rows}))"
    )


def _slices(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The paths in order, as many at a time as one statement may read."""
    files: list[Path] = []
    byte_count = 0
    for path in paths:
        size = path.stat().st_size
        if files and byte_count + size > SLICE_BYTES:
            yield files
            files, byte_count = [], 0
        files.append(path)
        byte_count += size
    if files:
        yield files


def _combine(paths: Sequence[Path], combined: Path) -> Iterator[bytes]:
    """Write the lines of all files into one; gives them."""
    with combined.open("wb") as out:
        for path in paths:
            with path.open("rb", buffering=0) as file:
                data = file.readall()
            out.write(data)
            yield from data.split(b"\n")[:-1]


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a segment."""
    with path.open("rb") as file:
        while lines := file.readlines(READ_BYTES):
            yield from lines
