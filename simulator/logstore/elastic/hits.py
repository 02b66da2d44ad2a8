"""The hits of an Elasticsearch-compatible search: which, in what order, and what they show."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from simulator.logstore.database import Cursor, Row, run_statement
from simulator.logstore.elastic.dates import encode_date, parse_date, parse_formats
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.queries import RAW, TIME
from simulator.logstore.typed import Bindings
from simulator.logstore.values import RecordType, Sort

MAX_SIZE: Final = 1000
"""Hits of one search, and the default. Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl
(2025-10) for the default, /s/2k7vkicsj (2025-07) for 1000 hits of any search."""
MAX_PATTERNS: Final = 100
"""Names and patterns of fields in one request. Source: assumed (a bound against abuse)."""
_TIES: Final = frozenset({"_doc", "@seq", "_shard_doc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPattern:
    """Fields to show, and how."""

    pattern: re.Pattern[str]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRequest:
    """Which hits to show."""

    size: int
    sort: Sort
    tied: Sort | None
    """The order of records of one instant, when it was asked for."""
    after: tuple[int, ...]
    """Sort values of the hit before the first one: its time, and its ``@seq`` when tied."""
    fields: tuple[FieldPattern, ...] | None
    """None shows all."""


def parse_hits(members: Mapping[str, Node], now_ms: int) -> HitRequest:
    """What the members of a search say of its hits.

    Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10): sorted by ``@timestamp``
    alone, the newest first by default. That ``_doc`` may follow it, which Kibana sends, and that
    all fields are shown when none is named, is assumed.

    Raises:
        ControlError: InvalidParameter with the place in the document and what was expected.
    """
    sort, tied = _sort(members.get("sort"))
    after = members.get("searchAfter") or members.get("search_after")
    return HitRequest(
        size=members["size"].whole(0, MAX_SIZE) if "size" in members else MAX_SIZE,
        sort=sort,
        tied=tied,
        after=() if after is None else _after(after, tied, now_ms),
        fields=None if "fields" not in members else _fields(members["fields"]),
    )


def find_hits(
    cursor: Cursor,
    table: str,
    where: str,
    bindings: Bindings,
    request: HitRequest,
    index: str,
) -> list[dict[str, object]]:
    """The hits that fulfil ``where``, as the wire shows them.

    Where only the time is sorted by, the records of the instant of ``searchAfter`` are all passed
    over, also those that were not shown. Source: assumed: as in Elasticsearch, of which one
    element is all that the vendor documents.
    """
    if request.size == 0:
        return []
    tied = request.tied or request.sort
    clauses = [where]
    if request.after:
        time_ms = request.after[0]
        side = ">" if request.sort is Sort.ASC else "<"
        clause = f"ts {side} {time_ms}"
        if len(request.after) > 1:
            tie_side = ">" if tied is Sort.ASC else "<"
            clause = f"({clause} OR (ts = {time_ms} AND seq {tie_side} {request.after[1]}))"
        clauses.append(clause)
    sql = (
        f"SELECT ts, seq, stream, message, tags, type FROM {table}"
        f" WHERE {' AND '.join(clauses)}"
        f" ORDER BY ts {request.sort.upper()}, seq {tied.upper()} LIMIT {request.size}"
    )
    _, rows = run_statement(cursor, sql, bindings.used_in(sql))
    return [_shown(row, request, index) for row in rows]


def _shown(row: Row, request: HitRequest, index: str) -> dict[str, object]:
    """A hit.

    Source: doc of the API's schema (2026-08): sort values are texts, the score is 0 and the
    version 1.
    """
    time_ms, seq = row[0], row[1]
    return {
        "_index": index,
        "_id": str(seq),
        "_score": 0.0,
        "_version": 1,
        "sort": [str(time_ms)] if request.tied is None else [str(time_ms), str(seq)],
        "fields": _selected(_values(row), time_ms, request.fields),
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
        if one.pattern.match(TIME):
            selected[TIME] = [encode_date(time_ms, one.formats)]
        selected |= {name: shown for name, shown in values.items() if one.pattern.match(name)}
    return selected


def _fields(node: Node) -> tuple[FieldPattern, ...]:
    items = node.items()
    if len(items) > MAX_PATTERNS:
        raise node.refuse(f"expected at most {MAX_PATTERNS} fields")
    found: list[FieldPattern] = []
    for item in items:
        formats: tuple[str, ...] = ()
        name = item
        if isinstance(item.value, dict):
            members = item.object(frozenset({"field", "format", "include_unmapped"}))
            if "field" not in members:
                raise item.refuse("field is required")
            name, formats = members["field"], parse_formats(members.get("format"))
        pattern = name.name().replace("[", "[[]").replace("?", "[?]")
        found.append(FieldPattern(pattern=re.compile(fnmatch.translate(pattern)), formats=formats))
    return tuple(found)


def _sort(node: Node | None) -> tuple[Sort, Sort | None]:
    """The direction of the time, and that of what breaks ties, when it was asked for."""
    if node is None or node.value == []:
        return Sort.DESC, None
    items = node.items()
    name, sort = _sort_key(items[0])
    if name != TIME:
        raise items[0].refuse(f"only {TIME} can be sorted by")
    if len(items) == 1:
        return sort or Sort.DESC, None
    tie, tied = _sort_key(items[1])
    if tie not in _TIES or len(items) > 2:
        raise node.refuse(f"after {TIME} only _doc can be sorted by")
    return sort or Sort.DESC, tied or Sort.ASC


def _sort_key(node: Node) -> tuple[str, Sort | None]:
    if isinstance(node.value, str):
        name, _, direction = node.value.partition(":")
        return name, Sort(Node(direction, node.path).choice("asc", "desc")) if direction else None
    name, body = node.single("field")
    if isinstance(body.value, str):
        return name, Sort(body.choice("asc", "desc"))
    members = body.object(
        frozenset({"order", "unmapped_type", "format", "missing", "numeric_type"})
    )
    if "order" not in members:
        return name, None
    return name, Sort(members["order"].choice("asc", "desc"))


def _after(node: Node, tied: Sort | None, now_ms: int) -> tuple[int, ...]:
    items = node.items()
    expected = 1 if tied is None else 2
    if not 1 <= len(items) <= expected:
        raise node.refuse(f"expected the sort values of a hit, which are {expected}")
    time, *tie = map(_as_number, items)
    return (
        parse_date(time, now_ms=now_ms),
        *(one.whole(0, 2**63 - 1) for one in tie),
    )


def _as_number(node: Node) -> Node:
    """The number that a text of digits stands for: sort values are texts, also of the year 1970."""
    text = node.value
    if isinstance(text, str) and _DIGITS.fullmatch(text):
        return Node(int(text), node.path)
    return node


_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
