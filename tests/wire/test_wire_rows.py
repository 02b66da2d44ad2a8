"""Each situation of the record's reference table, with all 28 fields.

The differences from a plain 200 are spelled out per test; everything else must be as in ``PLAIN``.
Differences from the reference server, on purpose: the sizes of our own error pages, and request
bodies above ``body_buffer_bytes``, which are passed on while they arrive. The host of a request
that names none is ``-``, since a listener has no name of its own to fall back on.
"""

import asyncio
import re
import socket
from typing import Self

import pytest

from simulator.dataplane import pages
from simulator.model import CustomConfiguration, ListenerLimits, ListenerTimeouts
from tests.wire.conftest import GONE, Sim, read_head, until

GET = b"GET /cart?id=7 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: t/1\r\n\r\n"
POST = (
    b"POST /cart HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: t/1\r\nContent-Length: 5\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
A, B = "10.0.2.11:8080", "10.0.2.12:8080"


class Seconds:
    """Equal to a time in the record's form: one number, or a list of them as text."""

    def __init__(self, *low: float | None, high: float = 30.0) -> None:
        self._low = low
        self._high = high

    def __eq__(self, other: object) -> bool:
        tries = [f"{other:.3f}"] if isinstance(other, float) else str(other).split(", ")
        return len(tries) == len(self._low) and all(
            text == "-"
            if low is None
            else re.fullmatch(r"\d+\.\d{3}", text) and low <= float(text) <= low + self._high
            for text, low in zip(tries, self._low, strict=True)
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"Seconds{self._low}"


AT_ONCE = Seconds(0.0)
PLAIN = {
    "time_local": "01/Mar/2026:08:00:00 +0800",
    "vip": "10.0.1.5",
    "vport": 80,
    "response_status": 200,
    "vdum_ups_id": "sg-11bd8054",
    "upstream_addr": A,
    "upstream_status": "200",
    "remote_addr": "127.0.0.1",
    "cip": "127.0.0.1",
    "cport": 0,
    "server_addr": "10.0.1.5",
    "server_port": 80,
    "scheme": "http",
    "host": "shop.example.com",
    "request": "GET /cart?id=7 HTTP/1.1",
    "request_length": len(GET),
    "body_bytes_sent": 5,
    "http_referer": "-",
    "http_user_agent": "t/1",
    "http_x_forwarded_for": "-",
    "upstream_connect_time": AT_ONCE,
    "upstream_response_time": AT_ONCE,
    "request_time": AT_ONCE,
    "ssl_handshake_time": "-",
    "ssl_session_reused": "-",
    "vdum_rs_proto": "http",
    "upstream_local_addr": "100.64.3.9",
    "extension_log": "lb-0d29a3f6&0&0&0",
}
NEVER_PROXIED = {
    "vdum_ups_id": "-",
    "upstream_addr": "-",
    "upstream_status": "-",
    "upstream_connect_time": "-",
    "upstream_response_time": "-",
    "vdum_rs_proto": "-",
    "upstream_local_addr": "-",
}
POSTED = {"request": "POST /cart HTTP/1.1", "request_length": len(POST) + 5}


def own_answer(status: int) -> dict:
    return {"response_status": status, "body_bytes_sent": len(pages.page(status))}


class Client:
    """A raw socket to the listener that knows its port."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim

    async def __aenter__(self) -> Self:
        self.reader, self._writer = await self._sim.connect()
        self.port = self._writer.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()

    async def read(self, size: int = -1) -> bytes:
        return await (self.reader.read() if size < 0 else self.reader.readexactly(size))


def client_of(sim: Sim) -> Client:
    return Client(sim)


async def check(sim: Sim, port: int, *differences: dict) -> None:
    """The records are as many as given, each a plain 200 but for what is given."""
    records = await sim.fields(len(differences))
    for record, differs in zip(records, differences, strict=True):
        expected = {**PLAIN, "cport": port, **differs}
        assert list(record) == list(PLAIN)
        assert record == expected


def answering(*parts: bytes, stay: bool = False):
    async def handler(reader, writer):
        await read_head(reader)
        for part in parts:
            writer.write(part)
        if stay:
            await reader.read()

    return handler


async def serving(reader, writer):
    while True:
        head = await read_head(reader)
        if head.startswith(b"POST"):
            await reader.readexactly(5)
        writer.write(OK)


async def silent(reader, writer):
    await reader.read()


def own_page(raw: bytes, status: int) -> bool:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 %d " % status) and body == pages.page(status)


# -- no request, or none that can be served -----------------------------------------------------


async def test_plain_200(sim: Sim):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, {})


async def test_connect_send_nothing_close(sim: Sim):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.close()
    async with client_of(sim) as client:
        client.send(GET)
        await client.read(len(OK))
        await check(sim, client.port, {})


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"hello there\r\nHost: a\r\n\r\n", "hello there"),
        (
            b'\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 "\xc3\xa9\x7f\r\n\x00',
            '\x16\x03\x01\x00\ufffd\x01\x00\x00\ufffd\x03\x03 "é\x7f',
        ),
    ],
)
async def test_garbage_or_tls_hello_on_an_http_port(sim: Sim, sent, shown):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(sent)
        assert own_page(await client.read(), 400)
        nothing = {"request_length": 0, "host": "-", "http_user_agent": "-", "request": shown}
        await check(sim, client.port, {**NEVER_PROXIED, **own_answer(400), **nothing})


TWO = b"Host: shop.example.com\r\nUser-Agent: t/1\r\n"
INVALID = {
    "no host": (b"GET / HTTP/1.1\r\nUser-Agent: t/1\r\n\r\n", {"host": "-"}),
    "invalid host": (b"GET / HTTP/1.1\r\nHost: a b\r\nUser-Agent: t/1\r\n\r\n", {"host": ""}),
    "NUL": (b"GET / HTTP/1.1\r\n" + TWO + b"X: \x00\r\n\r\n", {"request_length": -8}),
    "folded": (b"GET / HTTP/1.1\r\n" + TWO + b"X: 1\r\n 2\r\n\r\n", {"request_length": -6}),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + TWO + b"\r\n", {}),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\n" + TWO + b"\r\n", {}),
    "lower case": (
        b"get / HTTP/1.1\r\n" + TWO + b"\r\n",
        {"request_length": 0, "host": "-", "http_user_agent": "-"},
    ),
    "raw space": (
        b"GET /a b HTTP/1.1\r\n" + TWO + b"\r\n",
        {"request_length": 0, "host": "-", "http_user_agent": "-"},
    ),
}


@pytest.mark.parametrize(("sent", "differs"), INVALID.values(), ids=INVALID.keys())
async def test_malformed_head(sim: Sim, sent, differs):
    """A negative ``request_length`` is what of the head could not be read any more."""
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(sent)
        assert own_page(await client.read(), 400)
        differs = {**NEVER_PROXIED, **own_answer(400), "request_length": len(sent), **differs}
        if differs["request_length"] < 0:
            differs["request_length"] += len(sent)
        differs["request"] = sent.split(b"\r\n")[0].decode()
        await check(sim, client.port, differs)


async def test_double_spaces_are_accepted_and_logged_as_they_are(sim: Sim):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(GET.replace(b" /cart?id=7 ", b"  /x  "))
        assert await client.read(len(OK)) == OK
        differs = {"request": "GET  /x  HTTP/1.1", "request_length": len(GET) - 6}
        await check(sim, client.port, differs)


async def test_unsupported_version(sim: Sim):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(GET.replace(b"HTTP/1.1", b"HTTP/3.0"))
        assert own_page(await client.read(), 505)
        differs = {
            "request": "GET /cart?id=7 HTTP/3.0",
            "request_length": 0,
            "host": "-",
            "http_user_agent": "-",
        }
        await check(sim, client.port, {**NEVER_PROXIED, **own_answer(505), **differs})


@pytest.mark.parametrize("pieces", [1, 3])
async def test_request_line_too_long(sim: Sim, pieces):
    await sim.start([serving])
    async with client_of(sim) as client:
        line = b"GET /" + b"a" * 10_000 + b" HTTP/1.1"
        for at in range(0, len(line), len(line) // pieces + 1):
            client.send(line[at : at + len(line) // pieces + 1])
            await asyncio.sleep(0)
        assert own_page(await client.read(), 414)
        differs = {
            "request": line[:8192].decode(),
            "request_length": 0,
            "host": "-",
            "http_user_agent": "-",
        }
        await check(sim, client.port, {**NEVER_PROXIED, **own_answer(414), **differs})


@pytest.mark.parametrize("pieces", [1, 5])
async def test_header_too_long(sim: Sim, pieces):
    await sim.start([serving])
    async with client_of(sim) as client:
        head = GET[:-2] + b"X: " + b"a" * 40_000 + b"\r\n\r\n"
        for at in range(0, len(head), len(head) // pieces + 1):
            client.send(head[at : at + len(head) // pieces + 1])
            await asyncio.sleep(0)
        assert own_page(await client.read(), 400)
        differs = {"request_length": len(GET) - 2}
        await check(sim, client.port, {**NEVER_PROXIED, **own_answer(400), **differs})


async def test_body_larger_than_allowed(sim: Sim):
    await sim.start([serving], limits=ListenerLimits(body_bytes=4))
    async with client_of(sim) as client:
        client.send(POST + b"hello")
        assert own_page(await client.read(), 413)
        differs = {**POSTED, "request_length": len(POST)}
        await check(sim, client.port, {**NEVER_PROXIED, **own_answer(413), **differs})


@pytest.mark.parametrize(
    ("sent", "differs"),
    [
        (GET[:-2], {"request_length": len(GET) - 2}),
        (POST + b"he", {**POSTED, "request_length": len(POST) + 2}),
    ],
)
async def test_header_or_body_too_slow(sim: Sim, sent, differs):
    await sim.start([serving], timeouts=ListenerTimeouts(client_header_s=0.05, client_body_s=0.05))
    async with client_of(sim) as client:
        client.send(sent)
        assert await client.read() == b""
        differs = {**differs, "response_status": 408, "request_time": Seconds(0.048)}
        await check(sim, client.port, {**NEVER_PROXIED, "body_bytes_sent": 0, **differs})


@pytest.mark.parametrize(
    ("sent", "differs"),
    [
        (GET[:-2], {"request_length": len(GET) - 2}),
        (
            b"GET /half HT",
            {"request": "GET /half HT", "request_length": 0, "host": "-", "http_user_agent": "-"},
        ),
        (POST + b"he", {**POSTED, "request_length": len(POST) + 2}),
    ],
    ids=["mid-header", "mid-line", "mid-body"],
)
async def test_client_leaves_mid_header_or_mid_body(sim: Sim, sent, differs):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(sent)
        client.close()
        differs = {**differs, "response_status": 400, "body_bytes_sent": 0}
        await check(sim, client.port, {**NEVER_PROXIED, **differs})


async def test_client_leaves_mid_body_that_is_passed_on_as_it_arrives(sim: Sim):
    """Above ``body_buffer_bytes`` we do not wait for the whole body, so a server was tried."""
    begun = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        begun.set()
        await reader.read()

    await sim.start([handler])
    head = POST.replace(b"Content-Length: 5", b"Content-Length: 99999")
    async with client_of(sim) as client:
        client.send(head + b"x" * 20_000)
        await begun.wait()
        client.close()
        differs = {
            **POSTED,
            "response_status": 400,
            "upstream_status": "-",
            "request_length": len(head) + 20_000,
            "body_bytes_sent": 0,
        }
        await check(sim, client.port, differs)


# -- the client goes ----------------------------------------------------------------------------


async def test_client_leaves_before_the_response(sim: Sim):
    arrived = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        arrived.set()
        await reader.read()

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        await arrived.wait()
        client.close()
        differs = {"response_status": 499, "upstream_status": "-", "body_bytes_sent": 0}
        await check(sim, client.port, differs)


async def test_client_leaves_while_connecting(sim: Sim, blocked_address):
    await sim.start([blocked_address])
    async with client_of(sim) as client:
        client.send(GET)
        await until(lambda: sim.clock._requests)
        client.close()
        differs = {
            "response_status": 499,
            "upstream_status": "-",
            "upstream_connect_time": "-",
            "body_bytes_sent": 0,
        }
        await check(sim, client.port, differs)


async def test_client_leaves_after_the_head_arrived_but_before_anything_was_sent(sim: Sim):
    """Like the reference server we keep a response head until there is body to go with it."""
    answered = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await writer.drain()
        answered.set()
        await reader.read()

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        await answered.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.read(1)
        client.close()
        await check(sim, client.port, {"response_status": 499, "body_bytes_sent": 0})


async def test_a_server_can_have_the_head_sent_at_once(sim: Sim):
    """``X-Accel-Buffering: no`` is honoured and, as on the reference server, not passed on."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    await sim.start([answering(head + b"X-Accel-Buffering: no\r\n\r\n", stay=True)])
    async with client_of(sim) as client:
        client.send(GET)
        assert await read_head(client.reader) == head + b"\r\n"
        client.close()
        await check(sim, client.port, {"body_bytes_sent": 0})


async def test_client_resets_mid_download(sim: Sim):
    size = 20_000_000

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            writer.write(b"x" * 100_000)
            await writer.drain()

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        await client.read(1000)
        client.reset()
        [record] = await sim.fields()
        assert 0 < record["body_bytes_sent"] < size
        await check(sim, client.port, {"body_bytes_sent": record["body_bytes_sent"]})


# -- the server fails ---------------------------------------------------------------------------

FAILED = {**own_answer(502), "upstream_status": "502"}
TIMED_OUT = {**own_answer(504), "upstream_status": "504"}


async def test_server_refuses(sim: Sim):
    await sim.start([GONE])
    async with client_of(sim) as client:
        client.send(GET[:-2] + b"Connection: close\r\n\r\n")
        assert own_page(await client.read(), 502)
        differs = {**FAILED, "upstream_connect_time": "-", "request_length": len(GET) + 19}
        await check(sim, client.port, differs)


async def test_server_refuses_and_the_next_one_answers(sim: Sim):
    await sim.start([GONE, serving])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        differs = {
            "upstream_addr": f"{A}, {B}",
            "upstream_status": "502, 200",
            "upstream_connect_time": Seconds(None, 0.0),
            "upstream_response_time": Seconds(0.0, 0.0),
        }
        await check(sim, client.port, differs)


async def test_every_server_refuses(sim: Sim):
    await sim.start([GONE, GONE])
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        differs = {
            **own_answer(502),
            "upstream_addr": f"{A}, {B}",
            "upstream_status": "502, 502",
            "upstream_connect_time": "-, -",
            "upstream_response_time": Seconds(0.0, 0.0),
        }
        await check(sim, client.port, differs)


async def accepts_and_closes(reader, writer):
    pass


async def resets(reader, writer):
    await read_head(reader)
    writer.transport.abort()


@pytest.mark.parametrize(
    "backend", [accepts_and_closes, resets, answering(), answering(b"HTTP/1.")]
)
async def test_server_closes_without_answering(sim: Sim, backend):
    await sim.start([backend])
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, FAILED)


async def test_server_head_too_big(sim: Sim):
    await sim.start([answering(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5000 + b"\r\n\r\n")])
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, FAILED)


