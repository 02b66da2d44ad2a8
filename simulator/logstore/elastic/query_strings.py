"""Lucene's query language, within a text.

``field:word``, ``field:(a b)``, ``field:>=5``, ``field:[1 TO 5}``, ``_exists_:field``, quoted
phrases (``"a b"~2``), wildcards, regular expressions (``/ab+/``), fuzziness (``word~1``), boosts
(``^2``, without effect), AND, OR, NOT, ``&&``, ``||``, ``!``, ``+``, ``-``, parentheses.
Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (query string query).
"""

import re
from dataclasses import dataclass
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.elastic.dates import parse_date
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.minimum import EVERY
from simulator.logstore.elastic.names import RAW, TIME
from simulator.logstore.elastic.ranges import value_range
from simulator.logstore.elastic.reading import (
    MAX_DEPTH,
    MAX_SLOP,
    Reading,
    split_wildcards,
)
from simulator.logstore.elastic.regexes import RegexError, translate_regex
from simulator.logstore.elastic.tree import (
    Between,
    Exists,
    Fuzziness,
    Leaf,
    Match,
    Near,
    Negated,
    Nothing,
    Query,
    Regex,
    Wild,
    all_of,
    any_of,
)
from simulator.logstore.elastic.word_conditions import MAX_EDITS
from simulator.logstore.grammar import ESCAPED, unescaped
from simulator.logstore.search import MAX_TERMS, Everything, Operator
from simulator.logstore.statement import MAX_LENGTH

