"""The functions of the SQL part: one allow-list. What is not in it is refused by name."""

import difflib
from collections.abc import Mapping
from typing import Final

from simulator.logstore.addresses import ADDRESSES
from simulator.logstore.aggregates import AGGREGATES, COLLECTING, ESTIMATES, count_of_each
from simulator.logstore.calls import Call, Function, aggregate, scalar
from simulator.logstore.containers import CONTAINERS, JSON
from simulator.logstore.scalars import CONDITIONAL, MATH
from simulator.logstore.spellings import INSTEAD_OF_FUNCTION
from simulator.logstore.texts import TEXTS
from simulator.logstore.times import TIMES, bucket
from simulator.logstore.typed import Typed


def _comparing(call: Call) -> Typed:
    raise call.refuse("stands alone as something to select from a subquery")


HISTOGRAM: Final = "histogram"
"""The one name that two functions have; the number of arguments tells them apart."""
COMPARING: Final[Mapping[str, Function]] = {
    "compare": scalar("compare(x, seconds, ...)", 2, 10, _comparing),
    "ts_compare": scalar("ts_compare(x, seconds, ...)", 2, 10, _comparing),
}
"""Written by the compiler itself, which knows the subquery."""

GROUPS: Final[Mapping[str, Mapping[str, Function]]] = {
    "Aggregates": AGGREGATES,
    "Estimates": ESTIMATES,
    "Text": TEXTS,
    "Mathematics": MATH,
    "Date and time": TIMES,
    "Buckets of time": {HISTOGRAM: scalar("histogram(t, interval n unit)", 2, 2, bucket)},
    "Conditions": CONDITIONAL,
    "Comparison over time": COMPARING,
    "Maps and arrays": {
        HISTOGRAM: aggregate("histogram(x)", 1, 1, count_of_each),
        **COLLECTING,
        **CONTAINERS,
    },
    "JSON": JSON,
    "IPv4": ADDRESSES,
}
"""As the docs list them."""
FUNCTIONS: Final[Mapping[str, Function]] = {
    name: function for group in GROUPS.values() for name, function in group.items()
}
RANDOM: Final = "rand"
"""Has another value for each row, whatever its arguments."""
BARE_FUNCTIONS: Final = frozenset(
    {"current_date", "current_timestamp", "current_timezone", "localtime"}
)
"""Functions that are called without parentheses too."""


def find_function(name: str, argument_count: int) -> Function | None:
    """The function ``name``, or None."""
    if name == HISTOGRAM and argument_count > 1:
        return GROUPS["Buckets of time"][HISTOGRAM]
    return FUNCTIONS.get(name)


def describe_missing(name: str) -> str:
    """That there is no function ``name``, and what there is instead."""
    close = difflib.get_close_matches(name, FUNCTIONS, n=3, cutoff=0.6)
    if name in INSTEAD_OF_FUNCTION:
        return f"the function {name} is not simulated; use {INSTEAD_OF_FUNCTION[name]}"
    if close:
        return f"the function {name[:60]} is not simulated; did you mean {' or '.join(close)}?"
    known = ", ".join(sorted([*FUNCTIONS, "cast", "if"]))
    return f"the function {name[:60]} is not simulated; simulated are {known}"
