"""What faults hold back, until its instant on the clock: a timer for each piece."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from simulator.clock import Clock, Timer
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.held_files import HeldFiles
from simulator.delivery.loads import Failed, Loader, Outcome, Refused, Visible
from simulator.delivery.route import FIRST_RETRY_S, LONGEST_RETRY_S, Route
from simulator.delivery.status import FlowLogState
from simulator.delivery.worker import Worker
from simulator.logstore import HeldPiece

_NEVER: Final = float("inf")


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    piece: HeldPiece
    route: Route
    timer: Timer | None = None
    busy: bool = False
    tries: int = 0
    backoff_s: float = FIRST_RETRY_S


class HeldBack:
    """The pieces that are held back, over all flow logs. On the event loop.

    Args:
        on_released: called with the objects put, each time a piece is held no more.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        board: FaultBoard,
        worker: Worker,
        loader: Loader,
        files: HeldFiles,
        on_released: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._clock = clock
        self._board = board
        self._worker = worker
        self._loader = loader
        self._files = files
        self._on_released = on_released
        self._held: dict[tuple[str, str, int, str], _Held] = {}
        self._closed = False

    def start(self, pieces: Iterable[HeldPiece], routes: Iterable[Route]) -> None:
        """Take over what earlier runs held back; pieces of flow logs that are gone stay."""
        pieces = tuple(pieces)
        by_id = {route.version.cursor_id: route for route in routes}
        self._files.sweep(pieces)
        for piece in pieces:
            if piece.cursor_id in by_id:
                route = by_id[piece.cursor_id]
                # Its batch is of an earlier run: for this one the lines are found here.
                route.tally.closed += piece.record_count
                route.tally.passed += piece.record_count
                self._add(route, piece)
        self._board.on_removed = self._let_go
        self._let_go()

    def add(self, route: Route, pieces: Iterable[HeldPiece]) -> None:
        """Hold pieces that have just been entered."""
        for piece in pieces:
            self._add(route, piece)
        self._let_go()  # a fault may have been taken back while its batch was loaded

    def pieces(self) -> tuple[HeldPiece, ...]:
        """Everything that is held back."""
        return tuple(held.piece for held in self._held.values())

    def routes(self) -> tuple[Route, ...]:
        """Those that something is held back for."""
        return tuple({id(held.route): held.route for held in self._held.values()}.values())

    def next_due_at(self) -> float | None:
        """When a piece is due next; None if none is, or only when a fault ends."""
        dues = [held.piece.due_at for held in self._held.values()]
        return min((due for due in dues if due != _NEVER), default=None)

    def stop(self) -> None:
        """Release nothing more; what is held stays for the next run."""
        self._closed = True
        for held in self._held.values():
            if held.timer is not None:
                held.timer.cancel()

    def _add(self, route: Route, piece: HeldPiece) -> None:
        held = _Held(piece=piece, route=route)
        self._held[_key(piece)] = held
        route.tally.held += piece.record_count
        if piece.due_at == _NEVER:
            route.tally.held_for_good += piece.record_count
        self._arm(held, piece.due_at)

    def _arm(self, held: _Held, at: float) -> None:
        if at != _NEVER and not self._closed:
            held.timer = self._clock.call_at(at, lambda: self._on_timer(held))

    def _let_go(self) -> None:
        """Release what waits for the end of faults that are gone."""
        known = {report.fault.name for report in self._board.reports()}
        now = self._clock.time()
        for held in self._held.values():
            piece = held.piece
            if piece.due_at == _NEVER and piece.fault not in known:
                held.route.tally.held_for_good -= piece.record_count
                held.piece = replace(piece, due_at=now)
                self._arm(held, now)

    def _on_timer(self, held: _Held) -> None:
        held.timer = None
        if held.busy or self._closed:
            return
        held.busy = True
        held.tries += 1
        now = self._clock.time()
        self._worker.submit(
            lambda: self._loader.release(held.route, held.piece, now, held.tries),
            lambda outcome: self._released(held, now, outcome),
        )

    def _released(self, held: _Held, started_at: float, outcome: Outcome) -> None:
        held.busy = False
        route, tally, piece = held.route, held.route.tally, held.piece
        objects: tuple[str, ...] = ()
        match outcome:
            case Failed(error=error):
                tally.retries += 1
                route.warn(f"retrying in {held.backoff_s:g} s", error)
                self._arm(held, self._clock.time() + held.backoff_s)
                held.backoff_s = min(held.backoff_s * 2, LONGEST_RETRY_S)
                return
            case Refused(error=error):
                tally.state = FlowLogState.ABNORMAL
                tally.lost += piece.record_count
                route.warn(f"{tally.lost} records lost so far", error)
            case Visible(delivered=delivered):
                tally.state = FlowLogState.RUNNING
                tally.dropped += delivered.cut_count
                tally.objects += len(delivered.objects)
                tally.observe(
                    piece.record_count - delivered.cut_count,
                    piece.first_at,
                    piece.last_at,
                    started_at,
                )
                objects = delivered.objects
            case _ as never:
                assert_never(never)
        tally.held -= piece.record_count
        del self._held[_key(piece)]
        self._on_released(objects)


def _key(piece: HeldPiece) -> tuple[str, str, int, str]:
    return (piece.flow_log_id, piece.series_key, piece.first_seq, piece.piece)
