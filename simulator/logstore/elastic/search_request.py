"""What the body of a search asks for.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for ``query``, ``aggs``,
``fields``, ``sort``, ``searchAfter``, ``highlight`` and ``size``. Kibana sends more: what changes
nothing here is accepted, what would change the answer is refused (assumed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.aggregations import Aggregation, AggregationParser
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.highlights import parse_highlight
from simulator.logstore.elastic.hits import MAX_SIZE, FieldPattern, HitRequest, parse_fields
from simulator.logstore.elastic.queries import QueryParser
from simulator.logstore.elastic.sorting import parse_order
from simulator.logstore.elastic.tree import Leaf, Query
from simulator.logstore.search import Everything

_WITHOUT_EFFECT: Final = frozenset(
    {
        "ext",
        "indices_boost",
        "seq_no_primary_term",
        "stats",
        "timeout",
        "track_scores",
        "track_total_hits",
        "version",
    }
)
_KNOWN: Final = _WITHOUT_EFFECT | {
    "_source",
    "aggregations",
    "aggs",
    "docvalue_fields",
    "explain",
    "fields",
    "from",
    "highlight",
    "profile",
    "query",
    "runtime_mappings",
    "script_fields",
    "searchAfter",
    "search_after",
    "size",
    "sort",
    "stored_fields",
}
_EMPTY: Final = ("runtime_mappings", "script_fields")
_OFF: Final = ("explain", "profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One search."""

    query: Query
    hits: HitRequest
    aggregations: tuple[Aggregation, ...]


def parse_search(root: Node, queries: QueryParser, now_ms: int) -> SearchRequest:
    """What a document asks for.

    Args:
        root: of the document.
        queries: parses its queries.
        now_ms: what ``now`` is.

    Raises:
        ControlError: InvalidParameter with the place in the document and what was expected.
    """
    members = root.object(_KNOWN)
    _check_harmless(members)
    query = parse_query(members.get("query"), queries)
    highlight = members.get("highlight")
    hits = HitRequest(
        size=members["size"].whole(0, MAX_SIZE) if "size" in members else MAX_SIZE,
        order=parse_order(members, now_ms),
        fields=_fields(members),
        highlight=None if highlight is None else parse_highlight(highlight, query, queries.parse),
    )
    wanted = members.get("aggs") or members.get("aggregations")
    aggregations = () if wanted is None else AggregationParser(queries, now_ms).parse(wanted)
    return SearchRequest(query=query, hits=hits, aggregations=aggregations)


def parse_query(node: Node | None, queries: QueryParser) -> Query:
    """A query; without one everything is found."""
    return Leaf(Everything(), "body.query") if node is None else queries.parse(node)


def _fields(members: Mapping[str, Node]) -> tuple[FieldPattern, ...] | None:
    """The fields of hits; all when none is named. Source: assumed.

    ``docvalue_fields`` are fields too.
    """
    if "fields" not in members:
        return None
    fields = parse_fields(members["fields"])
    if "docvalue_fields" in members:
        fields += parse_fields(members["docvalue_fields"])
    return fields


def _check_harmless(members: Mapping[str, Node]) -> None:
    """Refuse what would change an answer and cannot.

    A hit has ``fields``, and neither ``_source``, which a search can only say it does without, or
    wants all of, nor stored fields.
    """
    for name in _EMPTY:
        if name in members and members[name].object():
            raise members[name].refuse("is not supported: there are no scripts")
    for name in _OFF:
        if name in members and members[name].flag():
            raise members[name].refuse("is not supported")
    if "from" in members and members["from"].value != 0:
        raise members["from"].refuse("only 0 is supported; searchAfter goes on after a hit")
    if "stored_fields" in members:
        # There are none, whatever their names.
        for item in members["stored_fields"].items():
            item.text()
    if "_source" in members:
        _check_source(members["_source"])
    if "docvalue_fields" in members:
        parse_fields(members["docvalue_fields"])


def _check_source(node: Node) -> None:
    if isinstance(node.value, bool):
        return
    choices: tuple[Node, ...] = (node,)
    if isinstance(node.value, dict):
        known = node.object(frozenset({"includes", "include", "excludes", "exclude"}))
        choices = tuple(known.values())
    for choice in choices:
        for item in choice.items():
            if item.text() != "*" or "exclude" in choice.path:
                raise item.refuse("hits have no _source; `fields` chooses what they show")
