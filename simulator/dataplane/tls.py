"""TLS towards clients: finds out what a new connection is and shakes hands.

The handshake is ours to drive because the record needs its duration and whether the session was
reused, because a PROXY header may stand in front of it, and because a plain request on a TLS port
deserves a 400.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.clock import monotonic
from simulator.dataplane import proxy_protocol
from simulator.errors import ClientProtocolError
from simulator.tls import TlsStream

_HANDSHAKE: Final = 0x16
"""First byte of every TLS connection."""


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


class TlsAcceptor(TlsStream):
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
        "_make",
        "_pending",
        "_proxy_allowed",
        "_started_at",
        "_timeout_s",
        "_timer",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        timeout_s: float,
        make: Callable[[TlsConnection], asyncio.Protocol],
        pending: "set[TlsAcceptor]",
    ) -> None:
        super().__init__()
        self._context = context
        self._timeout_s = timeout_s
        self._make = make
        self._pending = pending
        self._buffer = b""
        self._proxy_allowed = False
        self._client: tuple[str, int] | None = None
        self._started_at = 0.0
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
        super().connection_lost(exc)

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
        wanted = tls.context.verify_mode is not ssl.CERT_NONE
        self._secured(
            self._make(
                TlsConnection(
                    client=self._client,
                    handshake_s=handshake_s,
                    session_reused=bool(tls.session_reused),
                    certificate_missing=wanted and not tls.getpeercert(binary_form=True),
                )
            )
        )
        self._read()

    def _settled(self) -> None:
        """It is known what the connection is, or that it is gone."""
        self._pending.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
