"""The receiving half of a client connection: from bytes to an exchange and a body to pass on."""

from abc import abstractmethod
from typing import Final
from zlib import crc32

from simulator.clock import monotonic
from simulator.dataplane import proxy_protocol
from simulator.dataplane.client_base import ClientBase, Framing, State
from simulator.dataplane.http1 import find_head_end
from simulator.dataplane.http1_chunks import LAST_CHUNK, ChunkDecoder, encode_chunk
from simulator.dataplane.http1_request import (
    NO_HEADERS,
    RequestHead,
    check_request_begun,
    first_line,
    parse_request_head,
)
from simulator.errors import ClientProtocolError
from simulator.exchange import Exchange

_PIPELINE_BYTES: Final = 65536
"""Unread pipelined bytes at which the client is paused."""


class RequestReader(ClientBase):
    """Reads requests and their bodies; what becomes of them is its subclass's to say."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        state = self._state
        if state is State.HEAD:
            if self._take_known(data):
                return
            if self._proxy_allowed:
                stripped = self._take_proxy_header(data)
                if stripped is None:
                    return
                data = stripped
            self._take_head(self._buffer + data if self._buffer else data)
        elif state is State.BODY:
            self._take_body(data)
        elif state is State.TUNNEL:
            self._relay(data)
        elif state is State.LINGER:
            self._body_left -= len(data)
            if self._body_left < 0:
                self._transport.abort()
        elif state is not State.CLOSED:
            self._buffer += data
            if len(self._buffer) > _PIPELINE_BYTES:
                self._pause_reading()

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

    def _take_known(self, data: bytes) -> bool:
        """The short way for a request with headers met before.

        Returns:
            Whether it was one; if not, nothing has changed and ``_take_head`` must follow. What
            comes of the request is the same either way.
        """
        if self._buffer or self._refusal:
            return False
        port = self._port
        requests = port.known_requests()
        known = self._known
        recognised = None if known is None else known.recognise(data, requests, self._client_ip)
        if recognised is None:
            found = requests.find(data)
            if found is None:
                return False
            recognised = found.recognise(data, requests, self._client_ip)
            if recognised is None:
                return False
            self._known = found
            self._proxy_allowed = False
        head, self._head_sent = recognised
        now = self._started_at = monotonic()
        port.clock.begin_request()
        exchange = self._open_exchange(head)
        self._head = head
        self._last_headers = headers = head.headers
        self._keep_alive = headers.keep_alive and not port.draining
        self._framing = Framing.AS_IS
        self._request_complete = True
        self._state = State.WAIT
        self._forward(exchange, now)
        return True

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
        listener = self._port.route.listener
        limits = listener.limits
        if end < 0 or end > limits.header_bytes:
            status = check_request_begun(
                data, line_limit=limits.request_line_bytes, head_limit=limits.header_bytes
            )
            if status:
                self._refuse_unread(data, status, limits.request_line_bytes)
                return
        if end < 0:
            self._buffer = data
            self._expect_within(listener.timeouts.client_header_s, self._started_at)
            return
        raw = data if end == len(data) else data[:end]
        self._buffer = data[end:]
        head = parse_request_head(
            raw, self._port.header_memo, allow_non_ascii=listener.allow_non_ascii
        )
        if len(head.line) > limits.request_line_bytes:
            self._refuse_unread(data, 414, limits.request_line_bytes)
            return
        if self._refusal and not head.refusal:
            head.refusal = self._refusal
        self._remember(head, raw)
        self._begin_exchange(head, now)

    def _remember(self, head: RequestHead, raw: bytes) -> None:
        """Be ready to recognise requests like this one, if the client repeats itself."""
        port = self._port
        headers = head.headers
        before, self._last_headers = self._last_headers, headers
        if headers is before or port.header_memo.holds(raw[-headers.length :]):
            self._known = port.known_requests().remember(head, raw)
        elif before is not None and self._differences_left:
            self._known = port.known_requests().remember_varying(head, raw, before)
            if self._known is None:
                self._differences_left -= 1

    def _begin_exchange(self, head: RequestHead, now: float) -> None:
        exchange = self._open_exchange(head)
        headers = head.headers
        self._head = head
        self._head_sent = b""
        self._keep_alive = headers.keep_alive and not self._port.draining
        self._framing = Framing.AS_IS
        self._request_complete = False
        if head.refusal:
            self._keep_alive = False
            self._reply(head.refusal)
            return
        listener = exchange.route.listener
        length = headers.content_length or 0
        if not headers.chunked and length == 0:
            self._request_complete = True
            self._state = State.WAIT
            self._forward(exchange, now)
            return
        if listener.limits.body_bytes is not None and length > listener.limits.body_bytes:
            self._keep_alive = False
            self._reply(413)
            return
        self._state = State.BODY
        self._body_left = length
        self._body_decoder = ChunkDecoder(ClientProtocolError) if headers.chunked else None
        if headers.expects_continue and head.minor:
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
                self._refuse_body(exchange, 400)
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
                self._refuse_body(exchange, 413)
                return
        if complete:
            self._request_complete = True
            self._body_decoder = None
            self._state = State.WAIT
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
        if self._connecting is not None or self._state not in (State.BODY, State.WAIT):
            return  # A timeout is running already: for the connection, or after our own reply.
        timeouts = exchange.route.listener.timeouts
        if self._request_complete or self._read_paused:
            self._expect_within(timeouts.server_s, now)
        else:
            self._expect_within(timeouts.client_body_s, now)

    def _refuse_unread(self, data: bytes, status: int, line_limit: int) -> None:
        """Refuse bytes that never became a request head."""
        limit = self._port.route.listener.limits.header_bytes
        head = parse_request_head(data[: data.find(b"\n") + 1 + limit])
        if head.length == 0 or status == 414:
            head.line = first_line(data)[:line_limit]
            head.length = 0
            head.headers = NO_HEADERS
        head.refusal = status
        self._buffer = b""
        self._begin_exchange(head, monotonic())

    def _open_exchange(self, head: RequestHead) -> Exchange:
        exchange = self._exchange = Exchange(self._port.route, started_at=self._started_at)
        headers = head.headers
        record = exchange.record
        record.client_ip = record.remote_addr = self._client_ip
        gateways = exchange.route.load_balancer.gateway_addresses
        if gateways:
            # One gateway for all of a connection.
            pick = crc32(f"{self._client_ip}:{self._client_port}".encode())
            record.remote_addr = gateways[pick % len(gateways)]
        record.client_port = self._client_port
        record.request = head.line
        record.request_length = head.length
        record.host = headers.host
        record.http_referer = headers.referer
        record.http_user_agent = headers.user_agent
        record.http_x_forwarded_for = headers.x_forwarded_for
        tls = self._tls
        if tls is not None:
            record.ssl_handshake_time_s = tls.handshake_s
            record.ssl_session_reused = tls.session_reused
        return exchange

    @abstractmethod
    def _relay(self, data: bytes) -> None:
        """Pass on what the client sent after an upgrade."""

    @abstractmethod
    def _forward(self, exchange: Exchange, now: float) -> None:
        """Send the request to a backend server; as much of it as there is."""

    @abstractmethod
    def _abandon_backend(self) -> None:
        """Stop working with a backend server whose answer is not wanted any more."""

    @abstractmethod
    def _refuse_body(self, exchange: Exchange, status: int) -> None:
        """Answer in the load balancer's own name to a body that cannot be used."""

    @abstractmethod
    def _reply(self, status: int) -> None:
        """Answer in the load balancer's own name."""
