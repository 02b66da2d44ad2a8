"""Connections to backend servers, kept for the next request.

Source: assumed (HTTP/1.1 keep-alive towards backend servers, blb-api C10).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from simulator.clock import monotonic
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.certificates import backend_context
from simulator.dataplane.http1_response import make_response_memo
from simulator.model import BackendServer
from simulator.tls import TlsClientStream

_MAX_IDLE_PER_SERVER: Final = 256
_SWEEP_INTERVAL_S: Final = 5.0
_MAX_SESSIONS: Final = 4096
"""Servers come and go; beyond this all sessions are forgotten."""

Destination = tuple[str, int, bool]
"""Host and port, and whether the connection is encrypted: one server may serve both ways."""


class ConnectAttempt:
    """A connection being opened; ``cancel`` it when nobody waits for it any more."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Give up; its callback is not called."""
        self._task.cancel()


class BackendPool:
    """Idle connections per backend server, the most recently used first."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._memo = make_response_memo()
        self._idle: dict[Destination, deque[BackendConnection]] = {}
        self._sessions: dict[Destination, ssl.SSLSession] = {}
        """Of TLS connections, for the next one to the same server."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._keep_alive_s = 60.0
        self._closed = False

    def take(
        self, server: BackendServer, *, now: float, keep_alive_s: float
    ) -> BackendConnection | None:
        """An idle connection to ``server`` that is still open, or None."""
        idle = self._idle.get((server.connect_host, server.connect_port, server.tls))
        while idle:
            connection = idle.pop()
            if not connection.closed:
                if now - connection.idle_since < keep_alive_s:
                    connection.pooled = True
                    return connection
                connection.release()
        return None

    def put(self, connection: BackendConnection, *, now: float, keep_alive_s: float) -> None:
        """Keep a connection whose response is complete."""
        if self._closed or connection.closed:
            connection.release()
            return
        server = connection.server
        destination = (server.connect_host, server.connect_port, server.tls)
        idle = self._idle.get(destination)
        if idle is None:
            idle = self._idle[destination] = deque()
        if len(idle) >= _MAX_IDLE_PER_SERVER:
            idle.popleft().release()
        connection.idle_since = now
        self._keep_alive_s = keep_alive_s
        idle.append(connection)
        if self._sweeper is None:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def connect(
        self,
        server: BackendServer,
        done: Callable[[BackendConnection | OSError], None],
    ) -> ConnectAttempt:
        """Open a connection, with its TLS handshake; ``done`` gets it, or the error."""
        open_ = self._open_tls if server.tls else self._open
        return ConnectAttempt(
            self._tasks.create_task(_connect(server, open_, done), name=f"connect {server.address}")
        )

    def close(self) -> None:
        """Close every idle connection and keep none from now on."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.release()
        self._idle.clear()

    async def _open(self, server: BackendServer) -> BackendConnection:
        _, connection = await asyncio.get_running_loop().create_connection(
            partial(BackendConnection, server, self._memo),
            server.connect_host,
            server.connect_port,
        )
        return connection

    async def _open_tls(self, server: BackendServer) -> BackendConnection:
        """Source: assumed (an earlier session is offered, no name: the reference server's way)."""
        loop = asyncio.get_running_loop()
        connection = BackendConnection(server, self._memo)
        destination = (server.connect_host, server.connect_port, True)
        opened: asyncio.Future[OSError | None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            # It is cancelled a moment before the stream is aborted.
            if not opened.done():
                opened.set_result(error)

        stream = TlsClientStream(
            backend_context(),
            connection,
            opened=settle,
            session=self._sessions.get(destination),
            on_session=partial(self._keep_session, destination),
        )
        try:
            await loop.create_connection(lambda: stream, server.connect_host, server.connect_port)
            error = await opened
        except asyncio.CancelledError:
            stream.abort()
            raise
        if error is not None:
            raise error
        return connection

    def _keep_session(self, destination: Destination, session: ssl.SSLSession) -> None:
        if len(self._sessions) >= _MAX_SESSIONS:
            self._sessions.clear()
        self._sessions[destination] = session

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = monotonic() - self._keep_alive_s
        for destination, idle in list(self._idle.items()):
            while idle and (idle[0].closed or idle[0].idle_since < oldest):
                idle.popleft().release()
            if not idle:
                del self._idle[destination]
        if self._idle:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(_SWEEP_INTERVAL_S, self._sweep)


async def _connect(
    server: BackendServer,
    open_: Callable[[BackendServer], Coroutine[None, None, BackendConnection]],
    done: Callable[[BackendConnection | OSError], None],
) -> None:
    result: BackendConnection | OSError
    try:
        result = await open_(server)
    except OSError as error:
        result = error
    try:
        done(result)
    except Exception as error:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "a request failed", "exception": error})
