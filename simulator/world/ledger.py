"""Brings ledger and verdict together: what was delivered, in the words of the verdict."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from simulator.delivery import DeliveredLines, Ledger, Place
from simulator.model import FlowLog, LogStoreDestination

_T = TypeVar("_T")


class OnLoop(Protocol):
    """Calls a function on the event loop, from another thread, and waits for its value."""

    def __call__(self, call: Callable[[], _T]) -> _T:
        """The value of ``call``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFlowLog:
    """See ``LedgerFlowLog``."""

    flow_log_id: str
    name: str
    project: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """See ``DeliveredSpan``."""

    record_count: int
    first_at: float
    last_at: float
    visible_at: float
    object_key: str | None


class VisibleBatch:
    """See ``LedgerBatch``."""

    __slots__ = ("_lines",)

    def __init__(self, lines: DeliveredLines) -> None:
        self._lines = lines

    @property
    def flow_log_id(self) -> str:
        """See ``LedgerBatch.flow_log_id``."""
        return self._lines.flow_log_id

    @property
    def is_object(self) -> bool:
        """See ``LedgerBatch.is_object``."""
        return is_bucket(self._lines.destination)

    @property
    def visible_at(self) -> float:
        """See ``LedgerBatch.visible_at``."""
        return self._lines.visible_at

    def lines(self) -> Sequence[bytes]:
        """See ``LedgerBatch.lines``."""
        try:
            return self._lines.lines()
        except LookupError as error:
            raise LookupError(
                "the ledger has let go of records during the comparison; give it more room: "
                "`ledger: {keep: 4GiB}`"
            ) from error

    def ledger_id(self, index: int) -> str:
        """See ``LedgerBatch.ledger_id``."""
        return self._lines.ledger_id(index)

    def place(self, index: int) -> str:
        """See ``LedgerBatch.place``."""
        return describe_place(self._lines.place(index))


class LedgerView:
    """See ``simulator.verdict.Ledger``. For one comparison, in one thread at a time.

    Args:
        ledger: of the deliveries.
        flow_logs: all there are.
        pending_count: of a flow log, by id; called on the loop.
        on_loop: how to get there.
    """

    def __init__(
        self,
        ledger: Ledger,
        flow_logs: Sequence[FlowLog],
        *,
        pending_count: Callable[[str], int],
        on_loop: OnLoop,
    ) -> None:
        self._ledger = ledger
        self._flow_logs = {str(log.flow_log_id): _known(log) for log in flow_logs}
        self._pending_count = pending_count
        self._on_loop = on_loop

    def flow_logs(self) -> Sequence[KnownFlowLog]:
        """See ``Ledger.flow_logs``."""
        return tuple(self._flow_logs.values())

    def complete_since(self) -> float | None:
        """See ``Ledger.complete_since``."""
        return self._ledger.complete_since or None

    def awaited_count(self, flow_log_id: str) -> int:
        """See ``Ledger.awaited_count``."""
        return self._on_loop(lambda: self._pending_count(flow_log_id))

    def visible(self, flow_log_ids: Sequence[str]) -> Iterator[VisibleBatch]:
        """See ``Ledger.visible``."""
        for flow_log_id in flow_log_ids:
            for lines in self._on_loop(partial(self._ledger.delivered, flow_log_id)):
                yield VisibleBatch(lines)


def is_bucket(destination: str) -> bool:
    """Whether a place is in a bucket: a LogStore is named with its project, ``default/access``."""
    return "/" not in destination


def describe_place(place: Place) -> str:
    """Where a record is, for people."""
    if is_bucket(place.destination):
        return f"{place.destination}/{place.name} line {place.position}"
    return f"LogStore {place.destination} @seq {place.position}"


def _known(flow_log: FlowLog) -> KnownFlowLog:
    destination = flow_log.destination
    if isinstance(destination, LogStoreDestination):
        project, container = destination.project, destination.log_store
    else:
        project, container = "", destination.bucket
    return KnownFlowLog(
        flow_log_id=str(flow_log.flow_log_id),
        name=flow_log.name,
        project=project,
        container=container,
    )
