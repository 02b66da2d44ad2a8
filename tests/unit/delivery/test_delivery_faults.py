"""What a consumer sees is what the ledger says, whatever faults are in force."""

import asyncio
import json
import zlib
from collections import Counter
from pathlib import Path

import pytest
from delivery_world import START, FakeEngine, FakeObjects, World, bucket_log, flow_log
from fault_world import fault, object_lines, write_records
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.delivery import PassageState
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.fault_reach import storm_factor
from simulator.model.fault_catalogue import CATALOGUE, FaultStage
from simulator.model.faults import Condition, DestinationKind, Fault, FaultKind
from simulator.rng import Rng

KEEP = 1 << 30
TIMES = tuple(START + index * 1.7 for index in range(60))
END = START + 20_000
STAGES = (FaultStage.RECORD, FaultStage.DELIVERY, FaultStage.OBJECT)
KINDS = tuple(kind for kind, spec in CATALOGUE.items() if spec.stage in STAGES)


def log_store_view(world: World) -> list[tuple[float, str, int, bytes]]:
    return [
        (at, stream, place, line) for place, (at, stream, line) in enumerate(world.engine.records)
    ]


def ledger_view(world: World, flow_log_id: str) -> list[tuple[float, str, int, bytes]]:
    """What a consumer of the flow log must see, as the ledger tells it."""
    view = []
    for part in world.delivery.ledger.delivered(flow_log_id):
        lines = part.lines()
        assert len(lines) == part.record_count
        for index, line in enumerate(lines):
            place = part.place(index)
            view.append((part.visible_at, place.name, place.position, line))
    return view


def check(world: World, written: list[bytes]) -> None:
    """The destinations show what the ledger says, and the counts add up."""
    assert sorted(ledger_view(world, "fl-l7")) == sorted(log_store_view(world))
    assert sorted(ledger_view(world, "fl-archive")) == sorted(object_lines(world.objects))
    for status in world.delivery.status():
        assert status.written == len(written)
        accounted = status.delivered + status.pending + status.lost + status.dropped
        assert status.written + status.copied == accounted
    for mark, status in zip(
        world.delivery.ledger.watermarks(), world.delivery.status(), strict=True
    ):
        assert (mark.at == world.clock.time()) == (status.pending == 0)


async def run(
    directory: Path, faults: list[Fault], *, killed_at: float | None = None, gzip: bool = False
) -> tuple[World, list[bytes]]:
    """Write records, deliver them, die once on the way if ``killed_at`` says so."""
    engine, objects = FakeEngine(), FakeObjects()
    flow_logs = (flow_log(), bucket_log(use_gzip=gzip, max_object_bytes=20_000))

    def begin(at: float) -> World:
        return World(
            directory / "spool",
            *flow_logs,
            engine=engine,
            objects=objects,
            at=at,
            faults=faults,
            keep_bytes=KEEP,
        )

    world = begin(START)
    written: list[bytes] = []
    for index, at in enumerate(TIMES):
        if killed_at is not None and at > killed_at:
            await world.clock.advance_to(killed_at)
            world.abandon()
            world, killed_at = begin(killed_at), None
        written += await write_records(world, at, node=f"100.64.0.{1 + index % 2}", first=index)
    if killed_at is not None:
        await world.clock.advance_to(killed_at)
        world.abandon()
        world = begin(killed_at)
    await world.clock.advance_to(END)
    return world, written


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_ledger_tells_what_is_seen(tmp_path: Path, kind: FaultKind, share: float) -> None:
    one = fault(kind, share=share)
    if kind is FaultKind.STALL:
        one = fault(kind, share=share, from_at=START, until_at=START + 50)
    if kind is FaultKind.THROTTLE:
        one = fault(kind, share=share, rate=2000)
    if kind is FaultKind.TRUNC:
        one = fault(kind, share=share, cut="utf8")
    world, written = await run(tmp_path, [one], gzip=kind is FaultKind.GZMULTI)
    ledger = world.delivery.ledger
    assert [status.pending for status in world.delivery.status()] == [0, 0]
    # The counts of ``written`` are of this run and what it found: here all of it.
    check(world, written)
    exceptions = [*ledger.exceptions("fl-l7"), *ledger.exceptions("fl-archive")]
    [report] = world.board.reports()
    assert {found.fault for found in exceptions} <= {one.name}
    if share == 0.0:
        assert exceptions == []
        assert report.hit_count == 0
        assert Counter(line for _, _, line in world.engine.records) == Counter(written)
    elif share == 1.0:
        assert exceptions
        assert report.hit_count == report.subject_count > 0
    elif CATALOGUE[kind].subject.value == "record":
        assert 0 < report.hit_count < report.subject_count
        assert report.realised == pytest.approx(share, abs=0.25)
    await world.stop()


