"""Faults that meet a pipeline when it reads: what becomes of its next request."""

from collections import Counter
from fnmatch import fnmatchcase
from threading import Lock

from simulator.clock import Clock
from simulator.delivery.fault_board import FaultBoard
from simulator.model.fault_catalogue import FaultStage
from simulator.model.faults import Fault, FaultKind, ReadApi, ReadEffect


class ReadSide:
    """Decides for every request of a pipeline. Safe from any thread.

    The subject of a decision is the number of the request among those to the same operation, so
    that a client that sends the same requests in the same order meets the same faults.
    """

    def __init__(self, board: FaultBoard, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._lock = Lock()
        self._served: Counter[tuple[ReadApi, str]] = Counter()

    def meet(self, api: ReadApi, operation: str) -> tuple[ReadEffect, ...]:
        """What a request meets, in the order of the catalogue; mostly nothing.

        Args:
            api: that it came to.
            operation: by its name, such as ``PullLogRecord`` or ``GetObject``.
        """
        faults = self._board.faults(FaultStage.READ)
        if not faults:
            return ()
        with self._lock:
            number = self._served[api, operation]
            self._served[api, operation] += 1
        now = self._clock.time()
        effects = []
        for fault in faults:
            if not (fault.is_active(now) and _reaches(fault, api, operation)):
                continue
            hit = self._board.hits(fault, api, operation, number)
            self._board.count(fault.name, 1, int(hit))
            if hit:
                effects.append(self._effect(fault, api, operation, number))
        return tuple(effects)

    def _effect(self, fault: Fault, api: ReadApi, operation: str, number: int) -> ReadEffect:
        match fault.kind:
            case FaultKind.READ_SLOW:
                delay_s = self._board.draw(fault, "takes", api, operation, number)
                return ReadEffect(fault=fault.name, kind=fault.kind, delay_s=delay_s)
            case FaultKind.READ_ERROR:
                status = int(fault.text("status"))
                return ReadEffect(fault=fault.name, kind=fault.kind, status=status)
            case FaultKind.READ_TRUNC:
                return ReadEffect(fault=fault.name, kind=fault.kind, keep=fault.number("keep"))
            case _:
                return ReadEffect(fault=fault.name, kind=fault.kind)


def _reaches(fault: Fault, api: ReadApi, operation: str) -> bool:
    return fault.text("api") in (api, "all") and fnmatchcase(operation, fault.text("operation"))
