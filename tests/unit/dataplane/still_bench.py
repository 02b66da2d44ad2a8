"""A client connection and backend connections without sockets, for tests that say what comes when.

They run on transports that keep what is written, a loop that runs what it is told to, and a clock
that stands still.
"""

from collections import deque

import pytest

from simulator.accesslog import AccessRecord
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