_BOOST: Final = r"(?:\^\d+(?:\.\d+)?)?"
_TOKENS: Final = re.compile(
    rf"""\s*(?:
    (?P<and>AND(?![^\s()"])|&&) | (?P<or>OR(?![^\s()"])|\|\|)
    | (?P<not>NOT(?![^\s()"])|!|-) | (?P<plus>\+)
    | (?P<open>\() | (?P<close>\){_BOOST})
    | (?P<range>[\[{{]\s*(?P<low>"[^"]*"|[^\s"\]}}]+)\s+TO\s+(?P<high>"[^"]*"|[^\s"\]}}]+)\s*[\]}}])
      {_BOOST}
    | (?P<regex>/(?:\\.|[^/\\])+/){_BOOST}(?=[\s)]|$)
    | (?P<phrase>"(?:\\.|[^"\\])*")(?:~(?P<slop>\d{{1,4}}))?{_BOOST}
    | (?P<compare>[<>]=?\s*(?:"[^"]*"|[^\s()"]+))
    | (?P<field>(?:\\.|[^\s()"\[\]{{}}:<>\\])+:)
    | (?P<word>(?:\\.|[^\s()"\[\]{{}}:\\])+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORD: Final = re.compile(
    r"(?P<text>(?:\\.|[^\\])*?)(?:(?P<tilde>~)(?P<edits>\d{0,4}))?(?:\^\d+(?:\.\d+)?)?", re.DOTALL
)
_BOOSTED: Final = re.compile(r"(?<!\\)\^\d+(?:\.\d+)?$")
_OPERATORS: Final = frozenset({"and", "or"})
_RANGE_EDGES: Final = {
    "[": Operator.GE,
    "{": Operator.GT,
    "]": Operator.LE,
    "}": Operator.LT,
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    slop: int | None = None


class LuceneParser:
    """Parses one text.

    Args:
        node: the text.
        reading: how its words are to be read.
        leading_wildcards: whether a word may begin with one.
        slop: how far the words of phrases may be apart that do not say it.
        fuzziness: by how much words may differ that have a bare ``~``.
        count: of conditions so far.
    """

    def __init__(
        self,
        node: Node,
        reading: Reading,
        *,
        leading_wildcards: bool,
        slop: int,
        fuzziness: Fuzziness | int,
        count: int,
    ) -> None:
        self._node = node
        self._reading = reading
        self._leading_wildcards = leading_wildcards
        self._slop = slop
        self._fuzziness = fuzziness
        self._count = count
        self._tokens = self._split(node.text())
        self._position = 0

    def parse(self) -> tuple[Query, int]:
        """The tree, and the count of conditions after it.

        Raises:
            ControlError: InvalidParameter with the position in the text and what was expected.
        """
        if not self._tokens:
            return Nothing(), self._count
        query = self._chain(self._reading.fields, 0)
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
            found = _TOKENS.match(text, position)
            if found is None:
                raise self._node.refuse(
                    f"found {text[position : position + 20]!r}, which is not supported;"
                    " a backslash takes a character as it is",
                    position,
                )
            kind = next(k for k, v in found.groupdict().items() if v is not None)
            slop = None if found["slop"] is None else int(found["slop"])
            tokens.append(_Token(kind, found[kind], found.start(kind), slop))
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
        if depth > MAX_DEPTH:
            raise self._refuse(f"nested more than {MAX_DEPTH} levels deep")
        required: list[Query] = []
        excluded: list[Query] = []
        groups: list[list[Query]] = []
        first = True
        while (token := self._peek()) is not None and token.kind != "close":
            operator = self._take("and", "or")
            if operator is not None and first:
                message = f"found {operator.text!r}, expected a word before it"
                raise self._refuse(message, operator.at)
            plus = self._take("plus") is not None
            negated = False
            while self._take("not") is not None:
                negated = not negated
            clause = self._clause(fields, depth)
            clause = Negated(clause) if negated else clause
            following = self._peek()
            bare = operator is None and (following is None or following.kind not in _OPERATORS)
            together = self._reading.every if operator is None else operator.kind == "and"
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
        rest = tuple(all_of(tuple(group)) for group in groups)
        if rest and (not required or (depth == 0 and self._reading.least is not None)):
            required.append(self._reading.some_of(rest, outermost=depth == 0))
        return all_of((*required, *excluded))

    def _clause(self, fields: tuple[str | None, ...], depth: int) -> Query:
        self._count += 1
        if self._count > MAX_TERMS:
            raise self._refuse(f"more than {MAX_TERMS} conditions")
        field = self._take("field")
        if field is not None:
            name = unescaped(field.text[:-1])
            if name == "_exists_":
                return self._exists()
            fields = (None,) if name in {"*", RAW} else self._names_like(name, field)
        if self._take("open") is not None:
            inner = self._chain(fields, depth + 1)
            if self._take("close") is None:
                raise self._refuse("expected `)`")
            return inner
        token = self._take("word", "phrase", "compare", "range", "regex")
        if token is None:
            raise self._refuse("expected a word, a phrase or `(`")
        self._count += max(0, len(fields) - 1)
        return any_of(tuple(self._value(one, token) for one in fields))

    def _names_like(self, name: str, token: _Token) -> tuple[str, ...]:
        try:
            return self._reading.names_like(name, self._node)
        except ControlError as error:
            raise self._refuse(
                "expected the name of a field, or a shorter list", token.at
            ) from error

    def _exists(self) -> Query:
        token = self._take("word", "phrase")
        if token is None:
            raise self._refuse("expected the name of a field")
        name = unescaped(token.text[1:-1] if token.kind == "phrase" else token.text)
        names = self._names_like(name, token)
        return any_of(tuple(Exists(one, self._node.path) for one in names))

    def _value(self, field: str | None, token: _Token) -> Query:
        path = self._node.path
        match token.kind:
            case "compare":
                sign = token.text[: 2 if token.text[1] == "=" else 1]
                text = _BOOSTED.sub("", token.text[len(sign) :].strip()).strip('"')
                return self._range(field, {Operator(sign): text}, token)
            case "range":
                return self._range(field, _bounds(token.text), token)
            case "regex":
                return self._regex(field, token)
            case "phrase":
                text = unescaped(token.text[1:-1])
                if field == TIME:
                    return self._same_time(text, token)
                slop = self._slop if token.slop is None else token.slop
                if slop > MAX_SLOP:
                    raise self._refuse(f"a phrase with a slop above {MAX_SLOP}", token.at)
                return Near(field, text, slop, path)
            case _:
                return self._word(field, token)

    def _word(self, field: str | None, token: _Token) -> Query:
        path = self._node.path
        found = _WORD.fullmatch(token.text)
        assert found is not None  # words are made of what it takes
        text = found["text"]
        if not text:
            raise self._refuse(f"found {token.text!r}, expected a word before it", token.at)
        if text == "*":
            return Leaf(Everything(), path) if field is None else Exists(field, path)
        if field == TIME:
            return self._same_time(unescaped(text), token)
        if any(one in ESCAPED.sub("", text) for one in "*?"):
            if text[0] in "*?" and not self._leading_wildcards:
                raise self._refuse("a wildcard cannot begin a word", token.at)
            return Wild(field, split_wildcards(text), path)
        fuzziness: Fuzziness | int = 0
        if found["tilde"]:
            fuzziness = int(found["edits"]) if found["edits"] else self._fuzziness
            if isinstance(fuzziness, int) and fuzziness > MAX_EDITS:
                raise self._refuse(f"a fuzziness above {MAX_EDITS}", token.at)
        return Match(field, unescaped(text), EVERY, path, fuzziness)

    def _regex(self, field: str | None, token: _Token) -> Query:
        text = token.text[1:-1].replace("\\/", "/")
        try:
            return Regex(field, translate_regex(text), self._node.path)
        except RegexError as error:
            raise self._refuse(error.message, token.at + 1 + error.at) from error

    def _range(self, field: str | None, bounds: dict[Operator, str], token: _Token) -> Query:
        if field is None:
            raise self._refuse("a range and a comparison need a field", token.at)
        if field == TIME:
            return all_of(tuple(self._time(one, text, token) for one, text in bounds.items()))
        nodes = {one: Node(unescaped(text), self._node.path) for one, text in bounds.items()}
        return value_range(field, nodes, self._node.path, lenient=self._reading.lenient)

    def _time(self, operator: Operator, text: str, token: _Token) -> Query:
        at_ms = self._date(text, token, up=operator in {Operator.GT, Operator.LE})
        if at_ms is None:
            return Nothing()
        match operator:
            case Operator.GE:
                return Between(at_ms, None)
            case Operator.GT:
                return Between(at_ms + 1, None)
            case Operator.LE:
                return Between(None, at_ms)
            case _:
                return Between(None, at_ms - 1)

    def _same_time(self, text: str, token: _Token) -> Query:
        start, end = (self._date(text, token, up=up) for up in (False, True))
        return Nothing() if start is None or end is None else Between(start, end)

    def _date(self, text: str, token: _Token, *, up: bool) -> int | None:
        """An instant; None for what is none, when that is no error."""
        node = Node(unescaped(text), self._node.path)
        reading = self._reading
        try:
            return parse_date(node, now_ms=reading.now_ms, zone=reading.zone, round_up=up)
        except ControlError as error:
            if reading.lenient:
                return None
            raise self._refuse(f"found {text[:40]!r}, expected a date", token.at) from error

    def _refuse(self, message: str, at: int | None = None) -> ControlError:
        if at is None:
            token = self._peek()
            at = len(self._node.text()) if token is None else token.at
        return self._node.refuse(message, at)


def _bounds(text: str) -> dict[Operator, str]:
    """The bounds of ``[1 TO 5}``, without those that are open."""
    found = _TOKENS.match(text)
    assert found is not None  # it was matched as a range
    both = ((text[0], found["low"]), (text[-1], found["high"]))
    return {_RANGE_EDGES[edge]: bound.strip('"') for edge, bound in both if bound != "*"}
