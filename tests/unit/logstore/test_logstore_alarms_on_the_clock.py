"""When alarm policies are evaluated: on the clock, after a stop, and after a restart."""

from dataclasses import replace
from pathlib import Path

import pytest
from demo_store import NOW_S as START_S

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    AlarmContent,
    AlarmLevel,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Selection,
    StoreName,
)

CONTENT = AlarmContent(
    targets=(
        AlarmTarget(
            query="select count(*) as n",
            start_offset_min=-5,
            end_offset_min=0,
            store=StoreName(project="default", log_store="access"),
        ),
    ),
    triggers=(AlarmTrigger(level=AlarmLevel.INFO, condition="$1.n == 0"),),
    schedule=AlarmSchedule(interval_min=1),
)


def test_schedules_give_their_instants() -> None:
    sunday = START_S  # 2026-03-01 08:00 at +08:00
    hourly = AlarmSchedule(interval_min=60)
    assert list(hourly.between(sunday, sunday + 7200.0, 10)) == [sunday + 3600, sunday + 7200]
    assert list(hourly.between(0.0, float(sunday), 2)) == [sunday - 3600, sunday]
    daily = AlarmSchedule(fix_time_min=8 * 60)
    assert daily.next_after(sunday - 1) == sunday
    assert daily.next_after(sunday) == sunday + 86_400
    monday = AlarmSchedule(fix_time_min=9 * 60, day_of_week=1)
    assert monday.next_after(sunday) == sunday + 86_400 + 3600
    assert AlarmSchedule(fix_time_min=9 * 60, day_of_week=7).next_after(sunday) == sunday + 3600
    assert list(daily.between(0.0, float(sunday), 2)) == [sunday - 86_400, sunday]
    assert list(monday.between(0.0, float(sunday), 1)) == [sunday - 6 * 86_400 + 3600]


def test_what_catches_up_is_asked_as_of_its_instant() -> None:
    """Retention has taken the records by then, and others have come."""
    clock = ManualClock(START_S + 600.0)
    engine = LogStoreEngine(None, clock)
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    query = "select count(*) as n, max(unix_timestamp(now()) - @timestamp / 1000) as age"
    content = replace(
        CONTENT,
        targets=(replace(CONTENT.targets[0], query=query, start_offset_min=-10),),
        triggers=(AlarmTrigger(level=AlarmLevel.INFO, condition="$1.n == 2 && $1.age == 600"),),
        schedule=AlarmSchedule(fix_time_min=8 * 60 + 20),
    )
    engine.alarms.create("daily", content)
    engine.push("default", "access", [NewRecord(message=text) for text in ("one", "two")])
    clock.set_start(START_S + 30 * 86_400.0)
    late = NewRecord(message="late", timestamp_ms=(START_S + 660) * 1000)
    engine.push("default", "access", [late])
    for job in engine.jobs:
        if (at := job.next_at()) is not None and at <= clock.time() + 3600:
            job.run(clock.time() + 3600)
    found = engine.alarms.list_executions(START_S, 2**40)
    states = [(one.at - START_S, one.state) for one in found]
    assert states[:2] == [(1200, "ALERT"), (1200 + 86_400, "OK")]
    everything = Selection(start_ms=0, end_ms=2**53)
    assert engine.query("default", "access", everything, "select count(*)").rows == ((0,),)
    engine.close()


class Stop:
    """Stops a job once somebody has asked it so often."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_stop_leaves_the_rest_for_another_time() -> None:
    engine = LogStoreEngine(None, ManualClock(float(START_S)))
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    for name in ("one", "two"):
        engine.alarms.create(name, CONTENT)
    noon = START_S + 4 * 3600.0
    engine.alarms.run(noon, Stop(after=20))
    assert len(engine.alarms.list_executions(0, 2**40)) == 10
    engine.alarms.run(noon)
    found = [(one.policy_name, one.at) for one in engine.alarms.list_executions(0, 2**40)]
    assert len(found) == len(set(found)) == 200  # the newest 100 of each
    engine.close()


def test_a_statement_that_a_stop_interrupts_has_no_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = LogStoreEngine(None, ManualClock(float(START_S)))
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    engine.alarms.create("one", CONTENT)

    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise ControlError("ExecutionTimeout", 408, "stopped")

    with monkeypatch.context() as patched:
        patched.setattr(engine.alarms, "_query", interrupted)
        engine.alarms.run(START_S + 60.0, Stop(after=1))
    assert engine.alarms.list_executions(0, 2**40) == []
    engine.alarms.run(START_S + 60.0)
    (execution,) = engine.alarms.list_executions(0, 2**40)
    assert execution.state == "ALERT"
    engine.close()


def test_policies_outlive_the_process(tmp_path: Path) -> None:
    clock = ManualClock(float(START_S))
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    engine.alarms.create("quiet", CONTENT)
    engine.alarms.run(START_S + 86_400.0)  # passes 1440 instants, evaluates the newest 100
    assert len(engine.alarms.list_executions(0, 2**40)) == 100
    before = (engine.alarms.list_policies(), engine.alarms.list_alarms())
    engine.close()
    again = LogStoreEngine(tmp_path / "db", clock)
    assert (again.alarms.list_policies(), again.alarms.list_alarms()) == before
    (alarm,) = again.alarms.list_alarms()
    found = again.alarms.executions_of(alarm)
    assert (len(found), found[0].at, found[-1].at) == (
        100,
        START_S + 86_400,
        alarm.began_at,
    )
    assert again.alarms.next_at() == START_S + 86_400 + 60
    again.alarms.run(START_S + 86_400 + 60.0)
    assert again.alarms.list_alarms() == [alarm]
    assert len(again.alarms.executions_of(alarm)) == 100  # of 101 the newest
    again.close()
