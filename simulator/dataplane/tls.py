"""TLS on the client side: a protocol that decrypts, and the transport its client sees.

The handshake is ours to drive because the record needs its duration and whether the session was
reused, because a PROXY header may stand in front of it, and because a plain request on a TLS port
deserves a 400.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from simulator.clock import monotonic
from simulator.dataplane import proxy_protocol
from simulator.errors import ClientProtocolError

_HANDSHAKE: Final = 0x16
"""First byte of every TLS connection."""
_READ_BYTES: Final = 262144


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConnection:
    """What is known of a client's connection before its first request."""

    client: tuple[str, int] | None
    """Address from a PROXY header, if there was one."""
    handshake_s: float | None
    """None: the client does not speak TLS."""
    session_reused: bool = False
    certificate_missing: bool = False
    """The listener asks for a client certificate and got none."""


class TlsTransport(asyncio.Transport):
    """Encrypts what its protocol writes; made when the handshake is done."""

    __slots__ = ("_outgoing", "_paused", "_raw", "_reading", "_tls")

    def __init__(self, raw: asyncio.Transport, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls
        self._outgoing = outgoing
        self._reading: Callable[[], None] = _nothing
        self._paused = False

    def on_resume(self, read: Callable[[], None]) -> None:
        """Have ``read`` called when reading resumes: decrypted data may be waiting."""
        self._reading = read

    @property
    def paused(self) -> bool:
        """Whether the protocol wants no data now."""
        return self._paused

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send ``data``."""
        if self._raw.is_closing():
            return
        self._tls.write(data)
        self._raw.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        """TLS cannot half-close."""
        return False

    def close(self) -> None:
        """Say goodbye and close once everything is sent."""
        if not self._raw.is_closing():
            # It then wants the other side's goodbye, which nobody waits for.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            rest = self._outgoing.read()
            if rest:
                self._raw.write(rest)
            self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the client again."""
        self._paused = False
        self._raw.resume_reading()
        # Not from within the caller: it may be in the middle of something.
        asyncio.get_running_loop().call_soon(self._reading)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Passed on to the socket's own transport."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes not yet in the kernel's hands."""
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  as asyncio's
        """The socket's, or ``ssl_object``."""
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)


class TlsAcceptor(asyncio.Protocol):
    """The socket side of a TLS connection.

    Args:
        context: the listener's.
        timeout_s: real seconds for PROXY header and handshake together.
        make: builds the protocol that serves the connection once it is known what it is.
        pending: holds this while it is not known yet.
    """

    __slots__ = (
        "_buffer",
        "_client",
        "_context",
        "_incoming",
        "_make",
        "_outgoing",
        "_pending",
        "_protocol",
        "_proxy_allowed",
        "_raw",
        "_started_at",
        "_timeout_s",
        "_timer",
        "_tls",
        "_transport",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        timeout_s: float,
        make: Callable[[TlsConnection], asyncio.Protocol],
        pending: "set[TlsAcceptor]",
    ) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._make = make
        self._pending = pending
        self._raw: asyncio.Transport = None  # type: ignore[assignment]  # set at once
        self._buffer = b""
        self._proxy_allowed = False
        self._client: tuple[str, int] | None = None
        self._started_at = 0.0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._transport: TlsTransport | None = None
        self._protocol: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """A client connected."""
        self._raw = transport
        self._pending.add(self)
        transport.set_write_buffer_limits(high=0)
        peer = transport.get_extra_info("peername")
        self._proxy_allowed = bool(peer) and peer[0] in ("127.0.0.1", "::1")
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._settled()
        if self._protocol is not None:
            self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """The client closed its side."""
        if self._protocol is not None:
            return self._protocol.eof_received()
        return False

    def pause_writing(self) -> None:
        """The kernel takes no more for this client."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """All that was written is in the kernel's hands."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self._transport is not None:
            self._incoming.write(data)
            self._read()
        elif self._protocol is not None:
            self._protocol.data_received(data)
        elif self._tls is not None:
            self._incoming.write(data)
            self._shake_hands()
        else:
            self._begin(self._buffer + data)

    def _begin(self, data: bytes) -> None:
        """Find out what the first bytes are."""
        self._buffer = b""
        if self._proxy_allowed and proxy_protocol.may_begin(data):
            try:
                parsed = proxy_protocol.parse(data)
            except ClientProtocolError:
                self._raw.abort()
                return
            if parsed is None:
                self._buffer = data
                return
            self._client, length = parsed
            data = data[length:]
            self._proxy_allowed = False
            if not data:
                return
        self._proxy_allowed = False
        if data[0] != _HANDSHAKE:
            self._settled()
            self._protocol = self._make(TlsConnection(client=self._client, handshake_s=None))
            self._protocol.connection_made(self._raw)
            self._protocol.data_received(data)
            return
        self._started_at = monotonic()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(data)
        self._shake_hands()

    def _shake_hands(self) -> None:
        tls = self._tls
        assert tls is not None
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError:
            # The alert that says why is in the outgoing buffer. No request, no record.
            self._flush()
            self._raw.close()
            return
        handshake_s = monotonic() - self._started_at
        self._flush()
        self._settled()
        self._transport = transport = TlsTransport(self._raw, tls, self._outgoing)
        wanted = tls.context.verify_mode is not ssl.CERT_NONE
        self._protocol = self._make(
            TlsConnection(
                client=self._client,
                handshake_s=handshake_s,
                session_reused=bool(tls.session_reused),
                certificate_missing=wanted and not tls.getpeercert(binary_form=True),
            )
        )
        transport.on_resume(self._read)
        self._protocol.connection_made(transport)
        self._read()

    def _read(self) -> None:
        """Hand on what can be decrypted, until the protocol has enough."""
        tls, protocol, transport = self._tls, self._protocol, self._transport
        assert tls is not None
        assert protocol is not None
        assert transport is not None
        while not transport.paused:
            try:
                data = tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError:
                self._flush()
                self._raw.abort()
                return
            if not data:
                if not protocol.eof_received():
                    transport.close()
                return
            protocol.data_received(data)
            if not self._incoming.pending and not tls.pending():
                # Asking again would raise, which costs more than the request.
                return

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def _settled(self) -> None:
        """It is known what the connection is, or that it is gone."""
        self._pending.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None:
    """Until somebody reads."""
