"""The custom configuration of a listener."""

import re
from typing import Final

from simulator.model import CustomConfiguration, HeaderToSet, parse_header_value
from simulator.scenario.document import Entry, Value

CUSTOM_KEYS: Final = ("proxy_set_header",)
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


def read_custom(entry: Entry) -> CustomConfiguration:
    """The keys ``CUSTOM_KEYS`` of a listener."""
    return CustomConfiguration(set_headers=_read_set_headers(entry.get("proxy_set_header")))


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
