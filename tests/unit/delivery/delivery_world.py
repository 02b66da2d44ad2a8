"""A spool, a delivery and two destinations in memory, for the tests of delivery."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from simulator.clock import ManualClock
from simulator.delivery import Archive, Delivery, FlowLogVersion, segment_quantum_s
from simulator.delivery.fault_board import FaultBoard
from simulator.errors import ControlError, SinkError
from simulator.logstore import HeldPiece, LedgerChange, LedgerEntry, LedgerException
from simulator.model import (
    BucketDestination,
    DelayDistribution,
    FlowLog,
    FlowLogId,
    LoadBalancerId,
    LogStoreDestination,
)
from simulator.model.faults import Fault
from simulator.model.key_layout import DEFAULT_LAYOUT
from simulator.objectstore import Lag
from simulator.rng import Rng
from simulator.spool import Spool

START = 1_772_323_200.0
"""2026-03-01T08:00:00+08:00"""
LB, NODE = "lb-00000001", "100.64.0.1"
LOG_STORE = LogStoreDestination(project="default", log_store="access")


class FakeRows:
    """The rows of the ledger, in lists."""

    def __init__(self) -> None:
        self.all_entries: list[LedgerEntry] = []
        self.all_exceptions: list[LedgerException] = []
        self.all_held: list[HeldPiece] = []

    def enter(self, change: LedgerChange, first_place: int | None = None) -> None:
        for entry in change.entries:
            if first_place is None:
                self.all_entries.append(entry)
            else:
                self.all_entries.append(replace(entry, first_place=first_place))
                first_place += entry.record_count
        self.all_exceptions += change.exceptions
        self.all_held += change.held
        self.all_held = [piece for piece in self.all_held if piece not in change.released]

    def held(self) -> list[HeldPiece]:
        return list(self.all_held)

    def entries(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        seq: int | None = None,
        done_after: float | None = None,
    ) -> Iterator[LedgerEntry]:
        for entry in tuple(self.all_entries):
            if (
                flow_log_id in (None, entry.flow_log_id)
                and series_key in (None, entry.series_key)
                and (done_after is None or entry.done_at > done_after)
                and (seq is None or entry.first_seq <= seq <= entry.last_seq)
            ):
                yield entry

    def exceptions(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        first_seq: int | None = None,
        last_seq: int | None = None,
        altered: bytes | None = None,
    ) -> Iterator[LedgerException]:
        for found in tuple(self.all_exceptions):
            if (
                flow_log_id in (None, found.flow_log_id)
                and series_key in (None, found.series_key)
                and (first_seq or 0) <= found.seq <= (last_seq or 1 << 62)
                and altered in (None, found.altered)
            ):
                yield found

    def forget(self, series_key: str, seq: int) -> None:
        self.all_entries = [
            entry
            for entry in self.all_entries
            if entry.series_key != series_key or entry.last_seq > seq
        ]


class FakeEngine:
    """The LogStores: what they hold outlives every ``World`` made on them."""

    def __init__(self) -> None:
        self.log_stores = {("default", "access")}
        self.records: list[tuple[float, str, bytes]] = []
        """When it became visible, the stream, the record."""
        self.times: list[int] = []
        """What the LogStore shows as the time of records that faults met."""
        self.calls: list[int] = []
        """Segments per call."""
        self.cursors: dict[str, int] = {}
        self.ledger = FakeRows()
        self.clock: ManualClock | None = None
        self.before: Callable[[], None] = lambda: None
        """Called first; raises to make the call fail."""
        self.after: Callable[[], None] = lambda: None
        """Called when all is committed."""

    def deliver_segments(
        self,
        *,
        project: str,
        log_store: str,
        stream: str,
        paths: Sequence[Path],
        cursor: str,
        position: int,
        change: LedgerChange,
    ) -> int:
        self.before()
        if (project, log_store) not in self.log_stores:
            raise SinkError(f"LogStoreNotFound: {log_store}", retryable=False)
        lines = [line for path in paths for line in path.read_bytes().splitlines()]
        self._add(stream, [line.partition(b"\t")[2] for line in lines], change)
        self.cursors[cursor] = position
        self.calls.append(len(paths))
        self.after()
        return len(lines)

    def deliver_lines(
        self,
        *,
        project: str,
        log_store: str,
        stream: str,
        lines: Sequence[tuple[int, bytes]],
        cursor: str | None,
        position: int,
        change: LedgerChange,
    ) -> int:
        self.before()
        if (project, log_store) not in self.log_stores:
            raise SinkError(f"LogStoreNotFound: {log_store}", retryable=False)
        shown = [line.decode("utf-8", "replace").encode() for _, line in lines]
        self._add(stream, shown, change)
        self.times += [at_ms for at_ms, _ in lines]
        if cursor is not None:
            self.cursors[cursor] = position
        self.after()
        return len(lines)

    def _add(self, stream: str, lines: list[bytes], change: LedgerChange) -> None:
        assert self.clock is not None
        self.ledger.enter(change, len(self.records))
        now = self.clock.time()
        self.records += [(now, stream, line) for line in lines]

    def commit_cursor(self, cursor: str | None, position: int, change: LedgerChange) -> None:
        self.before()
        self.ledger.enter(change)
        if cursor is not None:
            self.cursors[cursor] = position
        self.after()

    def read_cursors(self) -> dict[str, int]:
        return dict(self.cursors)


class FakeObjects:
    """The buckets; they outlive every ``World`` too."""

    def __init__(self) -> None:
        self.buckets = {"shop-logs"}
        self.objects: dict[str, tuple[bytes, str, float]] = {}
        self.lags: dict[str, Lag | None] = {}
        self.put_count = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str,
        *,
        last_modified: float,
        lag: Lag | None = None,
    ) -> object:
        self.before()
        if bucket not in self.buckets:
            raise ControlError("NoSuchBucket", 404, bucket)
        self.put_count += 1
        self.lags[key] = lag
        shown_at = last_modified if lag is None else max(lag.listed_at, lag.readable_at)
        self.objects[key] = (body, content_type, shown_at)
        self.after()
        return None

    def delete_objects(self, bucket: str, prefix: str, chosen: Callable[[str], bool]) -> None:
        for key in tuple(self.objects):
            if key.startswith(prefix) and chosen(key):
                del self.objects[key], self.lags[key]

    def records(self) -> list[tuple[float, bytes]]:
        """(when it became visible, record) of all objects, in the order of their keys."""
        found = []
        for key in sorted(self.objects):
            body, _, visible_at = self.objects[key]
            text = gzip.decompress(body) if key.endswith(".gz") else body
            assert text.endswith(b"\n")
            found += [(visible_at, line) for line in text.splitlines()]
        return found


def flow_log(
    name: str = "l7",
    destination: LogStoreDestination | BucketDestination = LOG_STORE,
    *,
    delay: DelayDistribution | None = None,
    low_s: float = 120.0,
    high_s: float = 180.0,
) -> FlowLog:
    return FlowLog(
        flow_log_id=FlowLogId(f"fl-{name}"),
        name=name,
        load_balancer_id=LoadBalancerId(LB),
        destination=destination,
        delay=delay or DelayDistribution(low_s=low_s, high_s=high_s),
    )


def bucket_log(
    name: str = "archive",
    *,
    use_gzip: bool = False,
    max_object_bytes: int = 64 << 20,
    layout: str = DEFAULT_LAYOUT,
    low_s: float = 120.0,
    high_s: float = 180.0,
) -> FlowLog:
    bucket = BucketDestination(
        bucket="shop-logs",
        prefix="l7/",
        layout=layout,
        gzip=use_gzip,
        max_object_bytes=max_object_bytes,
    )
    return flow_log(name, bucket, low_s=low_s, high_s=high_s)


class World:
    """One run on a directory; drop it without ``stop`` for a crash."""

    def __init__(
        self,
        directory: Path,
        *flow_logs: FlowLog,
        engine: FakeEngine | None = None,
        objects: FakeObjects | None = None,
        at: float = START,
        seed: int = 7,
        keep_bytes: int | None = None,
        faults: Sequence[Fault] = (),
        max_segment_bytes: int = 8 << 20,
        max_spool_bytes: float = inf,
        versions: tuple[FlowLogVersion, ...] = (),
        deleted: tuple[FlowLogId, ...] = (),
    ) -> None:
        self.clock = ManualClock(at)
        self.engine = engine or FakeEngine()
        self.engine.clock = self.clock
        self.objects = objects or FakeObjects()
        self.spool = Spool(
            directory,
            self.clock,
            quantum_s=segment_quantum_s(flow_logs),
            max_segment_bytes=max_segment_bytes,
            max_bytes=max_spool_bytes,
        )
        self.board = FaultBoard(Rng(seed), tuple(faults))
        self.delivery = Delivery(
            faults=self.board,
            clock=self.clock,
            rng=Rng(seed),
            spool=self.spool,
            log_stores=self.engine,
            object_store=self.objects,
            versions=versions or tuple(FlowLogVersion(flow_log=one) for one in flow_logs),
            deleted=deleted,
            archive=None
            if keep_bytes is None
            else Archive(directory.with_name(directory.name + ".ledger"), keep_bytes),
        )
        self.clock.start()
        self.delivery.start()

    async def write(self, *times: float, node: str = NODE, pad: int = 0) -> list[bytes]:
        """Write a record at each instant, moving the clock there; the records."""
        lines = []
        for index, at in enumerate(times):
            await self.clock.advance_to(at)
            line = json.dumps({"at": at, "n": index, "node": node, "pad": "x" * pad}).encode()
            self.spool.series(LB, node).append(at, line)
            lines.append(line)
        return lines

    async def stop(self) -> None:
        await self.delivery.aclose()
        self.clock.stop()
        self.spool.close()

    def abandon(self) -> None:
        """Die: nothing is closed, nothing runs any more."""
        self.clock.stop()
        for series in self.spool.all_series():
            series._hold = False
        self.delivery._closing = True
        self.delivery._held.stop()


def at_of(line: bytes) -> float:
    at: float = json.loads(line)["at"]
    return at
