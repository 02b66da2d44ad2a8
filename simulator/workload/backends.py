"""Built-in backend servers: small HTTP/1.1 servers on loopback that answer as a profile says.

They share a process with the proxy, so they do as little as they can per request.
"""

import asyncio
import json
import math
import ssl
from http import HTTPStatus
from typing import Final, cast

from simulator.errors import BackendError, ProtocolError
from simulator.rng import Rng
from simulator.workload.framing import BodyDiscard, Framing, find_head
from simulator.workload.profiles import BackendProfile

_Z_99: Final = 2.3263478740408408  # 99th percentile of the standard normal distribution
_MAX_BUFFERED_BYTES: Final = 64 * 1024  # pipelined requests waiting for their turn
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BuiltinBackends:
    """The servers of one ``BackendProfile``.

    Args:
        profile: what they are like.
        rng: root of what they draw.
        tls: with their certificate; None: they speak plain HTTP.

    After ``start()``, you must call ``aclose()`` on the same event loop.
    """

    def __init__(
        self, profile: BackendProfile, rng: Rng, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.profile = profile
        self._tls = tls
        self._statuses = StatusSequence(profile, rng)
        self._servers = [
            _Server(profile, index, rng, self._statuses) for index in range(profile.count)
        ]

    @property
    def served(self) -> tuple[int, ...]:
        """Requests answered so far, per server."""
        return tuple(server.served for server in self._servers)

    async def start(self, host: str = "127.0.0.1") -> list[tuple[str, int]]:
        """Listen on free ports; returns ``(host, port)`` of each server, in order.

        Raises:
            BackendError: a socket could not be opened; none stays open.
        """
        try:
            return [await server.start(host, self._tls) for server in self._servers]
        except OSError as error:
            await self.aclose()
            raise BackendError(
                f"backends {self.profile.name!r} could not start: {error}"
            ) from error

    async def aclose(self) -> None:
        """Close listening sockets and connections; a response not yet sent is never sent."""
        for server in self._servers:
            await server.aclose()


class StatusSequence:
    """The statuses of successive responses, with the shares of the profile kept exactly.

    Smooth weighted round robin over the outcomes: after any number of responses each error has
    come up as often as its share says, give or take one. The seed decides where it begins.
    """

    def __init__(self, profile: BackendProfile, rng: Rng) -> None:
        errors = dict(profile.errors)
        self._shares = {200: max(0.0, 1.0 - sum(errors.values())), **errors}
        self._shares = {status: share for status, share in self._shares.items() if share > 0.0}
        self._credits = {
            status: rng.uniform("workload", "backends", profile.name, "status", status) - 0.5
            if len(self._shares) > 1
            else 0.0
            for status in self._shares
        }
        # Credits that add up to nothing keep every error's turn within its own period.
        excess = sum(self._credits.values()) / len(self._credits)
        self._credits = {status: credit - excess for status, credit in self._credits.items()}

    def next_status(self) -> int:
        """The status of the next response."""
        if len(self._shares) == 1:
            return next(iter(self._shares))
        chosen, most = 200, -math.inf
        for status, share in self._shares.items():
            credit = self._credits[status] = self._credits[status] + share
            if credit > most:
                chosen, most = status, credit
        self._credits[chosen] -= 1.0
        return chosen


class _Server:
    """One listening socket and what its responses are drawn from."""

    def __init__(
        self, profile: BackendProfile, index: int, rng: Rng, statuses: StatusSequence
    ) -> None:
        self.name = profile.name
        self.index = index
        self.served = 0
        self.connections: set[_Connection] = set()
        self._statuses = statuses
        self._body_bytes = profile.body_bytes
        self._latencies = rng.stream("workload", "backends", profile.name, index, "latency")
        self._sizes = rng.stream("workload", "backends", profile.name, index, "size")
        self._p50_s = profile.latency_p50_s
        ratio = profile.latency_p99_s / profile.latency_p50_s if profile.latency_p50_s else 1.0
        self._sigma = math.log(ratio) / _Z_99
        self._listening: asyncio.Server | None = None

    async def start(self, host: str, tls: ssl.SSLContext | None) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: _Connection(self), host, 0, ssl=tls)
        name = self._listening.sockets[0].getsockname()
        return name[0], name[1]

    async def aclose(self) -> None:
        listening, self._listening = self._listening, None
        if listening is None:
            return
        listening.close()
        for connection in list(self.connections):
            connection.abort()
        await listening.wait_closed()

    def next_latency_s(self) -> float:
        """Seconds until the response; one draw per request even when it is constant."""
        normal = self._latencies.gauss(0.0, 1.0)
        return self._p50_s * math.exp(self._sigma * normal)

    def response(self, method: bytes, target: bytes, *, close: bool) -> bytes:
        """The whole response to one request, with the next status and body size."""
        self.served += 1
        status = self._statuses.next_status()
        echo: dict[str, str | int] = {
            "backend": self.name,
            "server": self.index,
            # HEAD announces what GET would get.
            "method": "GET" if method == b"HEAD" else method.decode("latin-1"),
            "path": target.decode("latin-1"),
        }
        if status != 200:
            echo["error"] = status
        body = json.dumps(echo, separators=(",", ":")).encode()
        if self._body_bytes is not None:
            size = self._sizes.randint(self._body_bytes.low, self._body_bytes.high)
            frame = len(',"padding":""')
            if size >= len(body) + frame:
                body = b'%b,"padding":"%b"}' % (body[:-1], b"x" * (size - len(body) - frame))
        head = (
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
            % (
                status,
                _REASONS.get(status, b"Error"),
                len(body),
                b"Connection: close\r\n" if close else b"",
            )
        )
        return head if method == b"HEAD" else head + body


