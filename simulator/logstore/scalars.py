"""Mathematical and conditional functions of the SQL part.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.calls import Call, Function, Write, scalar, unify
from simulator.logstore.typed import (
    WHOLE,
    Kind,
    Typed,
    as_double,
    as_huge,
    as_number,
    finite,
    fitting,
)


def _of_double(template: str, kind: Kind = Kind.FLOAT) -> Write:
    def write(call: Call) -> Typed:
        return Typed(template.format(*(as_double(value) for value in call.values())), kind)

    return write


def _abs(call: Call) -> Typed:
    value = call.value(0)
    if value.kind in WHOLE:
        return Typed(fitting(f"abs({as_huge(value)})"), Kind.INT)
    return Typed(f"abs({as_number(value)})", Kind.FLOAT)


def _round(call: Call) -> Typed:
    digits = int(call.literal_number(1)) if len(call.arguments) > 1 else 0
    if not -15 <= digits <= 15:
        raise call.refuse("the second argument must be from -15 to 15")
    value = call.value(0)
    if value.kind is Kind.INT and digits >= 0:
        return value
    if value.kind is Kind.INT:
        return Typed(fitting(f"round({as_huge(value)}, {digits})"), Kind.INT)
    return Typed(f"round({as_number(value)}, {digits})", Kind.FLOAT)


def _extreme(call: Call) -> Typed:
    """NULL if any argument is."""
    parts, pattern = unify(call.values())
    nulls = " OR ".join(f"{part} IS NULL" for part in parts)
    extreme = f"{call.name}({', '.join(parts)})"
    return Typed(f"CASE WHEN {nulls} THEN NULL ELSE {extreme} END", pattern.kind)


def _rand(call: Call) -> Typed:
    """From 0 up to 1; another number for each row, each call and each query.

    Source: assumed (a run that is repeated with its scenario's seed draws what it drew before).
    """
    seed = call.scope.drawn(call.at or 0)
    # Hashed twice: two seeds tell rows apart in unlike ways. 53 bits are what a DOUBLE holds.
    hashed = f"hash(xor(hash({call.place}), CAST({seed} AS UBIGINT)))"
    return Typed(f"(({hashed} >> 11) / {2**53}.0::DOUBLE)", Kind.FLOAT)


def _coalesce(call: Call) -> Typed:
    parts, pattern = unify(call.values())
    return Typed(
        f"coalesce({', '.join(parts)})", pattern.kind, pattern.items, pattern.keys, pattern.style
    )


def _nullif(call: Call) -> Typed:
    one, other = call.values()
    (left, right), _ = unify((one, other))
    return Typed(
        f"CASE WHEN {left} = {right} THEN NULL ELSE {one.sql} END",
        one.kind,
        one.items,
        one.keys,
        one.style,
    )


MATH: Final[Mapping[str, Function]] = {
    "abs": scalar("abs(x)", 1, 1, _abs),
    "ceil": scalar("ceil(x)", 1, 1, _of_double("TRY_CAST(ceil({0}) AS BIGINT)", Kind.INT)),
    "floor": scalar("floor(x)", 1, 1, _of_double("TRY_CAST(floor({0}) AS BIGINT)", Kind.INT)),
    "greatest": scalar("greatest(a, b, ...)", 1, 100, _extreme),
    "least": scalar("least(a, b, ...)", 1, 100, _extreme),
    "ln": scalar("ln(x)", 1, 1, _of_double(finite("ln({0})"))),
    "log": scalar("log(x), to the base 2", 1, 1, _of_double(finite("log2({0})"))),
    "pow": scalar("pow(x, p)", 2, 2, _of_double(finite("pow({0}, {1})"))),
    "rand": scalar("rand()", 0, 0, _rand),
    "round": scalar("round(x[, digits])", 1, 2, _round),
    "sqrt": scalar("sqrt(x)", 1, 1, _of_double(finite("sqrt({0})"))),
}

CONDITIONAL: Final[Mapping[str, Function]] = {
    "coalesce": scalar("coalesce(a, b, ...)", 1, 100, _coalesce),
    "nullif": scalar("nullif(a, b)", 2, 2, _nullif),
}
