"""X-Forwarded-Proto: the same bytes by the long way and for a head that was recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dataplane.http1_known import KnownRequests
from simulator.dataplane.http1_request import encode_forwarded_head, parse_request_head

LINES = [
    b"Host: a\r\n",
    b"X-Forwarded-Proto: ftp\r\n",
    b"x-forwarded-PROTO:\r\n",
    b"X-Forwarded-For: 1.1.1.1\r\n",
    b"X-Forwarded-Proto-Not: x\r\n",
    b"Connection: close\r\n",
]


@given(
    st.lists(st.sampled_from(LINES), max_size=6),
    st.sampled_from([None, "192.0.2.7"]),
    st.sampled_from([None, b"http", b"https"]),
)
def test_a_recognised_head_is_forwarded_like_any_other(lines, client_ip, proto):
    first, second = (b"GET /%s HTTP/1.1\r\n%s\r\n" % (n, b"".join(lines)) for n in (b"a", b"b"))
    requests = KnownRequests(
        adds_client_ip=client_ip is not None, proto=proto, line_limit=100, head_limit=1000
    )
    known = requests.remember(parse_request_head(first), first)
    assert (known is not None) == (lines.count(LINES[0]) == 1)
    if known is not None:
        recognised = known.recognise(second, requests, client_ip or "")
        assert recognised is not None
        head = parse_request_head(second)
        assert recognised[1] == encode_forwarded_head(
            head, backend_host="b", client_ip=client_ip, proto=proto
        )


@pytest.mark.parametrize("proto", [None, b"https"])
def test_only_the_listeners_word_is_left_when_it_gives_one(proto):
    raw = b"GET / HTTP/1.1\r\n" + b"".join(LINES[:3]) + LINES[4] + b"\r\n"
    made = encode_forwarded_head(
        parse_request_head(raw), backend_host="b", client_ip=None, proto=proto
    )
    if proto is None:
        assert made == raw
    else:
        assert made == (
            b"GET / HTTP/1.1\r\nHost: a\r\n" + LINES[4] + b"X-Forwarded-Proto: https\r\n\r\n"
        )
