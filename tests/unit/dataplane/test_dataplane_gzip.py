"""Which responses are compressed, their heads, and their bodies however they were cut.

The cases were sent through nginx 1.22 with ``gzip on; gzip_types application/json;`` and did there
what is expected here.
"""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dataplane.http1_gzip import GzipBody, encode_compressed_head, is_compressed
from simulator.dataplane.http1_request import parse_request_head
from simulator.dataplane.http1_response import parse_response_head

JSON = b"Content-Type: application/json\r\nContent-Length: 508\r\n"


def compressed(
    *,
    accept: bytes = b"gzip",
    lines: bytes = b"",
    version: bytes = b"1.1",
    status: bytes = b"200 OK",
    headers: bytes = JSON,
) -> bool:
    request = parse_request_head(
        b"GET / HTTP/%s\r\nHost: a\r\n%sAccept-Encoding: %s\r\n\r\n" % (version, lines, accept)
    )
    head = parse_response_head(b"HTTP/1.1 %s\r\n%s\r\n" % (status, headers))
    return is_compressed(request, head)


@pytest.mark.parametrize(
    "accept",
    [
        b"gzip",
        b"GZIP",
        b"gzip, deflate",
        b"deflate,gzip",
        b"deflate, gzip",
        b"deflate,gzip;q=0.5, br",
        b"br;q=1.0, gzip;q=0.8, *;q=0.1",
        b"gzip;q=0.1",
        b"gzip; q=0.5",
        b"gzip;Q=0.5",
        b"gzip;q=1.000",
        b"gzip;q=1",
    ],
)
def test_clients_that_accept_gzip(accept: bytes):
    assert compressed(accept=accept)


@pytest.mark.parametrize(
    "accept",
    [
        b"",
        b"*",
        b"identity",
        b"br",
        b"x-gzip",
        b"gzipx",
        b"deflategzip",
        b"gzip;q=0",
        b"gzip;q=0.000",
        b"gzip ;q=0",
        b"gzip\t;q=0",
        b"gzip;q=1.1",
        b"gzip;q=2",
        b"gzip;q=0.0001",
        b"gzip;q=",
        b"gzip;x=1",
        b"gzip;q=0,gzip",
    ],
)
def test_clients_that_do_not(accept: bytes):
    assert not compressed(accept=accept)


def test_the_first_of_two_headers_decides():
    assert not compressed(lines=b"Accept-Encoding: br\r\n")
    assert compressed(lines=b"accept-encoding:gzip\r\n", accept=b"br")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"version": b"1.0"}, False),
        ({"lines": b"Via: 1.1 x\r\n"}, False),
        ({"status": b"403 F"}, True),
        ({"status": b"404 N"}, True),
        ({"status": b"201 Created"}, False),
        ({"status": b"206 Partial"}, False),
        ({"status": b"304 NM"}, False),
        ({"status": b"500 E"}, False),
        ({"headers": b"Content-Type: application/json\r\nContent-Length: 19\r\n"}, False),
        ({"headers": b"Content-Type: application/json\r\nContent-Length: 20\r\n"}, True),
        ({"headers": b"Content-Type: application/json\r\n"}, True),
        ({"headers": b"Content-Type: application/json; charset=utf-8\r\n"}, True),
        ({"headers": b"content-type:Application/JSON \r\n"}, True),
        ({"headers": b"Content-Type: application/json ;charset=x\r\n"}, False),
        ({"headers": b"Content-Type: application/problem+json\r\n"}, False),
        ({"headers": b"Content-Type: application/jsonx\r\n"}, False),
        ({"headers": b"Content-Type: text/plain\r\n"}, False),
        ({"headers": b"X-Content-Type: application/json\r\n"}, False),
        ({"headers": b""}, False),
        ({"headers": JSON + b"Content-Type: text/plain\r\n"}, False),
        ({"headers": JSON + b"Content-Encoding: br\r\n"}, False),
        ({"headers": JSON + b"Content-Encoding: identity\r\n"}, False),
        ({"headers": JSON + b"Content-Encoding: \r\n"}, True),
        ({"headers": JSON + b"Cache-Control: no-transform\r\n"}, True),
    ],
)
def test_responses(case: dict[str, bytes], expected: bool):
    assert compressed(**case) is expected


@pytest.mark.parametrize(
    ("tag", "sent"),
    [
        (b'ETag: "abc"\r\n', b'ETag: W/"abc"\r\n'),
        (b'etag:"abc"\r\n', b'etag:W/"abc"\r\n'),
        (b'ETag: W/"abc"\r\n', b'ETag: W/"abc"\r\n'),
        (b"ETag: abc\r\n", b""),
        (b"", b""),
    ],
)
def test_a_head_says_what_the_body_has_become(tag: bytes, sent: bytes):
    block = b"Accept-Ranges: bytes\r\nVary: Origin\r\n"
    head = parse_response_head(b"HTTP/1.1 200 Fine\r\n%s%s%s\r\n" % (JSON, tag, block))
    assert encode_compressed_head(head, b"Transfer-Encoding: chunked\r\n") == (
        b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\n%sVary: Origin\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" % sent
    )


def test_a_small_body_is_the_bytes_that_the_reference_server_made():
    body = GzipBody(flushes=False)
    assert body.compress(b"1" * 20) == b""
    assert body.finish() == bytes.fromhex("1f8b0800000000000403 3334c404007de7efa014000000")


@given(st.lists(st.binary(max_size=9000), max_size=8), st.booleans())
def test_what_is_sent_is_what_came(pieces: list[bytes], flushes: bool):
    body = GzipBody(flushes=flushes)
    sent = b""
    for piece in pieces:
        sent += body.compress(piece)
        if flushes:
            # Nothing is kept back.
            assert zlib.decompressobj(31).decompress(sent).endswith(piece)
    last = body.finish()
    assert last
    assert zlib.decompress(sent + last, 31) == b"".join(pieces)
