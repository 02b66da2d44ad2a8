"""Pairs records that are missing with those that are unexpected and close to them. Pure.

Two records are compared only if they agree in one of a few sets of fields (a block), and with at
most a handful from each block: the cost grows with the number of records, not with its square.
"""

from array import array
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from typing import Final

from simulator.verdict.canonical import TEXT_FIELD, Value, common_length

_BLOCKS: Final = (
    ("cip", "cport", "time_local"),
    ("request", "cip", "cport"),
    ("request", "time_local"),
    ("time_local", "request_length", "body_bytes_sent", "upstream_addr"),
    ("cport", "request_time", "upstream_response_time", "body_bytes_sent"),
    ("request", "request_time", "upstream_response_time", "body_bytes_sent"),
)
"""Whatever one conversion spoils (addresses, times, requests, numbers), one of them is left."""
_TELLING: Final = {
    "time_local": 4,
    "cip": 4,
    "cport": 4,
    "request": 4,
    "request_length": 2,
    "body_bytes_sent": 2,
    "request_time": 2,
    "upstream_response_time": 2,
    "upstream_addr": 1,
}
"""Fields that two requests do not have in common anyway, and how much each of them tells."""
_HEADS: Final = (400, 200, 80)
"""Characters at the beginning that a text which was cut may have left; the surest first."""
_TAIL: Final = 80
_CANDIDATES: Final = 8
"""Of each block."""
_CLOSE: Final = 0.5
"""More than this share of what tells, or of a text, two records must have in common."""
_NO_VALUE: Final = 0


class Nearest:
    """Finds pairs: ``add_missing`` them all, then ``pair`` the unexpected one by one."""

    def __init__(self) -> None:
        self._columns = {name: column for column, name in enumerate(_TELLING)}
        self._rows: list[array[int]] = []
        """Of each missing record the hashes of its fields: small, and quick to compare."""
        self._texts: list[str] = []
        self._keys: list[tuple[Hashable, ...]] = []
        self._blocks: dict[Hashable, dict[int, None]] = {}

    def add_missing(self, fields: Mapping[str, Value], text: str) -> None:
        """Take the next missing record.

        Args:
            fields: in canonical form.
            text: the line.
        """
        number = len(self._rows)
        self._rows.append(self._row(fields))
        self._texts.append(text)
        # A line that was cut is no record any more; its beginning is still that of one.
        keys = (*_field_keys(fields), *_text_keys(text))
        self._keys.append(keys)
        for key in keys:
            self._blocks.setdefault(key, {})[number] = None

    def pair(self, fields: Mapping[str, Value], text: str) -> int | None:
        """The closest missing record that has no partner yet; it has one now.

        Returns:
            Its number in the order of ``add_missing``; None if none is close enough.
        """
        row = self._row(fields)
        as_text = TEXT_FIELD in fields
        best, best_score = None, _CLOSE
        for key in _text_keys(text) if as_text else _field_keys(fields):
            for number in islice(self._blocks.get(key, ()), _CANDIDATES):
                if as_text:
                    score = _text_agreement(text, self._texts[number])
                else:
                    score = _agreement(row, self._rows[number])
                if score > best_score:
                    best, best_score = number, score
        if best is not None:
            for key in self._keys[best]:
                self._blocks[key].pop(best, None)
        return best

    def _row(self, fields: Mapping[str, Value]) -> "array[int]":
        row = array("q", [_NO_VALUE]) * len(self._columns)
        for name, value in fields.items():
            column = self._columns.setdefault(name, len(self._columns))
            if column >= len(row):
                row.extend([_NO_VALUE] * (column + 1 - len(row)))
            row[column] = hash(value)
        return row


def _agreement(one: Sequence[int], other: Sequence[int]) -> float:
    """The share of what tells in which both agree; the other fields break ties."""
    either = equal = 0
    for weight, a, b in zip(_TELLING.values(), one, other, strict=False):
        if a or b:
            either += weight
            equal += weight * (a == b)
    if equal <= _CLOSE * either:
        return 0.0
    alike = sum(a == b for a, b in zip(one, other, strict=False))
    return equal / either + alike / 10_000


def _text_agreement(one: str, other: str) -> float:
    """The share of the shorter text that the longer one begins or ends with."""
    shorter = min(len(one), len(other))
    if not shorter:
        return 0.0
    head = common_length(one, other)
    tail = common_length(one[head:][::-1], other[head:][::-1])
    return (head + tail) / shorter


def _field_keys(fields: Mapping[str, Value]) -> tuple[Hashable, ...]:
    """The blocks that a record is in by its fields."""
    keys: list[Hashable] = []
    for number, names in enumerate(_BLOCKS):
        values = tuple(fields.get(name) for name in names)
        if values.count(None) <= len(values) // 2:
            keys.append((number, hash(values)))
    return tuple(keys)


def _text_keys(text: str) -> tuple[Hashable, ...]:
    """The blocks that a line is in by its text."""
    heads = [(size, text[:size]) for size in _HEADS if len(text) >= size]
    return *heads, ("tail", text[-_TAIL:])
