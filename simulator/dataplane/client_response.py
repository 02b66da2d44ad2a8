"""The sending half of a client connection: from a backend server's response, or none, to bytes."""

from abc import abstractmethod

from simulator.clock import monotonic
from simulator.dataplane import pages
from simulator.dataplane.backend import BackendConnection
from simulator.dataplane.client_base import Framing, State
from simulator.dataplane.client_request import RequestReader
from simulator.dataplane.http1_chunks import LAST_CHUNK, encode_chunk
from simulator.dataplane.http1_gzip import GzipBody, encode_compressed_head, is_compressed
from simulator.dataplane.http1_known import KnownResponse
from simulator.dataplane.http1_request import RequestHead
from simulator.dataplane.http1_response import CLOSE, ResponseHead, encode_response_head
from simulator.exchange import REDIRECT, Exchange, Failure


class ResponseWriter(RequestReader):
    """Writes responses; where requests go and how a connection ends is its subclass's to say."""

    __slots__ = ()

    def response_started(self, head: ResponseHead) -> None:
        """The backend server answered: make the head for the client."""
        exchange, request = self._exchange, self._head
        assert exchange is not None
        assert request is not None
        exchange.response_head(head.status)
        framing = Framing.AS_IS
        end = b""
        listener = exchange.route.listener
        self._buffered = listener.custom.buffering if head.buffering is None else head.buffering
        compressed = listener.gzip_json and is_compressed(request, head)
        if compressed and request.method != b"HEAD":
            framing = Framing.GZIP
            self._gzip = GzipBody(flushes=not self._buffered)
            end = b"Transfer-Encoding: chunked\r\n"
        elif head.content_length is None and head.has_body and request.method != b"HEAD":
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
            end += CLOSE
        elif not request.minor:
            end += b"Connection: keep-alive\r\n"
        self._framing = framing
        whole_buffers = self._buffered and not head.chunked
        self._hold_bytes = listener.limits.response_header_bytes if whole_buffers else 0
        encode = encode_compressed_head if compressed else encode_response_head
        self._head_out = encode(head, end)
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
        self._buffered = False
        self._hold_bytes = 0
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
        self._hold_bytes = 0
        self._buffered = exchange.route.listener.custom.buffering
        self._framing = Framing.UNTIL_CLOSE
        self._keep_alive = False

    def response_data(self, data: bytes) -> None:
        """Part of the response's body.

        Source: observed (reference server): with buffering, a body that is not chunked waits
        until there is a buffer of it, or its end. What is more than whole buffers waits there,
        and here does not.
        """
        exchange = self._exchange
        if exchange is None:
            return
        if self._hold_bytes:
            data = self._held + data
            if len(data) < self._hold_bytes:
                self._held = data
                self._expect_more(exchange)
                return
            self._held = b""
        self._send_body(exchange, data)

    def _send_body(self, exchange: Exchange, data: bytes) -> None:
        if self._framing is Framing.CHUNKED:
            data = encode_chunk(data)
        elif self._framing is Framing.GZIP:
            data = self._compressed_chunk(data)
            if not data:
                # Nor does the head go out alone.
                self._expect_more(exchange)
                return
        exchange.record.body_bytes_sent += len(data)
        if self._head_out:
            data = self._head_out + data
            self._head_out = b""
        if self._write_paused:
            # The client is behind; the deadline is its own.
            self._transport.write(data)
            self._hold_back()
            return
        # Before the write, which may find that the client does not read and set another.
        self._expect_more(exchange)
        self._transport.write(data)

    def _expect_more(self, exchange: Exchange) -> None:
        """The backend server has spoken, and is to go on; a client that is behind comes first."""
        if not self._write_paused:
            self._due_at = monotonic() + exchange.route.listener.timeouts.server_s

    def _compressed_chunk(self, data: bytes) -> bytes:
        """The next chunk of a compressed body; empty while there is too little for one."""
        assert self._gzip is not None
        made = self._gzip.compress(data)
        return encode_chunk(made) if made else b""

    def response_flush(self) -> None:
        """More is to come, but not yet: without buffering the client has what there is.

        Source: observed (reference server).
        """
        if not self._buffered:
            self._flush_head()

    def _flush_head(self) -> None:
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
        if (
            not self._request_complete
            or not request.minor
            or self._session is not None
            or exchange.route.listener.gzip_json
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
        sent = known.sent if self._keep_alive else known.sent_last()
        self._transport.write(data if sent is None else sent + data[known.head_bytes :])
        if self._write_paused:
            said = known.head.buffering
            self._buffered = exchange.route.listener.custom.buffering if said is None else said
            self._end_behind(connection, now, reusable=True)
            return
        self._port.pool.put(connection, now=now, keep_alive_s=timeouts.backend_keep_alive_s)
        self._finish(now)

    def response_ended(self, connection: BackendConnection, *, reusable: bool) -> None:
        """The response is complete."""
        exchange = self._exchange
        self._backend = None
        if exchange is None:
            connection.release()
            return
        now = monotonic()
        exchange.backend_done(now)
        reusable = reusable and self._request_complete
        last = self._last_of_body()
        exchange.record.body_bytes_sent += len(last)
        tail = self._head_out + last
        self._head_out = b""
        if tail:
            self._transport.write(tail)
        if self._write_paused:
            self._end_behind(connection, now, reusable=reusable)
            return
        self._put_back(connection, now, reusable=reusable)
        self._finish(now)

    def _last_of_body(self) -> bytes:
        held, self._held = self._held, b""
        if self._framing is Framing.CHUNKED:
            return encode_chunk(held) + LAST_CHUNK if held else LAST_CHUNK
        if self._framing is Framing.GZIP:
            assert self._gzip is not None
            made = self._gzip.compress(held) + self._gzip.finish()
            self._gzip = None
            return encode_chunk(made) + LAST_CHUNK
        return held

    def _end_behind(self, connection: BackendConnection, now: float, *, reusable: bool) -> None:
        """The response is complete, but the client does not read as fast.

        What there are no buffers for has not been read from the backend server yet, as it were.

        Source: observed (reference server): the server's time ends when the rest fits into the
        buffers. Here it is when the kernel has taken all.
        """
        if not reusable:
            connection.release()
        if self._is_beyond_buffers():
            self._backend = connection
        else:
            connection.resume_reading()
            self._put_back(connection, now, reusable=reusable)
        self._state = State.DRAIN

    def _put_back(self, connection: BackendConnection, now: float, *, reusable: bool) -> None:
        if reusable:
            assert self._exchange is not None
            timeouts = self._exchange.route.listener.timeouts
            self._port.pool.put(connection, now=now, keep_alive_s=timeouts.backend_keep_alive_s)
        else:
            connection.release()

    def _is_beyond_buffers(self) -> bool:
        """Whether more waits for the client than its listener has buffers for.

        Source: doc https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering;
        without buffering there is the one of ``proxy_buffer_size``. That nothing goes to disk
        beyond the buffers is assumed.
        """
        assert self._exchange is not None
        listener = self._exchange.route.listener
        room = listener.limits.response_header_bytes
        if self._buffered:
            room += listener.custom.buffer_count * listener.custom.buffer_size_bytes
        return self._transport.get_write_buffer_size() > room

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
            self._hold_back()

    def _hold_back(self) -> None:
        """Read no more of a response than there are buffers for."""
        self._unsent_bytes = self._transport.get_write_buffer_size()
        if self._backend is not None and self._is_beyond_buffers():
            self._backend.pause_reading()

    def resume_writing(self) -> None:
        """All that was written is in the kernel's hands."""
        self._write_paused = False
        if self._state is State.DRAIN:
            now = monotonic()
            if self._backend is not None:
                connection, self._backend = self._backend, None
                assert self._exchange is not None
                self._exchange.backend_done(now)
                connection.resume_reading()
                self._put_back(connection, now, reusable=not connection.closed)
            self._finish(now)
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
        held, self._held = self._held, b""
        if held:
            self._send_body(exchange, held)
        self._flush_head()
        self._request_complete = True
        self._end_response(monotonic())

    def _end_response(self, now: float) -> None:
        if self._write_paused:
            self._state = State.DRAIN
        else:
            self._finish(now)

    @abstractmethod
    def _attempt_failed(self, exchange: Exchange, failure: Failure) -> None:
        """A try at a backend server failed: try another, or answer."""

    @abstractmethod
    def _drop_outgoing(self) -> None:
        """Forget the request's body: nobody wants it any more."""

    @abstractmethod
    def _finish(self, now: float) -> None:
        """The response is in the kernel's hands."""
