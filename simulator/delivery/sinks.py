"""Where batches go: a LogStore, or objects in a bucket. Runs on the delivery thread.

A sink moves its cursor with the records (LogStore) or after them (bucket, where a repeated put is
the same put), so that a crash between the two neither loses nor doubles a record.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final, Protocol, assert_never

from simulator.delivery.batching import Batch
from simulator.errors import ControlError, SinkError
from simulator.logstore import LedgerEntry, LedgerException
from simulator.model import BucketDestination, FlowLog, LogStoreDestination

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
        entries: Sequence[LedgerEntry],
    ) -> int:
        """Load segment files, move a cursor, enter the ledger, in one transaction.

        Returns:
            The number of records.

        Raises:
            SinkError: nothing was loaded; ``retryable`` or not.
        """
        ...

    def commit_cursor(self, cursor: str, position: int, entries: Sequence[LedgerEntry]) -> None:
        """Move a cursor and enter the ledger, in one transaction."""
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


class Sink(Protocol):
    """One destination of one flow log."""

    max_batches: int
    """How many batches one ``load`` may take."""

    def load(self, load: Load) -> tuple[str, ...]:
        """Make batches of one series visible; the names of the objects written.

        Raises:
            SinkError: none of them is visible; ``retryable`` or not.
        """
        ...

    def give_up(self, load: Load, reason: str) -> None:
        """Lose the batches: they will not be delivered again."""
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

    def load(self, load: Load) -> tuple[str, ...]:
        """Load all batches in one transaction. See ``Sink.load``."""
        self._engine.deliver_segments(
            project=self._destination.project,
            log_store=self._destination.log_store,
            stream=self._stream,
            paths=[segment.path for batch in load.batches for segment in batch.segments],
            cursor=load.cursor,
            position=load.position,
            entries=self._entries(load),
        )
        return ()

    def give_up(self, load: Load, reason: str) -> None:
        """See ``Sink.give_up``."""
        self._engine.commit_cursor(load.cursor, load.position, self._entries(load, reason))

    def _entries(self, load: Load, reason: str = "") -> list[LedgerEntry]:
        name = f"{self._destination.project}/{self._destination.log_store}"
        return [
            load.entry(batch, destination=name, name=self._stream, lost_because=reason)
            for batch in load.batches
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

    def load(self, load: Load) -> tuple[str, ...]:
        """Put one object for the batch. See ``Sink.load``."""
        [batch] = load.batches
        destination = self._destination
        key = object_key(destination, self._flow_log_id, batch)
        # Source: assumed. No Content-Encoding: some clients would unpack on the way.
        content_type = "application/gzip" if destination.gzip else "application/octet-stream"
        try:
            paths = [segment.path for segment in batch.segments]
            body = encode_object(paths, gzip=destination.gzip)
            self._objects.put_object(
                destination.bucket, key, body, content_type, last_modified=load.at
            )
        except ControlError as error:
            raise _refused(error) from error
        except OSError as error:
            raise SinkError(f"{destination.bucket}: {error}", retryable=True) from error
        entry = load.entry(batch, destination=destination.bucket, name=key)
        self._engine.commit_cursor(load.cursor, load.position, [entry])
        return (f"{destination.bucket}/{key}",)

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
        self._engine.commit_cursor(load.cursor, load.position, entries)


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
