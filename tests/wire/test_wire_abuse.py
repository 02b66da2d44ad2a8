"""Clients and servers that misbehave at every stage, by the thousand: nothing is left behind.

Exactly one record for every request of which a byte was read, none otherwise.
"""

import asyncio
import gc
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from simulator.model import CustomConfiguration, ListenerLimits, ListenerTimeouts
from tests.wire.conftest import PATIENCE_S, Sim, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SETTLE_S = 20.0
BIG = 3_000_000
"""More than the kernel's buffers take."""


class Server(asyncio.Protocol):
    """A backend server that does what the path of a request says: ``/<behaviour>/<anything>``."""

    arrived: dict[bytes, asyncio.Future]

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found or self._transport.is_closing():
                return
            target = head.split(b" ")[1]
            if target.startswith(b"/body/") and len(rest) < 5:
                return
            self._buffer = rest[5:] if target.startswith(b"/body/") else rest
            getattr(self, "do_" + target.split(b"/")[1].decode())()
            waiting = self.arrived.pop(target, None)
            if waiting is not None:
                waiting.set_result(None)

    def do_ok(self) -> None:
        self._transport.write(OK)

    do_body = do_ok

    def do_early(self) -> None:
        """Answers before it has the body, and takes no more of it."""
        self._transport.pause_reading()
        self._transport.write(OK)

    def do_refuse(self) -> None:
        self._transport.write(OK)
        self._transport.close()

    def do_twice(self) -> None:
        self._transport.write(OK + OK)

    def do_late(self) -> None:
        """Says something more when nobody asks any more."""
        self._transport.write(OK)
        asyncio.get_running_loop().call_soon(self._write_if_open, b"HTTP/1.1 500 Sorry\r\n\r\n")

    def _write_if_open(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def do_pieces(self, at: int = 0) -> None:
        self._write_if_open(OK[at : at + 1])
        if at < len(OK):
            asyncio.get_running_loop().call_soon(self.do_pieces, at + 1)

    def do_silence(self) -> None:
        pass

    def do_close(self) -> None:
        self._transport.close()

    def do_reset(self) -> None:
        self._transport.abort()

    def do_half(self) -> None:
        self._transport.write(OK[:-2])
        self._transport.close()

    def do_halfchunk(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhal")
        self._transport.close()

    def do_stall(self) -> None:
        # In a chunk: of another body a part is not sent before there is a buffer of it.
        self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")

    def do_garbage(self) -> None:
        self._transport.write(b"\x00\x01 not HTTP at all\r\n\r\n")
        self._transport.close()

    def do_bad(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")

    def do_big(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        self._transport.write(b"x" * BIG)


class Attacker:
    """One client socket; synchronous where the kernel's buffers allow it."""

    def __init__(self, abuse: "Abuse", name: str) -> None:
        self._abuse = abuse
        self._loop = asyncio.get_running_loop()
        self.name = name
        self._socket = socket.socket()
        self._socket.connect(abuse.address)
        self._socket.setblocking(False)

    def send(self, behaviour: str, extra: bytes = b"", method: bytes = b"GET") -> bytes:
        """Send a request; its target."""
        target = f"/{behaviour}/{self.name}".encode()
        self.send_raw(b"%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (method, target, extra))
        return target

    def send_raw(self, data: bytes) -> None:
        assert self._socket.send(data) == len(data)

    async def reach(self, behaviour: str) -> None:
        """Send a request and wait until the server has it."""
        waiting = self._loop.create_future()
        self._abuse.arrived[f"/{behaviour}/{self.name}".encode()] = waiting
        self.send(behaviour)
        await waiting

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self._loop.sock_recv(self._socket, size - len(data))
            if not piece:
                break
            data += piece
        return data

    async def read_to_end(self) -> bytes:
        data = b""
        try:
            while piece := await self._loop.sock_recv(self._socket, 65536):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


Attack = Callable[[Attacker], Awaitable[None]]


class Abuse:
    """Runs attacks, counts what they leave."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        self.address = sim.address
        self.arrived: dict[bytes, asyncio.Future] = {}
        self._count = 0
        self.errors: list[dict] = []
        Server.arrived = self.arrived
        handle = asyncio.get_running_loop().set_exception_handler
        handle(lambda _, context: self.errors.append(context))

    async def run(self, attack: Attack, *, statuses: set[int], times: int, at_once: int) -> None:
        """``times`` attacks, ``at_once`` at the same time; each leaves one record or none.

        Args:
            statuses: what its record may say; empty when it leaves none.
        """
        self.sim.records.clear()
        left = times

        async def one_after_another() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                self._count += 1
                attacker = Attacker(self, f"{attack.__name__}-{self._count}")
                try:
                    await attack(attacker)
                finally:
                    attacker.close()

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(one_after_another())
        await self.settle()
        assert not self.errors, f"{attack.__name__}: {self.errors[0]}"
        records = self.sim.records
        found = Counter(record.response_status for record in records)
        assert set(found) <= statuses, f"{attack.__name__}: {found}"
        assert len(records) == (times if statuses else 0), f"{attack.__name__}: {found}"
        lines = Counter(record.request for record in records if b"/" in record.request)
        assert not lines or max(lines.values()) == 1, f"{attack.__name__}: doubled"

    async def settle(self) -> None:
        """Wait until the data plane has noticed that all clients are gone.

        It needs no timeout of its own for that: those of ``SLOW`` are short, the others long.
        """
        sim = self.sim
        async with asyncio.timeout(SETTLE_S):
            await until(lambda: not (sim.data_plane.open_connections or sim.clock._requests))

    async def census(self) -> Counter:
        """What is alive: our objects, the loop's, tasks, sockets."""
        await self.settle()
        self.sim.records.clear()
        for idle in self.sim.data_plane._pool._idle.values():
            while idle:
                idle.pop().release()
        for _ in range(20):
            await asyncio.sleep(0)
        gc.collect()
        alive = Counter(
            type(thing).__name__
            for thing in gc.get_objects()
            if str(type(thing).__module__).startswith(("simulator", "uvloop"))
            or isinstance(thing, asyncio.Task | asyncio.Future | Server)
        )
        alive["sockets"] = len(os.listdir("/proc/self/fd"))
        alive["thousand blocks"] = sys.getallocatedblocks() // 1000
        return alive


# -- clients ------------------------------------------------------------------------------------


async def connects_and_closes(attacker: Attacker) -> None:
    attacker.close()


async def connects_and_resets(attacker: Attacker) -> None:
    attacker.reset()


async def half_closes_without_a_word(attacker: Attacker) -> None:
    attacker.half_close()
    assert await attacker.read_to_end() == b""


async def sends_empty_lines_and_closes(attacker: Attacker) -> None:
    attacker.send_raw(b"\r\n\r\n")
    attacker.close()


async def closes_mid_head(attacker: Attacker) -> None:
    attacker.send_raw(b"GET /ok/%s HTTP/1.1\r\nHos" % attacker.name.encode())
    attacker.close()


async def half_closes_mid_head(attacker: Attacker) -> None:
    attacker.send_raw(b"GET /ok/%s HTTP/1.1\r\nHos" % attacker.name.encode())
    attacker.half_close()
    assert await attacker.read_to_end() == b""


async def closes_mid_body(attacker: Attacker) -> None:
    attacker.send("ok", b"Content-Length: 9\r\n", b"POST")
    attacker.send_raw(b"four")
    attacker.close()


async def resets_in_a_large_body(attacker: Attacker) -> None:
    target = attacker.send("silence", b"Content-Length: 99999999\r\n", b"POST")
    waiting = attacker._abuse.arrived[target] = asyncio.get_running_loop().create_future()
    attacker.send_raw(b"x" * 30_000)
    await waiting
    attacker.reset()


async def closes_mid_chunk(attacker: Attacker) -> None:
    attacker.send("ok", b"Transfer-Encoding: chunked\r\n", b"POST")
    attacker.send_raw(b"5\r\nhel")
    attacker.close()


async def closes_at_once(attacker: Attacker) -> None:
    attacker.send("silence")
    attacker.close()


async def half_closes_after_its_request(attacker: Attacker) -> None:
    attacker.send("silence")
    attacker.half_close()
    assert await attacker.read_to_end() == b""


async def closes_while_the_server_works(attacker: Attacker) -> None:
    await attacker.reach("silence")
    attacker.close()


async def resets_while_the_server_works(attacker: Attacker) -> None:
    await attacker.reach("silence")
    attacker.reset()


async def resets_mid_response(attacker: Attacker) -> None:
    attacker.send("stall")
    await attacker.read(10)
    attacker.reset()


async def resets_a_download(attacker: Attacker) -> None:
    attacker.send("big")
    await attacker.read(10)
    attacker.reset()


async def closes_after_the_response(attacker: Attacker) -> None:
    attacker.send("ok")
    assert await attacker.read(len(OK)) == OK
    attacker.close()


async def resets_after_the_response(attacker: Attacker) -> None:
    attacker.send("body", b"Content-Length: 5\r\n", b"POST")
    attacker.send_raw(b"hello")
    assert await attacker.read(len(OK)) == OK
    attacker.reset()


async def half_closes_after_the_response(attacker: Attacker) -> None:
    attacker.send("ok")
    assert await attacker.read(len(OK)) == OK
    attacker.half_close()
    assert await attacker.read_to_end() == b""


async def sends_garbage_and_leaves(attacker: Attacker) -> None:
    attacker.send_raw(b"\x16\x03\x01 no HTTP")
    attacker.close()


async def sends_garbage_and_half_closes(attacker: Attacker) -> None:
    attacker.send_raw(b"\x16\x03\x01 no HTTP")
    attacker.half_close()
    assert (await attacker.read_to_end()).startswith(b"HTTP/1.1 400 ")


async def sends_a_bad_chunk(attacker: Attacker) -> None:
    attacker.send("ok", b"Transfer-Encoding: chunked\r\n", b"POST")
    attacker.send_raw(b"5\r\nhello!")
    assert (await attacker.read(12)) == b"HTTP/1.1 400"
    attacker.close()


CLIENTS: dict[Attack, set[int]] = {
    connects_and_closes: set(),
    connects_and_resets: set(),
    half_closes_without_a_word: set(),
    sends_empty_lines_and_closes: set(),
    closes_mid_head: {400},
    half_closes_mid_head: {400},
    closes_mid_body: {400},
    resets_in_a_large_body: {400},
    closes_mid_chunk: {400},
    closes_at_once: {499},
    half_closes_after_its_request: {499},
    closes_while_the_server_works: {499},
    resets_while_the_server_works: {499},
    resets_mid_response: {200},
    closes_after_the_response: {200},
    resets_after_the_response: {200},
    half_closes_after_the_response: {200},
    sends_garbage_and_leaves: {400},
    sends_garbage_and_half_closes: {400},
    sends_a_bad_chunk: {400},
}


# -- servers ------------------------------------------------------------------------------------


def asks(behaviour: str, first: bytes = b"HTTP/1.1 200") -> Attack:
    async def attack(attacker: Attacker) -> None:
        attacker.send(behaviour)
        assert (await attacker.read(12)) == first

    attack.__name__ = f"asks_{behaviour}"
    return attack


def uploads(behaviour: str) -> Attack:
    async def attack(attacker: Attacker) -> None:
        attacker.send(behaviour, b"Content-Length: 99999999\r\n", b"POST")
        attacker.send_raw(b"x" * 30_000)
        answer = await attacker.read_to_end()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"\r\nConnection: close\r\n" in answer

    attack.__name__ = f"uploads_{behaviour}"
    return attack


SERVERS: dict[Attack, set[int]] = {
    asks("ok"): {200},
    asks("twice"): {200},
    asks("late"): {200},
    asks("pieces"): {200},
    asks("refuse"): {200},
    asks("close", b"HTTP/1.1 502"): {502},
    asks("reset", b"HTTP/1.1 502"): {502},
    asks("half"): {200},
    asks("halfchunk"): {200},
    asks("garbage", b"\x00\x01 not HTTP "): {9},
    asks("bad", b"HTTP/1.1 502"): {502},
    uploads("early"): {200},
    uploads("refuse"): {200},
}


async def start(sim: Sim, **settings) -> Abuse:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    sim._stack.callback(server.close)
    await sim.start([server.sockets[0].getsockname()], **settings)
    return Abuse(sim)


async def test_ten_thousand_attacks_leave_nothing_behind(sim: Sim):
    attacks = {**CLIENTS, **SERVERS}

    async def round_of(times: int) -> None:
        for attack, statuses in attacks.items():
            await abuse.run(attack, statuses=statuses, times=times, at_once=16)

    abuse = await start(sim)
    await round_of(20)
    before = await abuse.census()
    await round_of(10_000 // len(attacks) + 1)
    after = await abuse.census()
    grown = {name: count for name, count in (after - before).items() if count > 3}
    assert not grown


SLOW = ListenerTimeouts(
    # The server's is long enough for 64 answers at once on a busy machine.
    client_header_s=0.15,
    client_body_s=0.15,
    client_send_s=0.15,
    server_s=1.0,
    keep_alive_s=0.15,
)


async def never_ends_its_head(attacker: Attacker) -> None:
    attacker.send_raw(b"GET /ok/%s HTTP/1.1\r\n" % attacker.name.encode())
    assert await attacker.read_to_end() == b""


async def sends_its_head_byte_by_byte(attacker: Attacker) -> None:
    """Each byte is in time, all of them are not."""
    attacker.send_raw(b"GET /ok/%s HTTP/1.1\r\n" % attacker.name.encode())
    reading = asyncio.get_running_loop().create_task(attacker.read_to_end())
    for byte in b"X: " + b"x" * 10_000:
        if reading.done():
            break
        try:
            attacker.send_raw(bytes([byte]))
        except ConnectionError:
            break
        await asyncio.sleep(0.001)
    assert await reading == b""


async def never_ends_its_body(attacker: Attacker) -> None:
    attacker.send("ok", b"Content-Length: 9\r\n", b"POST")
    attacker.send_raw(b"four")
    assert await attacker.read_to_end() == b""


async def never_ends_a_large_body(attacker: Attacker) -> None:
    attacker.send("silence", b"Content-Length: 99999\r\n", b"POST")
    attacker.send_raw(b"x" * 20_000)
    assert await attacker.read_to_end() == b""


async def never_reads(attacker: Attacker) -> None:
    attacker.send("big")
    await attacker.read(10)
    await until(lambda: not attacker._abuse.sim.data_plane.open_connections)


async def never_asks_again(attacker: Attacker) -> None:
    attacker.send("ok")
    assert await attacker.read_to_end() == OK


SLOW_CLIENTS: dict[Attack, set[int]] = {
    never_ends_its_head: {408},
    sends_its_head_byte_by_byte: {408},
    never_ends_its_body: {408},
    never_ends_a_large_body: {408},
    never_reads: {200},
    never_asks_again: {200},
    asks("silence", b"HTTP/1.1 504"): {504},
    asks("stall"): {200},
}


async def test_slow_clients_and_servers_are_given_up_without_a_trace(sim: Sim):
    abuse = await start(sim, timeouts=SLOW)
    for attack, statuses in SLOW_CLIENTS.items():
        await abuse.run(attack, statuses=statuses, times=4, at_once=4)
    before = await abuse.census()
    for attack, statuses in SLOW_CLIENTS.items():
        await abuse.run(attack, statuses=statuses, times=64, at_once=64)
    after = await abuse.census()
    grown = {name: count for name, count in (after - before).items() if count > 3}
    assert not grown


async def test_a_silent_connection_is_closed_without_a_record(sim: Sim):
    abuse = await start(sim, timeouts=SLOW)
    for sent in (b"", b"\r\n\r\n"):
        attacker = Attacker(abuse, "silent")
        if sent:
            attacker.send_raw(sent)
        assert await attacker.read_to_end() == b""
        attacker.close()
    await abuse.settle()
    assert sim.records == []


async def test_downloads_reset_midway_leave_nothing_behind(sim: Sim):
    abuse = await start(sim)
    await abuse.run(resets_a_download, statuses={200}, times=8, at_once=8)
    before = await abuse.census()
    await abuse.run(resets_a_download, statuses={200}, times=64, at_once=8)
    after = await abuse.census()
    assert not {name: count for name, count in (after - before).items() if count > 3}


@pytest.mark.parametrize("body", [b"5\r\nhello\r\nzz\r\n", b"40\r\n" + b"x" * 64 + b"\r\n"])
async def test_a_body_that_breaks_off_after_the_answer_has_begun(sim: Sim, body: bytes):
    """Malformed, or larger than allowed: too late for a 400 or a 413."""
    limits = ListenerLimits(body_buffer_bytes=0, body_bytes=60)

    async def backend(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-2])
        await reader.read()

    await sim.start([backend], limits=limits, custom=CustomConfiguration(buffering=False))
    reader, writer = await sim.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    writer.write(body)
    assert await reader.read() == b"hel"
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (200, "200")
    assert record["body_bytes_sent"] == 3


async def test_bytes_on_an_idle_connection_never_answer_the_next_request(sim: Sim):
    """The connection is dropped, whichever comes first: the bytes or the next request."""
    connections = 0

    async def backend(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        unsolicited.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read()

    unsolicited, go = asyncio.Event(), asyncio.Event()
    await sim.start([backend])
    reader, writer = await sim.connect()
    writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readexactly(len(OK)) == OK
    await unsolicited.wait()
    [idle] = sim.data_plane._pool._idle.values()
    go.set()
    await until(lambda: idle[0].closed)
    writer.write(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readexactly(len(OK)) == OK
    assert connections == 2
    records = await sim.fields(2)
    assert [record["upstream_status"] for record in records] == ["200", "200"]
