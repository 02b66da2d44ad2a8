"""An Elasticsearch query in JSON becomes a tree.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the types of queries; their
parameters are Elasticsearch's (assumed), less those that only score or guess.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

from simulator.logstore.elastic.dates import ZONE_UTC, parse_date, parse_formats, parse_zone
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.query_strings import Dialect, StringParser
from simulator.logstore.elastic.tree import (
    Between,
    Exists,
    Ids,
    Is,
    Leaf,
    Match,
    Negated,
    Nothing,
    Pattern,
    Query,
    Several,
    all_of,
    any_of,
)
from simulator.logstore.search import MAX_TERMS, Compare, Everything, Operator
from simulator.logstore.typed import parse_number

TIME: Final = "@timestamp"
RAW: Final = "@raw"
MAX_VALUES: Final = 1000
"""Of one ``terms`` or ``ids``. Source: assumed (a bound against abuse)."""
MAX_PATTERN: Final = 1000
"""Characters of a wildcard pattern. Source: assumed (a bound against abuse)."""

_ID: Final = re.compile(r"(\d{1,18})-(-?\d{1,18})", re.ASCII)
_NAMED: Final = frozenset({"boost", "_name"})
_MINIMUM: Final = re.compile(r"(-?\d{1,4})(%?)", re.ASCII)
_BOUNDS: Final = {
    "gte": Operator.GE,
    "gt": Operator.GT,
    "lte": Operator.LE,
    "lt": Operator.LT,
}


class QueryParser:
    """Parses the queries of one request, and counts them.

    Args:
        now_ms: what ``now`` is.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._count = 0
        self._types: Mapping[str, Callable[[Node], Query]] = {
            "match_all": self._match_all,
            "match_none": self._match_none,
            "bool": self._bool,
            "range": self._range,
            "term": self._term,
            "terms": self._terms,
            "match": self._match,
            "match_phrase": self._match_phrase,
            "wildcard": self._wildcard,
            "prefix": self._prefix,
            "multi_match": self._multi_match,
            "exists": self._exists,
            "ids": self._ids,
            "query_string": self._query_string,
            "simple_query_string": self._simple_query_string,
        }

    def parse(self, node: Node) -> Query:
        """The tree of a query.

        Raises:
            ControlError: InvalidParameter with the place in the document and what was expected.
        """
        self._count += 1
        if self._count > MAX_TERMS:
            raise node.refuse(f"more than {MAX_TERMS} queries")
        name, body = node.single("type of query")
        parse = self._types.get(name)
        if parse is None:
            known = ", ".join(sorted(self._types))
            raise node.refuse(f"the query {name[:60]!r} is not supported; expected {known}")
        return parse(body)

    def _match_all(self, node: Node) -> Query:
        node.object(_NAMED)
        return Leaf(Everything(), node.path)

    def _match_none(self, node: Node) -> Query:
        node.object(_NAMED)
        return Nothing()

    def _bool(self, node: Node) -> Query:
        members = node.object(
            _NAMED | {"must", "filter", "should", "must_not", "minimum_should_match"}
        )
        must, filters, should, must_not = (
            tuple(self.parse(item) for item in members[name].items()) if name in members else ()
            for name in ("must", "filter", "should", "must_not")
        )
        required = (*must, *filters, *(Negated(one) for one in must_not))
        least = 0 if must or filters or not should else 1
        if "minimum_should_match" in members:
            least = _least(members["minimum_should_match"], len(should))
        if least > 0:
            required = (*required, Several(should, least))
        return all_of(required) if required else Leaf(Everything(), node.path)

    def _range(self, node: Node) -> Query:
        name, body = _of_field(node)
        members = body.object(_NAMED | set(_BOUNDS) | {"format", "time_zone", "relation"})
        if name == TIME:
            return self._between(members)
        found: list[Query] = []
        for key, operator in _BOUNDS.items():
            if key in members:
                bound = members[key]
                found.append(Leaf(Compare(name, operator, _number(bound)), bound.path))
        return all_of(tuple(found)) if found else Exists(name, body.path)

    def _between(self, members: Mapping[str, Node]) -> Query:
        formats = parse_formats(members.get("format"))
        zone = parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC

        def date(key: str, *, up: bool) -> int:
            return parse_date(
                members[key], now_ms=self._now_ms, zone=zone, formats=formats, round_up=up
            )

        starts = [date("gte", up=False)] if "gte" in members else []
        starts += [date("gt", up=True) + 1] if "gt" in members else []
        ends = [date("lte", up=True)] if "lte" in members else []
        ends += [date("lt", up=False) - 1] if "lt" in members else []
        return Between(max(starts, default=None), min(ends, default=None))

    def _term(self, node: Node) -> Query:
        name, body = _of_field(node)
        any_case = False
        if isinstance(body.value, dict):
            members = body.object(_NAMED | {"value", "case_insensitive"})
            any_case = "case_insensitive" in members and members["case_insensitive"].flag()
            body = _required(body, members, "value")
        return self._is(name, (body,), any_case, body)

    def _terms(self, node: Node) -> Query:
        fields = {key: one for key, one in node.object().items() if key not in _NAMED}
        if len(fields) != 1:
            raise node.refuse(f"expected exactly one field, found {len(fields)}")
        name, body = next(iter(fields.items()))
        if not isinstance(body.value, list):
            raise body.refuse("expected an array of values")
        return self._is(_field(Node(name, body.path)), body.items(), False, body)

    def _is(self, name: str, values: tuple[Node, ...], any_case: bool, node: Node) -> Query:
        if len(values) > MAX_VALUES:
            raise node.refuse(f"expected at most {MAX_VALUES} values")
        if name == "_id":
            return _ids(values)
        if name == TIME:
            dates = (parse_date(value, now_ms=self._now_ms) for value in values)
            return _one_of(tuple(Between(at_ms, at_ms) for at_ms in dates))
        if not values:
            return Nothing()
        return Is(name, tuple(value.scalar() for value in values), any_case, node.path)

    def _match(self, node: Node) -> Query:
        name, body = _of_field(node)
        members = _or_members(
            body,
            "query",
            _NAMED | {"query", "operator", "minimum_should_match", "lenient", "zero_terms_query"},
        )
        every = "operator" in members and members["operator"].choice("and", "or") == "and"
        if "minimum_should_match" in members:
            raise members["minimum_should_match"].refuse("is not supported; expected `operator`")
        return self._words(name, _required(body, members, "query"), every=every)

    def _words(self, name: str, node: Node, *, every: bool, phrase: bool = False) -> Query:
        value = node.scalar()
        if name in {TIME, "_id"} or not isinstance(value, str):
            return self._is(name, (node,), False, node)
        return Match(None if name == RAW else name, value, every, node.path, phrase)

    def _match_phrase(self, node: Node) -> Query:
        name, body = _of_field(node)
        members = _or_members(body, "query", _NAMED | {"query", "slop", "zero_terms_query"})
        if "slop" in members:
            members["slop"].whole(0, 0)
        return self._words(name, _required(body, members, "query"), every=True, phrase=True)

    def _wildcard(self, node: Node) -> Query:
        name, body = _of_field(node)
        members = _or_members(
            body, "value", _NAMED | {"value", "wildcard", "case_insensitive", "rewrite"}
        )
        value = members.get("value") or _required(body, members, "wildcard")
        return self._pattern(name, value, members, _wildcard_pattern(value.text()))

    def _prefix(self, node: Node) -> Query:
        name, body = _of_field(node)
        members = _or_members(body, "value", _NAMED | {"value", "case_insensitive", "rewrite"})
        value = _required(body, members, "value")
        return self._pattern(name, value, members, re.escape(value.text()) + ".*")

    def _pattern(self, name: str, value: Node, members: Mapping[str, Node], pattern: str) -> Query:
        if len(value.text()) > MAX_PATTERN:
            raise value.refuse(f"expected at most {MAX_PATTERN} characters")
        any_case = "case_insensitive" in members and members["case_insensitive"].flag()
        return Pattern(name, pattern, any_case, value.path)

    def _multi_match(self, node: Node) -> Query:
        members = node.object(
            _NAMED | {"query", "fields", "type", "operator", "lenient", "tie_breaker"}
        )
        phrase = False
        if "type" in members:
            kind = members["type"].choice("best_fields", "most_fields", "phrase")
            phrase = kind == "phrase"
        every = "operator" in members and members["operator"].choice("and", "or") == "and"
        text = _required(node, members, "query")
        names = _fields(members.get("fields"))
        return any_of(
            tuple(
                self._words(name or RAW, text, every=every or phrase, phrase=phrase)
                for name in names
            )
        )

    def _exists(self, node: Node) -> Query:
        members = node.object(_NAMED | {"field"})
        name = _field(_required(node, members, "field"))
        return Exists(name, node.path)

    def _ids(self, node: Node) -> Query:
        members = node.object(_NAMED | {"values"})
        values = _required(node, members, "values").items()
        if len(values) > MAX_VALUES:
            raise node.refuse(f"expected at most {MAX_VALUES} values")
        return _ids(values)

    def _query_string(self, node: Node) -> Query:
        members = node.object(
            _NAMED
            | {
                "query",
                "fields",
                "default_field",
                "default_operator",
                "analyze_wildcard",
                "lenient",
                "time_zone",
            }
        )
        fields = members.get("fields") or members.get("default_field")
        return self._string(node, members, fields, Dialect.LUCENE)

    def _simple_query_string(self, node: Node) -> Query:
        members = node.object(
            _NAMED | {"query", "fields", "default_operator", "analyze_wildcard", "lenient"}
        )
        return self._string(node, members, members.get("fields"), Dialect.SIMPLE)

    def _string(
        self, node: Node, members: Mapping[str, Node], fields: Node | None, dialect: Dialect
    ) -> Query:
        operator = members.get("default_operator")
        every = operator is not None and operator.choice("and", "or") == "and"
        zone = parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC
        query, self._count = StringParser(
            _required(node, members, "query"),
            dialect=dialect,
            fields=_fields(fields),
            every=every,
            now_ms=self._now_ms,
            zone=zone,
            count=self._count,
        ).parse()
        return query


