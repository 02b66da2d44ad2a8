"""However a stream is cut, both sides get the same and the records are the same; noise never
raises, hangs, or leaves a request open.
"""

import asyncio
import re
from collections import deque
from itertools import cycle

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from still_bench import Bench

from simulator.accesslog import RecordEncoder
from simulator.dataplane.backend import BackendConnection
from tests.wire.conftest import SERVED_BY

# -- valid streams, cut anywhere ------------------------------------------------------------------

BLOCK = b"Host: shop.example\r\nUser-Agent: t/1\r\nX-Forwarded-For: 1.1.1.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
REQUESTS = (
    b"GET /a HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"GET /b?c=%20 HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"DELETE /c HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"HEAD /h HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"GET /other HTTP/1.1\r\nHost: other\r\nCookie: a=b\r\nConnection: keep-alive\r\n\r\n",
    b"\r\nGET  /lf HTTP/1.1\nHost: lf\nX: 1\n\n",
    b"GET http://abs/x HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST /sized HTTP/1.1\r\n" + BLOCK + b"Content-Length: 11\r\n\r\nhello\r\n\r\n00",
    b"POST /large HTTP/1.1\r\n" + BLOCK + b"Content-Length: 50\r\n\r\n" + b"0\r\n\r\n" * 10,
    b"POST /empty HTTP/1.1\r\n" + BLOCK + b"Content-Length: 0\r\n\r\n",
    b"POST /expect HTTP/1.1\r\n" + BLOCK + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    b"POST /chunked HTTP/1.1\r\n" + BLOCK + CHUNKED + b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n"
    b"0\r\nX-Trailer: 1\r\n\r\n",
    b"POST /chunks HTTP/1.1\r\n" + BLOCK + CHUNKED + b"1\nx\n" * 9 + b"19\r\n" + b"0\r\n\r\n" * 5
    + b"\r\n000\r\n\r\n",
    b"POST /no-chunks HTTP/1.1\r\n" + BLOCK + CHUNKED + b"0\r\n\r\n",
)  # fmt: skip
LAST_REQUESTS = (
    b"",
    b"GET /last HTTP/1.1\r\n" + BLOCK + b"Connection: close\r\n\r\nGET /never HTTP/1.1\r\n",
    b"GET /bad HTTP/1.1\r\nHost : a\r\n\r\nrest",
    b"GET /old HTTP/1.0\r\n\r\n",
    b"hello there\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + BLOCK + b"\r\n",
    b"GET /large HTTP/1.1\r\n" + BLOCK + b"Z: " + b"z" * 40_000 + b"\r\n\r\n",
)
HEAD = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Type: text/plain\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\nuntil the end"
RESPONSES = (
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\n\r\nworld",
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Content-Length: 27\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n0\r\n\r\n\0\r\n",
    HEAD + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nContent-Length: 2\nX: 1\n\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
    b"HTTP/1.1 999\r\nContent-Length: 1\r\n\r\n!",
    HEAD + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    HEAD + CHUNKED + b"1;x\nh\n4\r\n\r\n\r\n\r\n0\r\nT: 1\r\n\r\n",
    HEAD + CHUNKED + b"0\r\n\r\n",
    UNTIL_CLOSE,
    b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 5000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
)


def pieces(data: bytes, sizes: list[int]):
    """``data`` cut into pieces of the sizes given, over and over; uncut without any."""
    if not sizes:
        return [data] if data else []
    cuts = []
    each = cycle(sizes)
    at = 0
    while at < len(data):
        size = next(each)
        cuts.append(data[at : at + size])
        at += size
    return cuts


