"""Every function, clause, query and aggregation there is, asked for what does most harm.

Each has to end, by an answer or by an error in the vendor's form. With many and with large records,
and with their time and memory: ``python -m benchmarks.hostile_process``.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from demo_store import EVERYTHING, NOW_MS

from benchmarks.hostile import every_function, selects
from benchmarks.hostile_process import fill
from benchmarks.hostile_searches import AGGREGATIONS, QUERIES, bodies, statements
from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine
from simulator.logstore.functions import Function

LIMIT_S = 30.0
NAMED = [(f"{group}: {name}", name, function) for group, name, function in every_function()]
ANSWERED = "OK", 200
REFUSED = "InvalidParameter", 400


@pytest.fixture(scope="module")
def engine() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(
        None, ManualClock(NOW_MS / 1000), threads=2, memory_limit="256MB", query_limit_s=LIMIT_S
    )
    fill(engine, 20, 3000)
    yield engine
    engine.close()


def ended(ask: Callable[[], object]) -> tuple[str, int]:
    """The code and status of the answer, or of the error."""
    try:
        ask()
    except ControlError as error:
        return error.code, error.status
    return ANSWERED


def ask(engine: LogStoreEngine, statement: str) -> tuple[str, int]:
    """How a statement ends."""
    return ended(lambda: engine.query("default", "demo", EVERYTHING, statement))


def some_of(name: str, function: Function) -> list[str]:
    """The first, the last, which is nested deeply, and some between."""
    every = list(selects(name, function))
    return list(dict.fromkeys((*every[:: max(1, len(every) // 3)], every[-1])))


@pytest.mark.parametrize(
    ("name", "function"), [one[1:] for one in NAMED], ids=[o[0] for o in NAMED]
)
def test_every_function_ends(engine: LogStoreEngine, name: str, function: Function) -> None:
    found = [ask(engine, statement) for statement in some_of(name, function)]
    assert set(found) <= {ANSWERED, REFUSED}
    # What is refused before it runs would show nothing.
    assert found[0] == ANSWERED


@pytest.mark.parametrize("statement", [pytest.param(text, id=name) for name, text in statements()])
def test_every_clause_ends(engine: LogStoreEngine, statement: str) -> None:
    assert ask(engine, statement) in {ANSWERED, REFUSED}


def test_every_search_ends(engine: LogStoreEngine) -> None:
    for name, body in bodies():
        if name.endswith(("often", "sized", "within")):
            continue  # the same with more around it
        found = ended(partial(engine.elastic.search, "demo", body))
        assert found in {ANSWERED, REFUSED}, name


def test_every_query_and_aggregation_is_among_them(engine: LogStoreEngine) -> None:
    for body, known in (
        ({"query": {"none": {}}}, QUERIES),
        ({"aggs": {"a": {"none": {}}}}, AGGREGATIONS),
    ):
        with pytest.raises(ControlError) as caught:
            engine.elastic.search("demo", body)
        listed = caught.value.message.rpartition("expected ")[2].split(", ")
        assert sorted(known) == listed