async def lines_seen(directory: Path, *faults: Fault) -> tuple[World, list[bytes], list[bytes]]:
    world, written = await run(directory, list(faults))
    check(world, written)
    return world, written, [line for _, _, line in world.engine.records]


async def test_records_that_are_dropped(tmp_path: Path) -> None:
    world, written, seen = await lines_seen(tmp_path, fault(FaultKind.GAP, share=0.3))
    missing = [line for line in written if line not in seen]
    assert 5 < len(missing) < 30
    ledger = world.delivery.ledger
    [ledger_id] = ledger.find(missing[0])
    log_store, _ = ledger.life(ledger_id).passages
    assert log_store.state is PassageState.DROPPED
    assert "f-gap" in log_store.reason
    assert [found.action for found in log_store.exceptions] == ["dropped"]
    await world.stop()


async def test_a_sample_lacks_the_same_records_everywhere(tmp_path: Path) -> None:
    world, _, seen = await lines_seen(tmp_path, fault(FaultKind.SAMPLE, share=0.5))
    assert Counter(seen) == Counter(line for *_, line in object_lines(world.objects))
    assert 10 < len(seen) < 50
    await world.stop()


async def test_late_records(tmp_path: Path) -> None:
    one = fault(FaultKind.LATE, share=0.5, extra=(600.0, 900.0))
    world = World(tmp_path / "spool", flow_log(), faults=[one], keep_bytes=KEEP)
    written = await write_records(world, *TIMES)
    await world.clock.advance_to(TIMES[-1] + 200)
    punctual = [line for _, _, line in world.engine.records]
    [status] = world.delivery.status()
    assert status.held == status.pending == len(written) - len(punctual) > 10
    ledger = world.delivery.ledger
    late = [line for line in written if line not in punctual]
    [passage] = ledger.life(ledger.find(late[0])[0]).passages
    assert passage.state is PassageState.HELD
    assert passage.due_at is not None
    owed = [line for part in ledger.owed("fl-l7") for line in part.lines()]
    assert Counter(owed) == Counter(late)
    [mark] = ledger.watermarks()
    assert mark.at == float(int(TIMES[written.index(late[0])] * 1000) / 1000)
    assert world.delivery.next_due_at() == min(part.due_at for part in ledger.owed("fl-l7"))
    await world.clock.advance_to(passage.due_at)
    [passage] = ledger.life(ledger.find(late[0])[0]).passages
    assert passage.state is PassageState.VISIBLE
    await world.clock.advance(2000)
    assert Counter(line for _, _, line in world.engine.records) == Counter(written)
    for at, _, line in world.engine.records:
        delay = at - TIMES[written.index(line)]
        assert 120 <= delay <= 180 or (720 <= delay <= 1081 and line in late)
    assert list((tmp_path / "spool" / ".held").rglob("*.held")) == []
    await world.stop()


async def test_a_disk_that_keeps_a_piece_that_was_released_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    one = fault(FaultKind.LATE, extra=(600.0, 900.0))
    world = World(tmp_path / "spool", flow_log(), faults=[one], keep_bytes=KEEP)
    written = await write_records(world, *TIMES)
    await world.clock.advance_to(TIMES[-1] + 200)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        await world.clock.advance(2000)
    assert Counter(line for _, _, line in world.engine.records) == Counter(written)
    [status] = world.delivery.status()
    assert (status.delivered, status.pending) == (len(written), 0)
    await world.stop()


@pytest.mark.parametrize("by", ["record", "batch", "node"])
async def test_copies(tmp_path: Path, by: str) -> None:
    one = fault(FaultKind.DUP, by=by, copies=2, after=(0.0, 60.0), node="100.64.0.1")
    world, written, seen = await lines_seen(tmp_path, one)
    for line in written:
        expected = 3 if b'"upstream_local_addr":"100.64.0.1"' in line else 1
        assert seen.count(line) == expected
        [ledger_id] = world.delivery.ledger.find(line)
        for passage in world.delivery.ledger.life(ledger_id).passages:
            assert len(passage.sightings) == expected
    await world.stop()


async def test_a_stalled_node_catches_up(tmp_path: Path) -> None:
    one = fault(FaultKind.STALL, node="100.64.0.1", from_at=START + 20, until_at=START + 2000)
    world, written, seen = await lines_seen(tmp_path, one)
    assert Counter(seen) == Counter(written)
    late = [at for at, _, _ in world.engine.records if at >= START + 2000]
    assert len(late) == sum(at >= START + 20 for index, at in enumerate(TIMES) if index % 2 == 0)
    await world.stop()