class _Connection(asyncio.Protocol):
    """One connection from the proxy: requests are answered in order, one at a time."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._body: BodyDiscard | None = None
        self._method = self._target = b""
        self._close = False
        self._responding = False
        self._paused = False
        self._pending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._pending is not None:
            self._pending.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._responding:
            self._advance()
        elif len(self._buffer) > _MAX_BUFFERED_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _advance(self) -> None:
        """Read on from the buffer until bytes run out or a response has to wait."""
        while self._buffer and not self._responding:
            try:
                if self._body is None and not self._read_head():
                    return
                assert self._body is not None
                del self._buffer[: self._body.feed(self._buffer)]
            except ProtocolError as error:
                self._refuse(error.status_hint)
                return
            if not self._body.done:
                return
            self._body = None
            self._respond()

    def _read_head(self) -> bool:
        end = find_head(self._buffer)
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3:
            raise ProtocolError("not a request line", status_hint=400)
        self._method, self._target, version = words
        framing = Framing(head)
        self._close = framing.close or (version == b"HTTP/1.0" and not framing.keep_alive)
        self._body = BodyDiscard(framing, until_close=False)
        if framing.expects_continue and not self._body.done and not self._buffer:
            self._transport.write(_CONTINUE)
        return True

    def _respond(self) -> None:
        # Drawn when the request is whole, so the order of arrival alone decides who gets what.
        latency_s = self._server.next_latency_s()
        response = self._server.response(self._method, self._target, close=self._close)
        if latency_s > 0.0:
            self._responding = True
            loop = asyncio.get_running_loop()
            self._pending = loop.call_later(latency_s, self._send_late, response)
        else:
            self._send(response)

    def _send_late(self, response: bytes) -> None:
        self._pending = None
        self._responding = False
        self._send(response)
        self._advance()
        if self._paused and len(self._buffer) <= _MAX_BUFFERED_BYTES:
            self._paused = False
            self._transport.resume_reading()

    def _send(self, response: bytes) -> None:
        self._transport.write(response)
        if self._close:
            self._buffer.clear()
            self._transport.close()

    def _refuse(self, status: int) -> None:
        self._transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % (status, _REASONS.get(status, b"Error"))
        )
        self._buffer.clear()
        self._transport.close()
