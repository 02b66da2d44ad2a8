"""Chunked bodies, taken apart as they arrive and framed anew. No I/O.

Source: RFC 9112 section 7.1.
"""

import re
from typing import Final

from simulator.dataplane.http1 import HEADER_LINES
from simulator.errors import BackendProtocolError, ClientProtocolError

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?\r?\n")

MAX_TRAILER_BYTES: Final = 8192


def encode_chunk(data: bytes) -> bytes:
    """``data`` as one chunk; ``data`` must not be empty."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK: Final = b"0\r\n\r\n"


class ChunkDecoder:
    """Takes a chunked body apart as it arrives; extensions and trailers are dropped."""

    __slots__ = ("_carry", "_error", "_in_trailer", "_remaining", "_trailer_bytes", "done")

    def __init__(self, error: type[ClientProtocolError] | type[BackendProtocolError]) -> None:
        self._error = error
        self._carry = b""
        self._remaining = -1
        """Bytes left of the current chunk's data; -1 before a size line, 0 before its line end."""
        self._in_trailer = False
        self._trailer_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Take in more of the body.

        Returns:
            The data among it, and how many bytes of ``data`` belong to this body (all of them
            unless ``done`` is now true).

        Raises:
            ClientProtocolError | BackendProtocolError: as given to the constructor.
        """
        carried = len(self._carry)
        if carried:
            data = self._carry + data
            self._carry = b""
        pieces: list[bytes] = []
        at = 0
        size = len(data)
        while not self.done and at < size:
            if self._remaining > 0:
                piece = data[at : at + self._remaining]
                pieces.append(piece)
                at += len(piece)
                self._remaining -= len(piece)
                continue
            line_end = data.find(b"\n", at)
            if line_end < 0:
                self._check_partial(data[at:])
                self._carry = data[at:]
                at = size
                break
            self._take_line(data[at : line_end + 1])
            at = line_end + 1
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), at - carried

    def _check_partial(self, line: bytes) -> None:
        if self._remaining == 0 and line != b"\r":
            raise self._error("chunk data is longer than its size", status_hint=400)
        if len(line) > MAX_TRAILER_BYTES:
            raise self._error("a line of the chunked body is too long", status_hint=400)

    def _take_line(self, line: bytes) -> None:
        if self._in_trailer:
            self._trailer_bytes += len(line)
            if line in (b"\r\n", b"\n"):
                self.done = True
            elif self._trailer_bytes > MAX_TRAILER_BYTES or HEADER_LINES.fullmatch(line) is None:
                raise self._error("the trailer is malformed or too long", status_hint=400)
        elif self._remaining == 0:
            if line not in (b"\r\n", b"\n"):
                raise self._error("chunk data is longer than its size", status_hint=400)
            self._remaining = -1
        else:
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise self._error("a chunk size is not hexadecimal", status_hint=400)
            self._remaining = int(match[1], 16)
            if self._remaining == 0:
                self._remaining = -1
                self._in_trailer = True