async def test_a_stall_without_an_end_ends_with_the_fault(tmp_path: Path) -> None:
    one = fault(FaultKind.STALL)
    world = World(tmp_path / "spool", flow_log(), faults=[one], keep_bytes=KEEP)
    written = await write_records(world, *TIMES)
    await world.clock.advance(5000)
    assert world.engine.records == []
    await world.delivery.wait_until_delivered()  # nobody waits for what nothing will end
    world.board.remove(one.name)
    await world.clock.advance(1)
    assert [line for _, _, line in world.engine.records] == written
    await world.stop()


async def test_a_stall_without_an_end_ends_with_the_run_that_knows_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    first = World(tmp_path / "spool", flow_log(), engine=engine, faults=[fault(FaultKind.STALL)])
    written = await write_records(first, *TIMES)
    await first.clock.advance(5000)
    await first.stop()
    at = first.clock.time()
    second = World(tmp_path / "spool", flow_log(), engine=engine, at=at)
    await second.clock.advance(1)
    assert [line for _, _, line in engine.records] == written
    await second.stop()


async def test_order(tmp_path: Path) -> None:
    one = fault(FaultKind.REORDER, share=0.5, window=20.0)
    world = World(tmp_path / "spool", flow_log(), faults=[one], keep_bytes=KEEP)
    written = await write_records(world, *TIMES)
    await world.clock.advance(1000)
    seen = [line for _, _, line in world.engine.records]
    assert seen != written
    assert Counter(seen) == Counter(written)
    times = [TIMES[written.index(line)] for line in seen]
    behind = [max(times[: index + 1]) - at for index, at in enumerate(times)]
    assert 0 < max(behind) <= 40, "within the window, in the order of records and of instants"
    await world.stop()


@pytest.mark.parametrize("excess", ["delay", "drop"])
async def test_a_throttled_log_store(tmp_path: Path, excess: str) -> None:
    one = fault(FaultKind.THROTTLE, rate=3000, excess=excess)
    world, written, seen = await lines_seen(tmp_path, one)
    per_instant = Counter()
    for at, stream, line in world.engine.records:
        per_instant[at, stream, b"100.64.0.1" in line] += len(line)
    assert max(per_instant.values()) <= 2 * 3000
    assert (Counter(seen) == Counter(written)) == (excess == "delay")
    assert len(object_lines(world.objects)) == len(written), "a bucket has no such limit"
    await world.stop()


async def test_objects(tmp_path: Path) -> None:
    faults = [
        fault(FaultKind.MULTI, parts=3),
        fault(FaultKind.EMPTY, share=0.5),
        fault(FaultKind.GZMULTI, members=4),
    ]
    world, written = await run(tmp_path, faults, gzip=True)
    check(world, written)
    bodies = {key: body for key, (body, _, _) in world.objects.objects.items()}
    empty = [key for key, body in bodies.items() if body == b""]
    assert 0 < len(empty) < len(bodies) / 4
    assert all(key.endswith("-empty.log.gz") for key in empty)
    assert any(key.endswith("-3.log.gz") for key in bodies)
    unpacker = zlib.decompressobj(31)
    largest = max(bodies.values(), key=len)
    unpacker.decompress(largest)
    assert unpacker.eof
    assert unpacker.unused_data, "there is more than one member"
    await world.stop()


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("cut", ["record", "byte", "utf8"])
async def test_objects_that_end_early(tmp_path: Path, cut: str, gzip: bool) -> None:
    world, written = await run(tmp_path, [fault(FaultKind.TRUNC, cut=cut)], gzip=gzip)
    check(world, written)
    *_, bucket = world.delivery.status()
    assert bucket.dropped > 0
    whole = [line for *_, line in object_lines(world.objects)]
    torn = [line for line in whole if line not in written]
    assert bool(torn) == (cut != "record") or gzip
    if cut == "utf8" and not gzip:
        with pytest.raises(UnicodeDecodeError):
            torn[0].decode()
    await world.stop()


async def test_a_late_object_sorts_before_what_was_there(tmp_path: Path) -> None:
    one = fault(FaultKind.LATEOBJ, until_at=START + 60, lag=(600.0, 600.0))
    world, written = await run(tmp_path, [one])
    check(world, written)
    by_time = sorted((at, key) for key, (_, _, at) in world.objects.objects.items())
    keys = [key for _, key in by_time]
    assert keys != sorted(keys)
    assert keys[-1].rpartition("/")[2].find("T0800") > 0
    await world.stop()


