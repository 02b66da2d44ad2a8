"""What is no request, or has a body that cannot be read, is answered in the vendor's form."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bls_served import unsigned_api

GET = b"GET /v1/logstore HTTP/1.1\r\nHost: x\r\n"
PUSH = b"POST /v1/logstore/demo/logrecord HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"logRecords":[{"message":"hello"}]}'
CHUNKED = PUSH + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20
DECOMPRESSOBJ = zlib.decompressobj


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with unsigned_api() as (port, _):
        yield port


async def ask(port: int, *pieces: bytes) -> tuple[int, dict[str, Any]]:
    """Send pieces; status and body of the first answer, which has to be whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    answer = json.loads(await reader.readexactly(length))
    writer.close()
    assert "content-type: application/json" in head
    assert f"x-bce-request-id: {answer.get('requestId', '')}" in head
    return int(head.split()[1]), answer


def sized(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return PUSH + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def packed(body: bytes, name: bytes = b"gzip") -> bytes:
    return sized(body, b"Content-Encoding: " + name)


MALFORMED = {
    "a request line that is too long": (GET[:16] + b"?q=" + b"a" * MIB, 414, "InvalidURI"),
    "a header that is too long": (GET + b"A: " + b"a" * 9000, 400, "InvalidHTTPRequest"),
    "too many headers": (GET + b"A: 1\r\n" * 500 + b"\r\n", 400, "InvalidHTTPRequest"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400, "InvalidHTTPRequest"),
    "no such version": (b"GET / HTTP/9.9\r\n\r\n", 400, "InvalidHTTPRequest"),
    "a header that is none": (GET + b"what is this\r\n\r\n", 400, "InvalidHTTPRequest"),
    "two lengths": (sized(b"", b"Content-Length: 3"), 400, "InvalidHTTPRequest"),
    "a negative length": (PUSH + b"Content-Length: -1\r\n\r\n", 400, "InvalidHTTPRequest"),
    "a target that is no URL": (b"GET http://[::1/ HTTP/1.1\r\n\r\n", 400, "InvalidHTTPRequest"),
    "an expectation": (sized(BODY, b"Expect: the-worst"), 417, "InvalidHTTPRequest"),
    "a chunk without a size": (CHUNKED + b"zz\r\nabc\r\n", 400, "InvalidHTTPRequest"),
    "a chunk that is too long": (CHUNKED + b"3\r\nabcd\r\n", 400, "InvalidHTTPRequest"),
    "a body that is too large": (sized(b"a" * (MIB + 1)), 413, "RequestOverload"),
    "one that would be": (PUSH + b"Content-Length: 2000000\r\n\r\n", 413, "RequestOverload"),
    "one of no known size": (CHUNKED + (b"40000\r\n" + b"a" * 262144 + b"\r\n") * 5, 413,
                             "RequestOverload"),
    "a bomb": (packed(gzip.compress(b"a" * 50 * MIB)), 413, "RequestOverload"),
    "no gzip": (packed(b"abcdefghij"), 400, "InvalidHTTPRequest"),
    "half a gzip": (packed(gzip.compress(BODY)[:20]), 400, "InvalidHTTPRequest"),
    "an encoding nobody knows": (packed(BODY, b"br"), 400, "InvalidHTTPRequest"),
    "packed twice": (packed(BODY, b"gzip, gzip"), 400, "InvalidHTTPRequest"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_refusal_is_in_the_vendors_form(port: int, name: str) -> None:
    sent, status, code = MALFORMED[name]
    found, answer = await ask(port, sent)
    assert (found, answer["code"]) == (status, code)
    assert set(answer) == {"code", "message", "requestId"}
    assert len(answer["message"]) < 400


@pytest.mark.parametrize(
    "sent",
    [
        sized(BODY),
        CHUNKED + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        packed(gzip.compress(BODY)),
        packed(gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
        packed(zlib.compress(BODY), b"deflate"),
        packed(BODY, b"identity"),
    ],
    ids=["plain", "chunked", "gzip", "gzip of two members", "deflate", "identity"],
)
async def test_body_is_read_however_it_comes(port: int, sent: bytes) -> None:
    assert await ask(port, sent) == (200, {"success": True, "code": "OK"})


class Counting:
    """What unpacks, and how many bytes it was given."""

    given = 0

    def __init__(self, window: int) -> None:
        self._inner = DECOMPRESSOBJ(window)

    def decompress(self, data: bytes, most: int) -> bytes:
        Counting.given += len(data)
        return self._inner.decompress(data, most)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


async def test_members_without_end_cost_no_more_than_their_bytes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    member = gzip.compress(b"")
    count = MIB // len(member)
    status, answer = await ask(port, packed(member * count))
    assert (status, answer["code"]) == (400, "InvalidParameter")  # an empty body
    assert count <= Counting.given / len(member) < 20_000_000  # with all that follow: 10**9


async def test_answer_does_not_grow_with_what_it_quotes(port: int) -> None:
    path = b"/v1/logstore/" + b"a" * 100_000
    status, answer = await ask(port, GET.replace(b"/v1/logstore", path) + b"\r\n")
    assert (status, answer["code"]) == (404, "LogStoreNotFound")
    assert 1000 < len(answer["message"]) <= 4096


async def test_chunk_that_goes_wrong_once_the_handler_reads(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PUSH + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"3\r\nabc\r\nzz\r\n")
    assert b" 400 " in await reader.readline()
    answer = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    assert answer["code"] == "InvalidHTTPRequest"
    writer.close()


async def test_connection_serves_on_after_a_body_that_was_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packed(b"abcdefghij") + sized(BODY))
    assert b" 400 " in await reader.readline()
    await reader.readuntil(b"}")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_client_that_goes_within_its_body_is_no_failure(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PUSH + b"Content-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await ask(port, sized(BODY)) == (200, {"success": True, "code": "OK"})
    assert not caplog.records
