"""Brings records into one form, so that equal ones compare equal however they are spelled. Pure.

The order of keys, spaces and the spelling of a number (``0.5``, ``0.500``) never count. A number
and its text are equal unless the mapping says ``strict``. ``-``, null and a field that is not there
are equal; an empty text is a value of its own. Bytes that are not UTF-8 count as U+FFFD, and a run
of those as one: decoders disagree on how many it takes. What is no JSON object is compared as text.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import astuple

from simulator.accesslog import FIELDS, FieldType
from simulator.verdict.findings import FieldDifference
from simulator.verdict.mapping import (
    Json,
    RecordMapping,
    Types,
    of_record,
    to_record,
    unwrap,
)

Value: TypeAlias = Hashable
"""A field's value in canonical form; only for comparing."""

ABSENT: Final = "-"
TEXT_FIELD: Final = "(text)"
"""The one field of a line that is no JSON object."""

_EMPTY: Final = ("empty",)
"""The hash of an empty text is that of 0."""
_REPLACEMENTS: Final = re.compile("\ufffd+")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_SEPARATOR: Final = "\x1f\x1e\x1f"
_MEMO_ENTRIES: Final = 100_000
_LONGEST_INTEGER: Final = 20
_SHOWN: Final = 200
"""Characters of a value."""
_CONTEXT: Final = 20
"""Characters before the place where two texts part."""
_decode: Final[Callable[[bytes | str], Json]] = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class _Layout:
    """How to take the fields out of an object with all of them and no others."""

    texts: Callable[[Mapping[str, Json]], tuple[Any, ...]]  # itemgetter's own type
    others: Callable[[Mapping[str, Json]], tuple[Any, ...]]


