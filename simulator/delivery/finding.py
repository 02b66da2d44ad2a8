"""The bytes of written records, wherever they lie, and the search for one among them."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from simulator.delivery.archive import Archive
from simulator.spool import list_segments, segment_path

_SECOND_S: Final = 1.0
_NOT_LISTED: Final = 256
"""So few segments are opened by name: the directory may hold a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentText:
    """One segment, split into lines."""

    series_key: str
    seq: int
    lines: list[bytes]
    r"""``<Unix ms>\t<record>``."""

    def record(self, index: int) -> bytes:
        """The record of a line."""
        return self.lines[index].partition(b"\t")[2]

    def records(self) -> list[bytes]:
        """All records."""
        return [line.partition(b"\t")[2] for line in self.lines]

    def logged_at(self, index: int) -> float:
        """When the record of a line was written."""
        return int(self.lines[index].partition(b"\t")[0]) / 1000


class Segments:
    """Every segment there is, in the archive or in the spool. From any thread."""

    def __init__(self, archive: Archive | None, spool_directory: Path) -> None:
        self._archive = archive
        self._spool = spool_directory

    def series_keys(self) -> tuple[str, ...]:
        """Every series there is something of."""
        archived = () if self._archive is None else self._archive.series_keys()
        spooled = [path.name for path in self._spool.iterdir() if path.is_dir()]
        return tuple(sorted({*archived, *spooled}))

    def text(self, series_key: str, seq: int) -> SegmentText | None:
        """One segment; None if there is none, or it has been removed."""
        return next(self.texts(series_key, seq, seq), None)

    def counts(self, series_key: str, first_seq: int, last_seq: int) -> Iterator[tuple[int, int]]:
        """The segments of a series in a range, in sequence, and how many records each has."""
        seen = first_seq - 1
        for _ in range(2):
            if seen >= last_seq:
                return
            if self._archive is not None:
                for found in self._archive.segments(
                    series_key, first_seq=seen + 1, last_seq=last_seq
                ):
                    seen = found.seq
                    yield found.seq, found.record_count
            for seq, path in self._spooled(series_key, seen + 1, last_seq):
                with suppress(FileNotFoundError):
                    count = path.read_bytes().count(b"\n")
                    if count:
                        seen = seq
                        yield seq, count

    def texts(
        self,
        series_key: str,
        first_seq: int = 0,
        last_seq: int = 1 << 62,
        *,
        first_at: float = float("-inf"),
        last_at: float = float("inf"),
    ) -> Iterator[SegmentText]:
        """The segments of a series in a range, in sequence; empty ones are left out.

        Args:
            series_key: whose.
            first_seq: the lowest.
            last_seq: the highest, inclusive.
            first_at: archived segments whose records are all older are left out.
            last_at: or newer.
        """
        seen = first_seq - 1
        # Segments move from the spool to the archive, so once more through the archive.
        for _ in range(2):
            if seen >= last_seq:
                return
            for seq, data in self._archived(series_key, seen + 1, last_seq, first_at, last_at):
                seen = seq
                yield _split(series_key, seq, data)
            for seq, path in self._spooled(series_key, seen + 1, last_seq):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                if data:
                    seen = seq
                    yield _split(series_key, seq, data)

    def _spooled(
        self, series_key: str, first_seq: int, last_seq: int
    ) -> Iterator[tuple[int, Path]]:
        directory = self._spool / series_key
        if last_seq - first_seq < _NOT_LISTED:
            for seq in range(first_seq, last_seq + 1):
                yield seq, segment_path(directory, seq)
            return
        for seq, path in list_segments(directory):
            if first_seq <= seq <= last_seq:
                yield seq, path

    def _archived(
        self, series_key: str, first_seq: int, last_seq: int, first_at: float, last_at: float
    ) -> Iterator[tuple[int, bytes]]:
        if self._archive is None or first_seq > last_seq:
            return
        for segment in self._archive.segments(
            series_key, first_seq=first_seq, last_seq=last_seq, first_at=first_at, last_at=last_at
        ):
            with suppress(FileNotFoundError):  # removed for want of space
                yield segment.seq, segment.read()


class Finder:
    """Looks for a record in everything there is."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    def equal(self, line: bytes) -> Iterator[str]:
        """Ids of records that are this line."""
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = {}
        wanted = b"\t" + line
        for text in self._candidates(record):
            for index, candidate in enumerate(text.lines):
                if candidate.endswith(wanted) and text.record(index) == line:
                    yield f"{text.series_key}/{text.seq}/{index + 1}"

    def matching(self, record: Mapping[str, object]) -> Iterator[str]:
        """Ids of records that have these fields and values and no others."""
        for text in self._candidates(record):
            for index, candidate in enumerate(text.records()):
                try:
                    found = msgspec.json.decode(candidate, type=dict[str, object])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if found == record:
                    yield f"{text.series_key}/{text.seq}/{index + 1}"

    def _candidates(self, record: Mapping[str, object]) -> Iterator[SegmentText]:
        """Segments of the second a record says it was written in; all if it says nothing."""
        first_at, last_at = float("-inf"), float("inf")
        told = record.get("time_local")
        if isinstance(told, str):
            with suppress(ValueError):
                first_at = datetime.strptime(told, "%d/%b/%Y:%H:%M:%S %z").timestamp()
                last_at = first_at + _SECOND_S
        for series_key in self._segments.series_keys():
            yield from self._segments.texts(series_key, first_at=first_at, last_at=last_at)


def _split(series_key: str, seq: int, data: bytes) -> SegmentText:
    return SegmentText(series_key=series_key, seq=seq, lines=data.split(b"\n")[:-1])
