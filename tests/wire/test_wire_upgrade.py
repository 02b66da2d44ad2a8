"""WebSocket and other upgrades: bytes pass both ways, and one record when it is over."""

import asyncio

import pytest

from simulator.model import ListenerTimeouts
from tests.wire.conftest import Sim, read_head

ASK = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: y\r\n\r\n"
)


def echoing(seen: list[bytes], greeting: bytes = b""):
    async def handler(reader, writer):
        seen.append(await read_head(reader))
        writer.write(SWITCH + greeting)
        while data := await reader.read(65536):
            seen.append(data)
            writer.write(data.upper())

    return handler


@pytest.mark.parametrize("greeting", [b"", b"hi"])
async def test_bytes_pass_both_ways_and_are_logged_at_the_end(sim: Sim, greeting: bytes):
    seen: list[bytes] = []
    await sim.start([echoing(seen, greeting)])
    reader, writer = await sim.connect()
    writer.write(ASK + b"early")
    head = await read_head(reader)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in head
    assert b"Sec-WebSocket-Accept: y\r\n" in head
    assert await reader.readexactly(len(greeting) + 5) == greeting + b"EARLY"
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
    assert sim.records == []
    writer.close()
    [record] = await sim.fields()
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in seen[0]
    assert (record["response_status"], record["upstream_status"]) == (101, "101")
    assert record["request"] == "GET /chat HTTP/1.1"
    assert record["request_length"] == len(ASK)
    assert record["body_bytes_sent"] == len(greeting) + 5 + 18


async def test_what_the_client_says_last_still_arrives(sim: Sim):
    seen: list[bytes] = []
    done = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(SWITCH)
        seen.append(await reader.read())
        done.set()

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(ASK)
    await read_head(reader)
    writer.write(b"x" * 300_000)
    writer.write(b"farewell")
    writer.write_eof()
    await done.wait()
    assert seen[0].endswith(b"farewell")
    assert len(seen[0]) == 300_008
    await sim.fields()


async def test_a_server_that_closes_ends_it(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(SWITCH + b"bye")

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(ASK)
    await read_head(reader)
    assert await reader.read() == b"bye"
    [record] = await sim.fields()
    assert (record["response_status"], record["body_bytes_sent"]) == (101, 3)


async def test_silence_ends_it(sim: Sim):
    await sim.start([echoing([])], timeouts=ListenerTimeouts(server_s=0.05))
    reader, writer = await sim.connect()
    writer.write(ASK)
    await read_head(reader)
    assert await reader.read() == b""
    [record] = await sim.fields()
    assert record["response_status"] == 101
    assert record["request_time"] >= 0.048
    assert record["upstream_response_time"] >= 0.048


async def test_a_refused_upgrade_is_an_ordinary_response(sim: Sim):
    async def handler(reader, writer):
        while True:
            await read_head(reader)
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")

    await sim.start([handler])
    reader, writer = await sim.connect()
    for _ in range(3):
        writer.write(ASK)
        assert (await read_head(reader)).startswith(b"HTTP/1.1 426")
        assert await reader.readexactly(2) == b"no"
    assert {r["response_status"] for r in await sim.fields(3)} == {426}


@pytest.mark.parametrize(
    "headers",
    [
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
        b"Connection: Upgrade\r\nUpgrade: H2C, websocket\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: other\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
    ],
)
async def test_what_is_no_upgrade_for_us_is_none_for_the_server(sim: Sim, headers: bytes):
    seen: list[bytes] = []

    async def handler(reader, writer):
        seen.append(await read_head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\nok")
    assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
    assert b"pgrade:" not in seen[0]


async def test_old_clients_upgrade_nothing(sim: Sim):
    seen: list[bytes] = []
    await sim.start([echoing(seen)])
    await sim.exchange(ASK.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"keep-alive, ", b""))
    assert b"pgrade:" not in seen[0]