async def test_no_live_server(sim: Sim):
    await sim.start([serving])
    sim.route.only_target.mark_dead("i-0")
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        differs = {**FAILED, "upstream_addr": "sg-11bd8054", "upstream_connect_time": "-"}
        await check(sim, client.port, differs)


@pytest.fixture
def blocked_address():
    """An address whose backlog is full: further handshakes are dropped."""
    blocked = socket.socket()
    blocked.bind(("127.0.0.1", 0))
    blocked.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(blocked.getsockname())
    yield blocked.getsockname()
    for each in (*fillers, blocked):
        each.close()


async def test_connect_timeout(sim: Sim, blocked_address):
    await sim.start([blocked_address], timeouts=ListenerTimeouts(connect_s=0.05))
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 504 ")
        waited = {"upstream_response_time": Seconds(0.048), "request_time": Seconds(0.048)}
        await check(sim, client.port, {**TIMED_OUT, "upstream_connect_time": "-", **waited})


async def test_connect_timeout_while_a_large_body_arrives(sim: Sim, blocked_address):
    """Passed on as it arrives: not the client is slow, there is nobody to pass it on to."""
    await sim.start(
        [blocked_address], timeouts=ListenerTimeouts(connect_s=0.05, client_body_s=0.02)
    )
    head = POST.replace(b"Content-Length: 5", b"Content-Length: 99999")
    async with client_of(sim) as client:
        client.send(head + b"x" * 20_000)
        assert own_page(await client.read(), 504)
        differs = {
            **TIMED_OUT,
            **POSTED,
            "upstream_connect_time": "-",
            "request_length": len(head) + 20_000,
            "upstream_response_time": Seconds(0.048),
            "request_time": Seconds(0.048),
        }
        await check(sim, client.port, differs)


