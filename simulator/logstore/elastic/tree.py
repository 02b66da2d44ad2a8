"""The tree of an Elasticsearch query. Knows nothing of JSON and nothing of storage.

Leaves that the search language has too are the search language's own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from simulator.logstore.elastic.minimum import Minimum
from simulator.logstore.search import Compare, Everything, Operator

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """Finds no record."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition of the search language."""

    search: Everything | Compare
    path: str
    """Where it stands in the document."""


class Fuzziness(StrEnum):
    """By how much a word may differ; another number is that many edits."""

    AUTO = "auto"
    """As its length allows."""


@dataclass(frozen=True, slots=True)
class Match:
    """Words of a text occur: so many of them; wildcards are words like others."""

    field: str | None
    """None for the raw text."""
    text: str
    least: Minimum
    path: str
    fuzziness: "Fuzziness | int" = 0


@dataclass(frozen=True, slots=True)
class Near:
    """The words of a text occur next to each other, in order."""

    field: str | None
    text: str
    slop: int
    """How far they may be moved apart, in words."""
    path: str


@dataclass(frozen=True, slots=True)
class Wild:
    """A word, or the whole value, is like a pattern."""

    field: str | None
    pieces: tuple[tuple[str, bool], ...]
    """Text, and whether it is a wildcard (``*`` or ``?``) rather than itself."""
    path: str


@dataclass(frozen=True, slots=True)
class Regex:
    """A word, or the whole value, is described by a regular expression in RE2's syntax."""

    field: str | None
    pattern: str
    path: str


@dataclass(frozen=True, slots=True)
class Is:
    """The whole value is one of some."""

    field: str
    values: tuple[Scalar, ...]
    any_case: bool
    path: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """The whole value is like a pattern, in RE2's syntax."""

    field: str
    pattern: str
    any_case: bool
    path: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The value is before or behind a text, by the order of characters."""

    field: str
    operator: Operator
    text: str
    lenient: bool
    """Whether a field of numbers has no such value, rather than to be an error."""
    path: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The record has the field."""

    field: str
    path: str


@dataclass(frozen=True, slots=True)
class Ids:
    """Records by their ``@seq`` and time."""

    ids: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Records whose time is in a range, both ends included; None is open."""

    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Negated:
    """Everything that the operand does not find."""

    operand: "Query"


@dataclass(frozen=True, slots=True)
class Several:
    """Found by at least ``least`` operands."""

    operands: "tuple[Query, ...]"
    least: int


Query: TypeAlias = (
    Nothing
    | Leaf
    | Match
    | Near
    | Wild
    | Regex
    | Is
    | Pattern
    | Bound
    | Exists
    | Ids
    | Between
    | Negated
    | Several
)


def all_of(operands: "tuple[Query, ...]") -> "Query":
    """Found by every operand."""
    return operands[0] if len(operands) == 1 else Several(operands, len(operands))


def any_of(operands: "tuple[Query, ...]") -> "Query":
    """Found by at least one operand; without any, nothing is."""
    if not operands:
        return Nothing()
    return operands[0] if len(operands) == 1 else Several(operands, 1)


def time_span(query: "Query") -> Between:
    """A range of time that holds all a query can find, as narrow as can be told at a glance."""
    match query:
        case Between():
            return query
        case Several(operands, least) if least == len(operands):
            spans = [time_span(one) for one in operands]
            starts = [span.start_ms for span in spans if span.start_ms is not None]
            ends = [span.end_ms for span in spans if span.end_ms is not None]
            return Between(max(starts, default=None), min(ends, default=None))
        case _:
            return Between(None, None)
