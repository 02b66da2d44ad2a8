"""What shippers put into buckets when they are killed, or somebody meddles: all of it, and once."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bls_served import START_S, MemoryBuckets

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    ShipperSettings,
)


def make_shipper(engine: LogStoreEngine, settings: ShipperSettings) -> str:
    """A LogStore and what ships its records; the id of that."""
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    return engine.shippers.create(
        name="s",
        project="default",
        log_store="access",
        start="",
        start_ms=START_S * 1000,
        settings=settings,
    )


def run_jobs(engine: LogStoreEngine, after_s: float) -> None:
    """What is due so long after the start."""
    for job in engine.jobs:
        if (at := job.next_at()) is not None and at <= START_S + after_s:
            job.run(START_S + after_s)


class Dying(MemoryBuckets):
    """Takes objects until it is told to fall over after one."""

    dies = False

    def put_object(self, *args: object, **kwargs: object) -> None:
        super().put_object(*args, **kwargs)
        if self.dies:
            raise KeyboardInterrupt


def test_a_crash_between_object_and_cursor_neither_loses_nor_doubles(tmp_path: Path) -> None:
    clock = ManualClock(float(START_S))
    buckets = Dying()

    def opened() -> LogStoreEngine:
        engine = LogStoreEngine(tmp_path / "db", clock)
        engine.use_buckets(buckets)
        return engine

    engine = opened()
    make_shipper(engine, ShipperSettings(path="logs", max_object_mb=1))
    messages = [f"{n:03}" + "x" * 9997 for n in range(300)]
    engine.push("default", "access", [NewRecord(message=text) for text in messages])
    buckets.dies = True
    with pytest.raises(KeyboardInterrupt):
        run_jobs(engine, 300)
    assert len(buckets.objects["logs"]) == 1
    engine.close()
    buckets.dies = False
    engine = opened()
    assert engine.shippers.list_all()[0].shipped_seq == -1
    engine.push("default", "access", [NewRecord(message="after the crash")])
    run_jobs(engine, 300)
    shipped = b"".join(buckets.objects["logs"].values()).decode().splitlines()
    assert shipped == [*messages, "after the crash"]
    assert len(buckets.objects["logs"]) == 3
    engine.close()
    engine = opened()
    run_jobs(engine, 300)
    assert len(buckets.objects["logs"]) == 3
    (shipper,) = engine.shippers.list_all()
    assert [run.record_count for run in engine.shippers.runs(shipper.id, 0.0)] == [301]
    with pytest.raises(ControlError):
        engine.shippers.runs("unknown", 0.0)
    engine.close()


class Failing(MemoryBuckets):
    """Takes some objects, then no more until it is repaired."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    def put_object(self, *args: object, **kwargs: object) -> None:
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        super().put_object(*args, **kwargs)


CHANGED: dict[str, Callable[[ShipperSettings], ShipperSettings]] = {
    "nothing": lambda before: before,
    "directory": lambda before: replace(before, path="logs/elsewhere/"),
    "bucket": lambda before: replace(before, path="other/x/"),
    "partition": lambda before: replace(before, partition_format="%Y/"),
    "streams": lambda before: replace(before, partition_by_stream=True),
    "size": lambda before: replace(before, max_object_mb=64),
    "interval": lambda before: replace(before, interval_min=10),
    "compression": lambda before: replace(before, compression="gzip"),
}


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("changed", CHANGED)
def test_settings_that_change_within_a_window_leave_no_record_twice(
    tmp_path: Path, changed: str, *, is_killed: bool
) -> None:
    clock = ManualClock(float(START_S))
    buckets = Failing()
    buckets.objects["other"] = {}

    def opened() -> LogStoreEngine:
        engine = LogStoreEngine(tmp_path / "db", clock)
        engine.use_buckets(buckets)
        return engine

    def ship(engine: LogStoreEngine, at: float) -> None:
        clock.set_start(START_S + at)
        run_jobs(engine, at)

    engine = opened()
    id_ = make_shipper(engine, ShipperSettings(path="logs/here/", max_object_mb=1))
    messages = [f"{n:03}" + "x" * 9997 for n in range(300)]
    for stream, part in (("a", messages[:150]), ("b", messages[150:])):
        records = [NewRecord(message=text) for text in part]
        engine.push("default", "access", records, stream=stream)
    buckets.left = 2
    ship(engine, 300)
    assert engine.shippers.describe(id_).status == "Abnormal"
    assert len(buckets.objects["logs"]) == 2
    engine.shippers.update(id_, "", CHANGED[changed])
    if is_killed:
        engine.close()
        engine = opened()
    buckets.left = 1  # fails once more, with objects of both
    ship(engine, 900)
    buckets.left = 100
    ship(engine, 1800)
    assert engine.shippers.describe(id_).status == "Running"
    bodies = [body for bucket in buckets.objects.values() for body in bucket.values()]
    if changed == "compression":
        bodies = list(map(gzip.decompress, bodies))
    assert sorted(b"".join(bodies).decode().splitlines()) == messages
    assert engine.shippers.objects.stale(id_, ()) == []
    engine.close()


