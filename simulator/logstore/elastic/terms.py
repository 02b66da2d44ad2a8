"""The aggregation ``terms``: a bucket for each of the commonest values.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for its name; its parameters
and defaults are Elasticsearch's (assumed).
"""

from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.parameters import field_of, least_of

MAX_TERMS_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What buckets are sorted by."""

    by: str
    """``_count``, ``_key`` or the name of an aggregation within."""
    value: str
    """Which number of that aggregation."""
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A bucket for each of the commonest values."""

    field: str
    size: int
    least: int
    orders: tuple[Order, ...]
    missing: str | None
    include: tuple[str, ...] | None
    exclude: tuple[str, ...]
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
                "missing",
                "include",
                "exclude",
                "show_term_doc_count_error",
                "execution_hint",
                "collect_mode",
            }
        )
    )
    orders = members.get("order")
    return Terms(
        field=field_of(node, members),
        size=members["size"].whole(1, MAX_TERMS_SIZE) if "size" in members else 10,
        least=least_of(members, 1),
        orders=() if orders is None else tuple(parse_order(one) for one in orders.items()),
        missing=str(members["missing"].scalar()) if "missing" in members else None,
        include=_texts(members["include"]) if "include" in members else None,
        exclude=_texts(members["exclude"]) if "exclude" in members else (),
        path=node.path,
    )


def parse_order(node: Node) -> Order:
    """What buckets are sorted by."""
    by, direction = node.single("order")
    name, _, value = by.replace(">", ".").partition(".")
    descending = direction.choice("asc", "desc") == "desc"
    return Order(by="_key" if by == "_term" else name, value=value, descending=descending)


def _texts(node: Node) -> tuple[str, ...]:
    if not isinstance(node.value, list):
        raise node.refuse("expected an array of exact values; patterns are not supported")
    if len(node.value) > MAX_TERMS_SIZE:
        raise node.refuse(f"expected at most {MAX_TERMS_SIZE} values")
    return tuple(
        str(one).lower() if isinstance(one, bool) else str(one)
        for one in (item.scalar() for item in node.items())
    )
