"""What the requests of one listener come to on one service node: sums over their records."""

from dataclasses import dataclass, field
from typing import Self

from simulator.accesslog.record import AccessRecord


@dataclass(slots=True, kw_only=True)
class TrafficCounts:
    """Sums since the start; those of several nodes or listeners add up.

    Source: doc https://cloud.baidu.com/doc/BLB/s/nluqo5cmz for what the vendor's monitoring
    counts (``RequestCount``, ``Response2xxNum``, ``AverageResponseTime``,
    ``AverageUpsResponseTime``); that every record is one of them is assumed.
    """

    by_status: dict[int, int] = field(default_factory=dict)
    """Requests by ``response_status``."""
    limited: int = 0
    """Requests refused because the instance was over its limit."""
    forwarded: int = 0
    """Requests for which a backend server was tried."""
    request_time_s: float = 0.0
    upstream_time_s: float = 0.0
    """Of all tries of the forwarded ones."""
    request_bytes: int = 0
    """As ``request_length`` counts them."""
    response_body_bytes: int = 0
    """As ``body_bytes_sent`` counts them."""

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.by_status.values())

    def add(self, record: AccessRecord) -> None:
        """Count a request. On the proxied path, once per request."""
        by_status, status = self.by_status, record.response_status
        by_status[status] = by_status.get(status, 0) + 1
        self.request_time_s += record.request_time_s
        self.request_bytes += record.request_length
        self.response_body_bytes += record.body_bytes_sent
        attempts = record.attempts
        if attempts:
            self.forwarded += 1
            for attempt in attempts:
                self.upstream_time_s += attempt.response_s
        elif record.limited is not None:
            self.limited += 1

    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""
        for status, count in other.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + count
        self.limited += other.limited
        self.forwarded += other.forwarded
        self.request_time_s += other.request_time_s
        self.upstream_time_s += other.upstream_time_s
        self.request_bytes += other.request_bytes
        self.response_body_bytes += other.response_body_bytes


def status_class(status: int) -> str:
    """``2xx`` for 200; ``other`` for what is no status of HTTP, such as 9."""
    return f"{status // 100}xx" if 100 <= status <= 599 else "other"
