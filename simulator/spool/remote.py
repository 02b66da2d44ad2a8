"""A series that another process writes: how it shows there what it does, and what is seen here.

The writer keeps a row of numbers in shared memory up to date, so that what is open is known here
at any moment without asking, and known still when the writer is killed.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from simulator.spool.room import SpoolRoom
from simulator.spool.segment import SUFFIX, SegmentInfo, list_segments, recover_segment
from simulator.spool.series import SpoolSeries

_log = logging.getLogger(__name__)

SERIES_CELLS: Final = 8
"""Whole numbers that a series takes in shared memory."""

SeriesCells = memoryview
"""Those of one series: format ``q``."""

_APPENDED: Final = 0
"""Records written by this process, whether or not their segment is closed."""
_SEQ: Final = 1
_FIRST_MS: Final = 2
_LAST_MS: Final = 3
_BYTES: Final = 4
_DROPPED: Final = 5


class PublishedSeries(SpoolSeries):
    """What the writer has: a series that shows its state in ``cells``.

    Args:
        cells: of this series, all zero.
        others: as those of ``SpoolSeries``.
    """

    __slots__ = ("_cells", "_closed_count")

    def __init__(self, *, cells: SeriesCells, **others: object) -> None:
        super().__init__(**others)  # type: ignore[arg-type]  # passed on as they are
        self._cells = cells
        self._closed_count = 0

    def append(self, logged_at: float, line: bytes) -> None:
        """Write one record and show it."""
        super().append(logged_at, line)
        cells = self._cells
        if cells[_SEQ] != self._seq:
            cells[_SEQ] = self._seq
        cells[_FIRST_MS] = self._first_ms
        cells[_LAST_MS] = self._last_ms
        cells[_BYTES] = self._byte_count
        cells[_DROPPED] = self.dropped_count
        cells[_APPENDED] = self._closed_count + self._record_count

    def _detach(self) -> SegmentInfo | None:
        self._closed_count += self._record_count
        return super()._detach()


class SeriesWriter(Protocol):
    """The process that writes a series, as its owner reaches it."""

    def close_ended(self, then: Callable[[], None]) -> None:
        """Have it close and report what is over, then call ``then``; holds the clock meanwhile."""
        ...

    @property
    def written_until(self) -> float:
        """Every record dated before this is in the spool, and known to be."""
        ...

    def cut(self, load_balancer_id: str, then: Callable[[], None]) -> None:
        """Have it close and report what it is writing, then call ``then``."""
        ...


class RemoteSeries:
    """What everybody else has: the series as its cells and reports show it.

    Made by ``Spool.remote_series``.
    """

    def __init__(
        self,
        *,
        load_balancer_id: str,
        node_address: str,
        directory: Path,
        next_seq: int,
        floor: int | None,
        cells: SeriesCells,
        writer: SeriesWriter,
        on_closed: Callable[[SegmentInfo], None],
        room: SpoolRoom | None = None,
    ) -> None:
        self.load_balancer_id = load_balancer_id
        self.node_address = node_address
        self.key = f"{load_balancer_id}_{node_address}"
        self.directory = directory
        self._next_seq = next_seq
        self._cells = cells
        self._writer = writer
        self._on_closed = on_closed
        self._room = room
        self._closed_count = 0
        """Records in segments that this writer has reported."""
        self._offered_bytes = 0
        """Of segments of this writer, which it counts itself in ``room`` as long as it lives."""
        self._dropped_before = 0
        self._reported_at = 0.0
        """Of the newest record that was reported."""
        # Removals run on another thread.
        self._lock = Lock()
        self._floor = floor

    @property
    def next_seq(self) -> int:
        """Of the segment that the next writer opens first."""
        return self._next_seq

    @property
    def floor(self) -> int | None:
        """The empty segment that may go when there is a newer one."""
        return self._floor

    @property
    def dropped_count(self) -> int:
        """Records that the disk did not take."""
        return self._dropped_before + self._cells[_DROPPED]

    @property
    def open_record_count(self) -> int:
        """Records in segments that have not been reported yet."""
        return max(0, self._cells[_APPENDED] - self._closed_count)

    def written_until(self, now: float) -> float:
        """Every record dated before this is in the spool: its writer has said so."""
        # Cut to milliseconds, as times are in its files.
        return min(now, int(self._writer.written_until * 1000) / 1000)

    def open_info(self) -> SegmentInfo | None:
        """The segment that is still being written, as it is now; None if it has no record."""
        count = self.open_record_count
        if not count:
            return None
        cells = self._cells
        first_at = cells[_FIRST_MS] / 1000
        if cells[_SEQ] > self._next_seq:
            # The report of one before is on its way, and nothing in that is older than this.
            first_at = self._reported_at
        return SegmentInfo(
            series_key=self.key,
            load_balancer_id=self.load_balancer_id,
            node_address=self.node_address,
            seq=cells[_SEQ],
            directory=self.directory,
            record_count=count,
            byte_count=cells[_BYTES],
            first_at=first_at,
            last_at=cells[_LAST_MS] / 1000,
        )

    def close_ended(self, _now: float, then: Callable[[], None]) -> None:
        """Have the writer close and report what is over, then call ``then``."""
        self._writer.close_ended(then)

    async def cut(self) -> int:
        """Have the writer close what it is writing; the number of the last segment then."""
        cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def then() -> None:
            if not cut.done():
                # Now, and not when whoever waits comes to it: the next may be reported by then.
                cut.set_result(self._next_seq - 1)

        self._writer.cut(self.load_balancer_id, then)
        return await cut

    def close(self) -> None:
        """The writer does that itself."""

    def reported(self, segment: SegmentInfo) -> None:
        """The writer has closed ``segment``: offer it."""
        self._closed_count += segment.record_count
        self._reported_at = segment.last_at
        self._offer(segment)

    def read_back(self) -> None:
        """The writer is gone: offer what it has not reported, and be ready for the next one.

        What it counted in the room must not be counted there any more.

        Raises:
            OSError: the directory cannot be read.
        """
        try:
            self._offer_unreported()
        finally:
            offered_bytes, self._offered_bytes = self._offered_bytes, 0
            if self._room is not None:
                self._room.take(offered_bytes)
        self._dropped_before = self.dropped_count
        self._closed_count = 0
        for cell in range(SERIES_CELLS):
            self._cells[cell] = 0

    def _offer_unreported(self) -> None:
        for seq, _ in list_segments(self.directory):
            if seq < self._next_seq:
                continue
            try:
                segment = recover_segment(self.directory, seq, self.key)
            except ValueError:
                _log.exception("%s: segment %d is not readable; left alone", self.directory, seq)
                self._next_seq = seq + 1
                continue
            if segment is not None:
                self._offer(segment)
            else:
                self._use(seq, floor=seq)

    def remove(self, segment: SegmentInfo) -> None:
        """Delete a segment. May be called from any thread.

        The newest is only emptied: its name is what keeps the sequence from starting again.
        """
        with self._lock:
            if segment.seq >= max(self._next_seq - 1, self._cells[_SEQ]):
                os.truncate(segment.path, 0)
                self._floor = segment.seq
            else:
                segment.path.unlink(missing_ok=True)

    def skip_to(self, seq: int) -> None:
        """Let the next segment be ``seq`` at least; only while nobody writes."""
        self._next_seq = max(self._next_seq, seq)

    def _offer(self, segment: SegmentInfo) -> None:
        self._use(segment.seq, floor=None)
        self._offered_bytes += segment.byte_count
        self._on_closed(segment)

    def _use(self, seq: int, *, floor: int | None) -> None:
        """The segment ``seq`` exists, so the empty one that kept its place may go."""
        with self._lock:
            old, self._floor = self._floor, floor
            self._next_seq = max(self._next_seq, seq + 1)
        if old is not None and old != seq:
            try:
                (self.directory / f"{old:08d}{SUFFIX}").unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s: segment %d cannot be removed: %s", self.key, old, error.strerror)
