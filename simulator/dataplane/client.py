"""One client connection: drives each exchange and writes its response.

Everything is a callback; one request is served at a time, pipelined ones wait in the buffer.
"""

from typing import Final

from simulator.clock import monotonic
from simulator.dataplane import pages
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.client_base import Framing, State
from simulator.dataplane.client_request import RequestReader
from simulator.dataplane.http1_chunks import LAST_CHUNK, encode_chunk
from simulator.dataplane.http1_cookies import session_cookie
from simulator.dataplane.http1_known import KnownResponse
from simulator.dataplane.http1_request import (
    RequestHead,
    encode_forwarded_head,
    first_line,
    parse_request_head,
)
from simulator.dataplane.http1_response import ResponseHead, encode_response_head
from simulator.exchange import CLIENT_CLOSED_REQUEST, REDIRECT, Exchange, Failure
from simulator.model import BackendServer

_LINGER_S: Final = 5.0
_LINGER_BYTES: Final = 1 << 24
"""A refused body is read and dropped this far, so that the refusal is not lost to a reset."""


class ClientConnection(RequestReader):
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

    # -- the response ---------------------------------------------------------------------

    def response_started(self, head: ResponseHead) -> None:
        """The backend server answered: make the head for the client."""
        exchange, request = self._exchange, self._head
        assert exchange is not None
        assert request is not None
        exchange.response_head(head.status)
        framing = Framing.AS_IS
        end = b""
        if head.content_length is None and head.has_body and request.method != b"HEAD":
            if request.minor:
                framing = Framing.CHUNKED
                end = b"Transfer-Encoding: chunked\r\n"
            else:
                framing = Framing.UNTIL_CLOSE
                self._keep_alive = False
        if not self._request_complete or head.status < 200:
            # It answered without waiting for the body: the rest of it is not read. Or the
            # answer is an interim one, and none will follow.
            self._keep_alive = False
        if not self._keep_alive:
            end += b"Connection: close\r\n"
        elif not request.minor:
            end += b"Connection: keep-alive\r\n"
        self._framing = framing
        self._head_out = encode_response_head(head, end)
        if self._session is not None:
            self._head_out = self._session.encode_for_client(self._head_out, exchange.session_token)

    def response_upgraded(self, head: ResponseHead) -> None:
        """The backend server goes on in another protocol: from now on bytes just pass.

        Source: observed (reference server) for the record: written when it closes, status 101,
        with the bytes sent to the client and the time of its whole life.
        """
        exchange, request, backend = self._exchange, self._head, self._backend
        assert exchange is not None
        assert request is not None
        assert backend is not None
        exchange.response_head(101)
        self._framing = Framing.AS_IS
        self._keep_alive = False
        self._state = State.TUNNEL
        protocol = head.upgrade or request.headers.upgrade or b""
        end = b"Connection: Upgrade\r\nUpgrade: %s\r\n" % protocol
        self._transport.write(encode_response_head(head, end))
        self._expect_within(exchange.route.listener.timeouts.server_s, monotonic())
        if self._buffer:
            data, self._buffer = self._buffer, b""
            backend.send(data)
        self._resume_reading()

    def _relay(self, data: bytes) -> None:
        exchange, backend = self._exchange, self._backend
        if exchange is not None and backend is not None:
            self._due_at = monotonic() + exchange.route.listener.timeouts.server_s
            backend.send(data)

    def response_raw(self) -> None:
        """The backend server does not speak HTTP: hand on what it says, then close."""
        exchange = self._exchange
        assert exchange is not None
        exchange.response_head(9)
        self._framing = Framing.UNTIL_CLOSE
        self._keep_alive = False

    def response_data(self, data: bytes) -> None:
        """Part of the response's body."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._framing is Framing.CHUNKED:
            data = encode_chunk(data)
        exchange.record.body_bytes_sent += len(data)
        if self._head_out:
            data = self._head_out + data
            self._head_out = b""
        # Before the write, which may find that the client does not read and set another.
        self._due_at = monotonic() + exchange.route.listener.timeouts.server_s
        self._transport.write(data)

    def response_flush(self) -> None:
        """Nothing more for now: let the client have what there is."""
        if self._head_out:
            data, self._head_out = self._head_out, b""
            self._transport.write(data)

    def response_whole(
        self, connection: BackendConnection, known: KnownResponse, data: bytes
    ) -> None:
        """The short way for a response that arrived in one read and has a head met before.

        What comes of it is the same as of ``response_started``, ``response_data`` and
        ``response_ended``, which it calls where anything about the request is out of the common.
        """
        exchange, request = self._exchange, self._head
        assert exchange is not None
        assert request is not None
        if not (
            self._request_complete and self._keep_alive and request.minor and self._session is None
        ):
            self.response_started(known.head)
            if known.body_bytes:
                self.response_data(data[known.head_bytes :])
            self.response_ended(connection, reusable=True)
            return
        now = monotonic()
        self._backend = None
        exchange.response_head(known.head.status)
        exchange.backend_done(now)
        exchange.record.body_bytes_sent = known.body_bytes
        timeouts = exchange.route.listener.timeouts
        self._due_at = now + timeouts.server_s
        sent = known.sent
        self._transport.write(data if sent is None else sent + data[known.head_bytes :])
        self._port.pool.put(connection, now=now, keep_alive_s=timeouts.backend_keep_alive_s)
        self._end_response(now)

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
            if self._write_paused:
                connection.resume_reading()
            timeouts = exchange.route.listener.timeouts
            self._port.pool.put(connection, now=now, keep_alive_s=timeouts.backend_keep_alive_s)
        else:
            connection.release()
        tail = self._head_out
        self._head_out = b""
        if self._framing is Framing.CHUNKED:
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
            if self._exchange is not None and self._state is State.BODY:
                timeouts = self._exchange.route.listener.timeouts
                self._expect_within(timeouts.client_body_s, monotonic())
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
        if self._state is State.DRAIN:
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
        self._drop_outgoing()
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

    def _redirect(self, exchange: Exchange, head: RequestHead) -> None:
        """Send the client to the HTTPS listener.

        Source: assumed (the form of the Location and the empty body, blb-api C14).
        """
        route = exchange.route
        exchange.reply(REDIRECT)
        self._drop_outgoing()
        if not self._request_complete:
            self._keep_alive = False
        port = route.listener.redirect_port
        location = b"https://%s%s%s" % (
            head.headers.host or route.load_balancer.vip.encode(),
            b"" if port == 443 else b":%d" % port,
            head.target,
        )
        self._transport.write(
            pages.encode_redirect(
                REDIRECT, location, date_s=self._port.clock.time(), keep_alive=self._keep_alive
            )
        )
        self._end_response(monotonic())

    def _refuse_body(self, exchange: Exchange, status: int) -> None:
        self._keep_alive = False
        self._abandon_backend()
        if exchange.record.response_status:
            # A backend server that did not wait for the body has begun to answer.
            self._cut_short(exchange)
        else:
            self._reply(status)

    def _cut_short(self, exchange: Exchange) -> None:
        """The response ends before its end; closing is the only way to say so."""
        self._keep_alive = False
        exchange.backend_done(monotonic())
        self.response_flush()
        self._request_complete = True
        self._end_response(monotonic())

    def _end_response(self, now: float) -> None:
        if self._write_paused:
            self._state = State.DRAIN
        else:
            self._finish(now)

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
