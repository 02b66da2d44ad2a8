"""However a stream is cut, both sides get the same and the records are the same; noise never
raises, hangs, or leaves a request open.

Client and backend connections run on transports that keep what is written, a loop that runs what
it is told to, and a clock that stands still.
"""

import asyncio
import re
from collections import deque
from itertools import cycle

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.accesslog import AccessRecord, RecordEncoder
from simulator.clock import ManualClock
from simulator.dataplane import backend, client, client_base, client_request, client_response
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.client import ClientConnection
from simulator.dataplane.client_base import State
from simulator.dataplane.port import ListenerPort
from simulator.model import (
    BackendServer,
    BackendServerId,
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


class Loop:
    """Runs callbacks when told; time passes when told."""

    def __init__(self) -> None:
        self.ready: deque = deque()
        self.now = 50.0
        self.timers: list[Timer] = []

    def call_soon(self, callback, *args) -> None:
        self.ready.append((callback, args))

    def call_later(self, delay, callback, *args):
        timer = Timer(self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def run(self) -> None:
        while self.ready:
            callback, args = self.ready.popleft()
            callback(*args)

    def pass_time(self, seconds: float) -> None:
        """Ring what falls due."""
        self.now += seconds
        for timer in self.timers[:]:
            if timer.when <= self.now:
                self.timers.remove(timer)
                if not timer.cancelled:
                    timer.callback()


class Timer:
    def __init__(self, when, callback) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Transport:
    """As strict as a real one: a closed one takes nothing more."""

    def __init__(self, loop: Loop, protocol) -> None:
        self._loop = loop
        self._protocol = protocol
        self.written = b""
        self.unsent = 0
        self.closed = False
        self.lost = False
        self.eof = False
        self.paused = False
        self.full = False

    def set_write_buffer_limits(self, high) -> None:
        pass

    def get_extra_info(self, name):
        return ("192.0.2.7", 4711) if name == "peername" else None

    def write(self, data) -> None:
        assert data
        assert not self.eof, "a write after the end"
        assert not self.lost, "a write on a lost connection"
        if self.closed:
            return
        self.written += data
        if self.full:
            first = self.unsent == 0
            self.unsent += len(data)
            if first:
                self._protocol.pause_writing()

    def fill(self) -> None:
        self.full = True

    def flush(self) -> None:
        self.full = False
        if self.unsent:
            self.unsent = 0
            if not self.closed:
                self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closed
        self.eof = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self._lose, None)

    abort = close

    def _lose(self, error) -> None:
        if not self.lost:
            self.lost = True
            self._protocol.connection_lost(error)

    def pause_reading(self) -> None:
        assert not self.closed
        self.paused = True

    def resume_reading(self) -> None:
        assert not self.closed
        self.paused = False

    # what the other side does

    def receive(self, data: bytes) -> None:
        if not self.closed and not self.paused:
            self._protocol.data_received(data)

    def receive_eof(self) -> None:
        if not self.closed and not self.paused and not self._protocol.eof_received():
            self.close()

    def reset(self) -> None:
        if not self.closed:
            self.closed = True
            self._lose(ConnectionResetError())


class Connecting:
    def __init__(self, done) -> None:
        self.done = done

    def cancel(self) -> None:
        self.done = None


class Pool:
    """Opens connections when told, keeps them."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.idle: list[BackendConnection] = []
        self.attempts: deque[Connecting] = deque()
        self.opened: list[BackendConnection] = []

    def take(self, server, *, now, keep_alive_s):
        while self.idle:
            connection = self.idle.pop()
            if not connection.closed:
                connection.pooled = True
                return connection
        return None

    def put(self, connection, *, now, keep_alive_s) -> None:
        if connection.closed:
            connection.release()
        else:
            self.idle.append(connection)

    def connect(self, server, done):
        attempt = Connecting(done)
        self.attempts.append(attempt)
        return attempt

    def connect_now(self, error: OSError | None = None) -> None:
        """What was begun first succeeds or fails."""
        while self.attempts:
            attempt = self.attempts.popleft()
            if attempt.done is not None:
                attempt.done(error or self._open())
                return

    def _open(self) -> BackendConnection:
        connection = BackendConnection(SERVERS[0])
        connection.connection_made(Transport(self._loop, connection))
        self.opened.append(connection)
        return connection


SERVERS = tuple(
    BackendServer(
        backend_server_id=BackendServerId(f"i-{n}"),
        address=f"10.0.2.{n}:80",
        connect_host="127.0.0.1",
        connect_port=1,
    )
    for n in (1, 2)
)
GROUP = ServerGroup(server_group_id=ServerGroupId("sg-1"), name="web", servers=SERVERS[:1])
LISTENER = Listener(
    protocol=Protocol.HTTP,
    port=80,
    bind_host="127.0.0.1",
    bind_port=0,
    scheduler=Scheduler.ROUND_ROBIN,
    x_forwarded_for=True,
    server_group_id=GROUP.server_group_id,
    limits=ListenerLimits(body_buffer_bytes=20),
)
BALANCER = LoadBalancer(
    load_balancer_id=LoadBalancerId("lb-1"),
    name="shop",
    kind=LoadBalancerKind.APPLICATION,
    vip="10.0.1.5",
    cluster=None,
    listeners=(LISTENER,),
    server_groups=(GROUP,),
)


class Bench:
    """One client connection, and backend connections as it needs them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        for module in (client, client_base, client_request, client_response):
            patch.setattr(module, "monotonic", lambda: self.loop.now)
        patch.setattr(backend.asyncio, "get_running_loop", lambda: self.loop)
        self.pool = Pool(self.loop)
        self.records: list[AccessRecord] = []
        self.clock = ManualClock(1_772_323_200.0)
        self.port = ListenerPort(
            route=compile_route(BALANCER, LISTENER),
            clock=self.clock,
            pool=self.pool,
            on_record=self.records.append,
        )
        self.client = ClientConnection(self.port, self.loop)
        self.client_side = Transport(self.loop, self.client)
        self.client._proxy_allowed = False
        self.client.connection_made(self.client_side)

    @property
    def backend(self) -> BackendConnection | None:
        return self.client._backend

    def assert_at_rest(self) -> None:
        """Nothing is left once the client is gone."""
        self.client_side.reset()
        self.loop.run()
        while self.pool.attempts:
            self.pool.connect_now()
        for connection in self.pool.idle:
            connection.release()
        self.loop.run()
        assert self.client._state is State.CLOSED
        assert self.client._exchange is None
        assert self.client._timer is None
        assert self.clock._requests == 0
        assert not self.port.connections
        assert all(connection.closed for connection in self.pool.opened)


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
