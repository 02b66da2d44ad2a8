"""The tree of an Elasticsearch query. Knows nothing of JSON and nothing of storage.

Leaves that the search language has too are the search language's own.
"""

from dataclasses import dataclass
from typing import TypeAlias

from simulator.logstore.search import Compare, Everything, Phrase, Words

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """Finds no record."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition of the search language."""

    search: Everything | Words | Phrase | Compare
    path: str
    """Where it stands in the document."""


@dataclass(frozen=True, slots=True)
class Match:
    """Words of a text occur: all of them, or a number; wildcards are words like others."""

    field: str | None
    """None for the raw text."""
    text: str
    every: bool
    path: str
    phrase: bool = False
    """The words are next to each other, in order."""


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
    Nothing | Leaf | Match | Is | Pattern | Exists | Ids | Between | Negated | Several
)


def all_of(operands: "tuple[Query, ...]") -> "Query":
    """Found by every operand."""
    return operands[0] if len(operands) == 1 else Several(operands, len(operands))


def any_of(operands: "tuple[Query, ...]") -> "Query":
    """Found by at least one operand."""
    return operands[0] if len(operands) == 1 else Several(operands, 1)
