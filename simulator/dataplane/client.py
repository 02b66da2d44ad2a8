"""One client connection: reads requests, drives each exchange, writes responses.

Everything is a callback; one request is served at a time, pipelined ones wait in the buffer.
"""

import asyncio
from enum import IntEnum
from math import inf
from typing import Final

from simulator.clock import monotonic
from simulator.dataplane import pages, proxy_protocol
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.http1 import (
    LAST_CHUNK,
    ChunkDecoder,
    RequestHead,
    ResponseHead,
    check_request_begun,
    encode_chunk,
    encode_forwarded_head,
    find_head_end,
    first_line,
    parse_request_head,
)
from simulator.dataplane.pool import ConnectAttempt
from simulator.dataplane.port import ListenerPort
from simulator.errors import ClientProtocolError
from simulator.exchange import Exchange, Failure
from simulator.model import BackendServer

_PIPELINE_BYTES: Final = 65536
"""Unread pipelined bytes at which the client is paused."""
_LINGER_S: Final = 5.0
_LINGER_BYTES: Final = 1 << 24
"""A refused body is read and dropped this far, so that the refusal is not lost to a reset."""
_SEND_BUFFER: Final = 0
"""Bytes we buffer for a client that does not read: none, so that "written" means "handed to the
kernel" and a record is made at that moment."""


class _State(IntEnum):
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


class _Framing(IntEnum):
    AS_IS = 0
    """Content-Length, no body, or raw bytes: passed on unchanged."""
    CHUNKED = 1
    UNTIL_CLOSE = 2


