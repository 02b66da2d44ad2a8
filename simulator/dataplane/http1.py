"""HTTP/1 heads: the grammar that requests and responses share. No I/O.

The parser is our own because the record needs what parsing libraries hide: the request line as
received, the exact number of bytes each message took, and the acceptances of the server the real
layer 7 is derived from. Heads are checked as a whole and forwarded verbatim where nothing has to
change; chunked bodies are decoded and framed anew, so no framing passes through unread.

Source: RFC 9112; what is refused with which status: measured on the reference server.
"""

import re
from typing import Final

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
HEADER_BLOCK: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00\r\n]*\r?\n)*\r?\n")
"""The header lines of a head and its empty line."""
HEADER_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00\r\n]*\r?\n)*")
DIGITS: Final = re.compile(rb"\d{1,18}")
HOP_BY_HOP: Final = b"connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade"
_LINE_END: Final = re.compile(rb"\r?\n")


def find_head_end(data: bytes) -> int:
    """The length of the head at the start of ``data``, its empty line included; -1 if incomplete.

    A line may end in a bare LF.
    """
    crlf = data.find(b"\n\r\n")
    lf = data.find(b"\n\n", 0, crlf + 1 if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else -1


def canonical_block(raw: bytes, at: int) -> bytes:
    """The header lines of a head without its empty line, every line ended by CR LF."""
    block = raw[at : -2 if raw.endswith(b"\r\n") else -1]
    if block.count(b"\n") != block.count(b"\r\n"):
        block = _LINE_END.sub(b"\r\n", block)
    return block
