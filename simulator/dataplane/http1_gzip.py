"""Compressed JSON responses: which are compressed, what becomes of their heads and bodies. No I/O.

Source: the vendor's API metadata for ``gzipJson``; observed (reference server with gzip on) for
what is compressed and how; that only ``application/json`` is meant is assumed.
"""

import re
import zlib
from typing import Final

from simulator.dataplane.http1_request import RequestHead
from simulator.dataplane.http1_response import ResponseHead

_STATUSES: Final = frozenset({200, 403, 404})
_LEAST_BYTES: Final = 20
_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31
"""A window of 2**15 bytes, and gzip's header and trailer around it."""
_MEMORY_LEVEL: Final = 9
_PIECE_BYTES: Final = 4096
"""Less is kept for the next chunk."""
_ACCEPT_ENCODING: Final = re.compile(
    rb"^accept-encoding:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_GZIP: Final = re.compile(rb"(?:^|(?<=[, ]))gzip", re.IGNORECASE)
_WANTED: Final = re.compile(
    rb" *(?:,|$|; *(?:$|q=(?:1(?:\.0{0,3})?|0\.(?=\d*[1-9])\d{1,3})(?:[, ]|$)))", re.IGNORECASE
)
_VIA: Final = re.compile(rb"^via:", re.IGNORECASE | re.MULTILINE)
_CONTENT_TYPE: Final = re.compile(
    rb"^content-type:[ \t]*([^\r\n;]*)(;?)", re.IGNORECASE | re.MULTILINE
)
_ENCODED: Final = re.compile(rb"^content-encoding:[ \t]*[^\s]", re.IGNORECASE | re.MULTILINE)
_DROPPED: Final = re.compile(
    rb"^(?:(?:content-length|accept-ranges):|etag:(?![ \t]*(?:W/|\")))[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_STRONG_TAG: Final = re.compile(rb"^(etag:[ \t]*)\"", re.IGNORECASE | re.MULTILINE)


class GzipBody:
    """The body of one response on its way through the compressor."""

    __slots__ = ("_compressor", "_flushes", "_held")

    def __init__(self, *, flushes: bool) -> None:
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW, _MEMORY_LEVEL)
        self._flushes = flushes
        self._held = b""

    def compress(self, data: bytes) -> bytes:
        """What can be sent when ``data`` has arrived; may be empty."""
        made = self._held + self._compressor.compress(data)
        if self._flushes:
            made += self._compressor.flush(zlib.Z_SYNC_FLUSH)
        elif len(made) < _PIECE_BYTES:
            self._held = made
            return b""
        self._held = b""
        return made

    def finish(self) -> bytes:
        """All that is left to send; never empty."""
        return self._held + self._compressor.flush()


def is_compressed(request: RequestHead, head: ResponseHead) -> bool:
    """Whether the client gets this response compressed, if it has a body at all."""
    length = head.content_length
    if (
        head.status not in _STATUSES
        or request.minor == 0
        or (length is not None and length < _LEAST_BYTES)
    ):
        return False
    types = _CONTENT_TYPE.findall(head.block)
    if not types:
        return False
    value, more = types[-1]
    if (value if more else value.rstrip(b" \t")).lower() != b"application/json":
        return False
    lines = request.headers.block
    return (
        _ENCODED.search(head.block) is None and _VIA.search(lines) is None and _accepts_gzip(lines)
    )


def encode_compressed_head(head: ResponseHead, end: bytes) -> bytes:
    """The head a client receives in front of a compressed body; ``end`` are further lines."""
    block = _STRONG_TAG.sub(rb'\1W/"', _DROPPED.sub(b"", head.block))
    return b"HTTP/1.1 %s\r\n%s%sContent-Encoding: gzip\r\n\r\n" % (head.status_text, block, end)


def _accepts_gzip(lines: bytes) -> bool:
    """Whether the first Accept-Encoding names gzip; its first mention decides."""
    header = _ACCEPT_ENCODING.search(lines)
    if header is None:
        return False
    value = header[1].rstrip(b" \t")
    name = _GZIP.search(value)
    return name is not None and _WANTED.match(value, name.end()) is not None
