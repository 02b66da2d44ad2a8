"""What verdicts need to know of what was delivered: the read side of the ledger.

Protocols only: whoever keeps the ledger gives values of this shape. Times are Unix seconds of the
simulated clock. A *ledger id* names one written record: ``<series>/<segment>/<line>``.
"""

from collections.abc import Iterator, Sequence
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
    """Records of one flow log with one instant of visibility.

    Light: all of them are held at once, their lines are not.
    """

    @property
    def flow_log_id(self) -> str:
        """Whose copy it is."""
        ...

    @property
    def visible_at(self) -> float:
        """When it became visible."""
        ...

    @property
    def is_object(self) -> bool:
        """Whether it is, or is part of, an object, which readers split into lines."""
        ...

    def lines(self) -> Sequence[bytes]:
        """The records as they were delivered: after every fault, copies included, in the order of
        the destination, without line ends. Cheap if called batch after batch.

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


class DeliveredSpan(Protocol):
    """Records of one flow log and node that became visible together, without their content."""

    @property
    def record_count(self) -> int:
        """How many."""
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
    def visible_at(self) -> float:
        """When they became visible."""
        ...

    @property
    def object_key(self) -> str | None:
        """The object they are; None in a LogStore."""
        ...


class Ledger(Protocol):
    """The read side. Calls come from a thread that is not the loop's."""

    def flow_logs(self) -> Sequence[LedgerFlowLog]:
        """Every flow log there is, in the scenario's order."""
        ...

    def complete_since(self) -> float | None:
        """Records written before this may be missing from it; None: it has all."""
        ...

    def visible(self, flow_log_ids: Sequence[str]) -> Iterator[LedgerBatch]:
        """What is visible now, flow log by flow log, in the order it became so."""
        ...

    def awaited_count(self, flow_log_id: str) -> int:
        """Records that are written and will be visible, but are not: open, pending, held."""
        ...
