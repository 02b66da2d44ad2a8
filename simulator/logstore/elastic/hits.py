"""The hits of an Elasticsearch-compatible search: which, in what order, and what they show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from simulator.errors import ControlError
from simulator.logstore.database import Cursor, Row
from simulator.logstore.elastic.dates import encode_date, parse_formats
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.highlights import HighlightRequest
from simulator.logstore.elastic.marking import Highlighter
from simulator.logstore.elastic.names import RAW, TIME
from simulator.logstore.elastic.parameters import required
from simulator.logstore.elastic.records import Part, run_bounded
from simulator.logstore.elastic.sorting import HitOrder
from simulator.logstore.record_sizes import MAX_PAGE_BYTES, RecordSizes, fitting_count
from simulator.logstore.typed import Bindings
from simulator.logstore.values import RecordType
from simulator.logstore.wildcards import compile_pattern

MAX_SIZE: Final = 1000
"""Hits of one search, and the default. Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl
(2025-10) for the default, /s/2k7vkicsj (2025-07) for 1000 hits of any search."""
MAX_PATTERNS: Final = 100
"""Names and patterns of fields in one request. Source: assumed (a bound against abuse)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPattern:
    """Fields to show, and how."""

    fits: Callable[[str], bool]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRequest:
    """Which hits to show."""

    size: int
    order: HitOrder
    fields: tuple[FieldPattern, ...] | None
    """None shows all."""
    highlight: HighlightRequest | None


def find_hits(
    cursor: Cursor,
    parts: Sequence[Part],
    bindings: Bindings,
    request: HitRequest,
    sizes: RecordSizes,
) -> list[dict[str, object]]:
    """The hits in all parts together, as the wire shows them.

    Where only the time is sorted by, the records of the instant of ``searchAfter`` are all passed
    over, also those that were not shown. Source: assumed: as in Elasticsearch, of which one
    element is all that the vendor documents. Records of one instant are in the order of their
    ``@seq``, and then of the names of their indices (assumed).

    Raises:
        ControlError: InvalidParameter when the hits are too many bytes.
    """
    if request.size == 0 or not parts:
        return []
    order = request.order.sql
    selects = [
        f"FROM {part.state.table} WHERE {part.where}{request.order.behind(part.index)}"
        for part in parts
    ]
    largest = max(sizes.largest(cursor, part.state) for part in parts)
    if largest * request.size > MAX_PAGE_BYTES:
        _check_sizes(cursor, selects, bindings, request)
    if len(parts) == 1:
        found = _select(cursor, f"{_COLUMNS} {selects[0]} ORDER BY {order}", request.size, bindings)
        return _shown(cursor, parts, [(0, row) for row in found], request)
    union = " UNION ALL ".join(
        f"SELECT ts, seq, {number} AS part {select}" for number, select in enumerate(selects)
    )
    places = _select(cursor, f"{union} ORDER BY {order}, part", request.size, bindings)
    rows: dict[tuple[int, int], Row] = {}
    for number, part in enumerate(parts):
        seqs = ", ".join(str(seq) for _, seq, place in places if place == number)
        if seqs:
            sql = f"{_COLUMNS} FROM {part.state.table} WHERE seq IN ({seqs})"
            rows |= {(number, row[1]): row for row in _select(cursor, sql, request.size, bindings)}
    ordered = [(number, rows[number, seq]) for _, seq, number in places]
    return _shown(cursor, parts, ordered, request)


def _check_sizes(
    cursor: Cursor, selects: Sequence[str], bindings: Bindings, request: HitRequest
) -> None:
    """See that the hits are not too many bytes: without a total nobody would know of the rest."""
    narrow = " UNION ALL ".join(f"SELECT ts, seq, size {select}" for select in selects)
    sql = f"SELECT * FROM ({narrow}) ORDER BY {request.order.sql}"
    rows = _select(cursor, sql, request.size, bindings)
    fitting = fitting_count(row[2] for row in rows)
    if fitting < len(rows):
        raise ControlError(
            "InvalidParameter",
            400,
            f"Request param invalid: [body.size]: {len(rows)} hits are more than"
            f" {MAX_PAGE_BYTES >> 20} MiB; {fitting} are not",
        )


