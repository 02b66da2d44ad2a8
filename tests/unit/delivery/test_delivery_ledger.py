"""The ledger says of every record what the destinations show."""

import json
from collections import Counter
from pathlib import Path

import pytest
from delivery_world import LB, NODE, START, FakeEngine, FakeObjects, World, bucket_log, flow_log

from simulator.clock import ManualClock
from simulator.delivery import (
    Archive,
    Delivery,
    FlowLogVersion,
    Ledger,
    PassageState,
    segment_quantum_s,
)
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, Selection
from simulator.rng import Rng
from simulator.spool import Spool

SERIES = f"{LB}_{NODE}"
KEEP = 1 << 30


def ids_of(ledger: Ledger, flow_log_id: str) -> list[str]:
    return [
        lines.ledger_id(index)
        for lines in ledger.delivered(flow_log_id)
        for index in range(lines.record_count)
    ]


async def test_the_life_of_a_record(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), bucket_log(), keep_bytes=KEEP)
    lines = await world.write(*(START + index for index in range(100)))
    ledger = world.delivery.ledger
    [ledger_id] = ledger.find(lines[40])
    waiting = ledger.life(ledger_id)
    assert (waiting.line, waiting.logged_at) == (lines[40], START + 40)
    assert (waiting.load_balancer_id, waiting.node_address) == (LB, NODE)
    assert [passage.state for passage in waiting.passages] == [PassageState.WAITING] * 2
    dues = [passage.due_at for passage in waiting.passages]

    await world.clock.advance(1000)
    life = ledger.life(ledger_id)
    assert [passage.state for passage in life.passages] == [PassageState.VISIBLE] * 2
    assert [passage.due_at for passage in life.passages] == dues
    log_store, bucket = (passage.sightings[0] for passage in life.passages)
    visible_at, stream, line = world.engine.records[log_store.place.position]
    assert (log_store.visible_at, log_store.place.name, lines[40]) == (visible_at, stream, line)
    body, _, put_at = world.objects.objects[bucket.place.name]
    assert body.splitlines()[bucket.place.position - 1] == lines[40]
    assert (bucket.place.destination, bucket.visible_at) == ("shop-logs", put_at)
    await world.stop()


@pytest.mark.parametrize("make", [flow_log, bucket_log])
async def test_everything_delivered_can_be_read_back(tmp_path: Path, make: object) -> None:
    world = World(tmp_path / "spool", make(), keep_bytes=KEEP)  # type: ignore[operator]
    times = [START + index / 3 for index in range(300)]
    lines = await world.write(*times) + await world.write(*times, node="100.64.0.2")
    await world.clock.advance_to(START + 200)
    [flow] = world.delivery.status()
    ledger = world.delivery.ledger
    shown = [line for _, _, line in world.engine.records]
    shown = shown or [line for _, line in world.objects.records()]
    delivered = [line for part in ledger.delivered(flow.flow_log_id) for line in part.lines()]
    owed = [line for part in ledger.owed(flow.flow_log_id) for line in part.lines()]
    assert 0 < len(delivered) < len(lines)
    assert Counter(delivered) == Counter(shown)
    assert Counter(delivered + owed) == Counter(lines)
    for part in ledger.delivered(flow.flow_log_id):
        for index, line in enumerate(part.lines()):
            life = ledger.life(part.ledger_id(index))
            assert life.line == line
            [sighting] = life.passages[0].sightings
            assert sighting.place == part.place(index)
            assert sighting.visible_at == part.visible_at
    await world.stop()


