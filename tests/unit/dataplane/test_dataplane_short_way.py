"""The short ways for repeated heads give the same bytes and the same record as the long ones."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.accesslog import AccessRecord, RecordEncoder
from simulator.clock import ManualClock
from simulator.dataplane import client, client_base, client_request, client_response
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.client import ClientConnection
from simulator.dataplane.http1 import find_head_end
from simulator.dataplane.http1_known import KnownRequests
from simulator.dataplane.http1_request import (
    HeaderMemo,
    encode_forwarded_head,
    parse_request_head,
)
from simulator.dataplane.http1_response import make_response_memo, parse_response_head
from simulator.dataplane.pool import BackendPool
from simulator.dataplane.port import ListenerPort
from simulator.errors import BackendProtocolError
from simulator.model import (
    BackendServer,
    BackendServerId,
    CustomConfiguration,
    Listener,
    ListenerLimits,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Protocol,
    Scheduler,
    ServerGroup,
    ServerGroupId,
)
from simulator.routing import compile_route
from tests.wire.conftest import SERVED_BY

GET = (
    b'GET /a?b=%221%22 HTTP/1.1\r\nHost: Shop.example:80\r\nReferer: \r\nUser-Agent: \xff"\r\n'
    b"X-Forwarded-For: 1.1.1.1\r\nConnection: keep-alive\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 01 Mar 2026 00:00:00 GMT\r\nConnection: keep-alive\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)


class FakeTransport:
    """Keeps what is written; takes only ``room`` bytes before it says stop."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False
        self.full_at: int | None = None
        self.protocol: asyncio.Protocol | None = None

    def set_write_buffer_limits(self, high):
        pass

    def get_extra_info(self, name):
        return ("192.0.2.7", 4711)

    def write(self, data):
        self.written.append(data)
        if self.full_at is not None and len(data) > self.full_at:
            self.protocol.pause_writing()

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def can_write_eof(self):
        return False

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Bench:
    """One client connection and one pooled backend connection without sockets."""

    def __init__(self, tasks, *, x_forwarded_for=False, limits=None, custom=None) -> None:
        server = BackendServer(
            backend_server_id=BackendServerId("i-0"),
            address="10.0.2.11:8080",
            connect_host="127.0.0.1",
            connect_port=1,
        )
        group = ServerGroup(server_group_id=ServerGroupId("sg-1"), name="web", servers=(server,))
        listener = Listener(
            protocol=Protocol.HTTP,
            port=80,
            bind_host="127.0.0.1",
            bind_port=0,
            scheduler=Scheduler.ROUND_ROBIN,
            x_forwarded_for=x_forwarded_for,
            server_group_id=group.server_group_id,
            limits=limits or ListenerLimits(),
            custom=custom or CustomConfiguration(),
        )
        balancer = LoadBalancer(
            load_balancer_id=LoadBalancerId("lb-1"),
            name="shop",
            kind=LoadBalancerKind.APPLICATION,
            vip="10.0.1.5",
            cluster=None,
            listeners=(listener,),
            server_groups=(group,),
        )
        self.records: list[AccessRecord] = []
        self.pool = BackendPool(tasks)
        self.port = ListenerPort(
            route=compile_route(balancer, listener),
            clock=ManualClock(1_772_323_200.0),
            pool=self.pool,
            on_record=self.records.append,
        )
        self.client = ClientConnection(self.port, asyncio.get_running_loop())
        self.client_side = FakeTransport()
        self.client_side.protocol = self.client
        self.client.connection_made(self.client_side)
        self.backend = BackendConnection(server)
        self.backend_side = FakeTransport()
        self.backend.connection_made(self.backend_side)
        self.pool.put(self.backend, now=client.monotonic(), keep_alive_s=60)

    def lines(self):
        encoder = RecordEncoder(SERVED_BY)
        return [encoder.encode(record) for record in self.records]

    def close(self):
        self.client.connection_lost(None)
        self.pool.close()


@pytest.fixture
async def tasks():
    async with asyncio.TaskGroup() as tasks:
        yield tasks


