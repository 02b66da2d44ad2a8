"""Takes closed segments, waits for their instant on the clock, and loads them.

The loop decides, one thread does: a load holds the clock from the timer that set it off until its
cursor is committed, so nothing that a jumping clock passes is ever half visible.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import Final, assert_never

from simulator.clock import Clock
from simulator.delivery.archive import Archive
from simulator.delivery.batching import Batch, BatchPlan, Lane
from simulator.delivery.ledger import Ledger
from simulator.delivery.loads import Failed, Outcome, Refused, Visible, attempt
from simulator.delivery.pending import Owed, newest_lines, owed_by
from simulator.delivery.route import Line, Route
from simulator.delivery.sinks import Load, LogStoreEngine, ObjectSink, make_sink
from simulator.delivery.status import (
    DeliveryMark,
    DeliveryReceipt,
    FlowLogState,
    FlowLogStatus,
    ObjectLog,
    PendingLine,
)
from simulator.delivery.worker import Worker
from simulator.model import FlowLog
from simulator.rng import Rng
from simulator.spool import SegmentInfo, Spool

_log = logging.getLogger(__name__)

_LONGEST_RETRY_S: Final = 60.0
_LOAD_BYTES: Final = 64 * 1024 * 1024
"""How much one load may take: bounds a transaction when a run finds hours of spool."""
_LOAD_SEGMENTS: Final = 4096
"""The same for files, which may hold one record each."""
_FAILING_AFTER: Final = 10
"""Failures in a row, with progress nowhere, after which nobody need wait any longer."""


class Delivery:
    """Delivers what the spool holds to the destinations of the flow logs.

    Args:
        engine: the LogStores; also keeps the cursors of bucket destinations.
        object_store: needed if a flow log goes to a bucket.
        flow_logs: all of them, fixed for the run.
        archive: takes the segments that every flow log has passed; without one they are deleted.

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
        archive: Archive | None = None,
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._engine = engine
        self._routes = tuple(
            Route(
                flow_log=flow_log,
                plan=BatchPlan(flow_log, rng, spool.quantum_s),
                sink=make_sink(flow_log, engine, object_store),
            )
            for flow_log in flow_logs
        )
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._segments: dict[str, deque[SegmentInfo]] = {}
        """By series: what lies in the spool, closed, in sequence."""
        self._cursors: dict[str, int] = {}
        self._progress_count = 0
        """Loads that delivered or gave up something."""
        self._objects = ObjectLog()
        self._archive = archive
        self._worker = Worker(clock, self._wake_settled)
        self._waiters: list[asyncio.Future[None]] = []
        self._closing = False
        self.ledger = Ledger(
            tables=engine.ledger,
            archive=archive,
            spool=spool,
            owed=self.owed,
            flow_logs=lambda: tuple(route.flow_log for route in self._routes),
            time=clock.time,
        )
        """What became of every record."""

    def start(self) -> None:
        """Take over what earlier runs left in the spool, and listen for more.

        Raises:
            SinkError: the cursors cannot be read.
        """
        self._worker.start()
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
        return tuple(
            route.status(self._spool.open_record_count(route.flow_log.load_balancer_id))
            for route in self._routes
        )

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
        return newest_lines(
            (
                (
                    [*self._segments.get(series.key, ()), *_some(series.open_info())],
                    [line.lane for line in self._lines_of(series.key, series.load_balancer_id)],
                )
                for series in self._spool.all_series()
            ),
            limit,
        )

    def owed(self) -> Iterator[Owed]:
        """Every batch that some flow log has not delivered, as it is now."""
        for series in self._spool.all_series():
            open_segment = series.open_info()
            for line in self._lines_of(series.key, series.load_balancer_id):
                yield from owed_by(line.route.flow_log.flow_log_id, line.lane, open_segment)

    async def aclose(self) -> None:
        """Finish the load that runs, leave the rest in the spool. Fine to call twice."""
        self._closing = True
        for lines in self._lines.values():
            for line in lines:
                if line.timer is not None:
                    line.timer.cancel()
                    line.timer = None
        await self._worker.aclose()
        self._wake_waiters()

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

    def _lines_of(self, series_key: str, load_balancer_id: str) -> tuple[Line, ...]:
        lines = self._lines.get(series_key)
        if lines is None:
            lines = self._lines[series_key] = tuple(
                self._make_line(route, series_key)
                for route in self._routes
                if route.flow_log.load_balancer_id == load_balancer_id
            )
        return lines

    def _make_line(self, route: Route, series_key: str) -> Line:
        cursor = f"{route.flow_log.flow_log_id}|{series_key}"
        lane = Lane(route.plan, series_key, self._cursors.get(cursor, 0))
        return Line(route=route, lane=lane, cursor=cursor, max_batches=route.sink.max_batches)

    # ---- time

    def _arm(self, line: Line) -> None:
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

    def _on_timer(self, line: Line) -> None:
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

    def _load(self, line: Line, batches: tuple[Batch, ...], now: float) -> None:
        line.busy = True
        load = Load(
            flow_log_id=line.route.flow_log.flow_log_id,
            series_key=line.lane.series_key,
            batches=batches,
            at=now,
            tries=line.failure_count + 1,
        )
        self._worker.submit(
            lambda: attempt(line.route.sink, load),
            lambda result: self._loaded(line, batches, now, result),
        )

    def _loaded(
        self, line: Line, batches: tuple[Batch, ...], started_at: float, result: Outcome
    ) -> None:
        line.busy = False
        route, tally = line.route, line.route.tally
        now = self._clock.time()
        match result:
            case Failed(error=error):
                tally.retries += 1
                line.count_failure(batches, error, self._progress_count)
                line.retry_at = now + line.backoff_s
                line.backoff_s = min(line.backoff_s * 2, _LONGEST_RETRY_S)
                route.warn(f"retrying in {line.retry_at - now:g} s", error)
            case Refused() if len(batches) > 1:
                line.max_batches = len(batches) // 2
            case Refused(error=error):
                tally.state = FlowLogState.ABNORMAL
                tally.lost += sum(batch.record_count for batch in batches)
                route.warn(f"{tally.lost} records lost so far", error)
                self._settle(line, batches, now)
            case Visible(objects=objects):
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

    def _settle(self, line: Line, batches: tuple[Batch, ...], now: float) -> None:
        self._progress_count += 1
        line.count_progress()
        line.lane.done(batches, now)
        self._discard(line.lane.series_key)

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
            self._worker.submit(lambda: self._remove(done), lambda _: None)

    def _remove(self, segments: list[SegmentInfo]) -> None:
        """Move segments from the spool to the archive. On the thread."""
        if self._archive is not None:
            try:
                self._archive.keep(segments)
            except OSError as error:
                # They go all the same: a ledger with a gap is better than a spool that grows.
                _log.warning("the ledger cannot keep %d segments: %s", len(segments), error)
            try:
                for series_key, seq in self._archive.prune():
                    self._engine.ledger.forget(series_key, seq)
            except Exception:
                # Rows without records are only untidy; they go with the next pack.
                _log.exception("the ledger cannot forget what it has removed")
        for segment in segments:
            try:
                self._spool.remove(segment)
            except OSError as error:
                _log.warning("%s: cannot be removed: %s", segment.path, error.strerror)

    # ---- waiting

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

    def _wake_settled(self) -> None:
        if self._is_settled():
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _some(segment: SegmentInfo | None) -> tuple[SegmentInfo, ...]:
    return () if segment is None else (segment,)
