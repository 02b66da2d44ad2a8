"""Flow logs that come, change and go while records are written."""

from pathlib import Path

from delivery_world import LB, NODE, START, World, bucket_log, flow_log
from fault_world import fault

from simulator.delivery import FlowLogState, FlowLogVersion
from simulator.model import FlowLog, LogStoreDestination
from simulator.model.faults import FaultKind

OTHER = LogStoreDestination(project="default", log_store="other")


async def cut(world: World) -> dict[str, int]:
    return await world.spool.cut(LB)


def seen(world: World, flow_log: FlowLog) -> list[bytes]:
    """The records that became visible in the stream of a flow log."""
    stream = f"{flow_log.flow_log_id}/"
    return [line for _, found, line in world.engine.records if found.startswith(stream)]


async def test_a_flow_log_takes_what_is_written_after_it_was_made(tmp_path: Path) -> None:
    log, late = flow_log("l7"), flow_log("late", OTHER)
    world = World(tmp_path, log)
    world.engine.log_stores.add(("default", "other"))
    before = await world.write(START)
    world.delivery.open(FlowLogVersion(flow_log=late, after=await cut(world)))
    # The same instant: what tells them apart is the order of writing, not the time.
    after = await world.write(START, START + 5)
    await world.clock.advance(400)
    assert seen(world, log) == before + after
    assert seen(world, late) == after
    assert [(one.name, one.written, one.delivered) for one in world.delivery.status()] == [
        ("l7", 3, 3),
        ("late", 2, 2),
    ]
    await world.stop()


async def test_what_was_written_before_the_end_is_still_delivered(tmp_path: Path) -> None:
    log = flow_log("l7")
    world = World(tmp_path, log)
    before = await world.write(START)
    world.delivery.end(log.flow_log_id, await cut(world))
    await world.write(START)
    (status,) = world.delivery.status()
    assert (status.status, status.written, status.pending) == (FlowLogState.STOPPED, 1, 1)
    await world.clock.advance(400)
    assert seen(world, log) == before
    (status,) = world.delivery.status()
    assert (status.delivered, status.pending) == (1, 0)
    await world.delivery.wait_until_delivered()
    await world.stop()
    # Nobody owes the second record: it did not stay in the spool.
    assert all(path.stat().st_size == 0 for path in (tmp_path / f"{LB}_{NODE}").glob("*.seg"))


async def test_counts_go_on_over_a_stop_and_a_start(tmp_path: Path) -> None:
    log = flow_log("l7")
    world = World(tmp_path, log)
    first = await world.write(START)
    world.delivery.end(log.flow_log_id, await cut(world))
    await world.write(START + 1)
    world.delivery.open(FlowLogVersion(flow_log=log, number=1, after=await cut(world)))
    third = await world.write(START + 2)
    await world.clock.advance(400)
    assert seen(world, log) == first + third
    (status,) = world.delivery.status()
    assert (status.status, status.written, status.delivered) == (FlowLogState.RUNNING, 2, 2)
    await world.delivery.wait_until_delivered()
    await world.stop()


async def test_an_edit_sends_later_records_elsewhere(tmp_path: Path) -> None:
    log, moved = flow_log("l7"), bucket_log("l7")
    world = World(tmp_path, log)
    before = await world.write(START)
    upto = await cut(world)
    world.delivery.end(log.flow_log_id, upto)
    world.delivery.open(FlowLogVersion(flow_log=moved, number=1, after=upto))
    after = await world.write(START)
    await world.clock.advance(400)
    assert seen(world, log) == before
    assert [line for _, line in world.objects.records()] == after
    (status,) = world.delivery.status()
    assert (status.written, status.delivered, status.objects) == (2, 2, 1)
    await world.stop()


