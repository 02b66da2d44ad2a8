"""How backend servers are checked, and what a check makes of them."""

from dataclasses import dataclass
from enum import StrEnum


class HealthState(StrEnum):
    """What is known of a backend server, by the vendor's words."""

    ALIVE = "Alive"
    DEAD = "Dead"
    UNKNOWN = "Unknown"
    """Not checked, or not yet."""


class HealthCheckType(StrEnum):
    """What a probe does.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7. ICMP is not simulated: a listener of
    layer 7 does not offer it.
    """

    HTTP = "HTTP"
    """Asks for a URI; the class of the answer's status decides."""
    HTTPS = "HTTPS"
    """The same over TLS; of an IP group of protocol HTTPS."""
    TCP = "TCP"
    """Connects and resets; the connection alone decides."""
    UDP = "UDP"
    """Sends a payload; any answer at all is a success."""


class HealthCheckMethod(StrEnum):
    """What an HTTP probe asks with."""

    HEAD = "HEAD"
    GET = "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """When and how each backend server of a listener or group port is probed.

    Source: the vendor's API metadata for names, defaults and ranges (blb-api 3.3, 3.4); doc
    https://cloud.baidu.com/doc/BLB/s/Glswylk7r for the empty ``Host``; HTTP/1.0 is assumed.
    """

    type: HealthCheckType = HealthCheckType.HTTP
    port: int | None = None
    """Where the probe connects to; None: where requests go."""
    uri: str = "/"
    method: HealthCheckMethod = HealthCheckMethod.HEAD
    host: str = ""
    """Value of the probe's ``Host`` header."""
    normal_status: frozenset[int] = frozenset({2, 3})
    """First digits of the statuses that are a success, 1 to 5 (``http_2xx|http_3xx``)."""
    payload: bytes = b""
    """What a UDP probe sends (``healthCheckString``)."""
    interval_s: float = 3.0
    """Simulated seconds between the beginnings of two probes, 1 to 10."""
    timeout_s: float = 3.0
    """Real seconds a probe may take, up to 60: it waits on real sockets."""
    unhealthy_threshold: int = 3
    """Failures in a row until Dead, 2 to 5."""
    healthy_threshold: int = 3
    """Successes in a row until Alive again, 2 to 5."""


def parse_normal_status(text: str) -> frozenset[int]:
    """First digits of ``http_2xx|http_3xx``.

    Raises:
        ValueError: a part is not ``http_1xx`` to ``http_5xx``.
    """
    digits = set()
    for part in text.split("|"):
        name = part.strip()
        if len(name) != 8 or name[:5] != "http_" or name[6:] != "xx" or name[5] not in "12345":
            raise ValueError(
                f"{name!r} is not a class of statuses; expected http_1xx to http_5xx, "
                "joined with | such as http_2xx|http_3xx"
            )
        digits.add(int(name[5]))
    return frozenset(digits)


def format_normal_status(digits: frozenset[int]) -> str:
    """``http_2xx|http_3xx`` for ``{2, 3}``, the way ``parse_normal_status`` reads it."""
    return "|".join(f"http_{digit}xx" for digit in sorted(digits))


def parse_payload(text: str) -> bytes:
    r"""Bytes of a UDP probe's payload: ASCII with ``\00`` to ``\FF`` (also ``\x00``) for bytes.

    Source: the vendor's API metadata (``healthCheckString``, at most 1299 characters).

    Raises:
        ValueError: too long, not ASCII, or a backslash without two hex digits.
    """
    if len(text) > 1299:
        raise ValueError(f"the payload has {len(text)} characters; expected at most 1299")
    if not text.isascii():
        raise ValueError(r"the payload is not ASCII; expected other bytes as \00 to \FF")
    first, *escaped = text.split("\\")
    payload = bytearray(first.encode())
    for part in escaped:
        begin = 1 if part.startswith("x") else 0
        digits = part[begin : begin + 2]
        if len(digits) != 2 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise ValueError(
                rf"the payload has a \ before {part[:4]!r}; expected two hex digits such as \00"
            )
        payload.append(int(digits, 16))
        payload += part[begin + 2 :].encode()
    return bytes(payload)
