"""The side of a TLS connection that opened it."""

import asyncio
import ssl
from collections.abc import Callable

from simulator.tls.stream import TlsStream

OnOpened = Callable[[OSError | None], None]
OnSession = Callable[[ssl.SSLSession], None]


class TlsClientStream(TlsStream):
    """Shakes hands as a client, then gives the connection to ``protocol``.

    Args:
        context: of every connection that may go on with a session of another.
        protocol: told nothing before the handshake is done.
        opened: called once, with None when ``protocol`` has the connection and may write, or
            with what came in the way; then ``protocol`` is told nothing at all. Not called after
            ``abort``, nor when no socket was ever had.
        server_name: for SNI; None sends none.
        session: of an earlier connection, to go on with.
        preface: sent in the clear in front of the handshake.
        on_session: gets the session that a later connection can go on with, once there is one.

    Nothing ends a handshake that stands still: the caller has to ``abort`` it.
    """

    __slots__ = (
        "_aborted",
        "_context",
        "_on_session",
        "_opened",
        "_preface",
        "_served",
        "_server_name",
        "_session",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        protocol: asyncio.Protocol,
        *,
        opened: OnOpened,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
        preface: bytes = b"",
        on_session: OnSession | None = None,
    ) -> None:
        super().__init__()
        self._context = context
        self._served = protocol
        self._opened: OnOpened | None = opened
        self._server_name = server_name
        self._session = session
        self._preface = preface
        self._on_session = on_session
        self._aborted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """The socket stands: begin the handshake."""
        self._raw = transport
        if self._aborted:
            transport.abort()
            return
        if self._preface:
            transport.write(self._preface)
        self._tls = self._context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_hostname=self._server_name,
            session=self._session,
        )
        self._shake_hands(self._tls)

    def data_received(self, data: bytes) -> None:
        """The server sent something."""
        self._incoming.write(data)
        if self._transport is None:
            assert self._tls is not None
            self._shake_hands(self._tls)
        else:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._protocol is None:
            error = exc if isinstance(exc, OSError) else None
            self._settle(error or ConnectionResetError("closed by the server"))
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close at once, or as soon as there is a socket."""
        self._aborted = True
        self._opened = None
        # There is none yet while it is being connected.
        if self._raw is not None:
            self._raw.abort()

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            # The alert that says why is in the outgoing buffer.
            self._flush()
            self._raw.close()
            self._settle(error)
            return
        self._flush()
        self._secured(self._served)
        self._settle(None)
        if self._incoming.pending:
            self._read()

    def _read(self) -> None:
        """Hand on what has arrived, and answer what TLS itself asks for."""
        super()._read()
        if self._outgoing.pending:
            self._flush()
        if self._on_session is not None and self._tls is not None:
            # Not sooner: with TLS 1.3 a session comes after the handshake.
            keep, self._on_session = self._on_session, None
            session = self._tls.session
            if session is not None:
                keep(session)

    def _settle(self, error: OSError | None) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened(error)
