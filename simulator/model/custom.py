"""Custom configuration of a listener: directives by the names they have in the vendor's page."""

import re
from dataclasses import dataclass
from typing import Final

HEADER_VARIABLES: Final = ("host", "remote_addr", "scheme", "server_addr", "server_port")
"""What ``$`` may name in a header's value: the fields of the request's record."""
_VARIABLE: Final = re.compile(r"\$(\{[a-z_0-9]*\}|[a-z_0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderToSet:
    """One ``proxy_set_header``: a header of every request that a backend server gets.

    Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (2025-05-29) for the directive; doc
    https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header for what it does;
    which variables there are is assumed.
    """

    name: str
    parts: tuple[str, ...]
    """Of its value, in turn: text, the name of a variable, text, and so on. All empty takes the
    client's header of that name away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomConfiguration:
    """What passes through a listener, and how.

    Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (2025-05-29) for the directives and
    their defaults.
    """

    set_headers: tuple[HeaderToSet, ...] = ()
    """``proxy_set_header``, each name once whatever its case."""
    buffering: bool = True
    """``proxy_buffering``: whether a backend server is read faster than the client reads, as far
    as there are buffers; it may say otherwise for a response in ``X-Accel-Buffering``."""
    buffer_count: int = 8
    """``proxy_buffers``: 3 to 8."""
    buffer_size_bytes: int = 4096


def parse_header_value(text: str) -> tuple[str, ...]:
    """``$scheme://$host`` as the parts of a ``HeaderToSet``.

    Raises:
        ValueError: ``$`` names no variable there is; the message says which there are.
    """
    parts = _VARIABLE.split(text)
    for index in range(1, len(parts), 2):
        parts[index] = name = parts[index].strip("{}")
        if name not in HEADER_VARIABLES:
            known = ", ".join(f"${known}" for known in HEADER_VARIABLES)
            raise ValueError(f"'${name}' is no variable; expected one of {known}")
    return tuple(parts)
