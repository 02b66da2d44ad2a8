"""Heads met before on a connection, to recognise the next one by comparing bytes. No I/O.

Clients repeat their header lines with every request and backend servers repeat theirs, the Date
apart. A head is recognised only where parsing it would give the same, so nothing goes unchecked.
"""

import re
from typing import Final

from simulator.dataplane.http1_request import (
    REFUSED_METHODS,
    RequestHead,
    RequestHeaders,
    encode_forwarded_block,
    parse_request_head,
)
from simulator.dataplane.http1_response import CLOSE, ResponseHead, encode_response_head

_PLAIN_LINE: Final = re.compile(rb"([A-Z_-]+) (/[\x21-\x24\x26-\x3e\x40-\x7e]*(?:\?[\x21-\x7e]*)?)")
"""The common request line up to its version: one that is sent on as it came. Nothing in its path
needs decoding."""
_PLAIN_VERSION: Final = b" HTTP/1.1\r\n"
_VALUE: Final = re.compile(rb"[^\x00\r\n]*")
_CLIENT: Final = b"\x00"
"""Stands for a client's address. No header has this byte."""
_ANY_VALUE: Final = b" \x01any\x01"
_MOST: Final = 512
_LONGEST: Final = 4096
"""Bytes of a head worth remembering."""


class KnownRequest:
    """A header block met before, to recognise the next request by.

    ``recognise`` gives what ``find_head_end``, ``parse_request_head`` and
    ``encode_forwarded_head`` would, for a request that differs in method and target only.
    """

    __slots__ = ("_of", "_sent", "_tail", "headers")

    def __init__(
        self, of: "KnownRequests", headers: RequestHeaders, block: bytes, sent: tuple[bytes, ...]
    ) -> None:
        self._of = of
        self.headers = headers
        self._tail = _PLAIN_VERSION + block
        self._sent = (_PLAIN_VERSION + sent[0], *sent[1:])
        """What is sent on for it, in front of the client's address and behind it."""

    def recognise(
        self, data: bytes, of: "KnownRequests", client_ip: str
    ) -> tuple[RequestHead, bytes] | None:
        """The head that ``data`` is as a whole, and what to send for it.

        Returns:
            None if it may differ from what parsing it gives, or if this is not one ``of`` those.
        """
        tail = self._tail
        if of is not self._of or not data.endswith(tail):
            return None
        line_end = len(data) - len(tail)
        head = _read_line(data, line_end, of, self.headers)
        if head is None:
            return None
        sent = self._sent
        if len(sent) == 1:
            return head, data[:line_end] + sent[0]
        return head, b"%s%s%s%s" % (data[:line_end], sent[0], client_ip.encode(), sent[1])


class VaryingRequest:
    """The same for a block in which the value of one header differs from request to request.

    It is a header that means nothing to a proxy, like a trace id.
    """

    __slots__ = ("_after", "_before", "_of", "_sent", "headers")

    def __init__(
        self,
        of: "KnownRequests",
        headers: RequestHeaders,
        around: tuple[bytes, bytes],
        sent: tuple[bytes, ...],
    ) -> None:
        self._of = of
        self.headers = headers
        self._before = _PLAIN_VERSION + around[0]
        self._after = around[1]
        self._sent = (_PLAIN_VERSION + sent[0], *sent[1:])
        """What is sent on for it, around the value and around the client's address."""

    def recognise(
        self, data: bytes, of: "KnownRequests", client_ip: str
    ) -> tuple[RequestHead, bytes] | None:
        """As ``KnownRequest.recognise``."""
        before, after = self._before, self._after
        if of is not self._of or not data.endswith(after):
            return None
        line_end = data.find(_PLAIN_VERSION)
        value_end = len(data) - len(after)
        if (
            line_end < 0
            or not data.startswith(before, line_end)
            or _VALUE.fullmatch(data, line_end + len(before), value_end) is None
        ):
            return None
        value = data[line_end + len(before) : value_end]
        head = _read_line(data, line_end, of, self.headers)
        if head is None:
            return None
        sent = self._sent
        if len(sent) == 2:
            return head, b"%s%s%s%s" % (data[:line_end], sent[0], value, sent[1])
        parts = (data[:line_end], sent[0], value, sent[1], client_ip.encode(), sent[2])
        return head, b"%s%s%s%s%s%s" % parts


def _read_line(
    data: bytes, line_end: int, of: "KnownRequests", headers: RequestHeaders
) -> RequestHead | None:
    """The head that ``data`` is if its line, up to its version, is a plain one."""
    match = _PLAIN_LINE.fullmatch(data, 0, line_end)
    size = len(data)
    if match is None or line_end > of.line_bytes or size > of.head_bytes:
        return None
    method, target = match.groups()
    if method in REFUSED_METHODS or b"/." in target:
        return None
    return RequestHead(method, target, data[: line_end + 9], size, headers)


