"""Which records a search finds, worked out record by record from what the documentation says.

Shares nothing with the product but the values that describe an index. A search is a tree here and
is never parsed: `oracle_searches` writes it out in the spellings of the language.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from simulator.logstore import IndexField, IndexSettings, IndexType

SEPARATORS: Final = "@&?|#()='\",;:<>[]{}/ \n\t\r\\"
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0"})
_NUMBER: Final = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


class RefusedError(Exception):
    """The service answers 400."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was pushed."""

    raw: str
    fields: Mapping[str, object] | None
    """Of a JSON record; None for a TEXT record."""
    at_ms: int
    stream: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class Words:
    field: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    field: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Exists:
    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    operator: str
    number: int | float


@dataclass(frozen=True, slots=True)
class Within:
    field: str
    low: int | float
    high: int | float
    ends: str
    """Two brackets, such as ``[)``."""


@dataclass(frozen=True, slots=True)
class Not:
    search: "Search"


@dataclass(frozen=True, slots=True)
class Both:
    one: "Search"
    other: "Search"


@dataclass(frozen=True, slots=True)
class Either:
    one: "Search"
    other: "Search"


Search: TypeAlias = Everything | Words | Phrase | Exists | Compare | Within | Not | Both | Either


@dataclass(frozen=True, slots=True)
class Rules:
    """How a text is split into words."""

    separators: str = SEPARATORS
    case_sensitive: bool = False
    include_chinese: bool = False

    def same(self, one: str, other: str) -> bool:
        return one == other or (not self.case_sensitive and one.lower() == other.lower())

    def is_alone(self, character: str) -> bool:
        """Whether a character is a word by itself."""
        return self.include_chinese and len(character) == 1 and "\u4e00" <= character <= "\u9fff"

    def words(self, text: str, separators: str | None = None) -> list[str]:
        found = [""]
        for character in text:
            if character in (self.separators if separators is None else separators):
                found.append("")
            elif self.is_alone(character):
                found += [character, ""]
            else:
                found[-1] += character
        return [word for word in found if word]

    def has(self, text: str, pattern: str) -> bool:
        """Whether a word of the text is like a pattern with ``*`` and ``?``."""
        starts = (at for at in range(len(text)) if at == 0 or self._parts(text[at - 1]))
        return any(self._like(text, at, pattern) for at in starts) or (
            self.is_alone(pattern) and pattern in text
        )

    def _parts(self, character: str) -> bool:
        """Whether a word ends before, and begins behind, a character."""
        return character in self.separators or self.is_alone(character)

    def _like(self, text: str, at: int, pattern: str) -> bool:
        if not pattern:
            return at == len(text) or self._parts(text[at])
        one, rest = pattern[0], pattern[1:]
        inside = at < len(text) and not self._parts(text[at])
        if one == "*":
            return self._like(text, at, rest) or (inside and self._like(text, at + 1, pattern))
        if at == len(text):
            return False
        if one == "?":  # a separator too: it finds itself
            return (inside or text[at] == "?") and self._like(text, at + 1, rest)
        return self.same(text[at], one) and self._like(text, at + 1, rest)


def find(
    records: Sequence[Record], search: Search, index: IndexSettings | None, *, strict: bool
) -> list[int]:
    """The positions of the hits.

    Raises:
        RefusedError: the search cannot be used with this index.
    """
    judge = _Judge(index, strict=strict)
    judge.check(search)
    return [at for at, record in enumerate(records) if judge.finds(search, record)]