@pytest.mark.parametrize(("sent", "differs"), [(GET, {}), (POST + b"hello", POSTED)])
async def test_read_timeout_before_the_head(sim: Sim, sent, differs):
    """Neither is tried on the other server: it was sent."""
    await sim.start([silent, serving], timeouts=ListenerTimeouts(server_s=0.05))
    async with client_of(sim) as client:
        client.send(sent)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 504 ")
        waited = {"upstream_response_time": Seconds(0.048), "request_time": Seconds(0.048)}
        await check(sim, client.port, {**TIMED_OUT, **differs, **waited})


async def test_a_server_that_does_not_take_the_body_is_a_read_timeout(sim: Sim):
    async def handler(reader, writer):
        writer.transport.pause_reading()
        await asyncio.sleep(5)

    await sim.start([handler], timeouts=ListenerTimeouts(server_s=0.05, client_body_s=0.5))
    head = POST.replace(b"Content-Length: 5", b"Content-Length: 90000000")
    async with client_of(sim) as client:
        client.send(head)
        client.send(b"x" * 30_000_000)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 504 ")
        [record] = await sim.fields()
        differs = {
            **TIMED_OUT,
            **POSTED,
            "request_length": record["request_length"],
            "upstream_response_time": Seconds(0.048),
            "request_time": Seconds(0.048),
        }
        assert len(head) < record["request_length"] < 30_000_000
        await check(sim, client.port, differs)
        client.reset()