async def test_a_forgotten_flow_log_is_not_shown_but_delivers(tmp_path: Path) -> None:
    log = flow_log("l7")
    world = World(tmp_path, log)
    written = await world.write(START)
    world.delivery.end(log.flow_log_id, await cut(world))
    world.delivery.forget(log.flow_log_id)
    assert world.delivery.status() == ()
    await world.clock.advance(400)
    assert seen(world, log) == written
    await world.delivery.wait_until_delivered()
    await world.stop()


async def test_a_flow_log_that_has_ended_keeps_nothing_in_the_spool_once_it_has_delivered(
    tmp_path: Path,
) -> None:
    quick, slow = flow_log("l7"), flow_log("slow", OTHER, low_s=5000.0, high_s=5001.0)
    world = World(tmp_path, quick, slow, max_spool_bytes=1 << 20)
    world.engine.log_stores.add(("default", "other"))
    room = world.spool.room
    await world.write(START)
    world.delivery.end(slow.flow_log_id, await cut(world))
    world.delivery.forget(slow.flow_log_id)
    await world.write(START + 1)
    await world.clock.advance(400)
    assert room.used_bytes > 0, "what it owes"
    await world.clock.advance(6000)
    assert room.used_bytes == 0
    # Now only the next is in the way, and it goes when its segment is over.
    world.delivery.end(quick.flow_log_id, await cut(world))
    await world.write(START + 7000)
    assert room.used_bytes > 0
    await world.clock.advance(2)
    assert room.used_bytes == 0
    await world.stop()


async def test_a_flow_log_that_had_ended_keeps_nothing_in_the_spool_of_the_next_run(
    tmp_path: Path,
) -> None:
    log = flow_log("l7")
    world = World(tmp_path, log)
    before = await world.write(START)
    upto = await cut(world)
    world.delivery.end(log.flow_log_id, upto)
    await world.clock.advance(400)
    await world.stop()
    again = World(
        tmp_path,
        engine=world.engine,
        at=START + 500,
        versions=(FlowLogVersion(flow_log=log, upto=upto),),
        max_spool_bytes=1 << 20,
    )
    await again.write(START + 500, START + 501)
    await again.clock.advance(2)
    assert again.spool.room.used_bytes == 0
    assert seen(again, log) == before
    await again.stop()


async def test_a_restart_goes_on_with_every_version(tmp_path: Path) -> None:
    log = flow_log("l7")
    world = World(tmp_path, log)
    first = await world.write(START)
    upto = await cut(world)
    world.delivery.end(log.flow_log_id, upto)
    await world.write(START + 1)
    after = await cut(world)
    world.delivery.open(FlowLogVersion(flow_log=log, number=1, after=after))
    third = await world.write(START + 2)
    world.abandon()
    versions = (
        FlowLogVersion(flow_log=log, upto=upto),
        FlowLogVersion(flow_log=log, number=1, after=after),
    )
    engine = world.engine
    for _ in range(2):
        # The second time there is nothing left, and nothing comes twice.
        world = World(tmp_path, engine=engine, versions=versions, at=START + 2)
        await world.clock.advance(400)
        assert seen(world, log) == first + third
        await world.stop()


async def test_what_is_held_for_a_deleted_flow_log_comes_after_a_restart(tmp_path: Path) -> None:
    log = flow_log("l7")
    late = fault(FaultKind.LATE, extra=(600.0, 600.0))
    world = World(tmp_path, log, faults=[late])
    written = await world.write(START)
    upto = await cut(world)
    world.delivery.end(log.flow_log_id, upto)
    world.delivery.forget(log.flow_log_id)
    await world.clock.advance(400)
    assert seen(world, log) == []
    world.abandon()
    world = World(
        tmp_path,
        engine=world.engine,
        versions=(FlowLogVersion(flow_log=log, upto=upto),),
        deleted=(log.flow_log_id,),
        at=START + 400,
    )
    assert world.delivery.status() == ()
    await world.clock.advance(600)
    assert seen(world, log) == written
    await world.delivery.wait_until_delivered()
    await world.stop()