async def test_equal_records_are_all_found(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), keep_bytes=KEEP)
    line = b'{"time_local":"01/Mar/2026:08:00:01 +0800","host":"a"}'
    for at in (START + 1, START + 1.25, START + 1.5):
        await world.clock.advance_to(at)
        world.spool.series(LB, NODE).append(at, line)
    await world.clock.advance_to(START + 5)
    world.spool.series(LB, NODE).append(START + 5, b'{"host":"a","x":1}')
    ledger = world.delivery.ledger
    for _ in range(2):  # in the spool, then in the archive
        expected = tuple(f"{SERIES}/1/{number}" for number in (1, 2, 3))
        assert ledger.find(line) == expected
        assert ledger.find(line, limit=2) == expected[:2]
        record = {"host": "a", "time_local": "01/Mar/2026:08:00:01 +0800"}
        assert ledger.find_record(record) == expected
        assert ledger.find_record({"x": 1, "host": "a"}) == (f"{SERIES}/2/1",)
        assert ledger.find(b'{"host":"b"}') == ()
        assert ledger.find(b"no json") == ()
        assert ledger.find(b'{"host":"\xff"}') == ()
        await world.clock.advance(1000)
    await world.stop()


@pytest.mark.parametrize(
    ("ledger_id", "code"),
    [
        ("", "InvalidLedgerId"),
        (SERIES, "InvalidLedgerId"),
        (f"{SERIES}/1/0", "InvalidLedgerId"),
        (f"{SERIES}/1/x", "InvalidLedgerId"),
        (f"{SERIES}/1/2", "LedgerRecordNotFound"),
        (f"{SERIES}/2/1", "LedgerRecordNotFound"),
        ("lb-other_1.2.3.4/1/1", "LedgerRecordNotFound"),
        ("../../etc_passwd/1/1", "InvalidLedgerId"),
    ],
)
async def test_ids_that_name_nothing(tmp_path: Path, ledger_id: str, code: str) -> None:
    world = World(tmp_path / "spool", flow_log(), keep_bytes=KEEP)
    await world.write(START + 1)
    with pytest.raises(ControlError) as caught:
        world.delivery.ledger.life(ledger_id)
    assert caught.value.code == code
    await world.stop()


async def test_records_that_a_destination_refused_are_lost(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), bucket_log(), keep_bytes=KEEP)
    [line] = await world.write(START + 1)
    world.engine.log_stores.clear()
    world.objects.buckets.clear()
    await world.clock.advance(1000)
    life = world.delivery.ledger.life(world.delivery.ledger.find(line)[0])
    assert [passage.state for passage in life.passages] == [PassageState.LOST] * 2
    assert [passage.sightings for passage in life.passages] == [(), ()]
    assert "LogStoreNotFound" in life.passages[0].reason
    assert "NoSuchBucket" in life.passages[1].reason
    assert ids_of(world.delivery.ledger, "fl-l7") == []
    await world.stop()


async def test_tries_are_counted(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), keep_bytes=KEEP)
    [line] = await world.write(START + 1)
    failures = 3

    def fail() -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OSError("busy")

    world.engine.before = fail
    await world.clock.advance(1000)
    [passage] = world.delivery.ledger.life(world.delivery.ledger.find(line)[0]).passages
    assert passage.tries == 4
    assert passage.due_at is not None
    assert passage.sightings[0].visible_at > passage.due_at
    await world.stop()


async def test_a_crash_leaves_the_ledger_right(tmp_path: Path) -> None:
    engine, objects = FakeEngine(), FakeObjects()
    flow_logs = (flow_log(), bucket_log(max_object_bytes=2000))
    first = World(tmp_path / "spool", *flow_logs, engine=engine, objects=objects, keep_bytes=KEEP)
    lines = await first.write(*(START + index for index in range(100)), pad=50)
    await first.clock.advance_to(START + 190)
    first.abandon()
    second = World(
        tmp_path / "spool",
        *flow_logs,
        engine=engine,
        objects=objects,
        at=START + 190,
        keep_bytes=KEEP,
    )
    await second.clock.advance(1000)
    ledger = second.delivery.ledger
    for flow_log_id in ("fl-l7", "fl-archive"):
        parts = list(ledger.delivered(flow_log_id))
        assert [line for part in parts for line in part.lines()] == lines
        assert len(set(ids_of(ledger, flow_log_id))) == len(lines)
    await second.stop()


