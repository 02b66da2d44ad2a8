"""Takes closed segments, waits for their instant on the clock, and loads them.

The loop decides, one thread does: a load holds the clock from the timer that set it off until its
cursor is committed, so nothing that a jumping clock passes is ever half visible.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, assert_never

from simulator.clock import Clock, Timer, monotonic
from simulator.delivery.batching import Batch, BatchPlan, Lane
from simulator.delivery.sinks import LogStoreEngine, ObjectSink, Sink, make_sink
from simulator.delivery.status import (
    DeliveryMark,
    DeliveryReceipt,
    FlowLogState,
    FlowLogStatus,
    ObjectLog,
    PendingLine,
    Tally,
)
from simulator.errors import ControlError, SinkError
from simulator.model import FlowLog
from simulator.rng import Rng
from simulator.spool import SegmentInfo, Spool, read_tail

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_WARN_EVERY_S: Final = 60.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60.0
_LOAD_BYTES: Final = 64 * 1024 * 1024
"""How much one load may take: bounds a transaction when a run finds hours of spool."""
_LOAD_SEGMENTS: Final = 4096
"""The same for files, which may hold one record each."""
_PATIENCE: Final = 4
"""Failures in a row that may be the destination's; after them smaller loads are tried."""
_FAILING_AFTER: Final = 10
"""Failures in a row, with progress nowhere, after which nobody need wait any longer."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Route:
    """One flow log with its sink and counts."""

    flow_log: FlowLog
    plan: BatchPlan
    sink: Sink
    tally: Tally = field(default_factory=Tally)
    warned_at: float = float("-inf")


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """The lane of one flow log and series, with what moves it."""

    route: _Route
    lane: Lane
    cursor: str
    timer: Timer | None = None
    busy: bool = False
    retry_at: float = float("-inf")
    backoff_s: float = _FIRST_RETRY_S
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


class Delivery:
    """Delivers what the spool holds to the destinations of the flow logs.

    Args:
        engine: the LogStores; also keeps the cursors of bucket destinations.
        object_store: needed if a flow log goes to a bucket.
        flow_logs: all of them, fixed for the run.

    After ``start`` you must call ``aclose`` on the same event loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        rng: Rng,
        spool: Spool,
        engine: LogStoreEngine,
        object_store: ObjectSink | None,
        flow_logs: tuple[FlowLog, ...],
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._engine = engine
        self._routes = tuple(
            _Route(
                flow_log=flow_log,
                plan=BatchPlan(flow_log, rng, spool.quantum_s),
                sink=make_sink(flow_log, engine, object_store),
            )
            for flow_log in flow_logs
        )
        self._lines: dict[str, tuple[_Line, ...]] = {}
        self._segments: dict[str, deque[SegmentInfo]] = {}
        """By series: what lies in the spool, closed, in sequence."""
        self._cursors: dict[str, int] = {}
        self._progress_count = 0
        """Loads that delivered or gave up something."""
        self._objects = ObjectLog()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="delivery")
        self._jobs: set[Future[Any]] = set()  # each job has its own kind of result
        self._waiters: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False

    def start(self) -> None:
        """Take over what earlier runs left in the spool, and listen for more.

        Raises:
            SinkError: the cursors cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        self._cursors = self._engine.read_cursors()
        for cursor, position in self._cursors.items():
            # Or new records would hide behind the cursor if somebody emptied the spool.
            self._spool.reserve(cursor.partition("|")[2], position)
        served = {route.flow_log.load_balancer_id for route in self._routes}
        for segment in self._spool.recovered:
            if segment.load_balancer_id in served:
                self._accept(segment)
            else:
                # Left alone: the next scenario on this directory may want it again.
                _log.warning("%s: no flow log for what an earlier run left", segment.path)
        self._spool.recovered = ()
        self._spool.on_closed = self._accept

    def status(self) -> tuple[FlowLogStatus, ...]:
        """Every flow log, in the order they were given."""
        return tuple(self._status(route) for route in self._routes)

    def next_due_at(self) -> float | None:
        """When something becomes visible next, if no further record comes; None if nothing will.

        Exact for batches that are closed; a batch still being filled can move later.
        """
        dues = []
        for series in self._spool.all_series():
            segment = series.open_info()
            for line in self._lines_of(series.key, series.load_balancer_id):
                due_at = line.lane.expected_due_at(segment)
                if due_at is not None:
                    dues.append(max(due_at, line.retry_at))
        return min(dues, default=None)

    def mark(self) -> DeliveryMark:
        """Now, for a later ``since``."""
        by_flow_log = tuple(route.tally.delivered for route in self._routes)
        return DeliveryMark(
            record_count=sum(by_flow_log),
            object_count=self._objects.count,
            by_flow_log=by_flow_log,
        )

    def since(self, mark: DeliveryMark) -> DeliveryReceipt:
        """What became visible since ``mark``."""
        now = self.mark()
        return DeliveryReceipt(
            record_count=now.record_count - mark.record_count,
            by_flow_log=tuple(
                (route.flow_log.name, count - before)
                for route, count, before in zip(
                    self._routes, now.by_flow_log, mark.by_flow_log, strict=True
                )
            ),
            object_count=now.object_count - mark.object_count,
            objects=self._objects.since(mark.object_count),
        )

    async def wait_until_delivered(self) -> None:
        """Return when no flow log has a record pending, or ``failing`` says why that will not be.

        On a still clock somebody must move it.
        """
        while not self._is_settled():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def failing(self) -> str | None:
        """Why waiting is in vain: a destination has failed often and nothing else moves.

        Returns:
            ``flow log <name>: <error>``; None while there is hope. Deliveries go on being tried.
        """
        for lines in self._lines.values():
            for line in lines:
                if line.stuck_count >= _FAILING_AFTER and line.stuck_since == self._progress_count:
                    return f"flow log {line.route.flow_log.name}: {line.error}"
        return None

    def pending_lines(self, limit: int) -> tuple[PendingLine, ...]:
        """The newest ``limit`` records that some flow log still owes, newest first.

        Raises:
            OSError: the spool cannot be read.
        """
        found: list[PendingLine] = []
        for series in self._spool.all_series():
            lines = self._lines_of(series.key, series.load_balancer_id)
            open_info = series.open_info()
            segments = [*self._segments.get(series.key, ()), *([open_info] if open_info else [])]
            wanted = limit
            for segment in reversed(segments):
                owing = [line for line in lines if line.lane.cursor < segment.seq]
                if wanted <= 0 or not owing:
                    break
                dues = [due for line in owing if (due := line.lane.due_of(segment.seq)) is not None]
                tail = read_tail(segment.path, wanted)
                wanted -= len(tail)
                found.extend(
                    PendingLine(
                        load_balancer_id=segment.load_balancer_id,
                        node_address=segment.node_address,
                        logged_at=logged_at,
                        line=record,
                        due_at=min(dues, default=None),
                    )
                    for logged_at, record in tail
                )
        return tuple(heapq.nlargest(limit, found, key=lambda line: line.logged_at))

    async def aclose(self) -> None:
        """Finish the load that runs, leave the rest in the spool. Fine to call twice."""
        self._closing = True
        for lines in self._lines.values():
            for line in lines:
                if line.timer is not None:
                    line.timer.cancel()
                    line.timer = None
        for job in tuple(self._jobs):
            job.cancel()
        while self._jobs:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self._wake_waiters()
        self._executor.shutdown()

    # ---- segments in

    def _accept(self, segment: SegmentInfo) -> None:
        if self._closing:
            return
        lines = self._lines_of(segment.series_key, segment.load_balancer_id)
        self._segments.setdefault(segment.series_key, deque()).append(segment)
        for line in lines:
            if segment.seq > line.lane.cursor:
                line.route.tally.closed += segment.record_count
            line.lane.add(segment)
            self._arm(line)
        self._discard(segment.series_key)

    def _lines_of(self, series_key: str, load_balancer_id: str) -> tuple[_Line, ...]:
        lines = self._lines.get(series_key)
        if lines is None:
            lines = self._lines[series_key] = tuple(
                self._make_line(route, series_key)
                for route in self._routes
                if route.flow_log.load_balancer_id == load_balancer_id
            )
        return lines

    def _make_line(self, route: _Route, series_key: str) -> _Line:
        cursor = f"{route.flow_log.flow_log_id}|{series_key}"
        lane = Lane(route.plan, series_key, self._cursors.get(cursor, 0))
        return _Line(route=route, lane=lane, cursor=cursor, max_batches=route.sink.max_batches)

    # ---- time

    def _arm(self, line: _Line) -> None:
        """Set the timer of a line to the next thing that happens to it."""
        due_at = None if line.busy else line.lane.head_due_at()
        if due_at is not None:
            due_at = max(due_at, line.retry_at)
        open_until = line.lane.open_until()
        when = min((at for at in (due_at, open_until) if at is not None), default=None)
        if line.timer is not None:
            if line.timer.when == when:
                return
            line.timer.cancel()
        line.timer = None
        if when is not None and not self._closing:
            line.timer = self._clock.call_at(when, lambda: self._on_timer(line))

    def _on_timer(self, line: _Line) -> None:
        line.timer = None
        now = self._clock.time()
        # The spool's own timer for this instant may come after this one.
        self._spool.close_ended(line.lane.series_key, now)
        line.lane.close_ended(now)
        if not line.busy and now >= line.retry_at:
            batches = line.lane.due(
                now,
                max_batches=line.max_batches,
                max_segments=_LOAD_SEGMENTS,
                max_bytes=_LOAD_BYTES,
            )
            if batches:
                self._load(line, batches, now)
        self._arm(line)

    # ---- loads

    def _load(self, line: _Line, batches: tuple[Batch, ...], now: float) -> None:
        line.busy = True
        self._submit(
            lambda: _attempt(line.route.sink, line.cursor, batches, now),
            lambda result: self._loaded(line, batches, now, result),
        )

    def _submit(self, work: Callable[[], _Result], finish: Callable[[_Result], None]) -> None:
        """Do ``work`` on the thread and ``finish`` on the loop, holding the clock throughout."""
        assert self._loop is not None
        loop = self._loop
        self._clock.acquire()
        job = self._executor.submit(work)
        self._jobs.add(job)

        def on_loop() -> None:
            self._jobs.discard(job)
            try:
                if not job.cancelled():
                    finish(job.result())
            finally:
                self._clock.release()
                if self._is_settled():
                    self._wake_waiters()

        job.add_done_callback(lambda _: loop.call_soon_threadsafe(on_loop))

    def _loaded(
        self, line: _Line, batches: tuple[Batch, ...], started_at: float, result: "_Outcome"
    ) -> None:
        line.busy = False
        route, tally = line.route, line.route.tally
        now = self._clock.time()
        match result:
            case _Failed(error=error):
                tally.retries += 1
                self._count_failure(line, batches, error)
                line.retry_at = now + line.backoff_s
                line.backoff_s = min(line.backoff_s * 2, _LONGEST_RETRY_S)
                self._warn(route, f"retrying in {line.retry_at - now:g} s", error)
            case _Refused() if len(batches) > 1:
                line.max_batches = len(batches) // 2
            case _Refused(error=error):
                tally.state = FlowLogState.ABNORMAL
                tally.lost += sum(batch.record_count for batch in batches)
                self._warn(route, f"{tally.lost} records lost so far", error)
                self._settle(line, batches, now)
            case _Visible(objects=objects):
                tally.state = FlowLogState.RUNNING
                line.max_batches = min(line.max_batches * 2, route.sink.max_batches)
                tally.objects += len(objects)
                self._objects.extend(objects)
                for batch in batches:
                    tally.observe(batch, started_at)
                tally.lag_s = max(tally.lag_s, now - batches[0].due_at)
                self._settle(line, batches, now)
            case _ as never:
                assert_never(never)
        self._arm(line)

    def _settle(self, line: _Line, batches: tuple[Batch, ...], now: float) -> None:
        self._progress_count += 1
        line.failure_count = 0
        line.backoff_s = _FIRST_RETRY_S
        line.retry_at = float("-inf")
        line.lane.done(batches, now)
        self._discard(line.lane.series_key)

    def _count_failure(self, line: _Line, batches: tuple[Batch, ...], error: Exception) -> None:
        line.error = str(error) or repr(error)
        line.failure_count += 1
        if line.failure_count > _PATIENCE:
            line.max_batches = max(1, len(batches) // 2)
        if line.stuck_since != self._progress_count:
            line.stuck_since, line.stuck_count = self._progress_count, 0
        line.stuck_count += 1

    def _discard(self, series_key: str) -> None:
        """Delete the segments that every flow log of their load balancer has passed."""
        segments = self._segments.get(series_key)
        lines = self._lines[series_key]
        if not segments:
            return
        passed = min((line.lane.passed for line in lines), default=segments[-1].seq)
        done = []
        while segments and segments[0].seq <= passed:
            done.append(segments.popleft())
        if done and not self._closing:
            self._submit(lambda: self._remove(done), lambda _: None)

    def _remove(self, segments: list[SegmentInfo]) -> None:
        for segment in segments:
            try:
                self._spool.remove(segment)
            except OSError as error:
                _log.warning("%s: cannot be removed: %s", segment.path, error.strerror)

    def _warn(self, route: _Route, consequence: str, error: Exception) -> None:
        now = monotonic()  # a clock that jumps passes many simulated minutes in a second
        if now < route.warned_at + _WARN_EVERY_S:
            return
        route.warned_at = now
        expected = isinstance(error, SinkError | ControlError)
        _log.warning(
            "flow log %s: %s; %s",
            route.flow_log.name,
            error,
            consequence,
            exc_info=None if expected else error,
        )

    # ---- counts

    def _status(self, route: _Route) -> FlowLogStatus:
        tally = route.tally
        written = tally.closed + self._spool.open_record_count(route.flow_log.load_balancer_id)
        return FlowLogStatus(
            name=route.flow_log.name,
            flow_log_id=route.flow_log.flow_log_id,
            status=tally.state,
            written=written,
            delivered=tally.delivered,
            pending=written - tally.delivered - tally.lost,
            lost=tally.lost,
            objects=tally.objects,
            retries=tally.retries,
            delay_min_s=tally.delay_min_s,
            delay_median_s=tally.delay_median_s(),
            delay_max_s=tally.delay_max_s,
            lag_s=tally.lag_s,
        )

    def _pending_count(self) -> int:
        return sum(
            route.tally.closed
            + self._spool.open_record_count(route.flow_log.load_balancer_id)
            - route.tally.delivered
            - route.tally.lost
            for route in self._routes
        )

    def _is_settled(self) -> bool:
        return self._closing or self._pending_count() == 0 or self.failing() is not None

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class _Visible:
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Refused:
    error: Exception


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


_Outcome = _Visible | _Refused | _Failed


def _attempt(sink: Sink, cursor: str, batches: tuple[Batch, ...], visible_at: float) -> _Outcome:
    """One load, on the thread. Whatever goes wrong comes back as a value: a bug in one sink must
    not stop the others."""
    try:
        return _Visible(sink.load(cursor, batches, visible_at))
    except Exception as error:
        if not isinstance(error, SinkError) or error.retryable:
            return _Failed(error)
        try:
            if len(batches) == 1:
                sink.skip(cursor, batches[0].last_seq)
        except Exception as skip_error:
            return _Failed(skip_error)
        return _Refused(error)
