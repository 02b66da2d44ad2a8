"""What a client connection is made of beneath its requests: state, deadlines, flow control."""

import asyncio
from abc import abstractmethod
from enum import IntEnum
from math import inf
from typing import Final

from simulator.clock import monotonic
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.http1_chunks import ChunkDecoder
from simulator.dataplane.http1_cookies import SessionCookie
from simulator.dataplane.http1_gzip import GzipBody
from simulator.dataplane.http1_known import KnownRequest, VaryingRequest
from simulator.dataplane.http1_request import RequestHead, RequestHeaders
from simulator.dataplane.pool import ConnectAttempt
from simulator.dataplane.port import ListenerPort
from simulator.dataplane.tls import TlsConnection
from simulator.exchange import Exchange

_SEND_BUFFER: Final = 0
"""Bytes we buffer for a client that does not read: none, so that "written" means "handed to the
kernel" and a record is made at that moment."""
_DIFFERENCES: Final = 3
"""How often two requests of a connection are compared in vain before that is given up."""


class State(IntEnum):
    """Whose turn it is on a connection."""

    HEAD = 0
    """Waiting for a request, or for the rest of its head."""
    BODY = 1
    """The request's body is arriving."""
    WAIT = 2
    """The request is complete; its response is not."""
    DRAIN = 3
    """The response is written but not all of it is handed to the kernel."""
    LINGER = 4
    """The last response is out; what the client still sends is dropped."""
    CLOSED = 5
    TUNNEL = 6
    """HTTP is over: bytes pass both ways until somebody closes."""
    HELD = 7
    """No request is taken for now: what comes waits, most of it with the kernel."""


class Framing(IntEnum):
    """How the body of a response is framed for the client."""

    AS_IS = 0
    """Content-Length, no body, or raw bytes: passed on unchanged."""
    CHUNKED = 1
    UNTIL_CLOSE = 2
    GZIP = 3
    """Compressed, and chunked."""


class ClientBase(asyncio.Protocol):
    """A client's connection to a listener, without what is done with it."""

    __slots__ = (
        "_backend",
        "_body_decoder",
        "_body_left",
        "_buffer",
        "_buffered",
        "_client_ip",
        "_client_port",
        "_connecting",
        "_differences_left",
        "_due_at",
        "_exchange",
        "_framing",
        "_gzip",
        "_head",
        "_head_out",
        "_head_sent",
        "_held",
        "_hold_bytes",
        "_keep_alive",
        "_known",
        "_last_headers",
        "_loop",
        "_outgoing",
        "_outgoing_bytes",
        "_port",
        "_proxy_allowed",
        "_read_paused",
        "_refusal",
        "_request_complete",
        "_session",
        "_started_at",
        "_state",
        "_timer",
        "_timer_at",
        "_tls",
        "_transport",
        "_unsent_bytes",
        "_via",
        "_write_paused",
    )

    def __init__(
        self,
        port: ListenerPort,
        loop: asyncio.AbstractEventLoop,
        tls: TlsConnection | None = None,
    ) -> None:
        self._port = port
        self._loop = loop
        self._via = tls
        self._tls = tls if tls is not None and tls.handshake_s is not None else None
        self._refusal = 0
        """The status every request on this connection earns; 0 for none."""
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set at once
        self._state = State.HEAD
        self._buffer = b""
        self._started_at = -1.0
        self._client_ip = ""
        self._client_port = 0
        self._proxy_allowed = False
        self._exchange: Exchange | None = None
        self._head: RequestHead | None = None
        self._head_sent = b""
        """The head for the backend server if it is already encoded."""
        self._last_headers: RequestHeaders | None = None
        self._known: KnownRequest | VaryingRequest | None = None
        self._differences_left = _DIFFERENCES
        self._body_left = 0
        self._body_decoder: ChunkDecoder | None = None
        self._request_complete = False
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._backend: BackendConnection | None = None
        self._connecting: ConnectAttempt | None = None
        self._session: SessionCookie | None = None
        """How the request under way is kept with its backend server."""
        self._framing = Framing.AS_IS
        self._gzip: GzipBody | None = None
        """Of the response under way if its framing is ``GZIP``."""
        self._head_out = b""
        self._keep_alive = True
        self._read_paused = False
        self._write_paused = False
        self._buffered = True
        """Whether the response under way is taken from its backend server ahead of the client."""
        self._held = b""
        """What has come of its body and waits for more."""
        self._hold_bytes = 0
        """How much of it makes a buffer that is sent; 0 where nothing waits."""
        self._unsent_bytes = 0
        """What the kernel had not taken yet when the client's deadline was set."""
        self._due_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """A client connected."""
        self._transport = transport
        transport.set_write_buffer_limits(high=_SEND_BUFFER)
        peer = transport.get_extra_info("peername")
        self._client_ip = peer[0] if peer else "127.0.0.1"
        self._client_port = peer[1] if peer else 0
        self._proxy_allowed = self._via is None and self._client_ip in ("127.0.0.1", "::1")
        if self._via is not None:
            if self._via.client is not None:
                self._client_ip, self._client_port = self._via.client
            if self._tls is None or self._via.certificate_missing:
                # Plain HTTP on the TLS port, or no client certificate where one is asked for.
                self._refusal = 400
        self._port.connections.add(self)
        self._expect_within(self._port.route.listener.timeouts.client_header_s, monotonic())
        if self._port.is_held:
            self._state = State.HELD
            self._due_at = inf
            # Not yet: uvloop begins to read when this returns, paused or not.
            self._loop.call_soon(self._pause_held)

    def drain(self) -> None:
        """Take no further request: close now if idle, else after the response under way."""
        self._keep_alive = False
        if self._state in (State.HEAD, State.HELD) and self._exchange is None:
            self._transport.close()

    def hold(self) -> None:
        """Take no request until ``resume``, nor time the client; not if one has begun."""
        if self._state is State.HEAD and self._started_at < 0.0:
            self._state = State.HELD
            self._due_at = inf
            self._pause_reading()

    def resume(self) -> None:
        """Take requests again; the client's time begins anew, for it could not be heard."""
        if self._state is State.HELD:
            self._state = State.HEAD
            timeouts = self._port.route.listener.timeouts
            is_new = self._last_headers is None
            limit_s = timeouts.client_header_s if is_new else timeouts.keep_alive_s
            self._expect_within(limit_s, monotonic())
            self._resume_reading()
            if self._buffer:
                self._loop.call_soon(self._take_waiting)

    def _pause_held(self) -> None:
        if self._state is State.HELD:
            self._pause_reading()

    def _take_waiting(self) -> None:
        data, self._buffer = self._buffer, b""
        if data:
            self.data_received(data)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._read_paused and not self._transport.is_closing():
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    def _expect_within(self, limit_s: float, now: float) -> None:
        """Something must happen within ``limit_s``; replaces what was expected before.

        One timer serves the whole connection and is moved only when it would ring too late.
        """
        self._due_at = due_at = now + limit_s
        if due_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due_at
            self._timer = self._loop.call_later(max(0.0, due_at - monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = monotonic()
        # The loop's clock ticks in milliseconds and may ring a fraction early.
        if now < self._due_at - 0.002:
            self._expect_within(self._due_at - now, now)
        elif self._state is not State.CLOSED:
            self._timed_out(now)

    @abstractmethod
    def _timed_out(self, now: float) -> None:
        """Nothing of what was expected has happened."""