async def test_watermarks(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), bucket_log(), keep_bytes=KEEP)
    ledger = world.delivery.ledger
    await world.clock.advance_to(START + 0.5)
    assert [mark.at for mark in ledger.watermarks()] == [START + 0.5] * 2
    before = (START, START)
    for second in range(400):
        if second % 7 == 0 and second < 200:
            await world.write(START + 1 + second, node=f"100.64.0.{1 + second % 2}")
        await world.clock.advance_to(START + 1 + second + 0.25)
        marks = tuple(mark.at for mark in ledger.watermarks())
        assert all(a <= b for a, b in zip(before, marks, strict=True)), "it never goes back"
        before = marks
        for mark in ledger.watermarks():
            owed = [at_of(line) for part in ledger.owed(mark.flow_log_id) for line in part.lines()]
            assert mark.at == min(owed, default=START + 1 + second + 0.25)
            assert mark.at == min((at for _, at in mark.by_series), default=mark.at)
    names = [(mark.flow_log, mark.destination) for mark in ledger.watermarks()]
    assert names == [("l7", "LogStore default/access"), ("archive", "bucket shop-logs/l7/")]
    await world.stop()


def at_of(line: bytes) -> float:
    at: float = json.loads(line)["at"]
    return at


async def test_what_does_not_fit_is_forgotten_and_said(tmp_path: Path) -> None:
    world = World(tmp_path / "spool", flow_log(), keep_bytes=3 << 20)
    lines = await world.write(*(START + index for index in range(10)), pad=1 << 20)
    await world.clock.advance(1000)
    ledger = world.delivery.ledger
    assert ledger.removed_count > 0
    left = range(ledger.removed_count, 10)
    assert ids_of(ledger, "fl-l7") == [f"{SERIES}/{index + 1}/1" for index in left]
    for part, index in zip(ledger.delivered("fl-l7"), left, strict=True):
        assert part.place(0).position == index, "as if the rest were still there"
        [passage] = ledger.life(part.ledger_id(0)).passages
        assert passage.sightings[0].place == part.place(0)
    assert ledger.complete_since == START + ledger.removed_count - 1
    assert ledger.find(lines[-1]) == (f"{SERIES}/10/1",)
    with pytest.raises(ControlError, match="not kept"):
        ledger.life(f"{SERIES}/1/1")
    await world.stop()


async def test_with_the_real_log_stores(tmp_path: Path) -> None:
    """``@seq`` is the one that BLS shows."""
    clock = ManualClock(START)
    spool_directory = tmp_path / "spool"
    flow = flow_log()
    engine = LogStoreEngine(tmp_path / "db", clock, load_from=(spool_directory,))
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    spool = Spool(spool_directory, clock, quantum_s=segment_quantum_s((flow,)))
    delivery = Delivery(
        clock=clock,
        rng=Rng(7),
        spool=spool,
        log_stores=engine.deliveries,
        object_store=None,
        versions=(FlowLogVersion(flow_log=flow),),
        archive=Archive(tmp_path / "ledger", KEEP),
    )
    clock.start()
    delivery.start()
    for second in range(100):
        await clock.advance_to(START + second)
        for number in range(2):
            spool.series(LB, NODE).append(START + second, b'{"n":%d}' % (second * 2 + number))
    await clock.advance(1000)
    selection = Selection(start_ms=0, end_ms=1 << 45)
    result = engine.query("default", "access", selection, "select @seq as s, n limit 1000")
    shown = {int(str(row[0])): int(str(row[1])) for row in result.rows}
    ledger = delivery.ledger
    found = {
        part.place(index).position: json.loads(line)["n"]
        for part in ledger.delivered("fl-l7")
        for index, line in enumerate(part.lines())
    }
    assert len(found) == 200
    assert found == shown
    await delivery.aclose()
    spool.close()
    engine.close()
    again = LogStoreEngine(tmp_path / "db", clock, load_from=(spool_directory,))
    assert (
        sum(entry.record_count for entry in again.deliveries.ledger.entries(flow_log_id="fl-l7"))
        == 200
    )
    assert list(again.deliveries.ledger.exceptions(altered=b"x")) == []
    again.deliveries.ledger.forget(SERIES, 1 << 40)
    assert list(again.deliveries.ledger.entries()) == []
    again.close()
    clock.stop()
