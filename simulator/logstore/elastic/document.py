"""A JSON document that knows where in it each value stands, so that errors can say so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from simulator.errors import ControlError

MAX_DEPTH: Final = 64
"""Levels of a document. Source: assumed (a bound against abuse)."""
MAX_NAME_LENGTH: Final = 256
_SHOWN: Final = 60
"""Characters of a caller's text that an error repeats."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document."""

    value: object
    path: str

    def refuse(self, message: str, at: int | None = None) -> ControlError:
        """The error for this value: where it stands, and what was expected.

        Args:
            message: what was found and what was expected.
            at: 0-based position in the text that it is, if known; the message counts from 1.
        """
        where = f"[{self.path[:200]}]" + ("" if at is None else f" at character {at + 1}")
        return ControlError("InvalidParameter", 400, f"Request param invalid: {where}: {message}")

    def object(self, known: frozenset[str] | None = None) -> "dict[str, Node]":
        """The members of an object that are not null.

        Args:
            known: names of those it may have; None for any.
        """
        if not isinstance(self.value, dict):
            raise self.refuse("expected an object")
        members = {name: Node(value, f"{self.path}.{name}") for name, value in self.value.items()}
        for name, member in members.items():
            if known is not None and name not in known:
                raise member.refuse(f"is not supported; expected {', '.join(sorted(known))}")
        return {name: member for name, member in members.items() if member.value is not None}

    def single(self, expected: str) -> "tuple[str, Node]":
        """Name and value of the only member of an object.

        Args:
            expected: what the member is, for the error.
        """
        members = self.object()
        if len(members) != 1:
            raise self.refuse(f"expected exactly one {expected}, found {len(members)}")
        return next(iter(members.items()))

    def items(self) -> "tuple[Node, ...]":
        """The elements of an array; anything else is an array of itself."""
        if not isinstance(self.value, list):
            return (self,)
        return tuple(Node(one, f"{self.path}[{index}]") for index, one in enumerate(self.value))

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.refuse("expected a text")
        return self.value

    def name(self) -> str:
        """The name of a field."""
        name = self.text()
        if not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise self.refuse(f"expected a name of 1 to {MAX_NAME_LENGTH} characters")
        return name

    def scalar(self) -> str | int | float | bool:
        """A text, a number or a boolean."""
        if not isinstance(self.value, (str, int, float)):
            raise self.refuse("expected a text, a number or a boolean")
        return self.value

    def number(self) -> int | float:
        """A number."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.refuse("expected a number")
        return self.value

    def whole(self, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(f"expected a whole number from {least} to {most}")
        return value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.refuse("expected true or false")
        return self.value

    def choice(self, *choices: str) -> str:
        """One of ``choices``, in lower case; any case is accepted."""
        text = self.text().lower()
        if text not in choices:
            raise self.refuse(f"found {text[:_SHOWN]!r}, expected {' or '.join(choices)}")
        return text


def read_document(document: Mapping[str, object]) -> Node:
    """The root of a document that can be walked.

    Raises:
        ControlError: InvalidParameter when it is too deep, a text has a NUL character, which no
            statement can carry, or a whole number has more than 64 bits.
    """
    root = Node(dict(document), "body")
    for node in _walk(root, 0):
        if isinstance(node.value, str) and "\0" in node.value:
            raise node.refuse("found a NUL character")
        if isinstance(node.value, int) and abs(node.value) >= 2**64:
            raise node.refuse("the number is too large")
    return root


def _walk(node: Node, depth: int) -> Iterator[Node]:
    yield node
    if depth > MAX_DEPTH:
        raise node.refuse(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(node.value, dict):
        for name, value in node.value.items():
            member = Node(value, f"{node.path}.{name}")
            if "\0" in name:
                raise node.refuse("found a NUL character in a name")
            yield from _walk(member, depth + 1)
    elif isinstance(node.value, list):
        for item in node.items():
            yield from _walk(item, depth + 1)
