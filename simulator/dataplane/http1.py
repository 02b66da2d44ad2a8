"""HTTP/1 messages: heads and chunked bodies, from bytes to values and back. No I/O.

The parser is our own because the record needs what parsing libraries hide: the request line as
received, the exact number of bytes each message took, and the acceptances of the server the real
layer 7 is derived from. Heads are checked as a whole and forwarded verbatim where nothing has to
change; chunked bodies are decoded and framed anew, so no framing passes through unread.

Source: RFC 9112; what is refused with which status: measured on the reference server.
"""

import re
from typing import Final

from simulator.errors import BackendProtocolError, ClientProtocolError

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rb"([A-Z_-]+) +([^\x00-\x20\x7f]+) +HTTP/(\d+)\.(\d+) *\r?\n")
_REQUEST_LINE_BEGUN: Final = re.compile(rb"[A-Z_-]*(?: +[^\x00-\x1f\x7f]*\r?)?")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.(\d) (\d{3})(?: [^\x00\r\n]*)?\r?\n")
_BLOCK: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00\r\n]*\r?\n)*\r?\n")
_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00\r\n]*\r?\n)*")
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d*)?")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_LINE_END: Final = re.compile(rb"\r?\n")
_DIGITS: Final = re.compile(rb"\d{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?\r?\n")

