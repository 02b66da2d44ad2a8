"""The custom configuration of a listener: what it does on the wire and in the record."""

import pytest

from simulator.model import CustomConfiguration, HeaderToSet, parse_header_value
from tests.wire.conftest import Sim, read_head

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
