"""Elasticsearch's simple query language, in which no text is an error.

``+`` (and), ``|`` (or), ``-`` (not), quoted phrases (``"a b"~2``), ``word*``, ``word~1`` and
parentheses. Operators bind from left to right; what stands next to each other is joined as the
default operator says. What is not finished is taken as words.
Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (simple query string).
"""

import re
from collections.abc import Callable
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.elastic.dates import parse_date
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.minimum import EVERY
from simulator.logstore.elastic.names import TIME
from simulator.logstore.elastic.reading import MAX_DEPTH, MAX_SLOP, Reading
from simulator.logstore.elastic.tree import (
    Between,
    Fuzziness,
    Leaf,
    Match,
    Near,
    Negated,
    Nothing,
    Query,
    Wild,
    all_of,
    any_of,
)
from simulator.logstore.elastic.word_conditions import MAX_EDITS
from simulator.logstore.grammar import unescaped
from simulator.logstore.search import MAX_TERMS, Everything
from simulator.logstore.statement import MAX_LENGTH

FLAGS: Final = frozenset(
    {
        *("AND", "ESCAPE", "FUZZY", "NEAR", "NOT", "OR", "PHRASE", "PRECEDENCE", "PREFIX"),
        *("SLOP", "WHITESPACE"),
    }
)
_FUZZY: Final = re.compile(r"(?<!\\)~(\d*)$", re.ASCII)
_SLOP: Final = re.compile(r"~(\d{1,4})", re.ASCII)


def parse_flags(node: Node | None) -> frozenset[str]:
    """The operators that are on: all, or those that ``|`` separates."""
    if node is None or node.value == -1:
        return FLAGS
    flags = frozenset(one.strip().upper() for one in node.text().split("|")) - {""}
    if "ALL" in flags:
        return FLAGS
    if not flags <= FLAGS | {"NONE"}:
        raise node.refuse(f"expected ALL, NONE, or some of {', '.join(sorted(FLAGS))}")
    return flags


