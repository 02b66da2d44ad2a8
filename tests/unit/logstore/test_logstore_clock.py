"""How far the clock had come is known from the file, whatever happened last."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.clock import ManualClock
from simulator.logstore import (
    AlarmContent,
    AlarmLevel,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    FastQueryContent,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    ShipperSettings,
    StoreName,
    TemplateContent,
    TemplateSettings,
    ViewStore,
)

START_S = 1_772_323_200
LATER_S = START_S + 2 * 86_400
STORE = ("default", "demo")
SETTINGS = LogStoreSettings(retention_days=1)


def make_shipper(engine: LogStoreEngine) -> None:
    engine.shippers.create(
        name="s",
        project=STORE[0],
        log_store=STORE[1],
        start="",
        start_ms=LATER_S * 1000,
        settings=ShipperSettings(path="logs"),
    )


def make_alarm(engine: LogStoreEngine) -> None:
    store = StoreName(project=STORE[0], log_store=STORE[1])
    content = AlarmContent(
        targets=(
            AlarmTarget(
                query="select count(*) as n", start_offset_min=-5, end_offset_min=0, store=store
            ),
        ),
        triggers=(AlarmTrigger(level=AlarmLevel.INFO, condition="$1.n == 0"),),
        schedule=AlarmSchedule(interval_min=1),
    )
    engine.alarms.create("a", content)


def make_template(engine: LogStoreEngine) -> None:
    content = TemplateContent(
        project_patterns=("*",),
        log_store_patterns=("*",),
        priority=1,
        settings=TemplateSettings(retention_days=1),
    )
    engine.templates.create("t", content)


def run_jobs(engine: LogStoreEngine) -> None:
    for job in engine.jobs:
        at = job.next_at()
        if at is not None and at <= LATER_S:
            job.run(LATER_S, lambda: False)


def query(project: str, log_store: str) -> FastQueryContent:
    return FastQueryContent(query="match *", project=project, log_store=log_store)


LAST: dict[str, Callable[[LogStoreEngine], object]] = {
    "a project": lambda engine: engine.create_project("p"),
    "a LogStore": lambda engine: engine.create_log_store("default", "other", SETTINGS),
    "an update": lambda engine: engine.update_log_store(*STORE, lambda before: before),
    "a push": lambda engine: engine.push(*STORE, [NewRecord(message="late")]),
    "a view": lambda engine: engine.views.create(
        "default", "v", [ViewStore(project=STORE[0], name=STORE[1])]
    ),
    "a fast query": lambda engine: engine.fast_queries.create("f", query(*STORE)),
    "a template": make_template,
    "a shipper": make_shipper,
    "an alarm policy": make_alarm,
}
BEFORE: dict[str, Callable[[LogStoreEngine], object]] = {
    "what was shipped": make_shipper,
    "what was evaluated": make_alarm,
    "what expired": lambda engine: engine.push(*STORE, [NewRecord(message="early")]),
}


@pytest.mark.parametrize("name", [*LAST, *BEFORE])
def test_the_instant_of_the_last_change_outlives_the_process(tmp_path: Path, name: str) -> None:
    clock = ManualClock(START_S)
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store(*STORE, SETTINGS)
    if name in BEFORE:
        BEFORE[name](engine)
    assert engine.newest_at() == START_S
    clock.set_start(LATER_S)
    (LAST.get(name) or run_jobs)(engine)
    engine.close()
    again = LogStoreEngine(tmp_path / "db", ManualClock(START_S))
    assert again.newest_at() == LATER_S
    again.close()
