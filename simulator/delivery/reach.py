"""Which records a flow log takes: those written while it ran, told by segment numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulator.model import BucketDestination, FlowLog


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogVersion:
    """A flow log as it was from one change to the next.

    A start, and an edit while it runs, make the next version: what was written before still goes
    where it was to go.
    """

    flow_log: FlowLog
    number: int = 0
    """0 for the first; grows by one and is never used twice."""
    after: Mapping[str, int] = field(default_factory=dict)
    """By series: it takes segments with higher numbers; all of a series that is not named."""
    upto: Mapping[str, int] | None = None
    """By series: the last segment it takes; none of a series that is not named. None: no end."""

    @property
    def cursor_id(self) -> str:
        """What its delivery cursors are named after."""
        flow_log_id = str(self.flow_log.flow_log_id)
        return flow_log_id if self.number == 0 else f"{flow_log_id}#{self.number}"

    @property
    def needs_bucket(self) -> bool:
        """Whether it delivers to a bucket."""
        return isinstance(self.flow_log.destination, BucketDestination)

    def ended(self, upto: Mapping[str, int]) -> "FlowLogVersion":
        """The same with an end."""
        return replace(self, upto=upto)

    def takes(self, series_key: str, seq: int) -> bool:
        """Whether it takes a segment that comes after ``after``."""
        return self.upto is None or seq <= self.upto.get(series_key, 0)
