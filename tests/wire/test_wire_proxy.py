"""Requests through real sockets: what arrives on either side, and what the record says."""

import asyncio
import re

import pytest

from simulator.dataplane import pages
from simulator.model import ListenerLimits, ListenerTimeouts
from tests.wire.conftest import GONE, START_AT, Sim, read_head

GET = b"GET /cart?id=7 HTTP/1.1\r\nHost: Shop.example.com:8080\r\nUser-Agent: t/1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSE = b"Connection: close\r\n\r\n"


async def answer_ok(reader, writer):
    while True:
        await read_head(reader)
        writer.write(OK)


def answering(response: bytes):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(response)
        await writer.drain()

    return handler


def recording(seen: list[bytes], response: bytes = OK):
    async def handler(reader, writer):
        while True:
            seen.append(await read_head(reader))
            writer.write(response)

    return handler


async def test_a_plain_get_leaves_a_record_that_is_right_in_all_28_fields(sim: Sim):
    await sim.start([answer_ok])
    reader, writer = await sim.connect()
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    [record] = await sim.fields()
    port = writer.get_extra_info("sockname")[1]
    connect, response, total = (
        record.pop(k) for k in ("upstream_connect_time", "upstream_response_time", "request_time")
    )
    assert 0 <= connect <= response <= total + 0.002 < 5
    assert list(record.items()) == [
        ("time_local", "01/Mar/2026:08:00:00 +0800"),
        ("vip", "10.0.1.5"),
        ("vport", 80),
        ("response_status", 200),
        ("vdum_ups_id", "sg-11bd8054"),
        ("upstream_addr", "10.0.2.11:8080"),
        ("upstream_status", "200"),
        ("remote_addr", "127.0.0.1"),
        ("cip", "127.0.0.1"),
        ("cport", port),
        ("server_addr", "10.0.1.5"),
        ("server_port", 80),
        ("scheme", "http"),
        ("host", "shop.example.com"),
        ("request", "GET /cart?id=7 HTTP/1.1"),
        ("request_length", len(GET)),
        ("body_bytes_sent", 5),
        ("http_referer", "-"),
        ("http_user_agent", "t/1"),
        ("http_x_forwarded_for", "-"),
        ("ssl_handshake_time", "-"),
        ("ssl_session_reused", "-"),
        ("vdum_rs_proto", "http"),
        ("upstream_local_addr", "100.64.3.9"),
        ("extension_log", "lb-0d29a3f6&0&0&0"),
    ]
    assert sim.records[0].logged_at == START_AT


async def test_the_backend_gets_the_request_without_hop_by_hop_headers(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)], x_forwarded_for=True)
    reader, writer = await sim.connect()
    writer.write(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\n"
        b"TE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nKeep-Alive: 5\r\nX-Kept: 2\r\n"
        b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n"
    )
    await reader.readexactly(len(OK))
    assert seen == [
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 2\r\n"
        b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1\r\n\r\n"
    ]
    [record] = await sim.fields()
    assert record["http_x_forwarded_for"] == "1.1.1.1, 2.2.2.2"


async def test_connections_are_kept_on_both_sides(sim: Sim):
    connections = 0

    async def handler(reader, writer):
        nonlocal connections
        connections += 1
        await answer_ok(reader, writer)

    await sim.start([handler])
    reader, writer = await sim.connect()
    for _ in range(3):
        writer.write(GET)
        await reader.readexactly(len(OK))
    records = await sim.fields(3)
    assert connections == 1
    assert [r["upstream_connect_time"] for r in records][1:] == [0.0, 0.0]
    assert len({r["cport"] for r in records}) == 1


async def test_pipelined_requests_are_answered_in_order_with_a_record_each(sim: Sim):
    async def handler(reader, writer):
        while True:
            head = await read_head(reader)
            path = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    await sim.start([handler])
    reader, writer = await sim.connect()
    paths = [b"/%d" % n for n in range(20)]
    writer.write(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths))
    for path in paths:
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(len(path)) == path
    records = await sim.fields(20)
    assert [r["request"] for r in records] == [f"GET {p.decode()} HTTP/1.1" for p in paths]


async def test_round_robin_follows_the_weights(sim: Sim):
    await sim.start([answer_ok, answer_ok, answer_ok], weights=[50, 25, 0])
    reader, writer = await sim.connect()
    for _ in range(6):
        writer.write(GET)
        await reader.readexactly(len(OK))
    addresses = [r["upstream_addr"] for r in await sim.fields(6)]
    assert addresses.count("10.0.2.11:8080") == 4
    assert addresses.count("10.0.2.12:8080") == 2