class SimpleParser:
    """Parses one text.

    Args:
        node: the text.
        reading: how its words are to be read.
        flags: the operators that are on; the characters of others are part of words.
        count: of conditions so far.
    """

    def __init__(self, node: Node, reading: Reading, *, flags: frozenset[str], count: int) -> None:
        self._node = node
        self._reading = reading
        self._flags = flags
        self._count = count
        self._text = node.text()
        self._ends = "".join(
            characters
            for flag, characters in (
                ("PHRASE", '"'),
                ("OR", "|"),
                ("AND", "+"),
                ("PRECEDENCE", "()"),
            )
            if flag in flags
        )

    def parse(self) -> tuple[Query, int]:
        """The tree, and the count of conditions after it.

        Raises:
            ControlError: InvalidParameter for a text that is too long or has too many words.
        """
        if len(self._text) > MAX_LENGTH:
            raise self._node.refuse(
                f"{len(self._text)} characters, at most {MAX_LENGTH} are accepted"
            )
        return self._part(0, len(self._text), 0), self._count

    def _part(self, start: int, end: int, depth: int) -> Query:
        """What stands from ``start`` to ``end``."""
        if depth > MAX_DEPTH:
            raise self._node.refuse(f"nested more than {MAX_DEPTH} levels deep", start)
        branches: list[Query] = []
        joined = joint = ""
        negated = False
        position = start
        while position < end:
            character = self._text[position]
            operator = self._operator(character)
            if operator in {"AND", "OR"}:
                # The first of several counts, and none before the first word.
                joint = joint or (operator if branches else "")
                position += 1
            elif operator == "NOT":
                negated = not negated
                position += 1
            elif operator == "SKIP":
                position += 1
            else:
                branch, position = self._branch(position, end, depth)
                if branch is None:
                    continue
                if negated:
                    branch = Negated(branch)
                joint = joint or ("AND" if self._reading.every else "OR")
                if branches and joined and joint != joined:
                    branches = [self._joined(branches, joined, outermost=False)]
                joined = joint if branches else ""
                branches.append(branch)
                joint, negated = "", False
        return self._joined(branches, joined, outermost=depth == 0)

    def _joined(self, branches: list[Query], joint: str, *, outermost: bool) -> Query:
        if not branches:
            return Nothing()
        if joint == "AND":
            return all_of(tuple(branches))
        return self._reading.some_of(tuple(branches), outermost=outermost)

    def _operator(self, character: str) -> str:
        for flag, one in (("AND", "+"), ("OR", "|"), ("NOT", "-")):
            if character == one and flag in self._flags:
                return flag
        if character == ")" and "PRECEDENCE" in self._flags:
            return "SKIP"
        return "SKIP" if character.isspace() and "WHITESPACE" in self._flags else ""

    def _branch(self, start: int, end: int, depth: int) -> tuple[Query | None, int]:
        """A phrase, a part in parentheses or a word, and where it ends."""
        character = self._text[start]
        if character == '"' and "PHRASE" in self._flags:
            closing = self._find('"', start + 1, end)
            if closing is None:
                return None, start + 1
            return self._phrase(start + 1, closing, end)
        if character == "(" and "PRECEDENCE" in self._flags:
            closing = self._closing(start + 1, end)
            if closing is None:
                return None, start + 1
            return self._part(start + 1, closing, depth + 1), closing + 1
        position = start
        while position < end:
            character = self._text[position]
            if character == "\\" and "ESCAPE" in self._flags:
                position += 1
            elif character in self._ends or self._operator(character) == "SKIP":
                break
            position += 1
        position = min(position, end)
        return self._word(self._text[start:position], start), position

    def _phrase(self, start: int, closing: int, end: int) -> tuple[Query | None, int]:
        text = self._plain(self._text[start:closing])
        slop, position = 0, closing + 1
        found = _SLOP.match(self._text, position, end)
        if found is not None and {"NEAR", "SLOP"} & self._flags:
            slop, position = min(int(found[1]), MAX_SLOP), found.end()
        return self._in_fields(lambda field: Near(field, text, slop, self._node.path)), position

    def _word(self, word: str, at: int) -> Query:
        path = self._node.path
        if word == "*" and "PREFIX" in self._flags and self._reading.fields == (None,):
            return Leaf(Everything(), path)
        fuzzy = _FUZZY.search(word) if "FUZZY" in self._flags else None
        if fuzzy is not None and fuzzy.start():
            fuzziness = min(int(fuzzy[1]), MAX_EDITS) if fuzzy[1] else Fuzziness.AUTO
            text = self._plain(word[: fuzzy.start()])
            return self._in_fields(lambda field: Match(field, text, EVERY, path, fuzziness), at)
        if word.endswith("*") and not word.endswith("\\*") and "PREFIX" in self._flags:
            text = self._plain(word[:-1])
            pieces = ((text, False), ("*", True)) if text else (("*", True),)
            return self._in_fields(lambda field: Wild(field, pieces, path), at)
        text = self._plain(word)
        return self._in_fields(lambda field: Match(field, text, EVERY, path), at)

    def _in_fields(self, make: Callable[[str | None], Query], at: int = 0) -> Query:
        fields = self._reading.fields
        self._count += max(1, len(fields))
        if self._count > MAX_TERMS:
            raise self._node.refuse(f"more than {MAX_TERMS} conditions", at)
        return any_of(tuple(self._in_field(field, make) for field in fields))

    def _in_field(self, field: str | None, make: Callable[[str | None], Query]) -> Query:
        query = make(field)
        if field != TIME:
            return query
        if not isinstance(query, (Match, Near)):
            return Nothing()
        reading = self._reading
        node = Node(query.text, self._node.path)
        try:
            start, end = (
                parse_date(node, now_ms=reading.now_ms, zone=reading.zone, round_up=up)
                for up in (False, True)
            )
        except ControlError:
            return Nothing()
        return Between(start, end)

    def _plain(self, text: str) -> str:
        return unescaped(text) if "ESCAPE" in self._flags else text

    def _find(self, wanted: str, start: int, end: int) -> int | None:
        """Where a character stands that has no backslash before it."""
        position = start
        while position < end:
            if self._text[position] == "\\" and "ESCAPE" in self._flags:
                position += 1
            elif self._text[position] == wanted:
                return position
            position += 1
        return None

    def _closing(self, start: int, end: int) -> int | None:
        """Where the parenthesis closes that was opened before ``start``."""
        level = 1
        position = start
        while position < end:
            character = self._text[position]
            if character == "\\" and "ESCAPE" in self._flags:
                position += 1
            elif character in "()":
                level += 1 if character == "(" else -1
                if not level:
                    return position
            position += 1
        return None
