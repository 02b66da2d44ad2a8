"""Health checks of listeners and groups."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from simulator.model import (
    HealthCheck,
    HealthCheckMethod,
    HealthCheckType,
    Protocol,
    parse_normal_status,
)
from simulator.scenario.document import Value, suggest
from simulator.verdict import format_duration, parse_duration

_HTTP_KEYS: Final = ("uri", "method", "host", "normal_status")
_KEYS: Final = (
    "type",
    "port",
    *_HTTP_KEYS,
    "interval",
    "timeout",
    "unhealthy_threshold",
    "healthy_threshold",
)
_TYPES: Final = {
    Protocol.HTTP: (HealthCheckType.HTTP, HealthCheckType.TCP),
    Protocol.HTTPS: (HealthCheckType.HTTPS, HealthCheckType.HTTP, HealthCheckType.TCP),
}
"""By what the servers speak. Source: the vendor's API metadata (``healthCheck`` of the protocols
of an IP group); the group's own protocol as default."""
_LAYER_4_TYPES: Final = ("UDP", "ICMP")
_THRESHOLD: Final = (2, 5)
_INTERVAL_S: Final = (1.0, 10.0)
_LONGEST_TIMEOUT_S: Final = 60.0  # the vendor's shortest, 1 s, is left out: tests need shorter ones
_URI: Final = re.compile(r"/[!-~]*")
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def read_health_check(
    value: Value | None, protocol: Protocol = Protocol.HTTP
) -> HealthCheck | None:
    """``health_check: {...}``; None, no check, where there is none. ``{}`` takes the defaults.

    Args:
        value: the mapping.
        protocol: what the servers speak.

    Source: the vendor's API metadata for names, ranges and defaults (blb-api 3.3). That nothing
    is checked unless the scenario says so is assumed, against the vendor's default: a server on
    a tester's machine often has no answer to ``HEAD /`` or only one answer in all, and would be
    dead before its first request; and each probe of a built-in server would use up a turn of the
    errors its clients were to see.
    """
    if value is None:
        return None
    entry = value.mapping(_KEYS)
    default = HealthCheck()
    kind = entry.parsed("type", partial(_parse_type, _TYPES[protocol]), _TYPES[protocol][0])
    if kind is HealthCheckType.TCP:
        for key in _HTTP_KEYS:
            given = entry.get(key)
            if given is not None:
                given.problem(f"a check of type {kind} has no {key}; expected it with type: HTTP")
    elif kind is not _TYPES[protocol][0] and "port" not in entry:
        value.problem(
            "a check of type HTTP does not speak TLS, as the port of the servers does; expected "
            "'port' with another one, or type: HTTPS"
        )
    return HealthCheck(
        type=kind,
        port=entry.integer("port", 1, 65535, 0) or None,
        uri=entry.parsed("uri", _parse_uri, default.uri),
        method=entry.choice("method", HealthCheckMethod, default.method),
        host=entry.parsed("host", _parse_host, default.host),
        normal_status=entry.parsed("normal_status", parse_normal_status, default.normal_status),
        interval_s=entry.parsed("interval", _seconds(*_INTERVAL_S), default.interval_s),
        timeout_s=entry.parsed("timeout", _seconds(0.0, _LONGEST_TIMEOUT_S), default.timeout_s),
        unhealthy_threshold=entry.integer(
            "unhealthy_threshold", *_THRESHOLD, default.unhealthy_threshold
        ),
        healthy_threshold=entry.integer(
            "healthy_threshold", *_THRESHOLD, default.healthy_threshold
        ),
    )


def _parse_type(types: tuple[HealthCheckType, ...], text: str) -> HealthCheckType:
    if text in _LAYER_4_TYPES:
        raise ValueError(
            f"the check {text} is for listeners of layer 4; expected {' or '.join(types)}"
        )
    if text == HealthCheckType.HTTPS and text not in types:
        raise ValueError(
            "the check HTTPS is for IP groups of protocol HTTPS; a listener's check of type HTTP "
            "speaks TLS to their servers by itself"
        )
    if text not in types:
        raise ValueError(f"unknown value {text!r}; {suggest(text, types)}")
    return HealthCheckType(text)


def _parse_uri(text: str) -> str:
    if not _URI.fullmatch(text):
        raise ValueError(f"{text!r} is not a path; expected / and printable ASCII without spaces")
    return text


def _parse_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"{text!r} is not a host; expected a name such as shop.example.com")
    return text


def _seconds(shortest_s: float, longest_s: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if not shortest_s <= seconds <= longest_s or seconds == 0.0:
            low = f"at least {format_duration(shortest_s)}" if shortest_s else "more than 0s"
            raise ValueError(
                f"{text} is out of range; expected {low} and at most {format_duration(longest_s)}"
            )
        return seconds

    return parse
