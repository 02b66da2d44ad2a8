"""What the nodes of a parsed statement hold."""

from sqlglot import exp

from simulator.logstore.typed import Kind, parse_number


def is_bare_name(node: exp.Expr) -> bool:
    """Whether ``node`` is one word without quotes."""
    return isinstance(node, exp.Column) and [type(part) for part in node.parts] == [exp.Identifier]


def has_extras(node: exp.Expr, *known: str) -> bool:
    """Whether ``node`` carries anything beyond its ``known`` parts."""
    return any(part for key, part in node.args.items() if key not in known)


def position_of(node: exp.Expr) -> int | None:
    """Where ``node`` stands in the text that it was read from, as near as that is known."""
    for part in node.walk(bfs=False):  # what stands first
        start = part.meta.get("start")
        if start is not None:
            return int(start)
    return None


def literal_value(node: exp.Expr) -> str | int | float | None:
    """The value of a literal; None for anything else."""
    if isinstance(node, exp.Neg) and not isinstance(value := literal_value(node.this), str):
        return None if value is None else -value
    if not isinstance(node, exp.Literal):
        return None
    return str(node.this) if node.is_string else parse_number(str(node.this))


def kind_of_number(number: float) -> Kind:
    """What a number that is written out is."""
    return Kind.INT if isinstance(number, int) and abs(number) < 2**63 else Kind.FLOAT
