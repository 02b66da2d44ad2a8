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
)
from simulator.dataplane.http1_response import ResponseHead, encode_response_head

_PLAIN_LINE: Final = re.compile(rb"([A-Z_-]+) (/[\x21-\x24\x26-\x3e\x40-\x7e]*(?:\?[\x21-\x7e]*)?)")
"""The common request line up to its version: one that is sent on as it came. Nothing in its path
needs decoding."""
_PLAIN_VERSION: Final = b" HTTP/1.1\r\n"


class KnownRequest:
    """The header block of a connection's last request, to recognise the next one by.

    ``recognise`` gives what ``find_head_end``, ``parse_request_head`` and
    ``encode_forwarded_head`` would, for a request that differs in method and target only.
    """

    __slots__ = ("_head_bytes", "_line_bytes", "_sent_tail", "_tail", "headers")

    def __init__(
        self,
        headers: RequestHeaders,
        raw_block: bytes,
        *,
        client_ip: str | None,
        proto: bytes | None,
        line_limit: int,
        head_limit: int,
    ) -> None:
        self.headers = headers
        self._tail = tail = _PLAIN_VERSION + raw_block
        sent = b"%s%s\r\n" % (_PLAIN_VERSION, encode_forwarded_block(headers, client_ip, proto))
        self._sent_tail = None if sent == tail else sent
        self._line_bytes = line_limit - len(_PLAIN_VERSION) + 2
        self._head_bytes = head_limit

    def recognise(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """The head that ``data`` is as a whole, and what to send for it; None if it may differ."""
        tail = self._tail
        if not data.endswith(tail):
            return None
        size = len(data)
        line_end = size - len(tail)
        match = _PLAIN_LINE.fullmatch(data, 0, line_end)
        if match is None or line_end > self._line_bytes or size > self._head_bytes:
            return None
        method, target = match.groups()
        if method in REFUSED_METHODS or b"/." in target:
            return None
        head = RequestHead(method, target, data[: line_end + 9], size, self.headers)
        sent_tail = self._sent_tail
        return head, data if sent_tail is None else data[:line_end] + sent_tail


def remember_request(
    head: RequestHead,
    raw: bytes,
    *,
    client_ip: str | None,
    proto: bytes | None = None,
    line_limit: int,
    head_limit: int,
) -> KnownRequest | None:
    """What to recognise the next request of a connection by; None if this one is not plain."""
    headers = head.headers
    if (
        head.refusal
        or headers.chunked
        or headers.content_length
        or head.minor == 0
        or _PLAIN_LINE.fullmatch(head.line, 0, len(head.line) - 9) is None
        or not head.line.endswith(_PLAIN_VERSION[:-2])
    ):
        return None
    return KnownRequest(
        headers,
        raw[-headers.length :],
        client_ip=client_ip,
        proto=proto,
        line_limit=line_limit,
        head_limit=head_limit,
    )


class KnownResponse:
    """The last response head of a backend connection, to recognise the next response by.

    Only one whose body has a known length, and after which both sides may go on.
    """

    __slots__ = ("body_bytes", "head", "head_bytes", "raw", "sent", "whole_bytes")

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


def remember_response(head: ResponseHead, raw: bytes) -> KnownResponse | None:
    """What to recognise the next response of a connection by; None if this one is not plain."""
    length = head.content_length
    if length is None or not head.has_body or not head.keep_alive:
        return None
    return KnownResponse(head, raw, length)
