"""As much of HTTP/1.1 framing as a sender and a toy server need: where does a message end?

It reads what well-behaved peers send and raises ``ProtocolError`` for the rest. It is not the
parser of the proxied path.
"""

import re
from typing import Final

from simulator.errors import ProtocolError

MAX_HEAD_BYTES: Final = 64 * 1024
_FRAMING_HEADERS: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|connection|expect)[ \t]*:[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_MAX_LINE_BYTES: Final = 8 * 1024


class Framing:
    """The headers of one message that say how it and its connection go on."""

    __slots__ = ("chunked", "close", "content_length", "expects_continue", "keep_alive")

    chunked: bool
    close: bool
    keep_alive: bool
    content_length: int | None
    expects_continue: bool

    def __init__(self, head: bytes) -> None:
        """``head`` is everything before the empty line, with the first line.

        Raises:
            ProtocolError: a content length that is not a number.
        """
        self.chunked = self.close = self.keep_alive = self.expects_continue = False
        self.content_length = None
        for name, value in _FRAMING_HEADERS.findall(head):
            # The four names differ in length, which spares lower-casing them.
            match len(name):
                case 14:
                    if not value.strip().isdigit():
                        raise ProtocolError(f"content length {value!r}", status_hint=400)
                    self.content_length = int(value)
                case 17:
                    self.chunked = value.strip().lower().endswith(b"chunked")
                case 10:
                    options = value.lower()
                    self.close = self.close or b"close" in options
                    self.keep_alive = self.keep_alive or b"keep-alive" in options
                case _:
                    self.expects_continue = value.strip().lower() == b"100-continue"


class BodyDiscard:
    """Finds the end of a body and throws its bytes away.

    Args:
        framing: the head's framing.
        until_close: without framing the body lasts until the connection ends (responses only).
        empty: there is no body whatever the framing says (answers to HEAD, 204, 304).
    """

    __slots__ = ("_in_trailer", "_line", "_remaining", "chunked", "done", "until_close")

    def __init__(self, framing: Framing, *, until_close: bool, empty: bool = False) -> None:
        self.chunked = framing.chunked
        self.until_close = (
            until_close and not empty and not framing.chunked and framing.content_length is None
        )
        self._remaining = 0 if framing.chunked else framing.content_length or 0
        self._line = b""
        self._in_trailer = False
        self.done = empty or not (self.chunked or self.until_close or self._remaining)

    def feed(self, data: bytes | bytearray, start: int = 0) -> int:
        """Take bytes of the body from ``data[start:]``; returns where the rest begins.

        Raises:
            ProtocolError: chunks that are not chunks.
        """
        if self.done:
            return start
        if self.until_close:
            return len(data)
        if not self.chunked:
            taken = min(self._remaining, len(data) - start)
            self._remaining -= taken
            self.done = self._remaining == 0
            return start + taken
        return self._feed_chunks(data, start)

    def _feed_chunks(self, data: bytes | bytearray, start: int) -> int:
        while start < len(data) and not self.done:
            if self._remaining:
                taken = min(self._remaining, len(data) - start)
                self._remaining -= taken
                start += taken
                continue
            line_end = data.find(b"\n", start)
            stop = len(data) if line_end < 0 else line_end
            self._line += data[start:stop]
            if len(self._line) > _MAX_LINE_BYTES:
                raise ProtocolError("a chunk line that does not end", status_hint=400)
            if line_end < 0:
                return len(data)
            start = line_end + 1
            self._end_line()
        return start

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), b""
        if self._in_trailer:
            self.done = not line
            return
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError as error:
            raise ProtocolError(f"chunk size {line[:40]!r}", status_hint=400) from error
        self._in_trailer = size == 0
        self._remaining = size + 2 if size else 0  # the data's own CRLF


def find_head(buffer: bytes | bytearray) -> int:
    """Where the first head in ``buffer`` ends (before its empty line); -1 when not yet there.

    Raises:
        ProtocolError: the head is too long.
    """
    end = buffer.find(b"\r\n\r\n")
    if end > MAX_HEAD_BYTES or (end < 0 and len(buffer) > MAX_HEAD_BYTES):
        raise ProtocolError("a head that does not end", status_hint=431)
    return end
