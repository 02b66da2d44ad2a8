"""Response heads of backend servers: read, checked, and encoded for the client. No I/O."""

import re
from typing import Final

from simulator.dataplane.http1 import (
    BLANKS,
    DIGITS,
    HEADER_BLOCK,
    HOP_BY_HOP,
    Headers,
    LineMemo,
    canonical_block,
)
from simulator.errors import BackendProtocolError

CLOSE: Final = b"Connection: close\r\n"
"""The header line that ends a connection."""
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.(\d) (\d{3})( [^\x00\r\n]*)?\r?\n")
_SPECIAL_NAMES: Final = HOP_BY_HOP + b"|content-length|x-accel-buffering"
_SPECIAL: Final = re.compile(rb"\n(" + _SPECIAL_NAMES + rb"):[ \t]*([^\r\n]*)", re.IGNORECASE)
_DROPPED: Final = re.compile(
    rb"^(?:" + HOP_BY_HOP + rb"|x-accel-buffering):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
_BUFFERING: Final = {b"yes": True, b"no": False}
_NO_BODY_STATUS: Final = frozenset({204, 304})


class ResponseHead:
    """A backend server's status line and headers; not changed once parsed."""

    __slots__ = (
        "block",
        "buffering",
        "chunked",
        "content_length",
        "has_body",
        "keep_alive",
        "status",
        "status_text",
        "upgrade",
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
    buffering: bool | None
    """What ``X-Accel-Buffering`` says in place of the listener's ``proxy_buffering``; None if
    nothing. It is not sent on.
    Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (2025-05-29)."""
    upgrade: bytes
    """The protocol a 101 goes on with; empty without one."""

    def __init__(self, status: int, status_text: bytes) -> None:
        self.status = status
        self.status_text = status_text
        self.block = b""
        self.content_length = None
        self.chunked = False
        self.keep_alive = True
        self.buffering = None
        self.upgrade = b""
        self.has_body = status >= 200 and status not in _NO_BODY_STATUS


def make_response_memo() -> LineMemo:
    """A memo for ``parse_response_head``."""
    return LineMemo(frozenset(_SPECIAL_NAMES.split(b"|")))


def parse_response_head(raw: bytes, memo: LineMemo | None = None) -> ResponseHead:
    """Read a whole response head.

    Args:
        raw: from the status line to the empty line.
        memo: lines met before; those of this head are added to it.

    Raises:
        BackendProtocolError: headers that contradict each other or are no headers.
    """
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise BackendProtocolError("the status line is not HTTP/1.x", status_hint=502)
    at = match.end()
    status = int(match[2])
    if status < 100:
        raise BackendProtocolError("the status is below 100", status_hint=502)
    head = ResponseHead(status, match[2] + (match[3] or b" "))
    # What follows an interim response is never read: the reference server takes it for the final
    # one. Source: observed (reference server).
    head.keep_alive = match[1] != b"0" and status >= 200
    special = memo.read(raw, at) if memo is not None else None
    if special is not None:
        head.block = raw[at:-2]
    elif HEADER_BLOCK.fullmatch(raw, at) is None:
        raise BackendProtocolError("a header line is malformed", status_hint=502)
    else:
        head.block = canonical_block(raw, at)
        special = [
            (name.lower(), value.rstrip(BLANKS)) for name, value in _SPECIAL.findall(raw, at - 1)
        ]
    if _take_special(head, special):
        head.block = _DROPPED.sub(b"", head.block)
    return head


def _take_special(head: ResponseHead, special: Headers) -> bool:
    """Take in the headers that mean something to a proxy.

    Returns:
        Whether there are any that must not be sent on.
    """
    drop = False
    for key, value in special:
        if key == b"content-length":
            if head.content_length is not None or DIGITS.fullmatch(value) is None:
                raise BackendProtocolError(
                    "Content-Length is doubled or no number", status_hint=502
                )
            head.content_length = int(value)
            continue
        drop = True
        if key == b"upgrade":
            head.upgrade = value
        elif key == b"connection":
            tokens = [part.strip(BLANKS).lower() for part in value.split(b",")]
            if b"close" in tokens:
                head.keep_alive = False
            elif b"keep-alive" in tokens:
                head.keep_alive = head.status >= 200
        elif key == b"transfer-encoding":
            if head.chunked or value.lower() != b"chunked":
                raise BackendProtocolError("Transfer-Encoding is not chunked", status_hint=502)
            head.chunked = True
        elif key == b"x-accel-buffering":
            head.buffering = _BUFFERING.get(value.lower(), head.buffering)
    if head.chunked and head.content_length is not None:
        raise BackendProtocolError("both Content-Length and Transfer-Encoding", status_hint=502)
    return drop


def begins_like_a_response(data: bytes) -> bool:
    """Whether ``data`` may still become a status line."""
    prefix = b"HTTP/1."
    return data.startswith(prefix) if len(data) >= len(prefix) else prefix.startswith(data)


def encode_response_head(head: ResponseHead, end: bytes = b"") -> bytes:
    """The head a client receives; ``end`` are further header lines."""
    return b"HTTP/1.1 %s\r\n%s%s\r\n" % (head.status_text, head.block, end)
