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
    ("host", "request", "http_user_agent", "response_status"),
)
"""Whatever one conversion spoils (addresses, times, requests, numbers), one of them is left."""
_HEADS: Final = (400, 200, 80)
"""Characters at the beginning that a text which was cut may have left; the surest first."""
_TAIL: Final = 80
_CANDIDATES: Final = 8
"""Of each block."""
_CLOSE: Final = 0.5
"""The share of fields, or of a text, that two records must have in common."""
_NO_VALUE: Final = 0


class Nearest:
    """Finds pairs: ``add_missing`` them all, then ``pair`` the unexpected one by one."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
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
        keys = _block_keys(fields, text)
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
        for key in _block_keys(fields, text):
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
    """The share of the fields that either has in which both agree."""
    either = equal = 0
    for a, b in zip(one, other, strict=False):
        if a or b:
            either += 1
            equal += a == b
    longer = one if len(one) > len(other) else other
    either += sum(map(bool, longer[min(len(one), len(other)) :]))
    return equal / either if either else 0.0


def _text_agreement(one: str, other: str) -> float:
    """The share of the shorter text that the longer one begins or ends with."""
    shorter = min(len(one), len(other))
    if not shorter:
        return 0.0
    head = common_length(one, other)
    tail = common_length(one[head:][::-1], other[head:][::-1])
    return (head + tail) / shorter


def _block_keys(fields: Mapping[str, Value], text: str) -> tuple[Hashable, ...]:
    """The blocks a record is in."""
    keys: list[Hashable] = []
    for number, names in enumerate(_BLOCKS):
        values = tuple(fields.get(name) for name in names)
        if values.count(None) <= len(values) // 2:
            keys.append((number, hash(values)))
    keys += [(size, text[:size]) for size in _HEADS if len(text) >= size]
    keys.append(("tail", text[-_TAIL:]))
    return tuple(keys)
