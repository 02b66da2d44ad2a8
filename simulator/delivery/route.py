"""One flow log on its way: its sink, its counts, and a line for each series it takes."""

import logging
from dataclasses import dataclass, field
from typing import Final

from simulator.clock import Timer, monotonic
from simulator.delivery.batching import Batch, BatchPlan, Lane
from simulator.delivery.reach import FlowLogVersion
from simulator.delivery.sinks import Sink
from simulator.delivery.status import FlowLogState, FlowLogStatus, Tally
from simulator.errors import ControlError, SinkError
from simulator.model import FlowLog

_log = logging.getLogger(__name__)

_WARN_EVERY_S: Final = 60.0
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
_PATIENCE: Final = 4
"""Failures in a row that may be the destination's; after them smaller loads are tried."""


@dataclass(slots=True, kw_only=True, eq=False)
class Route:
    """One version of a flow log with its sink; the counts are those of all its versions."""

    version: FlowLogVersion
    plan: BatchPlan
    sink: Sink
    tally: Tally = field(default_factory=Tally)
    warned_at: float = float("-inf")

    @property
    def flow_log(self) -> FlowLog:
        """The flow log as this version has it."""
        return self.version.flow_log

    @property
    def is_open(self) -> bool:
        """Whether it takes what is written now."""
        return self.version.upto is None

    def warn(self, consequence: str, error: Exception) -> None:
        """Say what failed, once a minute of real time."""
        now = monotonic()  # a clock that jumps passes many simulated minutes in a second
        if now < self.warned_at + _WARN_EVERY_S:
            return
        self.warned_at = now
        expected = isinstance(error, SinkError | ControlError)
        _log.warning(
            "flow log %s: %s; %s",
            self.flow_log.name,
            error,
            consequence,
            exc_info=None if expected else error,
        )

    def status(self, open_count: int) -> FlowLogStatus:
        """Its counts; ``open_count`` are records in segments still being written."""
        tally = self.tally
        open_count = open_count if self.is_open else 0
        written = tally.closed + open_count
        return FlowLogStatus(
            name=self.flow_log.name,
            flow_log_id=self.flow_log.flow_log_id,
            status=tally.state if self.is_open else FlowLogState.STOPPED,
            written=written,
            delivered=tally.delivered,
            pending=tally.pending + open_count,
            lost=tally.lost,
            dropped=tally.dropped,
            copied=tally.copied,
            held=tally.held,
            objects=tally.objects,
            retries=tally.retries,
            delay_min_s=tally.delay_min_s,
            delay_median_s=tally.delay_median_s(),
            delay_max_s=tally.delay_max_s,
            lag_s=tally.lag_s,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """The lane of one version of a flow log and one series, with what moves it."""

    route: Route
    lane: Lane
    cursor: str
    timer: Timer | None = None
    busy: bool = False
    retry_at: float = float("-inf")
    backoff_s: float = FIRST_RETRY_S
    max_batches: int
    """Halved when a load of several is refused or keeps failing, to find out which of them is to
    blame; doubled by a success."""
    failure_count: int = 0
    """Loads that failed in a row."""
    stuck_count: int = 0
    """Loads that failed since anything made progress, as counted by ``stuck_since``."""
    stuck_since: int = 0
    error: str = ""
    """Of the last failure."""

    @property
    def is_drained(self) -> bool:
        """Whether its version has ended and all of it is delivered."""
        return not self.route.is_open and not self.busy and self.lane.is_idle

    def count_failure(self, batches: tuple[Batch, ...], error: Exception, progress: int) -> None:
        """A load failed; ``progress`` counts what moved anywhere."""
        self.error = str(error) or repr(error)
        self.failure_count += 1
        if self.failure_count > _PATIENCE:
            self.max_batches = max(1, len(batches) // 2)
        if self.stuck_since != progress:
            self.stuck_since, self.stuck_count = progress, 0
        self.stuck_count += 1

    def count_progress(self) -> None:
        """A load is done with, one way or the other."""
        self.failure_count = 0
        self.backoff_s = FIRST_RETRY_S
        self.retry_at = float("-inf")