class Canonical:
    """Compares by one mapping. Hashes of one process compare with each other only.

    Args:
        mapping: what the pipeline does to records.
    """

    def __init__(self, mapping: RecordMapping | None = None) -> None:
        self._mapping = mapping = mapping or RecordMapping()
        self._plain = not mapping.changes_values
        compared = [
            field
            for field in FIELDS
            if field.name not in mapping.ignore
            and (mapping.only is None or field.name in mapping.only)
        ]
        special = {*mapping.times, *mapping.scale, *mapping.lists}
        self._texts = [
            field.name
            for field in compared
            if field.type is FieldType.STRING and field.name not in special
        ]
        self._others = [field.name for field in compared if field.name not in self._texts]
        self._named = {*self._texts, *self._others}
        self._memo = _Memo(mapping)
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}
        self._is_usual = mapping.absent == {ABSENT} and mapping.types is Types.LENIENT
        self._whole = (
            None
            if mapping.changes_values or not self._is_usual
            else _whole_decoder((*self._texts, *self._others))
        )

    def delivered(self, line: bytes) -> int:
        """The hash of a record as it was delivered."""
        hash_ = self._hash_whole(line)
        if hash_ is not None:
            return hash_
        found = self._delivered_record(line)
        return self._hash(found) if isinstance(found, dict) else hash(found)

    def kept(self, line: bytes) -> int:
        """The hash of a record as a pipeline kept it."""
        hash_ = self._hash_whole(line)
        if hash_ is not None:
            return hash_
        found = self._unwrapped(line)
        return self._hash(found) if isinstance(found, dict) else hash(found)

    def delivered_fields(self, line: bytes) -> dict[str, Value]:
        """Every field of a delivered record that has a value."""
        found = self._delivered_record(line)
        return {TEXT_FIELD: found} if isinstance(found, str) else self._fields(found)

    def kept_fields(self, line: bytes) -> dict[str, Value]:
        """Every field of a kept record that has a value, under the record's names."""
        found = self._unwrapped(line)
        return {TEXT_FIELD: found} if isinstance(found, str) else self._fields(found)

    def differences(self, delivered: bytes, kept: bytes) -> tuple[FieldDifference, ...]:
        """What a pipeline changed of a record; times that the mapping names as Unix seconds."""
        left, right = self._delivered_record(delivered), self._unwrapped(kept)
        if isinstance(left, str) or isinstance(right, str):
            text = right if isinstance(right, str) else _as_text(kept)
            return _text_differences(_as_text(delivered), text)
        before, after = self._fields(left), self._fields(right)
        return tuple(
            FieldDifference(field=name, delivered=_json(left, name), kept=_json(right, name))
            for name in dict.fromkeys([*left, *right])
            if before.get(name, ABSENT) != after.get(name, ABSENT)
        )

    def is_whole(self, line: bytes) -> bool:
        """Whether a delivered record is a JSON object in valid UTF-8."""
        try:
            return isinstance(_decode(line), dict)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False

    def text(self, line: bytes) -> str:
        """A line as it is compared when it is no JSON object."""
        return _as_text(line)

    def _delivered_record(self, line: bytes) -> dict[str, Json] | str:
        found = _parse(line)
        if not isinstance(found, dict):
            return _as_text(line)
        return found if self._plain else of_record(self._mapping, found)

    def _unwrapped(self, line: bytes) -> dict[str, Json] | str:
        """A kept record in the words of the record; its text if it is no JSON object."""
        found = _parse(line)
        if isinstance(found, dict):
            found = unwrap(self._mapping, found)
        if isinstance(found, str):
            # A text that holds a record: a line with a line feed in it, a column, an envelope.
            text, found = found, _parse(found)
            if not isinstance(found, dict):
                return _clean(text)
        if not isinstance(found, dict):
            return _as_text(line)
        return found if self._plain else to_record(self._mapping, found)

    def _hash(self, record: dict[str, Json]) -> int:
        layout = self._layout(tuple(record))
        if layout is not None:
            hash_ = self._hash_values(layout.texts(record), layout.others(record))
            if hash_ is not None:
                return hash_
        return self._hash_any(record)

    def _hash_whole(self, line: bytes) -> int | None:
        """The short way for a line with exactly the fields of a record; None for any other."""
        if self._whole is None:
            return None
        try:
            values = astuple(self._whole.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        count = len(self._texts)
        return self._hash_values(values[:count], values[count:])

    def _hash_values(self, texts: tuple[Any, ...], others: tuple[Any, ...]) -> int | None:
        """The hash from the values of all fields; None if one of them needs a closer look."""
        try:
            text = _SEPARATOR.join(texts)
            if "\ufffd" in text:
                return None
            for index in _NOT_NUMBERS[tuple(map(type, others))]:
                if others[index] != ABSENT:
                    others = tuple(map(self._memo.__getitem__, others))
                    break
            return hash((text, others, ()))
        except TypeError:
            return None  # a number where a text was expected, or something nested

    def _hash_any(self, record: dict[str, Json]) -> int:
        fields = self._fields(record)
        # The same value as in ``_hash`` for the same content.
        text = _SEPARATOR.join(str(fields.pop(name, ABSENT)) for name in self._texts)
        others = tuple(fields.pop(name, ABSENT) for name in self._others)
        return hash((text, others, tuple(sorted(fields.items(), key=itemgetter(0)))))

    def _fields(self, record: dict[str, Json]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        texts = set(self._texts)
        for name, value in record.items():
            form = self._text(value) if name in texts else self._memo.form(value)
            if form != ABSENT:
                found[name] = form
        return found

    def _text(self, value: Json) -> Value:
        if isinstance(value, str):
            return ABSENT if value in self._mapping.absent else _clean(value)
        form = self._memo.form(value)
        # A number where the record has a text equals that text.
        return str(form) if isinstance(form, int | float) else form

    def _layout(self, names: tuple[str, ...]) -> _Layout | None:
        try:
            return self._layouts[names]
        except KeyError:
            if len(self._layouts) >= _MEMO_ENTRIES:
                self._layouts.clear()
        layout = None
        if (
            self._is_usual
            and set(names) == self._named
            and len(self._texts) > 1
            and len(self._others) > 1
        ):
            layout = _Layout(itemgetter(*self._texts), itemgetter(*self._others))
        self._layouts[names] = layout
        return layout


def common_length(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(index for index in range(shorter) if one[index] != other[index])


class _NotNumbers(dict[tuple[type, ...], tuple[int, ...]]):
    """Where in a row of values of these types some are that are no numbers."""

    def __missing__(self, types: tuple[type, ...]) -> tuple[int, ...]:
        found = self[types] = tuple(
            index for index, kind in enumerate(types) if kind is not int and kind is not float
        )
        return found


_NOT_NUMBERS: Final = _NotNumbers()


def _whole_decoder(names: Sequence[str]) -> "msgspec.json.Decoder[msgspec.Struct]":
    """Takes objects with these fields and no others: quicker than one that makes dicts."""
    fields = [(name, Any) for name in names]
    return msgspec.json.Decoder(
        msgspec.defstruct("Record", fields, forbid_unknown_fields=True, frozen=True)
    )


class _Memo(dict[Any, Value]):
    """Canonical forms of scalars met before: ports, statuses and times come again and again."""

    def __init__(self, mapping: RecordMapping) -> None:
        super().__init__()
        self._absent = mapping.absent
        self._strict = mapping.types is Types.STRICT

    def __missing__(self, value: Json) -> Value:
        if len(self) >= _MEMO_ENTRIES:
            self.clear()
        form = self[value] = self.form(value)
        return form

    def form(self, value: Json) -> Value:
        """The canonical form of any JSON value."""
        try:
            return self._form(value)
        except RecursionError:
            return ("deep",)  # no record is; whoever nests so far has altered it

    def _form(self, value: Json) -> Value:
        match value:
            case None:
                return ABSENT
            case str():
                if value in self._absent:
                    return ABSENT
                if not self._strict and _NUMBER.fullmatch(value):
                    return _number(value)
                return _clean(value) or _EMPTY
            case int() | float():
                number = int(value) if isinstance(value, bool) or value == value // 1 else value
                return ("number", number) if self._strict else number
            case list():
                return ("list", *(self._form(one) for one in value))
            case _:
                return ("object", *sorted((k, self._form(v)) for k, v in value.items()))


def _parse(line: bytes | str) -> Json:
    """The JSON value of a line; its text if it is none."""
    try:
        return _decode(line)
    except RecursionError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        if isinstance(line, str):
            return line
    text = line.decode("utf-8", "replace")
    if "\ufffd" in text:
        try:
            return _decode(text)
        except msgspec.DecodeError:
            pass
    return None


def _json(record: Mapping[str, Json], name: str) -> str:
    return _cut(msgspec.json.encode(record[name]).decode()) if name in record else ""


def _text_differences(delivered: str, kept: str) -> tuple[FieldDifference, ...]:
    """Both texts from a little before they part."""
    if delivered == kept:
        return ()
    start = max(0, common_length(delivered, kept) - _CONTEXT)
    return (
        FieldDifference(
            field=TEXT_FIELD, delivered=_cut(delivered[start:]), kept=_cut(kept[start:])
        ),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _as_text(line: bytes) -> str:
    return _clean(line.decode("utf-8", "replace"))


def _clean(text: str) -> str:
    return _REPLACEMENTS.sub("\ufffd", text) if "\ufffd" in text else text


def _number(text: str) -> int | float:
    if len(text) < _LONGEST_INTEGER and text.lstrip("-").isdecimal():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else number