def converse(sent: bytes, answers: list[bytes], client_cuts, server_cuts, turns) -> tuple:
    """Let a client and a server speak in pieces, in turns; what came of it."""
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch)
        from_client = deque(pieces(sent, client_cuts))
        answers = deque(answers)
        from_server: deque[bytes] = deque()
        answering: BackendConnection | None = None
        whose = cycle(turns or [True])
        idle = 0
        steps = 0
        while idle < 4 + 2 * len(turns):
            idle += 1
            steps += 1
            assert steps < 200_000, "they never come to an end"
            bench.loop.run()
            bench.pool.connect_now()
            if answering is not bench.backend:
                answering = bench.backend
                from_server.clear()
            if answering is not None and not from_server and bench.client._request_complete:
                answer = answers.popleft() if answers else RESPONSES[0]
                end = None
                if bench.client._head.method == b"HEAD":
                    answer = re.match(rb"(?s).*?\n\r?\n", answer)[0]
                elif answer == UNTIL_CLOSE:
                    end = b""
                from_server.extend(pieces(answer, server_cuts))
                if end is not None:
                    from_server.append(end)
            speaks = next(whose)
            if speaks and from_client:
                bench.client_side.receive(from_client.popleft())
                idle = 0
            elif not speaks and from_server:
                data = from_server.popleft()
                if data:
                    answering.transport.receive(data)
                else:
                    answering.transport.receive_eof()
                if not from_server:
                    answering = None
                idle = 0
        bench.loop.run()
        closed = bench.client_side.closed or bench.client_side.eof
        answered = list(bench.records)
        bench.assert_at_rest()
        assert len(bench.records) - len(answered) <= 1
    to_client = messages(
        bench.client_side.written, [record.request.startswith(b"HEAD") for record in answered]
    )
    to_servers = [messages(each.transport.written, []) for each in bench.pool.opened]
    records = bench.records
    final = [message for message in to_client if not message[0].startswith(b"HTTP/1.1 100 ")]
    for record, (_, _, framed_bytes) in zip(answered, final, strict=True):
        assert record.body_bytes_sent == framed_bytes
        record.body_bytes_sent = 0  # how a body was cut into chunks shows in it
        if record.request_length == 0:
            record.request = b""  # garbage shows as far as it had come
    encode = RecordEncoder(SERVED_BY).encode
    return (
        [message[:2] for message in to_client],
        [[message[:2] for message in of_one] for of_one in to_servers],
        [encode(record) for record in records],
        closed,
    )


def messages(stream: bytes, to_head: list[bool]) -> list[tuple[bytes, bytes, int]]:
    """Heads, bodies without framing, and how many bytes they had with it.

    Args:
        stream: requests, or responses.
        to_head: whether each final response is one to a HEAD request.
    """
    found = []
    without_body = deque(to_head)
    while stream:
        head, end, rest = stream.partition(b"\r\n\r\n")
        assert end
        status = head[9:12] if head.startswith(b"HTTP/1.1 ") else b""
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        body, left = b"", rest
        if status == b"100" or (status and without_body.popleft()) or status in (b"204", b"304"):
            pass
        elif b"\r\nTransfer-Encoding: chunked" in head:
            while left:
                size, _, left = left.partition(b"\r\n")
                body += left[: int(size, 16)]
                left = left[int(size, 16) + 2 :]
                if size == b"0":
                    break
        elif length is not None:
            body, left = rest[: int(length[1])], rest[int(length[1]) :]
        elif status:
            body, left = rest, b""
        found.append((head, body, len(rest) - len(left)))
        stream = left
    return found


CUTS = st.lists(st.integers(1, 60), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=st.lists(st.sampled_from(REQUESTS), max_size=7),
    last=st.sampled_from(LAST_REQUESTS),
    answers=st.lists(st.sampled_from(RESPONSES), max_size=8),
    client_cuts=CUTS,
    server_cuts=CUTS,
    turns=st.lists(st.booleans(), min_size=1, max_size=8).filter(lambda t: len(set(t)) == 2),
)
@example(
    requests=list(REQUESTS),
    last=LAST_REQUESTS[1],
    answers=list(RESPONSES[:15]),
    client_cuts=[1],
    server_cuts=[1],
    turns=[True, False],
)
def test_the_outcome_does_not_depend_on_how_bytes_were_cut(
    requests, last, answers, client_cuts, server_cuts, turns
):
    sent = b"".join(requests) + last
    whole = converse(sent, answers, [], [], [True, False])
    assert converse(sent, answers, client_cuts, server_cuts, turns) == whole


