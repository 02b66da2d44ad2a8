"""Response heads of backend servers: read, checked, and encoded for the client. No I/O."""

import re
from typing import Final

from simulator.dataplane.http1 import DIGITS, HEADER_BLOCK, HOP_BY_HOP, canonical_block
from simulator.errors import BackendProtocolError

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.(\d) (\d{3})(?: [^\x00\r\n]*)?\r?\n")
_SPECIAL: Final = re.compile(
    rb"\n(" + HOP_BY_HOP + rb"|content-length):[ \t]*([^\r\n]*)", re.IGNORECASE
)
_DROPPED: Final = re.compile(rb"^(?:" + HOP_BY_HOP + rb"):[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_NO_BODY_STATUS: Final = frozenset({204, 304})


class ResponseHead:
    """A backend server's status line and headers; not changed once parsed."""

    __slots__ = (
        "block",
        "chunked",
        "content_length",
        "has_body",
        "keep_alive",
        "status",
        "status_text",
    )

    status: int
    status_text: bytes
    """Everything after the version: ``200 OK``."""
    block: bytes
    """The header lines to send on, without the empty line."""
    content_length: int | None
    chunked: bool
    keep_alive: bool
    """Whether the connection may be used again."""
    has_body: bool
    """Whether one follows, unless the request was HEAD."""

    def __init__(self, status: int, status_text: bytes) -> None:
        self.status = status
        self.status_text = status_text
        self.block = b""
        self.content_length = None
        self.chunked = False
        self.keep_alive = True
        self.has_body = status >= 200 and status not in _NO_BODY_STATUS


def parse_response_head(raw: bytes) -> ResponseHead:
    """Read a whole response head.

    Raises:
        BackendProtocolError: headers that contradict each other or are no headers.
    """
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise BackendProtocolError("the status line is not HTTP/1.x", status_hint=502)
    at = match.end()
    if HEADER_BLOCK.fullmatch(raw, at) is None:
        raise BackendProtocolError("a header line is malformed", status_hint=502)
    head = ResponseHead(int(match[2]), raw[match.start(2) : at].rstrip())
    head.keep_alive = match[1] != b"0"
    head.block = canonical_block(raw, at)
    drop = False
    for name, raw_value in _SPECIAL.findall(raw, at - 1):
        key = name.lower()
        value = raw_value.rstrip()
        if key == b"content-length":
            if head.content_length is not None or DIGITS.fullmatch(value) is None:
                raise BackendProtocolError(
                    "Content-Length is doubled or no number", status_hint=502
                )
            head.content_length = int(value)
            continue
        drop = True
        if key == b"connection":
            tokens = [part.strip().lower() for part in value.split(b",")]
            if b"close" in tokens:
                head.keep_alive = False
            elif b"keep-alive" in tokens:
                head.keep_alive = True
        elif key == b"transfer-encoding":
            if head.chunked or value.strip().lower() != b"chunked":
                raise BackendProtocolError("Transfer-Encoding is not chunked", status_hint=502)
            head.chunked = True
    if head.chunked and head.content_length is not None:
        raise BackendProtocolError("both Content-Length and Transfer-Encoding", status_hint=502)
    if drop:
        head.block = _DROPPED.sub(b"", head.block)
    return head


def begins_like_a_response(data: bytes) -> bool:
    """Whether ``data`` may still become a status line."""
    prefix = b"HTTP/1."
    return data.startswith(prefix) if len(data) >= len(prefix) else prefix.startswith(data)


def encode_response_head(head: ResponseHead, end: bytes = b"") -> bytes:
    """The head a client receives; ``end`` are further header lines."""
    return b"HTTP/1.1 %s\r\n%s%s\r\n" % (head.status_text, head.block, end)
