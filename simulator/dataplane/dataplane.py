"""The listeners of all load balancers: open, serve, drain, close."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulator.accesslog import AccessRecord
from simulator.clock import Clock
from simulator.dataplane.client import ClientConnection
from simulator.dataplane.gate import ConnectionGate
from simulator.dataplane.pool import BackendPool
from simulator.dataplane.port import ListenerPort
from simulator.dataplane.tls import TlsAcceptor
from simulator.errors import StartupError
from simulator.model import Listener, LoadBalancer, LoadBalancerId
from simulator.routing import ListenerRoute
from simulator.routing.limits import Limiter

BACKLOG: Final = 1024
"""Connections that may wait to be accepted at a listener."""

ListenerKey = tuple[LoadBalancerId, int]
"""A load balancer and the simulated port of one of its listeners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """One listener to open."""

    route: ListenerRoute
    on_record: Callable[[AccessRecord], None]
    """Called in the loop, once per request, when its record is complete."""
    tls: ssl.SSLContext | None = None
    """Of an HTTPS listener."""
    limiter: Limiter | None = None
    """One for all listeners of the load balancer; None: unlimited."""
    ready_socket: socket.socket | None = None
    """Listens already, if given; the data plane's from now on."""
    place: str = ""
    """Where its address was configured, for the message when it cannot be had."""

    @property
    def key(self) -> ListenerKey:
        """What makes it the same listener after a change: its load balancer and port."""
        return self.route.load_balancer.load_balancer_id, self.route.listener.port


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerAddress:
    """Where a listener really listens."""

    load_balancer_id: LoadBalancerId
    load_balancer_name: str
    port: int
    """The simulated port."""
    host: str
    bound_port: int
    """The real one."""
    scheme: str
    """``http`` or ``https``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionCounts:
    """The client connections of a listener."""

    open: int
    """Now, with TLS handshakes under way."""
    accepted: int
    """Since it listens."""


class DataPlane:
    """Serves requests on every listener.

    Args:
        clock: dates records; durations are measured, not simulated.
        tasks: outlives the data plane; connections to backend servers are opened in it.
    """

    def __init__(self, *, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._pool = BackendPool(tasks)
        self._open: dict[ListenerKey, _OpenListener] = {}
        self._closing: list[_OpenListener] = []
        """Removed, with connections that still finish what they began."""
        self._is_held = False

    async def start(self, listeners: tuple[ListenerSettings, ...]) -> tuple[ListenerAddress, ...]:
        """Open every listener, or none.

        Raises:
            StartupError: a socket could not be bound; the ones opened before are closed again.
        """
        return await self.apply(listeners)

    async def apply(self, listeners: tuple[ListenerSettings, ...]) -> tuple[ListenerAddress, ...]:
        """Serve ``listeners`` from now on, whatever was served before.

        A listener that stays keeps its socket and its connections: requests begun before finish
        on the route they began with, later ones take the new one. A listener that goes accepts no
        more and closes each connection after the request under way.

        Returns:
            Where each listens, in the order given.

        Raises:
            StartupError: a socket could not be bound; then nothing has changed.
        """
        opened: dict[ListenerKey, _OpenListener] = {}
        try:
            for settings in listeners:
                current = self._open.get(settings.key)
                if current is None or not current.is_bound_as(settings.route.listener):
                    opened[settings.key] = await self._listen(settings)
        except BaseException:
            for listener in opened.values():
                listener.server.close()
            raise
        # No await below: the change is one step for every connection.
        before = self._open
        self._open = {}
        for settings in listeners:
            listener = opened.get(settings.key) or before[settings.key]
            listener.take(settings)
            self._open[settings.key] = listener
        for listener in before.values():
            if self._open.get(listener.key) is not listener:
                listener.stop_accepting()
                self._closing.append(listener)
        self._closing = [listener for listener in self._closing if listener.port.connections]
        return tuple(self._open[settings.key].address() for settings in listeners)

    def route_of(self, key: ListenerKey) -> ListenerRoute | None:
        """The route a listener serves with now; what replaces it is compiled from it."""
        listener = self._open.get(key)
        return None if listener is None else listener.port.route

    def hold(self) -> None:
        """Take no new request until ``resume``; those under way finish.

        Connections are still accepted, but nothing is read from one that waits for a request.
        """
        self._is_held = True
        for listener in self._all():
            listener.port.is_held = True
            for connection in list(listener.port.connections):
                connection.hold()

    def resume(self) -> None:
        """Take requests again."""
        self._is_held = False
        for listener in self._all():
            listener.port.is_held = False
            for connection in list(listener.port.connections):
                connection.resume()

    async def _listen(self, settings: ListenerSettings) -> "_OpenListener":
        route = settings.route
        listener = route.listener
        port = ListenerPort(
            route=route,
            clock=self._clock,
            pool=self._pool,
            on_record=settings.on_record,
            tls=settings.tls,
            limiter=settings.limiter,
        )
        port.is_held = self._is_held
        loop = asyncio.get_running_loop()
        accept = partial(self._accept, port, loop)
        try:
            if settings.ready_socket is not None:
                server = await loop.create_server(
                    accept, sock=settings.ready_socket, backlog=BACKLOG
                )
            else:
                server = await loop.create_server(
                    accept, listener.bind_host, listener.bind_port, backlog=BACKLOG
                )
        except OSError as error:
            raise cannot_listen(route.load_balancer, listener, settings.place, error) from error
        return _OpenListener(settings.key, port, server)

    @property
    def open_connections(self) -> int:
        """Client connections open now."""
        return sum(len(listener.port.connections) for listener in self._all())

    def connections(self, key: ListenerKey) -> ConnectionCounts:
        """The client connections of one listener; none of one that is not served."""
        listener = self._open.get(key)
        if listener is None:
            return ConnectionCounts(open=0, accepted=0)
        port = listener.port
        return ConnectionCounts(
            open=len(port.connections) + len(port.handshakes), accepted=port.accepted_count
        )

    async def aclose(self, *, drain_s: float) -> None:
        """Accept no more, let requests under way finish for ``drain_s``, cut the rest.

        Fine to call twice.
        """
        listeners = self._all()
        for listener in listeners:
            listener.stop_accepting()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_s
        while self.open_connections and loop.time() < deadline:
            await _pause(loop, 0.01)
        for listener in listeners:
            for connection in list(listener.port.connections):
                connection.abort()
        self._pool.close()
        for listener in listeners:
            await listener.server.wait_closed()
        self._open.clear()
        self._closing.clear()

    def _accept(self, port: ListenerPort, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """The protocol of a new client connection."""
        limiter = port.limiter
        if limiter is None:
            return _client_of(port, loop)
        return ConnectionGate(
            admit=lambda: limiter.admit_connection(self._clock.time(), self._open_count(port)),
            make=partial(_client_of, port, loop),
        )

    def _open_count(self, port: ListenerPort) -> int:
        """Connections of the load balancer that ``port`` belongs to."""
        load_balancer_id = port.route.load_balancer.load_balancer_id
        return sum(
            len(listener.port.connections) + len(listener.port.handshakes)
            for listener in self._all()
            if listener.key[0] == load_balancer_id
        )

    def _all(self) -> list["_OpenListener"]:
        return [*self._open.values(), *self._closing]


class _OpenListener:
    """A listening socket and what its connections share."""

    __slots__ = ("_bind", "key", "port", "server")

    def __init__(self, key: ListenerKey, port: ListenerPort, server: asyncio.Server) -> None:
        self.key = key
        self.port = port
        self.server = server
        listener = port.route.listener
        self._bind = (listener.bind_host, listener.bind_port)

    def is_bound_as(self, listener: Listener) -> bool:
        """Whether its socket is the one that ``listener`` wants."""
        return self._bind == (listener.bind_host, listener.bind_port)

    def take(self, settings: ListenerSettings) -> None:
        """Serve later requests as ``settings`` say."""
        self.port.route = settings.route
        self.port.on_record = settings.on_record
        self.port.tls = settings.tls
        self.port.limiter = settings.limiter

    def stop_accepting(self) -> None:
        """Close the socket; each connection closes after the request under way."""
        self.server.close()
        self.port.draining = True
        for acceptor in list(self.port.handshakes):
            acceptor.abort()
        for connection in list(self.port.connections):
            connection.drain()

    def address(self) -> ListenerAddress:
        """Where it listens."""
        route = self.port.route
        bound = self.server.sockets[0].getsockname()
        return ListenerAddress(
            load_balancer_id=route.load_balancer.load_balancer_id,
            load_balancer_name=route.load_balancer.name,
            port=route.listener.port,
            host=bound[0],
            bound_port=bound[1],
            scheme="http" if self.port.tls is None else "https",
        )


def cannot_listen(
    load_balancer: LoadBalancer, listener: Listener, place: str, error: OSError
) -> StartupError:
    """Why a listener has no socket, for who started it."""
    return StartupError(
        f"{f'{place}: ' if place else ''}listener {load_balancer.name}:{listener.port} cannot "
        f"listen on {listener.bind_host}:{listener.bind_port}: {error.strerror or error}; "
        "free the port or give the listener another `bind` (port 0 picks a free one)"
    )


def _client_of(port: ListenerPort, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
    """The protocol of a client connection that is let in."""
    port.accepted_count += 1
    if port.tls is None:
        return ClientConnection(port, loop)
    return TlsAcceptor(
        port.tls,
        timeout_s=port.route.listener.timeouts.client_header_s,
        make=lambda connection: ClientConnection(port, loop, connection),
        pending=port.handshakes,
    )


async def _pause(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """A short real wait; draining real sockets takes real time whatever the clock does."""
    waited = loop.create_future()
    handle = loop.call_later(seconds, waited.set_result, None)
    try:
        await waited
    finally:
        handle.cancel()