_COLUMNS: Final = "SELECT ts, seq, stream, message, tags, type"


def _select(cursor: Cursor, sql: str, limit: int, bindings: Bindings) -> list[Row]:
    limited = f"{sql} LIMIT {limit}"
    return run_bounded(cursor, limited, bindings.used_in(limited))


def _shown(
    cursor: Cursor,
    parts: Sequence[Part],
    found: Sequence[tuple[int, Row]],
    request: HitRequest,
) -> list[dict[str, object]]:
    """The hits; ``found`` has the number of the part that each record is from."""
    values = [_values(row) for _, row in found]
    hits = [
        _hit(row, one, request, parts[number].index, several=len(parts) > 1)
        for (number, row), one in zip(found, values, strict=True)
    ]
    if request.highlight is None:
        return hits
    for number, part in enumerate(parts):
        own = [place for place, (other, _) in enumerate(found) if other == number]
        highlighter = Highlighter(cursor, part.conditions, request.highlight)
        highlighted = highlighter.highlight([values[place] for place in own])
        for place, fragments in zip(own, highlighted, strict=True):
            if fragments:
                hits[place]["highlight"] = fragments
    return hits


def _hit(
    row: Row,
    values: dict[str, list[object]],
    request: HitRequest,
    index: str,
    *,
    several: bool,
) -> dict[str, object]:
    """A hit.

    Source: doc of the API's schema (2026-08): the score is 0 and the version 1.
    """
    time_ms, seq = row[0], row[1]
    return {
        "_index": index,
        "_id": f"{seq}-{time_ms}",
        "_score": 0.0,
        "_version": 1,
        "sort": request.order.values(time_ms, seq, index if several else ""),
        "fields": _selected(values, time_ms, request.fields),
    }


def _values(row: Row) -> dict[str, list[object]]:
    """The fields of a record and their values, of which there may be several."""
    found: dict[str, list[object]] = {}
    if row[5] == RecordType.JSON:
        try:
            record = msgspec.json.decode(row[3], type=dict[str, object])
        except (msgspec.DecodeError, RecursionError):
            record = {}  # a delivered line that is no JSON
        _flatten(record, "", found, 0)
    tags = {} if row[4] is None else msgspec.json.decode(row[4], type=dict[str, str])
    for key, value in tags.items():
        found.setdefault(key, [value])
    return found | {"@stream": [row[2]], RAW: [row[3]], "@seq": [row[1]]}


def _flatten(value: object, name: str, found: dict[str, list[object]], depth: int) -> None:
    """Objects within become fields with dots in their names, arrays several values."""
    match value:
        case dict() if depth < _MAX_DEPTH:
            for key, one in value.items():
                _flatten(one, f"{name}.{key}" if name else key, found, depth + 1)
        case list() if depth < _MAX_DEPTH:
            for one in value:
                _flatten(one, name, found, depth + 1)
        case None | dict() | list():
            pass
        case _:
            found.setdefault(name, []).append(value)


_MAX_DEPTH: Final = 20
"""Levels of a record that are shown. Source: assumed: Elasticsearch's limit of a mapping."""


def _selected(
    values: Mapping[str, list[object]], time_ms: int, patterns: Sequence[FieldPattern] | None
) -> dict[str, list[object]]:
    if patterns is None:
        return {TIME: [encode_date(time_ms)], **values}
    selected: dict[str, list[object]] = {}
    for one in patterns:
        if one.fits(TIME):
            selected[TIME] = [encode_date(time_ms, one.formats)]
        selected |= {name: shown for name, shown in values.items() if one.fits(name)}
    return selected


def parse_fields(node: Node) -> tuple[FieldPattern, ...]:
    """Names and patterns of fields, each a text or an object with a format."""
    items = node.items()
    if len(items) > MAX_PATTERNS:
        raise node.refuse(f"expected at most {MAX_PATTERNS} fields")
    found: list[FieldPattern] = []
    for item in items:
        formats: tuple[str, ...] = ()
        name = item
        if isinstance(item.value, dict):
            members = item.object(frozenset({"field", "format", "include_unmapped"}))
            name, formats = required(item, members, "field"), parse_formats(members.get("format"))
        found.append(FieldPattern(fits=compile_pattern(name.name()), formats=formats))
    return tuple(found)