@pytest.mark.parametrize("begun", [b"", b"hel"])
async def test_read_timeout_after_the_head(sim: Sim, begun):
    backend = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + begun, stay=True)
    await sim.start([backend], timeouts=ListenerTimeouts(server_s=0.05))
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + begun
        waited = {"upstream_response_time": Seconds(0.048), "request_time": Seconds(0.048)}
        await check(sim, client.port, {"body_bytes_sent": len(begun), **waited})


@pytest.mark.parametrize("reset", [False, True])
async def test_server_closes_mid_body(sim: Sim, reset):
    go = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        await writer.drain()
        await go.wait()
        if reset:
            writer.transport.abort()

    await sim.start([handler], custom=CustomConfiguration(buffering=False))
    async with client_of(sim) as client:
        client.send(GET)
        await read_head(client.reader)
        assert await client.read(3) == b"hel"
        go.set()
        assert await client.read() == b""
        await check(sim, client.port, {"body_bytes_sent": 3})


async def test_server_closes_mid_chunked_body(sim: Sim):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    await sim.start([answering(head + b"3\r\nhel\r\n5\r\nlo")])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read() == head + b"5\r\nhello\r\n"
        await check(sim, client.port, {"body_bytes_sent": 10})


@pytest.mark.parametrize("early", [False, True])
async def test_server_sends_a_non_http_answer(sim: Sim, early):
    """Also when it speaks before it is asked, as servers of other protocols do."""
    said = b"220 smtp ready\r\n"

    async def handler(reader, writer):
        if not early:
            await read_head(reader)
        writer.write(said)

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read() == said
        await check(sim, client.port, {"response_status": 9, "body_bytes_sent": len(said)})


