"""Counters of a run as the named metrics that expectations compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMeasures:
    """What the senders saw; the sum over all traffic."""

    sent: int
    """Requests begun, with those that failed."""
    failed: int
    """Requests that got no whole response."""
    overflowed: int = 0
    """Requests that were due but never sent: every client was busy."""
    by_status: Mapping[int, int]
    """Completed requests by the status of their response."""

    def metrics(self) -> dict[str, float]:
        """``http.*``; without ``http.success_rate`` when no request was due.

        The success rate is the share of all requests due that were answered below 500: one that
        failed or was never sent is no success.
        """
        due = self.sent + self.overflowed
        measured: dict[str, float] = {
            "http.requests": self.sent,
            "http.failed": self.failed,
            "http.overflowed": self.overflowed,
        }
        for status, count in sorted(self.by_status.items()):
            measured[f"http.status.{status:03d}"] = count
        if due:
            good = sum(count for status, count in self.by_status.items() if status < 500)
            measured["http.success_rate"] = good / due
        return measured


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerMeasures:
    """What one load balancer did, on all of its listeners and nodes."""

    by_status: Mapping[int, int]
    """Requests by the status in their record."""
    limited_requests: int = 0
    """Those refused because the instance was over its limit."""
    new_connections: int = 0
    """Connections let in."""
    dropped_connections: int = 0
    """Connections refused because the instance was over its limit."""
    alive_servers: int = 0
    """By the health checks, at the end; a server counts once for each check it is under."""
    dead_servers: int = 0

    def metrics(self, name: str) -> dict[str, float]:
        """``load_balancer.<name>.*``."""
        prefix = f"load_balancer.{name}."
        measured: dict[str, float] = {
            f"{prefix}requests": sum(self.by_status.values()),
            f"{prefix}limited_requests": self.limited_requests,
            f"{prefix}new_connections": self.new_connections,
            f"{prefix}dropped_connections": self.dropped_connections,
            f"{prefix}alive_servers": self.alive_servers,
            f"{prefix}dead_servers": self.dead_servers,
        }
        for status, count in sorted(self.by_status.items()):
            measured[f"{prefix}status.{status:03d}"] = count
            of_class = f"{prefix}status.{status // 100}xx"
            measured[of_class] = measured.get(of_class, 0) + count
        return measured


@dataclass(frozen=True, slots=True, kw_only=True)
class DelaySummary:
    """Seconds from the write of a record to its visibility."""

    min_s: float
    median_s: float
    max_s: float

    @classmethod
    def of(cls, delays_s: Sequence[float]) -> "DelaySummary | None":
        """The summary of ``delays_s``; None for none."""
        if not delays_s:
            return None
        return cls(min_s=min(delays_s), median_s=median(delays_s), max_s=max(delays_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogMeasures:
    """What one flow log did."""

    written: int
    """Records spooled for it."""
    delivered: int
    pending: int
    lost: int = 0
    dropped: int = 0
    """Taken away by faults."""
    copied: int = 0
    """Added by faults."""
    held: int = 0
    """Of ``pending``: kept back by faults."""
    objects: int = 0
    """Objects put; 0 for a LogStore."""
    delay: DelaySummary | None = None
    """None when nothing was delivered."""

    def metrics(self, name: str) -> dict[str, float]:
        """``flow_log.<name>.*``; without the delays when nothing was delivered."""
        prefix = f"flow_log.{name}."
        measured: dict[str, float] = {
            f"{prefix}written": self.written,
            f"{prefix}delivered": self.delivered,
            f"{prefix}pending": self.pending,
            f"{prefix}lost": self.lost,
            f"{prefix}dropped": self.dropped,
            f"{prefix}copied": self.copied,
            f"{prefix}held": self.held,
            f"{prefix}objects": self.objects,
        }
        if self.delay is not None:
            measured[f"{prefix}delay.min"] = self.delay.min_s
            measured[f"{prefix}delay.median"] = self.delay.median_s
            measured[f"{prefix}delay.max"] = self.delay.max_s
        return measured
