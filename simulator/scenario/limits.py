"""Performance levels and limits of load balancers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from simulator.model import LIMITS_BY_LEVEL, ClusterLimits, InstanceLimits, PerformanceLevel
from simulator.scenario.document import Entry

LIMIT_KEYS: Final = ("performance_level", "limits")
"""Keys of a load balancer that ``read_instance_limits`` reads."""
_LIMITS: Final = ("qps", "new_connections", "connections")
_CLUSTER_LIMITS: Final = (
    "http_qps",
    "https_qps",
    "http_new_connections",
    "https_new_connections",
)
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


def read_cluster_limits(entry: Entry) -> ClusterLimits:
    """``limits: {http_qps, https_qps, http_new_connections, https_new_connections}``.

    Source: the vendor's readings of a dedicated cluster; how much one can take is unknown, so
    nothing is limited that the scenario does not limit.
    """
    value = entry.get("limits")
    if value is None:
        return ClusterLimits()
    given = value.mapping(_CLUSTER_LIMITS)
    return ClusterLimits(
        **{key: given.parsed(key, _limit_parser(key), None) for key in _CLUSTER_LIMITS}
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