class _Judge:
    def __init__(self, index: IndexSettings | None, *, strict: bool) -> None:
        self._index = index
        self._strict = strict

    def check(self, search: Search) -> None:
        match search:
            case Not(one):
                self.check(one)
            case Both(one, other) | Either(one, other):
                self.check(one)
                self.check(other)
            case Compare() | Within():
                self._covered(search.field, {IndexType.LONG, IndexType.FLOAT})
            case Exists():
                self._covered(search.field, set(IndexType))
            case Words(field=None) | Phrase(field=None):
                if self._strict and not (self._index and self._index.fulltext):
                    raise RefusedError("no full-text index")
                self._check_words(search)
            case Words() | Phrase():
                self._covered(search.field or "", set(IndexType))
                self._check_words(search)

    def _check_words(self, search: Words | Phrase) -> None:
        # `f:7` is a comparison where f is a number, `f:"*"` finds what has the field.
        if search.field and search == Words(search.field, "*"):
            return
        if search.field is not None and _number(search.text) is not None:
            return
        words = self._asked(search)
        if not words:
            raise RefusedError("no word")
        if isinstance(search, Words) and any(word[0] in "*?" for word in words):
            raise RefusedError("leading wildcard")

    def _covered(self, name: str, types: set[IndexType]) -> None:
        indexed = self._indexed(name)
        if self._strict and name[0] != "@" and (indexed is None or indexed.type not in types):
            raise RefusedError(f"no index of {name}")

    def _indexed(self, name: str) -> IndexField | None:
        fields = self._index.fields if self._index else ()
        for one in fields:
            if one.name == name:
                return one
        first, _, rest = name.partition(".")
        for one in fields:
            if one.name == first and rest:
                within = IndexSettings(fields=one.fields)
                return _Judge(within, strict=False)._indexed(rest)
        return None

    def _rules(self, name: str | None) -> Rules:
        by: IndexField | IndexSettings | None
        if name is None:
            by = self._index if self._index and self._index.fulltext else None
        else:
            by = self._indexed(name)
        if by is None:
            return Rules()
        return Rules(by.separators, by.case_sensitive, by.include_chinese)

    def _asked(self, search: Words | Phrase) -> list[str]:
        rules = self._rules(search.field)
        if isinstance(search, Phrase):
            return rules.words(search.text)
        asked = rules.words(search.text, rules.separators.replace("*", "").replace("?", ""))
        # What may follow a word of one character as part of it is nothing.
        return [
            word
            for before, word in zip(["", *asked], asked, strict=False)
            if not (rules.is_alone(before) and set(word) == {"*"})
        ]

    def finds(self, search: Search, record: Record) -> bool:
        match search:
            case Everything():
                return True
            case Not(one):
                return not self.finds(one, record)
            case Both(one, other):
                return self.finds(one, record) and self.finds(other, record)
            case Either(one, other):
                return self.finds(one, record) or self.finds(other, record)
            case Exists(name):
                return self._value(name, record) is not None
            case Compare(name, operator, number):
                value = _as_number(self._value(name, record))
                return value is not None and _compare(value, operator, number)
            case Within(name, low, high, ends):
                value = _as_number(self._value(name, record))
                return (
                    value is not None
                    and _compare(value, ">=" if ends[0] == "[" else ">", low)
                    and _compare(value, "<=" if ends[1] == "]" else "<", high)
                )
            case Words(str(name), "*"):
                return self._value(name, record) is not None
            case Words(name, text) | Phrase(name, text):
                value = record.raw if name is None else self._value(name, record)
                return value is not None and self._has_words(search, value, text)

    def _has_words(self, search: Words | Phrase, value: object, text: str) -> bool:
        number = _number(text)
        if isinstance(value, int | float) and not isinstance(value, bool) and number is not None:
            return value == number
        if isinstance(value, bool) and text.lower() in {"true", "false"}:
            return value is (text.lower() == "true")
        rules, asked, content = self._rules(search.field), self._asked(search), _text(value)
        if isinstance(search, Words):
            return all(rules.has(content, word) for word in asked)
        words = rules.words(content)
        return any(
            all(map(rules.same, words[at:], asked)) for at in range(len(words) - len(asked) + 1)
        )

    def _value(self, name: str, record: Record) -> object:
        """What the record has in a field, as what its index says; None when it is missing."""
        if name == "@timestamp":
            return record.at_ms
        if name == "@stream":
            return record.stream
        value = _member(record.fields, name)
        if value is None:
            value = record.tags.get(name)
        indexed = self._indexed(name)
        match indexed and indexed.type:
            case IndexType.TEXT:
                return None if value is None else _text(value)
            case IndexType.LONG | IndexType.FLOAT:
                number = _as_number(value)
                return None if number is None else float(number)
            case IndexType.BOOL:
                return _truth(value)
        return value


def _member(fields: Mapping[str, object] | None, name: str) -> object:
    """A field by its name, or by the path to it."""
    if fields is None:
        return None
    if fields.get(name) is not None:
        return fields[name]
    first, _, rest = name.partition(".")
    inner = fields.get(first)
    return _member(inner, rest) if rest and isinstance(inner, dict) else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("e+", "e")


def _truth(value: object) -> bool | None:
    """Texts that say so, and 1 and 0, are booleans for an index (the product's choice)."""
    said = _text(value).lower()
    return True if said in _TRUE else False if said in _FALSE else None


def _number(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def _as_number(value: object) -> int | float | None:
    """Numbers, and texts that are one; a boolean is none."""
    match value:
        case bool():
            return None
        case int() | float():
            return value
        case str():
            return _number(value)
    return None


def _compare(value: float, operator: str, number: float) -> bool:
    return {
        "=": value == number,
        ">": value > number,
        ">=": value >= number,
        "<": value < number,
        "<=": value <= number,
    }[operator]
