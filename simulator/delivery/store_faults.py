"""Faults that meet a LogStore as a whole: stopped, not ready yet, above its write rate."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from threading import Lock

from simulator.delivery.fault_board import FaultBoard
from simulator.errors import ControlError
from simulator.logstore import LogStore, not_ready
from simulator.model.fault_catalogue import FaultStage
from simulator.model.faults import Fault, FaultKind


class StoreFaults:
    """Decides for every call to a LogStore, and every delivery. Safe from any thread.

    The subject of a decision is the LogStore: one that is hit is hit for as long as the fault
    lasts.

    Args:
        board: the faults in force.
    """

    def __init__(self, board: FaultBoard) -> None:
        self._board = board
        self._lock = Lock()
        self._allowances: dict[tuple[str, float, str, str], tuple[float, float]] = {}
        """By fault, with its beginning, and LogStore: the bytes that may come, and since when."""

    def check(self, store: LogStore, at: float) -> None:
        """Let a call or a delivery to ``store`` pass at an instant.

        Source: assumed: what a flow log would deliver is lost while the LogStore is stopped, like
        what any client would push, and put off while it is not ready.

        Raises:
            ControlError: LogStoreStopped, LogStoreNotReady.
        """
        error = self._refusal(store, at, self._hits)
        if error is not None:
            raise error

    def look(self, store: LogStore, at: float) -> ControlError | None:
        """What ``check`` would raise, if anything; no decision is counted."""
        return self._refusal(store, at, self._would_hit)

    def _refusal(
        self, store: LogStore, at: float, hits: Callable[[Fault, LogStore], bool]
    ) -> ControlError | None:
        for fault in self._board.faults(FaultStage.LOG_STORE):
            if fault.kind is FaultKind.STORE_STOPPED:
                if fault.is_active(at) and hits(fault, store):
                    return _stopped()
            elif fault.kind is FaultKind.STORE_NOTREADY:
                begins = fault.is_active(store.created_at)
                ready_at = store.created_at + fault.number("lasts")
                if begins and at < ready_at and hits(fault, store):
                    return not_ready()
        return None

    def take(self, store: LogStore, byte_count: int, at: float) -> None:
        """Let so many bytes of messages pass.

        Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07) for 5 MB/s a shard and
        250 MB/s a LogStore; that a second's worth may come at once, that the push which uses it up
        is taken whole, and that shards do not split by themselves, is assumed.

        Raises:
            ControlError: RequestLimited.
        """
        for fault in self._board.faults(FaultStage.LOG_STORE):
            limited = fault.kind is FaultKind.STORE_LIMIT
            if not (limited and fault.is_active(at) and self._hits(fault, store)):
                continue
            shards = store.settings.shard_count
            rate = min(shards * fault.number("per_shard"), fault.number("per_store"))
            key = (fault.name, fault.from_at, store.project, store.name)
            with self._lock:
                left, since = self._allowances.get(key, (rate, at))
                left = min(rate, left + (at - since) * rate)
                allowed = left > 0.0
                self._allowances[key] = (left - byte_count if allowed else left, at)
            if not allowed:
                raise _limited()

    def _would_hit(self, fault: Fault, store: LogStore) -> bool:
        return _is_meant(fault, store) and self._board.hits(fault, store.project, store.name)

    def _hits(self, fault: Fault, store: LogStore) -> bool:
        if not _is_meant(fault, store):
            return False
        hit = self._board.hits(fault, store.project, store.name)
        self._board.count_once(fault.name, (store.project, store.name), int(hit))
        return hit


def _is_meant(fault: Fault, store: LogStore) -> bool:
    names = (store.name, f"{store.project}/{store.name}")
    return any(fnmatchcase(name, fault.text("log_store")) for name in names)


def _stopped() -> ControlError:
    """The error for a LogStore whose account has not paid.

    Source: doc https://cloud.baidu.com/doc/BLS (operation pages of push, pull and query).
    """
    return ControlError("LogStoreStopped", 403, "LogStore stopped (account in arrears)")


def _limited() -> ControlError:
    """The error for a push above the write rate.

    Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r for frequencies; that it is also for
    rates of bytes is assumed.
    """
    return ControlError("RequestLimited", 429, "Request frequency is too high, please slow down")
