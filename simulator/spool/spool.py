"""All series under one directory: made, recovered after a crash, told apart by key."""

import logging
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Final

from simulator.clock import Clock
from simulator.errors import StartupError
from simulator.spool.remote import RemoteSeries, SeriesCells, SeriesWriter
from simulator.spool.room import SpoolRoom, WhenFull
from simulator.spool.segment import SegmentInfo, list_segments, recover_segment
from simulator.spool.series import SpoolSeries

_log = logging.getLogger(__name__)

DEFAULT_SEGMENT_BYTES: Final = 8 * 1024 * 1024


class Spool:
    """The segment files under one directory.

    Args:
        directory: made if missing; one sub-directory per series.
        clock: closes segments at the end of their second.
        quantum_s: length of the spans of simulated time a segment may not cross; 0 makes them a
            millisecond and closes a segment on the next turn of the event loop.
        max_segment_bytes: an append beyond it begins another segment.
        max_bytes: of all segments; what happens beyond it is for ``when_full`` to say.
        when_full: whether records are dropped then, or ``room.on_full`` is called.

    Raises:
        StartupError: the directory cannot be used.

    Segments of an earlier run are read back at once and wait in ``recovered``. Set ``on_closed``
    before the first append.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        quantum_s: float = 1.0,
        max_segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        max_bytes: float = inf,
        when_full: WhenFull = WhenFull.DROP,
    ) -> None:
        self.directory = directory
        self.quantum_s = quantum_s
        self.on_closed: Callable[[SegmentInfo], None] = _ignore
        """Called with every segment that is closed, on the event loop."""
        self.on_removed: Callable[[], None] = _nothing
        """Called on the event loop, by whoever had segments removed, when they are."""
        self.recovered: tuple[SegmentInfo, ...] = ()
        """What an earlier run left, by series and sequence; whoever takes it empties this."""
        self._clock = clock
        self.max_segment_bytes = max_segment_bytes
        self.room = None if max_bytes == inf else SpoolRoom(int(max_bytes), when_full)
        """How much of its bound is used; None without one."""
        self._series: dict[str, SpoolSeries | RemoteSeries] = {}
        self._used: dict[str, int] = {}
        """By series key: the highest number that somebody remembers."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.recovered = tuple(self._recover())
        except OSError as error:
            raise StartupError(f"spool: {error.filename}: {error.strerror}") from error

    def series(self, load_balancer_id: str, node_address: str) -> SpoolSeries:
        """The series of one load balancer on one service node; the same object every time.

        Raises:
            StartupError: its directory cannot be made or written.
        """
        key = f"{load_balancer_id}_{node_address}"
        series = self._series.get(key)
        if series is None:
            self._make_directory(key)
            series = self._make(key, next_seq=self._used.get(key, 0) + 1)
        assert isinstance(series, SpoolSeries)
        return series

    def remote_series(
        self,
        load_balancer_id: str,
        node_address: str,
        *,
        cells: SeriesCells,
        writer: SeriesWriter,
    ) -> RemoteSeries:
        """A series that another process writes; the same object every time.

        Args:
            load_balancer_id: of the records.
            node_address: of the service node that writes it.
            cells: where the writer shows how far it has come.
            writer: who writes it.

        Raises:
            StartupError: its directory cannot be made or written.
        """
        key = f"{load_balancer_id}_{node_address}"
        found = self._series.get(key)
        if isinstance(found, RemoteSeries):
            return found
        self._make_directory(key)
        series = self._series[key] = RemoteSeries(
            load_balancer_id=load_balancer_id,
            node_address=node_address,
            directory=self.directory / key,
            next_seq=self._used.get(key, 0) + 1 if found is None else found.next_seq,
            floor=None if found is None else found.floor,
            cells=cells,
            writer=writer,
            on_closed=self._offer,
            room=self.room,
        )
        return series

    def _make_directory(self, key: str) -> None:
        directory = self.directory / key
        probe = directory / ".probe"
        try:
            directory.mkdir(exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StartupError(f"spool: {error.filename}: {error.strerror}") from error

    def reserve(self, series_key: str, seq: int) -> None:
        """Never use ``seq`` and what is below for a new segment of a series.

        Whoever remembers numbers of an earlier run must call this before the first append: the
        files that would tell may have been deleted.
        """
        self._used[series_key] = max(seq, self._used.get(series_key, 0))
        series = self._series.get(series_key)
        if series is not None:
            series.skip_to(seq + 1)

    async def cut(self, load_balancer_id: str) -> dict[str, int]:
        """Close what is being written of a load balancer, so that a change falls between segments.

        Returns:
            The last segment of each of its series; what is written from now on comes after it.
        """
        found: dict[str, int] = {}
        for series in self.all_series():
            if series.load_balancer_id == load_balancer_id:
                if isinstance(series, RemoteSeries):
                    found[series.key] = await series.cut()
                else:
                    series.close_segment()
                    found[series.key] = series.last_seq
        return found

    def all_series(self) -> tuple[SpoolSeries | RemoteSeries, ...]:
        """Every series, of this run and of earlier ones."""
        return tuple(self._series.values())

    def open_record_count(self, load_balancer_id: str) -> int:
        """Records of a load balancer in segments that are still being written."""
        return sum(
            series.open_record_count
            for series in self._series.values()
            if series.load_balancer_id == load_balancer_id
        )

    @property
    def dropped_count(self) -> int:
        """Records that the disk did not take, over all series."""
        return sum(series.dropped_count for series in self._series.values())

    def close_ended(self, series_key: str, now: float, then: Callable[[], None]) -> None:
        """Close the open segment of a series if its second is over at ``now``, then call ``then``.

        At once, unless another process writes the series: then when that has done it, and the
        clock is held until it has.
        """
        self._series[series_key].close_ended(now, then)

    def remove(self, segment: SegmentInfo) -> None:
        """Delete a segment whose records are where they should be. From any thread."""
        self._series[segment.series_key].remove(segment)
        if self.room is not None:
            self.room.free(segment.byte_count)

    def leave(self, segment: SegmentInfo) -> None:
        """Keep a segment of an earlier run that nobody wants; it does not count as used room."""
        if self.room is not None:
            self.room.take(-segment.byte_count)

    def close(self) -> None:
        """Stop writing; everything stays on disk for the next run. Fine to call twice."""
        for series in self._series.values():
            series.close()

    def _make(self, key: str, *, next_seq: int) -> SpoolSeries:
        load_balancer_id, _, node_address = key.rpartition("_")
        series = self._series[key] = SpoolSeries(
            load_balancer_id=load_balancer_id,
            node_address=node_address,
            directory=self.directory / key,
            next_seq=next_seq,
            clock=self._clock,
            on_closed=self._offer,
            quantum_s=self.quantum_s,
            max_segment_bytes=self.max_segment_bytes,
            room=self.room,
        )
        return series

    def _offer(self, segment: SegmentInfo) -> None:
        self.on_closed(segment)

    def _recover(self) -> Iterator[SegmentInfo]:
        for directory in _series_directories(self.directory):
            seqs = [seq for seq, _ in list_segments(directory)]
            if not seqs:
                continue
            series = self._make(directory.name, next_seq=seqs[-1] + 1)
            for seq in seqs:
                try:
                    segment = recover_segment(directory, seq, directory.name)
                except ValueError:
                    _log.exception("%s: segment %d is not readable; left alone", directory, seq)
                    continue
                if segment is not None:
                    if self.room is not None:
                        self.room.take(segment.byte_count)
                    yield segment
                elif seq == seqs[-1]:
                    series.keep_floor(seq)
                else:
                    (directory / f"{seq:08d}.seg").unlink()


def _series_directories(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_dir() and "_" in path.name)


def _ignore(_: SegmentInfo) -> None:
    """Nobody listens yet."""


def _nothing() -> None:
    """Nobody listens yet."""
