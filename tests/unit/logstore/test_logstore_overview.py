"""What LogStores hold, counted as records come and go."""

import threading
from contextlib import suppress

import pytest
from demo_store import NOW_MS, Store

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreSettings, QueryHandle, StoreLook
from simulator.logstore.database import Database

FOR_EVER = "SELECT count(*) FROM range(100000000) a(i), range(100000000) b(j) WHERE (i * j) % 7 = 3"
DAY_S = 86_400
DAY_MS = DAY_S * 1000


def look(store: Store) -> StoreLook:
    [found] = store.engine.overview.look().stores
    return found


def held(store: Store) -> tuple[int, int | None, int | None]:
    holding = look(store).holding
    assert holding is not None
    return holding.record_count, holding.oldest_ms, holding.newest_ms


def keep_days(store: Store, days: int) -> None:
    settings = LogStoreSettings(retention_days=days)
    store.engine.update_log_store("default", "demo", lambda _before: settings)


def test_what_has_come_is_added_to_what_was_known(store: Store) -> None:
    assert held(store) == (0, None, None)
    store.push("a", "b", at_ms=NOW_MS)
    assert held(store) == (2, NOW_MS, NOW_MS + 1)
    store.push("c", {"n": 1}, at_ms=NOW_MS - DAY_MS)
    assert held(store) == (4, NOW_MS - DAY_MS, NOW_MS + 1)
    assert held(store) == (4, NOW_MS - DAY_MS, NOW_MS + 1)
    store.push("x" * 100_000, at_ms=NOW_MS + 5)  # is followed by rows that are no records
    assert held(store) == (5, NOW_MS - DAY_MS, NOW_MS + 5)


def test_nothing_is_counted_twice_where_nothing_has_come(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.push("a")
    before = held(store)
    monkeypatch.setattr(Database, "reading", None)
    assert held(store) == before


async def test_what_has_expired_is_not_counted_whether_it_is_deleted_or_not(
    store: Store, clock: ManualClock
) -> None:
    keep_days(store, 2)
    store.push("old", at_ms=NOW_MS - DAY_MS)
    store.push("new", at_ms=NOW_MS)
    assert held(store)[0] == 2
    await clock.advance(DAY_S + 1)
    assert held(store) == (1, NOW_MS, NOW_MS)
    keep_days(store, 3)
    assert held(store)[0] == 2
    keep_days(store, 2)
    retention = store.engine.jobs[2]
    retention.run(clock.time(), lambda: False)
    keep_days(store, 3)
    assert held(store) == (1, NOW_MS, NOW_MS)
    await clock.advance(2 * DAY_S)
    assert held(store) == (0, None, None)


def test_one_made_anew_begins_with_nothing(store: Store) -> None:
    store.push("a")
    assert held(store)[0] == 1
    store.engine.delete_log_store("default", "demo")
    assert store.engine.overview.look().stores == ()
    store.engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    assert held(store) == (0, None, None)


def test_a_query_that_takes_for_ever_is_not_waited_for(store: Store) -> None:
    store.push("a", "b")
    begun, handle = threading.Event(), QueryHandle()

    def run() -> None:
        with suppress(ControlError), store.engine._database.querying(handle) as cursor:
            begun.set()
            cursor.execute(FOR_EVER)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    assert held(store)[0] == 2
    handle.cancel()
    thread.join()


def test_what_cannot_be_counted_in_time_is_unknown_until_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.push("a")
    with monkeypatch.context() as patch:
        patch.setattr(Database, "reading", _too_late)
        assert look(store).holding is None
    assert held(store)[0] == 1


def _too_late(*_: object) -> None:
    raise ControlError("ExecutionTimeout", 408, "")


async def test_one_that_is_not_ready_says_so(store: Store, clock: ManualClock) -> None:
    store.engine.ready_after_s = 10.0
    store.engine.create_log_store("default", "later", LogStoreSettings(retention_days=1))

    def refusals() -> list[str]:
        return [one.refusal for one in store.engine.overview.look().stores]

    assert refusals() == ["", "LogStoreNotReady"]
    await clock.advance(10)
    assert refusals() == ["", ""]
