"""Performance levels and limits of load balancers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from simulator.model import LIMITS_BY_LEVEL, InstanceLimits, PerformanceLevel
from simulator.scenario.document import Entry

LIMIT_KEYS: Final = ("performance_level", "limits")
"""Keys of a load balancer that ``read_instance_limits`` reads."""
_LIMITS: Final = ("qps", "new_connections", "connections")
_HIGHEST: Final = 100_000_000
_NONE: Final = "unlimited"


def read_performance_level(entry: Entry) -> PerformanceLevel | None:
    """``performance_level: small1``; None where there is none.

    Source: the vendor's API metadata: an instance on the shared cluster has no level.
    """
    value = entry.get("performance_level")
    return None if value is None else value.choice(PerformanceLevel, PerformanceLevel.UNLIMITED)


def read_instance_limits(entry: Entry, level: PerformanceLevel | None) -> InstanceLimits:
    """``limits: {qps, new_connections, connections}`` in place of those of ``level``.

    Source: assumed (an instance without a level is unlimited; the levels' numbers).
    """
    limits = InstanceLimits() if level is None else LIMITS_BY_LEVEL[level]
    value = entry.get("limits")
    if value is None:
        return limits
    given = value.mapping(_LIMITS)
    return replace(
        limits,
        **{key: given.parsed(key, _limit_parser(key), None) for key in _LIMITS if key in given},
    )


def _limit_parser(key: str) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if text == _NONE:
            return None
        if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= _HIGHEST:
            each = "" if key == "connections" else " each second"
            raise ValueError(
                f"{text!r} is not a limit; expected a whole number from 1 to {_HIGHEST}{each}, "
                f"or {_NONE}"
            )
        return int(text)

    return parse
