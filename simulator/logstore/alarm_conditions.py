"""Conditions of alarms: comparisons of the columns of a result, with and, or, not and brackets.

Source: assumed, the language as a whole: the vendor documents none. ``cnt > 10 and t2.p99 >= 0.5``:
a bare name is a column of the first target that has it, ``t2.`` names the second target.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from simulator.logstore.resources import invalid
from simulator.logstore.values import Value

MAX_CONDITION_LENGTH: Final = 1000

Row: TypeAlias = Mapping[str, Value]
_Cell: TypeAlias = Callable[[Sequence[Row]], Value]

_COMPARISONS: Final[Mapping[type[exp.Expr], Callable[[Any, Any], bool]]] = {
    # Any: both sides are numbers or both are texts, or the result is false.
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition that was understood."""

    holds: Callable[[Sequence[Row]], bool]
    """Whether it is true of one row of each target. What is missing compares to false."""
    columns: tuple[str, ...]
    """The names it asks for, without a target's number."""


def parse_condition(text: str) -> Condition:
    """Understand a condition.

    Raises:
        ControlError: InvalidParameter.
    """
    if not text.strip() or len(text) > MAX_CONDITION_LENGTH:
        raise invalid("condition", f"expected 1 to {MAX_CONDITION_LENGTH} characters")
    try:
        # MySQL's reading has `&&`, `||` and names in back-quotes.
        tree = sqlglot.parse_one(f"SELECT 1 WHERE {text}", read="mysql")
        where = tree.args.get("where")
        given = {name for name, value in tree.args.items() if value}
        if not isinstance(where, exp.Where) or given != {"expressions", "where"}:
            raise invalid("condition", f"cannot be understood: {text[:60]}")
        holds = _logic(where.this)
        columns = tuple(dict.fromkeys(column.name for column in where.find_all(exp.Column)))
    except (SqlglotError, RecursionError) as error:
        raise invalid("condition", f"cannot be understood: {text[:60]}") from error
    return Condition(holds=holds, columns=columns)


def _logic(node: exp.Expr) -> Callable[[Sequence[Row]], bool]:
    match node:
        case exp.Paren():
            return _logic(node.this)
        case exp.Not():
            inner = _logic(node.this)
            return lambda rows: not inner(rows)
        case exp.And():
            left, right = _logic(node.left), _logic(node.right)
            return lambda rows: left(rows) and right(rows)
        case exp.Or():
            left, right = _logic(node.left), _logic(node.right)
            return lambda rows: left(rows) or right(rows)
        case _:
            return _comparison(node)


def _comparison(node: exp.Expr) -> Callable[[Sequence[Row]], bool]:
    compare = _COMPARISONS.get(type(node))
    if compare is None:
        raise invalid("condition", f"expected a comparison, found {_shown(node)}")
    one, other = _cell(node.this), _cell(node.expression)
    return lambda rows: _compared(compare, one(rows), other(rows))


def _compared(compare: Callable[[Any, Any], bool], one: Value, other: Value) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    texts = isinstance(one, str) and isinstance(other, str)
    return (numbers or texts) and compare(one, other)


def _cell(node: exp.Expr) -> _Cell:
    match node:
        case exp.Paren():
            return _cell(node.this)
        case exp.Literal() | exp.Boolean() | exp.Neg():
            value = _constant(node)
            return lambda _rows: value
        case exp.Column():
            return _column(node)
        case _:
            raise invalid("condition", f"expected a column or a constant, found {_shown(node)}")


def _constant(node: exp.Expr) -> Value:
    match node:
        case exp.Boolean():
            return bool(node.this)
        case exp.Neg():
            inner = _constant(node.this)
            if isinstance(inner, int | float):
                return -inner
        case exp.Literal() if node.is_string:
            return str(node.this)
        case exp.Literal():
            number = float(node.this)
            return int(number) if number.is_integer() else number
        case _:
            pass
    raise invalid("condition", f"expected a constant, found {_shown(node)}")


def _column(node: exp.Column) -> _Cell:
    name, table = node.name, node.table
    if not table:
        return lambda rows: next((row[name] for row in rows if name in row), None)
    if table[0] not in "tT" or not table[1:].isdigit() or not 1 <= int(table[1:]) <= 100:
        raise invalid("condition", f"expected a target such as t1, found {table[:20]}")
    index = int(table[1:]) - 1
    return lambda rows: rows[index].get(name) if index < len(rows) else None


def _shown(node: exp.Expr) -> str:
    return node.sql(dialect="mysql")[:60]
