"""Brings ledger and verdict together: what was delivered, in the words of the verdict."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from simulator.delivery import DeliveredLines, Ledger, Place
from simulator.model import FlowLog, LogStoreDestination

_T = TypeVar("_T")
_Key: TypeAlias = tuple[str, int, float, Place]


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
    """See ``LedgerBatch``. Remembers which lines of the ledger it is, not the lines."""

    __slots__ = ("_key", "_reader", "flow_log_id", "is_object", "visible_at")

    def __init__(self, flow_log_id: str, lines: DeliveredLines, reader: "_Reader") -> None:
        self.flow_log_id = flow_log_id
        self.is_object = is_bucket(lines.destination)
        self.visible_at = lines.visible_at
        self._key = _key(lines)
        self._reader = reader

    def lines(self) -> Sequence[bytes]:
        """See ``LedgerBatch.lines``."""
        return self._reader.find(self._key).lines

    def ledger_id(self, index: int) -> str:
        """See ``LedgerBatch.ledger_id``."""
        return self._reader.find(self._key).ledger_id(index)

    def place(self, index: int) -> str:
        """See ``LedgerBatch.place``."""
        return describe_place(self._reader.find(self._key).place(index))


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
        self._readers: dict[str, _Reader] = {}

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
            reader = self._readers.setdefault(flow_log_id, self._make_reader(flow_log_id))
            for lines in reader.all():
                yield VisibleBatch(flow_log_id, lines, reader)

    def _make_reader(self, flow_log_id: str) -> "_Reader":
        return _Reader(lambda: self._on_loop(lambda: self._ledger.delivered(flow_log_id)))


class _Reader:
    """Finds delivered lines again. They are mostly asked for in order: it reads on from the last.

    Args:
        begin: reads them all, from the first.
    """

    def __init__(self, begin: Callable[[], Iterator[DeliveredLines]]) -> None:
        self._begin = begin
        self._current: DeliveredLines | None = None
        self._following: Iterator[DeliveredLines] = iter(())

    def all(self) -> Iterator[DeliveredLines]:
        """Everything, from the first."""
        for lines in self._begin():
            self._current = lines
            yield lines

    def find(self, key: _Key) -> DeliveredLines:
        """The lines of ``key``.

        Raises:
            LookupError: the ledger has let go of them.
        """
        if self._current is not None and _key(self._current) == key:
            return self._current
        for again in (False, True):
            if again:
                self._following = self._begin()
            for lines in self._following:
                if _key(lines) == key:
                    self._current = lines
                    return lines
        raise LookupError(
            "the ledger has let go of records during the comparison; give it more room: "
            "`ledger: {keep: 4GiB}`"
        )


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


def _key(lines: DeliveredLines) -> _Key:
    return lines.series_key, lines.seq, lines.visible_at, lines.place(0)
