"""A search tree as a condition on the records of one LogStore.

Without an index this is the lenient way: words are looked for in the raw text and fields in every
record, by scanning. Index definitions do not exist yet, so the default separators and folding of
case apply everywhere. Source: doc BLS SDK tests (2026-08) for the separators; scanning assumed.
"""

import re
from typing import Final, assert_never

from simulator.logstore.database import Cursor
from simulator.logstore.fields import FieldCatalog
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
    encode_number,
    invalid_query,
    parse_number,
)

SEPARATORS: Final = "@&?|#()='\",;:<>[]{}/ \n\t\r\\"
"""What splits a text into tokens."""

_SPLIT: Final = re.compile("[" + re.escape(SEPARATORS) + "]+")
_SPLIT_WORDS: Final = re.compile("[" + re.escape(SEPARATORS.replace("?", "")) + "]+")
"""Outside phrases ``?`` is a wildcard, although it divides tokens in a record; so that it finds
itself too, it stands for any one character, separators included (assumed)."""
_SEPARATOR: Final = r"[@&?|#()='\",;:<>\[\]{}/ \n\t\r\\]"
_INSIDE: Final = r"[^@&?|#()='\",;:<>\[\]{}/ \n\t\r\\]"
_WILDCARD: Final = re.compile(r"[*?]")
_RAW: Final = Typed("message", Kind.STRING)


class ConditionWriter:
    """Writes conditions for one LogStore.

    Args:
        fields: of the LogStore.
        cursor: to look at the data when a field's kind must be proven.
        bindings: of the statement that the condition becomes part of.
    """

    def __init__(self, fields: FieldCatalog, cursor: Cursor, bindings: Bindings) -> None:
        self._fields = fields
        self._cursor = cursor
        self._bindings = bindings

    def write(self, search: Search) -> str:
        """SQL that is true or false for every record, never NULL.

        Raises:
            ControlError: InvalidParameter for a text without a word, or a leading wildcard.
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
            case Compare(field, operator, number):
                value = as_number(self._typed(field))
                return _certain(f"{value} {operator} {_literal(number)}")
            case Within(field, low, low_included, high, high_included):
                value = as_number(self._typed(field))
                above = ">=" if low_included else ">"
                below = "<=" if high_included else "<"
                return _certain(
                    f"{value} {above} {_literal(low)} AND {value} {below} {_literal(high)}"
                )
            case Words(field, text, at):
                return self._words(field, text, at)
            case Phrase(field, text, at):
                return self._phrase(field, text, at)
            case _:
                assert_never(search)

    def _words(self, field: str | None, text: str, at: int) -> str:
        value = _RAW if field is None else self._typed(field)
        if field is not None:
            if text == "*":
                return f"({value.sql} IS NOT NULL)"
            exact = _exact(value, text)
            if exact is not None:
                return _certain(exact)
        tokens = _tokens(text, at, _SPLIT_WORDS)
        if any(token[0] in "*?" for token in tokens):
            raise invalid_query("a wildcard cannot begin a word", at)
        return "(" + " AND ".join(self._token(value, token) for token in tokens) + ")"

    def _phrase(self, field: str | None, text: str, at: int) -> str:
        value = _RAW if field is None else self._typed(field)
        exact = None if field is None else _exact(value, text)
        if exact is not None:
            return _certain(exact)
        words = f"{_SEPARATOR}+".join(re.escape(token) for token in _tokens(text, at, _SPLIT))
        return self._pattern(value, words)

    def _token(self, value: Typed, token: str) -> str:
        if _WILDCARD.search(token) is None:
            condition = self._pattern(value, re.escape(token))
            if not token.isascii():
                return condition
            # Nearly every record is ruled out by this, at a tenth of the pattern's cost.
            return _certain(
                f"contains(lower({as_text(value)}), {self._bindings.text(token.lower())})"
                f" AND {condition}"
            )
        pattern = "".join(
            f"{_INSIDE}*" if part == "*" else "(?s:.)" if part == "?" else re.escape(part)
            for part in re.split(r"([*?])", token)
        )
        return self._pattern(value, pattern)

    def _pattern(self, value: Typed, pattern: str) -> str:
        whole = f"(?:^|{_SEPARATOR})(?:{pattern})(?:$|{_SEPARATOR})"
        return _certain(f"regexp_matches({as_text(value)}, {self._bindings.text(whole)}, 'i')")

    def _typed(self, field: str) -> Typed:
        return self._fields.typed(field, self._cursor, self._bindings)


def _exact(value: Typed, text: str) -> str | None:
    """The comparison a non-text field makes; None where tokens decide."""
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


def _tokens(text: str, at: int, separators: re.Pattern[str]) -> list[str]:
    tokens = [token for token in separators.split(text) if token]
    if not tokens:
        raise invalid_query("found only separators, expected a word", at)
    return tokens


def _certain(condition: str) -> str:
    return f"coalesce({condition}, FALSE)"
