"""Connections to backend servers, kept for the next request.

Source: assumed (HTTP/1.1 keep-alive towards backend servers, blb-api C10).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from simulator.clock import monotonic
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.http1 import LineMemo
from simulator.dataplane.http1_response import make_response_memo
from simulator.model import BackendServer

_MAX_IDLE_PER_SERVER: Final = 256
_SWEEP_INTERVAL_S: Final = 5.0

Address = tuple[str, int]


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
        self._idle: dict[Address, deque[BackendConnection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._keep_alive_s = 60.0
        self._closed = False

    def take(
        self, server: BackendServer, *, now: float, keep_alive_s: float
    ) -> BackendConnection | None:
        """An idle connection to ``server`` that is still open, or None."""
        idle = self._idle.get((server.connect_host, server.connect_port))
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
        idle = self._idle.get((server.connect_host, server.connect_port))
        if idle is None:
            idle = self._idle[(server.connect_host, server.connect_port)] = deque()
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
        """Open a connection; ``done`` gets it, or the error."""
        return ConnectAttempt(
            self._tasks.create_task(
                _connect(server, self._memo, done), name=f"connect {server.address}"
            )
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

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = monotonic() - self._keep_alive_s
        for address, idle in list(self._idle.items()):
            while idle and (idle[0].closed or idle[0].idle_since < oldest):
                idle.popleft().release()
            if not idle:
                del self._idle[address]
        if self._idle:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(_SWEEP_INTERVAL_S, self._sweep)


async def _connect(
    server: BackendServer,
    memo: LineMemo,
    done: Callable[[BackendConnection | OSError], None],
) -> None:
    loop = asyncio.get_running_loop()
    result: BackendConnection | OSError
    try:
        _, result = await loop.create_connection(
            partial(BackendConnection, server, memo), server.connect_host, server.connect_port
        )
    except OSError as error:
        result = error
    try:
        done(result)
    except Exception as error:
        loop.call_exception_handler({"message": "a request failed", "exception": error})
