"""What several aggregations are told alike: a field, bounds, how few records a bucket may have."""

from collections.abc import Callable, Mapping

from simulator.logstore.elastic.document import Node


def field_of(node: Node, members: Mapping[str, Node]) -> str:
    """The field that an aggregation is about."""
    if "field" not in members:
        raise node.refuse("field is required")
    return members["field"].name()


def least_of(members: Mapping[str, Node], default: int) -> int:
    """How many records a bucket must have to be shown, ``default`` or more."""
    if "min_doc_count" not in members:
        return default
    return members["min_doc_count"].whole(default, 2**53)


def bounds_of(
    node: Node | None, parse: Callable[[Node], float]
) -> tuple[float | None, float | None]:
    """The ends that ``min`` and ``max`` give; None is open."""
    if node is None:
        return None, None
    members = node.object(frozenset({"min", "max"}))
    low = parse(members["min"]) if "min" in members else None
    high = parse(members["max"]) if "max" in members else None
    if low is not None and high is not None and low > high:
        raise node.refuse("expected min not above max")
    return low, high
