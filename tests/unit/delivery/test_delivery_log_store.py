"""Delivery to a LogStore: when, in what order, how often."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from delivery_world import LB, START, FakeEngine, World, at_of, bucket_log, flow_log

from simulator.clock import monotonic
from simulator.delivery import FlowLogState, PassageState
from simulator.errors import SinkError
from simulator.model import DelayDistribution, DelayKind, Granularity


async def test_nothing_is_visible_before_its_delay_and_all_of_it_after(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log())
    lines = await world.write(*(START + second * 0.7 for second in range(100)))
    await world.clock.advance_to(START + 119.9)
    assert world.engine.records == []
    await world.clock.advance_to(START + 70 + 180)
    assert [line for _, _, line in world.engine.records] == lines
    for visible_at, stream, line in world.engine.records:
        assert stream == f"fl-l7/{LB}"
        assert 120 <= visible_at - at_of(line) <= 180
    assert world.clock.next_timer_at() is None, "nothing pending, no timer"
    assert world.engine.cursors == {"fl-l7|lb-00000001_100.64.0.1": 70}
    await world.stop()


async def test_a_batch_is_one_call_and_its_segments_leave_the_spool(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log())
    await world.write(*(START + second for second in range(60)))
    await world.clock.advance(400)
    assert world.engine.calls == [30, 30], "windows of half the range, aligned"
    left = list((tmp_path / f"{LB}_100.64.0.1").iterdir())
    assert [path.name for path in left] == ["00000060.seg"]
    assert left[0].stat().st_size == 0
    await world.stop()


async def test_the_next_due_instant_is_known_before_the_batch_closes(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log())
    assert world.delivery.next_due_at() is None
    await world.write(START + 3.5)
    expected = world.delivery.next_due_at()
    assert expected is not None
    assert START + 123.5 <= expected <= START + 183.5
    await world.clock.advance_to(START + 31)
    assert world.delivery.next_due_at() == expected
    await world.clock.advance_to(expected - 0.001)
    assert world.engine.records == []
    await world.clock.advance_to(expected)
    assert [visible_at for visible_at, _, _ in world.engine.records] == [expected]
    assert world.delivery.next_due_at() is None
    await world.stop()


async def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path: Path) -> None:
    seen = []
    for index, seed in enumerate((7, 7, 8)):
        world = World(tmp_path / str(index), flow_log(), seed=seed)
        await world.write(START, START + 31, START + 62)
        await world.clock.advance(300)
        seen.append([visible_at for visible_at, _, _ in world.engine.records])
        await world.stop()
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


@pytest.mark.parametrize("delay_s", [0.0, 5.0])
async def test_a_fixed_delay_is_kept_to_the_millisecond(tmp_path: Path, delay_s: float) -> None:
    world = World(tmp_path, flow_log(low_s=delay_s, high_s=delay_s))
    lines = await world.write(START + 0.125, START + 0.25, START + 2.5)
    await world.clock.advance(delay_s)
    assert [(at, line) for at, _, line in world.engine.records] == [
        (at_of(line) + delay_s, line) for line in lines
    ]
    await world.stop()


async def test_a_lognormal_delay_has_the_median_it_was_given(tmp_path: Path) -> None:
    delay = DelayDistribution(kind=DelayKind.LOGNORMAL, p50_s=130, p99_s=400)
    world = World(tmp_path, flow_log(delay=delay))
    for node in range(201):
        world.spool.series(LB, f"100.64.1.{node}").append(START, b'{"at":0}')
    await world.clock.advance(3000)
    delays = sorted(at - START for at, _, _ in world.engine.records)
    assert len(delays) == 201
    assert 110 < delays[100] < 150
    assert 250 < delays[198] < 700
    await world.stop()


async def test_status_counts_and_delays_are_exact(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(), bucket_log())
    await world.write(START + 1, START + 2, START + 29, START + 40)
    l7, archive = world.delivery.status()
    assert (l7.name, l7.status, l7.written, l7.pending) == ("l7", FlowLogState.RUNNING, 4, 4)
    assert l7.delay_min_s is l7.delay_median_s is l7.delay_max_s is None
    await world.clock.advance(200)
    l7, archive = world.delivery.status()
    assert (l7.written, l7.delivered, l7.pending, l7.lost, l7.objects) == (4, 4, 0, 0, 0)
    assert (archive.delivered, archive.objects) == (4, 1)
    delays = sorted(at - at_of(line) for at, _, line in world.engine.records)
    assert l7.delay_min_s == pytest.approx(delays[0])
    assert l7.delay_max_s == pytest.approx(delays[-1])
    assert l7.delay_median_s is not None
    assert delays[0] <= l7.delay_median_s <= delays[-1]
    assert l7.lag_s == 0
    await world.stop()


async def test_a_receipt_tells_what_became_visible(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(), bucket_log())
    await world.write(START + 1, START + 2)
    mark = world.delivery.mark()
    assert world.delivery.since(mark).record_count == 0
    await world.clock.advance(200)
    receipt = world.delivery.since(mark)
    assert receipt.record_count == 4
    assert receipt.by_flow_log == (("l7", 2), ("archive", 2))
    assert receipt.object_count == 1
    assert receipt.objects == tuple(f"shop-logs/{key}" for key in world.objects.objects)
    assert world.delivery.since(world.delivery.mark()).objects == ()
    await world.stop()


async def test_pending_lines_are_the_newest_with_their_instant(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(), bucket_log())
    first, second, third = await world.write(START + 1, START + 2, START + 45)
    await world.write(START + 45.5, node="100.64.0.2")
    pending = world.delivery.pending_lines(3)
    assert [line.logged_at for line in pending] == [START + 45.5, START + 45, START + 2]
    assert [line.line for line in pending[1:]] == [third, second]
    assert pending[0].node_address == "100.64.0.2"
    assert pending[0].due_at is pending[1].due_at is None, "its batch is still being filled"
    assert pending[2].due_at == world.delivery.next_due_at()
    assert [line.line for line in world.delivery.pending_lines(9)][-1] == first
    await world.clock.advance(400)
    assert world.delivery.pending_lines(9) == ()
    await world.stop()


async def test_a_later_batch_is_never_due_before_an_earlier(tmp_path: Path) -> None:
    delay = DelayDistribution(kind=DelayKind.LOGNORMAL, p50_s=130, p99_s=400)
    world = World(tmp_path, flow_log(delay=delay))
    await world.write(*(START + second for second in range(60)))
    pending = world.delivery.pending_lines(60)[::-1]
    dues = [line.due_at for line in pending if line.due_at is not None]
    assert len(dues) == 59
    assert dues == sorted(dues)
    assert len(set(dues)) < 59, "some waited for the one before"
    await world.stop()


async def test_a_failing_sink_is_retried_in_order_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0))
    world.engine.before = fail
    with caplog.at_level(logging.WARNING):
        lines = await world.write(START, START + 1, START + 2)
        await world.clock.advance(5)
    assert len(caplog.records) == 1, "a warning a minute"
    status = world.delivery.status()[0]
    assert (status.delivered, status.pending, status.lost, status.retries) == (0, 3, 0, 4)
    world.engine.before = lambda: None
    await world.clock.advance(60)
    assert [line for _, _, line in world.engine.records] == lines
    assert world.engine.calls == [3], "what had become due meanwhile goes in one call"
    await world.stop()


def fail() -> None:
    raise SinkError("disk full", retryable=True)


async def test_warnings_are_a_minute_of_real_time_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0))
    world.engine.before = fail
    with caplog.at_level(logging.WARNING):
        await world.write(START)
        await world.clock.advance(3600)
        assert world.delivery.status()[0].retries > 60
        assert len(caplog.records) == 1, "an hour of the clock is a moment for the reader"
        monkeypatch.setattr("simulator.delivery.route.monotonic", lambda: monotonic() + 60)
        await world.clock.advance(60)
        assert len(caplog.records) == 2
    await world.stop()


async def test_waiting_for_a_destination_that_keeps_failing_ends(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0))
    world.engine.before = fail
    (line,) = await world.write(START)
    await world.clock.advance(200)
    assert world.delivery.status()[0].retries in range(5, 10)
    assert world.delivery.failing() is None
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(world.delivery.wait_until_delivered())
        await world.clock.advance(10)
        assert not waiting.done()
        await world.clock.advance(600)
    assert world.delivery.failing() == "flow log l7: disk full"
    assert world.delivery.status()[0].pending == 1
    await world.delivery.wait_until_delivered()
    world.engine.before = lambda: None
    await world.clock.advance(60)
    assert world.delivery.failing() is None
    assert [record for _, _, record in world.engine.records] == [line]
    await world.stop()


async def test_while_anything_is_delivered_there_is_hope(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0), bucket_log(low_s=0, high_s=0))
    deliver = world.engine.deliver_segments

    def fail_always(**call: Any) -> int:
        raise SinkError("disk full", retryable=True)

    world.engine.deliver_segments = fail_always  # type: ignore[method-assign]
    await world.write(*(START + 300 * index for index in range(20)))
    l7, archive = world.delivery.status()
    assert l7.retries > 60
    assert archive.delivered > 0
    assert world.delivery.failing() is None
    await world.clock.advance(1200)
    assert world.delivery.failing() is not None
    world.engine.deliver_segments = deliver  # type: ignore[method-assign]
    await world.clock.advance(60)
    assert world.delivery.failing() is None
    await world.stop()


async def test_a_load_too_large_for_the_destination_is_made_smaller(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0))
    deliver = world.engine.deliver_segments

    def refuse_many(**call: Any) -> int:
        if len(call["paths"]) > 5:
            raise SinkError("out of memory", retryable=True)
        return deliver(**call)

    world.engine.before = fail
    lines = await world.write(*(START + index / 100 for index in range(100)))
    world.engine.before = lambda: None
    world.engine.deliver_segments = refuse_many  # type: ignore[method-assign]
    await world.clock.advance(3600)
    assert [line for _, _, line in world.engine.records] == lines
    await world.stop()


async def test_a_load_is_bounded_in_files_and_keeps_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.delivery.delivery._LOAD_SEGMENTS", 25)
    world = World(tmp_path, flow_log(low_s=0, high_s=0), flow_log("usual", low_s=2, high_s=4))
    world.engine.before = fail
    lines = await world.write(*(START + index / 10 for index in range(100)))
    await world.clock.advance(4)
    world.engine.before = lambda: None
    await world.clock.advance(300)
    usual = [line for _, stream, line in world.engine.records if "usual" in stream]
    assert usual == lines
    assert 10 < max(world.engine.calls) <= 25, "two or more windows of ten at a time"
    await world.stop()


async def test_a_bug_in_a_sink_is_retried_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, flow_log(low_s=0, high_s=0))

    def fail() -> None:
        raise ZeroDivisionError

    world.engine.before = fail
    with caplog.at_level(logging.WARNING):
        await world.write(START)
        await world.clock.advance(0.5)
    assert "ZeroDivisionError" in caplog.text
    world.engine.before = lambda: None
    await world.clock.advance(60)
    assert world.delivery.status()[0].delivered == 1
    await world.stop()


async def test_records_for_a_missing_log_store_are_lost_and_stay_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, flow_log())
    world.engine.log_stores.clear()
    await world.write(START, START + 1)
    with caplog.at_level(logging.WARNING):
        await world.clock.advance(200)
    status = world.delivery.status()[0]
    assert (status.status, status.lost, status.pending) == (FlowLogState.ABNORMAL, 2, 0)
    assert "l7" in caplog.text
    world.engine.log_stores.add(("default", "access"))
    (line,) = await world.write(START + 300)
    await world.clock.advance(200)
    assert [record for _, _, record in world.engine.records] == [line]
    assert world.delivery.status()[0].status is FlowLogState.RUNNING
    await world.stop()


async def test_one_bad_segment_takes_no_other_with_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    world = World(tmp_path, flow_log(), engine=engine)
    lines = await world.write(*(START + 31 * index for index in range(4)))
    world.abandon()
    again = World(tmp_path, flow_log(), engine=engine, at=START + 1000)
    deliver = engine.deliver_segments

    def refuse_second(**call: Any) -> int:
        if any(path.name == "00000002.seg" for path in call["paths"]):
            raise SinkError("not a segment", retryable=False)
        return deliver(**call)

    engine.deliver_segments = refuse_second  # type: ignore[method-assign]
    await again.clock.advance(1)
    assert [line for _, _, line in engine.records] == [lines[0], *lines[2:]]
    assert again.delivery.status()[0].lost == 1
    await again.stop()


async def test_waiting_ends_when_nothing_is_pending(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log(), bucket_log())
    await world.delivery.wait_until_delivered()
    await world.write(START + 1)
    done: list[float] = []

    async def wait() -> None:
        await world.delivery.wait_until_delivered()
        done.append(world.clock.time())

    async with asyncio.TaskGroup() as group:
        group.create_task(wait())
        await world.clock.advance(100)
        assert done == []
        await world.clock.advance(100)
    assert len(done) == 1
    await world.stop()


async def test_a_load_balancer_without_flow_log_keeps_no_segments(tmp_path: Path) -> None:
    world = World(tmp_path, flow_log())
    world.spool.series("lb-other", "100.64.0.1").append(START, b"x")
    await world.clock.advance(5)
    assert [path.stat().st_size for path in (tmp_path / "lb-other_100.64.0.1").iterdir()] == [0]
    assert world.delivery.status()[0].written == 0
    await world.stop()


async def test_closing_finishes_the_load_that_runs_and_leaves_the_rest(tmp_path: Path) -> None:
    engine = FakeEngine()
    world = World(tmp_path, flow_log(), engine=engine)
    await world.write(START + 1, START + 40)
    await world.stop()
    await world.delivery.aclose()
    assert engine.records == []
    again = World(tmp_path, flow_log(), engine=engine, at=START + 50)
    await again.clock.advance(200)
    assert len(engine.records) == 2
    await again.stop()


async def test_a_draw_for_each_node_makes_its_delay_the_same_for_good(tmp_path: Path) -> None:
    delay = DelayDistribution(granularity=Granularity.NODE)
    nodes = ("100.64.0.1", "100.64.0.2")
    delays: dict[str, set[float]] = {node: set() for node in nodes}
    world = World(tmp_path, flow_log(delay=delay))
    for window in range(6):
        for node in nodes:
            await world.write(START + window * 30 + 5, node=node)
    await world.clock.advance(400)
    for visible_at, _, line in world.engine.records:
        delays[json.loads(line)["node"]].add(round(visible_at - at_of(line), 3))
    [[first], [second]] = delays.values()
    assert first != second
    assert all(120 <= one <= 180 for one in (first, second))
    await world.stop()


@pytest.mark.parametrize("killed_at", [None, START + 45, START + 150, START + 170])
@pytest.mark.parametrize("kind", [DelayKind.UNIFORM, DelayKind.LOGNORMAL])
async def test_a_draw_for_each_record_lets_them_overtake(
    tmp_path: Path, kind: DelayKind, killed_at: float | None
) -> None:
    delay = DelayDistribution(kind=kind, p50_s=130, p99_s=200, granularity=Granularity.RECORD)
    log = flow_log(delay=delay)
    world = World(tmp_path / "spool", log, keep_bytes=1 << 30)
    lines = await world.write(*(START + index * 0.5 for index in range(80)))
    if killed_at is not None:
        await world.clock.advance_to(killed_at)
        world.abandon()
        world = World(
            tmp_path / "spool", log, engine=world.engine, at=killed_at, keep_bytes=1 << 30
        )
    elif kind is DelayKind.UNIFORM:
        await world.clock.advance_to(START + 125)
        [record] = world.delivery.ledger.find(lines[-1])
        [passage] = world.delivery.ledger.life(record).passages
        assert (passage.state, passage.reason) == (PassageState.WAITING, "")
    await world.clock.advance_to(START + 2000)
    seen = [line for _, _, line in world.engine.records]
    assert sorted(seen) == sorted(lines)
    assert seen != lines
    delays = {line: at - at_of(line) for at, _, line in world.engine.records}
    if kind is DelayKind.UNIFORM:
        assert all(120 <= one <= 180 for one in delays.values())
        assert min(delays.values()) < 130
        assert max(delays.values()) > 170
        assert 145 < sum(delays.values()) / len(delays) < 155
    assert len({round(at) for at, _, _ in world.engine.records}) > 30
    [status] = world.delivery.status()
    assert (status.pending, status.held) == (0, 0)
    await world.stop()
