r"""Conditions of alarms: text in, a test of the results of a policy's statements out.

Source: doc https://cloud.baidu.com/doc/BLS/s/5lutqah59 (2024-09) for ``$N.name``,
``$N.__QUERYCOUNT__``, the operators and texts in double quotes. Assumed, as in the service of
another vendor that has this language: ``[$N.count(*)]`` for a name that is no word, division that
leaves fractions, and that what is missing or of another kind compares to false. Texts in single
quotes, ``true``, ``false`` and a minus sign before a number are assumed, too.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lark import Token, Transformer, v_args

from simulator.errors import invalid
from simulator.logstore.grammar import Grammar, Misread, unescaped
from simulator.logstore.typed import parse_number
from simulator.logstore.values import Value

MAX_LENGTH: Final = 1000
MAX_DEPTH: Final = 50
"""Levels of operators in one condition. Source: assumed, as is the length (against abuse)."""
COUNT: Final = "__QUERYCOUNT__"
"""The name that stands for how many results a statement had."""

Row: TypeAlias = Mapping[str, Value]
"""A result of a statement by the names of its columns, with ``COUNT``."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A column of a statement's result, or how many results it had."""

    statement: int
    """Counted from 1."""
    name: str

    @property
    def is_count(self) -> bool:
        """Whether it is how many results there were."""
        return self.name == COUNT

    def __str__(self) -> str:
        plain = f"${self.statement}.{self.name}"
        return plain if _WORD.fullmatch(self.name) else f"[{plain}]"

    def of(self, rows: Sequence[Row]) -> Value:
        """Its value in one result of each statement; None when it is not there."""
        return rows[self.statement - 1].get(self.name) if self.statement <= len(rows) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition that was understood."""

    holds: Callable[[Sequence[Row]], bool]
    """Whether it is true of one result of each statement."""
    references: tuple[Reference, ...]
    """All that it asks for, in the order they stand in it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a condition: a value, or something that is true or not."""

    of: Callable[[Sequence[Row]], Value]
    is_truth: bool
    depth: int = 1


_RULES: Final = r"""
start: _either
_either: any_of | _both
_both: all_of | _compared
_compared: comparison | _sum
_sum: sum | _product
_product: product | _signed
_signed: negative | _atom
any_of: _both ("||" _both)+
all_of: _compared ("&&" _compared)+
comparison: _sum COMPARISON _sum
sum: _product ((PLUS | MINUS) _product)+
product: _signed ((TIMES | SLASH | PERCENT) _signed)+
negative: MINUS _atom
_atom: constant | reference | "(" _either ")"
constant: NUMBER | TEXT | TRUE | FALSE
reference: PLAIN | BRACKETED

