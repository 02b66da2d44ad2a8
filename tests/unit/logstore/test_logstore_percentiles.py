"""Percentiles with weights, against a plain reading of their definition."""

import json
import math
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, Store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings

SHARES = (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)
ASKED = f"array[{', '.join(map(str, SHARES))}]"

numbers = st.one_of(
    st.none(), st.integers(-5, 5), st.floats(-1e6, 1e6, allow_nan=False), st.just("x")
)
weights = st.one_of(st.none(), st.integers(-2, 1000), st.just("x"))
"""Whole, so that their totals do not depend on the order in which they are added."""
rows = st.lists(st.tuples(st.sampled_from("ab"), numbers, weights), max_size=30)


def expected(pairs: list[tuple[object, object]], share: float) -> float | None:
    """The first value at which the weights of all values up to it are the share of all weights."""
    counted = sorted(
        (float(value), weight)
        for value, weight in pairs
        if isinstance(value, int | float) and isinstance(weight, int) and weight > 0
    )
    whole = sum(weight for _, weight in counted)
    so_far = 0
    for value, weight in counted:
        so_far += weight
        if so_far >= share * whole:
            return value
    return None


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    yield Store(engine)
    engine.close()


def filled(store: Store, found: list[tuple[str, object, object]]) -> Store:
    if store.engine.has_log_store("default", "demo"):
        store.engine.delete_log_store("default", "demo")
    store.engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    store.push({"g": "a"}, *({"g": g, "v": value, "w": weight} for g, value, weight in found))
    return store


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows)
def test_weighted_percentiles_are_those_of_the_definition(
    shared: Store, found: list[tuple[str, object, object]]
) -> None:
    store = filled(shared, found)
    every = [(value, weight) for _, value, weight in found]
    [(cell,)] = store.select(f"select approx_percentile(v, w, {ASKED})")
    assert json.loads(str(cell)) == [expected(every, share) for share in SHARES]
    grouped = store.select(
        f"select g as k, approx_percentile(v, w, {ASKED}), count(*) as n group by k order by k"
    )
    for key, cell, count in grouped:
        group = [(value, weight) for g, value, weight in found if g == key]
        assert json.loads(str(cell)) == [expected(group, share) for share in SHARES]
        assert count == len(group) + (key == "a")


def test_weights_of_a_subquery_and_beside_comparisons(shared: Store) -> None:
    store = filled(shared, [("b", n % 7, 1) for n in range(70)])
    inner = "from (select v as x, count(*) as n where v is not null group by x)"
    assert store.select(f"select approx_percentile(x, n, 0.5), max(n) {inner}") == [(3.0, 10)]
    compared = store.select(
        f"select approx_percentile(x, n, 0.5), compare(x, 60) {inner} group by x"
    )
    assert [row[0] for row in compared] == [float(n) for n in range(7)]


def test_percentiles_with_weights_in_having_and_order(shared: Store) -> None:
    store = filled(shared, [("b", 5, 1), ("b", 9, 3), ("a", 1, 1)])
    found = store.select(
        "select g, max(v) group by g having approx_percentile(v, w, 0.5) > 0"
        " order by approx_percentile(v, w, 0.5) desc"
    )
    assert found == [("b", 9), ("a", 1)]


def test_other_aggregates_see_the_same_rows(shared: Store) -> None:
    store = filled(shared, [("b", n, n) for n in range(1, 5)])
    found = store.select(
        "match v >= 2 | select approx_percentile(v, w, 0.5), first(v), last(v), sum(v), g"
        " where v < 9 group by g"
    )
    assert found == [(3.0, 2, 4, 9, "b")]
    assert math.isclose(float(str(store.select("select avg(v)")[0][0])), 2.5)
