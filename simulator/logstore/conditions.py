"""A search tree as a condition on the records of one LogStore.

What the LogStore's index covers is searched as the index says. Beyond it a strict search is
refused and a lenient one scans, with the default separators and without regard to case. Whatever
the index, every record is there at once, also those that are older than it (assumed).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from simulator.errors import ControlError
from simulator.logstore.database import Cursor
from simulator.logstore.fields import RESERVED, FieldCatalog, find_indexed
from simulator.logstore.folds import Folds
from simulator.logstore.search import (
    All,
    AnyOf,
    Compare,
    Everything,
    Not,
    Phrase,
    Search,
    Within,
    Words,
)
from simulator.logstore.typed import (
    NUMERIC,
    Bindings,
    Kind,
    Typed,
    as_number,
    as_text,
    certain,
    encode_number,
    invalid_query,
    parse_number,
)
from simulator.logstore.values import IndexField, IndexSettings, IndexType
from simulator.logstore.words import Splitter

_RAW: Final = Typed("message", Kind.STRING)
_OF_NUMBERS: Final = frozenset({IndexType.LONG, IndexType.FLOAT})
_PLAIN: Final = Splitter()


class ConditionWriter:
    """Writes conditions for one LogStore.

    Args:
        fields: of the LogStore.
        index: of the LogStore, when it has one that is on.
        strict: whether a search that the index does not cover is refused.
        cursor: to look at the data when a field's kind must be proven.
        bindings: of the statement that the condition becomes part of.
        column: what the LogStore calls a field that the search names; None: the same.
        folds: folds texts; what is written is to be put around by it.
    """

    def __init__(
        self,
        fields: FieldCatalog,
        index: IndexSettings | None,
        *,
        strict: bool,
        cursor: Cursor,
        bindings: Bindings,
        column: Callable[[str], str] | None = None,
        folds: Folds,
    ) -> None:
        self._column = column or _as_named
        self._fields = fields
        self._index = index
        self._strict = strict
        self._cursor = cursor
        self._bindings = bindings
        self._folds = folds

    def write(self, search: Search) -> str:
        """SQL that is true or false for every record, never NULL; ``folds`` is to be put around.

        Raises:
            ControlError: InvalidParameter for a text without a word, a leading wildcard, or what
                has no index when it must have one.
        """
        try:
            return self._write(search)
        except RecursionError as error:
            raise invalid_query("nested too deeply") from error

    def _write(self, search: Search) -> str:
        match search:
            case Everything():
                return "TRUE"
            case Not(operand):
                return f"(NOT {self._write(operand)})"
            case All(operands):
                return "(" + " AND ".join(self._write(operand) for operand in operands) + ")"
            case AnyOf(operands):
                return "(" + " OR ".join(self._write(operand) for operand in operands) + ")"
            case Compare(field, operator, number, at):
                self._check(field, _OF_NUMBERS, at)
                value = self._number(field)
                return certain(f"{value} {operator} {_literal(number)}")
            case Within(field, low, low_included, high, high_included, at):
                self._check(field, _OF_NUMBERS, at)
                value = self._number(field)
                above = ">=" if low_included else ">"
                below = "<=" if high_included else "<"
                return certain(
                    f"{value} {above} {_literal(low)} AND {value} {below} {_literal(high)}"
                )
            case Words(field, text, at) | Phrase(field, text, at):
                return self._text(search, field, text, at)
            case _:
                assert_never(search)

    def _text(self, search: Words | Phrase, field: str | None, text: str, at: int) -> str:
        splitter = self._splitter(field, at)
        value = _RAW if field is None else self._typed(field)
        if field is not None:
            if text == "*" and isinstance(search, Words):
                return f"({value.sql} IS NOT NULL)"
            exact = _exact(value, text)
            if exact is not None:
                return certain(exact)
        found = self._words(search, splitter, value, at)
        equal = None if field is None else self._equal_number(field, value, text)
        if equal is None:
            return found
        # Its words are those of a number only where other records have texts.
        return f"CASE WHEN {found} THEN TRUE ELSE {equal} END"

    def _words(self, search: Words | Phrase, splitter: Splitter, value: Typed, at: int) -> str:
        """Whether a text has the words that are searched for."""
        words = splitter.words(search.text, at, wildcards=isinstance(search, Words))
        splitter = replace(splitter, folds=self._folds)
        if isinstance(search, Phrase):
            return certain(splitter.has_phrase(as_text(value), words, self._bindings))
        found = (splitter.has_word(as_text(value), word, self._bindings) for word in words)
        return "(" + " AND ".join(certain(one) for one in found) + ")"

    def _number(self, field: str) -> str:
        """A field as a number; a boolean is none."""
        value = self._typed(field)
        return "CAST(NULL AS DOUBLE)" if value.kind is Kind.BOOL else as_number(value)

    def _equal_number(self, field: str, value: Typed, text: str) -> str | None:
        """Whether a field, which is a number in some records, is the number that is searched for.

        None where it need not be asked.
        """
        if value.kind is not Kind.MIXED:
            return None
        try:
            number = _literal(parse_number(text))
        except ValueError:
            return None
        is_number = self._fields.is_number(self._column(field), self._bindings)
        return certain(f"CASE WHEN {as_number(value)} = {number} THEN {is_number} END")

    def _splitter(self, field: str | None, at: int) -> Splitter:
        """How the raw text, or a field, is split into words."""
        if field is not None:
            indexed = self._check(field, frozenset(IndexType), at)
            return _PLAIN if indexed is None else splitter_of(indexed)
        if self._index is not None and self._index.fulltext:
            return splitter_of(self._index)
        if self._strict:
            raise invalid_query("the LogStore has no full-text index, which a word needs", at)
        return _PLAIN

    def _check(self, name: str, types: frozenset[IndexType], at: int) -> IndexField | None:
        """The index of a field, if it is one of ``types``.

        Raises:
            ControlError: InvalidParameter when it must have one and has none.
        """
        column = self._column(name)
        indexed = None if self._index is None else find_indexed(self._index, column)
        if indexed is not None and indexed.type in types:
            return indexed
        if self._strict and column not in RESERVED:
            raise _no_index(name, indexed, types, at)
        return None

    def _typed(self, field: str) -> Typed:
        return self._fields.typed(self._column(field), self._cursor, self._bindings, self._index)


def _as_named(field: str) -> str:
    return field


def splitter_of(index: IndexSettings | IndexField) -> Splitter:
    """How an index tells words apart."""
    return Splitter(
        separators=index.separators,
        case_sensitive=index.case_sensitive,
        include_chinese=index.include_chinese,
    )


def _no_index(
    name: str, indexed: IndexField | None, types: frozenset[IndexType], at: int
) -> ControlError:
    if indexed is None:
        return invalid_query(f"the field {name[:60]} has no index", at)
    expected = " or ".join(sorted(types))
    return invalid_query(
        f"the index of the field {name[:60]} is of type {indexed.type}, expected {expected}", at
    )


def _exact(value: Typed, text: str) -> str | None:
    """The comparison a non-text field makes; None where words decide."""
    if value.kind is Kind.BOOL and text.lower() in {"true", "false"}:
        return f"{value.sql} = {text.lower()}"
    if value.kind in NUMERIC:
        try:
            return f"{value.sql} = {_literal(parse_number(text))}"
        except ValueError:
            return None
    return None


def _literal(number: float) -> str:
    try:
        return encode_number(number)
    except OverflowError as error:
        raise invalid_query("the number is too large") from error
