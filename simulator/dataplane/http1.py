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
BLANKS: Final = b" \t"
"""What may surround a value. Nothing else is white space: a backend server may not think so."""
HOP_BY_HOP: Final = b"connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade"
_LINE_END: Final = re.compile(rb"\r?\n")
_LINE: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00\r\n]*)")
_MEMO_LINES: Final = 4096
_MEMO_LINE_BYTES: Final = 256

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values without white space around them."""


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


class LineMemo:
    """Header lines met before: one that is in here is known to be well formed.

    Messages differ in a line or two (a date, a cookie, a trace id), and looking the others up is
    several times faster than matching them.

    Args:
        special: the names whose values matter, in lower case.
    """

    __slots__ = ("_lines", "_special", "added_count")

    def __init__(self, special: frozenset[bytes]) -> None:
        self._special = special
        self._lines: dict[bytes, tuple[bytes, bytes] | tuple[()]] = {}
        self.added_count = 0
        """How often a line was added."""

    def read(self, raw: bytes, at: int) -> Headers | None:
        """The special headers of a head whose lines begin at ``at``, in order.

        Returns:
            None for what must be read the long way: a malformed line or one without CR LF.
        """
        if len(raw) - at <= 4 or not raw.endswith(b"\r\n\r\n"):
            return None
        known = self._lines
        found: Headers = []
        for line in raw[at:-4].split(b"\r\n"):
            header = known.get(line)
            if header is None:
                header = self._learn(line)
            if header:
                found.append(header)
            elif header is None:
                return None
        return found

    def _learn(self, line: bytes) -> tuple[bytes, bytes] | tuple[()] | None:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        header = (name, match[2].rstrip(BLANKS)) if name in self._special else ()
        if len(line) <= _MEMO_LINE_BYTES:
            if len(self._lines) >= _MEMO_LINES:
                self._lines.clear()
            self._lines[line] = header
            self.added_count += 1
        return header
