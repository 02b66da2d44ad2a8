"""The aggregation ``terms``: a bucket for each of the commonest values.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for its name; its parameters
and defaults are Elasticsearch's (assumed).
"""

from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.parameters import field_of, least_of
from simulator.logstore.elastic.regexes import RegexError, translate_regex

MAX_TERMS_SIZE: Final = 10_000
MAX_TERM_BYTES: Final = 32_766
"""Of a text that is a term; a longer one is none. Source: assumed: Lucene's bound, beyond which
Elasticsearch indexes nothing that could be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What buckets are sorted by."""

    by: str
    """``_count``, ``_key`` or the name of an aggregation within."""
    value: str
    """Which number of that aggregation."""
    within: tuple[str, ...]
    """The names of the filters that it is within, outermost first."""
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which values there are buckets for."""

    values: tuple[str, ...] | None
    """Exactly these; None where a pattern says it."""
    pattern: str
    """What the whole value is like, in RE2's syntax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A bucket for each of the commonest values."""

    field: str
    size: int
    least: int
    orders: tuple[Order, ...]
    missing: str | int | float | bool | None
    """The value of records without one; None leaves them out."""
    include: Choice | None
    exclude: Choice | None
    show_error: bool
    """Whether each bucket says by how much its count may be off, which is 0."""
    path: str


def parse_terms(node: Node) -> Terms:
    """The aggregation that a body describes."""
    members = node.object(
        frozenset(
            {
                "field",
                "size",
                "shard_size",
                "order",
                "min_doc_count",
                "shard_min_doc_count",
                "missing",
                "include",
                "exclude",
                "show_term_doc_count_error",
                "execution_hint",
                "collect_mode",
                "format",
                "value_type",
            }
        )
    )
    orders = members.get("order")
    error = members.get("show_term_doc_count_error")
    return Terms(
        field=field_of(node, members),
        size=members["size"].whole(1, MAX_TERMS_SIZE) if "size" in members else 10,
        least=least_of(members, 1),
        orders=() if orders is None else parse_orders(orders),
        missing=members["missing"].scalar() if "missing" in members else None,
        include=_choice(members["include"]) if "include" in members else None,
        exclude=_choice(members["exclude"]) if "exclude" in members else None,
        show_error=error is not None and error.flag(),
        path=node.path,
    )


def parse_orders(node: Node) -> tuple[Order, ...]:
    """What buckets are sorted by."""
    if isinstance(node.value, dict):
        return tuple(
            _order(Node({name: value}, node.path), name) for name, value in node.value.items()
        )
    return tuple(_order(item, item.single("order")[0]) for item in node.items())


def _order(node: Node, by: str) -> Order:
    """``name``, ``name.value``, or that of an aggregation within filters: ``filter>name.value``."""
    _, direction = node.single("order")
    descending = direction.choice("asc", "desc") == "desc"
    *path, last = by.split(">")
    name, _, value = last.partition(".")
    name = {"_term": "_key", "_time": "_key"}.get(name, name)
    return Order(by=name, value=value, within=tuple(path), descending=descending)


def _choice(node: Node) -> Choice:
    """A regular expression, or a list of values."""
    if isinstance(node.value, str):
        try:
            return Choice(values=None, pattern=translate_regex(node.value))
        except RegexError as error:
            raise node.refuse(error.message, error.at) from error
    if not isinstance(node.value, list):
        raise node.refuse("expected a regular expression or an array of values")
    if len(node.value) > MAX_TERMS_SIZE:
        raise node.refuse(f"expected at most {MAX_TERMS_SIZE} values")
    values = (item.scalar() for item in node.items())
    return Choice(
        values=tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values),
        pattern="",
    )
