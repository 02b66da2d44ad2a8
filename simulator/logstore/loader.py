"""Brings records into a LogStore's table: whole segments in one statement, pushes as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Transaction
from simulator.logstore.typed import json_pointer
from simulator.logstore.values import NewRecord, RecordType

SEQ_SHIFT: Final = 14
"""``@seq`` is the millisecond of receipt, shifted by this, plus a counter.

Source: observed markers: (1742223843350 << 14) | 92 for a record stamped 1.4 s before.
"""
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
SAMPLED_BYTES: Final = 65_536
SAMPLED_LINES: Final = 64
"""Of each segment file, to discover fields."""

_SEGMENTS: Final = (
    "SELECT ts, 0 AS sequence, m FROM read_csv($paths, delim = '\t', quote = '', escape = '',"
    " comment = '', header = false, auto_detect = false, encoding = 'utf-8',"
    f" columns = {{'ts': 'BIGINT', 'm': 'VARCHAR'}}, max_line_size = {MAX_LINE_BYTES})"
)
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
) -> int:
    """Load every line of the segment files, in order; returns how many there were."""
    sample = (record for path in paths for record in _sample(path))
    source = {"paths": [str(path) for path in paths]}
    return _insert(transaction, catalog, state, sample, batch, (_SEGMENTS, source))


def load_records(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    records: Sequence[NewRecord],
    decoded: Iterable[Mapping[str, object]],
    batch: Batch,
) -> int:
    """Load pushed records; ``decoded`` are the objects in JSON messages."""
    source = {
        "times": [record.timestamp_ms for record in records],
        "sequences": [record.sequence for record in records],
        "texts": [record.message for record in records],
    }
    return _insert(transaction, catalog, state, decoded, batch, (_ARRAYS, source))


def _insert(
    transaction: Transaction,
    catalog: Catalog,
    state: StoreState,
    known: Iterable[Mapping[str, object]],
    batch: Batch,
    source: tuple[str, Mapping[str, object]],
) -> int:
    base = max(state.next_seq, int(batch.received_at * 1000) << SEQ_SHIFT)
    first = 0 if state.next_seq == 0 else base
    changes = state.fields.plan(known, first)
    catalog.add_fields(transaction, state, changes)
    catalog.add_stream(transaction, state, batch.stream, batch.received_at)
    catalog.add_tag_keys(transaction, state, frozenset(batch.tags))
    columns = state.fields.with_column(changes) if batch.type is RecordType.JSON else []
    query, parameters = source
    names = "".join(f", f{field.position}" for field in columns)
    values = "".join(f", v[{index + 1}]" for index in range(len(columns)))
    extracted = ", TRY(json_extract_string(m, $pointers)) AS v" if columns else ""
    pointers: dict[str, object] = (
        {"pointers": [json_pointer(field.name) for field in columns]} if columns else {}
    )
    inserted = transaction.cursor.execute(
        f"INSERT INTO {state.table}(seq, ts, stream, sequence, message, size, type, tags{names})"
        f" SELECT {base - 1} + row_number() OVER (), ts, $stream, sequence, m, strlen(m),"
        f" $type, $tags{values} FROM (SELECT *{extracted} FROM ({query}))",
        {
            **parameters,
            **pointers,
            "stream": batch.stream,
            "type": batch.type.value,
            "tags": msgspec.json.encode(batch.tags).decode() if batch.tags else None,
        },
    ).fetchone()
    count = 0 if inserted is None else int(inserted[0])
    if count:
        transaction.after_commit(lambda: setattr(state, "next_seq", base + count))
    return count


def _sample(path: Path) -> list[dict[str, object]]:
    """Some records of a segment, as far as they can be read."""
    with path.open("rb") as file:
        head = file.read(SAMPLED_BYTES)
        while head and b"\n" not in head and len(head) < MAX_LINE_BYTES:
            more = file.read(SAMPLED_BYTES)
            if not more:
                break
            head += more
    records: list[dict[str, object]] = []
    lines = head.split(b"\n")[:-1]
    step = max(1, len(lines) // SAMPLED_LINES)
    for line in lines[::step]:
        try:
            records.append(msgspec.json.decode(line.partition(b"\t")[2], type=dict[str, object]))
        except msgspec.DecodeError:
            continue  # loaded all the same, as a text without fields
    return records
