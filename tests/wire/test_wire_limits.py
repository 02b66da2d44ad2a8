"""What a client and the record see when an instance is at its limits."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from simulator.dataplane import ListenerSettings, pages
from simulator.model import InstanceLimits
from simulator.routing.limits import InstanceLimiter, make_limiter
from tests.wire.conftest import START_AT, Sim, read_head

GET = b"GET /cart HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def answer_ok(reader, writer):
    while True:
        head = await read_head(reader)
        if b"Content-Length: " in head:
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split()[0]))
        writer.write(OK)


async def limited(sim: Sim, **limits: int) -> InstanceLimiter:
    sim.clock.start()
    await sim.start([answer_ok])
    limiter = make_limiter(InstanceLimits(**limits))
    assert limiter is not None
    settings = ListenerSettings(route=sim.route, on_record=sim._take, limiter=limiter)
    await sim.data_plane.apply((settings,))
    return limiter


async def status_of(reader: asyncio.StreamReader) -> int:
    head = await read_head(reader)
    length = int(head.split(b"Content-Length: ")[1].split()[0])
    await reader.readexactly(length)
    return int(head.split()[1])


async def test_a_request_above_the_limit_is_answered_503_and_its_record_says_why(sim: Sim):
    limiter = await limited(sim, qps=2)
    reader, writer = await sim.connect()
    statuses = []
    for _ in range(4):
        writer.write(GET)
        statuses.append(await status_of(reader))
    await sim.clock.advance(0.5)
    writer.write(GET)
    statuses.append(await status_of(reader))
    assert statuses == [200, 200, 503, 503, 200]
    records = await sim.fields(5)
    assert [record["extension_log"] for record in records] == [
        "lb-0d29a3f6&0&0&0",
        "lb-0d29a3f6&0&0&0",
        "lb-0d29a3f6&1&3&0",
        "lb-0d29a3f6&1&4&0",
        "lb-0d29a3f6&0&0&0",
    ]
    refused = records[2]
    port = writer.get_extra_info("sockname")[1]
    assert 0 <= refused.pop("request_time") < 5
    assert refused == {
        "time_local": "01/Mar/2026:08:00:00 +0800",
        "vip": "10.0.1.5",
        "vport": 80,
        "response_status": 503,
        "vdum_ups_id": "-",
        "upstream_addr": "-",
        "upstream_status": "-",
        "remote_addr": "127.0.0.1",
        "cip": "127.0.0.1",
        "cport": port,
        "server_addr": "10.0.1.5",
        "server_port": 80,
        "scheme": "http",
        "host": "a",
        "request": "GET /cart HTTP/1.1",
        "request_length": len(GET),
        "body_bytes_sent": len(pages.page(503)),
        "http_referer": "-",
        "http_user_agent": "-",
        "http_x_forwarded_for": "-",
        "upstream_connect_time": "-",
        "upstream_response_time": "-",
        "ssl_handshake_time": "-",
        "ssl_session_reused": "-",
        "vdum_rs_proto": "-",
        "upstream_local_addr": "-",
        "extension_log": "lb-0d29a3f6&1&3&0",
    }
    assert limiter.limited_request_count == 2


async def test_a_refused_request_with_a_body_leaves_the_connection_usable(sim: Sim):
    await limited(sim, qps=1)
    reader, writer = await sim.connect()
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
    statuses = []
    for _ in range(3):
        writer.write(post)
        statuses.append(await status_of(reader))
    assert statuses == [200, 503, 503]
    assert [record["request_length"] for record in await sim.fields(3)] == [len(post)] * 3


async def test_bytes_that_are_no_request_count_for_nothing(sim: Sim):
    limiter = await limited(sim, qps=1)
    assert b" 400 " in await sim.exchange(b"GET / HTTP/1.1\r\n\r\n")
    assert b" 200 " in await sim.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert limiter.limited_request_count == 0


async def test_a_connection_above_the_rate_is_reset_and_leaves_no_record(sim: Sim):
    limiter = await limited(sim, new_connections=2)
    first = await sim.connect()
    second = await sim.connect()
    for _ in range(2):
        reader, _ = await sim.connect()
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert limiter.dropped_connection_count == 2
    # Those that stand are never affected.
    for reader, writer in (first, second):
        writer.write(GET)
        assert await status_of(reader) == 200
    await sim.clock.advance(0.5)
    reader, writer = await sim.connect()
    writer.write(GET)
    assert await status_of(reader) == 200
    assert [record["response_status"] for record in await sim.fields(3)] == [200] * 3


async def test_there_is_room_again_when_a_connection_closes(sim: Sim):
    limiter = await limited(sim, connections=1)
    reader, writer = await sim.connect()
    writer.write(GET)
    assert await status_of(reader) == 200
    late, _ = await sim.connect()
    with pytest.raises(ConnectionResetError):
        await late.read()
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert await status_of(reader) == 200
    assert await reader.read() == b""
    reader, writer = await sim.connect()
    writer.write(GET)
    assert await status_of(reader) == 200
    assert limiter.dropped_connection_count == 1


async def test_a_crowd_that_connects_at_once_is_counted_one_by_one(sim: Sim):
    limiter = await limited(sim, connections=3)
    loop = asyncio.get_running_loop()

    async def outcome(client: socket.socket) -> bytes:
        try:
            await loop.sock_sendall(client, GET)
            return (await loop.sock_recv(client, 1000))[9:12]
        except (ConnectionResetError, BrokenPipeError):
            return b""

    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(10)]
        for client in clients:
            client.connect(sim.address)  # all of them before the listener sees any
            client.setblocking(False)
        outcomes = [await outcome(client) for client in clients]
    assert outcomes == [b"200"] * 3 + [b""] * 7
    assert limiter.dropped_connection_count == 7


async def test_limits_can_change_while_clients_are_connected(sim: Sim):
    await limited(sim, qps=1)
    reader, writer = await sim.connect()
    statuses = []
    for limits in (InstanceLimits(qps=1), InstanceLimits(), InstanceLimits(qps=2)):
        limiter = make_limiter(limits)
        settings = ListenerSettings(route=sim.route, on_record=sim._take, limiter=limiter)
        await sim.data_plane.apply((settings,))
        for _ in range(3):
            writer.write(GET)
            statuses.append(await status_of(reader))
    assert statuses == [200, 503, 503, 200, 200, 200, 200, 200, 503]
    assert sim.records[0].logged_at == START_AT
