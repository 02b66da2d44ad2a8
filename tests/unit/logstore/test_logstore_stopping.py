"""Queries that are stopped, and LogStores that change while they are read."""

import threading
from collections.abc import Callable

import duckdb
import pytest

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    LedgerChange,
    LedgerEntry,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    QueryHandle,
    RecordType,
    Selection,
)
from simulator.logstore import queries as queries_module

EVERYTHING = Selection(start_ms=0, end_ms=2**53)
FOR_EVER = "SELECT count(*) FROM range(100000000) a(i), range(100000000) b(j) WHERE (i * j) % 7 = 3"


@pytest.fixture
def statement_for_ever(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes the size of a scan take longer than anybody lives; set once it has begun."""
    begun = threading.Event()

    def scan(cursor: duckdb.DuckDBPyConnection, *_: object) -> tuple[int, int]:
        begun.set()
        cursor.execute(FOR_EVER)
        raise AssertionError("it ended")

    monkeypatch.setattr(queries_module, "_scan_size", scan)
    return begun


def engine_of(query_limit_s: float = 60.0) -> LogStoreEngine:
    engine = LogStoreEngine(
        None, ManualClock(1_772_323_200.0), threads=1, query_limit_s=query_limit_s
    )
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    return engine


def error_of(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ControlError) as caught:
        call()
    return caught.value.code, caught.value.status


def stopped_by(
    engine: LogStoreEngine, begun: threading.Event, stop: Callable[[QueryHandle], object]
) -> tuple[str, int]:
    """How a query ends that ``stop`` is called during."""
    found: list[tuple[str, int]] = []
    handle = QueryHandle()

    def ask() -> None:
        found.append(
            error_of(
                lambda: engine.query("default", "demo", EVERYTHING, "match *", Paging(), handle)
            )
        )

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(20)
    stop(handle)
    thread.join(20)
    assert found
    return found[0]


def test_query_beyond_its_time_is_an_execution_timeout(
    statement_for_ever: threading.Event,
) -> None:
    engine = engine_of(query_limit_s=0.01)
    found = error_of(lambda: engine.query("default", "demo", EVERYTHING, "match *"))
    assert found == ("ExecutionTimeout", 408)
    engine.close()


def test_the_limit_of_queries_is_none_of_the_ledger() -> None:
    engine = engine_of(query_limit_s=0.0)
    entry = LedgerEntry(
        flow_log_id="fl-1",
        series_key="lb-1_100.64.0.1",
        piece="",
        first_seq=1,
        last_seq=1,
        record_count=1,
        byte_count=1,
        first_at=0.0,
        last_at=0.0,
        due_at=0.0,
        done_at=0.0,
        outcome="visible",
        reason="",
        destination="default/demo",
        name="stream",
        first_place=1,
        tries=1,
    )
    count = 10 * 2048
    engine.deliveries.commit_cursor("cursor", 1, LedgerChange(entries=[entry] * count))
    watchdog = engine._database._watchdog
    interrupted = threading.Event()
    with watchdog.watching(interrupted.set, 0.0):
        assert interrupted.wait(10.0)
        rows = engine.deliveries.ledger.entries()
        assert next(rows) == entry
        interrupted.clear()
        assert interrupted.wait(10.0), "the watchdog has looked at all since"
        assert sum(1 for _ in rows) == count - 1
    engine.close()


def test_query_ends_when_the_engine_is_closed(statement_for_ever: threading.Event) -> None:
    engine = engine_of()
    found = stopped_by(engine, statement_for_ever, lambda _: engine.close())
    assert found == ("ExecutionTimeout", 408)


def test_query_ends_when_queries_are_interrupted_and_the_next_one_works(
    statement_for_ever: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of()
    found = stopped_by(engine, statement_for_ever, lambda _: engine.interrupt_queries())
    assert found == ("ExecutionTimeout", 408)
    monkeypatch.undo()
    assert engine.query("default", "demo", EVERYTHING, "select count(*)").rows == ((0,),)
    engine.close()


def test_query_ends_when_its_handle_is_cancelled(statement_for_ever: threading.Event) -> None:
    engine = engine_of()
    found = stopped_by(engine, statement_for_ever, QueryHandle.cancel)
    assert found == ("ExecutionTimeout", 408)
    engine.close()


def test_query_whose_handle_was_cancelled_does_not_begin() -> None:
    engine = engine_of()
    handle = QueryHandle()
    handle.cancel()
    found = error_of(
        lambda: engine.query("default", "demo", EVERYTHING, "match *", Paging(), handle)
    )
    assert found == ("ExecutionTimeout", 408)
    engine.close()


def test_query_after_close_is_refused() -> None:
    engine = engine_of()
    engine.close()
    found = error_of(lambda: engine.query("default", "demo", EVERYTHING, "match *"))
    assert found == ("ExecutionTimeout", 408)


@pytest.mark.parametrize(
    "read",
    [
        lambda engine: engine.query("default", "demo", EVERYTHING, "match *"),
        lambda engine: engine.query("default", "demo", EVERYTHING, "select count(*)"),
        lambda engine: engine.pull("default", "demo", EVERYTHING),
        lambda engine: engine.pull_matching(
            "default", "demo", EVERYTHING, "match level:1", Paging()
        ),
    ],
)
def test_log_store_deleted_before_it_is_read_is_not_found(
    read: Callable[[LogStoreEngine], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of()
    push_json(engine, '{"level": 1}')
    member = engine._origins._member

    def delete_first(*args: object) -> object:
        engine.delete_log_store("default", "demo")
        return member(*args)

    monkeypatch.setattr(engine._origins, "_member", delete_first)
    assert error_of(lambda: read(engine)) == ("LogStoreNotFound", 404)
    engine.close()


def test_field_discovered_while_a_query_runs_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engine_of()
    push_json(engine, '{"level": 1}')
    scan = queries_module._scan_size

    def push_after(*args: object) -> tuple[int, int]:
        size = scan(*args)
        push_json(engine, '{"level": 2, "new": "x"}')
        return size

    monkeypatch.setattr(queries_module, "_scan_size", push_after)
    result = engine.query("default", "demo", EVERYTHING, "select level, new")
    assert result.rows == ((1, None),)
    engine.close()


def push_json(engine: LogStoreEngine, message: str) -> None:
    engine.push("default", "demo", [NewRecord(message=message)], record_type=RecordType.JSON)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_numbers_beyond_64_bits_are_refused(number: int) -> None:
    engine = engine_of()
    for record in (
        NewRecord(message="x", sequence=number),
        NewRecord(message="x", timestamp_ms=number),
    ):
        found = error_of(lambda record=record: engine.push("default", "demo", [record]))
        assert found == ("InvalidParameter", 400)
    engine.push("default", "demo", [NewRecord(message="x", sequence=2**63 - 1)])
    page = engine.pull("default", "demo", EVERYTHING)
    assert [record.sequence for record in page.records] == [2**63 - 1]
    engine.close()


def test_missing_log_store_is_named_to_its_manager_and_not_to_its_reader() -> None:
    engine = engine_of()
    messages: list[str] = []
    for call in (
        lambda: engine.push("default", "gone", [NewRecord(message="x")]),
        lambda: engine.pull("default", "gone", EVERYTHING),
        lambda: engine.pull_matching("default", "gone", EVERYTHING, "match *", Paging()),
        lambda: engine.query("default", "gone", EVERYTHING, "match *"),
        lambda: engine.describe_log_store("default", "gone"),
        lambda: engine.delete_log_store("default", "gone"),
        lambda: engine.list_streams("default", "gone"),
    ):
        with pytest.raises(ControlError) as caught:
            call()
        assert (caught.value.code, caught.value.status) == ("LogStoreNotFound", 404)
        messages.append(caught.value.message)
    assert messages == ["LogStore not found"] * 4 + ["LogStore [gone] not exists"] * 3
    engine.close()


@pytest.mark.parametrize(
    ("item", "name", "instead"),
    [
        ("median(x)", "median", "approx_percentile(x, 0.5)"),
        ("array_agg(x)", "array_agg", "group_array"),
        ("countt(*)", "countt", "count"),
        ("map_key(x)", "map_key", "map_keys"),
    ],
)
def test_function_that_is_not_simulated_is_named_with_what_serves_instead(
    item: str, name: str, instead: str
) -> None:
    engine = engine_of()
    with pytest.raises(ControlError) as caught:
        engine.query("default", "demo", EVERYTHING, f"select {item}")
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    _, _, said = caught.value.message.partition(f"the function {name} is not simulated")
    assert instead in said
    engine.close()


@pytest.mark.parametrize("query", ["select count(*) group by", "select count(*) order by"])
def test_clause_without_expressions_is_refused(query: str) -> None:
    engine = engine_of()
    found = error_of(lambda: engine.query("default", "demo", EVERYTHING, query))
    assert found == ("InvalidParameter", 400)
    engine.close()


def test_back_ticks_make_a_field_of_a_function_name() -> None:
    engine = engine_of()
    push_json(engine, '{"localtime": "12:00"}')
    result = engine.query("default", "demo", EVERYTHING, "select `localtime`")
    assert result.rows == (("12:00",),)
    engine.close()
