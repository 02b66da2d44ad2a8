"""Changing the configuration while requests run fails none that was not sent to what went."""

import asyncio
from dataclasses import replace

import pytest

from simulator.dataplane import ListenerSettings
from simulator.errors import StartupError
from simulator.model import Listener, LoadBalancer, ServerGroup
from simulator.routing import compile_route
from tests.wire.conftest import Sim, read_head

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def named(name: bytes):
    async def handler(reader, writer):
        while True:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))

    return handler


def with_servers(sim: Sim, *indexes: int) -> tuple[LoadBalancer, Listener]:
    """The balancer with only some of its servers in the group."""
    [group] = sim.balancer.server_groups
    group = replace(group, servers=tuple(sim.servers[index] for index in indexes))
    balancer = replace(sim.balancer, server_groups=(group,))
    return balancer, balancer.listeners[0]


def settings(sim: Sim, balancer: LoadBalancer, listener: Listener) -> ListenerSettings:
    key = (balancer.load_balancer_id, listener.port)
    route = compile_route(balancer, listener, sim.data_plane.route_of(key))
    return ListenerSettings(route=route, on_record=sim._take)


async def ask(reader, writer) -> bytes:
    writer.write(GET)
    head = await read_head(reader)
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(1)


async def test_servers_come_and_go_under_load(sim: Sim):
    await sim.start([named(b"a"), named(b"b"), named(b"c")])
    stop = False
    answers: list[bytes] = []

    async def client():
        reader, writer = await sim.connect()
        while not stop:
            answers.append(await ask(reader, writer))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(client())
        for indexes in [(0,), (1, 2), (2,), (0, 1, 2), (1,)] * 5:
            seen = len(answers)
            await sim.data_plane.apply((settings(sim, *with_servers(sim, *indexes)),))
            while len(answers) < seen + 40:  # noqa: ASYNC110  a turn is a step of the load
                await asyncio.sleep(0)
            # The last of them began after the change.
            allowed = {b"abc"[index : index + 1] for index in indexes}
            assert set(answers[-16:]) <= allowed
        stop = True
    assert {record.response_status for record in sim.records} == {200}
    assert len(sim.records) == len(answers)


async def test_a_request_under_way_finishes_on_the_route_it_began_with(sim: Sim):
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(reader, writer):
        await read_head(reader)
        arrived.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

    await sim.start([slow, named(b"b")], weights=[100, 100])
    await sim.data_plane.apply((settings(sim, *with_servers(sim, 0)),))
    first = await sim.connect()
    first[1].write(GET)
    await arrived.wait()
    balancer, listener = with_servers(sim, 1)
    [group] = balancer.server_groups
    renamed: ServerGroup = replace(group, server_group_id="sg-22222222")
    balancer = replace(balancer, server_groups=(renamed,))
    listener = replace(listener, server_group_id=renamed.server_group_id)
    await sim.data_plane.apply((settings(sim, balancer, listener),))
    assert await ask(*await sim.connect()) == b"b"
    go.set()
    assert (await read_head(first[0])).startswith(b"HTTP/1.1 200")
    assert await first[0].readexactly(1) == b"a"
    records = await sim.fields(2)
    assert [r["vdum_ups_id"] for r in records] == ["sg-22222222", "sg-11bd8054"]


async def test_listeners_are_added_and_removed(sim: Sim):
    await sim.start([named(b"a")])
    balancer, listener = with_servers(sim, 0)
    second = replace(listener, port=81)
    addresses = await sim.data_plane.apply(
        (settings(sim, balancer, listener), settings(sim, balancer, second))
    )
    assert [address.port for address in addresses] == [80, 81]
    assert (addresses[0].host, addresses[0].bound_port) == sim.address
    idle, busy = await sim.connect(), await sim.connect()
    assert await ask(*busy) == b"a"
    [left] = await sim.data_plane.apply((settings(sim, balancer, second),))
    assert left == addresses[1]
    # Idle connections of what went are closed, and nobody new gets in.
    assert await idle[0].read() == b""
    assert await busy[0].read() == b""
    with pytest.raises(ConnectionError):
        await sim.connect()
    reader, writer = await asyncio.open_connection(left.host, left.bound_port)
    assert await ask(reader, writer) == b"a"
    writer.close()


async def test_a_change_that_cannot_be_made_changes_nothing(sim: Sim):
    await sim.start([named(b"a")])
    balancer, listener = with_servers(sim, 0)
    taken = replace(listener, port=81, bind_port=sim.address[1])
    with pytest.raises(StartupError, match=r"shop:81 cannot listen"):
        await sim.data_plane.apply((settings(sim, balancer, taken),))
    assert await ask(*await sim.connect()) == b"a"
    assert sim.data_plane.route_of((balancer.load_balancer_id, 81)) is None
