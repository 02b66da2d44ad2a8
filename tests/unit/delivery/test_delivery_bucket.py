"""Delivery to a bucket: keys, bodies, rotation."""

import gzip
from pathlib import Path

import pytest
from delivery_world import LB, START, FakeEngine, FakeObjects, World, at_of, bucket_log
from fault_world import fault, object_lines, write_records

from simulator.delivery import FlowLogState
from simulator.errors import SinkError
from simulator.model.faults import Fault, FaultKind

NAME = f"{LB}_100.64.0.1"


async def test_an_object_holds_the_records_of_one_minute(tmp_path: Path) -> None:
    world = World(tmp_path, bucket_log())
    lines = await world.write(START, START + 59.999, START + 60, START + 200)
    await world.clock.advance(300)
    assert list(world.objects.objects) == [
        f"l7/fl-archive/2026/03/01/08/00/{NAME}_20260301T080000_00001.log",
        f"l7/fl-archive/2026/03/01/08/01/{NAME}_20260301T080100_00003.log",
        f"l7/fl-archive/2026/03/01/08/03/{NAME}_20260301T080300_00004.log",
    ]
    body, content_type, visible_at = next(iter(world.objects.objects.values()))
    assert body == lines[0] + b"\n" + lines[1] + b"\n"
    assert content_type == "application/octet-stream"
    assert START + 179.999 <= visible_at <= START + 180
    assert [line for _, line in world.objects.records()] == lines
    assert world.clock.next_timer_at() is None, "no object for an empty minute"
    await world.stop()


async def test_every_record_is_visible_within_the_range(tmp_path: Path) -> None:
    world = World(tmp_path, bucket_log())
    await world.write(*(START + second * 1.7 for second in range(150)))
    await world.clock.advance(300)
    delays = [visible_at - at_of(line) for visible_at, line in world.objects.records()]
    assert len(delays) == 150
    assert min(delays) >= 120
    assert max(delays) <= 180
    await world.stop()


async def test_gzip_objects_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    bodies = []
    for index in range(2):
        world = World(tmp_path / str(index), bucket_log(use_gzip=True))
        lines = await world.write(START, START + 1, START + 2)
        await world.clock.advance(300)
        ((key, (body, content_type, _)),) = world.objects.objects.items()
        assert key.endswith("_00001.log.gz")
        assert content_type == "application/gzip"
        assert gzip.decompress(body) == b"".join(line + b"\n" for line in lines)
        assert body[4:8] == bytes(4), "no time in the header"
        bodies.append(body)
        await world.stop()
    assert bodies[0] == bodies[1]


async def test_a_large_minute_is_cut_into_parts_in_order(tmp_path: Path) -> None:
    world = World(tmp_path, bucket_log(max_object_bytes=1000), max_segment_bytes=300)
    lines = await world.write(*(START + index * 0.5 for index in range(40)), pad=50)
    await world.clock.advance(300)
    assert len(world.objects.objects) > 3
    assert all(len(body) <= 1000 for body, _, _ in world.objects.objects.values())
    assert [line for _, line in world.objects.records()] == lines
    visible = [visible_at for visible_at, _ in world.objects.records()]
    assert visible == sorted(visible)
    await world.stop()


async def test_a_missing_bucket_loses_records_and_a_full_disk_does_not(tmp_path: Path) -> None:
    world = World(tmp_path, bucket_log())
    world.objects.buckets.clear()
    await world.write(START)
    await world.clock.advance(200)
    status = world.delivery.status()[0]
    assert (status.status, status.lost) == (FlowLogState.ABNORMAL, 1)

    def fill() -> None:
        raise OSError(28, "No space left on device")

    world.objects.buckets.add("shop-logs")
    world.objects.before = fill
    (line,) = await world.write(START + 300)
    await world.clock.advance(200)
    assert world.delivery.status()[0].pending == 1
    world.objects.before = lambda: None
    await world.clock.advance(120)
    assert [record for _, record in world.objects.records()] == [line]
    assert world.delivery.status()[0].objects == 1
    await world.stop()


def test_a_bucket_without_object_store_is_refused(tmp_path: Path) -> None:
    from delivery_world import FakeEngine

    from simulator.delivery.sinks import make_sink

    with pytest.raises(ValueError, match="archive"):
        make_sink(bucket_log(), FakeEngine(), None)


async def test_keys_follow_the_layout(tmp_path: Path) -> None:
    layout = "dt=%Y-%m-%d/{flow_log}.{node}.{start}.{sequence}"
    world = World(tmp_path, bucket_log(use_gzip=True, layout=layout))
    await world.write(START)
    await world.clock.advance(600)
    assert list(world.objects.objects) == [
        "l7/dt=2026-03-01/fl-archive.100.64.0.1.20260301T080000.00001.log.gz"
    ]
    await world.stop()


LEFT = {FaultKind.MULTI: 2, FaultKind.EMPTY: 2, FaultKind.LATE: 0}


@pytest.mark.parametrize("kind", LEFT)
@pytest.mark.parametrize("before", [True, False])
async def test_other_faults_after_a_crash_leave_nothing_of_those_before(
    tmp_path: Path, kind: FaultKind, before: bool
) -> None:
    """Killed when objects had been put and the cursor had not been moved."""
    engine, objects = FakeEngine(), FakeObjects()

    def begin(at: float, faults: list[Fault]) -> World:
        flow = bucket_log(use_gzip=True)
        return World(
            tmp_path / "s",
            flow,
            engine=engine,
            objects=objects,
            at=at,
            faults=faults,
            keep_bytes=1 << 30,
        )

    def killed() -> None:
        raise SinkError("killed", retryable=True)

    world = begin(START, [fault(kind)] if before else [])
    written = await write_records(world, *(START + second for second in range(10)))
    engine.before = killed
    await world.clock.advance_to(START + 179)
    left = len(objects.objects)
    world.abandon()
    engine.before = lambda: None
    world = begin(world.clock.time(), [] if before else [fault(kind)])
    await world.clock.advance_to(START + 20_000)
    assert left == (LEFT[kind] if before else 1)
    assert sorted(line for *_, line in object_lines(objects)) == sorted(written)
    told = {part.place(0).name for part in world.delivery.ledger.delivered("fl-archive")}
    empty = {key for key in objects.objects if key.endswith("-empty.log.gz")}
    assert told | empty == set(objects.objects)
    assert len(empty) == (kind is FaultKind.EMPTY and not before)
    await world.stop()
