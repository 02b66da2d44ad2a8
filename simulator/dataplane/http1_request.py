"""Request heads: read, checked, and encoded for a backend server. No I/O.

A client sends the same header lines again and again, so what they mean is kept apart from the
request line and may be shared: ``RequestHeaders`` is never changed once parsed.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from simulator.dataplane.http1 import (
    BLANKS,
    DIGITS,
    HEADER_BLOCK,
    HEADER_LINES,
    HOP_BY_HOP,
    Headers,
    LineMemo,
    canonical_block,
)

_REQUEST_LINE: Final = re.compile(
    rb"([A-Z_-]+) +([^\x00-\x20\x7f]+) +HTTP/([1-9]\d*)\.(\d{1,2}) *\r?\n"
)
_REQUEST_LINE_BEGUN: Final = re.compile(rb"[A-Z_-]*(?: +[^\x00-\x1f\x7f]*\r?)?")
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d*)?")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_LOOK_ALIKES: Final = b"content_length|transfer_encoding"
"""Gateways that spell names as CGI does read these as the true ones: they are not sent on.
Source: assumed (the reference server sends on no name with an underscore)."""
_SPECIAL_NAMES: Final = (
    HOP_BY_HOP + b"|host|content-length|expect|referer|user-agent|x-forwarded-for|" + _LOOK_ALIKES
)
_SPECIAL: Final = re.compile(rb"\n(" + _SPECIAL_NAMES + rb"):[ \t]*([^\r\n]*)", re.IGNORECASE)
_DROPPED: Final = re.compile(
    rb"^(?:" + HOP_BY_HOP + rb"|expect|" + _LOOK_ALIKES + rb"):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_FORWARDED_FOR: Final = re.compile(rb"^x-forwarded-for:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_FORWARDED_PROTO: Final = re.compile(rb"^x-forwarded-proto:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_HOST_LINE: Final = re.compile(rb"^host:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
_LINE_ENDED: Final = re.compile(rb"[\r\n]")
REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
"""Answered 405, and the connection is closed: what stands behind is read by nobody, whatever it is.
Source: observed (reference server; a CONNECT to an authority, or with a malformed head, is a 400).
A backend server would take what follows a CONNECT for a tunnel, not for the next request."""
_UPGRADE: Final = re.compile(
    rb"(?!h2c)[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[0-9A-Za-z.]+)?", re.IGNORECASE
)
"""A protocol that may be upgraded to: one, and not HTTP/2, whose requests nobody here would see.
Source: assumed (the vendor documents no upgrade; blb-api C10 tunnels WebSocket)."""
_NOT_NOMINATED: Final = frozenset(
    b"close keep-alive upgrade te host content-length content-type authorization cookie".split()
)
"""Names in a ``Connection`` header that remove nothing: hop-by-hop anyway, or not to be taken
away from the backend at a client's word."""

_MEMO_BLOCKS: Final = 512
_MEMO_BLOCK_BYTES: Final = 4096


