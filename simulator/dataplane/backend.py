"""One connection to a backend server: sends what it is given, takes responses apart."""

import asyncio
from typing import Final, Protocol

from simulator.dataplane.http1 import LineMemo, find_head_end
from simulator.dataplane.http1_chunks import ChunkDecoder
from simulator.dataplane.http1_known import KnownResponse, remember_response
from simulator.dataplane.http1_response import (
    ResponseHead,
    begins_like_a_response,
    parse_response_head,
)
from simulator.errors import BackendProtocolError
from simulator.exchange import Failure
from simulator.model import BackendServer

_IDLE: Final = 0
_HEAD: Final = 1
_SIZED: Final = 2
_CHUNKED: Final = 3
_UNTIL_CLOSE: Final = 4
_CLOSED: Final = 5
_FRESH: Final = 6
"""Open, and nothing was asked on it yet: what the server says now is its answer all the same."""


class ResponseReceiver(Protocol):
    """The request a connection works for; called as its response arrives."""

    def response_started(self, head: ResponseHead) -> None:
        """The head of the response is read."""
        ...

    def response_data(self, data: bytes) -> None:
        """Some of its body, unframed; never empty."""
        ...

    def response_flush(self) -> None:
        """More of the body is to come, but not yet: the head need not wait for it."""
        ...

    def response_ended(self, connection: "BackendConnection", *, reusable: bool) -> None:
        """The response is complete; the connection works for this request no longer."""
        ...

    def response_whole(
        self, connection: "BackendConnection", known: KnownResponse, data: bytes
    ) -> None:
        """All of the response at once, in place of the other four; it is reusable.

        Args:
            connection: works for this request no longer.
            known: its head, and how many bytes of ``data`` that is.
            data: head and body.
        """
        ...

    def response_upgraded(self, head: ResponseHead) -> None:
        """The server goes on in the protocol the client asked for: a 101. Data follows."""
        ...

    def response_raw(self) -> None:
        """The backend server does not speak HTTP: what follows as data is all it sent."""
        ...

    def backend_failed(self, failure: Failure) -> None:
        """The connection failed or the response cannot be used; the connection is closed."""
        ...

    def backend_writable(self, writable: bool) -> None:
        """Whether the connection takes more of the request body now."""
        ...


