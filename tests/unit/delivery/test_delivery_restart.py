"""A process that dies at any moment loses nothing and doubles nothing."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from delivery_world import START, FakeEngine, FakeObjects, World, bucket_log, flow_log

FLOW_LOGS = (flow_log(), bucket_log(max_object_bytes=2500), bucket_log("packed", use_gzip=True))
TIMES = tuple(START + index * 3.3 for index in range(80))


class Killed(BaseException):
    """Not an Exception: nobody in the process catches it."""


def spooled_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*.seg"))


def check(engine: FakeEngine, objects: FakeObjects, lines: list[bytes]) -> None:
    assert [line for _, _, line in engine.records] == lines
    plain = {key: value for key, value in objects.objects.items() if "fl-archive" in key}
    packed = {key: value for key, value in objects.objects.items() if "fl-packed" in key}
    for part in (plain, packed):
        view = FakeObjects()
        view.objects = part
        assert Counter(line for _, line in view.records()) == Counter(lines)


@pytest.mark.parametrize("after_s", [0, 1, 31, 100, 170, 185, 200, 240, 264, 300, 420, 500])
async def test_killed_at_any_moment(tmp_path: Path, after_s: int) -> None:
    engine, objects = FakeEngine(), FakeObjects()
    first = World(tmp_path, *FLOW_LOGS, engine=engine, objects=objects)
    lines = await first.write(*(at for at in TIMES if at <= START + after_s), pad=100)
    await first.clock.advance_to(START + after_s)
    first.abandon()

    second = World(tmp_path, *FLOW_LOGS, engine=engine, objects=objects, at=START + after_s)
    lines += await second.write(*(at for at in TIMES if at > START + after_s), pad=100)
    await second.clock.advance_to(START + 1000)
    check(engine, objects, lines)
    assert all(status.pending == 0 for status in second.delivery.status())
    assert second.clock.next_timer_at() is None
    await second.stop()
    assert spooled_bytes(tmp_path) == 0


async def test_a_restart_draws_the_same_instants(tmp_path: Path) -> None:
    runs = []
    for name, kill in (("through", False), ("killed", True)):
        engine, objects = FakeEngine(), FakeObjects()
        world = World(tmp_path / name, *FLOW_LOGS, engine=engine, objects=objects)
        await world.write(*TIMES, pad=100)
        if kill:
            world.abandon()
            world = World(
                tmp_path / name,
                *FLOW_LOGS,
                engine=engine,
                objects=objects,
                at=world.clock.time(),
            )
        await world.clock.advance(1000)
        runs.append(
            (
                [(at, line) for at, _, line in engine.records],
                dict(objects.objects),
            )
        )
        await world.stop()
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "where", ["engine.before", "engine.after", "objects.before", "objects.after"]
)
@pytest.mark.parametrize("call", [1, 2, 5])
async def test_killed_inside_a_load(tmp_path: Path, where: str, call: int) -> None:
    """Between any two of: load, commit, put, commit."""
    engine, objects = FakeEngine(), FakeObjects()
    world = World(tmp_path, *FLOW_LOGS, engine=engine, objects=objects)
    lines = await world.write(*TIMES[:20], pad=100)
    target = engine if where.startswith("engine") else objects
    hook = where.partition(".")[2]
    calls = 0

    def die() -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            world.abandon()
        if calls >= call:
            raise Killed

    setattr(target, hook, die)
    loop_errors: list[object] = []
    import asyncio

    asyncio.get_running_loop().set_exception_handler(lambda _, context: loop_errors.append(context))
    await world.clock.advance_to(START + 130 + 180)
    assert calls >= call
    assert loop_errors, "the hook did fire"
    setattr(target, hook, lambda: None)

    again = World(tmp_path, *FLOW_LOGS, engine=engine, objects=objects, at=START + 310)
    await again.clock.advance(1000)
    check(engine, objects, lines)
    await again.stop()


async def test_another_load_balancers_leftovers_stay(tmp_path: Path) -> None:
    first = World(tmp_path, flow_log())
    first.spool.series("lb-gone", "100.64.0.1").append(START, b"x")
    first.abandon()
    second = World(tmp_path, flow_log(), at=START + 1)
    await second.clock.advance(500)
    assert (tmp_path / "lb-gone_100.64.0.1" / "00000001.seg").stat().st_size > 0
    await second.stop()


async def test_an_emptied_spool_does_not_hide_new_records_behind_the_cursors(
    tmp_path: Path,
) -> None:
    engine, objects = FakeEngine(), FakeObjects()
    first = World(tmp_path / "spool", *FLOW_LOGS, engine=engine, objects=objects)
    lines = await first.write(*TIMES, pad=100)
    await first.clock.advance(1000)
    await first.stop()
    shutil.rmtree(tmp_path / "spool")

    at = first.clock.time()
    second = World(tmp_path / "spool", *FLOW_LOGS, engine=engine, objects=objects, at=at)
    lines += await second.write(*(at + second for second in range(5)), pad=100)
    await second.clock.advance(1000)
    check(engine, objects, lines)
    assert all(status.pending == 0 for status in second.delivery.status())
    await second.stop()


async def test_a_spool_that_is_full_refuses_until_there_is_room(tmp_path: Path) -> None:
    engine, objects = FakeEngine(), FakeObjects()
    bound = 3000
    world = World(tmp_path, *FLOW_LOGS, engine=engine, objects=objects, max_spool_bytes=bound)
    lines = await world.write(*TIMES[:40], pad=100)
    dropped = world.spool.dropped_count
    assert 0 < dropped < 40
    assert bound - 300 < spooled_bytes(tmp_path) <= bound
    await world.clock.advance_to(START + 1000)
    check(engine, objects, lines[: 40 - dropped])
    await world.write(START + 1001, pad=100)
    assert world.spool.dropped_count == dropped, "there is room again"
    await world.stop()

    again = World(
        tmp_path,
        *FLOW_LOGS,
        engine=engine,
        objects=objects,
        at=START + 1002,
        max_spool_bytes=bound,
    )
    more = await again.write(*(START + 1003 + second for second in range(40)), pad=100)
    assert spooled_bytes(tmp_path) <= bound, "what an earlier run left counts"
    await again.clock.advance_to(START + 3000)
    seen = {line for _, _, line in engine.records}
    assert sum(line in seen for line in more) == 40 - again.spool.dropped_count
    await again.stop()