@pytest.mark.parametrize("form", ["unlisted", "unreadable"])
async def test_an_object_that_shows_late_is_visible_when_it_does(tmp_path: Path, form: str) -> None:
    one = fault(FaultKind.LAGLIST, share=0.5, form=form, lag=(600.0, 600.0))
    world, written = await run(tmp_path, [one])
    check(world, written)
    [report] = world.board.reports()
    assert 0 < report.hit_count < report.subject_count == len(world.objects.objects)
    late = [key for key, lag in world.objects.lags.items() if lag is not None]
    assert len(late) == report.hit_count
    for key in late:
        lag = world.objects.lags[key]
        assert lag is not None
        early_at, late_at = sorted((lag.listed_at, lag.readable_at))
        assert late_at - early_at == 600
        assert (lag.listed_at == late_at) == (form == "unlisted")
    noted = [
        found.until_at
        for found in world.delivery.ledger.exceptions("fl-archive")
        if found.action == f"object {form}"
    ]
    assert sorted(noted) == sorted(world.objects.objects[key][2] for key in late)
    await world.stop()


async def test_a_watermark_waits_for_objects_that_show_late(tmp_path: Path) -> None:
    one = fault(FaultKind.LAGLIST, lag=(7200.0, 7200.0))
    world = World(tmp_path / "spool", flow_log(), bucket_log(), faults=[one], keep_bytes=KEEP)
    await write_records(world, *TIMES)
    await world.clock.advance_to(START + 3600)
    log_store, bucket = world.delivery.ledger.watermarks()
    assert bucket.at <= TIMES[0] < TIMES[-1] < log_store.at
    await world.clock.advance_to(END)
    _, bucket = world.delivery.ledger.watermarks()
    assert bucket.at > TIMES[-1]
    await world.stop()


async def test_objects_of_held_back_records_are_objects_too(tmp_path: Path) -> None:
    faults = [
        fault(FaultKind.LATE, share=0.5, extra=(300.0, 300.0)),
        fault(FaultKind.LATEOBJ, lag=(600.0, 600.0)),
        fault(FaultKind.EMPTY),
        fault(FaultKind.GZMULTI, members=2),
    ]
    world, written = await run(tmp_path, faults, gzip=True)
    check(world, written)
    whole = {key: one for key, one in world.objects.objects.items() if "-empty" not in key}
    assert len(world.objects.objects) == 2 * len(whole)
    held_back = [key for key in whole if key.endswith("-h1.log.gz")]
    assert held_back
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(whole[held_back[0]][0])
    assert unpacker.unused_data, "there is more than one member"
    assert all(
        status.delay_min_s is not None and status.delay_min_s >= 700
        for status in world.delivery.status()
        if status.name == "archive"
    )
    for report in world.board.reports()[1:]:
        assert report.hit_count == report.subject_count == len(whole)
    lives = [world.delivery.ledger.life(one) for one in _ids(world, written)]
    for life in lives:
        [passage] = [one for one in life.passages if one.flow_log == "archive"]
        assert [hit.action for hit in passage.exceptions].count("object late") == 1
    await world.stop()


def _ids(world: World, written: list[bytes]) -> list[str]:
    return [one for line in written for one in world.delivery.ledger.find(line)]


async def test_copies_of_batches_come_at_different_times(tmp_path: Path) -> None:
    one = fault(FaultKind.DUP, by="batch", after=(0.0, 3000.0))
    world, written = await run(tmp_path, [one])
    check(world, written)
    found = world.delivery.ledger.exceptions("fl-archive")
    first_at = {entry.first_seq: entry.due_at for entry in world.engine.ledger.all_entries}
    assert (
        len({round(hit.until_at - first_at[hit.seq]) for hit in found if hit.seq in first_at}) > 2
    )
    await world.stop()


@pytest.mark.parametrize("form", ["removed", "readonly", "throttled"])
async def test_a_destination_that_goes(tmp_path: Path, form: str) -> None:
    one = fault(FaultKind.DESTGONE, form=form, from_at=START, until_at=START + 200)
    world = World(tmp_path / "spool", flow_log(), bucket_log(), faults=[one], keep_bytes=KEEP)
    written = await write_records(world, *TIMES)
    await world.clock.advance_to(START + 199)
    expected = "running" if form == "throttled" else "abnormal"
    assert [status.status.value for status in world.delivery.status()] == [expected] * 2
    await world.clock.advance_to(END)
    check(world, written)
    lost = [status.lost for status in world.delivery.status()]
    assert all(count == 0 for count in lost) if form == "throttled" else all(lost)
    assert [status.status.value for status in world.delivery.status()] == ["running"] * 2
    await world.stop()