_HOP_BY_HOP: Final = b"connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade"
_REQUEST_SPECIAL: Final = re.compile(
    rb"\n(" + _HOP_BY_HOP + rb"|host|content-length|expect|referer|user-agent|x-forwarded-for)"
    rb":[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_RESPONSE_SPECIAL: Final = re.compile(
    rb"\n(" + _HOP_BY_HOP + rb"|content-length):[ \t]*([^\r\n]*)", re.IGNORECASE
)
_REQUEST_DROPPED: Final = re.compile(
    rb"^(?:" + _HOP_BY_HOP + rb"|expect):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
_RESPONSE_DROPPED: Final = re.compile(
    rb"^(?:" + _HOP_BY_HOP + rb"):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
_FORWARDED_FOR: Final = re.compile(rb"^x-forwarded-for:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_HOST_LINE: Final = re.compile(rb"^host:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_NOT_NOMINATED: Final = frozenset(
    b"close keep-alive upgrade te host content-length content-type authorization cookie".split()
)
"""Names in a ``Connection`` header that remove nothing: hop-by-hop anyway, or not to be taken
away from the backend at a client's word."""

MAX_TRAILER_BYTES: Final = 8192


def find_head_end(data: bytes) -> int:
    """The length of the head at the start of ``data``, its empty line included; -1 if incomplete.

    A line may end in a bare LF.
    """
    crlf = data.find(b"\n\r\n")
    lf = data.find(b"\n\n", 0, crlf + 1 if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else -1


class RequestHead:
    """A request's line and headers.

    ``refusal`` is the status the head earns by itself, 0 for none; the other values are then as
    far as they could be read, for the record.
    """

    __slots__ = (
        "block",
        "chunked",
        "content_length",
        "expects_continue",
        "host",
        "keep_alive",
        "length",
        "line",
        "method",
        "minor",
        "referer",
        "refusal",
        "target",
        "user_agent",
        "x_forwarded_for",
    )

    method: bytes
    target: bytes
    """What is sent on: the origin form."""
    minor: int
    """0 or 1: HTTP/1.0 or HTTP/1.1."""
    line: bytes
    """The request line as received, without its line end."""
    block: bytes
    """The header lines to send on, without the empty line; hop-by-hop headers are gone."""
    length: int
    """Bytes the head took on the wire; 0 if the request line never parsed."""
    host: bytes | None
    """Lower case, without port."""
    content_length: int | None
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    referer: bytes | None
    user_agent: bytes | None
    x_forwarded_for: bytes | None
    refusal: int

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.minor = 1
        self.line = b""
        self.block = b""
        self.length = 0
        self.host = None
        self.content_length = None
        self.chunked = False
        self.keep_alive = True
        self.expects_continue = False
        self.referer = None
        self.user_agent = None
        self.x_forwarded_for = None
        self.refusal = 0


def parse_request_head(raw: bytes) -> RequestHead:
    """Read a whole request head; what is wrong with it is in ``refusal``, never raised."""
    head = RequestHead()
    match = _REQUEST_LINE.match(raw)
    if match is None:
        head.line = first_line(raw)
        head.refusal = 400
        return head
    method, target, major, minor = match.groups()
    block_at = match.end()
    head.line = raw[:block_at].rstrip(b"\r\n")
    head.method = method
    head.target = target
    head.length = block_at
    if major != b"1":
        head.refusal = 505
        return head
    head.minor = 0 if minor.strip(b"0") == b"" else 1
    head.keep_alive = head.minor == 1
    if _BLOCK.fullmatch(raw, block_at) is None:
        head.refusal = 400
        lines = _LINES.match(raw, block_at)
        end = lines.end() if lines is not None else block_at
        head.length = end
        _read_special(head, raw[block_at - 1 : end])
        head.refusal = 400
        return head
    head.length = len(raw)
    head.block = _canonical_block(raw, block_at)
    # The line end before the block anchors the search for the first header.
    if _read_special(head, raw[block_at - 1 :]):
        head.block = _REQUEST_DROPPED.sub(b"", head.block)
    if not head.refusal:
        _resolve_target(head)
    return head


def _canonical_block(raw: bytes, at: int) -> bytes:
    """The header lines of a head without its empty line, every line ended by CR LF."""
    block = raw[at : -2 if raw.endswith(b"\r\n") else -1]
    if block.count(b"\n") != block.count(b"\r\n"):
        block = _LINE_END.sub(b"\r\n", block)
    return block


def _read_special(head: RequestHead, lines: bytes) -> bool:
    """Take in the headers that mean something to a proxy.

    Returns:
        Whether there are any that must not be sent on.
    """
    drop = False
    nominated: list[bytes] = []
    for name, raw_value in _REQUEST_SPECIAL.findall(lines):
        key = name.lower()
        value = raw_value.rstrip()
        if key == b"host":
            _take_host(head, value)
        elif key == b"user-agent":
            if head.user_agent is None:
                head.user_agent = value
        elif key == b"referer":
            if head.referer is None:
                head.referer = value
        elif key == b"x-forwarded-for":
            before = head.x_forwarded_for
            head.x_forwarded_for = value if before is None else before + b", " + value
        elif key == b"content-length":
            _take_content_length(head, value)
        else:
            drop = True
            if key == b"connection":
                nominated.extend(part.strip().lower() for part in value.split(b","))
            elif key == b"transfer-encoding":
                _take_transfer_encoding(head, value)
            elif key == b"expect":
                head.expects_continue = value.lower() == b"100-continue"
    if head.chunked and head.content_length is not None:
        head.refusal = 400
    if nominated:
        _apply_connection(head, nominated)
    return drop


def _take_host(head: RequestHead, value: bytes) -> None:
    match = _HOST.fullmatch(value)
    if match is None or head.host is not None:
        head.refusal = 400
    if head.host is None:
        head.host = match[1].lower() if match is not None else b""


def _take_content_length(head: RequestHead, value: bytes) -> None:
    if head.content_length is not None or _DIGITS.fullmatch(value) is None:
        head.refusal = 400
    else:
        head.content_length = int(value)


def _take_transfer_encoding(head: RequestHead, value: bytes) -> None:
    if head.chunked or head.minor == 0:
        head.refusal = 400
    elif value.lower() != b"chunked":
        head.refusal = head.refusal or 501
    head.chunked = True


def _apply_connection(head: RequestHead, nominated: list[bytes]) -> None:
    if b"close" in nominated:
        head.keep_alive = False
    elif b"keep-alive" in nominated:
        head.keep_alive = True
    for name in nominated:
        if name and name not in _NOT_NOMINATED:
            head.block = _header_line(name).sub(b"", head.block)


def _header_line(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"^" + re.escape(name) + rb":[^\n]*\n", re.IGNORECASE | re.MULTILINE)


def _resolve_target(head: RequestHead) -> None:
    """Bring the target into origin form and settle which host was asked for."""
    target = head.target
    if target[0] != 0x2F:
        match = _ABSOLUTE.fullmatch(target)
        authority = _HOST.fullmatch(match[1]) if match is not None else None
        if match is None or authority is None or head.method == b"CONNECT":
            head.refusal = 400
            return
        path = match[2].partition(b"#")[0]
        head.target = path if path.startswith(b"/") else b"/" + path
        head.host = authority[1].lower()
        head.block = b"Host: " + match[1] + b"\r\n" + _HOST_LINE.sub(b"", head.block)
    if head.host is None:
        if head.minor == 1:
            head.refusal = 400
    elif head.host == b"" or not target.isascii():
        head.refusal = 400
    if not target.isascii():
        # Source: doc https://cloud.baidu.com/doc/BLB/s/Ymotqzfzu: refused by default.
        head.refusal = 400


def check_request_begun(data: bytes, *, line_limit: int, head_limit: int) -> int:
    """The status an incomplete head already earns; 0 while it may still become a request."""
    line_end = data.find(b"\n")
    if line_end < 0:
        if _REQUEST_LINE_BEGUN.fullmatch(data) is None:
            return 400
        return 414 if len(data) > line_limit else 0
    if line_end > line_limit:
        return 414
    match = _REQUEST_LINE.match(data)
    if match is None:
        return 400
    return 400 if len(data) > head_limit + line_end else 0


def first_line(data: bytes) -> bytes:
    """What a record shows of bytes that are no request: up to the first CR or LF."""
    for index, byte in enumerate(data):
        if byte in (0x0A, 0x0D):
            return data[:index]
    return data


def encode_forwarded_head(
    head: RequestHead, *, backend_host: str, client_ip: str | None, chunked: bool
) -> bytes:
    """The head a backend server receives.

    Args:
        head: the client's.
        backend_host: the ``Host`` for a client that sent none.
        client_ip: appended to X-Forwarded-For; None when the listener does not add it.
        chunked: whether the body follows in chunks.
    """
    block = head.block
    if client_ip is not None:
        if head.x_forwarded_for is None:
            block += b"X-Forwarded-For: %s\r\n" % client_ip.encode()
        else:
            block = _FORWARDED_FOR.sub(b"", block)
            block += b"X-Forwarded-For: %s, %s\r\n" % (head.x_forwarded_for, client_ip.encode())
    if head.host is None:
        block = b"Host: %s\r\n%s" % (backend_host.encode(), block)
    if chunked:
        block += b"Transfer-Encoding: chunked\r\n"
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (head.method, head.target, block)


class ResponseHead:
    """A backend server's status line and headers."""

    __slots__ = ("block", "chunked", "content_length", "keep_alive", "status", "status_text")

    status: int
    status_text: bytes
    """Everything after the version: ``200 OK``."""
    block: bytes
    """The header lines to send on, without the empty line."""
    content_length: int | None
    chunked: bool
    keep_alive: bool
    """Whether the connection may be used again."""

    def __init__(self, status: int, status_text: bytes) -> None:
        self.status = status
        self.status_text = status_text
        self.block = b""
        self.content_length = None
        self.chunked = False
        self.keep_alive = True


def parse_response_head(raw: bytes) -> ResponseHead:
    """Read a whole response head.

    Raises:
        BackendProtocolError: headers that contradict each other or are no headers.
    """
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise BackendProtocolError("the status line is not HTTP/1.x", status_hint=502)
    at = match.end()
    if _BLOCK.fullmatch(raw, at) is None:
        raise BackendProtocolError("a header line is malformed", status_hint=502)
    head = ResponseHead(int(match[2]), raw[match.start(2) : at].rstrip())
    head.keep_alive = match[1] != b"0"
    head.block = _canonical_block(raw, at)
    drop = False
    for name, raw_value in _RESPONSE_SPECIAL.findall(raw, at - 1):
        key = name.lower()
        value = raw_value.rstrip()
        if key == b"content-length":
            if head.content_length is not None or _DIGITS.fullmatch(value) is None:
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
        head.block = _RESPONSE_DROPPED.sub(b"", head.block)
    return head


def begins_like_a_response(data: bytes) -> bool:
    """Whether ``data`` may still become a status line."""
    prefix = b"HTTP/1."
    return data.startswith(prefix) if len(data) >= len(prefix) else prefix.startswith(data)


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
            elif self._trailer_bytes > MAX_TRAILER_BYTES or _LINES.fullmatch(line) is None:
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
