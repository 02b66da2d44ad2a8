"""Where batches go: a LogStore, or objects in a bucket. Runs on the delivery thread.

A sink moves its cursor with the records (LogStore) or after them (bucket, where a repeated put is
the same put, and what other faults made of the batch before is deleted), so that a crash between
the two neither loses nor doubles a record.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Final, Protocol, assert_never

from simulator.delivery.batching import Batch
from simulator.delivery.consignments import Delivered, Lines, Load
from simulator.delivery.image import Item
from simulator.delivery.object_plan import encode_objects, gzip_packer
from simulator.delivery.stores import LogStores, ObjectSink
from simulator.errors import ControlError, SinkError
from simulator.logstore import LedgerChange, LedgerEntry, LedgerException
from simulator.model import BucketDestination, FlowLog, LogStoreDestination
from simulator.model.faults import FaultKind
from simulator.model.key_layout import fill_layout
from simulator.objectstore.lags import Lag

_ZONE: Final = timezone(timedelta(hours=8))
"""Source: assumed (+0800 in every region, as in ``time_local``)."""
_READ_BYTES: Final = 256 * 1024


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


def make_sink(flow_log: FlowLog, log_stores: LogStores, objects: ObjectSink | None) -> Sink:
    """The sink of a flow log.

    Raises:
        ValueError: a bucket is the destination and there is no object store.
    """
    match flow_log.destination:
        case LogStoreDestination() as log_store:
            return LogStoreSink(flow_log, log_store, log_stores)
        case BucketDestination() as bucket:
            if objects is None:
                raise ValueError(f"flow log {flow_log.name} needs an object store")
            return BucketSink(flow_log, bucket, log_stores, objects)
        case _ as never:
            assert_never(never)


class LogStoreSink:
    """Loads segments as they are. Source: assumed, stream ``<flow log id>/<load balancer id>``."""

    max_batches = 4096

    def __init__(
        self, flow_log: FlowLog, destination: LogStoreDestination, log_stores: LogStores
    ) -> None:
        self._destination = destination
        self._stream = f"{flow_log.flow_log_id}/{flow_log.load_balancer_id}"
        self._log_stores = log_stores

    def load(self, load: Load) -> Delivered:
        """Load all batches in one transaction. See ``Sink.load``."""
        self._log_stores.deliver_segments(
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
        self._log_stores.deliver_lines(
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
        self._log_stores.commit_cursor(load.cursor, load.position, change)

    def give_up_lines(self, lines: Lines, reason: str) -> None:
        """See ``Sink.give_up_lines``."""
        change = lines.entered(*self._line_entries(lines, reason))
        self._log_stores.commit_cursor(lines.cursor, lines.last_seq, change)

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
        log_stores: LogStores,
        objects: ObjectSink,
    ) -> None:
        self._flow_log_id = flow_log.flow_log_id
        self._destination = destination
        self._log_stores = log_stores
        self._objects = objects
        self._begun: set[str] = set()
        """Series of which a batch has been entered since the start."""

    def load(self, load: Load) -> Delivered:
        """Put one object for the batch. See ``Sink.load``."""
        [batch] = load.batches
        key = object_key(self._destination, self._flow_log_id, batch)
        paths = [segment.path for segment in batch.segments]
        self._put(key, lambda: encode_object(paths, gzip=self._destination.gzip), load.at)
        self._clear_up(load.series_key, load.tries, key, {key})
        entry = load.entry(batch, destination=self._destination.bucket, name=key)
        self._log_stores.commit_cursor(load.cursor, load.position, LedgerChange(entries=[entry]))
        self._begun.add(load.series_key)
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
            self._put(key, partial(bytes, made.body), lines.at, lines.plan.lag(lines.at))
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
        if lines.cursor is not None:
            keys = {suffixed_key(lines.key, made.suffix) for made in planned}
            self._clear_up(lines.series_key, lines.tries, lines.key, keys)
        self._log_stores.commit_cursor(lines.cursor, lines.last_seq, change)
        if lines.cursor is not None:
            self._begun.add(lines.series_key)
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
        self._log_stores.commit_cursor(load.cursor, load.position, LedgerChange(entries=entries))

    def give_up_lines(self, lines: Lines, reason: str) -> None:
        """See ``Sink.give_up_lines``."""
        entries = []
        if lines.items:
            bucket = self._destination.bucket
            entries.append(
                lines.entry(lines.items, destination=bucket, name=lines.key, lost_because=reason)
            )
        self._log_stores.commit_cursor(lines.cursor, lines.last_seq, lines.entered(*entries))

    def _clear_up(self, series_key: str, tries: int, key: str, keys: set[str]) -> None:
        """Delete what was put for a batch before its cursor could be moved, but for ``keys``.

        A crash leaves one such batch of a series at most, a failed try this one; other faults may
        have met it then, and made other objects of it.
        """
        if tries == 1 and series_key in self._begun:
            return
        stem, dot, extension = key.rpartition(".log")
        beside = re.compile(rf"{re.escape(stem)}(?:-\d+|-empty)?{re.escape(dot + extension)}")
        try:
            self._objects.delete_objects(
                self._destination.bucket,
                stem,
                lambda other: other not in keys and beside.fullmatch(other) is not None,
            )
        except OSError as error:
            raise SinkError(f"{self._destination.bucket}: {error}", retryable=True) from error

    def _put(
        self, key: str, encode: Callable[[], bytes], at: float, lag: Lag | None = None
    ) -> None:
        bucket = self._destination.bucket
        # Source: assumed. No Content-Encoding: some clients would unpack on the way.
        content_type = "application/gzip" if self._destination.gzip else "application/octet-stream"
        try:
            self._objects.put_object(bucket, key, encode(), content_type, last_modified=at, lag=lag)
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

    Its sequence number is that of the first segment in it: in the default layout objects of one
    node and period sort in the order of their records, and what a crash left unfinished is
    written to the same key.
    """
    start = datetime.fromtimestamp(batch.window * destination.rotation_s, UTC).astimezone(_ZONE)
    segment = batch.segments[0]
    names = {
        "flow_log": flow_log_id,
        "load_balancer": segment.load_balancer_id,
        "node": segment.node_address,
        "sequence": f"{segment.seq % 100_000:05d}",
    }
    stem = fill_layout(destination.layout, start, names)
    return f"{destination.prefix}{stem}.log{'.gz' if destination.gzip else ''}"


def encode_object(paths: list[Path], *, gzip: bool) -> bytes:
    """The records of segments as JSON lines, each with its line feed.

    Raises:
        OSError: a segment cannot be read.
    """
    packer = gzip_packer() if gzip else None
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
