"""Which records travel together and when they become visible. Pure: no clock, no I/O.

A batch is all segments of one series in one window of simulated time. Its delay is one draw, a
pure function of seed, flow log, series, window and part (or of seed, flow log and series alone, by
setting), so a restart draws the same.

Source: doc https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (2025-10-16), records are visible "2~3
minutes" later; that they travel in batches per service node is assumed (every peer does so).
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, assert_never

from simulator.model import BucketDestination, DelayKind, FlowLog, Granularity, LogStoreDestination
from simulator.rng import Rng
from simulator.spool import SegmentInfo

_COARSE_QUANTUM_S: Final = 1.0
_LONGEST_WINDOW_S: Final = 30.0
_LOGNORMAL_WINDOW_S: Final = 1.0
_P99_SIGMAS: Final = NormalDist().inv_cdf(0.99)
_STEPS: Final = 60
"""Instants that records with draws of their own are spread over: each costs a timer and a file."""
_HALF_STEP: Final = 2.0**-54
"""Half the distance between two draws: moves a draw of 0 into the open interval (0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Segments that become visible at one instant."""

    window: int
    """Index of the window, counted from the epoch; the segment's own number without windows."""
    part: int
    """0-based within the window."""
    segments: tuple[SegmentInfo, ...]
    record_count: int
    byte_count: int
    first_at: float
    last_at: float
    due_at: float

    @property
    def last_seq(self) -> int:
        """The highest segment in it."""
        return self.segments[-1].seq


def segment_quantum_s(flow_logs: tuple[FlowLog, ...]) -> float:
    """How finely the spool must cut its segments so that every delay range can be kept.

    Returns:
        1.0; or 0.0 (see ``Spool``) when a LogStore is promised records within less than two
        seconds' play: a window is half of it, and one second of records would not fit.
    """
    for flow_log in flow_logs:
        delay = flow_log.delay
        if (
            isinstance(flow_log.destination, LogStoreDestination)
            and delay.kind is DelayKind.UNIFORM
            and delay.high_s - delay.low_s < 2 * _COARSE_QUANTUM_S
        ):
            return 0.0
    return _COARSE_QUANTUM_S


class BatchPlan:
    """Windows and draws of one flow log.

    Args:
        quantum_s: the spool's; a window is not over before the segments begun in it are.
    """

    def __init__(self, flow_log: FlowLog, rng: Rng, quantum_s: float) -> None:
        self.max_bytes: float = math.inf
        self.by_record = False
        """Whether each record has an instant of its own, not before that of its batch."""
        self._delay = flow_log.delay
        self._flow_log_id = flow_log.flow_log_id
        self._rng = rng
        self._quantum_s = quantum_s
        match flow_log.destination:
            case BucketDestination() as bucket:
                self.window_s = float(bucket.rotation_s)
                self.max_bytes = bucket.max_object_bytes
            case LogStoreDestination():
                self.window_s = self._log_store_window_s()
                wanted = self._delay.granularity is Granularity.RECORD
                self.by_record = wanted and self.window_s > 0.0
            case _ as never:
                assert_never(never)

    def window_of(self, segment: SegmentInfo) -> int:
        """The window a segment belongs to."""
        if self.window_s == 0.0:
            return segment.seq
        return math.floor(segment.first_at / self.window_s)

    def close_at(self, window: int, last_at: float) -> float:
        """When a window is over and all segments begun in it are closed."""
        if self.window_s == 0.0:
            return last_at
        end_at = (window + 1) * self.window_s
        if self._quantum_s == 0.0:
            return end_at
        return math.ceil(end_at / self._quantum_s) * self._quantum_s

    def due_at(
        self,
        *,
        series_key: str,
        window: int,
        part: int,
        first_at: float,
        last_at: float,
        close_at: float,
    ) -> float:
        """When a batch becomes visible, before the order within its series is looked at."""
        delay = self._delay
        if self.window_s == 0.0:
            return last_at + delay.low_s
        if self.by_record:
            return max(close_at, first_at + delay.low_s)
        subject = () if delay.granularity is Granularity.NODE else (window, part)
        draw = self._rng.uniform("delay", self._flow_log_id, series_key, *subject)
        match delay.kind:
            case DelayKind.UNIFORM:
                earliest = max(last_at + delay.low_s, close_at)
                latest = max(earliest, first_at + delay.high_s)
                return earliest + draw * (latest - earliest)
            case DelayKind.LOGNORMAL:
                return max(close_at, last_at + _lognormal(draw, delay.p50_s, delay.p99_s))
            case _ as never:
                assert_never(never)

    def record_due_at(self, series_key: str, seq: int, number: int, logged_at: float) -> float:
        """When a record becomes visible if it has a draw of its own, unless its batch is later.

        Of few values, so that records that come close together come together.

        Args:
            series_key: of its segment.
            seq: of its segment.
            number: of its line there, from 1.
            logged_at: when it was written.
        """
        delay = self._delay
        draw = self._rng.uniform("delay", self._flow_log_id, series_key, seq, number)
        if delay.kind is DelayKind.UNIFORM:
            play_s = delay.high_s - delay.low_s
            delay_s = delay.low_s + draw * play_s
            step_s = min(max(1.0, play_s / _STEPS), play_s / 2)
        else:
            delay_s = _lognormal(draw, delay.p50_s, delay.p99_s)
            step_s = max(1.0, delay.p50_s / _STEPS)
        before_at = math.floor((logged_at + delay_s) / step_s) * step_s
        return before_at if before_at >= logged_at + delay.low_s else before_at + step_s

    def _log_store_window_s(self) -> float:
        if self._delay.kind is DelayKind.LOGNORMAL:
            return _LOGNORMAL_WINDOW_S
        return max(0.0, min((self._delay.high_s - self._delay.low_s) / 2, _LONGEST_WINDOW_S))


def _lognormal(draw: float, p50_s: float, p99_s: float) -> float:
    if p50_s <= 0.0:
        return 0.0
    sigma = math.log(max(p99_s, p50_s) / p50_s) / _P99_SIGMAS
    return p50_s * math.exp(sigma * NormalDist().inv_cdf(max(draw, _HALF_STEP)))


class Lane:
    """What one flow log still owes of one series: the batch being filled and those waiting.

    Args:
        cursor: the highest segment delivered already; it and older ones are only passed over.
    """

    def __init__(self, plan: BatchPlan, series_key: str, cursor: int) -> None:
        self.series_key = series_key
        self.cursor = cursor
        self.passed = 0
        """Segments up to here are needed no more, not even to number the parts of a window."""
        self._plan = plan
        self._waiting: deque[Batch] = deque()
        self._open: list[SegmentInfo] = []
        self._open_bytes = 0
        self._window = -1
        self._part = 0
        self._previous_due_at = -math.inf

    def add(self, segment: SegmentInfo) -> None:
        """Take the next segment of the series; segments come in sequence."""
        window = self._plan.window_of(segment)
        if self._open and window != self._window:
            self._close()
        elif self._open and self._open_bytes + segment.byte_count > self._plan.max_bytes:
            self._close(early=True)
        if not self._open:
            self._part = self._part + 1 if window == self._window else 0
            self._window = window
        self._open.append(segment)
        self._open_bytes += segment.byte_count
        if self._plan.window_s == 0.0:
            self._close()

    def close_ended(self, now: float) -> None:
        """Close the batch being filled if its window is over."""
        at = self.open_until()
        if at is not None and at <= now:
            self._close()

    @property
    def is_idle(self) -> bool:
        """Whether it owes nothing of what it was given."""
        return not self._waiting and (not self._open or self._all_passed(self._open))

    def open_until(self) -> float | None:
        """When the batch being filled closes; None if none is."""
        if not self._open:
            return None
        return self._plan.close_at(self._window, self._open[-1].last_at)

    def head_due_at(self) -> float | None:
        """When the next waiting batch is due; None if none waits."""
        return self._waiting[0].due_at if self._waiting else None

    def due(
        self, now: float, *, max_batches: int, max_segments: int, max_bytes: int
    ) -> tuple[Batch, ...]:
        """The waiting batches due by ``now``, in order, at least one if any is; they stay."""
        batches: list[Batch] = []
        segment_count = byte_count = 0
        for batch in self._waiting:
            segment_count += len(batch.segments)
            byte_count += batch.byte_count
            if batch.due_at > now or len(batches) == max_batches:
                break
            if batches and (segment_count > max_segments or byte_count > max_bytes):
                break
            batches.append(batch)
        return tuple(batches)

    def done(self, batches: tuple[Batch, ...], now: float) -> None:
        """Forget batches that ``due`` gave: they are where they should be, or lost."""
        for batch in batches:
            assert self._waiting[0] is batch
            self._waiting.popleft()
        self._pass(batches[-1].window, batches[-1].last_seq, now)

    def expected_due_at(self, open_segment: SegmentInfo | None) -> float | None:
        """When the next batch becomes visible if no further record comes.

        Args:
            open_segment: what the spool is writing for this series.
        """
        due_at = self.head_due_at()
        if due_at is not None:
            return due_at
        if self._open and not self._all_passed(self._open):
            if open_segment is not None and self._plan.window_of(open_segment) == self._window:
                return self._due_at([*self._open, open_segment], self._window, self._part)
            return self._due_at(self._open, self._window, self._part)
        if open_segment is None:
            return None
        window = self._plan.window_of(open_segment)
        part = self._part + 1 if window == self._window else 0
        return self._due_at([open_segment], window, part)

    def due_of(self, seq: int) -> float | None:
        """When the segment ``seq`` becomes visible, so far as that is decided."""
        for batch in reversed(self._waiting):
            if batch.segments[0].seq <= seq <= batch.last_seq:
                return batch.due_at
        return None

    def owed(self) -> Iterator[tuple[tuple[SegmentInfo, ...], float | None]]:
        """The segments of every batch, in line or being filled, and when they become visible."""
        for batch in self._waiting:
            yield batch.segments, batch.due_at
        open_segments = tuple(segment for segment in self._open if segment.seq > self.cursor)
        if open_segments:
            yield open_segments, None

    def _all_passed(self, segments: list[SegmentInfo]) -> bool:
        return segments[-1].seq <= self.cursor

    def _close(self, *, early: bool = False) -> None:
        """Put the batch being filled in line.

        ``early``: it is full. It then counts as closed with its last record, which is a fact of
        the records and not of when this was called.
        """
        segments, self._open = self._open, []
        self._open_bytes = 0
        due_at = self._due_at(segments, self._window, self._part, early=early)
        self._previous_due_at = due_at
        owed = tuple(segment for segment in segments if segment.seq > self.cursor)
        if not owed:
            self._pass(self._window, segments[-1].seq, -math.inf if early else math.inf)
            return
        self._waiting.append(
            Batch(
                window=self._window,
                part=self._part,
                segments=owed,
                record_count=sum(segment.record_count for segment in owed),
                byte_count=sum(segment.byte_count for segment in owed),
                first_at=min(segment.first_at for segment in owed),
                last_at=max(segment.last_at for segment in owed),
                due_at=due_at,
            )
        )

    def _due_at(
        self, segments: list[SegmentInfo], window: int, part: int, *, early: bool = False
    ) -> float:
        last_at = max(segment.last_at for segment in segments)
        due_at = self._plan.due_at(
            series_key=self.series_key,
            window=window,
            part=part,
            first_at=min(segment.first_at for segment in segments),
            last_at=last_at,
            close_at=last_at if early else self._plan.close_at(window, last_at),
        )
        return max(due_at, self._previous_due_at)

    def _pass(self, window: int, seq: int, now: float) -> None:
        self.cursor = max(self.cursor, seq)
        unfinished = (
            (bool(self._open) and self._window == window)
            or (bool(self._waiting) and self._waiting[0].window == window)
            or self._plan.close_at(window, now) > now
        )
        if not unfinished:
            self.passed = max(self.passed, self.cursor)
