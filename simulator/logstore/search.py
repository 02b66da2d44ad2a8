r"""The search language: text in, a tree out. Knows nothing of storage.

Precedence is ``not`` > ``and`` (also by juxtaposition) > ``or``; operators in any case.
Source: doc https://cloud.baidu.com/doc/BLS/s/Okbta3asp (2026-01) for the forms; precedence assumed.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from lark import Token, Transformer, v_args

from simulator.logstore.grammar import Grammar, Misread, unescaped
from simulator.logstore.search_spellings import LUCENE_RANGE, hint
from simulator.logstore.typed import invalid_query, parse_number

MAX_TERMS: Final = 300
"""Conditions in one search. Source: assumed (a bound against abuse)."""


class Operator(StrEnum):
    """A numeric comparison."""

    EQ = "="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="


@dataclass(frozen=True, slots=True)
class Everything:
    """``*``."""


@dataclass(frozen=True, slots=True)
class Words:
    """All tokens of ``text`` occur, in any order; ``*`` and ``?`` are wildcards in a token."""

    field: str | None
    """None for the raw text."""
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """The tokens of ``text`` occur next to each other, in order."""

    field: str | None
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Compare:
    """``field >= 500``."""

    field: str
    operator: Operator
    number: int | float
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Within:
    """``field in [100 200)``."""

    field: str
    low: int | float
    low_included: bool
    high: int | float
    high_included: bool
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that the operand does not find."""

    operand: "Search"


@dataclass(frozen=True, slots=True)
class All:
    """Found by every operand."""

    operands: "tuple[Search, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Found by at least one operand."""

    operands: "tuple[Search, ...]"


Search: TypeAlias = Everything | Words | Phrase | Compare | Within | Not | All | AnyOf

_RULES: Final = r"""
start: any_of
any_of: all_of (_OR all_of)*
all_of: _unary (_AND? _unary)*
_unary: negation | _primary
negation: _NOT _unary
_primary: "(" any_of ")" | words | phrase | field_value | compare | within
words: WORD | DOUBLE_QUOTED
phrase: SINGLE_QUOTED
field_value: _field ":" (VALUE | DOUBLE_QUOTED | SINGLE_QUOTED)
compare: _field OPERATOR (VALUE | DOUBLE_QUOTED | SINGLE_QUOTED)
within: _field _IN INTERVAL_OPEN NUMBER NUMBER INTERVAL_CLOSE
_field: WORD | BACK_QUOTED

_AND.3: /and(?![^\s()"'`])/i
_OR.3: /or(?![^\s()"'`])/i
_NOT.3: /not(?![^\s()"'`])/i
_IN.3: /in(?=\s*[\[(]\s*[-\d.])/i
OPERATOR: />=|<=|=|>|</
INTERVAL_OPEN: /[\[(]/
INTERVAL_CLOSE: /[\])]/
NUMBER.2: /[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?(?![^\s\])])/i
WORD: /([^\s()"'`:=<>!|]|!(?!=))+/
VALUE: /[^\s()"'`|<>=][^\s()"'`|]*/
DOUBLE_QUOTED: /"(\\.|[^"\\])*"/s
SINGLE_QUOTED: /'(\\.|[^'\\])*'/s
BACK_QUOTED: /`[^`]+`/
%ignore /\s+/
"""
_GRAMMAR: Final = Grammar(
    _RULES,
    {
        "_AND": "`and`",
        "_OR": "`or`",
        "_NOT": "`not`",
        "_IN": "`in [low high]`",
        "OPERATOR": "a comparison",
        "INTERVAL_OPEN": "`[` or `(`",
        "INTERVAL_CLOSE": "`]` or `)`",
        "NUMBER": "a number",
        "WORD": "a word",
        "VALUE": "a value",
        "DOUBLE_QUOTED": "a quoted text",
        "SINGLE_QUOTED": "a quoted text",
        "BACK_QUOTED": "a quoted field name",
        "COLON": "`:`",
    },
)


def parse_search(text: str, at: int = 0) -> Search:
    """The tree for the part of a query after ``match``.

    Args:
        text: the search.
        at: where it begins in the query, so that errors point there.

    Raises:
        ControlError: InvalidParameter with the position and what was expected.
    """
    try:
        return _GRAMMAR.read(text, _Builder(text, at))
    except Misread as error:
        message = error.message + hint(text, error.position)
        raise invalid_query(message, at + error.position) from error
    except RecursionError as error:
        raise invalid_query("nested too deeply", at) from error


@v_args(inline=True)
class _Builder(Transformer[Token, Search]):
    """Makes the tree; lark calls the methods by the names of the rules."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__()
        self._whole = text
        self._offset = at
        self._terms = 0

    def start(self, search: Search) -> Search:
        return search

    def any_of(self, *operands: Search) -> Search:
        return operands[0] if len(operands) == 1 else AnyOf(operands)

    def all_of(self, *operands: Search) -> Search:
        return operands[0] if len(operands) == 1 else All(operands)

    def negation(self, operand: Search) -> Search:
        return Not(operand)

    def words(self, word: Token) -> Search:
        if word == "*":
            return self._term(Everything())
        if word == "&&":
            raise invalid_query("found '&&', expected `and`", self._at(word))
        return self._text(None, word)

    def phrase(self, text: Token) -> Search:
        return self._text(None, text)

    def field_value(self, field: Token, value: Token) -> Search:
        found = value.type == "VALUE" and LUCENE_RANGE.match(self._whole, value.start_pos or 0)
        if found:
            interval = f"`{field} in [{found[1]} {found[2]}]`"
            raise invalid_query(f"found {found[0]!r}, expected {interval}", self._at(value))
        return self._text(_field_name(field), value)

    def compare(self, field: Token, operator: Token, value: Token) -> Search:
        try:
            number = parse_number(value)
        except ValueError as error:
            if operator != Operator.EQ:
                raise invalid_query(
                    f"found {str(value)[:40]!r}, expected a number", self._at(value)
                ) from error
            return self._text(_field_name(field), value)
        at = self._at(field)
        return self._term(Compare(_field_name(field), Operator(operator), number, at))

    def within(
        self, field: Token, opening: Token, low: Token, high: Token, closing: Token
    ) -> Search:
        return self._term(
            Within(
                _field_name(field),
                self._number(low),
                opening == "[",
                self._number(high),
                closing == "]",
                self._at(field),
            )
        )

    def _number(self, token: Token) -> int | float:
        try:
            return parse_number(token)
        except ValueError as error:
            raise invalid_query("the number is too large", self._at(token)) from error

    def _text(self, field: str | None, token: Token) -> Search:
        at = self._at(token)
        match token.type:
            case "SINGLE_QUOTED":
                return self._term(Phrase(field, unescaped(token[1:-1]), at))
            case "DOUBLE_QUOTED":
                text = unescaped(token[1:-1])
            case _:
                text = str(token)
        return self._term(Words(field, text, at))

    def _term(self, term: Search) -> Search:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise invalid_query(f"more than {MAX_TERMS} conditions")
        return term

    def _at(self, token: Token) -> int:
        return self._offset + (token.start_pos or 0)


def _field_name(token: Token) -> str:
    return str(token)[1:-1] if token.type == "BACK_QUOTED" else str(token)
