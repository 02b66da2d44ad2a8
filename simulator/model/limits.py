"""What a load balancer instance may take, and the vendor's levels of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class PerformanceLevel(StrEnum):
    """Sizes of an instance, by the vendor's names."""

    SMALL_1 = "small1"
    SMALL_2 = "small2"
    MEDIUM_1 = "medium1"
    MEDIUM_2 = "medium2"
    LARGE_1 = "large1"
    LARGE_2 = "large2"
    LARGE_3 = "large3"
    UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLimits:
    """Limits of a whole instance, shared out evenly over its service nodes; None: no limit."""

    connections: int | None = None
    """Client connections open at one time."""
    new_connections: int | None = None
    """Client connections accepted per second."""
    qps: int | None = None
    """Requests per second."""

    @property
    def unlimited(self) -> bool:
        """Whether nothing is limited."""
        return self.connections is None and self.new_connections is None and self.qps is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLimits:
    """Limits of a dedicated cluster, for all its load balancers together; None: no limit.

    The readings that the vendor gives of a cluster (``httpQps`` and so on) under their own names.
    """

    http_qps: int | None = None
    """Requests per second to HTTP listeners."""
    https_qps: int | None = None
    """The same to HTTPS listeners."""
    http_new_connections: int | None = None
    """Client connections accepted per second at HTTP listeners."""
    https_new_connections: int | None = None
    """The same at HTTPS listeners."""


LIMITS_BY_LEVEL: Final = {
    PerformanceLevel.SMALL_1: InstanceLimits(connections=5_000, new_connections=3_000, qps=1_000),
    PerformanceLevel.SMALL_2: InstanceLimits(connections=50_000, new_connections=5_000, qps=5_000),
    PerformanceLevel.MEDIUM_1: InstanceLimits(
        connections=100_000, new_connections=10_000, qps=10_000
    ),
    PerformanceLevel.MEDIUM_2: InstanceLimits(
        connections=200_000, new_connections=20_000, qps=20_000
    ),
    PerformanceLevel.LARGE_1: InstanceLimits(
        connections=500_000, new_connections=50_000, qps=30_000
    ),
    PerformanceLevel.LARGE_2: InstanceLimits(
        connections=1_000_000, new_connections=100_000, qps=50_000
    ),
    PerformanceLevel.LARGE_3: InstanceLimits(
        connections=2_000_000, new_connections=200_000, qps=100_000
    ),
    PerformanceLevel.UNLIMITED: InstanceLimits(),
}
"""Source: assumed (placeholders of a plausible size: the vendor's table could not be read)."""