@pytest.mark.parametrize("split", [1, 7, 1000])
async def test_a_chunked_body_is_passed_on_and_counted_with_its_framing(sim: Sim, split: int):
    received = []

    async def handler(reader, writer):
        await read_head(reader)
        body = b""
        while (size := int(await reader.readline(), 16)) > 0:
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        received.append(body)
        writer.write(OK)

    await sim.start([handler])
    reader, writer = await sim.connect()
    head = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"5;ext=1\r\nhello\r\n06\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    message = head + body
    for at in range(0, len(message), split):
        writer.write(message[at : at + split])
        await asyncio.sleep(0)
    assert await reader.readexactly(len(OK)) == OK
    assert received == [b"hello world"]
    [record] = await sim.fields()
    assert record["request_length"] == len(message)


async def test_a_chunked_response_keeps_chunks_for_1_1_and_loses_them_for_1_0(sim: Sim):
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    await sim.start([answering(chunked)])
    raw = await sim.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n" + CLOSE)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")
    old = await sim.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert b"Transfer-Encoding" not in old
    assert old.endswith(b"\r\n\r\nhellohellohello")
    first, second = await sim.fields(2)
    assert first["body_bytes_sent"] == len(body)
    assert second["body_bytes_sent"] == 15
    assert second["host"] == "-"


async def test_a_response_without_length_is_chunked_for_a_1_1_client(sim: Sim):
    await sim.start([answering(b"HTTP/1.0 200 OK\r\n\r\nabc")])
    reader, writer = await sim.connect()
    writer.write(GET)
    head = await read_head(reader)
    assert b"Transfer-Encoding: chunked\r\n" in head
    assert await reader.readexactly(13) == b"3\r\nabc\r\n0\r\n\r\n"
    [record] = await sim.fields()
    assert record["body_bytes_sent"] == 13


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ),
    ],
)
async def test_responses_without_body_leave_the_connection_usable(sim: Sim, request_, response):
    await sim.start([recording([], response)])
    reader, writer = await sim.connect()
    for _ in range(2):
        writer.write(request_)
        assert await reader.readexactly(len(response)) == response
    for record in await sim.fields(2):
        assert record["body_bytes_sent"] == 0


