"""An Elasticsearch query in JSON becomes a tree.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the types of queries; their
parameters are Elasticsearch's (assumed), less those that only score or guess.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from simulator.logstore.elastic.dates import ZONE_UTC, parse_date, parse_zone
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.minimum import EVERY, SOME, parse_minimum
from simulator.logstore.elastic.names import ID, RAW, TIME
from simulator.logstore.elastic.parameters import (
    field_and_body,
    members_or,
    one_field,
    required,
)
from simulator.logstore.elastic.query_strings import LuceneParser
from simulator.logstore.elastic.ranges import BOUNDS, time_range, value_range
from simulator.logstore.elastic.reading import MAX_SLOP, Reading, split_wildcards
from simulator.logstore.elastic.simple_strings import SimpleParser, parse_flags
from simulator.logstore.elastic.tree import (
    Between,
    Exists,
    Fuzziness,
    Ids,
    Is,
    Leaf,
    Match,
    Near,
    Negated,
    Nothing,
    Pattern,
    Query,
    Several,
    all_of,
    any_of,
)
from simulator.logstore.elastic.word_conditions import MAX_EDITS, whole_pattern
from simulator.logstore.search import MAX_TERMS, Everything
from simulator.logstore.wildcards import compile_pattern

MAX_VALUES: Final = 1000
"""Of one ``terms`` or ``ids``. Source: assumed (a bound against abuse)."""
MAX_PATTERN: Final = 1000
"""Characters of a wildcard pattern. Source: assumed (a bound against abuse)."""

_ID: Final = re.compile(r"(\d{1,18})-(-?\d{1,18})", re.ASCII)
_OWN: Final = frozenset({TIME, "@seq"})
"""What has no words."""
_NAMED: Final = frozenset({"boost", "_name"})
_WORDS: Final = _NAMED | {
    "query",
    "auto_generate_synonyms_phrase_query",
    "fuzziness",
    "fuzzy_rewrite",
    "lenient",
    "max_expansions",
    "zero_terms_query",
}
_STRING: Final = _NAMED | {
    "query",
    "analyze_wildcard",
    "auto_generate_synonyms_phrase_query",
    "default_operator",
    "fields",
    "fuzzy_max_expansions",
    "lenient",
    "minimum_should_match",
}
_LUCENE: Final = frozenset(
    {
        "allow_leading_wildcard",
        "default_field",
        "enable_position_increments",
        "fuzziness",
        "max_determinized_states",
        "phrase_slop",
        "rewrite",
        "tie_breaker",
        "time_zone",
        "type",
    }
)


class QueryParser:
    """Parses the queries of one request, and counts them.

    Args:
        now_ms: what ``now`` is.
        names: of the fields that patterns may stand for.
    """

    def __init__(self, now_ms: int, names: Callable[[], Iterable[str]]) -> None:
        self._now_ms = now_ms
        self._names = names
        self._count = 0
        self._types: Mapping[str, Callable[[Node], Query]] = {
            "match_all": self._match_all,
            "match_none": self._match_none,
            "constant_score": self._constant_score,
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

    def _constant_score(self, node: Node) -> Query:
        """A query without a score, which is any. Source: assumed: Kibana sends it."""
        members = node.object(_NAMED | {"filter"})
        return self.parse(required(node, members, "filter"))

    def _bool(self, node: Node) -> Query:
        members = node.object(
            _NAMED
            | {
                "must",
                "filter",
                "should",
                "must_not",
                "minimum_should_match",
                "adjust_pure_negative",
            }
        )
        must, filters, should, must_not = (
            tuple(self.parse(item) for item in members[name].items()) if name in members else ()
            for name in ("must", "filter", "should", "must_not")
        )
        required = (*must, *filters, *(Negated(one) for one in must_not))
        least = 0
        if "minimum_should_match" in members:
            least = parse_minimum(members["minimum_should_match"]).of(len(should))
        if should and not must and not filters:
            least = max(1, least)
        if least > 0:
            required = (*required, Several(should, least))
        return all_of(required) if required else Leaf(Everything(), node.path)

    def _range(self, node: Node) -> Query:
        name, body = field_and_body(node)
        members = body.object(_NAMED | set(BOUNDS) | {"format", "time_zone", "relation"})
        if name == TIME:
            return time_range(members, self._now_ms)
        bounds = {BOUNDS[key]: members[key] for key in BOUNDS if key in members}
        return value_range(name, bounds, body.path)

    def _term(self, node: Node) -> Query:
        name, body = field_and_body(node)
        any_case = False
        if isinstance(body.value, dict):
            members = body.object(_NAMED | {"value", "case_insensitive"})
            any_case = "case_insensitive" in members and members["case_insensitive"].flag()
            body = required(body, members, "value")
        return self._is(name, (body,), any_case, body)

    def _terms(self, node: Node) -> Query:
        fields = {key: one for key, one in node.object().items() if key not in _NAMED}
        if len(fields) != 1:
            raise node.refuse(f"expected exactly one field, found {len(fields)}")
        name, body = next(iter(fields.items()))
        if not isinstance(body.value, list):
            raise body.refuse("expected an array of values")
        return self._is(one_field(Node(name, body.path)), body.items(), False, body)

    def _is(self, name: str, values: tuple[Node, ...], any_case: bool, node: Node) -> Query:
        if len(values) > MAX_VALUES:
            raise node.refuse(f"expected at most {MAX_VALUES} values")
        if name == "_id":
            return _ids(values)
        if name == TIME:
            dates = (parse_date(value, now_ms=self._now_ms) for value in values)
            return any_of(tuple(Between(at_ms, at_ms) for at_ms in dates))
        if not values:
            return Nothing()
        return Is(name, tuple(value.scalar() for value in values), any_case, node.path)

    def _match(self, node: Node) -> Query:
        name, body = field_and_body(node)
        members = members_or(body, "query", _WORDS | {"operator", "minimum_should_match"})
        return self._words(name, required(body, members, "query"), members)

    def _words(self, name: str | None, node: Node, members: Mapping[str, Node]) -> Query:
        """The words of a text, as many as the parameters beside it say."""
        value = node.scalar()
        if name in {TIME, ID} or not isinstance(value, str):
            return self._is(name or RAW, (node,), False, node)
        _check_zero_terms(members)
        every = "operator" in members and members["operator"].choice("and", "or") == "and"
        least = EVERY if every else SOME
        if "minimum_should_match" in members and not every:
            least = parse_minimum(members["minimum_should_match"])
        fuzziness = parse_fuzziness(members["fuzziness"]) if "fuzziness" in members else 0
        return Match(None if name == RAW else name, value, least, node.path, fuzziness)

    def _phrase(self, name: str | None, node: Node, members: Mapping[str, Node]) -> Query:
        """The words of a text next to each other."""
        value = node.scalar()
        if name in {TIME, ID} or not isinstance(value, str):
            return self._is(name or RAW, (node,), False, node)
        _check_zero_terms(members)
        slop = members["slop"].whole(0, MAX_SLOP) if "slop" in members else 0
        return Near(None if name == RAW else name, value, slop, node.path)

    def _match_phrase(self, node: Node) -> Query:
        name, body = field_and_body(node)
        members = members_or(body, "query", _NAMED | {"query", "slop", "zero_terms_query"})
        return self._phrase(name, required(body, members, "query"), members)

    def _wildcard(self, node: Node) -> Query:
        name, body = field_and_body(node)
        members = members_or(
            body, "value", _NAMED | {"value", "wildcard", "case_insensitive", "rewrite"}
        )
        value = members.get("value") or required(body, members, "wildcard")
        return self._pattern(name, value, members, whole_pattern(split_wildcards(value.text())))

    def _prefix(self, node: Node) -> Query:
        name, body = field_and_body(node)
        members = members_or(body, "value", _NAMED | {"value", "case_insensitive", "rewrite"})
        value = required(body, members, "value")
        return self._pattern(name, value, members, re.escape(value.text()) + ".*")

    def _pattern(self, name: str, value: Node, members: Mapping[str, Node], pattern: str) -> Query:
        if len(value.text()) > MAX_PATTERN:
            raise value.refuse(f"expected at most {MAX_PATTERN} characters")
        any_case = "case_insensitive" in members and members["case_insensitive"].flag()
        return Pattern(name, pattern, any_case, value.path)

    def _multi_match(self, node: Node) -> Query:
        members = node.object(
            _WORDS | {"fields", "type", "operator", "minimum_should_match", "slop", "tie_breaker"}
        )
        phrase = False
        if "type" in members:
            kind = members["type"].choice("best_fields", "most_fields", "phrase")
            phrase = kind == "phrase"
        text = required(node, members, "query")
        parse = self._phrase if phrase else self._words
        names = self._fields_of(members.get("fields"))
        return any_of(tuple(parse(name, text, members) for name in names))

    def _exists(self, node: Node) -> Query:
        members = node.object(_NAMED | {"field"})
        wanted = required(node, members, "field")
        return any_of(tuple(Exists(name, node.path) for name in self._like(wanted.name(), wanted)))

    def _ids(self, node: Node) -> Query:
        members = node.object(_NAMED | {"values"})
        values = required(node, members, "values").items()
        if len(values) > MAX_VALUES:
            raise node.refuse(f"expected at most {MAX_VALUES} values")
        return _ids(values)

    def _query_string(self, node: Node) -> Query:
        members = node.object(_STRING | _LUCENE)
        fields = members.get("fields") or members.get("default_field")
        if "type" in members:
            members["type"].choice("best_fields", "most_fields")
        query, self._count = LuceneParser(
            required(node, members, "query"),
            self._reading(members, fields),
            leading_wildcards="allow_leading_wildcard" not in members
            or members["allow_leading_wildcard"].flag(),
            slop=members["phrase_slop"].whole(0, MAX_SLOP) if "phrase_slop" in members else 0,
            fuzziness=parse_fuzziness(members["fuzziness"])
            if "fuzziness" in members
            else Fuzziness.AUTO,
            count=self._count,
        ).parse()
        return query

    def _simple_query_string(self, node: Node) -> Query:
        members = node.object(_STRING | {"flags"})
        query, self._count = SimpleParser(
            required(node, members, "query"),
            self._reading(members, members.get("fields")),
            flags=parse_flags(members.get("flags")),
            count=self._count,
        ).parse()
        return query

    def _reading(self, members: Mapping[str, Node], fields: Node | None) -> Reading:
        """How the words of a query string are to be read."""
        operator = members.get("default_operator")
        minimum = members.get("minimum_should_match")
        return Reading(
            fields=self._fields_of(fields),
            every=operator is not None and operator.choice("and", "or") == "and",
            least=None if minimum is None else parse_minimum(minimum),
            now_ms=self._now_ms,
            zone=parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC,
            lenient="lenient" in members and members["lenient"].flag(),
            names_like=self.names_like,
        )

    def _fields_of(self, node: Node | None) -> tuple[str | None, ...]:
        """Names of fields, without their boosts; None for the raw text, which is the default.

        A pattern stands for what the LogStores have that is like it; ``*`` is the raw text.
        """
        if node is None or node.value == []:
            return (None,)
        found: dict[str | None, None] = {}
        for item in node.items():
            name = item.name().partition("^")[0]
            if name in {"*", RAW}:
                found[None] = None
            else:
                found |= dict.fromkeys(self.names_like(name, item))
        if len(found) > MAX_TERMS:
            raise node.refuse(f"expected at most {MAX_TERMS} fields")
        return tuple(found)

    def names_like(self, name: str, node: Node) -> tuple[str, ...]:
        """The fields whose words a name or a pattern with ``*`` stands for.

        Raises:
            ControlError: InvalidParameter when they are too many.
        """
        found = self._like(name, node)
        return tuple(one for one in found if one not in _OWN) if "*" in name else found

    def _like(self, name: str, node: Node) -> tuple[str, ...]:
        if "*" not in name:
            return (one_field(Node(name, node.path)),)
        fits = compile_pattern(name)
        found = tuple(one for one in self._names() if fits(one))
        if len(found) > MAX_TERMS:
            raise node.refuse(f"stands for more than {MAX_TERMS} fields")
        return found


def parse_fuzziness(node: Node) -> Fuzziness | int:
    """By how much words may differ: ``AUTO``, 0, 1 or 2."""
    if isinstance(node.value, str) and node.value.upper() == "AUTO":
        return Fuzziness.AUTO
    if isinstance(node.value, str) and node.value in {"0", "1", "2"}:
        return int(node.value)
    return node.whole(0, MAX_EDITS)


def _check_zero_terms(members: Mapping[str, Node]) -> None:
    if "zero_terms_query" in members:
        members["zero_terms_query"].choice("none")


def _ids(values: tuple[Node, ...]) -> Query:
    found = (_ID.fullmatch(str(value.scalar())) for value in values)
    ids = tuple((int(one[1]), int(one[2])) for one in found if one is not None)
    return Ids(ids) if ids else Nothing()
