"""Sends planned traffic over real sockets, on the simulated clock's schedule.

Open loop: a request is due when its instant comes, whether or not the last one was answered.
Whatever is in flight holds the clock, so a jumping clock never overtakes a socket.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from simulator.clock import Clock, Timer
from simulator.rng import Rng
from simulator.tls import TlsClientStream
from simulator.workload.connection import ClientConnection
from simulator.workload.plan import PlannedRequest, SimulatedClient, plan, simulated_client
from simulator.workload.profiles import TrafficProfile

Spawn = Callable[[Coroutine[None, None, None], str], object]
"""Runs a coroutine as a task of the given name."""

_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


@dataclass(slots=True, kw_only=True)
class TrafficCounters:
    """What a sender did so far. ``sent`` is ``completed + failed`` once it is done."""

    sent: int = 0
    """Requests begun, with those whose connection could not be opened."""
    completed: int = 0
    """Whole responses, of any status."""
    failed: int = 0
    """Connection refused, reset, closed early, no answer in time, or not HTTP."""
    overflowed: int = 0
    """Due while every client was busy and the queue full; never sent."""
    by_status: dict[int, int] = field(default_factory=dict)
    bytes_sent: int = 0
    """Whole requests with their heads, without PROXY protocol."""
    bytes_received: int = 0
    """Response bodies as on the wire, with chunk framing."""
    connections: int = 0
    """Connections opened."""


def _once(_: float) -> int:
    return 1


class TrafficSender:
    """Sends one ``TrafficProfile`` to one listener.

    Args:
        profile: what to send.
        host: where the listener's socket really is.
        port: the same.
        vip: the balancer's simulated address, for the PROXY protocol.
        clock: the schedule's clock; held from a request's instant to the end of its response.
        rng: root of the plan's streams.
        spawn: runs the opening of a connection as a named task.
        queue_limit: requests that may wait for a free client.
        patience_s: real seconds after which a request without a whole response has failed.
        tls: of the clients, for an HTTPS listener.
        repeats: how often a request that is due at an instant is sent, at least once.

    After ``start()``, you must call ``aclose()`` on the same event loop.
    """

    def __init__(
        self,
        profile: TrafficProfile,
        *,
        host: str,
        port: int,
        vip: str,
        clock: Clock,
        rng: Rng,
        spawn: Spawn,
        queue_limit: int = 1000,
        patience_s: float = 120.0,
        tls: ssl.SSLContext | None = None,
        repeats: Callable[[float], int] = _once,
    ) -> None:
        self._repeats = repeats
        self._tls = tls
        self.profile = profile
        self.counters = TrafficCounters()
        self._address = (host, port)
        self._vip = vip
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._queue_limit = queue_limit
        self._patience_s = patience_s
        self._plan: Iterator[PlannedRequest] = plan(profile, rng)
        self._clients: dict[int, _Client] = {}
        # Ordered: the first is the one that has been free longest.
        self._free: dict[int, None] = dict.fromkeys(range(profile.client_count))
        self._queue: deque[PlannedRequest] = deque()
        self._timer: Timer | None = None
        self._started_at = 0.0
        self._in_flight = 0
        self._holds_clock = True
        self._exhausted = False
        self._closed = False
        self._done = asyncio.Event()

    def start(self) -> None:
        """Schedule the first request, ``profile.start_s`` from now on the clock."""
        self._started_at = self._clock.time() + self.profile.start_s
        self._schedule_next()

    async def wait_done(self) -> None:
        """Return when every planned request has been answered, failed or overflowed."""
        await self._done.wait()

    async def aclose(self) -> None:
        """Send nothing more and drop what is in flight, as failed. Fine to call twice."""
        self._closed = self._exhausted = True
        if self._timer is not None:
            self._timer.cancel()
        while self._queue:
            self._queue.popleft()
            self.counters.overflowed += 1
            self._settle()
        for client in self._clients.values():
            if client.connection is not None:
                client.connection.abort()
        self._check_done()

    def let_time_pass(self) -> None:
        """Do not hold the clock for what is in flight: it waits for something that takes time."""
        if self._holds_clock:
            self._holds_clock = False
            for _ in range(self._in_flight):
                self._clock.release()

    def hold_time(self) -> None:
        """Hold the clock again for what is in flight."""
        if not self._holds_clock:
            self._holds_clock = True
            for _ in range(self._in_flight):
                self._clock.acquire()

    def _schedule_next(self) -> None:
        request = next(self._plan, None)
        if request is None:
            self._exhausted = True
            self._check_done()
            return
        self._timer = self._clock.call_at(
            self._started_at + request.at_s, lambda: self._arrive(request)
        )

    def _arrive(self, request: PlannedRequest) -> None:
        if self._closed:
            return
        count = self._repeats(self._clock.time())
        if self._holds_clock:
            for _ in range(count):
                self._clock.acquire()
        self._in_flight += count
        self._schedule_next()
        for _ in range(count):
            self._take(request)

    def _take(self, request: PlannedRequest) -> None:
        index = request.client if request.client in self._free else next(iter(self._free), None)
        if index is not None:
            self._begin(index, request)
        elif len(self._queue) < self._queue_limit:
            self._queue.append(request)
        else:
            self.counters.overflowed += 1
            self._settle()

    def _begin(self, index: int, request: PlannedRequest) -> None:
        client = self._clients.get(index)
        if client is None:
            client = _Client(simulated_client(self.profile, self._rng, index))
            self._clients[index] = client
        self._free.pop(index, None)
        connection = client.connection
        if connection is None or not connection.usable:
            connection = client.connection = self._open(client)
        head = _encode_head(self.profile, self._vip, client.who, request)
        body_bytes = request.body_bytes or 0
        self.counters.sent += 1
        self.counters.bytes_sent += len(head) + body_bytes
        connection.send(head, body_bytes, is_head=request.method == "HEAD")

    def _open(self, client: "_Client") -> ClientConnection:
        who = client.who
        source_port = who.port(client.opened)
        preface = (
            f"PROXY TCP4 {who.address} {self._vip} {source_port} {self.profile.port}\r\n"
        ).encode()
        connection = ClientConnection(
            preface=b"" if self._tls else preface,
            patience_s=self._patience_s,
            on_end=partial(self._finished, who.index),
        )
        protocol: asyncio.Protocol = connection
        if self._tls is not None:
            protocol = connection.handshake = self._secure(self._tls, client, connection, preface)
        client.opened += 1
        self._spawn(self._connect(connection, protocol), f"client {who.address}:{source_port}")
        return connection

    def _secure(
        self, tls: ssl.SSLContext, client: "_Client", connection: ClientConnection, preface: bytes
    ) -> TlsClientStream:
        """The way of ``connection`` over TLS; the PROXY header goes in front of it."""

        def opened(error: OSError | None) -> None:
            if error is not None:
                connection.connecting_failed()

        settings = self.profile.tls
        resumes = settings is not None and self._draws(
            client, "resume", client.opened, settings.resume_share
        )
        return TlsClientStream(
            tls,
            connection,
            opened=opened,
            server_name=_host(self.profile),
            session=client.session if resumes else None,
            preface=preface,
            on_session=client.keep_session,
        )

    def _draws(self, client: "_Client", what: str, number: int, share: float) -> bool:
        """Whether the turn ``number`` of a client falls into ``share``; the seed decides."""
        if share >= 1.0:
            return True
        drawn = self._rng.uniform(
            "workload", self.profile.name, "client", client.who.index, what, number
        )
        return drawn < share

    async def _connect(self, connection: ClientConnection, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        stands = False
        try:
            await loop.create_connection(lambda: protocol, *self._address)
            self.counters.connections += 1
            stands = True
        except OSError:
            pass  # counted by the request that waits for it
        finally:
            if not stands:
                connection.connecting_failed()

    def _finished(self, index: int, status: int | None, body_bytes: int) -> None:
        self.counters.bytes_received += body_bytes
        if status is None:
            self.counters.failed += 1
        else:
            self.counters.completed += 1
            self.counters.by_status[status] = self.counters.by_status.get(status, 0) + 1
            self._keep_or_close(self._clients[index])
        # A waiting request holds the clock on its own.
        if self._queue:
            self._begin(index, self._queue.popleft())
        else:
            self._free[index] = None
        self._settle()

    def _keep_or_close(self, client: "_Client") -> None:
        """After a response a client keeps its connection, or does not."""
        client.answered += 1
        if client.connection is not None and not self._draws(
            client, "keep", client.answered, self.profile.keep_share
        ):
            client.connection.retire()

    def _settle(self) -> None:
        """One arrival is over, however it went."""
        self._in_flight -= 1
        if self._holds_clock:
            self._clock.release()
        self._check_done()

    def _check_done(self) -> None:
        if self._exhausted and self._in_flight == 0:
            self._done.set()


class _Client:
    """One simulated client: at most one request at a time, over one connection that it keeps."""

    __slots__ = ("answered", "connection", "opened", "session", "who")

    def __init__(self, who: SimulatedClient) -> None:
        self.who = who
        self.connection: ClientConnection | None = None
        self.opened = 0
        self.answered = 0
        self.session: ssl.SSLSession | None = None
        """Of its last connection over TLS."""

    def keep_session(self, session: ssl.SSLSession) -> None:
        """Remember how to go on with a connection over TLS."""
        self.session = session


def _host(profile: TrafficProfile) -> str | None:
    """The name by which clients know the load balancer; None: they use its address."""
    host = profile.load_balancer.lower()
    return f"{host}.example.com" if _HOST_CHARACTERS.issuperset(host) else None


def _encode_head(
    profile: TrafficProfile, vip: str, who: SimulatedClient, request: PlannedRequest
) -> bytes:
    host = _host(profile) or vip
    scheme, usual_port = ("http", 80) if profile.tls is None else ("https", 443)
    if profile.port != usual_port:
        host = f"{host}:{profile.port}"
    headers = {"Host": host, "User-Agent": who.user_agent, "Accept": "*/*"}
    if request.with_referer:
        headers["Referer"] = f"{scheme}://{host}/"
    if request.body_bytes is not None:
        headers["Content-Type"] = "application/octet-stream"
    given = {name.lower() for name, _ in request.template.headers}
    lines = [f"{name}: {value}" for name, value in headers.items() if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in request.template.headers]
    if request.body_bytes is not None:
        lines.append(f"Content-Length: {request.body_bytes}")
    return "\r\n".join((f"{request.method} {request.path} HTTP/1.1", *lines, "", "")).encode()
