"""One load, on the delivery thread: the faults that meet it, and what the sink does with the rest.

Whatever goes wrong comes back as a value: a bug in one sink must not stop the others.
"""

from dataclasses import dataclass

from simulator.delivery.batching import Batch
from simulator.delivery.consignments import Delivered, Lines, Load
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.fault_reach import Reach, destination_gone
from simulator.delivery.held_files import HeldFiles
from simulator.delivery.image import Decision, Image, Item, make_image
from simulator.delivery.object_plan import ObjectPlan
from simulator.delivery.route import Route
from simulator.delivery.sinks import object_key, suffixed_key
from simulator.errors import SinkError
from simulator.logstore import HeldPiece, LedgerChange
from simulator.model import BucketDestination
from simulator.model.faults import Fault


@dataclass(frozen=True, slots=True)
class Visible:
    """All batches are there, or what faults left of the only one."""

    delivered: Delivered
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The destination will never take them; a single batch has been given up."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing has changed; trying again may help."""

    error: Exception


Outcome = Visible | Refused | Failed


class Loader:
    """Does loads. On the delivery thread only."""

    def __init__(self, board: FaultBoard, files: HeldFiles) -> None:
        self._board = board
        self._files = files

    def attempt(self, route: Route, load: Load, faults: tuple[Fault, ...]) -> Outcome:
        """Make batches visible, or give up the only one if it is refused.

        Args:
            route: to where.
            load: what; a single batch if faults may meet it or its records part.
            faults: those that may.
        """
        try:
            self._check_destination(route, load.series_key, load.at)
            if not faults and not route.plan.by_record:
                return Visible(route.sink.load(load))
            return self._load_image(route, load, faults)
        except Exception as error:
            if not isinstance(error, SinkError) or error.retryable:
                return Failed(error)
            try:
                if len(load.batches) == 1:
                    route.sink.give_up(load, str(error))
            except Exception as skip_error:
                return Failed(skip_error)
            return Refused(error)

    def release(self, route: Route, piece: HeldPiece, at: float, tries: int) -> Outcome:
        """Make a piece visible that was held back, or give it up if it is refused."""
        try:
            lines = self._held_lines(piece, at, tries)
        except FileNotFoundError as error:
            lost = self._lines(piece, (), "", ObjectPlan(), at, tries)
            return self._give_up(route, lost, error)
        except Exception as error:
            return Failed(error)
        try:
            self._check_destination(route, piece.series_key, at)
            delivered = route.sink.load_lines(lines)
        except Exception as error:
            if not isinstance(error, SinkError) or error.retryable:
                return Failed(error)
            return self._give_up(route, lines, error)
        self._files.remove(piece)
        return Visible(delivered)

    def _give_up(self, route: Route, lines: Lines, error: Exception) -> Outcome:
        try:
            route.sink.give_up_lines(lines, str(error))
            self._files.remove(lines.change.released[0])
        except Exception as other:
            return Failed(other)
        return Refused(error)

    def _check_destination(self, route: Route, series_key: str, at: float) -> None:
        flow_log = route.flow_log
        gone = destination_gone(self._board, flow_log, series_key.rpartition("_")[2], at)
        if gone is not None:
            raise gone

    def _load_image(self, route: Route, load: Load, faults: tuple[Fault, ...]) -> Visible:
        [batch] = load.batches
        destination = route.flow_log.destination
        bucket = destination if isinstance(destination, BucketDestination) else None
        reach = Reach(
            flow_log_id=load.flow_log_id,
            cursor_id=route.version.cursor_id,
            series_key=load.series_key,
            node=batch.segments[0].node_address,
            window_s=route.plan.window_s,
            gzip=bucket is not None and bucket.gzip,
            faults=faults,
        )
        items = read_items(batch)
        if route.plan.by_record:
            for item in items:
                due_at = route.plan.record_due_at(
                    load.series_key, item.seq, item.number, item.logged_at
                )
                item.due_at = max(due_at, batch.due_at)
        image = make_image(self._board, reach, batch, items)
        key = "" if bucket is None else object_key(bucket, load.flow_log_id, batch)
        for held in image.held:
            name = held.piece.piece
            own = key if name == "late" or bucket is None else suffixed_key(key, f"-{name}")
            self._files.write(held, own)
        lines = Lines(
            flow_log_id=load.flow_log_id,
            series_key=load.series_key,
            piece="",
            first_seq=batch.segments[0].seq,
            last_seq=batch.last_seq,
            items=image.items,
            due_at=batch.due_at,
            at=load.at,
            tries=load.tries,
            plan=image.plan,
            key=key,
            cursor=load.cursor,
            change=LedgerChange(
                exceptions=image.exceptions, held=[held.piece for held in image.held]
            ),
        )
        return Visible(route.sink.load_lines(lines), image)

    def _held_lines(self, piece: HeldPiece, at: float, tries: int) -> Lines:
        held = self._files.read(piece)
        return self._lines(piece, held.items, held.key, held.plan, at, tries)

    @staticmethod
    def _lines(
        piece: HeldPiece, items: tuple[Item, ...], key: str, plan: ObjectPlan, at: float, tries: int
    ) -> Lines:
        return Lines(
            flow_log_id=piece.flow_log_id,
            series_key=piece.series_key,
            piece=piece.piece,
            first_seq=piece.first_seq,
            last_seq=piece.last_seq,
            items=items,
            due_at=min(piece.due_at, at),
            at=at,
            tries=tries,
            plan=plan,
            key=key,
            cursor=None,
            change=LedgerChange(released=[piece]),
        )


def read_items(batch: Batch) -> list[Item]:
    """The lines of a batch, in order.

    Raises:
        OSError: a segment cannot be read.
    """
    items = []
    for segment in batch.segments:
        lines = segment.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            at_ms, _, record = line.partition(b"\t")
            logged_ms = int(at_ms)
            items.append(
                Item(
                    seq=segment.seq,
                    number=number,
                    logged_at=logged_ms / 1000,
                    logged_ms=logged_ms,
                    line=record,
                    original=record,
                    due_at=batch.due_at,
                )
            )
    return items


def count_decisions(board: FaultBoard, decisions: tuple[Decision, ...]) -> None:
    """Tell the board what was decided, once it has been acted on."""
    for decision in decisions:
        if decision.subject is None:
            board.count(decision.fault, decision.subject_count, decision.hit_count)
        else:
            board.count_once(decision.fault, decision.subject, decision.hit_count)