@pytest.fixture
def still(monkeypatch):
    """Durations of zero, so that records compare whole."""
    for module in (client, client_base, client_request, client_response):
        monkeypatch.setattr(module, "monotonic", lambda: 50.0)


def whole(data):
    return [data]


def halves(data):
    return [data[:9], data[9:]]


REQUESTS = [GET, GET.replace(b"GET /a", b"DELETE /other"), GET]


def drive(bench, answers, cut):
    """Each request and its answer, in one read or in two; what each side got and the records."""
    for request, answer in zip(REQUESTS * 3, answers * 3, strict=True):
        for piece in cut(request):
            bench.client.data_received(piece)
        for piece in cut(answer):
            bench.backend.data_received(piece)
    bench.close()
    sent = b"".join(bench.backend_side.written), b"".join(bench.client_side.written)
    return *sent, bench.lines(), bench.client_side.closed


@pytest.mark.parametrize("x_forwarded_for", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_both_ways_give_the_same_bytes_and_records(tasks, still, answer, x_forwarded_for):
    short = drive(Bench(tasks, x_forwarded_for=x_forwarded_for), [answer] * 3, whole)
    long = drive(Bench(tasks, x_forwarded_for=x_forwarded_for), [answer] * 3, halves)
    # In halves, a chunked body goes out in as many chunks as it came in.
    if b"chunked" not in answer:
        assert short == long
    assert short[0] == long[0]
    assert len(short[2]) == 9


async def test_the_short_ways_are_taken_for_what_repeats(tasks, monkeypatch):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)

    def never(*_):
        raise AssertionError("the long way")

    monkeypatch.setattr(ClientConnection, "_take_head", never)
    monkeypatch.setattr(BackendConnection, "_take_head", never)
    bench.client.data_received(GET.replace(b"/a", b"/b"))
    bench.backend.data_received(ANSWER.replace(b"hello", b"world"))
    assert bench.records[-1].request == b"GET /b?b=%221%22 HTTP/1.1"
    assert bench.client_side.written[-1].endswith(b"world")
    bench.close()


async def test_the_short_way_is_taken_though_a_trace_id_differs(tasks, monkeypatch):
    bench = Bench(tasks, x_forwarded_for=True)

    def ask(trace_id):
        bench.client.data_received(GET.replace(b"Referer", b"X-Trace: %s\r\nReferer" % trace_id))
        bench.backend.data_received(ANSWER)
        return bench.backend_side.written[-1]

    for number in range(3):
        ask(b"%d" % number)

    def never(*_):
        raise AssertionError("the long way")

    monkeypatch.setattr(ClientConnection, "_take_head", never)
    assert ask(b"10") == ask(b"9").replace(b"X-Trace: 9", b"X-Trace: 10")
    assert ask(b"11").endswith(b"X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n\r\n")
    with pytest.raises(AssertionError, match="the long way"):
        ask(b"1\r\nX-More: 1")
    bench.close()


async def test_the_first_request_of_a_connection_takes_the_short_way_too(tasks, monkeypatch):
    bench = Bench(tasks, x_forwarded_for=True)
    last = GET.replace(b"keep-alive", b"close")
    written = []
    for _ in range(3):
        side = FakeTransport()
        connection = ClientConnection(bench.port, asyncio.get_running_loop())
        connection.connection_made(side)
        connection.data_received(last)
        bench.backend.data_received(ANSWER)
        assert side.closed
        written.append((bench.backend_side.written[-1], side.written))
        # From the third on, at the latest.
        if len(written) == 2:
            monkeypatch.setattr(ClientConnection, "_take_head", None)
    assert written[0] == written[1] == written[2]
    assert written[0][1][0].endswith(b"\r\nConnection: close\r\n\r\nhello")
    bench.close()


