"""The two query languages that Elasticsearch has within a text: what of them the search
language can do.

Lucene's: ``field:word``, ``field:(a b)``, ``field:>=5``, ``field:[1 TO 5}``, quoted phrases,
wildcards, AND, OR, NOT, ``&&``, ``||``, ``!``, ``+``, ``-``, parentheses. The simple one: ``+``,
``|``, ``-``, quoted phrases, ``word*``, parentheses. Regular expressions, fuzziness, proximity and
boosts are refused. Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.elastic.dates import Zone, parse_date
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.tree import (
    Between,
    Exists,
    Leaf,
    Match,
    Negated,
    Nothing,
    Query,
    all_of,
    any_of,
)
from simulator.logstore.search import MAX_TERMS, Compare, Everything, Operator, Words
from simulator.logstore.statement import MAX_LENGTH
from simulator.logstore.typed import parse_number

_MAX_DEPTH: Final = 50
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Dialect(StrEnum):
    """Which of the two languages."""

    LUCENE = "query_string"
    SIMPLE = "simple_query_string"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_TOKENS: Final = {
    Dialect.LUCENE: re.compile(
        r"""\s*(?:
        (?P<and>AND(?![^\s()"])|&&) | (?P<or>OR(?![^\s()"])|\|\|)
        | (?P<not>NOT(?![^\s()"])|!|-) | (?P<plus>\+)
        | (?P<open>\() | (?P<close>\))
        | (?P<range>[\[{]\s*(?P<low>"[^"]*"|[^\s"\]}]+)\s+TO\s+(?P<high>"[^"]*"|[^\s"\]}]+)\s*[\]}])
        | (?P<regex>/(?:\\.|[^/\\])+/(?=[\s)]|$))
        | (?P<phrase>"(?:\\.|[^"\\])*")
        | (?P<compare>[<>]=?\s*[^\s()"]+)
        | (?P<field>(?:\\.|[^\s()"\[\]{}:<>\\])+:)
        | (?P<word>(?:\\.|[^\s()"\[\]{}:\\])+)
        )""",
        re.VERBOSE | re.DOTALL,
    ),
    Dialect.SIMPLE: re.compile(
        r"""\s*(?:
        (?P<and>\+) | (?P<or>\|) | (?P<not>-)
        | (?P<open>\() | (?P<close>\))
        | (?P<phrase>"(?:\\.|[^"\\])*")
        | (?P<word>(?:\\.|[^\s()"|+\\])+)
        )""",
        re.VERBOSE | re.DOTALL,
    ),
}
_OPERATORS: Final = frozenset({"and", "or"})
_SUFFIX: Final = re.compile(r"(?<!\\)[~^][\d.]*$")
_RANGE_EDGES: Final = {
    "[": Operator.GE,
    "{": Operator.GT,
    "]": Operator.LE,
    "}": Operator.LT,
}


class StringParser:
    """Parses one text.

    Args:
        node: the text.
        dialect: its language.
        fields: that words without a field are looked for in; None is the raw text.
        every: whether words next to each other must all occur.
        now_ms: what ``now`` is.
        zone: of dates without one.
        count: of conditions so far.
    """

    def __init__(
        self,
        node: Node,
        *,
        dialect: Dialect,
        fields: Sequence[str | None],
        every: bool,
        now_ms: int,
        zone: Zone,
        count: int,
    ) -> None:
        self._node = node
        self._dialect = dialect
        self._every = every
        self._now_ms = now_ms
        self._zone = zone
        self._count = count
        self._fields = tuple(fields)
        self._tokens = self._split(node.text())
        self._position = 0

    def parse(self) -> tuple[Query, int]:
        """The tree, and the count of conditions after it.

        Raises:
            ControlError: InvalidParameter with the position in the text and what was expected.
        """
        if not self._tokens:
            return Nothing(), self._count
        query = self._chain(self._fields, 0)
        if self._position < len(self._tokens):
            raise self._refuse("found `)` without `(`")
        return query, self._count

    def _split(self, text: str) -> list[_Token]:
        if len(text) > MAX_LENGTH:
            raise self._node.refuse(f"{len(text)} characters, at most {MAX_LENGTH} are accepted")
        tokens: list[_Token] = []
        position = 0
        end = len(text.rstrip())
        while position < end:
            found = _TOKENS[self._dialect].match(text, position)
            if found is None:
                raise self._node.refuse(
                    f"found {text[position : position + 20]!r}, which is not supported;"
                    " a backslash takes a character as it is",
                    position,
                )
            kind = next(k for k, v in found.groupdict().items() if v is not None)
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            position = found.end()
        return tokens

    def _peek(self) -> _Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _take(self, *kinds: str) -> _Token | None:
        token = self._peek()
        if token is None or token.kind not in kinds:
            return None
        self._position += 1
        return token

    def _chain(self, fields: tuple[str | None, ...], depth: int) -> Query:
        """Clauses up to a closing parenthesis or the end.

        AND binds tighter than OR. What stands next to each other is joined as ``every`` says; of
        these a clause with ``+`` is required, which makes the others optional, and one with
        ``-`` or NOT is excluded.
        """
        if depth > _MAX_DEPTH:
            raise self._refuse(f"nested more than {_MAX_DEPTH} levels deep")
        required: list[Query] = []
        excluded: list[Query] = []
        groups: list[list[Query]] = []
        first = True
        while (token := self._peek()) is not None and token.kind != "close":
            operator = self._take("and", "or")
            if operator is not None and first:
                if self._dialect is Dialect.LUCENE:
                    raise self._refuse(f"found {operator.text!r}, expected a word before it")
                operator = None
            plus = self._take("plus") is not None
            negated = False
            while self._take("not") is not None:
                negated = not negated
            clause = self._clause(fields, depth)
            clause = Negated(clause) if negated else clause
            following = self._peek()
            bare = operator is None and (following is None or following.kind not in _OPERATORS)
            together = self._every if operator is None else operator.kind == "and"
            if bare and plus:
                required.append(clause)
            elif bare and negated:
                excluded.append(clause)
            elif together and groups:
                groups[-1].append(clause)
            else:
                groups.append([clause])
            first = False
        if not (required or excluded or groups):
            raise self._refuse("expected a word")
        rest = [all_of(tuple(group)) for group in groups]
        if rest and not required:
            required = [any_of(tuple(rest))]
        return all_of((*required, *excluded))

    def _clause(self, fields: tuple[str | None, ...], depth: int) -> Query:
        self._count += 1
        if self._count > MAX_TERMS:
            raise self._refuse(f"more than {MAX_TERMS} conditions")
        field = self._take("field")
        if field is not None:
            name = _plain(field.text[:-1])
            if name == "_exists_":
                return self._exists()
            fields = (None,) if name in {"*", "@raw"} else (name,)
            if "*" in name and fields != (None,):
                raise self._refuse("expected the name of one field, found a pattern", field.at)
        if self._take("open") is not None:
            inner = self._chain(fields, depth + 1)
            if self._take("close") is None:
                raise self._refuse("expected `)`")
            return inner
        token = self._take("word", "phrase", "compare", "range")
        if token is None and self._take("regex") is not None:
            self._position -= 1
            raise self._refuse("regular expressions are not supported; quote a text with slashes")
        if token is None:
            raise self._refuse("expected a word, a phrase or `(`")
        self._count += len(fields) - 1
        return any_of(tuple(self._value(one, token) for one in fields))

    def _exists(self) -> Query:
        token = self._take("word", "phrase")
        if token is None:
            raise self._refuse("expected the name of a field")
        text = token.text[1:-1] if token.kind == "phrase" else token.text
        return Exists(_plain(text), self._node.path)

    def _value(self, field: str | None, token: _Token) -> Query:
        path = self._node.path
        if token.kind == "compare":
            sign = token.text[: 2 if token.text[1] == "=" else 1]
            return self._bound(field, Operator(sign), token.text[len(sign) :].lstrip(), token)
        if token.kind == "range":
            return self._range(field, token)
        if token.kind == "phrase":
            text = _plain(token.text[1:-1])
            if field == "@timestamp":
                return self._same_time(text, token)
            return Match(field, text, True, path, True)
        if _SUFFIX.search(token.text):
            raise self._refuse("fuzziness and boosts are not supported", token.at)
        if token.text == "*":
            return Leaf(Everything(), path) if field is None else Exists(field, path)
        if field == "@timestamp":
            return self._same_time(_plain(token.text), token)
        wild = any(one in _ESCAPED.sub("", token.text) for one in "*?")
        if wild:
            return Leaf(Words(field, _plain(token.text), token.at), path)
        return Match(field, _plain(token.text), True, path)

    def _range(self, field: str | None, token: _Token) -> Query:
        found = _TOKENS[Dialect.LUCENE].match(token.text)
        assert found is not None  # it was matched as a range
        bounds = (
            (_RANGE_EDGES[token.text[0]], found["low"].strip('"')),
            (_RANGE_EDGES[token.text[-1]], found["high"].strip('"')),
        )
        parts = tuple(self._bound(field, edge, text, token) for edge, text in bounds if text != "*")
        if parts:
            return all_of(parts)
        if field is None:
            raise self._refuse("a range needs a field", token.at)
        return Exists(field, self._node.path)

    def _bound(self, field: str | None, operator: Operator, text: str, token: _Token) -> Query:
        if field is None:
            raise self._refuse("a comparison needs a field", token.at)
        if field == "@timestamp":
            up = operator in {Operator.GT, Operator.LE}
            at_ms = self._date(text, token, up=up)
            match operator:
                case Operator.GE:
                    return Between(at_ms, None)
                case Operator.GT:
                    return Between(at_ms + 1, None)
                case Operator.LE:
                    return Between(None, at_ms)
                case _:
                    return Between(None, at_ms - 1)
        try:
            number = parse_number(_plain(text))
        except ValueError as error:
            raise self._refuse(f"found {text[:40]!r}, expected a number", token.at) from error
        return Leaf(Compare(field, operator, number, token.at), self._node.path)

    def _same_time(self, text: str, token: _Token) -> Query:
        return Between(self._date(text, token, up=False), self._date(text, token, up=True))

    def _date(self, text: str, token: _Token, *, up: bool) -> int:
        node = Node(_plain(text), self._node.path)
        try:
            return parse_date(node, now_ms=self._now_ms, zone=self._zone, round_up=up)
        except ControlError as error:
            raise self._refuse(f"found {text[:40]!r}, expected a date", token.at) from error

    def _refuse(self, message: str, at: int | None = None) -> ControlError:
        if at is None:
            token = self._peek()
            at = len(self._node.text()) if token is None else token.at
        return self._node.refuse(message, at)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
