"""The listeners of all load balancers: open, serve, drain, close."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulator.accesslog import AccessRecord
from simulator.clock import Clock
from simulator.dataplane.client import ClientConnection
from simulator.dataplane.pool import BackendPool
from simulator.dataplane.port import ListenerPort
from simulator.dataplane.tls import TlsAcceptor
from simulator.errors import StartupError
from simulator.model import LoadBalancerId
from simulator.routing import ListenerRoute

_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """One listener to open."""

    route: ListenerRoute
    on_record: Callable[[AccessRecord], None]
    """Called in the loop, once per request, when its record is complete."""
    tls: ssl.SSLContext | None = None
    """Of an HTTPS listener."""
    place: str = ""
    """Where its address was configured, for the message when it cannot be had."""


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

    @property
    def url(self) -> str:
        """The base URL of the listener."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.bound_port}"


class DataPlane:
    """Serves requests on every listener.

    Args:
        clock: dates records; durations are measured, not simulated.
        tasks: outlives the data plane; connections to backend servers are opened in it.
    """

    def __init__(self, *, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._pool = BackendPool(tasks)
        self._ports: list[ListenerPort] = []
        self._servers: list[asyncio.Server] = []

    async def start(self, listeners: tuple[ListenerSettings, ...]) -> tuple[ListenerAddress, ...]:
        """Open every listener, or none.

        Raises:
            StartupError: a socket could not be bound; the ones opened before are closed again.
        """
        addresses: list[ListenerAddress] = []
        try:
            addresses.extend([await self._open(settings) for settings in listeners])
        except BaseException:
            await self.aclose(drain_s=0.0)
            raise
        return tuple(addresses)

    async def _open(self, settings: ListenerSettings) -> ListenerAddress:
        route = settings.route
        listener = route.listener
        port = ListenerPort(
            route=route, clock=self._clock, pool=self._pool, on_record=settings.on_record
        )
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                partial(_accept, port, loop, settings.tls),
                listener.bind_host,
                listener.bind_port,
                backlog=_BACKLOG,
            )
        except OSError as error:
            place = f"{settings.place}: " if settings.place else ""
            raise StartupError(
                f"{place}listener {route.load_balancer.name}:{listener.port} cannot listen on "
                f"{listener.bind_host}:{listener.bind_port}: {error.strerror or error}; "
                "free the port or give the listener another `bind` (port 0 picks a free one)"
            ) from error
        self._ports.append(port)
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return ListenerAddress(
            load_balancer_id=route.load_balancer.load_balancer_id,
            load_balancer_name=route.load_balancer.name,
            port=listener.port,
            host=bound[0],
            bound_port=bound[1],
        )

    @property
    def open_connections(self) -> int:
        """Client connections open now."""
        return sum(len(port.connections) for port in self._ports)

    async def aclose(self, *, drain_s: float) -> None:
        """Accept no more, let requests under way finish for ``drain_s``, cut the rest.

        Fine to call twice.
        """
        for server in self._servers:
            server.close()
        for port in self._ports:
            port.draining = True
            for acceptor in list(port.handshakes):
                acceptor.abort()
            for connection in list(port.connections):
                connection.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_s
        while self.open_connections and loop.time() < deadline:
            await _pause(loop, 0.01)
        for port in self._ports:
            for connection in list(port.connections):
                connection.abort()
        self._pool.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()


def _accept(
    port: ListenerPort, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | None
) -> asyncio.Protocol:
    """The protocol of a new client connection."""
    if tls is None:
        return ClientConnection(port, loop)
    return TlsAcceptor(
        tls,
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