def _of_field(node: Node) -> tuple[str, Node]:
    """The field that a query is about, and what it says of it."""
    name, body = node.single("field")
    return _field(Node(name, node.path)), body


def _field(node: Node) -> str:
    name = node.name()
    if "*" in name:
        raise node.refuse("expected the name of one field, found a pattern")
    return name


def _fields(node: Node | None) -> tuple[str | None, ...]:
    """Names of fields, without their boosts; None for the raw text, which is the default."""
    if node is None:
        return (None,)
    found: list[str | None] = []
    for item in node.items():
        name = item.name().partition("^")[0]
        found.append(None if name in {"*", RAW} else _field(Node(name, item.path)))
    if len(found) > MAX_TERMS:
        raise node.refuse(f"expected at most {MAX_TERMS} fields")
    return tuple(dict.fromkeys(found)) or (None,)


def _or_members(node: Node, name: str, known: frozenset[str]) -> dict[str, Node]:
    """The members of an object; a bare value stands for its member ``name``."""
    return node.object(known) if isinstance(node.value, dict) else {name: node}


def _required(node: Node, members: Mapping[str, Node], name: str) -> Node:
    found = members.get(name)
    if found is None:
        raise node.refuse(f"{name} is required")
    return found


def _number(node: Node) -> int | float:
    if not isinstance(node.value, str):
        return node.number()
    try:
        return parse_number(node.value)
    except ValueError as error:
        raise node.refuse("expected a number; only @timestamp is compared with dates") from error


def _least(node: Node, count: int) -> int:
    """How many of ``count`` a ``minimum_should_match`` asks for."""
    found = _MINIMUM.fullmatch(str(node.value)) if not isinstance(node.value, bool) else None
    if found is None:
        raise node.refuse("expected a number or a percentage")
    number = int(found[1])
    if found[2]:
        # Elasticsearch rounds down what is asked for, or what may be missing.
        number = math.trunc(number * count / 100)
    return count + number if number < 0 else number


def _ids(values: tuple[Node, ...]) -> Query:
    found = (_ID.fullmatch(str(value.scalar())) for value in values)
    ids = tuple((int(one[1]), int(one[2])) for one in found if one is not None)
    return Ids(ids) if ids else Nothing()


def _one_of(operands: tuple[Query, ...]) -> Query:
    return any_of(operands) if operands else Nothing()


def _wildcard_pattern(text: str) -> str:
    """``*`` and ``?`` as wildcards; a backslash takes the next character as it is."""
    pattern = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            pattern += re.escape(text[position])
        elif character in "*?":
            pattern += ".*" if character == "*" else "."
        else:
            pattern += re.escape(character)
        position += 1
    return pattern