async def test_expect_100_continue_is_answered_by_us_and_not_passed_on(sim: Sim):
    seen: list[bytes] = []

    async def handler(reader, writer):
        seen.append(await read_head(reader))
        seen.append(await reader.readexactly(4))
        writer.write(OK)

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert await reader.readexactly(len(OK)) == OK
    assert seen == [b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", b"body"]


@pytest.mark.parametrize(
    ("header", "remote"),
    [
        (b"PROXY TCP4 198.51.100.9 10.0.1.5 40022 80\r\n", ("198.51.100.9", 40022)),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 40022 80\r\n", ("2001:db8::9", 40022)),
        (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x09\x0a\x00\x01\x05\x9c\x56\x00\x50",
            ("198.51.100.9", 40022),
        ),
        (b"PROXY UNKNOWN\r\n", None),
    ],
)
@pytest.mark.parametrize("split", [1, 1000])
async def test_the_proxy_protocol_gives_the_client_address(sim: Sim, header, remote, split):
    await sim.start([answer_ok])
    reader, writer = await sim.connect()
    message = header + GET
    for at in range(0, len(message), split):
        writer.write(message[at : at + split])
        await asyncio.sleep(0)
    await reader.readexactly(len(OK))
    [record] = await sim.fields()
    expected = remote or writer.get_extra_info("sockname")
    assert (record["cip"], record["cport"]) == expected
    assert record["remote_addr"] == record["cip"]


async def test_a_refused_connection_is_retried_once_on_another_server(sim: Sim):
    await sim.start([GONE, answer_ok])
    raw = await sim.exchange(GET[:-2] + CLOSE)
    assert raw.startswith(b"HTTP/1.1 200")
    [record] = await sim.fields()
    assert record["upstream_addr"] == "10.0.2.11:8080, 10.0.2.12:8080"
    assert record["upstream_status"] == "502, 200"
    assert record["upstream_connect_time"].startswith("-, 0.0")
    assert record["response_status"] == 200


async def test_two_refusals_are_enough(sim: Sim):
    await sim.start([GONE, GONE, GONE])
    raw = await sim.exchange(GET[:-2] + CLOSE)
    assert raw.startswith(b"HTTP/1.1 502 Bad Gateway")
    [record] = await sim.fields()
    assert record["upstream_status"] == "502, 502"
    assert record["upstream_connect_time"] == "-, -"
    assert re.fullmatch(r"0\.\d{3}, 0\.\d{3}", record["upstream_response_time"])
    assert record["response_status"] == 502
    assert record["body_bytes_sent"] == len(pages.page(502))


async def test_a_group_without_usable_servers_answers_503(sim: Sim):
    await sim.start([answer_ok], weights=[0])
    assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 503")
    [record] = await sim.fields()
    assert (record["upstream_addr"], record["vdum_rs_proto"]) == ("-", "-")


async def test_a_backend_that_closes_without_answering_earns_a_502(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)

    await sim.start([handler, answer_ok])
    assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 502")
    [record] = await sim.fields()
    assert (record["upstream_addr"], record["upstream_status"]) == ("10.0.2.11:8080", "502")
    assert isinstance(record["upstream_connect_time"], float)


async def test_a_backend_that_resets_earns_a_502(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.transport.abort()

    await sim.start([handler])
    assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 502")
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (502, "502")


async def test_a_pooled_connection_that_died_is_replaced_for_get_but_not_for_post(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(OK)
        await read_head(reader)

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(GET)
    await reader.readexactly(len(OK))
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
    assert (await read_head(reader)).startswith(b"HTTP/1.1 502")
    _, second, third = await sim.fields(3)
    assert second["upstream_addr"] == "10.0.2.11:8080, 10.0.2.11:8080"
    assert second["upstream_status"] == "502, 200"
    assert third["upstream_addr"] == "10.0.2.11:8080"
    assert third["upstream_status"] == "502"


async def test_a_silent_backend_earns_a_504(sim: Sim):
    async def handler(reader, writer):
        await reader.read()

    await sim.start([handler], timeouts=ListenerTimeouts(server_s=0.05))
    assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 504")
    [record] = await sim.fields()
    assert (record["upstream_status"], record["response_status"]) == ("504", 504)
    assert isinstance(record["upstream_connect_time"], float)
    assert record["upstream_response_time"] >= 0.048


async def test_a_connection_that_never_stands_earns_a_504_without_connect_time(sim: Sim):
    # A full backlog drops further handshakes: connecting takes until the timeout.
    import socket

    blocked = socket.socket()
    blocked.bind(("127.0.0.1", 0))
    blocked.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(blocked.getsockname())
        fillers.append(filler)
    await sim.start([blocked.getsockname()], timeouts=ListenerTimeouts(connect_s=0.05))
    try:
        assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 504")
    finally:
        for filler in (*fillers, blocked):
            filler.close()
    [record] = await sim.fields()
    assert (record["upstream_status"], record["upstream_connect_time"]) == ("504", "-")
    assert record["upstream_response_time"] >= 0.048


async def test_a_backend_that_falls_silent_mid_body_leaves_a_200_cut_short(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
        await reader.read()

    await sim.start([handler], timeouts=ListenerTimeouts(server_s=0.05))
    raw = await sim.exchange(GET)
    assert raw.endswith(b"\r\n\r\nhal")
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (200, "200")
    assert record["body_bytes_sent"] == 3


async def test_a_backend_that_closes_mid_body_leaves_a_200_cut_short(sim: Sim):
    await sim.start([answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")])
    assert (await sim.exchange(GET)).endswith(b"\r\n\r\nhal")
    [record] = await sim.fields()
    assert (record["response_status"], record["body_bytes_sent"]) == (200, 3)


async def test_a_backend_that_speaks_no_http_is_logged_as_009(sim: Sim):
    await sim.start([answering(b"220 smtp ready\r\n")])
    assert await sim.exchange(GET) == b"220 smtp ready\r\n"
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (9, "200")
    assert record["body_bytes_sent"] == 16


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
    ],
)
async def test_a_response_head_that_cannot_be_used_earns_a_502(sim: Sim, response):
    await sim.start([answering(response)])
    assert (await sim.exchange(GET[:-2] + CLOSE)).startswith(b"HTTP/1.1 502")
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (502, "502")


async def test_a_client_that_leaves_before_the_response_is_a_499(sim: Sim):
    arrived = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        arrived.set()
        await reader.read()

    await sim.start([handler])
    _, writer = await sim.connect()
    writer.write(GET)
    await arrived.wait()
    writer.close()
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (499, "-")
    assert record["upstream_addr"] == "10.0.2.11:8080"
    assert record["body_bytes_sent"] == 0


async def test_a_client_that_resets_mid_download_leaves_a_200_with_what_it_took(sim: Sim):
    size = 50_000_000

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            writer.write(b"x" * 100_000)
            await writer.drain()

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(GET)
    await reader.readexactly(100)
    writer.transport.abort()
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (200, "200")
    assert 0 < record["body_bytes_sent"] < size


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /half HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
    ],
)
async def test_a_client_that_leaves_mid_request_is_a_400_without_answer(sim: Sim, sent):
    await sim.start([answer_ok])
    _, writer = await sim.connect()
    writer.write(sent)
    writer.close()
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_addr"]) == (400, "-")
    assert record["request"] == sent.split(b"\r\n")[0].decode()
    assert record["body_bytes_sent"] == 0


async def test_a_connection_that_says_nothing_leaves_no_record(sim: Sim):
    await sim.start([answer_ok])
    _, silent = await sim.connect()
    silent.close()
    await sim.exchange(GET[:-2] + CLOSE)
    await sim.fields(1)


BAD_REQUESTS = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01", 400),
    "text garbage": (b"hello there\r\n", 400),
    "lower-case method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "invalid host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "NUL in a header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400),
    "raw space in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "non-ASCII target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "unsupported version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
    ),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "signed length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    "unknown coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "chunked in 1.0": (
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bad chunk size": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    "line too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "headers too long": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000 + b"\r\n\r\n", 400),
}


