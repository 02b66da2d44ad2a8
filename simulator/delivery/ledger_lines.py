"""Lines that the ledger tells of: light until they are read, and read anew each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.delivery.finding import Segments
from simulator.delivery.held_files import HeldFiles
from simulator.delivery.manifest import decode_manifest
from simulator.logstore import HeldPiece, LedgerEntry, LedgerException
from simulator.spool import SegmentInfo

ReadAltered = Callable[[str, str, int, int], dict[tuple[int, int], bytes]]
"""Flow log, series, first and last segment to what faults made of lines, by segment and number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record is visible."""

    destination: str
    """``<project>/<LogStore>`` or the bucket."""
    name: str
    """Of the stream, or the key of the object."""
    position: int
    """``@seq`` in a LogStore, the line counted from 1 in an object."""


def make_id(series_key: str, seq: int, number: int) -> str:
    """The id of a record."""
    return f"{series_key}/{seq}/{number}"


class DeliveredLines:
    """Lines of one flow log that became visible at one instant, in the order they have there."""

    __slots__ = ("_entry", "_first_place", "_places", "_read", "_seq", "record_count")

    def __init__(
        self,
        entry: LedgerEntry,
        read: "LineReader",
        *,
        seq: int = 0,
        first_place: int = 1,
        record_count: int = 0,
    ) -> None:
        self._entry = entry
        self._read = read
        self._seq = seq
        self._first_place = first_place
        self._places: Sequence[tuple[int, int]] | None = None
        self.record_count = record_count
        """How many lines there are."""

    @property
    def flow_log_id(self) -> str:
        """Whose delivery it is."""
        return self._entry.flow_log_id

    @property
    def series_key(self) -> str:
        """``<load balancer id>_<node address>``."""
        return self._entry.series_key

    @property
    def visible_at(self) -> float:
        """Since when, Unix seconds."""
        return self._entry.done_at

    @property
    def due_at(self) -> float:
        """When it should have been."""
        return self._entry.due_at

    @property
    def first_at(self) -> float:
        """When the earliest record of its batch was written."""
        return self._entry.first_at

    @property
    def last_at(self) -> float:
        """When the latest was."""
        return self._entry.last_at

    @property
    def destination(self) -> str:
        """``<project>/<LogStore>`` or the bucket."""
        return self._entry.destination

    @property
    def name(self) -> str:
        """Of the stream, or the key of the object."""
        return self._entry.name

    def lines(self) -> list[bytes]:
        """The lines as delivered: after every fault, copies included.

        Raises:
            LookupError: the ledger has let go of them.
        """
        if self._entry.manifest is None:
            return self._read.segment(self.series_key, self._seq)
        lines, self._places = self._read.manifest(self._entry)
        return lines

    def ledger_id(self, index: int) -> str:
        """The id of the record that line ``index`` is or comes from.

        Raises:
            LookupError: the ledger has let go of them.
        """
        if self._entry.manifest is None:
            return make_id(self.series_key, self._seq, index + 1)
        if self._places is None:
            _, self._places = self._read.manifest(self._entry)
        return make_id(self.series_key, *self._places[index])

    def place(self, index: int) -> Place:
        """Where line ``index`` is."""
        return Place(
            destination=self.destination, name=self.name, position=self._first_place + index
        )


class OwedLines:
    """Lines that a flow log has yet to deliver, as they will be: after every fault decided on."""

    __slots__ = ("_numbers", "_piece", "_read", "_segment", "due_at", "flow_log_id")

    def __init__(
        self,
        flow_log_id: str,
        read: "LineReader",
        *,
        due_at: float | None,
        segment: SegmentInfo | None = None,
        piece: HeldPiece | None = None,
    ) -> None:
        self.flow_log_id = flow_log_id
        self.due_at = due_at
        """When they become visible; None while that is not decided."""
        self._read = read
        self._segment = segment
        self._piece = piece
        self._numbers: Sequence[tuple[int, int]] | None = None

    @property
    def series_key(self) -> str:
        """``<load balancer id>_<node address>``."""
        return self._source.series_key

    @property
    def record_count(self) -> int:
        """How many lines there are."""
        return self._source.record_count

    @property
    def first_at(self) -> float:
        """When the earliest of them was written."""
        return self._source.first_at

    @property
    def last_at(self) -> float:
        """When the latest was."""
        return self._source.last_at

    @property
    def is_held(self) -> bool:
        """Whether a fault keeps them back."""
        return self._piece is not None

    def lines(self) -> list[bytes]:
        """The lines, in order.

        Raises:
            LookupError: they have been delivered and removed since.
        """
        if self._piece is not None:
            lines, self._numbers = self._read.held(self._piece)
            return lines
        assert self._segment is not None
        lines = self._read.segment(self.series_key, self._segment.seq)
        return lines[: self._segment.record_count]  # the open one may have grown since

    def ledger_id(self, index: int) -> str:
        """The id of the record that line ``index`` is or comes from."""
        if self._piece is None:
            assert self._segment is not None
            return make_id(self.series_key, self._segment.seq, index + 1)
        if self._numbers is None:
            _, self._numbers = self._read.held(self._piece)
        return make_id(self.series_key, *self._numbers[index])

    @property
    def _source(self) -> SegmentInfo | HeldPiece:
        source = self._segment if self._piece is None else self._piece
        assert source is not None
        return source


class LineReader:
    """Reads lines from where they lie. From any thread."""

    def __init__(self, segments: Segments, files: HeldFiles, altered: ReadAltered) -> None:
        self._segments = segments
        self._files = files
        self._altered = altered

    def segment(self, series_key: str, seq: int) -> list[bytes]:
        """All records of a segment.

        Raises:
            LookupError: it has been removed.
        """
        text = self._segments.text(series_key, seq)
        if text is None:
            raise LookupError(f"segment {seq} of {series_key} has been removed")
        return text.records()

    def manifest(self, entry: LedgerEntry) -> tuple[list[bytes], list[tuple[int, int]]]:
        """The lines of a delivery that has a manifest, and of which record each is.

        Raises:
            LookupError: a segment of it has been removed.
        """
        assert entry.manifest is not None
        places, torn = decode_manifest(entry.manifest)
        altered = self._altered(
            entry.flow_log_id, entry.series_key, entry.first_seq, entry.last_seq
        )
        written: dict[int, list[bytes]] = {}
        lines, owners = [], []
        is_object = not _in_log_store(entry)
        for index, (seq, number) in enumerate(places):
            line = altered.get((seq, number))
            if line is None:
                if seq not in written:
                    written[seq] = self.segment(entry.series_key, seq)
                line = written[seq][number - 1]
            elif not is_object:
                line = line.decode("utf-8", "replace").encode()
            if torn and index == len(places) - 1:
                line = torn
            for part in line.split(b"\n") if is_object else (line,):
                lines.append(part)
                owners.append((seq, number))
        return lines, owners

    def held(self, piece: HeldPiece) -> tuple[list[bytes], list[tuple[int, int]]]:
        """The lines of a piece that is held back, and of which record each is.

        Raises:
            LookupError: it has been released.
        """
        try:
            held = self._files.read(piece)
        except FileNotFoundError as error:
            raise LookupError(f"{piece.piece} of {piece.series_key} has been released") from error
        return (
            [item.line for item in held.items],
            [(item.seq, item.number) for item in held.items],
        )


def altered_lines(exceptions: Sequence[LedgerException]) -> dict[tuple[int, int], bytes]:
    """What faults made of lines, by segment and number."""
    return {
        (found.seq, found.line): found.altered for found in exceptions if found.altered is not None
    }


def _in_log_store(entry: LedgerEntry) -> bool:
    return "/" in entry.destination  # a bucket's name has none
