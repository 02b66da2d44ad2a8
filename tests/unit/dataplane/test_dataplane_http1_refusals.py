"""What the heads' readers must refuse however it is wrapped, and how long they may take for it."""

import http.client
import io
import time

import pytest

from simulator.dataplane import proxy_protocol
from simulator.dataplane.http1_known import KnownRequests
from simulator.dataplane.http1_request import HeaderMemo, parse_request_head
from simulator.dataplane.http1_response import (
    encode_response_head,
    make_response_memo,
    parse_response_head,
)
from simulator.errors import BackendProtocolError, ClientProtocolError

BLOCK = b"Host: a\r\n\r\n"
REFUSED_LINES = [
    b"CONNECT /a HTTP/1.1\r\n",
    b"TRACE /a HTTP/1.1\r\n",
    b"GET /%00 HTTP/1.1\r\n",
    b"GET /%zz HTTP/1.1\r\n",
    b"GET /a/../../b HTTP/1.1\r\n",
    b"GET /.%2e/b HTTP/1.1\r\n",
    b"GET /%2e%2e/b HTTP/1.1\r\n",
    b"GET /a\x0bb HTTP/1.1\r\n",
    b"GET /a\xe4 HTTP/1.1\r\n",
]


@pytest.mark.parametrize("line", REFUSED_LINES)
def test_a_refused_line_is_not_recognised_behind_headers_met_before(line):
    first = b"GET /a HTTP/1.1\r\n" + BLOCK
    head = parse_request_head(first)
    requests = KnownRequests(adds_client_ip=False, line_limit=8192, head_limit=32768)
    known = requests.remember(head, first)
    assert known.recognise(first, requests, "") is not None
    assert known.recognise(line + BLOCK, requests, "") is None
    assert parse_request_head(line + BLOCK).refusal


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: a\r\nContent-Length: 5\x0b\r\n\r\n",
        b"Host: a\r\nContent-Length: \x0c5\r\n\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\x0b\r\n\r\n",
        b"Host: a\x0b\r\n\r\n",
        b"Host: a\r\nX: 1\rY: 2\r\n\r\n",
        b"Host: a\r\nX: 1\nContent-Length: 1\nContent-Length: 1\r\n\r\n",
    ],
)
def test_both_ways_to_read_headers_refuse_the_same(headers):
    raw = b"POST / HTTP/1.1\r\n" + headers
    memo = HeaderMemo()
    for _ in range(3):
        assert parse_request_head(raw, memo).refusal
    assert parse_request_head(raw).refusal


def test_look_alikes_of_framing_headers_are_not_sent_on():
    look_alikes = b"Content_Length: 9\r\nTRANSFER_ENCODING: chunked\r\n"
    raw = b"POST / HTTP/1.1\r\nHost: a\r\n" + look_alikes + b"X_Y: 1\r\n\r\n"
    for memo in (None, HeaderMemo()):
        head = parse_request_head(raw, memo)
        assert head.headers.block == b"Host: a\r\nX_Y: 1\r\n"
        assert not head.refusal
        assert not head.headers.chunked
        assert head.headers.content_length is None


def test_a_connection_header_with_thousands_of_names_takes_no_time():
    names = b",".join(b"x-%d" % n for n in range(4000))
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + names + b"\r\nX-1: 1\r\nY: 2\r\n\r\n"
    begun = time.process_time()
    head = parse_request_head(raw)
    assert time.process_time() - begun < 0.2
    assert head.headers.block == b"Host: a\r\nY: 2\r\n"


RESPONSES = [
    b"HTTP/1.1 099 Low\r\n\r\n",
    b"HTTP/1.1 20 Short\r\n\r\n",
    b"HTTP/1.1 2000 Long\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\x0b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: 1\rSet-Cookie: a=b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 O\rK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
]


@pytest.mark.parametrize("raw", RESPONSES)
def test_a_response_that_clients_may_read_in_two_ways_is_refused(raw):
    for memo in (None, make_response_memo()):
        for _ in range(2):
            with pytest.raises(BackendProtocolError):
                parse_response_head(raw, memo)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200\r\nX: 1\r\n\r\n", b"HTTP/1.0 999 Odd\nX: 1\n\n"])
def test_what_a_client_gets_is_well_formed(raw):
    sent = encode_response_head(parse_response_head(raw))
    assert sent.count(b"\r\n") == sent.count(b"\n") == 3
    version, status, _ = sent.split(b"\r\n")[0].split(b" ", 2)
    assert (version, status) == (b"HTTP/1.1", raw[9:12])
    assert http.client.parse_headers(io.BytesIO(sent.partition(b"\r\n")[2]))["X"] == "1"


@pytest.mark.parametrize(
    "header",
    [
        b'PROXY TCP6 fe80::1%" 2001:db8::1 1 80\r\n',
        b"PROXY TCP4 1.2.3.4 10.0.1.5 +80 80\r\n",
        b"PROXY TCP4 1.2.3.4 10.0.1.5 8_0 80\r\n",
        b"PROXY TCP4 1.2.3.4 10.0.1.5 65536 80\r\n",
        b"PROXY TCP4 1.2.3.4 10.0.1.5 -1 80\r\n",
        b"PROXY TCP4 ::1 10.0.1.5 1 80\r\n",
        b"PROXY TCP4 1.2.3.4  10.0.1.5 1 80\r\n",
        b"PROXY " + b"x" * 120,
    ],
)
def test_a_malformed_proxy_header_is_refused(header):
    with pytest.raises(ClientProtocolError):
        proxy_protocol.parse(header)
