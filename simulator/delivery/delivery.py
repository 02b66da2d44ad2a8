"""Takes closed segments, waits for their instant on the clock, and loads them.

The loop decides, one thread does: a load holds the clock from the timer that set it off until its
cursor is committed, so nothing that a jumping clock passes is ever half visible.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never

from simulator.clock import Clock
from simulator.delivery.archive import Archive
from simulator.delivery.batching import Batch, BatchPlan, Lane
from simulator.delivery.closed_segments import ClosedSegments
from simulator.delivery.consignments import Load
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.fault_reach import find_faults
from simulator.delivery.held_back import HeldBack
from simulator.delivery.held_files import HeldFiles
from simulator.delivery.image import Image
from simulator.delivery.ledger import Ledger
from simulator.delivery.loads import (
    Failed,
    Loader,
    Outcome,
    Refused,
    Visible,
    count_decisions,
)
from simulator.delivery.pending import Owed, newest_lines, owed_by
from simulator.delivery.reach import FlowLogVersion
from simulator.delivery.route import LONGEST_RETRY_S, Line, Route
from simulator.delivery.sinks import make_sink
from simulator.delivery.status import (
    DeliveryMark,
    DeliveryReceipt,
    FlowLogState,
    FlowLogStatus,
    ObjectLog,
    PendingLine,
    Tally,
)
from simulator.delivery.stores import LogStores, ObjectSink
from simulator.delivery.worker import Worker
from simulator.model import FlowLog, FlowLogId
from simulator.model.faults import Fault
from simulator.rng import Rng
from simulator.spool import SegmentInfo, Spool

_log = logging.getLogger(__name__)

_LOAD_BYTES: Final = 64 * 1024 * 1024
"""How much one load may take: bounds a transaction when a run finds hours of spool."""
_LOAD_SEGMENTS: Final = 4096
"""The same for files, which may hold one record each."""
_FAILING_AFTER: Final = 10
"""Failures in a row, with progress nowhere, after which nobody need wait any longer."""


class Delivery:
    """Delivers what the spool holds to the destinations of the flow logs.

    Args:
        log_stores: the LogStores; also keep the cursors of bucket destinations.
        object_store: needed if a flow log goes to a bucket.
        versions: the flow logs there are at the start; ``open`` and ``end`` change them.
        deleted: those of them that are to be shown no more; see ``forget``.
        archive: takes the segments that every flow log has passed; without one they are deleted.
        faults: that may meet what is delivered; none if not given.
        held_directory: keeps what faults hold back; made when there is something.

    After ``start`` you must call ``aclose`` on the same event loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        rng: Rng,
        spool: Spool,
        log_stores: LogStores,
        object_store: ObjectSink | None,
        versions: tuple[FlowLogVersion, ...] = (),
        deleted: tuple[FlowLogId, ...] = (),
        archive: Archive | None = None,
        faults: FaultBoard | None = None,
        held_directory: Path | None = None,
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._log_stores = log_stores
        self._rng = rng
        self._object_store = object_store
        self._routes: tuple[Route, ...] = ()
        """Every version that takes records or still has some to deliver, in order."""
        self._current: dict[FlowLogId, Route] = {}
        """The newest version of every flow log there is."""
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._cursors: dict[str, int] = {}
        self._progress_count = 0
        """Loads that delivered or gave up something."""
        self._objects = ObjectLog()
        self._worker = Worker(clock, self._wake_settled)
        self._segments = ClosedSegments(spool, self._worker, archive, log_stores.ledger)
        self._board = FaultBoard(rng) if faults is None else faults
        files = HeldFiles(held_directory or spool.directory / ".held")
        self._loader = Loader(self._board, files)
        self._held = HeldBack(
            clock=clock,
            board=self._board,
            worker=self._worker,
            loader=self._loader,
            files=files,
            on_released=self._released,
        )
        self._waiters: list[asyncio.Future[None]] = []
        self._closing = False
        self.ledger = Ledger(
            tables=log_stores.ledger,
            archive=archive,
            spool=spool,
            files=files,
            owed=self.owed,
            flow_logs=lambda: tuple(route.flow_log for route in self._current.values()),
            time=clock.time,
        )
        """What became of every record."""
        for version in versions:
            self.open(version)
        for flow_log_id in deleted:
            self._current.pop(flow_log_id, None)

    def start(self) -> None:
        """Take over what earlier runs left in the spool, and listen for more.

        Raises:
            SinkError: the cursors cannot be read.
        """
        self._worker.start()
        self._cursors = self._log_stores.read_cursors()
        for cursor, position in self._cursors.items():
            # Or new records would hide behind the cursor if somebody emptied the spool.
            self._spool.reserve(cursor.partition("|")[2], position)
        self._held.start(self._log_stores.ledger.held(), self._routes)
        served = {route.flow_log.load_balancer_id for route in self._routes}
        left: Counter[str] = Counter()
        for segment in self._spool.recovered:
            if segment.load_balancer_id in served:
                self._accept(segment)
            else:
                # Left alone: the next scenario on this directory may want it again.
                self._spool.leave(segment)
                left[segment.load_balancer_id] += 1
        for load_balancer_id, count in left.items():
            of_it = f"{count} segment{'s' if count != 1 else ''} of {load_balancer_id}"
            _log.warning("%s, left by an earlier run, wait: no flow log takes them", of_it)
        self._spool.recovered = ()
        self._spool.on_closed = self._accept

    def open(self, version: FlowLogVersion) -> None:
        """Deliver for a flow log what ``version`` takes; the counts of earlier versions go on.

        Raises:
            ValueError: its destination is a bucket and there is no object store.
        """
        flow_log = version.flow_log
        before = self._current.get(flow_log.flow_log_id)
        route = Route(
            version=version,
            plan=BatchPlan(flow_log, self._rng, self._spool.quantum_s),
            sink=make_sink(flow_log, self._log_stores, self._object_store),
            tally=Tally() if before is None else before.tally,
        )
        self._routes = (*self._routes, route)
        self._current[flow_log.flow_log_id] = route
        for series in self._spool.all_series():
            if series.key in self._lines and series.load_balancer_id == flow_log.load_balancer_id:
                line = self._make_line(route, series.key)
                self._lines[series.key] += (line,)
                for segment in self._segments.of(series.key):
                    if segment.seq > line.lane.cursor:
                        self._give(line, segment)

    def rename(self, flow_log: FlowLog) -> None:
        """Show another name for a flow log.

        Raises:
            KeyError: there is no such flow log.
        """
        route = self._current[flow_log.flow_log_id]
        named = replace(route.flow_log, name=flow_log.name)
        route.version = replace(route.version, flow_log=named)

    def end(self, flow_log_id: FlowLogId, upto: Mapping[str, int]) -> None:
        """Let the newest version of a flow log take nothing beyond ``upto``.

        What it has taken is delivered. One that has ended already stays as it is.

        Args:
            flow_log_id: of the flow log.
            upto: the last segment it takes, by series.

        Raises:
            KeyError: there is no such flow log.
        """
        route = self._current[flow_log_id]
        if route.is_open:
            route.version = route.version.ended(upto)
            for series_key in tuple(self._lines):
                self._drop_drained(series_key)
                self._discard(series_key)
            self._wake_settled()

    def forget(self, flow_log_id: FlowLogId) -> None:
        """Show a flow log no more; after ``end`` of it. What it has taken is still delivered.

        Raises:
            KeyError: there is no such flow log.
        """
        del self._current[flow_log_id]
        self._forget_drained()

    def status(self) -> tuple[FlowLogStatus, ...]:
        """Every flow log, in the order they were made."""
        return tuple(
            route.status(self._spool.open_record_count(route.flow_log.load_balancer_id))
            for route in self._current.values()
        )

    def next_due_at(self) -> float | None:
        """When something becomes visible next, if no further record comes; None if nothing will.

        Exact for batches that are closed; a batch still being filled can move later.
        """
        dues = [due_at for due_at in (self._held.next_due_at(),) if due_at is not None]
        for series in self._spool.all_series():
            segment = series.open_info()
            for line in self._lines_of(series.key, series.load_balancer_id):
                due_at = line.lane.expected_due_at(segment)
                if due_at is not None:
                    dues.append(max(due_at, line.retry_at))
        return min(dues, default=None)

    def mark(self) -> DeliveryMark:
        """Now, for a later ``since``."""
        return DeliveryMark(
            record_count=sum(tally.delivered for tally in self._tallies()),
            object_count=self._objects.count,
            by_flow_log={
                str(flow_log_id): route.tally.delivered
                for flow_log_id, route in self._current.items()
            },
        )

    def since(self, mark: DeliveryMark) -> DeliveryReceipt:
        """What became visible since ``mark``."""
        now = self.mark()
        return DeliveryReceipt(
            record_count=now.record_count - mark.record_count,
            by_flow_log=tuple(
                (
                    route.flow_log.name,
                    now.by_flow_log[flow_log_id] - mark.by_flow_log.get(flow_log_id, 0),
                )
                for flow_log_id, route in self._current.items()
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
                    [*self._segments.of(series.key), *_some(series.open_info())],
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
        for piece in self._held.pieces():
            yield Owed.of_piece(piece)

    async def aclose(self) -> None:
        """Finish the load that runs, leave the rest in the spool. Fine to call twice."""
        self._closing = True
        self._held.stop()
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
        self._segments.add(segment)
        for line in lines:
            self._give(line, segment)
        self._discard(segment.series_key)

    def _give(self, line: Line, segment: SegmentInfo) -> None:
        """Let a line have the next segment of its series if its version takes it."""
        if not line.route.version.takes(segment.series_key, segment.seq):
            return
        if segment.seq > line.lane.cursor:
            line.route.tally.closed += segment.record_count
        line.lane.add(segment)
        self._arm(line)

    def _lines_of(self, series_key: str, load_balancer_id: str) -> tuple[Line, ...]:
        lines = self._lines.get(series_key)
        if lines is None:
            lines = self._lines[series_key] = tuple(
                self._make_line(route, series_key)
                for route in self._routes
                if route.flow_log.load_balancer_id == load_balancer_id
                # Not one that has ended and passed its end: nothing would ever move it on.
                and route.version.takes(series_key, self._passed(route, series_key) + 1)
            )
        return lines

    def _make_line(self, route: Route, series_key: str) -> Line:
        cursor = f"{route.version.cursor_id}|{series_key}"
        lane = Lane(route.plan, series_key, self._passed(route, series_key))
        return Line(route=route, lane=lane, cursor=cursor, max_batches=route.sink.max_batches)

    def _passed(self, route: Route, series_key: str) -> int:
        """The last segment of a series that it took in an earlier run, or that is not for it."""
        version = route.version
        delivered = self._cursors.get(f"{version.cursor_id}|{series_key}", 0)
        return max(delivered, version.after.get(series_key, 0))

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
        open_until = line.lane.open_until()
        if open_until is not None and open_until <= now:
            # The spool's own timer for this instant may come after this one.
            self._spool.close_ended(line.lane.series_key, now, lambda: self._move(line))
        else:
            self._move(line)

    def _move(self, line: Line) -> None:
        """Do what is due for a line: nothing that belongs to its open batch is still to come."""
        if self._closing:
            return
        now = self._clock.time()
        line.lane.close_ended(now)
        if not line.busy and now >= line.retry_at:
            batches = line.lane.due(
                now,
                max_batches=line.max_batches,
                max_segments=_LOAD_SEGMENTS,
                max_bytes=_LOAD_BYTES,
            )
            if batches:
                self._load(line, *self._alike(line.route, batches), now)
        self._arm(line)

    # ---- loads

    def _alike(
        self, route: Route, batches: tuple[Batch, ...]
    ) -> tuple[tuple[Batch, ...], tuple[Fault, ...]]:
        """The first batch and the faults that may meet it; if none may, all up to one they may.

        Also the first alone where its records have instants of their own.
        """
        untouched = 0
        for batch in batches:
            faults = find_faults(self._board, route.flow_log, batch, route.plan.window_s)
            if faults or route.plan.by_record:
                if not untouched:
                    return (batch,), faults
                break
            untouched += 1
        return batches[:untouched], ()

    def _load(
        self, line: Line, batches: tuple[Batch, ...], faults: tuple[Fault, ...], now: float
    ) -> None:
        line.busy = True
        load = Load(
            flow_log_id=line.route.flow_log.flow_log_id,
            series_key=line.lane.series_key,
            cursor=line.cursor,
            batches=batches,
            at=now,
            tries=line.failure_count + 1,
        )
        self._worker.submit(
            lambda: self._loader.attempt(line.route, load, faults),
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
                line.backoff_s = min(line.backoff_s * 2, LONGEST_RETRY_S)
                route.warn(f"retrying in {line.retry_at - now:g} s", error)
            case Refused() if len(batches) > 1:
                line.max_batches = len(batches) // 2
            case Refused(error=error):
                tally.state = FlowLogState.ABNORMAL
                tally.lost += sum(batch.record_count for batch in batches)
                route.warn(f"{tally.lost} records lost so far", error)
                self._settle(line, batches, now)
            case Visible(delivered=delivered, image=image):
                tally.state = FlowLogState.RUNNING
                line.max_batches = min(line.max_batches * 2, route.sink.max_batches)
                tally.objects += len(delivered.objects)
                self._objects.extend(delivered.objects)
                if image is None:
                    for batch in batches:
                        tally.observe(batch.record_count, batch.first_at, batch.last_at, started_at)
                else:
                    self._observe_image(route, image, delivered.cut_count, started_at)
                tally.lag_s = max(tally.lag_s, now - batches[0].due_at)
                self._settle(line, batches, now)
            case _ as never:
                assert_never(never)
        self._arm(line)
        self._drop_drained(line.lane.series_key)

    def _drop_drained(self, series_key: str) -> None:
        """Forget the lines of versions that have ended and delivered all they took."""
        lines = self._lines[series_key]
        kept = tuple(line for line in lines if not line.is_drained)
        if len(kept) == len(lines):
            return
        self._lines[series_key] = kept
        self._discard(series_key)
        self._forget_drained()

    def _forget_drained(self) -> None:
        """Forget versions that have ended, are not the newest and owe nothing."""
        current = set(map(id, self._current.values()))
        used = {id(line.route) for lines in self._lines.values() for line in lines}
        used |= set(map(id, self._held.routes()))
        self._routes = tuple(
            route
            for route in self._routes
            if route.is_open or id(route) in current or id(route) in used
        )

    def _observe_image(self, route: Route, image: Image, cut_count: int, visible_at: float) -> None:
        """Count what faults made of a batch, and hold what they hold back."""
        tally, times = route.tally, [item.logged_at for item in image.items]
        tally.dropped += image.dropped_count + cut_count
        tally.copied += image.copied_count
        if times:
            tally.observe(len(times) - cut_count, min(times), max(times), visible_at)
        count_decisions(self._board, image.decisions)
        self._held.add(route, [held.piece for held in image.held])

    def _released(self, objects: tuple[str, ...]) -> None:
        self._progress_count += 1
        self._objects.extend(objects)
        self._forget_drained()

    def _settle(self, line: Line, batches: tuple[Batch, ...], now: float) -> None:
        self._progress_count += 1
        line.route.tally.passed += sum(batch.record_count for batch in batches)
        line.count_progress()
        line.lane.done(batches, now)
        self._discard(line.lane.series_key)

    def _discard(self, series_key: str) -> None:
        """Let go of the segments that every flow log of their load balancer has passed."""
        if not self._closing:
            lines = self._lines[series_key]
            self._segments.retire(
                series_key, min((line.lane.passed for line in lines), default=None)
            )

    # ---- waiting

    def _pending_count(self) -> int:
        being_written = sum(
            self._spool.open_record_count(route.flow_log.load_balancer_id)
            for route in self._routes
            if route.is_open
        )
        return being_written + sum(tally.pending - tally.held_for_good for tally in self._tallies())

    def _tallies(self) -> tuple[Tally, ...]:
        """The counts of every flow log, those that are forgotten but not drained too."""
        return tuple({id(route.tally): route.tally for route in self._routes}.values())

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