class KnownRequests:
    """The header blocks that clients of one listener repeat.

    Args:
        adds_client_ip: it appends the client's address to X-Forwarded-For.
        proto: what it sets X-Forwarded-Proto to; None when it does not.
        line_limit: bytes a request line may have.
        head_limit: bytes a head may have.
        reads_others: headers mean something to it that mean nothing to others: a cookie, say, or
            Accept-Encoding.
    """

    __slots__ = (
        "_adds_client_ip",
        "_blocks",
        "_proto",
        "_reads_others",
        "_varying",
        "head_bytes",
        "line_bytes",
    )

    def __init__(
        self,
        *,
        adds_client_ip: bool,
        proto: bytes | None = None,
        line_limit: int,
        head_limit: int,
        reads_others: bool = False,
    ) -> None:
        self._adds_client_ip = adds_client_ip
        self._proto = proto
        self._reads_others = reads_others
        self.line_bytes = line_limit - len(_PLAIN_VERSION) + 2
        """Of a request line up to its version."""
        self.head_bytes = head_limit
        self._blocks: dict[bytes, KnownRequest] = {}
        self._varying: dict[tuple[bytes, bytes], VaryingRequest] = {}

    def find(self, data: bytes) -> KnownRequest | None:
        """What may recognise ``data``."""
        if len(data) > _LONGEST or not data.endswith(b"\n\r\n"):
            return None
        return self._blocks.get(data[data.find(b"\n") + 1 :])

    def remember(self, head: RequestHead, raw: bytes) -> KnownRequest | None:
        """What to recognise requests with this header block by; None if it is not plain."""
        if not _is_plain(head) or len(raw) > _LONGEST:
            return None
        block = raw[-head.headers.length :]
        known = self._blocks.get(block)
        if known is None:
            sent = self._sent(head.headers).split(_CLIENT)
            known = KnownRequest(self, head.headers, block, tuple(sent))
            if len(self._blocks) >= _MOST:
                self._blocks.clear()
            self._blocks[block] = known
        return known

    def remember_varying(
        self, head: RequestHead, raw: bytes, before: RequestHeaders
    ) -> VaryingRequest | None:
        """What to recognise requests by that differ in one header as this one does from the last.

        Args:
            head: of a request.
            raw: what it was parsed from.
            before: the headers of the one before it.

        Returns:
            None if they differ in more, or in something that matters.
        """
        if not _is_plain(head) or self._reads_others or len(raw) > _LONGEST:
            return None
        around = _differing_value(before.block, head.headers.block, raw[-head.headers.length :])
        if around is None:
            return None
        known = self._varying.get(around)
        if known is None:
            known = self._learn_varying(head, around)
            if known is not None:
                if len(self._varying) >= _MOST:
                    self._varying.clear()
                self._varying[around] = known
        return known

    def _learn_varying(
        self, head: RequestHead, around: tuple[bytes, bytes]
    ) -> VaryingRequest | None:
        """Try what comes of another value: nothing else may change, and it must be sent on."""
        other = parse_request_head(head.line + b"\r\n" + _ANY_VALUE.join(around)).headers
        same = all(
            getattr(other, name) == getattr(head.headers, name)
            for name in other.__slots__
            if name not in ("block", "length")
        )
        sent = self._sent(other).split(_ANY_VALUE)
        if not same or len(sent) != 2:
            return None
        return VaryingRequest(self, other, around, (sent[0], *sent[1].split(_CLIENT)))

    def _sent(self, headers: RequestHeaders) -> bytes:
        """The block to send on, with a mark for the client's address."""
        client_ip = _CLIENT.decode() if self._adds_client_ip else None
        return encode_forwarded_block(headers, client_ip, self._proto) + b"\r\n"


def _is_plain(head: RequestHead) -> bool:
    headers = head.headers
    return not (
        head.refusal
        or headers.chunked
        or headers.content_length
        or head.minor == 0
        or not head.line.endswith(_PLAIN_VERSION[:-2])
        or _PLAIN_LINE.fullmatch(head.line, 0, len(head.line) - 9) is None
    )


def _differing_value(before: bytes, now: bytes, block: bytes) -> tuple[bytes, bytes] | None:
    """What surrounds in ``block`` the value of the one header in which two requests differ."""
    lines = now.split(b"\r\n")
    lines_before = before.split(b"\r\n")
    if len(lines) != len(lines_before):
        return None
    differing = [new for new, old in zip(lines, lines_before, strict=True) if new != old]
    if len(differing) != 1:
        return None
    line = differing[0] + b"\r\n"
    at = block.find(line)
    if block.count(line) != 1 or (at and block[at - 1] != 0x0A):
        return None
    return block[: at + line.find(b":") + 1], block[at + len(line) - 2 :]


class KnownResponse:
    """The last response head of a backend connection, to recognise the next response by.

    Only one whose body has a known length, and after which both sides may go on.
    """

    __slots__ = ("_last", "body_bytes", "head", "head_bytes", "raw", "sent", "whole_bytes")

    def __init__(self, head: ResponseHead, raw: bytes, body_bytes: int) -> None:
        self.head = head
        self.raw = raw
        """The head as received, with its empty line: what begins with it has this head."""
        self.head_bytes = len(raw)
        self.body_bytes = body_bytes
        self.whole_bytes = len(raw) + body_bytes
        sent = encode_response_head(head)
        self.sent = None if sent == raw else sent
        """What the client gets in its place; None when it gets the same."""
        self._last: bytes | None = None

    def sent_last(self) -> bytes:
        """What the client gets when its connection ends with this response."""
        last = self._last
        if last is None:
            last = self._last = encode_response_head(self.head, CLOSE)
        return last


def remember_response(head: ResponseHead, raw: bytes) -> KnownResponse | None:
    """What to recognise the next response of a connection by; None if this one is not plain."""
    length = head.content_length
    if length is None or not head.has_body or not head.keep_alive:
        return None
    return KnownResponse(head, raw, length)
