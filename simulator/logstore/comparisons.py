"""Comparisons of the SQL part, of values of any kinds.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu: what cannot be compared gives NULL.
"""

from collections.abc import Sequence

from simulator.logstore.typed import (
    NUMERIC,
    TEXTUAL,
    Kind,
    Typed,
    as_number,
    as_text,
    as_time,
)

_FEW = 4
"""Items of a list that DuckDB may make comparisons of."""


def compare(left: Typed, operator: str, right: Typed) -> str:
    """SQL for a comparison: whichever side cannot be converted is NULL."""
    kinds = {left.kind, right.kind}
    if Kind.TIME in kinds:
        return f"({as_time(left)} {operator} {as_time(right)})"
    if kinds & NUMERIC:
        return f"({as_number(left)} {operator} {as_number(right)})"
    if Kind.BOOL in kinds:
        return f"({_truth(left)} {operator} {_truth(right)})"
    return f"({as_text(left)} {operator} {as_text(right)})"


def _truth(value: Typed) -> str:
    return value.sql if value.kind is Kind.BOOL else f"TRY_CAST({value.sql} AS BOOLEAN)"


def is_in(value: Typed, items: Sequence[Typed]) -> str:
    """SQL for whether ``value`` is one of ``items``."""
    kinds = {value.kind, *(item.kind for item in items)}
    if kinds <= TEXTUAL:
        return _one_of(value.sql, [item.sql for item in items])
    if value.kind in NUMERIC:
        return _one_of(value.sql, [as_number(item) for item in items])
    if value.kind in TEXTUAL:
        # Each list is converted to once, however many items it has.
        numbers = [as_number(item) for item in items if item.kind in NUMERIC]
        texts = [item.sql for item in items if item.kind in TEXTUAL]
        others = [item for item in items if item.kind not in NUMERIC | TEXTUAL]
        parts = [compare(value, "=", item) for item in others]
        if numbers:
            parts.append(_one_of(as_number(value), numbers))
        if texts:
            parts.append(_one_of(value.sql, texts))
        return f"({' OR '.join(parts)})"
    return "(" + " OR ".join(compare(value, "=", item) for item in items) + ")"


def _one_of(value: str, items: Sequence[str]) -> str:
    """SQL for whether a value is one of ``items``.

    A few are compared one by one: DuckDB would do the same with copies that nobody has counted.
    """
    if len(items) > _FEW:
        return f"({value} IN ({', '.join(items)}))"
    return "(" + " OR ".join(f"{value} = {item}" for item in items) + ")"
