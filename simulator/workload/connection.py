"""One keep-alive connection of a simulated client: a request out, a response in, repeated."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from simulator.errors import ProtocolError
from simulator.tls import TlsClientStream
from simulator.workload.framing import BodyDiscard, Framing, find_head

_FILLER: Final = b"0123456789abcdef" * 4096
"""What request bodies are made of."""

OnEnd = Callable[[int | None, int], None]
"""Told the status (None: failed) and the body bytes received, once per request."""


class ClientConnection(asyncio.Protocol):
    """Sends what it is given and finds the end of each response.

    Args:
        preface: sent before the first request (the PROXY protocol line).
        patience_s: real seconds a response may take.
        on_end: called at the end of each request.

    A request may be given before the connection stands; it goes out when it does.
    """

    def __init__(self, *, preface: bytes, patience_s: float, on_end: OnEnd) -> None:
        self._preface = preface
        self._patience_s = patience_s
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self.handshake: TlsClientStream | None = None
        """What becomes its transport, of a connection over TLS; set by who opens it."""
        self._lost = False
        self._can_write = True
        self._head_out = b""
        self._body_left = 0
        self._waiting = False
        self._is_head = False
        self._buffer = bytearray()
        self._status = 0
        self._body: BodyDiscard | None = None
        self._body_received = 0
        self._reusable = True
        self._patience: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether another request may be given to it."""
        return (
            not self._lost
            and self._reusable
            and not self._waiting
            and (self._transport is None or not self._transport.is_closing())
        )

    def send(self, head: bytes, body_bytes: int, *, is_head: bool) -> None:
        """Send a request with a body of ``body_bytes``; its response has none if ``is_head``."""
        self._head_out = self._preface + head
        self._preface = b""
        self._body_left = body_bytes
        self._is_head = is_head
        self._waiting = True
        self._status = self._body_received = 0
        self._body = None
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._patience_s, self.abort)
        if self._transport is not None:
            self._pump()

    def abort(self) -> None:
        """Drop the connection; a request in flight has failed."""
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()
        elif self.handshake is not None:
            self.handshake.abort()
        self._end(None)

    def retire(self) -> None:
        """Close; no request is in flight, and none is to come."""
        self._drop()

    def connecting_failed(self) -> None:
        """There will be no connection, so the request that waits for it has failed."""
        self._lost = True
        self._end(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket stands: send what waits for it."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        if not self._reusable:
            self._transport.abort()
        elif self._waiting:
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, which ends a body without framing and fails any other."""
        self._lost = True
        whole = exc is None and self._body is not None and self._body.until_close
        self._end(self._status if whole else None)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._can_write = False

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._can_write = True
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Bytes of a response."""
        if not self._waiting:
            self._drop()  # nobody asked
            return
        try:
            if self._body is None:
                self._buffer += data
                data = self._read_head()
            if self._body is None:
                return
            end = self._body.feed(data)
        except ProtocolError:
            self.abort()
            return
        self._body_received += end
        if self._body.done:
            if end < len(data) or self._body_left or self._head_out:
                self._reusable = False  # bytes beyond the response, or an answer too early
            if not self._reusable:
                self._drop()
            self._end(self._status)

    def _read_head(self) -> bytes:
        """Take heads off the buffer up to a final response's; returns what follows it."""
        while (end := find_head(self._buffer)) >= 0:
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
                raise ProtocolError("not a status line", status_hint=502)
            status = int(head[9:12])
            if 100 <= status < 200:
                continue
            framing = Framing(head)
            self._status = status
            self._reusable = not framing.close and (
                not head.startswith(b"HTTP/1.0") or framing.keep_alive
            )
            empty = self._is_head or status in {204, 304}
            self._body = BodyDiscard(framing, until_close=True, empty=empty)
            rest = bytes(self._buffer)
            self._buffer.clear()
            return rest
        return b""

    def _pump(self) -> None:
        """Write as much of the request as the socket takes without swelling."""
        assert self._transport is not None
        if self._head_out and not self._transport.is_closing():
            first = min(self._body_left, len(_FILLER))
            self._transport.write(self._head_out + _FILLER[:first])
            self._head_out = b""
            self._body_left -= first
        while self._body_left and self._can_write and not self._transport.is_closing():
            size = min(self._body_left, len(_FILLER))
            self._transport.write(_FILLER[:size])
            self._body_left -= size

    def _drop(self) -> None:
        self._reusable = False
        if self._transport is not None:
            self._transport.close()

    def _end(self, status: int | None) -> None:
        if not self._waiting:
            return
        self._waiting = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._on_end(status, self._body_received)
