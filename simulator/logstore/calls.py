"""What a function of the SQL part is given, and what its row in a table says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from simulator.errors import ControlError
from simulator.logstore.footprint import ELEMENT_BYTES, Collected, Footprint, text_width
from simulator.logstore.typed import (
    NUMERIC,
    TEXTUAL,
    Bindings,
    Kind,
    Typed,
    as_number,
    as_text,
    invalid_query,
)
from simulator.logstore.widths import Width
from simulator.logstore.windows import RunningTotals

DATE_UNITS: Final = ("second", "minute", "hour", "day", "month", "year")
"""Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu."""
MAX_GROWN_BYTES: Final = 32_768
"""That a text may have which a function makes longer by what the records hold. Source: assumed (a
bound against abuse)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is true of the whole statement that a call stands in."""

    bindings: Bindings
    now_ms: int
    """The simulated instant at which the statement was asked."""
    drawn: Callable[[int], int]
    """A number of 64 bits for what a place in the query leaves to chance."""
    footprint: Footprint
    """Of the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a call."""

    typed: Typed | None
    """None for ``*``, intervals and lambdas."""
    literal: str | int | float | None = None
    """Its value, when it is written out."""
    literals: tuple[str | int | float | None, ...] | None = None
    """The values of an array that is written out."""
    interval: tuple[int, str] | None = None
    """Count and unit, when it is one."""
    lambda_: Callable[[Sequence[Typed]], Typed] | None = None
    """Writes the body of a lambda for its parameters, when it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a function as it was found."""

    name: str
    arguments: Sequence[Argument]
    distinct: bool
    at: int | None
    """0-based position in the query."""
    scope: Scope
    order: str
    """SQL that orders the rows of the source, the first one least."""
    place: str
    """SQL that tells the rows apart that the call is made for: those of the source, or groups."""
    totals: RunningTotals
    """Of the select that it stands in."""
    collected: list[Collected]
    """What aggregates of that select collect of all rows."""
    matches: list[str]
    """SQL for what that select matches with patterns, which may take long."""

    def value(self, index: int) -> Typed:
        """The expression at ``index``.

        Raises:
            ControlError: InvalidParameter for a star, an interval or a lambda.
        """
        typed = self.arguments[index].typed
        if typed is None:
            raise self.refuse(f"argument {index + 1} must be an expression")
        return typed

    def values(self) -> list[Typed]:
        """All arguments as expressions."""
        return [self.value(index) for index in range(len(self.arguments))]

    def text(self, index: int) -> str:
        """SQL for the argument at ``index`` as text."""
        return as_text(self.value(index))

    def literal_text(self, index: int) -> str:
        """The text written out at ``index``.

        Raises:
            ControlError: InvalidParameter for anything else.
        """
        literal = self.arguments[index].literal
        if not isinstance(literal, str):
            raise self.refuse(f"argument {index + 1} must be a quoted text")
        return literal

    def literal_number(self, index: int) -> int | float:
        """The number written out at ``index``.

        Raises:
            ControlError: InvalidParameter for anything else.
        """
        literal = self.arguments[index].literal
        if literal is None or isinstance(literal, str):
            raise self.refuse(f"argument {index + 1} must be a number")
        return literal

    def unit(self, index: int, units: Sequence[str] = DATE_UNITS) -> str:
        """The unit of time named at ``index``.

        Raises:
            ControlError: InvalidParameter for what is none of ``units``.
        """
        unit = self.literal_text(index).lower()
        if unit not in units:
            raise self.refuse(f"argument {index + 1} must be one of {', '.join(units)}")
        return unit

    def collect(
        self,
        *elements: Typed,
        sql: str = "",
        overhead: int = ELEMENT_BYTES,
        distinct: bool = False,
    ) -> Width:
        """Keep an aggregate that collects ``elements`` of all rows within its bound.

        Args:
            elements: the parts of what it collects.
            sql: text that stands for all of them; the one element by itself where it is empty.
            overhead: bytes of a row beside its texts.
            distinct: whether equal elements are kept once.

        Returns:
            How wide its values can be.
        """
        texts = [one for one in elements if one.kind in TEXTUAL]
        width = sum((one.width for one in texts), Width()) + Width(overhead, overhead)
        self.collected.append(
            Collected(
                name=self.name,
                element=sql or elements[0].sql,
                is_text=bool(texts),
                width=width.far,
                overhead=overhead,
                distinct=distinct,
                at=self.at,
            )
        )
        return self.scope.footprint.collected_width(width)

    def bind(self, text: str) -> str:
        """A placeholder for ``text``."""
        return self.scope.bindings.text(text)

    def refuse(self, message: str) -> ControlError:
        """The error that says what is wrong with this call."""
        return invalid_query(f"{self.name}: {message}", self.at)


Write: TypeAlias = Callable[[Call], Typed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A row of a table of functions."""

    form: str
    """How it is called, for the docs."""
    least: int
    most: int | None
    """Arguments; None for any number."""
    write: Write
    aggregate: bool = False


def scalar(form: str, least: int, most: int | None, write: Write) -> Function:
    """A function of one row."""
    return Function(form=form, least=least, most=most, write=write)


def aggregate(form: str, least: int, most: int | None, write: Write) -> Function:
    """A function of all rows of a group."""
    return Function(form=form, least=least, most=most, write=write, aggregate=True)


def of_texts(template: str, kind: Kind = Kind.STRING) -> Write:
    """A function whose arguments are all texts, put into ``template`` in order."""

    def write(call: Call) -> Typed:
        return Typed(template.format(*(as_text(value) for value in call.values())), kind)

    return write


def unify(values: Sequence[Typed]) -> tuple[list[str], Typed]:
    """SQL for ``values`` in the one kind that holds them all, and a pattern of that kind.

    The pattern is as wide as the widest of them.
    """
    parts, pattern = _unified(values)
    width = Width()
    for value in values:
        width |= text_width(value) if pattern.kind in TEXTUAL else value.width
    return parts, replace(pattern, width=width, cost=0.0, is_constant=False)


def _unified(values: Sequence[Typed]) -> tuple[list[str], Typed]:
    known = [value for value in values if value.kind is not Kind.NULL]
    kinds = {value.kind for value in known}
    if not known:
        return [value.sql for value in values], Typed("", Kind.NULL)
    if kinds <= NUMERIC:
        kind = Kind.FLOAT if Kind.FLOAT in kinds else Kind.INT
        return [_null_or(value, as_number) for value in values], Typed("", kind)
    shapes = {(value.kind, value.items, value.keys) for value in known}
    if len(shapes) == 1 and kinds.isdisjoint(TEXTUAL):
        return [value.sql for value in values], known[0]
    kind = Kind.MIXED if Kind.MIXED in kinds else Kind.STRING
    return [_null_or(value, as_text) for value in values], Typed("", kind)


def _null_or(value: Typed, convert: Callable[[Typed], str]) -> str:
    return "NULL" if value.kind is Kind.NULL else convert(value)