@settings(max_examples=60, deadline=None)
@given(
    first=st.sampled_from(REQUESTS[:3]),
    answer=st.sampled_from(RESPONSES[:3]),
    times=st.integers(3, 6),
    cuts=CUTS,
)
def test_a_repeated_exchange_gives_the_same_each_time(first, answer, times, cuts):
    """The short ways of repeated heads, one request after the other's answer."""
    outcomes = []
    for client_cuts, server_cuts in (([], []), (cuts, cuts), ([len(first)], [len(answer)])):
        outcome = converse(
            first * times, [answer] * times, client_cuts, server_cuts, [True, False] * 3
        )
        assert len(set(outcome[2])) == 1
        assert len(outcome[2]) == times
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1] == outcomes[2]


# -- noise ----------------------------------------------------------------------------------------

FRAGMENTS = (
    *REQUESTS,
    *RESPONSES,
    *(request[: len(request) // 2] for request in REQUESTS),
    *(response[: len(response) // 2] for response in RESPONSES),
    b"GET / HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 000 Zero\r\n\r\n",
    b"X-Accel-Buffering: no\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    b"x" * 70_000,
)
BYTES = st.one_of(st.sampled_from(FRAGMENTS), st.binary(min_size=1, max_size=30))
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("client sends"), BYTES),
        st.tuples(st.just("server sends"), BYTES),
        st.tuples(st.just("idle server sends"), BYTES),
        st.tuples(
            st.sampled_from(
                [
                    "connect",
                    "connect",
                    "refuse",
                    "server closes",
                    "server resets",
                    "client closes its side",
                    "client stops reading",
                    "client reads",
                    "server stops reading",
                    "server reads",
                    "time passes",
                    "listener drains",
                    "run",
                ]
            ),
            st.none(),
        ),
    ),
    max_size=40,
)


def act(bench: Bench, event: str, data: bytes | None) -> None:  # noqa: C901  # a flat table
    server = bench.backend.transport if bench.backend is not None else None
    match event:
        case "client sends":
            bench.client_side.receive(data)
        case "server sends" if server is not None:
            server.receive(data)
        case "idle server sends" if bench.pool.idle:
            bench.pool.idle[-1].transport.receive(data)
        case "connect":
            bench.pool.connect_now()
        case "refuse":
            bench.pool.connect_now(ConnectionRefusedError())
        case "server closes" if server is not None:
            server.receive_eof()
        case "server resets" if server is not None:
            server.reset()
        case "client closes its side":
            bench.client_side.receive_eof()
        case "client stops reading":
            bench.client_side.fill()
        case "client reads":
            bench.client_side.flush()
        case "server stops reading" if server is not None:
            server.fill()
        case "server reads" if server is not None:
            server.flush()
        case "time passes":
            bench.loop.pass_time(31.0)
        case "listener drains":
            bench.client.drain()
        case "run":
            bench.loop.run()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=EVENTS)
def test_no_order_of_events_raises_or_leaves_a_request_open(events):
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch)
        for event, data in events:
            act(bench, event, data)
        bench.assert_at_rest()
        encode = RecordEncoder(SERVED_BY).encode
        for record in bench.records:
            assert record.response_status
            assert record.body_bytes_sent >= 0
            encode(record)


@settings(max_examples=200, deadline=None)
@given(data=st.lists(BYTES, max_size=12))
def test_a_client_that_only_makes_noise_is_given_up_in_time(data):
    """It cannot hold a connection: within its timeouts it is closed or has been answered."""
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch)
        for piece in data:
            bench.client_side.receive(piece)
            bench.loop.run()
        for _ in range(40):
            bench.loop.pass_time(61.0)
            bench.loop.run()
        assert bench.client_side.closed
        bench.assert_at_rest()


def test_asyncio_is_whole_again():
    """The patches above are undone."""
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
