"""The ledger: what became of every record, told from its batch and the exceptions to it.

A record is named by where the spool had it: ``<series>/<segment>/<line>``, the line counted from
1. Nothing is kept for a record on its own; its bytes are in the spool or the archive.

Whatever iterates takes its view of what is owed when it is called, on the event loop; the result
can be walked on any thread.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from simulator.delivery.archive import Archive
from simulator.delivery.finding import Finder, Segments
from simulator.delivery.held_files import HeldFiles
from simulator.delivery.ledger_lines import (
    DeliveredLines,
    LineReader,
    OwedLines,
    Place,
    altered_lines,
    make_id,
)
from simulator.delivery.manifest import decode_manifest
from simulator.delivery.pending import Owed
from simulator.delivery.stores import LedgerRows
from simulator.errors import ControlError
from simulator.logstore import LedgerEntry, LedgerException
from simulator.model import BucketDestination, FlowLog
from simulator.spool import Spool


class PassageState(StrEnum):
    """How far a record is on its way to one flow log."""

    WAITING = "waiting"
    """In the spool, its batch not due."""
    HELD = "held"
    """Kept back by a fault."""
    VISIBLE = "visible"
    LOST = "lost"
    """The destination refused it for good."""
    DROPPED = "dropped"
    """By a fault."""
    SKIPPED = "skipped"
    """Written before the flow log was made, or while it was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One copy of a record at a destination."""

    visible_at: float
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One record on its way to one flow log."""

    flow_log: str
    flow_log_id: str
    state: PassageState
    due_at: float | None
    """None while its batch is being filled."""
    sightings: tuple[Sighting, ...] = ()
    """More than one if it was copied."""
    reason: str = ""
    """Why it is not visible."""
    tries: int = 0
    """Loads until it was, or was given up."""
    exceptions: tuple[LedgerException, ...] = ()
    """What faults did to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLife:
    """One record from its writing on."""

    ledger_id: str
    load_balancer_id: str
    node_address: str
    logged_at: float
    line: bytes
    """As written, before any fault."""
    passages: tuple[Passage, ...]
    """One for every flow log that takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """How far a flow log is complete."""

    flow_log: str
    flow_log_id: str
    destination: str
    """``LogStore <project>/<name>`` or ``bucket <name>/<prefix>``."""
    at: float
    """Every record written before this instant that will ever be visible is."""
    by_series: tuple[tuple[str, float], ...]


