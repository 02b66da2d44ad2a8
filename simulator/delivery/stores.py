"""What delivery needs of the LogStores, their ledger and the object store."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from simulator.logstore import HeldPiece, LedgerChange, LedgerEntry, LedgerException
from simulator.objectstore.lags import Lag


class LedgerRows(Protocol):
    """What delivery needs to read of what it entered; see ``LedgerTables``."""

    def entries(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        seq: int | None = None,
        done_after: float | None = None,
    ) -> Iterator[LedgerEntry]:
        """Entries in the order they were written."""
        ...

    def exceptions(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        first_seq: int | None = None,
        last_seq: int | None = None,
        altered: bytes | None = None,
    ) -> Iterator[LedgerException]:
        """Exceptions in the order they were written."""
        ...

    def held(self) -> list[HeldPiece]:
        """Everything that is held back."""
        ...

    def forget(self, series_key: str, seq: int) -> None:
        """Delete what is said of batches that end with a segment or before."""
        ...


class LogStores(Protocol):
    """What delivery needs of the LogStores; cursors live beside the records."""

    @property
    def ledger(self) -> LedgerRows:
        """What was entered with the records and cursors."""
        ...

    def deliver_segments(
        self,
        *,
        project: str,
        log_store: str,
        stream: str,
        paths: Sequence[Path],
        cursor: str,
        position: int,
        change: LedgerChange,
    ) -> int:
        """Load segment files, move a cursor, enter the ledger, in one transaction.

        Returns:
            The number of records.

        Raises:
            SinkError: nothing was loaded; ``retryable`` or not.
        """
        ...

    def deliver_lines(
        self,
        *,
        project: str,
        log_store: str,
        stream: str,
        lines: Sequence[tuple[int, bytes]],
        cursor: str | None,
        position: int,
        change: LedgerChange,
    ) -> int:
        """The same for lines in memory, with their Unix milliseconds; maybe without a cursor."""
        ...

    def commit_cursor(self, cursor: str | None, position: int, change: LedgerChange) -> None:
        """Move a cursor, if any, and enter the ledger, in one transaction."""
        ...

    def read_cursors(self) -> dict[str, int]:
        """Every cursor ever moved."""
        ...


class ObjectSink(Protocol):
    """What delivery needs of an object store."""

    def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str,
        *,
        last_modified: float,
        lag: Lag | None = None,
    ) -> object:
        """Store one object that shows from the instants of ``lag`` on.

        Raises:
            ControlError: the bucket does not exist.
            OSError: it cannot be stored now.
        """
        ...

    def delete_objects(self, bucket: str, prefix: str, chosen: Callable[[str], bool]) -> None:
        """Delete the objects with a prefix whose keys are chosen, also those that show later.

        Nothing happens if the bucket does not exist.

        Raises:
            OSError: they cannot be deleted now.
        """
        ...
