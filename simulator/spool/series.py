"""One series of segments: the records of one load balancer on one service node.

``append`` runs on the proxied path: one write, a few attributes, and never an exception.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from simulator.clock import Clock, Timer, monotonic
from simulator.spool.room import SpoolRoom
from simulator.spool.segment import SUFFIX, SegmentInfo

_log = logging.getLogger(__name__)

_WARN_EVERY_S: Final = 60.0
_PREFIX_BYTES: Final = 15
"""The time before a record, tab and line feed, until the year 2286."""
_NO_SPAN: Final = (1, 0)
"""A span that holds no instant: the next append opens a segment."""


class SpoolSeries:
    """Made by ``Spool.series``; appends records and cuts them into segments.

    A segment holds records of one quantum of simulated time (a second), is closed at the latest
    when that ends, and grows to ``max_segment_bytes`` and the record that passes it. Without a
    quantum it holds records of one millisecond and is closed on the next turn of the loop.
    """

    __slots__ = (
        "_byte_count",
        "_clock",
        "_directory",
        "_end_ms",
        "_fd",
        "_first_ms",
        "_floor",
        "_hold",
        "_last_ms",
        "_lock",
        "_max_bytes",
        "_next_seq",
        "_on_closed",
        "_quantum_ms",
        "_record_count",
        "_room",
        "_seq",
        "_span_ms",
        "_start_ms",
        "_timer",
        "_torn",
        "_warned_at",
        "dropped_count",
        "key",
        "load_balancer_id",
        "node_address",
    )

    def __init__(
        self,
        *,
        load_balancer_id: str,
        node_address: str,
        directory: Path,
        next_seq: int,
        clock: Clock,
        on_closed: Callable[[SegmentInfo], None],
        quantum_s: float,
        max_segment_bytes: int,
        room: SpoolRoom | None = None,
    ) -> None:
        self.load_balancer_id = load_balancer_id
        self.node_address = node_address
        self.key = f"{load_balancer_id}_{node_address}"
        self.dropped_count = 0
        """Records that the disk or the bound of the spool did not take."""
        self._room = room
        self._directory = directory
        self._next_seq = next_seq
        self._clock = clock
        self._on_closed = on_closed
        self._quantum_ms = int(quantum_s * 1000)
        self._span_ms = self._quantum_ms or 1
        self._max_bytes = max_segment_bytes
        self._fd = -1
        self._seq = 0
        self._floor: int | None = None
        # Only opening a segment and removing one meet: removals run on another thread.
        self._lock = Lock()
        self._start_ms, self._end_ms = _NO_SPAN
        self._first_ms = self._last_ms = 0
        self._record_count = self._byte_count = 0
        self._timer: Timer | None = None
        self._hold = False
        self._torn = False
        self._warned_at = float("-inf")

    def append(self, logged_at: float, line: bytes) -> None:
        """Write one record; it outlives the process from the moment this returns.

        Args:
            logged_at: Unix seconds.
            line: one record without line feed or tab.

        A disk that refuses it, or a spool that is full and does not block, makes it a dropped
        record; the request never learns of it.
        """
        room = self._room
        if room is not None and room.refuses(len(line) + _PREFIX_BYTES):
            self._drop(OSError(errno.ENOSPC, "the spool holds as much as it may"))
            return
        at_ms = int(logged_at * 1000)
        if not self._start_ms <= at_ms < self._end_ms and not self._roll(at_ms):
            return
        data = b"%d\t%s\n" % (at_ms, line)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._drop(error)
            return
        if written != len(data) or self._torn:
            self._torn = True
            self._drop(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._record_count += 1
        self._byte_count += written
        if room is not None:
            room.take(written)
        if at_ms > self._last_ms:
            self._last_ms = at_ms
        elif at_ms < self._first_ms:
            self._first_ms = at_ms
        if self._byte_count >= self._max_bytes:
            self._end_ms = self._start_ms  # the next append rolls

    @property
    def open_record_count(self) -> int:
        """Records in the segment that is still being written."""
        return self._record_count

    @property
    def last_seq(self) -> int:
        """The highest number that a segment has; 0 before the first."""
        return self._next_seq - 1

    def written_until(self, now: float) -> float:
        """Every record dated before this is in the spool; ``now`` where it is written here."""
        return now

    def open_info(self) -> SegmentInfo | None:
        """The segment that is still being written, as it is now; None if it has no record."""
        return self._info() if self._record_count else None

    def close_ended(self, now: float, then: Callable[[], None]) -> None:
        """Close the open segment if its second is over at ``now``, then call ``then``."""
        if self._fd >= 0 and self._quantum_end_ms() <= now * 1000:
            self.close_segment()
        then()

    def close_segment(self) -> None:
        """Close the open segment and offer it; nothing happens if none is open."""
        info = self._detach()
        held, self._hold = self._hold, False
        if info is not None:
            self._on_closed(info)
        if held:
            # Only now: whoever was offered the segment has set its own timer.
            self._clock.release()

    def close(self) -> None:
        """Stop writing; what is open stays on disk for the next run. Fine to call twice."""
        self._detach()
        if self._hold:
            self._hold = False
            self._clock.release()

    def remove(self, segment: SegmentInfo) -> None:
        """Delete a segment. May be called from any thread.

        An empty file takes the place of the newest: its name is what keeps the sequence from
        starting again. The file that was there may have other names, which keep its bytes.
        """
        with self._lock:
            if segment.seq == self._next_seq - 1:
                empty = segment.path.with_suffix(".empty")
                empty.touch()
                empty.replace(segment.path)
                self._floor = segment.seq
            else:
                segment.path.unlink(missing_ok=True)

    def skip_to(self, seq: int) -> None:
        """Let the next segment be ``seq`` at least: lower numbers are used up."""
        with self._lock:
            self._next_seq = max(self._next_seq, seq)

    def keep_floor(self, seq: int) -> None:
        """Remember that the empty segment ``seq`` may go when the next is opened."""
        self._floor = seq

    @property
    def directory(self) -> Path:
        """Where its segments lie."""
        return self._directory

    @property
    def next_seq(self) -> int:
        """Of the segment that is opened next."""
        return self._next_seq

    @property
    def floor(self) -> int | None:
        """The empty segment that may go when the next is opened."""
        return self._floor

    def _info(self) -> SegmentInfo:
        return SegmentInfo(
            series_key=self.key,
            load_balancer_id=self.load_balancer_id,
            node_address=self.node_address,
            seq=self._seq,
            directory=self._directory,
            record_count=self._record_count,
            byte_count=self._byte_count,
            first_at=self._first_ms / 1000,
            last_at=self._last_ms / 1000,
        )

    def _quantum_end_ms(self) -> int:
        return self._start_ms + self._span_ms

    def _roll(self, at_ms: int) -> bool:
        """Close what is open and open the segment for ``at_ms``; False if the disk refuses."""
        self.close_segment()
        try:
            self._open()
        except OSError as error:
            self._drop(error)
            return False
        self._start_ms = at_ms - at_ms % self._span_ms
        self._end_ms = self._start_ms + self._span_ms
        self._first_ms = self._last_ms = at_ms
        if self._quantum_ms:
            self._timer = self._clock.call_at(self._end_ms / 1000, self.close_segment)
        else:
            # Held, or a jumping clock could leave before the record is offered.
            self._clock.acquire()
            self._hold = True
            asyncio.get_running_loop().call_soon(self._close_turn, self._seq)
        return True

    def _close_turn(self, seq: int) -> None:
        if self._seq == seq:
            self.close_segment()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        with self._lock:
            seq = self._next_seq
            self._fd = os.open(self._directory / f"{seq:08d}{SUFFIX}", flags, 0o644)
            self._seq = seq
            self._next_seq = seq + 1
            floor, self._floor = self._floor, None
            if floor is not None:
                (self._directory / f"{floor:08d}{SUFFIX}").unlink(missing_ok=True)

    def _detach(self) -> SegmentInfo | None:
        """Close the file; what was in it, or None if nothing was."""
        if self._fd < 0:
            return None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._torn:
            self._mend()
        info = self._info() if self._record_count else None
        if info is None:
            self._floor = self._seq
        os.close(self._fd)
        self._fd = -1
        self._torn = False
        self._start_ms, self._end_ms = _NO_SPAN
        self._record_count = self._byte_count = 0
        return info

    def _drop(self, error: OSError) -> None:
        self.dropped_count += 1
        if self._torn:
            self._mend()
        now = monotonic()  # a clock that jumps passes many simulated minutes in a second
        if now >= self._warned_at + _WARN_EVERY_S:
            self._warned_at = now
            _log.warning(
                "%s: a record was not taken (%s); %d dropped so far",
                self._directory,
                error.strerror,
                self.dropped_count,
            )

    def _mend(self) -> None:
        """Cut the file back to its last whole record."""
        try:
            os.ftruncate(self._fd, self._byte_count)
        except OSError as error:
            _log.warning("%s: cannot cut back segment %d: %s", self._directory, self._seq, error)
        else:
            self._torn = False
