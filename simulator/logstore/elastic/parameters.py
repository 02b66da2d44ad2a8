"""What several queries and aggregations are told alike: fields, bounds, shorthands."""

from collections.abc import Callable, Mapping

from simulator.logstore.elastic.document import Node


def field_and_body(node: Node) -> tuple[str, Node]:
    """The field that a query is about, and what it says of it."""
    name, body = node.single("field")
    return one_field(Node(name, node.path)), body


def one_field(node: Node) -> str:
    """The name of a field, which is no pattern."""
    name = node.name()
    if "*" in name:
        raise node.refuse("expected the name of one field, found a pattern")
    return name


def members_or(node: Node, name: str, known: frozenset[str]) -> dict[str, Node]:
    """The members of an object; a bare value stands for its member ``name``."""
    return node.object(known) if isinstance(node.value, dict) else {name: node}


def required(node: Node, members: Mapping[str, Node], name: str) -> Node:
    """A member that must be there."""
    found = members.get(name)
    if found is None:
        raise node.refuse(f"{name} is required")
    return found


def field_of(node: Node, members: Mapping[str, Node]) -> str:
    """The field that an aggregation is about."""
    return required(node, members, "field").name()


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