COMPARISON: /==|!=|>=|<=|>|</
PLUS: "+"
MINUS: "-"
TIMES: "*"
SLASH: "/"
PERCENT: "%"
NUMBER: /(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?/i
TEXT: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
TRUE: "true"
FALSE: "false"
PLAIN: /\$\d{1,3}\.[^\W\d]\w*/
BRACKETED: /\[\$\d{1,3}\.[^\]]+\]/
%ignore /\s+/
"""
_WORD: Final = re.compile(r"[^\W\d]\w*")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    # Any: both sides are of one kind, or nothing is compared.
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], int | float]]] = {  # Any: numbers
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_KINDS: Final = ((int, float), (str,))
_GRAMMAR: Final = Grammar(
    _RULES,
    {
        "COMPARISON": "a comparison",
        "NUMBER": "a number",
        "TEXT": "a text in quotes",
        "PLAIN": "$1.name",
        "BRACKETED": "[$1.name]",
        **dict.fromkeys(("TRUE", "FALSE", "MINUS", "PLUS", "TIMES", "SLASH", "PERCENT"), ""),
    },
    other="an operator",
)


def parse_condition(text: str) -> Condition:
    """Understand a condition such as ``$1.bad > 10 && $1.bad / $2.all > 0.01``.

    Raises:
        ControlError: InvalidParameter with the position and what was expected.
    """
    if not text.strip() or len(text) > MAX_LENGTH:
        raise invalid("condition", f"expected 1 to {MAX_LENGTH} characters", text)
    builder = _Builder()
    try:
        part = _GRAMMAR.read(text, builder)
    except Misread as error:
        where = f"at character {error.position + 1}: {error.message}"
        raise invalid("condition", where) from error
    except RecursionError as error:
        raise invalid("condition", "is nested too deeply") from error
    if not part.is_truth:
        raise invalid("condition", "expected a comparison, which is true or not")
    return Condition(
        holds=lambda rows: part.of(rows) is True,
        references=tuple(dict.fromkeys(builder.references)),
    )


@v_args(inline=True)
class _Builder(Transformer[Token, _Part]):
    """Makes the test; lark calls the methods by the names of the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[Reference] = []

    def start(self, part: _Part) -> _Part:
        return part

    def any_of(self, *parts: _Part) -> _Part:
        return _logic("||", any, parts)

    def all_of(self, *parts: _Part) -> _Part:
        return _logic("&&", all, parts)

    def comparison(self, left: _Part, sign: Token, right: _Part) -> _Part:
        compare = _COMPARISONS[sign]
        depth = _deepest(sign, (left, right), is_truth=False)
        one, other = left.of, right.of
        return _Part(lambda rows: _compared(compare, one(rows), other(rows)), True, depth)

    def sum(self, first: _Part, *rest: _Part | Token) -> _Part:
        return _chain(first, rest)

    def product(self, first: _Part, *rest: _Part | Token) -> _Part:
        return _chain(first, rest)

    def negative(self, sign: Token, part: _Part) -> _Part:
        return _chain(_Part(lambda _rows: 0, False), (sign, part))

    def constant(self, token: Token) -> _Part:
        value: Value
        match token.type:
            case "NUMBER":
                value = _number(token)
            case "TEXT":
                value = unescaped(token[1:-1])
            case _:
                value = token == "true"
        return _Part(lambda _rows: value, False)

    def reference(self, token: Token) -> _Part:
        number, _, name = str(token).strip("[]").removeprefix("$").partition(".")
        found = Reference(int(number), name)
        if found.statement == 0:
            raise invalid("condition", "statements are counted from 1")
        self.references.append(found)
        return _Part(found.of, False)


def _logic(sign: str, among: Callable[[Any], bool], parts: Sequence[_Part]) -> _Part:
    # Any: an iterable of booleans.
    depth = _deepest(sign, parts, is_truth=True)
    tests = tuple(part.of for part in parts)
    return _Part(lambda rows: among(test(rows) is True for test in tests), True, depth)


def _chain(first: _Part, rest: Sequence[_Part | Token]) -> _Part:
    """What operators of one rank make of their operands, from left to right."""
    signs = [one for one in rest if isinstance(one, Token)]
    parts = [one for one in rest if isinstance(one, _Part)]
    depth = _deepest(signs[0], (first, *parts), is_truth=False)
    steps = tuple(zip((_ARITHMETIC[sign] for sign in signs), parts, strict=True))

    def calculate(rows: Sequence[Row]) -> Value:
        value = first.of(rows)
        for apply, part in steps:
            value = _calculated(apply, value, part.of(rows))
        return value

    return _Part(calculate, False, depth)


def _deepest(sign: str, parts: Sequence[_Part], *, is_truth: bool) -> int:
    """How deep an operator's result is; refuses operands that are not of the kind it takes."""
    for part in parts:
        if part.is_truth is not is_truth:
            expected = "a comparison" if is_truth else "a value"
            raise invalid("condition", f"expected {expected} on either side of {sign}")
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise invalid("condition", "is nested too deeply")
    return depth


def _compared(compare: Callable[[Any, Any], bool], one: Value, other: Value) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        alike = isinstance(one, bool) and isinstance(other, bool)
        return alike and compare in {operator.eq, operator.ne} and compare(one, other)
    alike = any(isinstance(one, kind) and isinstance(other, kind) for kind in _KINDS)
    return alike and compare(one, other)


def _calculated(apply: Callable[[Any, Any], int | float], one: Value, other: Value) -> Value:
    """The result; None where there is none, which compares to false."""
    for operand in (one, other):
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            return None
    try:
        return apply(one, other)
    except (ArithmeticError, ValueError):
        return None


def _number(token: Token) -> int | float:
    try:
        return parse_number(token)
    except ValueError as error:
        raise invalid("condition", f"the number {str(token)[:40]} is too large") from error
