"""Bodies that are too large to be kept in memory until their client has read them."""

from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Final

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

MAX_IN_MEMORY_BYTES: Final = 2 * 1024 * 1024
"""Of a body that is kept in memory."""
_PIECE_BYTES: Final = 256 * 1024


class SpooledBody(Payload):
    """A body in pieces, the large ones in files; sent as its client takes it.

    Args:
        pieces: one after the other; files are closed with it.
    """

    def __init__(self, pieces: Sequence[bytes | IO[bytes]]) -> None:
        super().__init__(None)
        self._pieces = pieces
        self._size = sum(len(one) if isinstance(one, bytes) else one.seek(0, 2) for one in pieces)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it."""
        try:
            for piece in self._pieces:
                if isinstance(piece, bytes):
                    await writer.write(piece)
                    continue
                piece.seek(0)
                while block := piece.read(_PIECE_BYTES):
                    await writer.write(block)
        finally:
            self._close()

    def whole(self) -> bytes:
        """All of it, in memory."""
        found = bytearray()
        for piece in self._pieces:
            if isinstance(piece, bytes):
                found += piece
            else:
                piece.seek(0)
                found += piece.read()
        return bytes(found)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """All of it as text."""
        return self.whole().decode(encoding, errors)

    def _close(self) -> None:
        for piece in self._pieces:
            if not isinstance(piece, bytes):
                piece.close()

    def __del__(self) -> None:
        with suppress(OSError):  # nobody has sent it
            self._close()


def spooled(body: bytes) -> bytes | SpooledBody:
    """``body``, or the same in a file if it is large."""
    if len(body) <= MAX_IN_MEMORY_BYTES:
        return body
    file = TemporaryFile()  # noqa: SIM115  # closed once it is sent
    file.write(body)
    return SpooledBody([file])