async def test_what_is_refused_or_comes_too_late_is_so_on_the_short_way_too(tasks):
    bench = Bench(tasks)
    for _ in range(3):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    sides = []
    for _ in range(2):
        side = FakeTransport()
        side.get_extra_info = lambda name: ("127.0.0.1", 4712)
        connection = ClientConnection(bench.port, asyncio.get_running_loop())
        connection.connection_made(side)
        sides.append((side, connection))
    (side, connection), (refused_side, refused) = sides
    connection.data_received(GET)
    bench.backend.data_received(ANSWER)
    # A PROXY header is for the beginning of a connection.
    connection.data_received(b"PROXY TCP4 192.0.2.9 10.0.0.1 5 80\r\n" + GET)
    assert [data[:12] for data in side.written] == [b"HTTP/1.1 200", b"HTTP/1.1 400"]
    # As on a TLS port that is spoken to in plain HTTP.
    refused._refusal = 400
    refused.data_received(GET)
    assert refused_side.written[0].startswith(b"HTTP/1.1 400 ")
    bench.close()


async def test_the_route_of_the_moment_is_asked(tasks):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    other = Bench(tasks, x_forwarded_for=True)
    bench.port.route = other.port.route
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
        assert b"X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n" in bench.backend_side.written[-1]
    bench.close()
    other.close()


async def test_a_request_that_follows_at_once_waits_its_turn(tasks):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    bench.client.data_received(GET)
    bench.client.data_received(GET.replace(b"/a", b"/late"))
    assert len(bench.backend_side.written) == 5
    bench.backend.data_received(ANSWER)
    await asyncio.sleep(0)
    assert bench.backend_side.written[-1].startswith(b"GET /late")
    bench.backend.data_received(ANSWER)
    assert len(bench.records) == 6
    bench.close()


async def test_a_long_line_is_refused_though_its_headers_are_known(tasks):
    bench = Bench(tasks, limits=ListenerLimits(request_line_bytes=100))
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    bench.client.data_received(GET.replace(b"/a", b"/" + b"a" * 100))
    assert bench.client_side.written[-1].startswith(b"HTTP/1.1 414 ")
    assert bench.records[-1].response_status == 414
    bench.close()


@pytest.mark.parametrize("over", [0, 1])
async def test_a_head_just_over_the_limit_is_served_not_left_waiting(tasks, over):
    bench = Bench(tasks, limits=ListenerLimits(header_bytes=len(GET) - over))
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    assert [record.response_status for record in bench.records] == [200] * 4
    bench.close()


@pytest.mark.parametrize("cut", [whole, halves])
async def test_a_client_that_does_not_read_leaves_the_pooled_connection_readable(tasks, cut):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    bench.client_side.full_at = 0
    bench.client.data_received(GET)
    for piece in cut(ANSWER):
        bench.backend.data_received(piece)
    assert len(bench.records) == 4
    assert bench.backend_side.reading
    bench.client.resume_writing()
    assert len(bench.records) == 5
    bench.close()


async def test_excess_bytes_after_a_known_response_are_dropped_with_the_connection(tasks):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    bench.client.data_received(GET)
    bench.backend.data_received(ANSWER + b"x")
    assert bench.client_side.written[-1].endswith(b"hello")
    assert bench.backend_side.closed
    bench.close()


NAMES = [b"Host", b"X-A", b"Connection", b"Content-Length", b"X-Forwarded-For", b"TE", b"Expect"]
VALUES = [b"a", b"", b"0", b"close", b"keep-alive, X-A", b"100-continue", b" b:1 ", b"\xe4"]
HEADERS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES), st.sampled_from([b"\r\n", b"\n"])),
    max_size=6,
)
LINES = st.builds(
    b"%s %s HTTP/1.%s\r\n".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST", b"CONNECT", b"get"]),
        st.sampled_from([b"/", b"/a?b", b"http://o/p", b"/\xc3\xa9", b"*", b"/a b", b" /x"]),
        st.sampled_from([b"0", b"1"]),
    ),
)


def values(head):
    headers = {name: getattr(head.headers, name) for name in head.headers.__slots__}
    return [getattr(head, name) for name in head.__slots__ if name != "headers"], headers


def check_recognised(recognised, data, client_ip):
    head, sent = recognised
    long = parse_request_head(data)
    assert values(head) == values(long)
    assert sent == encode_forwarded_head(long, backend_host="b", client_ip=client_ip)
    assert find_head_end(data) == len(data) <= 200
    assert len(head.line) <= 24
    assert not long.refusal


