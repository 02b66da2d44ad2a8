"""Learns which fields JSON records have, and of what kind their values are, from every record.

Nearly all records are like those before them. To prove that of one takes a tenth of the time that
reading it as an object and looking at its values does, so only the others are read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Final

import msgspec

from simulator.logstore.json_objects import decode_object
from simulator.logstore.typed import Kind

MAX_PROVEN: Final = 256
"""Fields of a LogStore beyond which every record is read."""
_QUIET: Final = 8
"""Records read in a row that tell nothing new before the next ones are proven instead."""
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Of a record: loaded all the same, as a text without fields."""
_KINDS: Final[Mapping[type, Kind]] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
}
"""Of JSON values; all others are text. Asked for each value of each record, so a plain table."""
_FITTING: Final[Mapping[Kind, object]] = {
    Kind.NULL: None,
    Kind.BOOL: bool | None,
    Kind.INT: int | None,
    Kind.FLOAT: float | None,  # takes whole numbers too
    Kind.STRING: str | list[msgspec.Raw] | dict[str, msgspec.Raw] | None,
}
"""What leaves a field its kind; anything does where it has several."""


def merge_kinds(one: Kind, other: Kind) -> Kind:
    """The kind of a field that has values of two kinds."""
    if one is other or other is Kind.NULL:
        return one
    if one is Kind.NULL:
        return other
    if {one, other} == {Kind.INT, Kind.FLOAT}:
        return Kind.FLOAT
    return Kind.MIXED


def kinds_in(records: Iterable[Mapping[str, object]]) -> dict[str, Kind]:
    """The fields of ``records`` and their kinds."""
    kinds: dict[str, Kind] = {}
    for record in records:
        _add(record, kinds)
    return kinds


def discover_kinds(texts: Iterable[str | bytes], known: Mapping[str, Kind]) -> dict[str, Kind]:
    """The fields that ``texts``, read to their end, add to the ``known`` ones or give a new kind.

    What is no JSON object has no fields.
    """
    kinds = dict(known)
    rest = iter(texts)
    if not 0 < len(kinds) <= MAX_PROVEN:
        _learn(rest, kinds)
    while (text := _first_unproven(rest, kinds)) is not None:
        _learn(chain((text,), rest), kinds)
    return {name: kind for name, kind in kinds.items() if known.get(name) is not kind}


def _learn(texts: Iterator[str | bytes], kinds: dict[str, Kind]) -> None:
    """Add to ``kinds`` what the texts tell, as long as that is something new."""
    quiet = 0
    for text in texts:
        try:
            record = decode_object(text)
        except _UNREADABLE:
            record = {}
        quiet = 0 if _add(record, kinds) else quiet + 1
        if quiet >= _QUIET and len(kinds) <= MAX_PROVEN:
            return


def _first_unproven(texts: Iterator[str | bytes], kinds: Mapping[str, Kind]) -> str | bytes | None:
    """The next text that is not certain to have these fields only, with values of their kinds."""
    decode = _prover(tuple(kinds.items()))
    for text in texts:
        try:
            decode(text)
        except _UNREADABLE:
            return text
    return None


@lru_cache(maxsize=32)
def _prover(kinds: tuple[tuple[str, Kind], ...]) -> Callable[[str | bytes], object]:
    """Raises where an object has other fields, or values of other kinds."""
    provable = [pair for pair in kinds if '"' not in pair[0] and "\\" not in pair[0]]
    provable = [(name, kind) for name, kind in provable if min(name, default=" ") >= " "]
    attributes = {f"f{number}": name for number, (name, _) in enumerate(provable)}
    shape = msgspec.defstruct(
        "Shape",
        [
            (attribute, _FITTING.get(kind, msgspec.Raw), None)
            for attribute, (_, kind) in zip(attributes, provable, strict=True)
        ],
        rename=attributes,
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(shape).decode


def _add(record: Mapping[str, object], kinds: dict[str, Kind]) -> bool:
    """Add to ``kinds`` what a record tells; whether that is something new."""
    is_new = False
    for name, value in record.items():
        kind = _KINDS.get(type(value), Kind.STRING)
        before = kinds.get(name)
        if before is not kind:
            merged = kind if before is None else merge_kinds(before, kind)
            is_new |= merged is not before
            kinds[name] = merged
    return is_new
