"""Headers that a listener gives every request in place of the client's. No I/O."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from simulator.model import HeaderToSet


class HeaderSetter:
    """What a listener's ``proxy_set_header`` does to encoded heads.

    Source: doc https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header: it
    replaces the client's header of that name, and one whose value turns out empty is not sent.
    Observed (reference server): they go in front of the client's.
    """

    __slots__ = ("_headers", "_replaced")

    def __init__(self, headers: tuple[HeaderToSet, ...]) -> None:
        self._headers: Final = tuple((header.name.encode(), header.parts) for header in headers)
        names = b"|".join(re.escape(name) for name, _ in self._headers)
        self._replaced = re.compile(rb"^(?:%s):[^\n]*\n" % names, re.IGNORECASE | re.MULTILINE)

    def encode_for_backend(self, head: bytes, variables: Mapping[str, bytes]) -> bytes:
        """A request head with the listener's headers.

        Args:
            head: from the request line to the empty line.
            variables: the value of each of ``HEADER_VARIABLES``.
        """
        line_end = head.index(b"\n") + 1
        lines = [head[:line_end]]
        for name, parts in self._headers:
            value = b"".join(
                variables[part] if index % 2 else part.encode() for index, part in enumerate(parts)
            )
            if value:
                lines.append(b"%s: %s\r\n" % (name, value))
        lines.append(self._replaced.sub(b"", head[line_end:]))
        return b"".join(lines)


@lru_cache(maxsize=256)
def header_setter(headers: tuple[HeaderToSet, ...]) -> HeaderSetter:
    """What ``headers`` do, compiled once."""
    return HeaderSetter(headers)
