"""Segments that have been delivered everywhere, kept for the ledger in a bounded directory.

A pack is a file of segments of one series, one after the other, with an index beside it. A large
segment becomes a pack by a link, small ones are appended to one. An entry of the index counts
once it is written whole: what a crash leaves behind it is cut off, and a segment that is kept
already is not kept again.
"""

import errno
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Final

import msgspec

from simulator.errors import StartupError
from simulator.spool import SegmentInfo

_log = logging.getLogger(__name__)

_ENTRY: Final = struct.Struct("<QQQQqq")
"""Segment, offset and length in the pack, records, first and last record in Unix ms."""
_PACK: Final = ".pack"
_INDEX: Final = ".index"
_LINKED_BYTES: Final = 1 << 20
"""A segment of this size is a pack of its own: copying it would cost more than a file does. A
pack that has grown to it takes no more, so that nothing is ever appended to a linked one."""
_PACK_SEGMENTS: Final = 65_536
_APPENDED_SEGMENTS: Final = 1024
"""Copied with one write."""
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedSegment:
    """Where one segment lies in the archive."""

    series_key: str
    seq: int
    pack: Path
    offset: int
    byte_count: int
    record_count: int
    first_at: float
    last_at: float

    def read(self) -> bytes:
        """Its bytes, as they were in the spool.

        Raises:
            OSError: it has been removed since.
        """
        with self.pack.open("rb") as file:
            return os.pread(file.fileno(), self.byte_count, self.offset)


@dataclass(slots=True, kw_only=True)
class _Pack:
    """One file and its index."""

    series_key: str
    path: Path
    first_seq: int
    last_seq: int = 0
    byte_count: int = 0
    segment_count: int = 0
    record_count: int = 0
    first_at: float = float("inf")
    last_at: float = float("-inf")

    @property
    def index(self) -> Path:
        return self.path.with_suffix(_INDEX)

    @property
    def size(self) -> int:
        """What it takes on disk."""
        return self.byte_count + self.segment_count * _ENTRY.size

    def count(self, entry: tuple[int, int, int, int, int, int]) -> None:
        seq, _, byte_count, record_count, first_ms, last_ms = entry
        self.last_seq = seq
        self.byte_count += byte_count
        self.segment_count += 1
        self.record_count += record_count
        self.first_at = min(self.first_at, first_ms / 1000)
        self.last_at = max(self.last_at, last_ms / 1000)


class _Gone(msgspec.Struct):
    """What has been removed, for the next run."""

    record_count: int = 0
    until_at: float = 0.0


