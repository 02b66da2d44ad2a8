"""A data plane that takes no new requests for a while: nobody is refused, and nothing is lost."""

import asyncio

import pytest

from simulator.model import ListenerTimeouts
from tests.wire.conftest import Sim, read_head, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"


async def answer(reader, writer):
    while True:
        await read_head(reader)
        writer.write(OK)


async def one(reader) -> bytes:
    head = await read_head(reader)
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(1)


async def turns(count: int = 50) -> None:
    """So long that whatever the loop has to do is done."""
    for _ in range(count):
        await asyncio.sleep(0)


def arrived(writer: asyncio.StreamWriter) -> bool:
    """Whether the kernel has handed all that was written to the other side."""
    return writer.transport.get_write_buffer_size() == 0


async def test_requests_of_old_and_new_connections_wait_and_are_served_then(sim: Sim):
    await sim.start([answer])
    old_reader, old_writer = await sim.connect()
    old_writer.write(GET)
    assert await one(old_reader) == b"a"
    sim.data_plane.hold()
    old_writer.write(GET)
    new_reader, new_writer = await sim.connect()
    new_writer.write(GET * 3)
    await until(lambda: len(sim.records) == 1 and arrived(old_writer) and arrived(new_writer))
    await turns()
    assert len(sim.records) == 1
    sim.data_plane.resume()
    assert await one(old_reader) == b"a"
    for _ in range(3):
        assert await one(new_reader) == b"a"
    await until(lambda: len(sim.records) == 5)
    # And again, now that both have been held before.
    sim.data_plane.hold()
    old_writer.write(GET)
    await turns()
    assert len(sim.records) == 5
    sim.data_plane.resume()
    assert await one(old_reader) == b"a"


async def test_a_request_under_way_ends_and_the_next_one_on_its_connection_waits(sim: Sim):
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(reader, writer):
        while True:
            await read_head(reader)
            arrived.set()
            await go.wait()
            writer.write(OK)

    await sim.start([slow])
    reader, writer = await sim.connect()
    writer.write(GET + GET[:20])
    await arrived.wait()
    sim.data_plane.hold()
    go.set()
    assert await one(reader) == b"a"
    writer.write(GET[20:])
    await turns()
    assert len(sim.records) == 1
    sim.data_plane.resume()
    assert await one(reader) == b"a"
    await until(lambda: len(sim.records) == 2)


async def test_a_head_that_has_begun_is_under_way(sim: Sim):
    await sim.start([answer])
    reader, writer = await sim.connect()
    writer.write(GET[:10])
    await until(lambda: sim.clock._requests == 1)
    sim.data_plane.hold()
    writer.write(GET[10:])
    assert await one(reader) == b"a"


async def test_nobody_is_timed_while_held_and_anew_after_it(sim: Sim):
    timeouts = ListenerTimeouts(client_header_s=0.05, keep_alive_s=0.05)
    await sim.start([answer], timeouts=timeouts)
    old_reader, old_writer = await sim.connect()
    old_writer.write(GET)
    assert await one(old_reader) == b"a"
    new_reader, new_writer = await sim.connect()
    await until(lambda: sim.data_plane.open_connections == 2)
    sim.data_plane.hold()
    [held, other] = next(iter(sim.data_plane._open.values())).port.connections
    await until(lambda: held._timer is None and other._timer is None)
    old_writer.write(GET)
    new_writer.write(GET[:10])
    await turns()
    assert len(sim.records) == 1
    sim.data_plane.resume()
    assert await one(old_reader) == b"a"
    new_writer.write(GET[10:])
    assert await one(new_reader) == b"a"
    # Idle again, they are closed like any other.
    assert await old_reader.read() == await new_reader.read() == b""
    assert {record.response_status for record in sim.records} == {200}


async def test_a_client_that_has_left_meanwhile_leaves_what_it_sent(sim: Sim):
    await sim.start([answer])
    sim.data_plane.hold()
    _, silent = await sim.connect()
    _, writer = await sim.connect()
    await until(lambda: sim.data_plane.open_connections == 2)
    writer.write(GET)
    silent.close()
    writer.close()
    await turns()
    sim.data_plane.resume()
    await until(lambda: sim.data_plane.open_connections == 0)
    assert len(sim.records) == 1


async def test_a_held_data_plane_closes(sim: Sim):
    await sim.start([answer])
    sim.data_plane.hold()
    reader, writer = await sim.connect()
    writer.write(GET)
    await until(lambda: sim.data_plane.open_connections == 1)
    await sim.data_plane.aclose(drain_s=5.0)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await read_head(reader)
    assert sim.records == []