class Deleting(MemoryBuckets):
    """Somebody deletes the shipper with its first object; then the disk is full."""

    def __init__(self, engine: LogStoreEngine) -> None:
        super().__init__()
        self.engine = engine

    def put_object(self, *_args: object, **_kwargs: object) -> None:
        ids = [one.id for one in self.engine.shippers.list_all()]
        if not ids:
            raise OSError(28, "No space left on device")
        self.engine.shippers.delete(ids, strict=True)


def test_nothing_is_remembered_for_a_shipper_that_is_deleted_while_it_fails() -> None:
    engine = LogStoreEngine(None, ManualClock(float(START_S)))
    engine.use_buckets(Deleting(engine))
    id_ = make_shipper(engine, ShipperSettings(path="logs", partition_by_stream=True))
    for stream in ("a", "b"):
        engine.push("default", "access", [NewRecord(message="m")], stream=stream)
    run_jobs(engine, 300)
    assert engine.shippers.describe(id_).status == "Deleted"
    assert engine.shippers.objects.stale(id_, ()) == []
    engine.close()


class Busy(MemoryBuckets):
    """Somebody pushes to a stream that is shipped already, while another is."""

    def __init__(self, engine: LogStoreEngine) -> None:
        super().__init__()
        self.engine = engine
        self.left = 3

    def put_object(self, bucket: str, key: str, *args: object, **kwargs: object) -> None:
        super().put_object(bucket, key, *args, **kwargs)
        if self.left:
            self.left -= 1
            for stream in ("a", "b"):
                late = [NewRecord(message=f"late {stream} {self.left}")]
                self.engine.push("default", "access", late, stream=stream)


class Replaced(MemoryBuckets):
    """Somebody makes the LogStore anew once the first object is there."""

    def __init__(self, engine: LogStoreEngine) -> None:
        super().__init__()
        self.engine = engine

    def put_object(self, bucket: str, key: str, *args: object, **kwargs: object) -> None:
        super().put_object(bucket, key, *args, **kwargs)
        self.engine.delete_log_store("default", "access")
        self.engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
        for stream in ("a", "b"):
            self.engine.push("default", "access", [NewRecord(message="new")], stream=stream)


def ship_streams(buckets: Callable[[LogStoreEngine], MemoryBuckets]) -> list[str]:
    """Ship two windows by stream while ``buckets`` meddles; the lines, in order."""
    engine = LogStoreEngine(None, ManualClock(float(START_S)))
    busy = buckets(engine)
    engine.use_buckets(busy)
    make_shipper(engine, ShipperSettings(path="logs", partition_by_stream=True))
    for stream in ("a", "b", "c"):
        engine.push("default", "access", [NewRecord(message=f"first {stream}")], stream=stream)
    for window in (1, 2):
        run_jobs(engine, window * 300)
    engine.close()
    return sorted(b"".join(busy.objects["logs"].values()).decode().splitlines())


def test_records_that_come_while_streams_are_shipped_are_in_the_next_window() -> None:
    assert ship_streams(Busy) == sorted(
        [f"first {stream}" for stream in "abc"]
        + [f"late {stream} {left}" for stream in "ab" for left in range(3)]
    )


def test_a_logstore_that_is_made_anew_is_not_shipped_by_the_shipper_of_the_old() -> None:
    assert ship_streams(Replaced) == ["first a"]
