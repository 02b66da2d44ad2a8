"""What is known of one segment file, and how the file of an earlier run is read back.

A segment holds one record per line: ``<Unix milliseconds>\\t<record>\\n``. A record holds neither
a line feed nor a tab.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

SUFFIX: Final = ".seg"
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """One segment of a series, complete and never written again (or a view of the open one)."""

    series_key: str
    """``<load balancer id>_<node address>``."""
    load_balancer_id: str
    node_address: str
    seq: int
    """Position in the series; grows by one per segment, never used twice."""
    directory: Path
    """The directory of the series, shared by all its infos: a million waiting records must not
    cost a path each."""
    record_count: int
    byte_count: int
    """Size of the file."""
    first_at: float
    """Earliest record, Unix seconds, cut to milliseconds as in the file."""
    last_at: float
    """Latest record."""

    @property
    def path(self) -> Path:
        """Where the segment lies."""
        return segment_path(self.directory, self.seq)


def segment_path(directory: Path, seq: int) -> Path:
    """Where a segment of the series in ``directory`` lies."""
    return directory / f"{seq:08d}{SUFFIX}"


def parse_seq(name: str) -> int | None:
    """The sequence number in the name of a segment file; None for any other file."""
    stem, dot, suffix = name.rpartition(".")
    return int(stem) if dot + suffix == SUFFIX and stem.isascii() and stem.isdigit() else None


def list_segments(directory: Path) -> list[tuple[int, Path]]:
    """Number and path of every segment file of a series, in sequence; none if it has none."""
    try:
        found = [(seq, path) for path in directory.iterdir() if (seq := parse_seq(path.name))]
    except FileNotFoundError:
        return []
    return sorted(found)


def recover_segment(directory: Path, seq: int, series_key: str) -> SegmentInfo | None:
    """Read back a segment that an earlier run left, cut back to its last whole line.

    Returns:
        None if no whole line is left; the file is then empty.

    Raises:
        OSError: the file cannot be read or cut.
        ValueError: a line does not begin with a time.
    """
    load_balancer_id, _, node_address = series_key.rpartition("_")
    path = directory / f"{seq:08d}{SUFFIX}"
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _after_last_line_feed(file.fileno(), size)
        if keep < size:
            _log.warning("%s: cut %d bytes of an unfinished record", path, size - keep)
            file.truncate(keep)
        file.seek(0)
        times = [int(line[: line.index(b"\t")]) for line in file]
    if not times:
        return None
    return SegmentInfo(
        series_key=series_key,
        load_balancer_id=load_balancer_id,
        node_address=node_address,
        seq=seq,
        directory=directory,
        record_count=len(times),
        byte_count=keep,
        first_at=min(times) / 1000,
        last_at=max(times) / 1000,
    )


def _after_last_line_feed(fd: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def read_tail(path: Path, limit: int) -> list[tuple[float, bytes]]:
    """The newest ``limit`` whole records of a segment, newest first, as (time, record).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        data = b""
        while end > 0 and data.count(b"\n") <= limit:
            start = max(0, end - _CHUNK_BYTES)
            data = os.pread(file.fileno(), end - start, start) + data
            end = start
    lines = data[: data.rfind(b"\n")].split(b"\n") if b"\n" in data else []
    newest = [line.partition(b"\t") for line in reversed(lines[-limit:])]
    return [(int(at) / 1000, record) for at, _, record in newest]
