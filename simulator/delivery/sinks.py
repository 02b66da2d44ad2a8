"""Where batches go: a LogStore, or objects in a bucket. Runs on the delivery thread.

A sink moves its cursor with the records (LogStore) or after them (bucket, where a repeated put is
the same put), so that a crash between the two neither loses nor doubles a record.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Final, Protocol, assert_never

from simulator.delivery.batching import Batch
from simulator.delivery.image import Item
from simulator.delivery.manifest import encode_manifest
from simulator.delivery.object_plan import ObjectPlan, encode_objects
from simulator.errors import ControlError, SinkError
from simulator.logstore import HeldPiece, LedgerChange, LedgerEntry, LedgerException
from simulator.model import BucketDestination, FlowLog, LogStoreDestination
from simulator.model.faults import FaultKind

_ZONE: Final = timezone(timedelta(hours=8))
"""Source: assumed (+0800 in every region, as in ``time_local``)."""
_READ_BYTES: Final = 256 * 1024
_GZIP_LEVEL: Final = 1
"""Access records shrink to a tenth at any level; this one keeps up with the spool."""
_GZIP_WINDOW: Final = 31
"""A gzip header (zlib writes it without name and with time 0) around the widest window."""


class LedgerRows(Protocol):
    """What delivery needs to read of what it entered; see ``LedgerTables``."""

    def entries(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        seq: int | None = None,
    ) -> Iterator[LedgerEntry]:
        """Entries in the order they were written."""
        ...

    def exceptions(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        first_seq: int | None = None,
        last_seq: int | None = None,
        altered: bytes | None = None,
    ) -> Iterator[LedgerException]:
        """Exceptions in the order they were written."""
        ...

    def held(self) -> list[HeldPiece]:
        """Everything that is held back."""
        ...

    def forget(self, series_key: str, seq: int) -> None:
        """Delete what is said of batches that end with a segment or before."""
        ...


class LogStoreEngine(Protocol):
    """What delivery needs of the LogStores; cursors live beside the records."""

    @property
    def ledger(self) -> LedgerRows:
        """What was entered with the records and cursors."""
        ...

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
        """Load segment files, move a cursor, enter the ledger, in one transaction.

        Returns:
            The number of records.

        Raises:
            SinkError: nothing was loaded; ``retryable`` or not.
        """
        ...

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
        """The same for lines in memory, with their Unix milliseconds; maybe without a cursor."""
        ...

    def commit_cursor(self, cursor: str | None, position: int, change: LedgerChange) -> None:
        """Move a cursor, if any, and enter the ledger, in one transaction."""
        ...

    def read_cursors(self) -> dict[str, int]:
        """Every cursor ever moved."""
        ...


class ObjectSink(Protocol):
    """What delivery needs of an object store."""

    def put_object(
        self, bucket: str, key: str, body: bytes, content_type: str, *, last_modified: float
    ) -> object:
        """Store one object.

        Raises:
            ControlError: the bucket does not exist.
            OSError: it cannot be stored now.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Batches of one series that are to become visible together."""

    flow_log_id: str
    series_key: str
    cursor: str
    """Name of the cursor it moves."""
    batches: tuple[Batch, ...]
    at: float
    """The instant they become visible."""
    tries: int
    """1 for the first."""

    @property
    def position(self) -> int:
        """Where the cursor is after it."""
        return self.batches[-1].last_seq

    def entry(
        self, batch: Batch, *, destination: str, name: str, lost_because: str = ""
    ) -> LedgerEntry:
        """What the ledger says of one of its batches."""
        return LedgerEntry(
            flow_log_id=self.flow_log_id,
            series_key=self.series_key,
            piece="",
            first_seq=batch.segments[0].seq,
            last_seq=batch.last_seq,
            record_count=batch.record_count,
            byte_count=batch.byte_count,
            first_at=batch.first_at,
            last_at=batch.last_at,
            due_at=batch.due_at,
            done_at=self.at,
            outcome="lost" if lost_because else "visible",
            reason=lost_because,
            destination=destination,
            name=name,
            first_place=1,
            tries=self.tries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines in memory that are to become visible together: what faults left of a batch, or a
    piece that they held back."""

    flow_log_id: str
    series_key: str
    piece: str
    """Empty for what is left of a batch."""
    first_seq: int
    last_seq: int
    items: Sequence[Item]
    due_at: float
    at: float
    """The instant they become visible."""
    tries: int
    plan: ObjectPlan
    key: str
    """Of the object they become first, in a bucket."""
    cursor: str | None
    """Name of the cursor it moves, to ``last_seq``."""
    change: LedgerChange
    """What else is entered."""

    def entered(self, *entries: LedgerEntry, cut: Sequence[LedgerException] = ()) -> LedgerChange:
        """Everything that is entered."""
        return replace(
            self.change,
            entries=[*self.change.entries, *entries],
            exceptions=[*self.change.exceptions, *cut],
        )

    def entry(
        self,
        items: Sequence[Item],
        *,
        destination: str,
        name: str,
        torn: tuple[Item, bytes] | None = None,
        lost_because: str = "",
    ) -> LedgerEntry:
        """What the ledger says of some of them, and of what is left of one behind them."""
        known = items or self.items
        count = sum(1 + item.line.count(b"\n") for item in items) if self.key else len(items)
        places = [(item.seq, item.number) for item in items]
        if torn is not None:
            places.append((torn[0].seq, torn[0].number))
        return LedgerEntry(
            flow_log_id=self.flow_log_id,
            series_key=self.series_key,
            piece=self.piece,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            record_count=count + (torn is not None),
            byte_count=sum(len(item.line) + 1 for item in items),
            first_at=min(item.logged_at for item in known),
            last_at=max(item.logged_at for item in known),
            due_at=self.due_at,
            done_at=self.at,
            outcome="lost" if lost_because else "visible",
            reason=lost_because,
            destination=destination,
            name=name,
            first_place=1,
            tries=self.tries,
            manifest=encode_manifest(places, b"" if torn is None else torn[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a sink did with lines."""

    objects: tuple[str, ...] = ()
    """``<bucket>/<key>`` of those written."""
    cut_count: int = 0
    """Lines that cannot be read back, because an object ends before them."""


class Sink(Protocol):
    """One destination of one flow log."""

    max_batches: int
    """How many batches one ``load`` may take."""

    def load(self, load: Load) -> Delivered:
        """Make batches of one series visible.

        Raises:
            SinkError: none of them is visible; ``retryable`` or not.
        """
        ...

    def load_lines(self, lines: Lines) -> Delivered:
        """Make lines visible, if there are any, and enter what became of the rest.

        Raises:
            SinkError: as ``load``.
        """
        ...

    def give_up(self, load: Load, reason: str) -> None:
        """Lose the batches: they will not be delivered again."""
        ...

    def give_up_lines(self, lines: Lines, reason: str) -> None:
        """Lose the lines: they will not be delivered again."""
        ...


def make_sink(flow_log: FlowLog, engine: LogStoreEngine, objects: ObjectSink | None) -> Sink:
    """The sink of a flow log.

    Raises:
        ValueError: a bucket is the destination and there is no object store.
    """
    match flow_log.destination:
        case LogStoreDestination() as log_store:
            return LogStoreSink(flow_log, log_store, engine)
        case BucketDestination() as bucket:
            if objects is None:
                raise ValueError(f"flow log {flow_log.name} needs an object store")
            return BucketSink(flow_log, bucket, engine, objects)
        case _ as never:
            assert_never(never)


class LogStoreSink:
    """Loads segments as they are. Source: assumed, stream ``<flow log id>/<load balancer id>``."""

    max_batches = 4096

    def __init__(
        self, flow_log: FlowLog, destination: LogStoreDestination, engine: LogStoreEngine
    ) -> None:
        self._destination = destination
        self._stream = f"{flow_log.flow_log_id}/{flow_log.load_balancer_id}"
        self._engine = engine

    def load(self, load: Load) -> Delivered:
        """Load all batches in one transaction. See ``Sink.load``."""
        self._engine.deliver_segments(
            project=self._destination.project,
            log_store=self._destination.log_store,
            stream=self._stream,
            paths=[segment.path for batch in load.batches for segment in batch.segments],
            cursor=load.cursor,
            position=load.position,
            change=LedgerChange(entries=self._entries(load)),
        )
        return Delivered()

    def load_lines(self, lines: Lines) -> Delivered:
        """See ``Sink.load_lines``."""
        self._engine.deliver_lines(
            project=self._destination.project,
            log_store=self._destination.log_store,
            stream=self._stream,
            lines=[(item.logged_ms, item.line) for item in lines.items],
            cursor=lines.cursor,
            position=lines.last_seq,
            change=lines.entered(*self._line_entries(lines)),
        )
        return Delivered()

    def give_up(self, load: Load, reason: str) -> None:
        """See ``Sink.give_up``."""
        change = LedgerChange(entries=self._entries(load, reason))
        self._engine.commit_cursor(load.cursor, load.position, change)

    def give_up_lines(self, lines: Lines, reason: str) -> None:
        """See ``Sink.give_up_lines``."""
        change = lines.entered(*self._line_entries(lines, reason))
        self._engine.commit_cursor(lines.cursor, lines.last_seq, change)

    @property
    def _name(self) -> str:
        return f"{self._destination.project}/{self._destination.log_store}"

    def _entries(self, load: Load, reason: str = "") -> list[LedgerEntry]:
        return [
            load.entry(batch, destination=self._name, name=self._stream, lost_because=reason)
            for batch in load.batches
        ]

    def _line_entries(self, lines: Lines, reason: str = "") -> list[LedgerEntry]:
        if not lines.items:
            return []
        return [
            lines.entry(lines.items, destination=self._name, name=self._stream, lost_because=reason)
        ]


class BucketSink:
    """Writes one object per batch, then moves the cursor."""

    max_batches = 1

    def __init__(
        self,
        flow_log: FlowLog,
        destination: BucketDestination,
        engine: LogStoreEngine,
        objects: ObjectSink,
    ) -> None:
        self._flow_log_id = flow_log.flow_log_id
        self._destination = destination
        self._engine = engine
        self._objects = objects

    def load(self, load: Load) -> Delivered:
        """Put one object for the batch. See ``Sink.load``."""
        [batch] = load.batches
        key = object_key(self._destination, self._flow_log_id, batch)
        paths = [segment.path for segment in batch.segments]
        self._put(key, lambda: encode_object(paths, gzip=self._destination.gzip), load.at)
        entry = load.entry(batch, destination=self._destination.bucket, name=key)
        self._engine.commit_cursor(load.cursor, load.position, LedgerChange(entries=[entry]))
        return Delivered(objects=(f"{self._destination.bucket}/{key}",))

    def load_lines(self, lines: Lines) -> Delivered:
        """Put the objects that they become. See ``Sink.load_lines``."""
        entries: list[LedgerEntry] = []
        cut: list[LedgerException] = []
        bucket, cut_count = self._destination.bucket, 0
        planned = encode_objects(
            [item.line for item in lines.items], lines.plan, gzip=self._destination.gzip
        )
        names = []
        for index, made in enumerate(planned):
            key = suffixed_key(lines.key, made.suffix)
            self._put(key, partial(bytes, made.body), lines.at)
            names.append(f"{bucket}/{key}")
            last = planned[index + 1].first if index + 1 < len(planned) else len(lines.items)
            whole = lines.items[made.first : made.first + made.whole]
            missing = lines.items[made.first + made.whole : last]
            cut_count += len(missing)
            cut += [_cut(lines, item, key) for item in missing]
            torn = (missing[0], made.torn) if made.torn else None
            if whole or torn:
                entries.append(lines.entry(whole, destination=bucket, name=key, torn=torn))
        change = lines.entered(*entries, cut=cut)
        self._engine.commit_cursor(lines.cursor, lines.last_seq, change)
        return Delivered(objects=tuple(names), cut_count=cut_count)

    def give_up(self, load: Load, reason: str) -> None:
        """See ``Sink.give_up``."""
        entries = [
            load.entry(
                batch,
                destination=self._destination.bucket,
                name=object_key(self._destination, self._flow_log_id, batch),
                lost_because=reason,
            )
            for batch in load.batches
        ]
        self._engine.commit_cursor(load.cursor, load.position, LedgerChange(entries=entries))

    def give_up_lines(self, lines: Lines, reason: str) -> None:
        """See ``Sink.give_up_lines``."""
        entries = []
        if lines.items:
            bucket = self._destination.bucket
            entries.append(
                lines.entry(lines.items, destination=bucket, name=lines.key, lost_because=reason)
            )
        self._engine.commit_cursor(lines.cursor, lines.last_seq, lines.entered(*entries))

    def _put(self, key: str, encode: Callable[[], bytes], at: float) -> None:
        bucket = self._destination.bucket
        # Source: assumed. No Content-Encoding: some clients would unpack on the way.
        content_type = "application/gzip" if self._destination.gzip else "application/octet-stream"
        try:
            self._objects.put_object(bucket, key, encode(), content_type, last_modified=at)
        except ControlError as error:
            raise _refused(error) from error
        except OSError as error:
            raise SinkError(f"{bucket}: {error}", retryable=True) from error


def _cut(lines: Lines, item: Item, key: str) -> LedgerException:
    return LedgerException(
        flow_log_id=lines.flow_log_id,
        series_key=lines.series_key,
        seq=item.seq,
        line=item.number,
        fault=lines.plan.cut_by,
        kind=FaultKind.TRUNC.value,
        action="cut",
        until_at=0.0,
        detail=key,
        altered=None,
    )


def suffixed_key(key: str, suffix: str) -> str:
    """The key of another object beside the one of ``key``: sorts behind it."""
    stem, dot, extension = key.rpartition(".log")
    return f"{stem}{suffix}{dot}{extension}"


def object_key(destination: BucketDestination, flow_log_id: str, batch: Batch) -> str:
    """The key of a batch: a pure function of flow log, period, node and first segment.

    The number at the end is that of the first segment in it: objects of one node and period sort
    in the order of their records, and what a crash left unfinished is written to the same key.

    Source: assumed (the vendor documents bucket, folder and prefix; its log service partitions
    by ``%Y/%m/%d/%H/%M``).
    """
    start = datetime.fromtimestamp(batch.window * destination.rotation_s, UTC).astimezone(_ZONE)
    segment = batch.segments[0]
    return (
        f"{destination.prefix}{flow_log_id}/{start:%Y/%m/%d/%H/%M}/"
        f"{segment.load_balancer_id}_{segment.node_address}_{start:%Y%m%dT%H%M%S}"
        f"_{segment.seq % 100_000:05d}.log{'.gz' if destination.gzip else ''}"
    )


def encode_object(paths: list[Path], *, gzip: bool) -> bytes:
    """The records of segments as JSON lines, each with its line feed.

    Raises:
        OSError: a segment cannot be read.
    """
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW) if gzip else None
    pieces: list[bytes] = []
    for path in paths:
        with path.open("rb") as file:
            # In pieces: the event loop gets its turns in between.
            while lines := file.readlines(_READ_BYTES):
                records = b"".join([line.partition(b"\t")[2] for line in lines])
                pieces.append(records if packer is None else packer.compress(records))
    if packer is not None:
        pieces.append(packer.flush())
    return b"".join(pieces)


def _refused(error: ControlError) -> SinkError:
    """A destination that is missing will not come back by waiting; one that is busy will."""
    return SinkError(str(error), retryable=error.status >= 500 or error.status == 429)
