"""One client connection: picks the way of each request and ends it.

Everything is a callback; one request is served at a time, pipelined ones wait in the buffer.
"""

from typing import Final

from simulator.clock import monotonic
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.client_base import State
from simulator.dataplane.client_response import ResponseWriter
from simulator.dataplane.http1_cookies import session_cookie
from simulator.dataplane.http1_request import (
    RequestHead,
    encode_forwarded_head,
    first_line,
    parse_request_head,
)
from simulator.dataplane.http1_set_headers import header_setter
from simulator.exchange import CLIENT_CLOSED_REQUEST, REDIRECT, Exchange, Failure
from simulator.model import BackendServer

_LINGER_S: Final = 5.0
_LINGER_BYTES: Final = 1 << 24
"""A refused body is read and dropped this far, so that the refusal is not lost to a reset."""


class ClientConnection(ResponseWriter):
    """A client's connection to a listener."""

    __slots__ = ()

    # -- the connection -------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._client_gone()
        self._set_closed()

    def eof_received(self) -> bool:
        """The client closed its side; like the reference server, take that for leaving."""
        if self._state is State.DRAIN:
            # It may still read what it was sent, but nothing comes after that.
            self._keep_alive = False
            self._request_complete = True
            return True
        if self._state is State.TUNNEL and self._backend is not None:
            # What it sent last still goes on, a farewell perhaps.
            if self._exchange is not None:
                self._exchange.backend_done(monotonic())
            self._backend.finish()
            self._backend = None
        self._client_gone()
        return False

    # -- forwarding -----------------------------------------------------------------------

    def _forward(self, exchange: Exchange, now: float) -> None:
        head = self._head
        assert head is not None
        limiter = self._port.limiter
        if limiter is not None:
            limited = limiter.admit_request(self._port.clock.time())
            if limited is not None:
                exchange.record.limited = limited
                self._reply(503)
                return
        headers = head.headers
        has_body = headers.chunked or bool(headers.content_length)
        if exchange.route.is_plain:
            self._session = None
            server = exchange.choose_server(head.method, now, has_body)
        else:
            server = self._choose_server(exchange, head, now, has_body=has_body)
        if not isinstance(server, int):
            self._try_server(exchange, server, now)
        elif server == REDIRECT:
            self._redirect(exchange, head)
        else:
            self._reply(server)

    def _choose_server(
        self, exchange: Exchange, head: RequestHead, now: float, *, has_body: bool
    ) -> BackendServer | int:
        """Choose by what the request says."""
        headers = head.headers
        keep_session = exchange.route.listener.keep_session
        session = self._session = None if keep_session is None else session_cookie(keep_session)
        return exchange.choose_server(
            head.method,
            now,
            has_body,
            host=headers.host,
            target=head.target,
            session=None if session is None else session.find_token(headers.block),
        )

    def _try_server(self, exchange: Exchange, server: BackendServer, now: float) -> None:
        timeouts = exchange.route.listener.timeouts
        connection = self._port.pool.take(
            server, now=now, keep_alive_s=timeouts.backend_keep_alive_s
        )
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
        data = self._head_sent or encode_forwarded_head(
            head,
            backend_host=connection.server.address,
            client_ip=self._client_ip if listener.x_forwarded_for else None,
            proto=exchange.route.forwarded_proto,
        )
        if self._session is not None:
            data = self._session.encode_for_backend(data)
        if listener.custom.set_headers:
            data = _set_headers(exchange, data)
        if self._outgoing:
            data += b"".join(self._outgoing)
            self._outgoing = []
            self._outgoing_bytes = 0
        connection.send_request(
            self,
            data,
            is_head_request=head.method == b"HEAD",
            head_limit=listener.limits.response_header_bytes,
            may_upgrade=head.headers.upgrade is not None,
        )
        if self._request_complete:
            self._expect_within(listener.timeouts.server_s, now)
        else:
            self._expect_within(listener.timeouts.client_body_s, now)
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
        self._drop_outgoing()

    def _drop_outgoing(self) -> None:
        """Forget what was kept of the request's body: it must not go with the next request."""
        self._outgoing = []
        self._outgoing_bytes = 0

    # -- the end --------------------------------------------------------------------------

    def _finish(self, now: float) -> None:
        """The response is in the kernel's hands: make the record, get ready for the next."""
        self._record(now)
        if self._keep_alive:
            self._state = State.HEAD
            self._expect_within(self._port.route.listener.timeouts.keep_alive_s, now)
            if self._read_paused:
                self._resume_reading()
            if self._buffer:
                self._loop.call_soon(self._next_request)
            if self._port.is_held:
                self.hold()
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
        if self._state is State.HEAD and self._buffer and not self._transport.is_closing():
            data, self._buffer = self._buffer, b""
            self._take_head(data)

    def _linger(self, now: float) -> None:
        """Close our side and read on for a while, lest a reset overtake the response."""
        self._state = State.LINGER
        self._buffer = b""
        self._body_left = _LINGER_BYTES
        self._expect_within(_LINGER_S, now)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._resume_reading()

    def _client_gone(self) -> None:
        """The client left; make the record if one is due."""
        if self._state is State.CLOSED:
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
            if self._head_out:
                # The server had answered, but the client was sent nothing of it.
                record.response_status = CLIENT_CLOSED_REQUEST
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
        self._state = State.CLOSED
        self._buffer = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._port.connections.discard(self)

    def _timed_out(self, now: float) -> None:
        exchange = self._exchange
        if exchange is None:
            if self._state is State.HEAD and self._started_at >= 0.0:
                exchange = self._open_partial()
                self._close_silently(exchange, now, 408)
            elif self._state is State.LINGER:
                self._transport.abort()
            else:
                self._transport.close()
        elif self._write_paused:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes < self._unsent_bytes:
                # It reads, if slowly.
                self._unsent_bytes = unsent_bytes
                self._expect_within(exchange.route.listener.timeouts.client_send_s, now)
                return
            self._client_gone()
            self._transport.abort()
        elif (
            self._state is State.BODY
            and exchange.record.response_status == 0
            and self._connecting is None
            and not self._read_paused
        ):
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


def _set_headers(exchange: Exchange, head: bytes) -> bytes:
    """The head for a backend server with what ``proxy_set_header`` says."""
    route, record = exchange.route, exchange.record
    listener = route.listener
    return header_setter(listener.custom.set_headers).encode_for_backend(
        head,
        {
            "host": record.host or b"",
            "remote_addr": record.remote_addr.encode(),
            "scheme": listener.protocol.lower().encode(),
            "server_addr": route.load_balancer.vip.encode(),
            "server_port": b"%d" % listener.port,
        },
    )
