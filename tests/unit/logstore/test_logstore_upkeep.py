"""Work on the clock, and the retention that is done there."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random

import duckdb
import pytest

from simulator.clock import ClockMode, ManualClock, SimulatedClock
from simulator.errors import SinkError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, Selection, Upkeep
from simulator.logstore import retention as retention_module

HOUR, DAY = 3600.0, 86_400.0
START_S = 1_772_323_200  # a full hour
ALL = Selection(start_ms=0, end_ms=2**50)


class Ticks:
    """A job that is due every ten seconds."""

    def __init__(self) -> None:
        self.at: float | None = START_S + 10.0
        self.runs: list[float] = []
        self.failing = 0

    def next_at(self) -> float | None:
        return self.at

    def run(self, now: float, _is_stopped: Callable[[], bool]) -> None:
        self.runs.append(now - START_S)
        if self.failing:
            self.failing -= 1
            raise SinkError("the disk is full", retryable=True)
        self.at = now + 10.0


@pytest.fixture
async def spawn() -> Callable[[Coroutine[None, None, None], str], object]:
    tasks = set()

    def start(work: Coroutine[None, None, None], name: str) -> object:
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks.add(task)
        return task

    return start


async def test_jobs_run_when_they_are_due_and_not_once_it_is_closed(spawn) -> None:
    clock, job = ManualClock(START_S), Ticks()
    upkeep = Upkeep([job], clock, spawn)
    clock.start()
    await clock.advance(60)
    assert job.runs == []
    upkeep.start()
    await clock.advance(0)
    await clock.advance(9)
    await clock.advance(1)
    assert job.runs == [60, 70]
    job.at = None
    upkeep.look()
    await clock.advance(60)
    assert job.runs == [60, 70]
    job.at = START_S + 131.0
    upkeep.look()
    await upkeep.aclose()
    await upkeep.aclose()
    await clock.advance(60)
    assert job.runs == [60, 70]


class Endless(Ticks):
    """A job that comes to its end only when it is stopped, by an error."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def run(self, now: float, is_stopped: Callable[[], bool]) -> None:
        self.runs.append(now - START_S)
        self.begun.set()
        while not is_stopped():
            pass
        raise SinkError("interrupted", retryable=True)


async def test_what_runs_is_stopped_and_what_is_due_behind_it_does_not_begin(
    spawn, caplog: pytest.LogCaptureFixture
) -> None:
    clock, job, other = ManualClock(START_S), Endless(), Ticks()
    upkeep = Upkeep([job, other], clock, spawn)
    clock.start()
    upkeep.start()
    advance = asyncio.create_task(clock.advance(10))
    await asyncio.to_thread(job.begun.wait)
    await upkeep.aclose()
    await advance
    assert (job.runs, other.runs) == ([10], [])
    assert caplog.records == []


async def test_a_job_that_fails_runs_again_a_minute_later(
    spawn, caplog: pytest.LogCaptureFixture
) -> None:
    clock, job, other = ManualClock(START_S), Ticks(), Ticks()
    job.failing = 1
    upkeep = Upkeep([job, other], clock, spawn)
    clock.start()
    upkeep.start()
    await clock.advance(10)
    await clock.advance(10)
    assert (job.runs, other.runs) == ([10], [10, 20])
    assert "Ticks failed: the disk is full" in caplog.text
    await clock.advance(50)
    assert (job.runs, other.runs) == ([10, 70], [10, 20, 70])
    await upkeep.aclose()


async def test_upkeep_is_no_reason_for_a_clock_to_jump(spawn) -> None:
    clock, job = SimulatedClock(ClockMode.AUTO, start_at=START_S), Ticks()
    upkeep = Upkeep([job], clock, spawn)
    clock.start()
    upkeep.start()
    reached = asyncio.Event()
    clock.call_at(START_S + 35.0, reached.set)
    await reached.wait()
    await upkeep.aclose()
    assert len(job.runs) == 1
    assert job.runs[0] >= 35
    clock.stop()


async def test_expired_records_are_deleted_from_the_database(
    spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "SLICE_ROWS", 7)
    clock = ManualClock(START_S)
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store("default", "short", LogStoreSettings(retention_days=1))
    engine.create_log_store("default", "kept", LogStoreSettings(retention_days=-1))
    for store in ("short", "kept"):
        engine.push(
            "default",
            store,
            [NewRecord(message=f"m{n}", timestamp_ms=START_S * 1000 + n) for n in range(20)],
        )
    engine.push(
        "default", "short", [NewRecord(message="new", timestamp_ms=(START_S + 7200) * 1000)]
    )
    upkeep = Upkeep(engine.jobs, clock, spawn)
    clock.start()
    upkeep.start()

    async def left(store: str) -> list[str]:
        page = await asyncio.to_thread(engine.pull, "default", store, ALL)
        return [record.message for record in page.records]

    await clock.advance(DAY + 2)
    assert await left("short") == ["new"]  # hidden, not yet deleted
    await clock.advance(HOUR - 2)
    await upkeep.aclose()
    engine.close()
    with duckdb.connect(str(tmp_path / "db"), read_only=True) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM records_{n}").fetchone()[0] for n in (2, 3)
        ]
    assert counts == [1, 20]
    again = LogStoreEngine(tmp_path / "db", clock)
    again.push("default", "short", [NewRecord(message="later")])
    page = again.pull("default", "short", ALL)
    assert [record.message for record in page.records] == ["new", "later"]
    again.close()


def retention_of(engine: LogStoreEngine) -> retention_module.Retention:
    return next(job for job in engine.jobs if isinstance(job, retention_module.Retention))


def test_the_file_does_not_grow_with_what_has_expired(tmp_path: Path) -> None:
    clock = ManualClock(START_S)
    engine = LogStoreEngine(tmp_path / "db", clock, load_from=(tmp_path,))
    engine.create_log_store("default", "short", LogStoreSettings(retention_days=1))
    draw = Random(7)
    sizes = []
    for day in range(0, 10, 2):
        at_ms = int(START_S + day * DAY) * 1000
        segment = tmp_path / "segment"
        segment.write_text(
            "".join(f'{at_ms + n}\t{{"x":"{draw.getrandbits(2048):x}"}}\n' for n in range(10_000))
        )
        engine.deliveries.deliver_segments(
            project="default",
            log_store="short",
            stream="s",
            paths=[segment],
            cursor="c",
            position=day,
        )
        retention_of(engine).run(START_S + (day + 2) * DAY)
        sizes.append((tmp_path / "db").stat().st_size)
    engine.close()
    assert max(sizes) < 2 * sizes[0]


def test_space_is_given_back_later_when_it_could_not_be(tmp_path: Path) -> None:
    engine = LogStoreEngine(tmp_path / "db", ManualClock(START_S))
    engine.create_log_store("default", "short", LogStoreSettings(retention_days=1))
    engine.push("default", "short", [NewRecord(message="m")])
    answers = [True, False]
    engine._database.reclaim = answers.pop
    for hour in range(4):
        retention_of(engine).run(START_S + 2 * DAY + hour * HOUR)
    assert answers == []
    engine.close()
