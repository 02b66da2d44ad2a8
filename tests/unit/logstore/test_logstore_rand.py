"""What ``rand()`` draws: evenly, for each row, call and query anew, by the scenario's seed."""

from collections.abc import Callable, Iterator

import pytest
from demo_store import EVERYTHING, NOW_S, Store

from simulator.clock import ManualClock
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    RecordType,
    ViewStore,
)
from simulator.rng import Rng

COUNT = 2000
VIEW = LogStoreType.LOGSTORE_VIEW


def make(seed: int) -> Store:
    """LogStores with ``COUNT`` records, of an engine of that seed."""
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=2, rng=Rng(seed))
    for name in ("demo", "other"):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
    stores = [ViewStore(project="default", name=name) for name in ("demo", "other")]
    engine.views.create("default", "both", stores)
    for name, count in (("demo", COUNT), ("other", 10)):
        records = [
            NewRecord(message=f'{{"host": "h{number % 4}", "n": {number}}}')
            for number in range(count)
        ]
        for start in range(0, count, 1000):
            some = records[start : start + 1000]
            engine.push("default", name, some, record_type=RecordType.JSON)
    return Store(engine)


@pytest.fixture
def seeded() -> Iterator[Callable[[int], Store]]:
    """Makes LogStores of one seed or another."""
    made: list[Store] = []

    def make_one(seed: int) -> Store:
        made.append(make(seed))
        return made[-1]

    yield make_one
    for store in made:
        store.engine.close()


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[Store, Store]]:
    """Two of one seed: they stay alike as long as both are asked the same."""
    stores = make(7), make(7)
    yield stores
    for store in stores:
        store.engine.close()


def numbers(store: Store, query: str = "select rand()") -> list[float]:
    return [float(str(row[0])) for row in store.select(query)]


def test_numbers_are_even_and_of_each_row(seeded: Callable[[int], Store]) -> None:
    found = numbers(seeded(7))
    assert len(set(found)) == COUNT
    assert all(0.0 <= one < 1.0 for one in found)
    tenths = [sum(int(one * 10) == tenth for one in found) for tenth in range(10)]
    assert all(COUNT / 10 * 0.7 < count < COUNT / 10 * 1.3 for count in tenths)


def test_numbers_follow_from_the_seed_and_the_query_before(seeded: Callable[[int], Store]) -> None:
    one = seeded(7)
    first, second = numbers(one), numbers(one)
    assert first != second
    again = seeded(7)
    assert again.select("select count(*)") == [(COUNT,)]  # it draws nothing
    assert numbers(again) == first
    assert numbers(again) == second
    assert numbers(seeded(8)) != first


def test_two_calls_have_nothing_to_do_with_each_other(seeded: Callable[[int], Store]) -> None:
    store = seeded(7)
    query = "select a, b from (select rand() as a, rand() as b) where abs(a - b) < 0.1"
    near = store.select(query)
    assert 0.14 * COUNT < len(near) < 0.24 * COUNT  # 19% of independent ones
    assert all(abs(float(str(a)) - float(str(b))) < 0.1 for a, b in near)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("select rand() as r, count(*) as n group by host", 4),
        ("select rand(), sum(n)", 1),
        ("select host, count(*) as n group by host having rand() < 2 order by rand()", 4),
        ("select count(*) as n, rand() order by n", 1),
        ("select floor(rand() * 5) as bucket, count(*) as n group by bucket order by bucket", 5),
        ("select count(*), floor(rand() * 5) group by 2", 5),
        ("select count(*) group by floor(rand() * 5)", 5),
        ("select host where rand() < 2 order by rand() limit 3", 3),
        ("select distinct host order by rand()", 4),
        ("select distinct host, count(*) as n group by host order by rand()", 4),
        ("select r, count(*) from (select floor(rand() * 2) as r) group by r", 2),
        ("select max(r) from (select host, rand() as r, count(*) group by host)", 1),
        ("select max(rand()), min(rand()), count_if(rand() < 0.5)", 1),
        ("select max(rand()) having count(*) > 1", 1),
        ("match nowhere | select rand(), count(*)", 1),
    ],
)
def test_it_stands_wherever_an_expression_may(
    twins: tuple[Store, Store], query: str, count: int
) -> None:
    found, again = (store.select(query) for store in twins)
    assert len(found) == count
    assert again == found


def test_groups_draw_one_number_each_and_rows_their_own(seeded: Callable[[int], Store]) -> None:
    store = seeded(7)
    groups = store.select("select host, rand(), max(rand()), count(*) group by host")
    assert len({row[1] for row in groups}) == 4
    assert all(float(str(row[2])) > 0.98 for row in groups)
    sizes = store.select("select floor(rand() * 5) as b, count(*) group by b")
    assert sum(int(str(row[1])) for row in sizes) == COUNT


def test_elements_of_a_map_draw_their_own(seeded: Callable[[int], Store]) -> None:
    keys = ", ".join(str(number) for number in range(100))
    kept = f"map_filter(map(array[{keys}], array[{keys}]), (k, v) -> rand() < 0.5)"
    ((size,),) = seeded(7).select(f"select max(cardinality({kept}))")
    assert 20 < int(str(size)) < 95


def test_records_of_a_view_have_numbers_of_their_own(seeded: Callable[[int], Store]) -> None:
    def drawn(seed: int) -> list[tuple[object, ...]]:
        found = seeded(seed).engine.query(
            "default", "both", EVERYTHING, "select rand()", log_store_type=VIEW
        )
        return list(found.rows)

    # Both LogStores number their records alike, which came at one instant.
    assert len(set(drawn(7))) == COUNT + 10
    assert drawn(7) == drawn(7)