class Archive:
    """The packs under one directory.

    Args:
        directory: made if missing; one sub-directory per series.
        keep_bytes: the oldest packs go when there is more.

    Raises:
        StartupError: the directory cannot be used.

    ``keep`` and ``prune`` are for one thread, reading for any.
    """

    def __init__(self, directory: Path, keep_bytes: int) -> None:
        self._directory = directory
        self._keep_bytes = keep_bytes
        self._packs: dict[str, list[_Pack]] = {}
        """By series, oldest first."""
        self._lock = RLock()
        self._gone_file = directory / "removed.json"
        self._gone = _Gone()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if self._gone_file.exists():
                self._gone = msgspec.json.decode(self._gone_file.read_bytes(), type=_Gone)
            for series in sorted(path for path in directory.iterdir() if path.is_dir()):
                self._recover(series)
        except OSError as error:
            raise StartupError(f"ledger: {error.filename}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise StartupError(
                f"ledger: {self._gone_file} is damaged ({error}); delete it to go on without the "
                "count of removed records"
            ) from error

    @property
    def removed_count(self) -> int:
        """Records that had to go."""
        return self._gone.record_count

    @property
    def complete_since(self) -> float:
        """Records written after this are all here or in the spool; 0 if none had to go."""
        return self._gone.until_at

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(pack.size for packs in self._packs.values() for pack in packs)

    def keep(self, segments: Sequence[SegmentInfo]) -> None:
        """Take in segments of one series, in sequence; their files stay.

        Raises:
            OSError: the disk refuses; what was taken in before is known to be.
        """
        with self._lock:
            packs = self._packs.setdefault(segments[0].series_key, [])
            small: list[SegmentInfo] = []
            for segment in segments:
                if packs and packs[-1].last_seq >= segment.seq:
                    continue  # an earlier run died before it could remove the file
                if segment.byte_count < _LINKED_BYTES:
                    small.append(segment)
                    if len(small) < _APPENDED_SEGMENTS:
                        continue
                self._append(packs, small)
                small = []
                if segment.byte_count >= _LINKED_BYTES and not self._link(packs, segment):
                    self._append(packs, [segment])
            self._append(packs, small)

    def prune(self) -> tuple[tuple[str, int], ...]:
        """Remove the oldest packs until the rest fits.

        Returns:
            For each removed pack its series and the highest segment that is gone.
        """
        removed = []
        with self._lock:
            size = self.size
            while size > self._keep_bytes:
                packs = min(
                    (packs for packs in self._packs.values() if packs),
                    key=lambda packs: packs[0].last_at,
                )
                pack = packs[0]
                gone = _Gone(
                    record_count=self._gone.record_count + pack.record_count,
                    until_at=max(self._gone.until_at, pack.last_at),
                )
                try:
                    self._remove(pack, gone)
                except OSError as error:
                    _log.warning("%s: cannot be removed: %s", pack.path, error.strerror)
                    break
                packs.pop(0)
                size -= pack.size
                removed.append((pack.series_key, pack.last_seq))
        return tuple(removed)

    def segments(
        self,
        series_key: str,
        *,
        first_seq: int = 0,
        last_seq: int = 1 << 62,
        first_at: float = float("-inf"),
        last_at: float = float("inf"),
    ) -> Iterator[ArchivedSegment]:
        """The segments of a series in a range of numbers that hold records of a range of time."""
        with self._lock:
            packs = tuple(self._packs.get(series_key, ()))
        for pack in packs:
            if pack.last_seq < first_seq or pack.first_seq > last_seq:
                continue
            if pack.last_at < first_at or pack.first_at > last_at:
                continue
            for entry in _entries(pack.index):
                seq, offset, byte_count, record_count, first_ms, last_ms = entry
                if not first_seq <= seq <= last_seq:
                    continue
                if last_ms / 1000 < first_at or first_ms / 1000 > last_at:
                    continue
                yield ArchivedSegment(
                    series_key=series_key,
                    seq=seq,
                    pack=pack.path,
                    offset=offset,
                    byte_count=byte_count,
                    record_count=record_count,
                    first_at=first_ms / 1000,
                    last_at=last_ms / 1000,
                )

    def series_keys(self) -> tuple[str, ...]:
        """Every series it holds something of."""
        with self._lock:
            return tuple(key for key, packs in self._packs.items() if packs)

    def _recover(self, directory: Path) -> None:
        packs = []
        for index in sorted(directory.glob(f"*{_INDEX}")):
            pack = _Pack(
                series_key=directory.name,
                path=index.with_suffix(_PACK),
                first_seq=int(index.stem),
            )
            size = pack.path.stat().st_size if pack.path.exists() else 0
            for entry in _entries(index):
                if entry[1] + entry[2] > size:
                    break
                pack.count(entry)
            if not pack.segment_count:
                index.unlink()
                pack.path.unlink(missing_ok=True)
                continue
            os.truncate(index, pack.segment_count * _ENTRY.size)
            packs.append(pack)
        self._packs[directory.name] = packs
        known = {pack.path for pack in packs}
        for path in directory.glob(f"*{_PACK}"):
            if path not in known:
                path.unlink()

    def _link(self, packs: list[_Pack], segment: SegmentInfo) -> bool:
        """Make a segment a pack without copying it; False if this disk cannot."""
        pack = self._make(segment)
        try:
            os.link(segment.path, pack.path)
        except FileExistsError:
            pack.path.unlink()
            os.link(segment.path, pack.path)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        self._enter(pack, [segment], [segment.byte_count])
        packs.append(pack)
        return True

    def _make(self, segment: SegmentInfo) -> _Pack:
        directory = self._directory / segment.series_key
        directory.mkdir(exist_ok=True)
        return _Pack(
            series_key=segment.series_key,
            path=directory / f"{segment.seq:08d}{_PACK}",
            first_seq=segment.seq,
        )

    def _append(self, packs: list[_Pack], segments: list[SegmentInfo]) -> None:
        """Copy segments to the end of the newest pack, or of a new one."""
        if not segments:
            return
        fresh = not packs or not _has_room(packs[-1])
        pack = self._make(segments[0]) if fresh else packs[-1]
        bodies = [segment.path.read_bytes() for segment in segments]
        _write_at(pack.path, pack.byte_count, b"".join(bodies))
        self._enter(pack, segments, [len(body) for body in bodies])
        if fresh:
            packs.append(pack)

    @staticmethod
    def _enter(pack: _Pack, segments: list[SegmentInfo], sizes: list[int]) -> None:
        entries = []
        offset = pack.byte_count
        for segment, size in zip(segments, sizes, strict=True):
            first_ms, last_ms = round(segment.first_at * 1000), round(segment.last_at * 1000)
            entries.append((segment.seq, offset, size, segment.record_count, first_ms, last_ms))
            offset += size
        packed = b"".join(_ENTRY.pack(*entry) for entry in entries)
        _write_at(pack.index, pack.segment_count * _ENTRY.size, packed)
        for entry in entries:
            pack.count(entry)

    def _remove(self, pack: _Pack, gone: _Gone) -> None:
        beside = self._gone_file.with_suffix(".tmp")
        beside.write_bytes(msgspec.json.encode(gone))
        beside.replace(self._gone_file)
        self._gone = gone
        pack.index.unlink(missing_ok=True)
        pack.path.unlink(missing_ok=True)


def _has_room(pack: _Pack) -> bool:
    return pack.byte_count < _LINKED_BYTES and pack.segment_count < _PACK_SEGMENTS


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Write behind what counts, over whatever an unfinished write left there.

    Raises:
        OSError: not all of it could be written.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(fd, offset)
        written = 0
        while written < len(data):
            written += os.pwrite(fd, data[written:], offset + written)
    finally:
        os.close(fd)


def _entries(index: Path) -> Iterator[tuple[int, int, int, int, int, int]]:
    """The whole entries of an index; none if it is gone."""
    try:
        data = index.read_bytes()
    except FileNotFoundError:
        return
    yield from _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size])
