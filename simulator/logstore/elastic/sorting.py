"""The order of hits, and going on after one of them.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10): sorted by ``@timestamp`` alone,
the newest first by default. That ``_doc`` may follow it, which Kibana sends, is assumed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.dates import encode_date, parse_date, parse_formats
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.names import TIME
from simulator.logstore.values import Sort

_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_TIES: Final = frozenset({"_doc", "@seq", "_shard_doc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """The hit before the first one to show."""

    time_ms: int
    seq: int | None
    """None when it is the time alone that hits are sorted by."""
    index: str
    """What the hit is from, when several LogStores were searched; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitOrder:
    """The order of hits.

    Records of one instant are in the order of their ``@seq``, and then of the names of their
    indices. Source: assumed.
    """

    sort: Sort
    tied: Sort | None
    """The order of records of one instant, when it was asked for."""
    formats: tuple[str, ...]
    """How the times are written that hits are sorted by; epoch milliseconds without any."""
    after: After | None

    @property
    def sql(self) -> str:
        """What stands after ORDER BY, but for the index."""
        return f"ts {self.sort.upper()}, seq {(self.tied or self.sort).upper()}"

    def behind(self, index: str) -> str:
        """SQL that goes on with a condition: for the records of an index that are still to come."""
        after = self.after
        if after is None:
            return ""
        clause = f"ts {'>' if self.sort is Sort.ASC else '<'} {after.time_ms}"
        if after.seq is not None:
            side = ">" if (self.tied or self.sort) is Sort.ASC else "<"
            # The names of indices always ascend.
            side += "=" if after.index and index > after.index else ""
            clause = f"({clause} OR (ts = {after.time_ms} AND seq {side} {after.seq}))"
        return f" AND {clause}"

    def values(self, time_ms: int, seq: int, index: str) -> list[str]:
        """What a hit is sorted by; ``index`` is empty unless several are searched.

        Source: doc of the API's schema (2026-08): they are texts.
        """
        values = [encode_date(time_ms, self.formats or ("epoch_millis",))]
        if self.tied is not None:
            values.append(f"{seq}.{index}" if index else str(seq))
        return values


def parse_order(members: Mapping[str, Node], now_ms: int) -> HitOrder:
    """The order that ``sort`` asks for, and ``searchAfter`` or ``search_after``.

    Raises:
        ControlError: InvalidParameter with the place in the document and what was expected.
    """
    keys = _parse_sort(members.get("sort"))
    tied = None if len(keys) < 2 else keys[1].sort or Sort.ASC
    after = members.get("searchAfter") or members.get("search_after")
    formats = keys[0].formats if keys else ()
    return HitOrder(
        sort=(keys[0].sort if keys else None) or Sort.DESC,
        tied=tied,
        formats=formats,
        after=None if after is None else _after(after, tied, formats, now_ms),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SortKey:
    """One thing that hits are sorted by."""

    name: str
    sort: Sort | None
    formats: tuple[str, ...] = ()


def _parse_sort(node: Node | None) -> tuple[_SortKey, ...]:
    """What hits are to be sorted by: nothing, the time, or the time and what breaks ties.

    Raises:
        ControlError: InvalidParameter for anything else.
    """
    if node is None or node.value in ([], {}):
        return ()
    items = node.items()
    if len(items) == 1 and isinstance(node.value, dict):
        items = tuple(Node({name: value}, node.path) for name, value in node.value.items())
    keys = tuple(_sort_key(item) for item in items)
    if keys[0].name != TIME:
        raise items[0].refuse(f"only {TIME} can be sorted by")
    if len(keys) > 2 or any(key.name not in _TIES for key in keys[1:]):
        raise node.refuse(f"after {TIME} only _doc can be sorted by")
    return keys


def _sort_key(node: Node) -> _SortKey:
    if isinstance(node.value, str):
        name, _, direction = node.value.partition(":")
        return _SortKey(
            name=name, sort=_direction(Node(direction, node.path)) if direction else None
        )
    name, body = node.single("field")
    if isinstance(body.value, str):
        return _SortKey(name=name, sort=_direction(body))
    members = body.object(
        frozenset({"order", "unmapped_type", "format", "missing", "numeric_type"})
    )
    return _SortKey(
        name=name,
        sort=_direction(members["order"]) if "order" in members else None,
        formats=parse_formats(members.get("format")),
    )


def _direction(node: Node) -> Sort:
    return Sort(node.choice("asc", "desc"))


def _after(node: Node, tied: Sort | None, formats: Sequence[str], now_ms: int) -> After | None:
    items = node.items()
    if not items:
        return None
    expected = 1 if tied is None else 2
    if len(items) > expected:
        raise node.refuse(f"expected the sort values of a hit, which are {expected}")
    time = items[0]
    if not formats and isinstance(time.value, str) and _NUMBER.fullmatch(time.value):
        # A time of the year 1970 is not the year that its digits spell.
        time = Node(int(time.value), time.path)
    time_ms = parse_date(time, now_ms=now_ms, formats=formats)
    if len(items) == 1:
        return After(time_ms=time_ms, seq=None, index="")
    seq, _, index = str(items[1].scalar()).partition(".")
    if not seq.isascii() or not seq.isdigit() or len(seq) > 19:
        raise items[1].refuse("expected the second sort value of a hit")
    return After(time_ms=time_ms, seq=int(seq), index=index)