async def test_server_answers_before_it_is_asked(sim: Sim):
    async def handler(reader, writer):
        writer.write(OK)
        await reader.read()

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, {})


async def test_server_sends_999(sim: Sim):
    answer = b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nno"
    await sim.start([answering(answer)])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(answer)) == answer
        differs = {"response_status": 999, "upstream_status": "999", "body_bytes_sent": 2}
        await check(sim, client.port, differs)


@pytest.mark.parametrize("status", [100, 103])
@pytest.mark.parametrize("together", [True, False])
async def test_server_sends_an_interim_answer(sim: Sim, status, together):
    """Taken for the final one, as the reference server does.

    It goes on to wait for the server to close; we end at once and close both connections, so that
    what follows can never be taken for the answer to another request.
    """
    interim = b"HTTP/1.1 %d Interim\r\nX: 1\r\n\r\n" % status

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(interim)
        if not together:
            await writer.drain()
            await reader.read()
        writer.write(OK)

    await sim.start([handler])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read() == interim[:-2] + b"Connection: close\r\n\r\n"
        differs = {
            "response_status": status,
            "upstream_status": str(status),
            "body_bytes_sent": 0,
        }
        await check(sim, client.port, differs)


async def test_server_sends_a_status_below_100(sim: Sim):
    """The reference server passes it on, and logs ``000``; to us it is no HTTP response."""
    await sim.start([answering(b"HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nno")])
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, FAILED)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_server_error_is_passed_through(sim: Sim, status):
    answer = b"HTTP/1.1 %d Oh\r\nContent-Length: 3\r\n\r\nno!" % status
    await sim.start([answering(answer), serving])
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(answer)) == answer
        differs = {"response_status": status, "upstream_status": str(status)}
        await check(sim, client.port, {**differs, "body_bytes_sent": 3})