class BackendConnection(asyncio.Protocol):
    """A connection from the pool, or on its way there.

    ``send_request`` gives it to a request; ``release`` takes it away. In between, its receiver is
    told of every event, and of nothing after ``response_whole``, ``response_ended`` or
    ``backend_failed``.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_head_limit",
        "_is_head_request",
        "_known",
        "_may_upgrade",
        "_memo",
        "_receiver",
        "_remaining",
        "_reusable",
        "_state",
        "answered",
        "closed",
        "idle_since",
        "pooled",
        "server",
        "transport",
    )

    def __init__(self, server: BackendServer, memo: LineMemo | None = None) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.pooled = False
        """Whether this request is not the first on the connection."""
        self.idle_since = 0.0
        self.answered = False
        """Whether any byte of the current response has arrived."""
        self.closed = False
        """Whether it can no longer be used."""
        self._state = _FRESH
        self._buffer = b""
        self._memo = memo
        self._known: KnownResponse | None = None
        self._receiver: ResponseReceiver | None = None
        self._remaining = 0
        self._decoder: ChunkDecoder | None = None
        self._head_limit = 0
        self._is_head_request = False
        self._may_upgrade = False
        self._reusable = False

    def send_request(
        self,
        receiver: ResponseReceiver,
        data: bytes,
        *,
        is_head_request: bool,
        head_limit: int,
        may_upgrade: bool = False,
    ) -> None:
        """Work for ``receiver`` from now on.

        Args:
            receiver: told of everything that arrives.
            data: the request's head and as much of its body as there is.
            is_head_request: its response has no body whatever its head says.
            head_limit: bytes a response head may have.
            may_upgrade: a 101 ends HTTP on this connection.
        """
        self._receiver = receiver
        self._may_upgrade = may_upgrade
        self._is_head_request = is_head_request
        self._head_limit = head_limit
        self._state = _HEAD
        self.answered = False
        if self._buffer or self.closed:
            asyncio.get_running_loop().call_soon(self._catch_up, receiver)
        if self.transport is not None and not self.closed:
            self.transport.write(data)

    def _catch_up(self, receiver: ResponseReceiver) -> None:
        """The server spoke, or closed, before it was asked anything."""
        if self._receiver is receiver and self._buffer:
            data, self._buffer = self._buffer, b""
            self.answered = True
            self._take_head(data)
        if self._receiver is receiver and self.closed:
            self._close(reset=False)

    def send(self, data: bytes) -> None:
        """Write more of the request's body to the server."""
        if self.transport is not None and not self.closed:
            self.transport.write(data)

    def release(self) -> None:
        """Work for nobody: close, and tell nobody."""
        self._receiver = None
        self._state = _CLOSED
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def finish(self) -> None:
        """Work for nobody: send what is on its way, then close."""
        self._receiver = None
        self._state = _CLOSED
        self.closed = True
        if self.transport is not None:
            self.transport.close()

    def pause_reading(self) -> None:
        """Take nothing more from the server for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the server again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """The connection stands."""
        self.transport = transport
        transport.set_write_buffer_limits(high=65536)

    def pause_writing(self) -> None:
        """The server does not read as fast as the client sends."""
        if self._receiver is not None:
            self._receiver.backend_writable(False)

    def resume_writing(self) -> None:
        """The server reads again."""
        if self._receiver is not None:
            self._receiver.backend_writable(True)

    def data_received(self, data: bytes) -> None:
        """The server sent something."""
        state = self._state
        if state == _HEAD:
            known = self._known
            if known is not None and self._take_known(known, data):
                return
            self.answered = True
            self._take_head(self._buffer + data if self._buffer else data)
        elif state == _SIZED:
            self._take_sized(data)
        elif state == _CHUNKED:
            self._take_chunked(data)
        elif state == _UNTIL_CLOSE:
            if self._receiver is not None:
                self._receiver.response_data(data)
        elif state == _FRESH:
            self._buffer += data
        else:
            # Bytes nobody asked for: whatever comes next on it could not be trusted.
            self.release()

    def eof_received(self) -> bool:
        """The server closed its side."""
        self._close(reset=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if not self.closed:
            self._close(reset=exc is not None)

    def _close(self, *, reset: bool) -> None:
        state, receiver = self._state, self._receiver
        if state == _CLOSED:
            return
        self._state = _CLOSED
        self.closed = True
        self._receiver = None
        if self.transport is not None:
            self.transport.close()
        if receiver is None:
            return
        if state == _UNTIL_CLOSE and not reset:
            receiver.response_ended(self, reusable=False)
        elif state == _HEAD and self._buffer and not begins_like_a_response(self._buffer):
            receiver.response_raw()
            receiver.response_data(self._buffer)
            receiver.response_ended(self, reusable=False)
        elif self.pooled and not self.answered:
            receiver.backend_failed(Failure.POOLED_CLOSED)
        else:
            receiver.backend_failed(Failure.CLOSED_EARLY)

    def _fail(self, failure: Failure) -> None:
        receiver = self._receiver
        self.release()
        if receiver is not None:
            receiver.backend_failed(failure)

    def _take_known(self, known: KnownResponse, data: bytes) -> bool:
        """The short way for a whole response in one read whose head is the last one's.

        Returns:
            Whether it was one; if not, nothing has changed and ``_take_head`` must follow.
        """
        receiver, transport = self._receiver, self.transport
        if (
            len(data) != known.whole_bytes
            or not data.startswith(known.raw)
            or self._buffer
            or self._is_head_request
            or known.head_bytes > self._head_limit
            or receiver is None
            or transport is None
            or transport.get_write_buffer_size()
        ):
            return False
        self._receiver = None
        self._state = _IDLE
        receiver.response_whole(self, known, data)
        return True

    def _take_head(self, data: bytes) -> None:
        receiver = self._receiver
        assert receiver is not None
        if not begins_like_a_response(data):
            self._buffer = b""
            self._state = _UNTIL_CLOSE
            receiver.response_raw()
            receiver.response_data(data)
            return
        end = find_head_end(data)
        if end < 0 or end > self._head_limit:
            if len(data) > self._head_limit:
                self._fail(Failure.BAD_RESPONSE)
            else:
                self._buffer = data
            return
        self._buffer = b""
        try:
            raw = data[:end]
            head = parse_response_head(raw, self._memo)
        except BackendProtocolError:
            self._fail(Failure.BAD_RESPONSE)
            return
        self._begin_body(receiver, head, raw, data[end:])

    def _begin_body(
        self, receiver: ResponseReceiver, head: ResponseHead, raw: bytes, rest: bytes
    ) -> None:
        """Settle how the body is framed, tell of the head, take what has arrived of the body."""
        if head.status == 101 and self._may_upgrade:
            self._state = _UNTIL_CLOSE
            receiver.response_upgraded(head)
            if rest and self._receiver is receiver:
                receiver.response_data(rest)
            return
        self._reusable = head.keep_alive
        if not self._is_head_request:
            self._known = remember_response(head, raw)
        if self._is_head_request or not head.has_body:
            self._remaining = 0
            self._state = _SIZED
        elif head.chunked:
            self._decoder = ChunkDecoder(BackendProtocolError)
            self._state = _CHUNKED
        elif head.content_length is not None:
            self._remaining = head.content_length
            self._state = _SIZED
        else:
            self._state = _UNTIL_CLOSE
        receiver.response_started(head)
        if self._receiver is not receiver:
            return
        if self._state == _SIZED:
            self._take_sized(rest)
        elif rest:
            if self._state == _CHUNKED:
                self._take_chunked(rest)
            else:
                receiver.response_data(rest)
        if self._receiver is receiver:
            receiver.response_flush()

    def _take_sized(self, data: bytes) -> None:
        receiver = self._receiver
        assert receiver is not None
        size = len(data)
        if size > self._remaining:
            # More than it announced: the excess is dropped and the connection with it.
            data = data[: self._remaining]
            size = self._remaining
            self._reusable = False
        self._remaining -= size
        if size:
            receiver.response_data(data)
        if self._remaining == 0 and self._receiver is receiver:
            self._end(receiver)

    def _take_chunked(self, data: bytes) -> None:
        receiver, decoder = self._receiver, self._decoder
        assert receiver is not None
        assert decoder is not None
        try:
            body, used = decoder.feed(data)
        except BackendProtocolError:
            self._fail(Failure.CLOSED_EARLY)
            return
        if body:
            receiver.response_data(body)
        if decoder.done and self._receiver is receiver:
            if used != len(data):
                self._reusable = False
            self._end(receiver)

    def _end(self, receiver: ResponseReceiver) -> None:
        """Go idle, then tell: the receiver puts the connection back or closes it."""
        self._receiver = None
        self._decoder = None
        self._state = _IDLE
        transport = self.transport
        # It may have answered before it took the whole request.
        reusable = (
            self._reusable and transport is not None and not transport.get_write_buffer_size()
        )
        receiver.response_ended(self, reusable=reusable)
