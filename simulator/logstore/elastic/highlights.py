"""What ``highlight`` of a search asks for, and what of a query there is to highlight.

Source: doc the vendor's Python SDK (baiducloud-python-sdk-bls 0.0.9, ``Highlight``) for the tags
and their defaults; that all fields are highlighted when none is named, and the other parameters,
which are Elasticsearch's, are assumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.tree import (
    Is,
    Leaf,
    Match,
    Near,
    Negated,
    Pattern,
    Query,
    Regex,
    Several,
    Wild,
)
from simulator.logstore.wildcards import compile_pattern

PRE_TAG: Final = "@kibana-highlighted-field@"
POST_TAG: Final = "@/kibana-highlighted-field@"
MAX_HIGHLIGHTED: Final = 100
"""Fields and patterns of one request. Source: assumed (a bound against abuse)."""
MAX_TAG: Final = 100
"""Characters of a tag. Source: assumed (a bound against abuse)."""
_MOST: Final = 2**31 - 1

Marked: TypeAlias = Match | Near | Wild | Regex | Is | Pattern
"""A condition that says which words or values are to be highlighted."""

_SETTINGS: Final = frozenset(
    {
        "pre_tags",
        "post_tags",
        "require_field_match",
        "fragment_size",
        "number_of_fragments",
        "no_match_size",
        "highlight_query",
        "order",
    }
)
_WITHOUT_EFFECT: Final = frozenset(
    {
        "boundary_chars",
        "boundary_max_scan",
        "boundary_scanner",
        "boundary_scanner_locale",
        "force_source",
        "fragmenter",
        "max_analyzed_offset",
        "phrase_limit",
        "type",
    }
)
"""How Elasticsearch is to find the fragments. Source: assumed: they are cut between words here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighlightSettings:
    """How one field is highlighted."""

    pre_tag: str = PRE_TAG
    post_tag: str = POST_TAG
    same_field: bool = True
    """Whether only what is looked for in the field itself is highlighted in it."""
    fragment_chars: int = 100
    fragment_count: int = 5
    """0 for the whole text."""
    no_match_chars: int = 0
    """How much is shown of a text without anything to highlight."""
    by_score: bool = False
    """Fragments with more to highlight come first."""
    as_html: bool = False
    marked: tuple[Marked, ...] = ()
    """What is highlighted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighlightRequest:
    """Which fields are highlighted, and how."""

    fields: tuple[tuple[Callable[[str], bool], HighlightSettings], ...]
    """The first that fits a field's name counts."""

    def settings_of(self, field: str) -> HighlightSettings | None:
        """How a field is highlighted; None when it is not."""
        return next((settings for fits, settings in self.fields if fits(field)), None)


def parse_highlight(node: Node, query: Query, parse: Callable[[Node], Query]) -> HighlightRequest:
    """What ``highlight`` asks for.

    Args:
        node: the member of the search.
        query: of the search.
        parse: parses a ``highlight_query``.
    """
    members = node.object(_SETTINGS | _WITHOUT_EFFECT | {"fields", "encoder", "tags_schema"})
    if "tags_schema" in members:
        members["tags_schema"].choice("default")
    html = "encoder" in members and members["encoder"].choice("default", "html") == "html"
    base = HighlightSettings(marked=marked_of(query), as_html=html)
    common = _settings(members, base, parse)
    if "fields" not in members:
        return HighlightRequest(fields=((compile_pattern("*"), common),))
    named: list[tuple[str, Node]] = []
    for item in members["fields"].items():
        named += item.object().items()
    if len(named) > MAX_HIGHLIGHTED:
        raise members["fields"].refuse(f"expected at most {MAX_HIGHLIGHTED} fields")
    return HighlightRequest(
        fields=tuple(
            (
                compile_pattern(Node(name, body.path).name()),
                _settings(body.object(_SETTINGS | _WITHOUT_EFFECT), common, parse),
            )
            for name, body in named
        )
    )


def _settings(
    members: Mapping[str, Node], base: HighlightSettings, parse: Callable[[Node], Query]
) -> HighlightSettings:
    def whole(name: str, default: int) -> int:
        return members[name].whole(0, _MOST) if name in members else default

    found = replace(
        base,
        pre_tag=_tag(members.get("pre_tags"), base.pre_tag),
        post_tag=_tag(members.get("post_tags"), base.post_tag),
        fragment_chars=whole("fragment_size", base.fragment_chars),
        fragment_count=whole("number_of_fragments", base.fragment_count),
        no_match_chars=whole("no_match_size", base.no_match_chars),
    )
    if "require_field_match" in members:
        found = replace(found, same_field=members["require_field_match"].flag())
    if "order" in members:
        found = replace(found, by_score=members["order"].choice("none", "score") == "score")
    if "highlight_query" in members:
        found = replace(found, marked=marked_of(parse(members["highlight_query"])))
    return found


def _tag(node: Node | None, default: str) -> str:
    """The first of the tags, which is the only one that there is a use for."""
    if node is None or node.value == []:
        return default
    tag = node.items()[0].text()
    if len(tag) > MAX_TAG:
        raise node.refuse(f"expected at most {MAX_TAG} characters")
    return tag


def marked_of(query: Query) -> tuple[Marked, ...]:
    """The conditions of a query that say what is to be highlighted, each but once.

    Not what must not be found, nor ranges and the like.
    """
    match query:
        case Match() | Near() | Wild() | Regex() | Is() | Pattern():
            return (query,)
        case Several(operands):
            return tuple(dict.fromkeys(one for each in operands for one in marked_of(each)))
        case Negated() | Leaf() | _:
            return ()