async def test_the_counts_add_up_after_a_crash_with_records_held(tmp_path: Path) -> None:
    faults = [fault(FaultKind.LATE, share=0.5, extra=(1000.0, 1000.0)), fault(FaultKind.DUP)]
    world, _ = await run(tmp_path, faults, killed_at=START + 500)
    for status in world.delivery.status():
        accounted = status.delivered + status.pending + status.lost + status.dropped
        assert status.written + status.copied == accounted > 0
    await world.stop()


async def test_destinations_that_stay_are_counted_too(tmp_path: Path) -> None:
    one = next(
        one
        for one in (fault(FaultKind.DESTGONE, f"gone-{n}", share=0.5) for n in range(99))
        if [FaultBoard(Rng(7)).hits(one, f"fl-{name}") for name in ("l7", "archive")]
        == [True, False]
    )
    world, _ = await run(tmp_path, [one])
    [report] = world.board.reports()
    assert (report.subject_count, report.hit_count) == (2, 1)
    await world.stop()


async def test_a_storm(tmp_path: Path) -> None:
    flow, other = flow_log(), bucket_log()
    faults = [
        fault(FaultKind.STORM, "a", factor=10, until_at=START + 50),
        fault(FaultKind.STORM, "b", factor=3, from_at=START + 40, flow_log="archive"),
        fault(FaultKind.STORM, "c", factor=7, share=0.0),
    ]
    board = FaultBoard(Rng(7), tuple(faults))
    found = [storm_factor(board, (flow, other), START + at) for at in (0, 45, 60)]
    assert found == [10, 30, 3]
    assert storm_factor(board, (flow,), START + 60) == 1
    world, written, seen = await lines_seen(tmp_path, faults[0])
    assert Counter(seen) == Counter(written), "the traffic is not delivery's"
    await world.stop()


async def test_only_what_is_in_reach(tmp_path: Path) -> None:
    faults = [
        fault(FaultKind.GAP, "a", node="100.64.0.2"),
        fault(
            FaultKind.GAP,
            "b",
            where=(Condition(field="response_status", operator="=", value="5*"),),
        ),
        fault(FaultKind.GAP, "c", from_at=TIMES[20], until_at=TIMES[40]),
        fault(FaultKind.DUP, "d", flow_log="archive", after=(0.0, 0.0)),
        fault(FaultKind.ENC, "e", destination=DestinationKind.BUCKET, bytes="FF"),
    ]
    world, _, seen = await lines_seen(tmp_path, *faults)
    numbers = {int(json.loads(line)["cport"]) - 20000 for line in seen}
    left = [n for n in range(60) if n % 2 == 0 and n % 5 and not 20 <= n < 40]
    assert sorted(numbers) == left
    assert all(b"\xff" not in line for line in seen)
    in_bucket = [line for *_, line in object_lines(world.objects)]
    assert len(in_bucket) == 2 * len(seen)
    assert all(b"\xff" in line for line in in_bucket)
    await world.stop()


fault_lists = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from([0.2, 0.5, 1.0])), max_size=4
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fault_lists, st.floats(0, 500), st.booleans())
@example([(FaultKind.OVERSIZE, 0.2), (FaultKind.TRUNC, 0.5), (FaultKind.INJECT, 0.2)], 0.0, False)
def test_a_crash_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    chosen: list[tuple[FaultKind, float]],
    killed_s: float,
    gzip: bool,
) -> None:
    """Any faults together, killed anywhere: the same is seen at the same instants."""
    faults = [
        fault(kind, f"{index}-{kind}", share=share, until_at=START + 80)
        for index, (kind, share) in enumerate(chosen)
    ]

    async def view(killed_at: float | None) -> object:
        directory = tmp_path_factory.mktemp("w")
        world, _ = await run(directory, faults, killed_at=killed_at, gzip=gzip)
        assert sorted(ledger_view(world, "fl-l7")) == sorted(log_store_view(world))
        assert sorted(ledger_view(world, "fl-archive")) == sorted(object_lines(world.objects))
        assert all(status.pending == 0 for status in world.delivery.status())
        await world.stop()
        in_log_store = sorted((at, line) for at, _, line in world.engine.records)
        return in_log_store, world.objects.objects

    assert asyncio.run(view(None)) == asyncio.run(view(START + killed_s))
