"""A protocol that decrypts what a socket brings, and the transport that its own protocol sees.

By hand, over OpenSSL's memory buffers, and not by the event loop: what is written is in the
socket's transport at once, so its flow control is the connection's; the handshake can be timed,
resumed, and told apart from a refused connection.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_READ_BYTES: Final = 262144


class TlsTransport(asyncio.Transport):
    """Encrypts what its protocol writes; made when the handshake is done."""

    __slots__ = ("_outgoing", "_paused", "_raw", "_reading", "_tls")

    def __init__(
        self,
        raw: asyncio.Transport,
        tls: ssl.SSLObject,
        outgoing: ssl.MemoryBIO,
        reading: Callable[[], None],
    ) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls
        self._outgoing = outgoing
        self._reading = reading
        """Called when reading resumes: decrypted data may be waiting."""
        self._paused = False

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
        """Take nothing more from the other side for now."""
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the other side again."""
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


class TlsStream(asyncio.Protocol):
    """The socket side of a TLS connection, in what is the same for client and server.

    A subclass makes ``_tls``, drives its handshake, and then calls ``_secured``.
    """

    __slots__ = (
        "_error",
        "_incoming",
        "_outgoing",
        "_protocol",
        "_raw",
        "_tls",
        "_transport",
    )

    def __init__(self) -> None:
        self._raw: asyncio.Transport = None  # type: ignore[assignment]  # set at once
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._transport: TlsTransport | None = None
        self._protocol: asyncio.Protocol | None = None
        self._error: ssl.SSLError | None = None
        """What broke the connection: bytes that cannot be decrypted, or the other side's alert."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._protocol is not None:
            self._protocol.connection_lost(exc or self._error)

    def eof_received(self) -> bool | None:
        """The other side closed, with or without a goodbye."""
        if self._protocol is not None:
            return self._protocol.eof_received()
        return False

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The kernel takes more again."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def _secured(self, protocol: asyncio.Protocol) -> None:
        """The handshake is done: ``protocol`` has the connection from now on."""
        assert self._tls is not None
        self._protocol = protocol
        self._transport = TlsTransport(self._raw, self._tls, self._outgoing, self._read)
        protocol.connection_made(self._transport)

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
            except ssl.SSLError as error:
                self._error = error
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
