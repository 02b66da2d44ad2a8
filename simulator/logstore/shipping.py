"""Ships LogStores to buckets, window by window.

A window is put whole before the shipper's cursor moves past it. Keys are a function of shipper,
window and number, and a window holds the same records in the same order when it is shipped again,
so a crash between the two makes the same objects once more and neither loses nor doubles a record.
Where they are not the same, because the settings have changed since, those of the earlier try are
removed before the cursor is moved.
"""

import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.availability import Availability
from simulator.logstore.buckets import Buckets
from simulator.logstore.catalog import Catalog
from simulator.logstore.database import Database, DatabaseError, first_line
from simulator.logstore.files import StoredRecord, encode_file, encode_head, encode_line
from simulator.logstore.loader import SEQ_SHIFT
from simulator.logstore.record_sizes import fitting_count
from simulator.logstore.shipped_objects import ShippedObject
from simulator.logstore.shippers import Shipper, ShipperRun, Shippers, ShipperStatus
from simulator.logstore.typed import LOCAL_AHEAD
from simulator.logstore.upkeep import IsStopped, never
from simulator.logstore.values import RecordType
from simulator.logstore.watchdog import timed_out

CHUNK_ROWS: Final = 5_000
"""Read at a time, unless they are large: no statement is long, and memory holds one chunk and one
object."""
MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Of an object under way, whatever ``maxObjectSize`` says. Source: assumed (it bounds memory)."""

_ACTIVE: Final = frozenset({ShipperStatus.RUNNING, ShipperStatus.ABNORMAL})
_TYPES: Final = {"log": "text/plain", "csv": "text/csv", "parquet": "application/octet-stream"}
_log = logging.getLogger(__name__)


class Shipping:
    """The job that runs shippers.

    Source: assumed, all of it but that files are cut by interval and size: names, the zone, that
    a window is one of receipt and the records of it those not older than the shipper's start.
    """

    def __init__(
        self, database: Database, catalog: Catalog, shippers: Shippers, availability: Availability
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._shippers = shippers
        self._availability = availability
        self.buckets: Buckets | None = None
        """Where objects go; None: there are no buckets."""
        self._is_stopped: IsStopped = never

    def next_at(self) -> float | None:
        """When the first window of a running shipper is over."""
        return min((_due_at(one) for one in self._running()), default=None)

    def run(self, now: float, is_stopped: IsStopped = never) -> None:
        """Ship every window that is over.

        Raises:
            ControlError: ExecutionTimeout; what was left is shipped by the next run.
        """
        self._is_stopped = is_stopped
        for shipper in self._running():
            try:
                self._catch_up(shipper, now)
            except (ControlError, DatabaseError, OSError) as error:
                if isinstance(error, ControlError) and error.code == "ExecutionTimeout":
                    raise  # it was interrupted, perhaps to stop: no fault of the shipper
                message = error.message if isinstance(error, ControlError) else first_line(error)
                _log.warning("log shipper %s (%s): %s", shipper.id, shipper.name, message)
                retry_at = now + shipper.settings.interval_min * 60
                self._shippers.fail(shipper.id, message, retry_at)

    def _running(self) -> list[Shipper]:
        return [one for one in self._shippers.list_all() if one.status in _ACTIVE]

    def _catch_up(self, shipper: Shipper, now: float) -> None:
        # By its table, and looked at first: a LogStore that is deleted ends its shippers, and what
        # is made under its name meanwhile is none of theirs.
        state = self._catalog.store(shipper.project, shipper.log_store)
        shipper = self._shippers.describe(shipper.id)
        while shipper.status in _ACTIVE and _due_at(shipper) <= now:
            self._go_on()
            self._availability.check(state)
            ended_at = self._end_of_next(shipper, state.table, now)
            count, seq = self._ship(shipper, state.table, ended_at)
            run = ShipperRun(started_at=shipper.window_at, ended_at=ended_at, record_count=count)
            shipper = self._shippers.finish(shipper.id, run, seq)

    def _go_on(self) -> None:
        """Between two steps; what a window has put already is put once more, the same."""
        if self._is_stopped():
            raise timed_out()

    def _end_of_next(self, shipper: Shipper, table: str, now: float) -> float:
        """The end of the next window; windows without a record are passed over at once."""
        interval_s = shipper.settings.interval_min * 60
        last: int = math.floor((now - shipper.window_at) / interval_s)
        with self._database.inspecting() as cursor:
            row = cursor.execute(
                f"SELECT min(seq) FROM {table} WHERE seq > $seq AND ts >= $start",
                {"seq": shipper.shipped_seq, "start": shipper.start_ms},
            ).fetchone()
        first: int | None = None if row is None else row[0]
        if first is None:
            return shipper.window_at + max(1, last) * interval_s
        received_at = (first >> SEQ_SHIFT) / 1000
        passed: int = math.floor((received_at - shipper.window_at) / interval_s)
        # An empty stretch is one window of its own; the record's own window is the next.
        return shipper.window_at + max(1, min(passed, last)) * interval_s

    def _ship(self, shipper: Shipper, table: str, ended_at: float) -> tuple[int, int]:
        """Put the objects of a window and no others; how many records, and the newest of them."""
        count = 0
        done: set[ShippedObject] = set()
        newest = self._newest(shipper, table, math.ceil(ended_at * 1000) << SEQ_SHIFT)
        for stream in self._streams(shipper, table, newest):
            number, held = 0, bytearray()
            for record in self._records(shipper, table, newest, stream):
                line = encode_line(record, shipper.settings.layout)
                if held and len(held) + len(line) > self._limit(shipper):
                    done.add(self._put(shipper, stream, number, bytes(held), ended_at))
                    number, held = number + 1, bytearray()
                held += line
                count += 1
            if held:
                done.add(self._put(shipper, stream, number, bytes(held), ended_at))
        for one in self._shippers.objects.stale(shipper.id, done):
            self._objects_of(one.bucket).delete_object(one.bucket, one.key)
        return count, newest

    def _newest(self, shipper: Shipper, table: str, bound: int) -> int:
        """The last record that is there of a window; one that still comes is for the next.

        Records become visible in the order of their ``@seq``, so none before it can be missing.
        """
        with self._database.inspecting() as cursor:
            row = cursor.execute(
                f"SELECT max(seq) FROM {table} WHERE seq > $seq AND seq < $bound AND ts >= $start",
                {"seq": shipper.shipped_seq, "bound": bound, "start": shipper.start_ms},
            ).fetchone()
        return shipper.shipped_seq if row is None or row[0] is None else int(row[0])

    def _limit(self, shipper: Shipper) -> int:
        wanted = shipper.settings.max_object_mb * 1024 * 1024
        return min(wanted, MAX_HELD_BYTES) - len(encode_head(shipper.settings.layout))

    def _put(
        self, shipper: Shipper, stream: str | None, number: int, lines: bytes, ended_at: float
    ) -> ShippedObject:
        settings = shipper.settings
        buckets = self._objects_of(settings.bucket)
        made = ShippedObject(bucket=settings.bucket, key=object_key(shipper, stream, number))
        body = encode_file(lines, settings.layout)
        type_ = _TYPES[settings.layout.extension.partition(".")[0]]
        self._shippers.objects.remember(shipper.id, made)
        buckets.put_object(made.bucket, made.key, body, type_, last_modified=ended_at)
        return made

    def _objects_of(self, bucket: str) -> Buckets:
        if self.buckets is None:
            raise ControlError("NoSuchBucket", 404, f"bucket {bucket} does not exist")
        return self.buckets

    def _streams(self, shipper: Shipper, table: str, newest: int) -> list[str | None]:
        """The streams a window has, or None for all of them in one."""
        if not shipper.settings.partition_by_stream:
            return [None]
        with self._database.inspecting() as cursor:
            rows = cursor.execute(
                f"SELECT DISTINCT stream FROM {table}"
                " WHERE seq > $seq AND seq <= $newest AND ts >= $start ORDER BY stream",
                {"seq": shipper.shipped_seq, "newest": newest, "start": shipper.start_ms},
            ).fetchall()
        return [row[0] for row in rows]

    def _records(
        self, shipper: Shipper, table: str, newest: int, stream: str | None
    ) -> Iterator[StoredRecord]:
        """The records of a window in the order of their receipt."""
        seq = shipper.shipped_seq
        chosen = (
            f" FROM {table} WHERE seq > $seq AND seq <= $newest AND ts >= $start"
            f" AND ($stream IS NULL OR stream = $stream) ORDER BY seq LIMIT "
        )
        while True:
            self._go_on()
            values = {"seq": seq, "newest": newest, "start": shipper.start_ms, "stream": stream}
            with self._database.inspecting() as cursor:
                narrow = f"SELECT size{chosen}{CHUNK_ROWS}"
                sizes = cursor.execute(narrow, values).fetchall()
                count = fitting_count(size for (size,) in sizes)
                wide = f"SELECT seq, ts, stream, message, type, tags{chosen}{count}"
                rows = cursor.execute(wide, values).fetchall()
            for seq, ts, in_stream, message, type_, tags in rows:
                yield StoredRecord(
                    seq=seq,
                    timestamp_ms=ts,
                    stream=in_stream,
                    message=message,
                    type=RecordType(type_),
                    tags=tags,
                )
            if count == len(sizes) < CHUNK_ROWS:
                return


def object_key(shipper: Shipper, stream: str | None, number: int) -> str:
    """The name of an object. Source: assumed, but for path and partition; the zone is the
    service's."""
    settings = shipper.settings
    begins = datetime.fromtimestamp(shipper.window_at, UTC) + LOCAL_AHEAD
    partition = begins.strftime(settings.partition_format)
    if partition and not partition.endswith("/"):
        partition += "/"
    directory = settings.directory + partition.lstrip("/") + (f"{stream}/" if stream else "")
    name = f"{shipper.log_store}_{shipper.id[:8]}_{begins:%Y%m%d%H%M%S}_{number}"
    return f"{directory}{name}.{settings.layout.extension}"


def _due_at(shipper: Shipper) -> float:
    return max(shipper.window_at + shipper.settings.interval_min * 60, shipper.retry_at)