class Ledger:
    """Answers what became of records. ``Delivery.ledger`` is the one to use.

    Args:
        owed: every batch not delivered, as it is when called.
        flow_logs: those there are when called.
        time: of the simulation.
    """

    def __init__(
        self,
        *,
        tables: LedgerRows,
        archive: Archive | None,
        spool: Spool,
        files: HeldFiles,
        owed: Callable[[], Iterable[Owed]],
        flow_logs: Callable[[], tuple[FlowLog, ...]],
        time: Callable[[], float],
    ) -> None:
        self._tables = tables
        self._archive = archive
        self._spool = spool
        self._owed = owed
        self._flow_logs = flow_logs
        self._time = time
        self._segments = Segments(archive, spool.directory)
        self._read = LineReader(self._segments, files, self._altered)

    @property
    def complete_since(self) -> float:
        """Records written after this instant are all known; 0 if none had to go."""
        return 0.0 if self._archive is None else self._archive.complete_since

    @property
    def removed_count(self) -> int:
        """Records that are not known any more, for want of space."""
        return 0 if self._archive is None else self._archive.removed_count

    # ---- one record

    def life(self, ledger_id: str) -> RecordLife:
        """What became of one record.

        Raises:
            ControlError: ``LedgerRecordNotFound``: there is no such id, or it is too old.
        """
        series_key, seq, number = _parse_id(ledger_id)
        text = self._segments.text(series_key, seq)
        if text is None or number > len(text.lines):
            raise self._unknown(ledger_id)
        load_balancer_id, _, node_address = series_key.rpartition("_")
        return RecordLife(
            ledger_id=ledger_id,
            load_balancer_id=load_balancer_id,
            node_address=node_address,
            logged_at=text.logged_at(number - 1),
            line=text.record(number - 1),
            passages=tuple(
                self._passage(flow_log, series_key, seq, number)
                for flow_log in self._flow_logs()
                if flow_log.load_balancer_id == load_balancer_id
            ),
        )

    def find(self, line: bytes, *, limit: int = 100) -> tuple[str, ...]:
        """The ids of records that were written, or delivered, as exactly this line."""
        altered = (
            make_id(found.series_key, found.seq, found.line)
            for found in self._tables.exceptions(altered=line)
        )
        return _first(limit, Finder(self._segments).equal(line), altered)

    def find_record(self, record: Mapping[str, object], *, limit: int = 100) -> tuple[str, ...]:
        """The ids of records whose fields and values are these."""
        return _first(limit, Finder(self._segments).matching(record))

    def _passage(self, flow_log: FlowLog, series_key: str, seq: int, number: int) -> Passage:
        flow_log_id = str(flow_log.flow_log_id)
        entries = tuple(
            self._tables.entries(flow_log_id=flow_log_id, series_key=series_key, seq=seq)
        )
        first_seqs = {entry.first_seq for entry in entries} | {seq}
        exceptions = tuple(
            found
            for found in self._tables.exceptions(
                flow_log_id=flow_log_id, series_key=series_key, first_seq=min(first_seqs)
            )
            if (found.seq, found.line) == (seq, number)
            or (found.line == 0 and found.seq in first_seqs)
        )
        holding = [entry for entry in entries if self._indexes(entry, seq, number)]
        sightings = tuple(
            Sighting(
                visible_at=entry.done_at,
                place=Place(
                    destination=entry.destination,
                    name=entry.name,
                    position=entry.first_place + index,
                ),
            )
            for entry in holding
            if entry.outcome == "visible"
            for index in self._indexes(entry, seq, number)
        )
        state, due_at, reason = self._state(
            flow_log_id, series_key, seq, number, holding, exceptions
        )
        return Passage(
            flow_log=flow_log.name,
            flow_log_id=flow_log_id,
            state=state,
            due_at=due_at,
            sightings=sightings,
            reason=reason,
            tries=max((entry.tries for entry in holding), default=0),
            exceptions=exceptions,
        )

    def _indexes(self, entry: LedgerEntry, seq: int, number: int) -> list[int]:
        """Where in a delivery the lines of a record are, from 0."""
        if entry.manifest is None:
            return [self._line_count_before(entry, seq) + number - 1]
        if entry.outcome != "visible":
            places, _ = decode_manifest(entry.manifest)
        else:
            _, places = self._read.manifest(entry)
        return [index for index, place in enumerate(places) if place == (seq, number)]

    def _state(
        self,
        flow_log_id: str,
        series_key: str,
        seq: int,
        number: int,
        holding: list[LedgerEntry],
        exceptions: tuple[LedgerException, ...],
    ) -> tuple[PassageState, float | None, str]:
        """How far a record is, when it is or was due, and why it is not visible."""
        visible = [entry for entry in holding if entry.outcome == "visible"]
        if visible:
            return PassageState.VISIBLE, visible[0].due_at, ""
        for owed in self._owed():
            if (owed.flow_log_id, owed.series_key) != (flow_log_id, series_key):
                continue
            if any(segment.seq == seq for segment in owed.segments):
                return PassageState.WAITING, owed.due_at, ""
            if owed.held is not None and owed.held.first_seq <= seq <= owed.held.last_seq:
                with suppress(LookupError):
                    if (seq, number) in self._read.held(owed.held)[1]:
                        if any(found.until_at for found in exceptions):
                            return PassageState.HELD, owed.due_at, "held back by a fault"
                        return PassageState.WAITING, owed.due_at, ""
        if holding:
            return PassageState(holding[0].outcome), holding[0].due_at, holding[0].reason
        for found in exceptions:
            if found.action in ("dropped", "cut"):
                reason = f"{found.action} by fault {found.fault} ({found.kind})"
                return PassageState.DROPPED, None, reason
        return (
            PassageState.SKIPPED,
            None,
            "the flow log did not exist or was stopped when it was written",
        )

    def _altered(
        self, flow_log_id: str, series_key: str, first_seq: int, last_seq: int
    ) -> dict[tuple[int, int], bytes]:
        found = self._tables.exceptions(
            flow_log_id=flow_log_id,
            series_key=series_key,
            first_seq=first_seq,
            last_seq=last_seq,
        )
        return altered_lines(tuple(found))

    def _unknown(self, ledger_id: str) -> ControlError:
        why = ""
        if self.removed_count:
            why = f"; {self.removed_count} old records are not kept any more (`ledger: keep`)"
        return ControlError(
            "LedgerRecordNotFound", 404, f"there is no record {ledger_id!r} in the ledger{why}"
        )

    # ---- many records

    def watermarks(self) -> tuple[Watermark, ...]:
        """How far each flow log is complete. On the event loop."""
        # The spool cuts times to milliseconds; nothing written from now on is before this.
        now = int(self._time() * 1000) / 1000
        until = {series.key: series.written_until(now) for series in self._spool.all_series()}
        floors: dict[tuple[str, str], float] = {}
        for owed in self._owed():
            key = (owed.flow_log_id, owed.series_key)
            written_until = until.get(owed.series_key, now)
            floors[key] = min(floors.get(key, written_until), owed.first_at)
        for entry in self._tables.entries(done_after=self._time()):  # objects that show late
            key = (entry.flow_log_id, entry.series_key)
            floors[key] = min(floors.get(key, until.get(entry.series_key, now)), entry.first_at)
        marks = []
        for flow_log in self._flow_logs():
            by_series = tuple(
                (series.key, floors.get((str(flow_log.flow_log_id), series.key), until[series.key]))
                for series in self._spool.all_series()
                if series.load_balancer_id == flow_log.load_balancer_id
            )
            marks.append(
                Watermark(
                    flow_log=flow_log.name,
                    flow_log_id=str(flow_log.flow_log_id),
                    destination=describe_destination(flow_log),
                    at=min((at for _, at in by_series), default=now),
                    by_series=by_series,
                )
            )
        return tuple(marks)

    def deliveries(self, flow_log_id: str) -> Iterator[LedgerEntry]:
        """What became of every batch of a flow log, in the order it happened."""
        return self._tables.entries(flow_log_id=flow_log_id)

    def exceptions(self, flow_log_id: str) -> Iterator[LedgerException]:
        """Everything that faults did on the way to a flow log."""
        return self._tables.exceptions(flow_log_id=flow_log_id)

    def delivered(self, flow_log_id: str) -> Iterator[DeliveredLines]:
        """Every line that became visible, as delivered, piece by piece."""
        owed = [batch for batch in self._owed() if batch.flow_log_id == flow_log_id]
        waiting = {(batch.series_key, batch.segments[0].seq) for batch in owed if batch.segments}
        held = {
            (piece.series_key, piece.first_seq, piece.piece)
            for batch in owed
            if (piece := batch.held) is not None
        }
        return self._delivered(flow_log_id, waiting, held)

    def owed(self, flow_log_id: str) -> Iterator[OwedLines]:
        """Every line that a flow log has yet to deliver."""
        batches = [batch for batch in self._owed() if batch.flow_log_id == flow_log_id]
        return self._owed_lines(batches)

    def _delivered(
        self,
        flow_log_id: str,
        waiting: set[tuple[str, int]],
        held: set[tuple[str, int, str]],
    ) -> Iterator[DeliveredLines]:
        for entry in self._tables.entries(flow_log_id=flow_log_id):
            # What has been delivered since the view was taken is owed in it.
            if entry.piece and (entry.series_key, entry.first_seq, entry.piece) in held:
                continue
            if (entry.series_key, entry.first_seq) in waiting or entry.outcome != "visible":
                continue
            if entry.manifest is not None:
                yield DeliveredLines(
                    entry,
                    self._read,
                    first_place=entry.first_place,
                    record_count=entry.record_count,
                )
                continue
            offset = None
            for seq, count in self._segments.counts(
                entry.series_key, entry.first_seq, entry.last_seq
            ):
                if offset is None:
                    offset = self._line_count_before(entry, seq)
                yield DeliveredLines(
                    entry,
                    self._read,
                    seq=seq,
                    first_place=entry.first_place + offset,
                    record_count=count,
                )
                offset += count

    def _line_count_before(self, entry: LedgerEntry, seq: int) -> int:
        """Lines of a delivery in segments before ``seq``, which may have been removed since."""
        if seq == entry.first_seq:
            return 0
        counts = self._segments.counts(entry.series_key, seq, entry.last_seq)
        return entry.record_count - sum(count for _, count in counts)

    def _owed_lines(self, batches: Iterable[Owed]) -> Iterator[OwedLines]:
        for batch in batches:
            if batch.held is not None:
                yield OwedLines(
                    batch.flow_log_id, self._read, due_at=batch.due_at, piece=batch.held
                )
            for segment in batch.segments:
                yield OwedLines(batch.flow_log_id, self._read, due_at=batch.due_at, segment=segment)


def describe_destination(flow_log: FlowLog) -> str:
    """Where a flow log delivers to, for people."""
    destination = flow_log.destination
    if isinstance(destination, BucketDestination):
        return f"bucket {destination.bucket}/{destination.prefix}"
    return f"LogStore {destination.project}/{destination.log_store}"


def _parse_id(ledger_id: str) -> tuple[str, int, int]:
    series_key, _, rest = ledger_id.strip().partition("/")
    seq, _, line = rest.partition("/")
    well_formed = "_" in series_key and all(
        part.isascii() and part.isdigit() and len(part) < 18 for part in (seq, line)
    )
    if not well_formed or int(line) < 1:
        raise ControlError(
            "InvalidLedgerId",
            400,
            f"{ledger_id!r} is no ledger id; expected <series>/<segment>/<line>, for example "
            "lb-1a2b3c4d_100.64.0.1/12/3",
        )
    return series_key, int(seq), int(line)


def _first(limit: int, *sources: Iterable[str]) -> tuple[str, ...]:
    """The first few different values of all sources."""
    found: dict[str, None] = {}
    for source in sources:
        for value in source:
            found[value] = None
            if len(found) >= limit:
                return tuple(found)
    return tuple(found)
