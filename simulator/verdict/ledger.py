"""What verdicts need to know of what was delivered: the read side of the ledger.

Protocols only. Whoever keeps the ledger has values of this shape; times are Unix seconds of the
simulated clock. A *ledger id* names one written record: ``<series>/<segment>/<line>``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol


class LedgerFlowLog(Protocol):
    """A flow log that the ledger knows."""

    @property
    def flow_log_id(self) -> str:
        """``fl-`` and 8 hex digits."""
        ...

    @property
    def name(self) -> str:
        """As the scenario calls it."""
        ...

    @property
    def project(self) -> str:
        """Of a LogStore; empty for a bucket."""
        ...

    @property
    def container(self) -> str:
        """The LogStore or the bucket, by name."""
        ...


class LedgerBatch(Protocol):
    """Records of one flow log and one node with one instant of visibility.

    Light until ``lines`` is called: hundreds of thousands may be held at once.
    """

    @property
    def flow_log_id(self) -> str:
        """Whose copy it is."""
        ...

    @property
    def series_key(self) -> str:
        """``<load balancer id>_<node address>``."""
        ...

    @property
    def record_count(self) -> int:
        """How many lines there are."""
        ...

    @property
    def first_at(self) -> float:
        """When the earliest of them was written."""
        ...

    @property
    def last_at(self) -> float:
        """When the latest of them was written."""
        ...

    @property
    def visible_at(self) -> float | None:
        """None while it is not visible."""
        ...

    @property
    def due_at(self) -> float | None:
        """When it becomes visible; None while that is not decided."""
        ...

    @property
    def object_key(self) -> str | None:
        """The object it is, for a bucket."""
        ...

    def lines(self) -> Sequence[bytes]:
        """The records as they were, or will be, delivered: after every fault, copies included,
        in the order of the destination, without line ends.

        Raises:
            LookupError: the ledger has let go of them.
        """
        ...

    def ledger_id(self, index: int) -> str:
        """Which written record line ``index`` (0-based) is or comes from."""
        ...

    def place(self, index: int) -> str:
        """Where line ``index`` can be read: LogStore and ``@seq``, or object key and line."""
        ...


class WatermarkRow(Protocol):
    """How far one flow log is with one node."""

    @property
    def flow_log_id(self) -> str:
        """The flow log."""
        ...

    @property
    def series_key(self) -> str:
        """``<load balancer id>_<node address>``."""
        ...

    @property
    def visible_until(self) -> float:
        """Every record written up to here that will ever be visible is visible."""
        ...

    @property
    def waiting_count(self) -> int:
        """Records written, pending or held back."""
        ...

    @property
    def next_due_at(self) -> float | None:
        """When the next of them becomes visible, as far as that is decided."""
        ...


class LedgerHit(Protocol):
    """What a fault did to one record on its way to one flow log."""

    @property
    def fault(self) -> str:
        """The fault by name."""
        ...

    @property
    def kind(self) -> str:
        """Its catalogue id, such as ``F-LATE``."""
        ...

    @property
    def effect(self) -> str:
        """What was done, in words: ``dropped``, ``held until …``, ``field request cut``."""
        ...


class LedgerPassage(Protocol):
    """One record on its way to one flow log."""

    @property
    def flow_log_id(self) -> str:
        """Which took it."""
        ...

    @property
    def due_at(self) -> float | None:
        """When it was or is due; None while its batch is open."""
        ...

    @property
    def outcome(self) -> str:
        """``visible``, ``pending``, ``held``, ``dropped``, or ``lost: <why>``."""
        ...

    @property
    def hits(self) -> Sequence[LedgerHit]:
        """Faults that hit it, in the order they were applied."""
        ...

    @property
    def copies(self) -> Sequence[tuple[float, str, bytes]]:
        """``(visible_at, place, line as delivered)`` for each time it became visible."""
        ...


class LedgerLife(Protocol):
    """Everything known of one written record."""

    @property
    def ledger_id(self) -> str:
        """Which."""
        ...

    @property
    def line(self) -> bytes:
        """As written, before any fault."""
        ...

    @property
    def logged_at(self) -> float:
        """When it was written."""
        ...

    @property
    def load_balancer_id(self) -> str:
        """Whose request it was."""
        ...

    @property
    def node_address(self) -> str:
        """The node that wrote it."""
        ...

    @property
    def passages(self) -> Sequence[LedgerPassage]:
        """One for each flow log that took it."""
        ...


class Ledger(Protocol):
    """The read side. Every call may come from a thread that is not the loop's."""

    def flow_logs(self) -> Sequence[LedgerFlowLog]:
        """Every flow log it has records of, in the scenario's order."""
        ...

    def complete_since(self) -> float | None:
        """Records written before this may be missing from it; None: it has all."""
        ...

    def visible(self, flow_log_ids: Sequence[str]) -> Iterator[LedgerBatch]:
        """What is visible now, in order of visibility within each flow log and node."""
        ...

    def awaited(self, flow_log_ids: Sequence[str]) -> Iterator[LedgerBatch]:
        """What is not visible yet and will be: open, pending, held."""
        ...

    def watermarks(self) -> Sequence[WatermarkRow]:
        """One row for each flow log and node."""
        ...

    def life(self, ledger_id: str) -> LedgerLife | None:
        """Everything known of one record; None if there is none of that id."""
        ...

    def find(self, line: bytes, record: Mapping[str, object] | None, limit: int) -> Sequence[str]:
        """Ledger ids of records written or delivered like ``line``, or equal as JSON objects to
        ``record``; at most ``limit``."""
        ...
