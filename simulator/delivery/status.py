"""What delivery tells the world: the state of each flow log, and what became visible when."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_OBJECTS_KEPT: Final = 10_000
"""Names of objects a receipt can go back to."""


class FlowLogState(StrEnum):
    """Whether a flow log's destination takes records. Source: assumed (the vendor's shippers)."""

    RUNNING = "running"
    STOPPED = "stopped"
    """It takes nothing; what was written before is delivered."""
    ABNORMAL = "abnormal"
    """The destination does not exist; records are lost, not kept for later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogStatus:
    """One flow log at one moment. Counts are of this run and what it found in the spool."""

    name: str
    flow_log_id: str
    status: FlowLogState
    written: int
    """Records in the spool for it, and lines that an earlier run held back; with ``copied`` it is
    the sum of the next four."""
    delivered: int
    """Lines that became visible."""
    pending: int
    """Those that will, ``held`` among them."""
    lost: int
    """Refused by the destination for good."""
    dropped: int
    """Taken away by faults."""
    copied: int
    """Added by faults."""
    held: int
    """Kept back by faults until later."""
    objects: int
    """Objects put, for a bucket."""
    retries: int
    """Loads that failed and were tried again."""
    delay_min_s: float | None
    """Smallest delay of a delivered record; None while none is."""
    delay_median_s: float | None
    """Of the middles of batches, weighted by their records."""
    delay_max_s: float | None
    lag_s: float
    """The longest a load ended behind its instant: our own cost, in simulated seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryMark:
    """A point in the history of what became visible; see ``Delivery.since``."""

    record_count: int
    object_count: int
    by_flow_log: Mapping[str, int]
    """Records delivered so far, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReceipt:
    """What became visible since a mark."""

    record_count: int
    """Records, one for every flow log that delivered it."""
    by_flow_log: tuple[tuple[str, int], ...]
    """The same per flow log, by name."""
    object_count: int
    objects: tuple[str, ...]
    """``<bucket>/<key>``, in order; the newest 10 000 if there were more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLine:
    """A record in the spool that some flow log has not delivered."""

    load_balancer_id: str
    node_address: str
    logged_at: float
    line: bytes
    due_at: float | None
    """When it becomes visible first; None while its batch is being filled."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The running counts of one flow log."""

    closed: int = 0
    """Records in closed segments, and lines that an earlier run held back."""
    passed: int = 0
    """Records in batches that are done with."""
    delivered: int = 0
    lost: int = 0
    dropped: int = 0
    copied: int = 0
    held: int = 0
    held_for_good: int = 0
    """Those of ``held`` that wait for the end of a fault that has none."""
    objects: int = 0
    retries: int = 0
    state: FlowLogState = FlowLogState.RUNNING
    lag_s: float = 0.0
    delay_min_s: float | None = None
    delay_max_s: float | None = None
    _middles_ms: dict[int, int] = field(default_factory=dict)
    """Records by the middle delay of their batch: bounded by the width of the delay range."""

    @property
    def pending(self) -> int:
        """Lines in closed segments that are yet to become visible."""
        return self.closed - self.passed + self.held

    def observe(self, count: int, first_at: float, last_at: float, visible_at: float) -> None:
        """Count lines that became visible together, the first and last written when."""
        if not count:
            return
        shortest, longest = visible_at - last_at, visible_at - first_at
        self.delivered += count
        self.delay_min_s = shortest if self.delay_min_s is None else min(self.delay_min_s, shortest)
        self.delay_max_s = longest if self.delay_max_s is None else max(self.delay_max_s, longest)
        middle_ms = round((shortest + longest) * 500)
        self._middles_ms[middle_ms] = self._middles_ms.get(middle_ms, 0) + count

    def delay_median_s(self) -> float | None:
        """The weighted median of the batches' middles; None without any."""
        half, seen = self.delivered / 2, 0
        for middle_ms, count in sorted(self._middles_ms.items()):
            seen += count
            if seen >= half:
                return middle_ms / 1000
        return None


class ObjectLog:
    """The names of the newest objects, and how many there ever were."""

    def __init__(self) -> None:
        self.count = 0
        self._names: deque[str] = deque(maxlen=_OBJECTS_KEPT)

    def extend(self, names: tuple[str, ...]) -> None:
        """Add objects in order."""
        self.count += len(names)
        self._names.extend(names)

    def since(self, count: int) -> tuple[str, ...]:
        """The names added after the first ``count``, so far as they are still known."""
        wanted = min(self.count - count, len(self._names))
        return tuple(self._names)[len(self._names) - wanted :]
