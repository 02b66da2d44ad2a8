"""For any records and any delay range: visible once, within the range, in order."""

import asyncio
from collections.abc import Callable

import pytest
from delivery_world import LB, START, FakeEngine, FakeObjects, World, at_of, bucket_log, flow_log
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model import FlowLog

NODES = ("100.64.0.1", "100.64.0.2")

Write = tuple[float, str]
writes = st.lists(
    st.tuples(st.integers(0, 200_000).map(lambda ms: START + ms / 1000), st.sampled_from(NODES)),
    min_size=1,
    max_size=30,
).map(sorted)
fine_writes = st.lists(
    st.tuples(st.integers(0, 4_000).map(lambda ms: START + ms / 1000), st.sampled_from(NODES)),
    min_size=1,
    max_size=30,
).map(sorted)
ranges = st.tuples(
    st.sampled_from([0.0, 0.1, 1.0, 119.7]), st.sampled_from([0.0, 0.05, 0.7, 1.0, 1.3, 2, 5, 60])
)
wide_ranges = st.tuples(st.sampled_from([5.0, 120.0]), st.sampled_from([61.0, 60.0, 200.0]))

EPSILON_S = 1e-6
"""Of float arithmetic on Unix seconds."""


async def run(
    directory: object, flow: FlowLog, writes: list[Write], killed_at: float | None
) -> tuple[World, dict[str, list[bytes]]]:
    """Write, deliver, and die once on the way if ``killed_at`` says so."""
    engine, objects = FakeEngine(), FakeObjects()
    world = World(directory, flow, engine=engine, objects=objects)  # type: ignore[arg-type]
    written: dict[str, list[bytes]] = {node: [] for node in NODES}

    async def go_to(at: float) -> None:
        nonlocal world, killed_at
        if killed_at is not None and at >= killed_at:
            await world.clock.advance_to(killed_at)
            world.abandon()
            world = World(
                directory,  # type: ignore[arg-type]
                flow,
                engine=engine,
                objects=objects,
                at=killed_at,
            )
            killed_at = None
        await world.clock.advance_to(at)

    for index, (at, node) in enumerate(writes):
        await go_to(at)
        line = b'{"at":%r,"n":%d,"node":"%s"}' % (at, index, node.encode())
        world.spool.series(LB, node).append(at, line)
        written[node].append(line)
    await go_to(START + 2000)
    assert world.delivery.next_due_at() is None
    assert world.clock.next_timer_at() is None
    await world.stop()
    return world, written


def check(
    visible: list[tuple[float, bytes]],
    written: dict[str, list[bytes]],
    low_s: float,
    high_s: float,
) -> None:
    for node, lines in written.items():
        of_node = [(at, line) for at, line in visible if node.encode() in line]
        assert [line for _, line in of_node] == lines, "once each, in order"
        assert [at for at, _ in of_node] == sorted(at for at, _ in of_node)
    for at, line in visible:
        assert low_s - EPSILON_S <= at - at_of(line) <= high_s + EPSILON_S


@pytest.mark.parametrize("times", [writes, fine_writes], ids=["spread", "dense"])
def test_log_store(
    tmp_path_factory: pytest.TempPathFactory, times: st.SearchStrategy[list[Write]]
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(times, ranges)
    def holds(writes: list[Write], spread: tuple[float, float]) -> None:
        low_s, high_s = spread[0], spread[0] + spread[1]
        flow = flow_log(low_s=low_s, high_s=high_s)
        world, written = asyncio.run(run(tmp_path_factory.mktemp("w"), flow, writes, None))
        check([(at, line) for at, _, line in world.engine.records], written, low_s, high_s)

    holds()


def test_bucket(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=60, deadline=None)
    @given(writes, wide_ranges, st.booleans())
    def holds(writes: list[Write], spread: tuple[float, float], use_gzip: bool) -> None:
        low_s, high_s = spread[0], spread[0] + spread[1]
        flow = bucket_log(use_gzip=use_gzip, low_s=low_s, high_s=high_s)
        world, written = asyncio.run(run(tmp_path_factory.mktemp("w"), flow, writes, None))
        check(world.objects.records(), written, low_s, high_s)

    holds()


@pytest.mark.parametrize("make", [flow_log, bucket_log], ids=["log store", "bucket"])
def test_a_crash_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[..., FlowLog]
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(writes, st.floats(0, 400))
    def holds(writes: list[Write], killed_s: float) -> None:
        flow = make(low_s=120, high_s=181)
        directory = tmp_path_factory.mktemp("w")
        world, written = asyncio.run(run(directory, flow, writes, START + killed_s))
        visible = [(at, line) for at, _, line in world.engine.records] or world.objects.records()
        check(visible, written, 120, 181)

    holds()
