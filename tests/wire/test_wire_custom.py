"""The custom configuration of a listener: what it does on the wire and in the record."""

import asyncio
import zlib

import pytest

from simulator.dataplane.client_base import State
from simulator.model import CustomConfiguration, HeaderToSet, parse_header_value
from tests.wire.conftest import Sim, read_head, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def recording(seen: list[bytes], response: bytes = OK):
    async def handler(reader, writer):
        while True:
            seen.append(await read_head(reader))
            writer.write(response)

    return handler


def setting(**headers: str) -> CustomConfiguration:
    return CustomConfiguration(
        set_headers=tuple(
            HeaderToSet(name=name.replace("_", "-"), parts=parse_header_value(value))
            for name, value in headers.items()
        )
    )


@pytest.mark.parametrize("repeat", [1, 4])
async def test_set_headers_replace_the_clients_and_know_the_request(sim: Sim, repeat: int):
    seen: list[bytes] = []
    await sim.start(
        [recording(seen)],
        custom=setting(
            X_Real_IP="$remote_addr",
            X_Url="$scheme://${host}:$server_port/ at $server_addr",
            X_Secret="",
            Host="shop.internal",
        ),
        x_forwarded_for=True,
    )
    reader, writer = await sim.connect()
    request = (
        b"GET /a HTTP/1.1\r\nHost: Shop.test:81\r\nx-real-ip: 1.1.1.1\r\nA: b\r\n"
        b"X-Secret: 1\r\nX-SECRET: 2\r\nX-Secret-2: 3\r\n\r\n"
    )
    for _ in range(repeat):
        writer.write(request)
        assert await reader.readexactly(len(OK)) == OK
    expected = (
        b"GET /a HTTP/1.1\r\nX-Real-IP: 127.0.0.1\r\n"
        b"X-Url: http://shop.test:80/ at 10.0.1.5\r\nHost: shop.internal\r\n"
        b"A: b\r\nX-Secret-2: 3\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"
    )
    assert seen == [expected] * repeat
    for record in await sim.fields(repeat):
        # The record is of what the client asked.
        assert (record["host"], record["request_length"]) == ("shop.test", len(request))


async def test_a_header_that_turns_out_empty_is_not_sent(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)], custom=setting(X_Host="$host"))
    reader, writer = await sim.connect()
    writer.write(b"GET / HTTP/1.0\r\nX-Host: mine\r\n\r\n")
    assert (await reader.read()).endswith(b"hello")
    assert seen == [b"GET / HTTP/1.1\r\nHost: 10.0.2.11:8080\r\n\r\n"]


async def test_the_peer_in_a_set_header_is_the_peer_of_the_record(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)], custom=setting(X_Real_IP="$remote_addr"))
    reader, writer = await sim.connect()
    writer.write(b"PROXY TCP4 203.0.113.9 10.0.1.5 5555 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readexactly(len(OK))
    [record] = await sim.fields()
    assert record["remote_addr"] == "203.0.113.9"
    assert b"X-Real-IP: 203.0.113.9\r\n" in seen[0]


NON_ASCII = "GET /搜索?q=中 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


async def test_bytes_beyond_ascii_in_the_request_line_are_refused_by_default(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)])
    assert (await sim.exchange(NON_ASCII)).startswith(b"HTTP/1.1 400 ")
    assert seen == []
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_addr"]) == (400, "-")


@pytest.mark.parametrize("line", ["/搜索?q=中", "http://a/搜索?q=中"])
async def test_they_pass_as_they_are_where_the_listener_allows_it(sim: Sim, line: str):
    seen: list[bytes] = []
    await sim.start([recording(seen)], allow_non_ascii=True)
    request = NON_ASCII.replace("/搜索?q=中".encode(), line.encode())
    assert (await sim.exchange(request)).startswith(b"HTTP/1.1 200 ")
    assert seen == ["GET /搜索?q=中 HTTP/1.1\r\nHost: a\r\n\r\n".encode()]
    [record] = await sim.fields()
    assert record["request"] == f"GET {line} HTTP/1.1"
    assert record["request_length"] == len(request)