async def test_pooled_connection_that_the_server_had_closed(sim: Sim):
    async def once(reader, writer):
        await read_head(reader)
        writer.write(OK)
        await read_head(reader)

    await sim.start([once])
    async with client_of(sim) as client:
        client.send(GET)
        await client.read(len(OK))
        client.send(GET)
        assert await client.read(len(OK)) == OK
        client.send(POST + b"hello")
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        retried = {
            "upstream_addr": f"{A}, {A}",
            "upstream_status": "502, 200",
            "upstream_connect_time": Seconds(0.0, 0.0),
            "upstream_response_time": Seconds(0.0, 0.0),
        }
        await check(sim, client.port, {}, retried, {**FAILED, **POSTED})


# -- several requests, other addresses ----------------------------------------------------------


async def test_pipelined_and_keep_alive(sim: Sim):
    await sim.start([serving])
    async with client_of(sim) as client:
        client.send(GET + POST + b"hello" + GET)
        assert await client.read(3 * len(OK)) == 3 * OK
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, {}, POSTED, {}, {})


async def test_ipv6(sim: Sim):
    await sim.start([serving], host="::1")
    async with client_of(sim) as client:
        client.send(GET.replace(b"shop.example.com", b"[::1]:8080"))
        assert await client.read(len(OK)) == OK
        differs = {
            "remote_addr": "::1",
            "cip": "::1",
            "host": "[::1]",
            "upstream_addr": "[::1]:8080",
            "request_length": len(GET) - 6,
        }
        await check(sim, client.port, differs)