class ClientConnection(asyncio.Protocol):
    """A client's connection to a listener."""

    __slots__ = (
        "_backend",
        "_body_decoder",
        "_body_left",
        "_buffer",
        "_client_ip",
        "_client_port",
        "_connecting",
        "_due_at",
        "_exchange",
        "_framing",
        "_head",
        "_head_out",
        "_keep_alive",
        "_loop",
        "_outgoing",
        "_outgoing_bytes",
        "_peer_ip",
        "_port",
        "_proxy_allowed",
        "_read_paused",
        "_request_complete",
        "_started_at",
        "_state",
        "_timer",
        "_timer_at",
        "_transport",
        "_write_paused",
    )

    def __init__(self, port: ListenerPort, loop: asyncio.AbstractEventLoop) -> None:
        self._port = port
        self._loop = loop
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set at once
        self._state = _State.HEAD
        self._buffer = b""
        self._started_at = -1.0
        self._peer_ip = self._client_ip = ""
        self._client_port = 0
        self._proxy_allowed = False
        self._exchange: Exchange | None = None
        self._head: RequestHead | None = None
        self._body_left = 0
        self._body_decoder: ChunkDecoder | None = None
        self._request_complete = False
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._backend: BackendConnection | None = None
        self._connecting: ConnectAttempt | None = None
        self._framing = _Framing.AS_IS
        self._head_out = b""
        self._keep_alive = True
        self._read_paused = False
        self._write_paused = False
        self._due_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    # -- the connection -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """A client connected."""
        self._transport = transport
        transport.set_write_buffer_limits(high=_SEND_BUFFER)
        peer = transport.get_extra_info("peername")
        self._peer_ip = self._client_ip = peer[0] if peer else "127.0.0.1"
        self._client_port = peer[1] if peer else 0
        self._proxy_allowed = self._peer_ip in ("127.0.0.1", "::1")
        self._port.connections.add(self)
        self._expect_within(self._port.route.listener.timeouts.client_header_s, monotonic())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._client_gone()
        self._set_closed()

    def eof_received(self) -> bool:
        """The client closed its side; like the reference server, take that for leaving."""
        if self._state in (_State.DRAIN, _State.LINGER):
            return True
        self._client_gone()
        return False

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        state = self._state
        if state is _State.HEAD:
            if self._proxy_allowed:
                stripped = self._take_proxy_header(data)
                if stripped is None:
                    return
                data = stripped
            self._take_head(self._buffer + data if self._buffer else data)
        elif state is _State.BODY:
            self._take_body(data)
        elif state is _State.LINGER:
            self._body_left -= len(data)
            if self._body_left < 0:
                self._transport.abort()
        elif state is not _State.CLOSED:
            self._buffer += data
            if len(self._buffer) > _PIPELINE_BYTES:
                self._pause_reading()

    def drain(self) -> None:
        """Take no further request: close now if idle, else after the response under way."""
        self._keep_alive = False
        if self._state is _State.HEAD and self._exchange is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    # -- reading a request ----------------------------------------------------------------

    def _take_proxy_header(self, data: bytes) -> bytes | None:
        """Strip a PROXY header in front of the first request; None while it is incomplete."""
        data = self._buffer + data
        self._buffer = b""
        if not proxy_protocol.may_begin(data):
            self._proxy_allowed = False
            return data
        try:
            parsed = proxy_protocol.parse(data)
        except ClientProtocolError:
            self._transport.abort()
            return None
        if parsed is None:
            self._buffer = data
            return None
        self._proxy_allowed = False
        client, length = parsed
        if client is not None:
            self._client_ip, self._client_port = client
        return data[length:] or None

    def _take_head(self, data: bytes) -> None:
        if data[0] in (0x0A, 0x0D):
            data = data.lstrip(b"\r\n")
            if not data:
                self._buffer = b""
                return
        now = monotonic()
        if self._started_at < 0.0:
            self._started_at = now
            self._port.clock.begin_request()
        end = find_head_end(data)
        limits = self._port.route.listener.limits
        if end < 0 or end > limits.header_bytes:
            status = check_request_begun(
                data, line_limit=limits.request_line_bytes, head_limit=limits.header_bytes
            )
            if status:
                self._refuse_unread(data, status, limits.request_line_bytes)
                return
            self._buffer = data
            self._expect_within(
                self._port.route.listener.timeouts.client_header_s, self._started_at
            )
            return
        if end == len(data):
            self._buffer = b""
            head = parse_request_head(data)
        else:
            self._buffer = data[end:]
            head = parse_request_head(data[:end])
        if len(head.line) > limits.request_line_bytes:
            self._refuse_unread(data, 414, limits.request_line_bytes)
            return
        self._begin_exchange(head, now)

    def _begin_exchange(self, head: RequestHead, now: float) -> None:
        exchange = self._open_exchange(head)
        self._head = head
        self._keep_alive = head.keep_alive and not self._port.draining
        self._framing = _Framing.AS_IS
        self._request_complete = False
        if head.refusal:
            self._keep_alive = False
            self._reply(head.refusal)
            return
        listener = exchange.route.listener
        length = head.content_length or 0
        if not head.chunked and length == 0:
            self._request_complete = True
            self._state = _State.WAIT
            self._forward(exchange, now)
            return
        if listener.limits.body_bytes is not None and length > listener.limits.body_bytes:
            self._keep_alive = False
            self._reply(413)
            return
        self._state = _State.BODY
        self._body_left = length
        self._body_decoder = ChunkDecoder(ClientProtocolError) if head.chunked else None
        if head.expects_continue and head.minor and not self._buffer:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expect_within(listener.timeouts.client_body_s, now)
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._take_body(data)

    def _take_body(self, data: bytes) -> None:
        exchange = self._exchange
        assert exchange is not None
        now = monotonic()
        decoder = self._body_decoder
        if decoder is None:
            used = min(len(data), self._body_left)
            self._body_left -= used
            piece = data if used == len(data) else data[:used]
            complete = self._body_left == 0
        else:
            try:
                piece, used = decoder.feed(data)
            except ClientProtocolError:
                self._keep_alive = False
                self._abandon_backend()
                self._reply(400)
                return
            complete = decoder.done
            piece = encode_chunk(piece) if piece else b""
            if complete:
                piece += LAST_CHUNK
        record = exchange.record
        record.request_length += used
        if used != len(data):
            self._buffer = data[used:]
        limits = exchange.route.listener.limits
        if limits.body_bytes is not None and decoder is not None:
            assert self._head is not None
            if record.request_length - self._head.length > limits.body_bytes:
                self._keep_alive = False
                self._abandon_backend()
                self._reply(413)
                return
        if complete:
            self._request_complete = True
            self._body_decoder = None
            self._state = _State.WAIT
        self._pass_body(exchange, piece, now, limits.body_buffer_bytes)

    def _pass_body(self, exchange: Exchange, piece: bytes, now: float, buffer_bytes: int) -> None:
        """Send a piece of the body on, or keep it until the backend can take it."""
        backend = self._backend
        if backend is not None and backend.transport is not None:
            if piece:
                backend.send(piece)
        elif exchange.record.attempts and self._connecting is None and backend is None:
            pass  # The backend answered early and is done with: nobody wants the rest.
        else:
            self._outgoing.append(piece)
            self._outgoing_bytes += len(piece)
            if not exchange.record.attempts:
                if self._request_complete or self._outgoing_bytes > buffer_bytes:
                    self._forward(exchange, now)
            elif self._outgoing_bytes > buffer_bytes:
                self._pause_reading()
        timeouts = exchange.route.listener.timeouts
        if self._request_complete:
            self._expect_within(timeouts.server_s, now)
        else:
            self._expect_within(timeouts.client_body_s, now)

    def _refuse_unread(self, data: bytes, status: int, line_limit: int) -> None:
        """Refuse bytes that never became a request head."""
        head = parse_request_head(data)
        if head.length == 0 or status == 414:
            head.line = first_line(data)[:line_limit]
            head.length = 0
            head.host = None
        head.refusal = status
        self._buffer = b""
        self._begin_exchange(head, monotonic())

    def _open_exchange(self, head: RequestHead) -> Exchange:
        exchange = self._exchange = Exchange(self._port.route, started_at=self._started_at)
        record = exchange.record
        record.client_ip = record.remote_addr = self._client_ip
        record.client_port = self._client_port
        record.request = head.line
        record.request_length = head.length
        record.host = head.host
        record.http_referer = head.referer
        record.http_user_agent = head.user_agent
        record.http_x_forwarded_for = head.x_forwarded_for
        return exchange

    # -- forwarding -----------------------------------------------------------------------

    def _forward(self, exchange: Exchange, now: float) -> None:
        head = self._head
        assert head is not None
        has_body = head.chunked or bool(head.content_length)
        server = exchange.choose_server(head.method, now, has_body=has_body)
        if server is None:
            self._reply(503)
        else:
            self._try_server(exchange, server, now)

    def _try_server(self, exchange: Exchange, server: BackendServer, now: float) -> None:
        timeouts = exchange.route.listener.timeouts
        connection = self._port.pool.take(server, keep_alive_s=timeouts.backend_keep_alive_s)
        if connection is not None:
            self._send_request(exchange, connection, now, pooled=True)
            return
        self._expect_within(timeouts.connect_s, now)
        self._connecting = self._port.pool.connect(server, self._connected)

    def _connected(self, result: BackendConnection | OSError) -> None:
        exchange = self._exchange
        self._connecting = None
        if exchange is None:
            if not isinstance(result, OSError):
                result.release()
        elif isinstance(result, OSError):
            self._attempt_failed(exchange, Failure.REFUSED)
        else:
            self._send_request(exchange, result, monotonic(), pooled=False)

    def _send_request(
        self, exchange: Exchange, connection: BackendConnection, now: float, *, pooled: bool
    ) -> None:
        head = self._head
        assert head is not None
        listener = exchange.route.listener
        exchange.connected(now, pooled=pooled)
        self._backend = connection
        connection.assign(
            self,
            is_head_request=head.method == b"HEAD",
            head_limit=listener.limits.response_header_bytes,
        )
        data = encode_forwarded_head(
            head,
            backend_host=connection.server.address,
            client_ip=self._client_ip if listener.x_forwarded_for else None,
            chunked=head.chunked,
        )
        if self._outgoing:
            data += b"".join(self._outgoing)
            self._outgoing = []
            self._outgoing_bytes = 0
        connection.send(data)
        if self._request_complete:
            self._expect_within(listener.timeouts.server_s, now)
        else:
            self._resume_reading()

    def _attempt_failed(self, exchange: Exchange, failure: Failure) -> None:
        now = monotonic()
        verdict = exchange.fail(failure, now)
        if isinstance(verdict, int):
            self._reply(verdict)
        else:
            self._try_server(exchange, verdict, now)

    def _abandon_backend(self) -> None:
        """Stop working with a backend server whose answer is not wanted any more."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._backend is not None:
            self._backend.release()
            self._backend = None
        self._outgoing = []
        self._outgoing_bytes = 0

    # -- the response ---------------------------------------------------------------------

    def response_started(self, head: ResponseHead) -> None:
        """The backend server answered: make the head for the client."""
        exchange, request = self._exchange, self._head
        assert exchange is not None
        assert request is not None
        exchange.response_head(head.status)
        framing = _Framing.AS_IS
        end = b""
        if (
            request.method != b"HEAD"
            and head.content_length is None
            and head.status not in (204, 304)
            and head.status >= 200
        ):
            if request.minor:
                framing = _Framing.CHUNKED
                end = b"Transfer-Encoding: chunked\r\n"
            else:
                framing = _Framing.UNTIL_CLOSE
                self._keep_alive = False
        if not self._request_complete:
            # It answered without waiting for the body: the rest of it is not read.
            self._keep_alive = False
        if not self._keep_alive:
            end += b"Connection: close\r\n"
        elif not request.minor:
            end += b"Connection: keep-alive\r\n"
        self._framing = framing
        self._head_out = b"HTTP/1.1 %s\r\n%s%s\r\n" % (head.status_text, head.block, end)

    def response_raw(self) -> None:
        """The backend server does not speak HTTP: hand on what it says, then close."""
        exchange = self._exchange
        assert exchange is not None
        exchange.response_head(9)
        self._framing = _Framing.UNTIL_CLOSE
        self._keep_alive = False

    def response_data(self, data: bytes) -> None:
        """Part of the response's body."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._framing is _Framing.CHUNKED:
            data = encode_chunk(data)
        exchange.record.body_bytes_sent += len(data)
        if self._head_out:
            data = self._head_out + data
            self._head_out = b""
        self._transport.write(data)
        self._due_at = monotonic() + exchange.route.listener.timeouts.server_s

    def response_flush(self) -> None:
        """Nothing more for now: let the client have what there is."""
        if self._head_out:
            data, self._head_out = self._head_out, b""
            self._transport.write(data)

    def response_ended(self, connection: BackendConnection, *, reusable: bool) -> None:
        """The response is complete."""
        exchange = self._exchange
        self._backend = None
        if exchange is None:
            connection.release()
            return
        now = monotonic()
        exchange.backend_done(now)
        if reusable and self._request_complete:
            timeouts = exchange.route.listener.timeouts
            self._port.pool.put(connection, keep_alive_s=timeouts.backend_keep_alive_s)
        else:
            connection.release()
        tail = self._head_out
        self._head_out = b""
        if self._framing is _Framing.CHUNKED:
            tail += LAST_CHUNK
            exchange.record.body_bytes_sent += len(LAST_CHUNK)
        if tail:
            self._transport.write(tail)
        self._end_response(now)

    def backend_failed(self, failure: Failure) -> None:
        """The connection to the backend server failed under the request."""
        exchange = self._exchange
        self._backend = None
        if exchange is None:
            return
        if self._head_out or exchange.record.response_status:
            self._cut_short(exchange)
        else:
            self._attempt_failed(exchange, failure)

    def backend_writable(self, writable: bool) -> None:
        """Whether the backend server takes more of the request's body."""
        if writable:
            self._resume_reading()
        else:
            self._pause_reading()

    def pause_writing(self) -> None:
        """The kernel takes no more for this client."""
        self._write_paused = True
        exchange = self._exchange
        if exchange is not None:
            self._expect_within(exchange.route.listener.timeouts.client_send_s, monotonic())
        if self._backend is not None:
            self._backend.pause_reading()

    def resume_writing(self) -> None:
        """All that was written is in the kernel's hands."""
        self._write_paused = False
        if self._state is _State.DRAIN:
            self._finish(monotonic())
        elif self._backend is not None:
            if self._exchange is not None:
                timeouts = self._exchange.route.listener.timeouts
                self._expect_within(timeouts.server_s, monotonic())
            self._backend.resume_reading()

    def _reply(self, status: int) -> None:
        """Answer in the load balancer's own name."""
        exchange, head = self._exchange, self._head
        assert exchange is not None
        assert head is not None
        exchange.reply(status)
        if not self._request_complete:
            self._keep_alive = False
        head_only = head.method == b"HEAD"
        if not head_only:
            exchange.record.body_bytes_sent = len(pages.page(status))
        self._transport.write(
            pages.encode_reply(
                status,
                date_s=self._port.clock.time(),
                keep_alive=self._keep_alive,
                head_only=head_only,
            )
        )
        self._end_response(monotonic())

    def _cut_short(self, exchange: Exchange) -> None:
        """The response ends before its end; closing is the only way to say so."""
        self._keep_alive = False
        exchange.backend_done(monotonic())
        self.response_flush()
        self._request_complete = True
        self._end_response(monotonic())

    def _end_response(self, now: float) -> None:
        if self._write_paused:
            self._state = _State.DRAIN
        else:
            self._finish(now)

    # -- the end --------------------------------------------------------------------------

    def _finish(self, now: float) -> None:
        """The response is in the kernel's hands: make the record, get ready for the next."""
        self._record(now)
        if self._keep_alive:
            self._state = _State.HEAD
            self._expect_within(self._port.route.listener.timeouts.keep_alive_s, now)
            self._resume_reading()
            if self._buffer:
                self._loop.call_soon(self._next_request)
        elif self._request_complete:
            self._transport.close()
            self._set_closed()
        else:
            self._linger(now)

    def _record(self, now: float) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._exchange = None
        self._started_at = -1.0
        port = self._port
        port.on_record(exchange.finish(now=now, logged_at=port.clock.time()))
        port.clock.end_request()

    def _next_request(self) -> None:
        if self._state is _State.HEAD and self._buffer and not self._transport.is_closing():
            data, self._buffer = self._buffer, b""
            self._take_head(data)

    def _linger(self, now: float) -> None:
        """Close our side and read on for a while, lest a reset overtake the response."""
        self._state = _State.LINGER
        self._buffer = b""
        self._body_left = _LINGER_BYTES
        self._expect_within(_LINGER_S, now)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._resume_reading()

    def _client_gone(self) -> None:
        """The client left; make the record if one is due."""
        if self._state is _State.CLOSED:
            return
        now = monotonic()
        exchange = self._exchange
        if exchange is None and self._started_at >= 0.0:
            exchange = self._open_partial()
        if exchange is not None:
            unsent = self._transport.get_write_buffer_size()
            record = exchange.record
            record.body_bytes_sent = max(0, record.body_bytes_sent - unsent)
            exchange.client_gone(now, mid_request=not self._request_complete)
            if self._backend is not None:
                exchange.backend_done(now)
            self._abandon_backend()
            self._record(now)
        self._set_closed()

    def _open_partial(self) -> Exchange:
        """The exchange of a request whose head never completed."""
        self._request_complete = False
        head = parse_request_head(self._buffer)
        if head.length == 0:
            head.line = first_line(self._buffer)
        return self._open_exchange(head)

    def _set_closed(self) -> None:
        self._state = _State.CLOSED
        self._buffer = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._port.connections.discard(self)

    # -- reading on and off, deadlines ----------------------------------------------------

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
        elif self._state is not _State.CLOSED:
            self._timed_out(now)

    def _timed_out(self, now: float) -> None:
        exchange = self._exchange
        if exchange is None:
            if self._state is _State.HEAD and self._started_at >= 0.0:
                exchange = self._open_partial()
                self._close_silently(exchange, now, 408)
            elif self._state is _State.LINGER:
                self._transport.abort()
            else:
                self._transport.close()
        elif self._write_paused:
            self._client_gone()
            self._transport.abort()
        elif self._state is _State.BODY and exchange.record.response_status == 0:
            self._close_silently(exchange, now, 408)
        elif exchange.record.response_status:
            # Silence in the middle of a response.
            self._abandon_backend()
            self._cut_short(exchange)
        else:
            connecting = self._connecting is not None
            self._abandon_backend()
            self._attempt_failed(
                exchange, Failure.CONNECT_TIMEOUT if connecting else Failure.READ_TIMEOUT
            )

    def _close_silently(self, exchange: Exchange, now: float, status: int) -> None:
        """Give up on a client that is too slow: a record, no answer."""
        exchange.backend_done(now)
        exchange.reply(status)
        self._abandon_backend()
        self._record(now)
        self._set_closed()
        self._transport.close()