@pytest.mark.parametrize(
    "request_head",
    [
        "GET /a HTTP/1.1\r\nHost: 商店\r\n\r\n",
        "GET http://商店/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /中/../../b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GÉT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /中\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_allowed_or_not_the_rest_of_the_request_has_to_be_sound(sim: Sim, request_head: str):
    await sim.start([recording([])], allow_non_ascii=True)
    assert (await sim.exchange(request_head.encode())).startswith(b"HTTP/1.1 400 ")


GZIP = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
JSON_BODY = b'{"a":"%s"}' % (b"x" * 500)


def json_response(body: bytes = JSON_BODY, headers: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"
        % (len(body), headers, body)
    )


async def read_chunks(reader) -> tuple[bytes, int]:
    """The body of a chunked response, and its bytes on the wire."""
    body, wire = b"", 0
    while True:
        line = await reader.readline()
        size = int(line, 16)
        piece = await reader.readexactly(size + 2)
        wire += len(line) + len(piece)
        body += piece[:-2]
        if not size:
            return body, wire


@pytest.mark.parametrize("repeat", [1, 4])
async def test_json_is_compressed_and_the_record_counts_what_was_sent(sim: Sim, repeat: int):
    await sim.start([recording([], json_response())], gzip_json=True)
    reader, writer = await sim.connect()
    for _ in range(repeat):
        writer.write(GZIP)
        assert await read_head(reader) == (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        )
        body, wire = await read_chunks(reader)
        assert zlib.decompress(body, 31) == JSON_BODY
    # 44 is what nginx 1.22 logged for this body.
    assert (
        [r["body_bytes_sent"] for r in await sim.fields(repeat)] == [wire] * repeat == [44] * repeat
    )


async def test_requests_that_differ_in_what_they_accept_are_told_apart(sim: Sim):
    await sim.start([recording([], json_response())], gzip_json=True)
    reader, writer = await sim.connect()
    compressed = []
    for name in (b"br", b"deflate", b"gzip", b"gzip", b"br"):
        writer.write(GZIP.replace(b"gzip", name))
        compressed.append(b"Content-Encoding: gzip" in await read_head(reader))
        if compressed[-1]:
            await read_chunks(reader)
        else:
            await reader.readexactly(len(JSON_BODY))
    assert compressed == [False, False, True, True, False]


async def test_a_large_body_is_compressed_as_it_comes(sim: Sim):
    whole = b"[%s0]" % b"".join(b"%d," % (n * n) for n in range(200_000))
    await sim.start([recording([], json_response(whole))], gzip_json=True)
    reader, writer = await sim.connect()
    writer.write(GZIP)
    await read_head(reader)
    body, wire = await read_chunks(reader)
    assert zlib.decompress(body, 31) == whole
    [record] = await sim.fields()
    assert record["body_bytes_sent"] == wire < len(whole) / 2


async def test_clients_that_do_not_ask_for_it_get_json_as_it_is(sim: Sim):
    response = json_response()
    await sim.start([recording([], response)], gzip_json=True)
    reader, writer = await sim.connect()
    for _ in range(3):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await reader.readexactly(len(response)) == response
    writer.write(b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    assert (await reader.read()).endswith(JSON_BODY)
    assert [r["body_bytes_sent"] for r in await sim.fields(4)] == [len(JSON_BODY)] * 4


async def test_the_answer_to_head_has_the_head_of_a_compressed_one(sim: Sim):
    answer = json_response().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    await sim.start([recording([], answer)], gzip_json=True)
    reader, writer = await sim.connect()
    for _ in range(2):
        writer.write(GZIP.replace(b"GET", b"HEAD"))
        assert await read_head(reader) == (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"
        )
    assert [r["body_bytes_sent"] for r in await sim.fields(2)] == [0, 0]


async def test_an_unbuffered_response_is_compressed_piece_by_piece(sim: Sim):
    more = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Accel-Buffering: no\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n"
        )
        await more.wait()
        writer.write(b"1\r\n]\r\n0\r\n\r\n")
        await reader.read()

    await sim.start([handler], gzip_json=True)
    reader, writer = await sim.connect()
    writer.write(GZIP)
    await read_head(reader)
    size = int(await reader.readline(), 16)
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(await reader.readexactly(size)) == b"[1,2"
    await reader.readexactly(2)
    more.set()
    body, _ = await read_chunks(reader)
    assert inflater.decompress(body) == b"]"
    assert inflater.eof


async def test_a_compressed_response_that_is_cut_short_has_no_last_chunk(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(json_response()[:-1])

    await sim.start([handler], gzip_json=True)
    raw = await sim.exchange(GZIP)
    assert not raw.endswith(b"0\r\n\r\n")
    [record] = await sim.fields()
    assert record["body_bytes_sent"] == len(raw.partition(b"\r\n\r\n")[2]) < 44
    assert (record["response_status"], record["upstream_status"]) == (200, "200")


LARGE = 48 << 20
"""More than the kernel takes for two sockets on its own."""


@pytest.mark.parametrize("framing", ["sized", "chunked", "until close"])
@pytest.mark.parametrize(
    ("buffering", "said", "ahead"),
    [
        (True, b"", True),
        (True, b"X-Accel-Buffering: junk\r\n", True),
        (True, b"X-Accel-Buffering: no\r\n", False),
        (False, b"", False),
        (False, b"X-Accel-Buffering: Yes\r\n", True),
    ],
)
async def test_with_buffering_a_slow_reader_does_not_keep_the_backend(
    sim: Sim, buffering: bool, said: bytes, ahead: bool, framing: str
):
    finished = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        body = bytes(LARGE)
        if framing == "sized":
            head = b"Content-Length: %d\r\n" % LARGE
        elif framing == "chunked":
            head, body = b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (LARGE, body)
        else:
            head = b"Connection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%s%s\r\n" % (said, head) + body)
        await writer.drain()
        finished.set()
        if framing != "until close":
            await reader.read()

    room = CustomConfiguration(buffering=buffering, buffer_count=8, buffer_size_bytes=LARGE)
    await sim.start([handler], custom=room)
    reader, writer = await sim.connect()
    writer.transport.pause_reading()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    [connection] = await clients(sim)
    if ahead:
        await finished.wait()
        await until(lambda: connection._state is State.DRAIN)
        assert connection._backend is None
    else:
        await until(lambda: connection._write_paused)
        assert connection._backend is not None
        assert not finished.is_set()
    assert sim.records == []
    writer.transport.resume_reading()
    head = await read_head(reader)
    assert b"X-Accel" not in head
    if framing == "sized":
        assert await reader.readexactly(LARGE) == bytes(LARGE)
    else:
        received = 0
        while size := int(await reader.readline(), 16):
            received += len(await reader.readexactly(size + 2)) - 2
        assert received == LARGE
    [record] = await sim.fields()
    assert record["response_status"] == 200
    assert record["body_bytes_sent"] >= LARGE
    assert record["upstream_response_time"] <= record["request_time"] + 0.002


async def clients(sim: Sim) -> list:
    """The client connections of the listener, once there are any with a request."""
    [listener] = sim.data_plane._open.values()
    await until(lambda: any(c._exchange is not None for c in listener.port.connections))
    return list(listener.port.connections)


@pytest.mark.parametrize(
    ("buffering", "framing", "waits"),
    [
        (True, "sized", True),
        (True, "until close", True),
        (True, "chunked", False),
        (False, "sized", False),
        (False, "until close", False),
    ],
)
@pytest.mark.parametrize("end", ["whole", "cut"])
async def test_with_buffering_less_than_a_buffer_waits_for_the_rest(
    sim: Sim, buffering: bool, framing: str, waits: bool, end: str
):
    """As measured on nginx 1.22 with a body of 100 bytes at a time."""
    more = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        head, piece = b"Content-Length: 200\r\n", b"y" * 100
        if framing == "chunked":
            head, piece = b"Transfer-Encoding: chunked\r\n", b"64\r\n" + piece + b"\r\n"
        elif framing == "until close":
            head = b"Connection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%s\r\n" % head + piece)
        await more.wait()
        if end == "whole":
            writer.write(piece + (b"0\r\n\r\n" if framing == "chunked" else b""))

    await sim.start([handler], custom=CustomConfiguration(buffering=buffering))
    reader, writer = await sim.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    [connection] = await clients(sim)
    if waits:
        await until(lambda: connection._held)
        assert connection._exchange.record.body_bytes_sent == 0
        more.set()
    head = await read_head(reader)
    received = b""
    if not waits:
        while received.count(b"y") < 100:
            received += await reader.read(1000)
        more.set()
    chunked = b"chunked" in head
    whole = b"0\r\n\r\n" if chunked else b"y" * 200
    if end == "whole":
        while not received.endswith(whole):
            received += await reader.read(1000)
    elif framing != "until close":
        received += await reader.read()
        assert not received.endswith(whole)
    else:
        while not received.endswith(whole):
            received += await reader.read(1000)
    assert received.count(b"y") == (200 if end == "whole" else 100)
    [record] = await sim.fields()
    assert record["body_bytes_sent"] == len(received)