@pytest.mark.parametrize(("sent", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_bad_requests_are_refused_recorded_and_never_forwarded(sim: Sim, sent, status):
    seen: list[bytes] = []
    await sim.start([recording(seen)])
    reader, writer = await sim.connect()
    writer.write(sent)
    raw = await read_head(reader)
    assert raw.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in raw
    writer.write_eof()
    body = await reader.read()
    [record] = await sim.fields()
    assert record["response_status"] == status
    assert record["upstream_addr"] == "-"
    assert record["body_bytes_sent"] == len(body) == len(pages.page(status))
    assert record["request"] == sent.split(b"\r")[0][:8192].decode("utf-8", "replace")
    assert seen == []


async def test_double_spaces_and_bare_line_feeds_are_accepted(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)])
    reader, writer = await sim.connect()
    writer.write(b"GET  /x  HTTP/1.1\nHost: a\nX: 1\n\n")
    await reader.readexactly(len(OK))
    [record] = await sim.fields()
    assert record["request"] == "GET  /x  HTTP/1.1"
    assert seen == [b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"]


async def test_an_absolute_target_beats_the_host_header(sim: Sim):
    seen: list[bytes] = []
    await sim.start([recording(seen)])
    reader, writer = await sim.connect()
    writer.write(b"GET http://Other.example:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readexactly(len(OK))
    [record] = await sim.fields()
    assert record["host"] == "other.example"
    assert record["request"] == "GET http://Other.example:81/p?q HTTP/1.1"
    assert seen == [b"GET /p?q HTTP/1.1\r\nHost: Other.example:81\r\n\r\n"]


async def test_a_slow_header_and_a_slow_body_are_408_without_answer(sim: Sim):
    timeouts = ListenerTimeouts(client_header_s=0.05, client_body_s=0.05)
    await sim.start([answer_ok], timeouts=timeouts)
    assert await sim.exchange(b"GET / HTTP/1.1\r\nHo") == b""
    assert await sim.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx") == b""
    for record in await sim.fields(2):
        assert (record["response_status"], record["body_bytes_sent"]) == (408, 0)
        assert 0.048 <= record["request_time"] < 30


async def test_a_body_over_the_limit_is_413_whichever_way_it_is_framed(sim: Sim):
    await sim.start([answer_ok], limits=ListenerLimits(body_bytes=10))
    raw = await sim.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 413")
    raw = await sim.exchange(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + b"x" * 32
    )
    assert raw.startswith(b"HTTP/1.1 413")
    assert [r["response_status"] for r in await sim.fields(2)] == [413, 413]


async def test_a_backend_that_answers_before_the_body_is_complete(sim: Sim):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await reader.read(1)

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 20000)
    head = await read_head(reader)
    assert head.startswith(b"HTTP/1.1 403")
    assert b"Connection: close" in head
    assert await reader.read() == b"no"
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_status"]) == (403, "403")


async def test_hostile_header_bytes_leave_a_valid_record(sim: Sim):
    await sim.start([answer_ok])
    hostile = b'Mozilla "q" back\\slash tab\there ' + b"\xff\xfe \xe4\xb8\xad del\x7f"
    reader, writer = await sim.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nReferer:\r\nUser-Agent: " + hostile + b"\r\n\r\n")
    await reader.readexactly(len(OK))
    [record] = await sim.fields()
    assert record["http_user_agent"] == hostile.decode("utf-8", "replace")
    assert record["http_referer"] == ""


async def test_stopping_lets_a_request_under_way_finish(sim: Sim):
    arrived, go = asyncio.Event(), asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        arrived.set()
        await go.wait()
        writer.write(OK)
        await writer.drain()

    await sim.start([handler])
    reader, writer = await sim.connect()
    writer.write(GET)
    await arrived.wait()
    async with asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(sim.data_plane.aclose(drain_s=5.0))
        go.set()
        raw = await reader.read()
        assert raw.startswith(b"HTTP/1.1 200 OK")
        assert raw.endswith(b"Connection: close\r\n\r\nhello")
        await stopping
    [record] = await sim.fields()
    assert record["response_status"] == 200