class RequestHeaders:
    """What the header lines of a request say; shared by requests, never changed once parsed."""

    __slots__ = (
        "block",
        "chunked",
        "content_length",
        "expects_continue",
        "host",
        "keep_alive",
        "length",
        "referer",
        "refusal",
        "upgrade",
        "user_agent",
        "x_forwarded_for",
    )

    block: bytes
    """The header lines to send on, without the empty line; hop-by-hop headers are gone."""
    length: int
    """Bytes they took on the wire, with the empty line."""
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
    """The status they earn by themselves, 0 for none."""
    upgrade: bytes | None
    """The protocol the client asks to go on with; None when it does not, or may not."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.block = b""
        self.length = 0
        self.host = None
        self.content_length = None
        self.chunked = False
        self.keep_alive = keep_alive
        self.expects_continue = False
        self.referer = None
        self.user_agent = None
        self.x_forwarded_for = None
        self.refusal = 0
        self.upgrade = None

    def with_host(self, host: bytes, block: bytes) -> "RequestHeaders":
        """The same for another host."""
        copy = RequestHeaders(keep_alive=self.keep_alive)
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.host = host
        copy.block = block
        return copy


NO_HEADERS: Final = RequestHeaders(keep_alive=False)


class HeaderMemo:
    """Header blocks of HTTP/1.1 requests met before, and what they say."""

    __slots__ = ("_blocks", "_lines")

    def __init__(self) -> None:
        self._blocks: dict[bytes, RequestHeaders] = {}
        self._lines = LineMemo(frozenset(_SPECIAL_NAMES.split(b"|")))

    def holds(self, block: bytes) -> bool:
        """Whether this very block was met before."""
        return block in self._blocks

    def parse(self, raw: bytes, at: int) -> RequestHeaders:
        """Read the header lines of a head that begin at ``at``."""
        block = raw[at:]
        headers = self._blocks.get(block)
        if headers is not None:
            return headers
        added_count = self._lines.added_count
        special = self._lines.read(raw, at)
        if special is None:
            headers = _parse_headers(raw, at, 1)
        else:
            headers = RequestHeaders(keep_alive=True)
            headers.length = len(block)
            headers.block = block[:-2]
            if _take_special(headers, special, 1):
                headers.block = _DROPPED.sub(b"", headers.block)
        # A block with a new line may never come again: wait until it does.
        if (
            not headers.refusal
            and self._lines.added_count == added_count
            and len(block) <= _MEMO_BLOCK_BYTES
        ):
            if len(self._blocks) >= _MEMO_BLOCKS:
                self._blocks.clear()
            self._blocks[block] = headers
        return headers


class RequestHead:
    """A request's line and headers.

    ``refusal`` is the status the head earns by itself, 0 for none; the other values are then as
    far as they could be read, for the record.
    """

    __slots__ = ("headers", "length", "line", "method", "minor", "refusal", "target")

    method: bytes
    target: bytes
    """What is sent on: the origin form."""
    minor: int
    """0 or 1: HTTP/1.0 or HTTP/1.1."""
    line: bytes
    """The request line as received, without its line end."""
    length: int
    """Bytes the head took on the wire; 0 if the request line never parsed."""
    headers: RequestHeaders
    refusal: int

    def __init__(
        self,
        method: bytes = b"",
        target: bytes = b"",
        line: bytes = b"",
        length: int = 0,
        headers: RequestHeaders = NO_HEADERS,
    ) -> None:
        self.method = method
        self.target = target
        self.minor = 1
        self.line = line
        self.length = length
        self.headers = headers
        self.refusal = 0


def parse_request_head(
    raw: bytes, memo: HeaderMemo | None = None, *, allow_non_ascii: bool = False
) -> RequestHead:
    """Read a whole request head; what is wrong with it is in ``refusal``, never raised.

    Args:
        raw: from the first byte of the request line to the empty line.
        memo: header blocks met before; this one is added to it.
        allow_non_ascii: take bytes above 0x7F in the request line; they are sent on as they came.
    """
    match = _REQUEST_LINE.match(raw)
    if match is None:
        head = RequestHead(line=first_line(raw))
        head.refusal = 400
        return head
    method, target, major, minor = match.groups()
    block_at = match.end()
    head = RequestHead(method, target, raw[:block_at].rstrip(b"\r\n"), block_at)
    if major != b"1":
        head.refusal = 505 if target.startswith(b"/") else 400
        head.length = 0
        return head
    head.minor = 0 if minor.strip(b"0") == b"" else 1
    if memo is None or head.minor == 0:
        headers = _parse_headers(raw, block_at, head.minor)
    else:
        headers = memo.parse(raw, block_at)
    head.headers = headers
    head.length = block_at + headers.length
    head.refusal = headers.refusal
    if not head.refusal:
        _resolve_target(head)
        if not allow_non_ascii and not target.isascii():
            # Source: doc https://cloud.baidu.com/doc/BLB/s/Ymotqzfzu: refused by default. That
            # header values are not meant is assumed (the reference server takes them).
            head.refusal = 400
    return head


def _parse_headers(raw: bytes, at: int, minor: int) -> RequestHeaders:
    """Read the header lines of a head that begin at ``at``."""
    headers = RequestHeaders(keep_alive=minor == 1)
    if HEADER_BLOCK.fullmatch(raw, at) is None:
        lines = HEADER_LINES.match(raw, at)
        end = lines.end() if lines is not None else at
        headers.length = end - at
        _take_special(headers, _find_special(raw[at - 1 : end]), minor)
        headers.refusal = 400
        return headers
    headers.length = len(raw) - at
    headers.block = canonical_block(raw, at)
    # The line end before the block anchors the search for the first header.
    if _take_special(headers, _find_special(raw[at - 1 :]), minor):
        headers.block = _DROPPED.sub(b"", headers.block)
    return headers


def _find_special(lines: bytes) -> Headers:
    return [(name.lower(), value.rstrip(BLANKS)) for name, value in _SPECIAL.findall(lines)]


def _take_special(headers: RequestHeaders, special: Headers, minor: int) -> bool:
    """Take in the headers that mean something to a proxy.

    Returns:
        Whether there are any that must not be sent on.
    """
    hops: Headers = []
    for key, value in special:
        if key == b"host":
            _take_host(headers, value)
        elif key == b"user-agent":
            if headers.user_agent is None:
                headers.user_agent = value
        elif key == b"referer":
            if headers.referer is None:
                headers.referer = value
        elif key == b"x-forwarded-for":
            before = headers.x_forwarded_for
            headers.x_forwarded_for = value if before is None else before + b", " + value
        elif key == b"content-length":
            _take_content_length(headers, value)
        else:
            hops.append((key, value))
    if hops:
        _take_hop_by_hop(headers, hops, minor)
    return bool(hops)


def _take_hop_by_hop(headers: RequestHeaders, hops: Headers, minor: int) -> None:
    """Take in the headers that are for this hop, or for nobody."""
    nominated: list[bytes] = []
    upgrades: list[bytes] = []
    for key, value in hops:
        if key == b"connection":
            nominated.extend(part.strip(BLANKS).lower() for part in value.split(b","))
        elif key == b"transfer-encoding":
            _take_transfer_encoding(headers, value, minor)
        elif key == b"expect":
            headers.expects_continue = value.lower() == b"100-continue"
        elif key == b"upgrade":
            upgrades.append(value)
    if headers.chunked and headers.content_length is not None:
        headers.refusal = 400
    if nominated:
        _apply_connection(headers, nominated)
        if minor and len(upgrades) == 1 and b"upgrade" in nominated:
            _take_upgrade(headers, upgrades[0])


def _take_upgrade(headers: RequestHeaders, value: bytes) -> None:
    """A request with a body asks for no upgrade that anybody could follow."""
    if not headers.chunked and not headers.content_length and _UPGRADE.fullmatch(value):
        headers.upgrade = value


def _take_host(headers: RequestHeaders, value: bytes) -> None:
    match = _HOST.fullmatch(value)
    if match is None or headers.host is not None:
        headers.refusal = 400
    if headers.host is None:
        headers.host = match[1].lower() if match is not None else b""


def _take_content_length(headers: RequestHeaders, value: bytes) -> None:
    if headers.content_length is not None or DIGITS.fullmatch(value) is None:
        headers.refusal = 400
    else:
        headers.content_length = int(value)


def _take_transfer_encoding(headers: RequestHeaders, value: bytes, minor: int) -> None:
    if headers.chunked or minor == 0:
        headers.refusal = 400
    elif value.lower() != b"chunked":
        headers.refusal = headers.refusal or 501
    headers.chunked = True


def _apply_connection(headers: RequestHeaders, nominated: list[bytes]) -> None:
    if b"close" in nominated:
        headers.keep_alive = False
    elif b"keep-alive" in nominated:
        headers.keep_alive = True
    removed = {name for name in nominated if name and name not in _NOT_NOMINATED}
    if removed:
        lines = headers.block.splitlines(keepends=True)
        headers.block = b"".join(
            line for line in lines if line.partition(b":")[0].lower() not in removed
        )


def _resolve_target(head: RequestHead) -> None:
    """Bring the target into origin form and settle which host was asked for."""
    target, headers = head.target, head.headers
    host = headers.host
    if host is None and head.minor:
        head.refusal = 400
        return
    if target[0] != 0x2F:
        match = _ABSOLUTE.fullmatch(target)
        authority = _HOST.fullmatch(match[1]) if match is not None else None
        if match is None or authority is None or head.method == b"CONNECT":
            head.refusal = 400
            return
        path = match[2].partition(b"#")[0]
        head.target = path if path.startswith(b"/") else b"/" + path
        host = authority[1].lower()
        head.headers = headers.with_host(
            host, b"Host: " + match[1] + b"\r\n" + _HOST_LINE.sub(b"", headers.block)
        )
    if host == b"" or not _is_sound(head.target):
        head.refusal = 400
    elif head.method in REFUSED_METHODS:
        head.refusal = 405


def _is_sound(target: bytes) -> bool:
    """Whether the path can be decoded and stays below its root.

    Source: observed (the reference server answers 400 to the others).
    """
    path = target.partition(b"?")[0]
    if b"%" not in path and b"/.." not in path:
        return True
    if _BAD_ESCAPE.search(path) is not None:
        return False
    depth = 0
    for segment in unquote_to_bytes(path).split(b"/"):
        if segment == b"..":
            depth -= 1
            if depth < 0:
                return False
        elif segment not in (b"", b"."):
            depth += 1
    return True


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
    end = _LINE_ENDED.search(data)
    return data if end is None else data[: end.start()]


def encode_forwarded_head(
    head: RequestHead, *, backend_host: str, client_ip: str | None, proto: bytes | None = None
) -> bytes:
    """The head a backend server receives.

    Args:
        head: the client's.
        backend_host: the ``Host`` for a client that sent none.
        client_ip: appended to X-Forwarded-For; None when the listener does not add it.
        proto: in place of any X-Forwarded-Proto; None when the listener does not set it.
    """
    headers = head.headers
    block = encode_forwarded_block(headers, client_ip, proto)
    if headers.host is None:
        block = b"Host: %s\r\n%s" % (backend_host.encode(), block)
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (head.method, head.target, block)


def encode_forwarded_block(
    headers: RequestHeaders, client_ip: str | None, proto: bytes | None = None
) -> bytes:
    """The header lines of that head, without the empty line, for a client that named a host."""
    block = headers.block
    if client_ip is not None:
        if headers.x_forwarded_for is None:
            block += b"X-Forwarded-For: %s\r\n" % client_ip.encode()
        else:
            block = _FORWARDED_FOR.sub(b"", block)
            block += b"X-Forwarded-For: %s, %s\r\n" % (headers.x_forwarded_for, client_ip.encode())
    if proto is not None:
        block = b"%sX-Forwarded-Proto: %s\r\n" % (_FORWARDED_PROTO.sub(b"", block), proto)
    if headers.chunked:
        block += b"Transfer-Encoding: chunked\r\n"
    elif headers.upgrade is not None:
        block += b"Connection: Upgrade\r\nUpgrade: %s\r\n" % headers.upgrade
    return block