@given(headers=HEADERS, first=LINES, second=LINES, forwarded=st.booleans())
def test_a_head_is_recognised_only_as_what_parsing_it_gives(headers, first, second, forwarded):
    block = b"Host: h\r\n" * (len(headers) % 2)
    block += b"".join(b"%s:%s%s" % header for header in headers) + b"\r\n"
    raw, data = first + block, second + block
    memo = HeaderMemo()
    requests = KnownRequests(adds_client_ip=forwarded, line_limit=24, head_limit=200)
    known = requests.remember(parse_request_head(raw, memo), raw)
    assert values(parse_request_head(data, memo)) == values(parse_request_head(data))
    assert requests.find(data) is known
    recognised = known and known.recognise(data, requests, "192.0.2.7")
    if recognised:
        check_recognised(recognised, data, "192.0.2.7" if forwarded else None)


@given(
    headers=HEADERS,
    at=st.integers(0, 6),
    name=st.sampled_from([*NAMES, b"X-Request-Id", b"x-a", b"Cookie"]),
    parts=st.lists(st.sampled_from([*VALUES, b"1", b"22", b"3\r\nHost: i", b"\x00"]), min_size=3),
    second=LINES,
    forwarded=st.booleans(),
)
def test_a_head_with_a_header_that_varies_is_recognised_only_as_what_parsing_it_gives(
    headers, at, name, parts, second, forwarded
):
    lines = [b"%s:%s\r\n" % header[:2] for header in headers]
    first = [b"GET / HTTP/1.1\r\nHost: h\r\n", *lines[:at], b"%s:%s\r\n", *lines[at:], b"\r\n"]
    one, two, *others = [b"".join(first) % (name, part) for part in parts]
    requests = KnownRequests(adds_client_ip=forwarded, line_limit=24, head_limit=200)
    known = requests.remember_varying(parse_request_head(two), two, parse_request_head(one).headers)
    for data in others:
        for raw in (data, second + data[data.index(b"\n") + 1 :]):
            recognised = known and known.recognise(raw, requests, "192.0.2.7")
            if recognised:
                head, sent = recognised
                long = parse_request_head(raw)
                assert sent == encode_forwarded_head(
                    long, backend_host="b", client_ip="192.0.2.7" if forwarded else None
                )
                assert find_head_end(raw) == len(raw) <= 200
                assert not long.refusal
                # The headers of another request stand for these: all but what is sent on agrees.
                assert values(head)[0] == values(long)[0]
                meant, meaning = values(head)[1], values(long)[1]
                assert {**meant, "block": b"", "length": 0} == {
                    **meaning,
                    "block": b"",
                    "length": 0,
                }


RESPONSE_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"Content-Length", b"Date", b"Connection", b"Transfer-Encoding", b"X Y", b""]
        ),
        st.sampled_from([b" 5", b"0", b"close", b" keep-alive", b" chunked ", b"\x00", b" a:b"]),
        st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]),
    ),
    max_size=4,
)


@given(st.lists(RESPONSE_HEADERS, min_size=1, max_size=4))
def test_lines_met_before_change_nothing_in_what_a_response_says(heads):
    memo = make_response_memo()

    def read(raw, *memos):
        try:
            head = parse_response_head(raw, *memos)
        except BackendProtocolError as error:
            return str(error)
        return [getattr(head, name) for name in head.__slots__]

    for headers in heads:
        block = b"".join(b"%s:%s%s" % header for header in headers)
        for raw in (b"HTTP/1.1 200 OK\r\n" + block + b"\r\n", b"HTTP/1.0 204 x\n" + block + b"\n"):
            assert read(raw, memo) == read(raw) == read(raw, memo)


@pytest.mark.parametrize("cut", [whole, halves])
async def test_a_connection_that_still_holds_a_request_is_not_used_again(tasks, cut):
    bench = Bench(tasks)
    for _ in range(4):
        bench.client.data_received(GET)
        bench.backend.data_received(ANSWER)
    bench.client.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
    # The server answers without having read all of it.
    bench.backend_side.get_write_buffer_size = lambda: 4
    for piece in cut(ANSWER):
        bench.backend.data_received(piece)
    assert bench.client_side.written[-1].endswith(b"hello")
    assert bench.backend_side.closed
    bench.close()
