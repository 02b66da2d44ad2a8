"""The custom configuration of a listener."""

import re
from typing import Final

from simulator.model import (
    CustomConfiguration,
    HeaderToSet,
    ListenerLimits,
    parse_header_value,
)
from simulator.model.units import parse_size
from simulator.scenario.document import Entry, Value

CUSTOM_KEYS: Final = ("proxy_set_header", "proxy_buffering", "proxy_buffers")
"""Keys of a listener, by the vendor's names.

``client_header_buffer_size`` is not among them: a head that outgrows that buffer moves to a larger
one, whose size is ``limits.request_line`` and ``limits.header``, and nothing shows.
Source: doc https://nginx.org/en/docs/http/ngx_http_core_module.html#client_header_buffer_size.
"""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_TO_SET: Final = frozenset(
    (
        "connection",
        "content-length",
        "content_length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "transfer_encoding",
        "upgrade",
    )
)
"""They frame the request or are for one hop: a wrong one would let a backend server read another
request than was recorded."""
_EMPTY: Final[tuple[str, ...]] = ("",)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def read_custom(entry: Entry, limits: ListenerLimits) -> CustomConfiguration:
    """The keys ``CUSTOM_KEYS`` of a listener whose ``limits`` are read already."""
    default = CustomConfiguration()
    buffers = entry.get("proxy_buffers")
    count, size = default.buffer_count, default.buffer_size_bytes
    if buffers is not None:
        given = buffers.mapping(("number", "size"), required=("number", "size"))
        count = given.integer("number", 3, 8, count)
        size = given.parsed("size", _parse_buffer_size, size)
    where = buffers if buffers is not None else entry.get("limits")
    largest = max(limits.response_header_bytes, size)
    if where is not None and 2 * largest > (count - 1) * size:
        # doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic
        where.problem(
            f"proxy_buffers {count} of {size}B are too few for a response_header of "
            f"{limits.response_header_bytes}B; expected twice the larger of the two sizes to fit "
            f"into {count - 1} buffers, with proxy_buffers: {{number, size}}"
        )
    return CustomConfiguration(
        set_headers=_read_set_headers(entry.get("proxy_set_header")),
        buffering=entry.boolean("proxy_buffering", default=default.buffering),
        buffer_count=count,
        buffer_size_bytes=size,
    )


def _parse_buffer_size(text: str) -> int:
    """Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (3 to 8 buffers of 4k or more); the
    largest is assumed: that of ``proxy_buffer_size``, which would not fit otherwise."""
    size = parse_size(text)
    if not 4096 <= size <= 65536:
        raise ValueError(f"{text} is out of range; expected a size from 4KiB to 64KiB")
    return size


def _read_set_headers(value: Value | None) -> tuple[HeaderToSet, ...]:
    """``proxy_set_header: {name: value}``."""
    headers: list[HeaderToSet] = []
    lines: dict[str, int] = {}
    for name, (key, text) in () if value is None else value.entries():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            key.problem(f"{name!r} is not a header name; expected one such as X-Real-IP")
        elif lower in _NOT_TO_SET:
            key.problem(
                f"the header {name!r} says how the request is framed or handed on; "
                "expected any other"
            )
        elif lower in lines:
            key.problem(f"duplicate header {name!r}; line {lines[lower]} sets it already")
        lines.setdefault(lower, key.line)
        parts = text.parsed(_parse_value, _EMPTY)
        if lower == "host" and parts == _EMPTY:
            text.problem("a request cannot do without a Host; expected a host")
        headers.append(HeaderToSet(name=name, parts=parts))
    return tuple(headers)


def _parse_value(text: str) -> tuple[str, ...]:
    if _UNPRINTABLE.search(text):
        raise ValueError("a header value cannot hold control characters")
    return parse_header_value(text.strip(" \t"))
