"""What flow logs deliver: records, with the mark of how far each has come, in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, SinkError
from simulator.logstore.availability import NOT_READY, Availability
from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Database, DatabaseError, Transaction, first_line, is_passing
from simulator.logstore.ledger import LedgerChange, LedgerTables, write_change
from simulator.logstore.loader import Batch, load_lines, load_segments
from simulator.logstore.values import RecordType

_NO_CHANGE: Final = LedgerChange()


class Deliveries:
    """Takes what is delivered.

    Args:
        database: holds records, cursors and the ledger.
        catalog: of the LogStores, and of the cursors.
        availability: whether a LogStore takes records.
        clock: the time of receipt.
    """

    def __init__(
        self, database: Database, catalog: Catalog, availability: Availability, clock: Clock
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._availability = availability
        self._clock = clock
        self.ledger = LedgerTables(database)
        """What was entered into the ledger with records and cursors."""

    def deliver_segments(
        self,
        *,
        project: str,
        log_store: str,
        stream: str,
        paths: Sequence[Path],
        cursor: str,
        position: int,
        change: LedgerChange = _NO_CHANGE,
    ) -> int:
        r"""Load segment files and move a delivery cursor, in one transaction.

        Args:
            project: of the LogStore.
            log_store: the destination.
            stream: name of the stream the records appear in.
            paths: files of lines ``<epoch ms>\t<one JSON object>\n``.
            cursor: name of the delivery cursor.
            position: its new value.
            change: what the ledger is to say of it; entries, which are of these records in their
                order, get their ``first_place`` here.

        Returns:
            The number of records loaded.

        Raises:
            SinkError: nothing was loaded and the cursor has not moved; ``retryable`` unless the
                LogStore does not exist or is stopped, or a file is not a segment.
        """
        batch = self._delivered_batch(stream)
        with self._delivering(project, log_store) as (transaction, state):
            loaded = range(0)
            if paths:
                loaded = load_segments(transaction, self._catalog, state, paths, batch)
            write_change(transaction, change, loaded.start)
            self._catalog.set_cursor(transaction, cursor, position, batch.received_at)
        return len(loaded)

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
        """The same for records in memory: ``(epoch ms, text)``, whatever the text.

        Bytes that are not UTF-8 become U+FFFD.
        Source: assumed (BLS answers in JSON, which has no other way to show them).

        Args:
            project: of the LogStore.
            log_store: the destination.
            stream: name of the stream the records appear in.
            lines: in the order they get.
            cursor: name of the delivery cursor; None leaves all cursors alone.
            position: its new value.
            change: as for ``deliver_segments``.

        Raises:
            SinkError: as ``deliver_segments``.
        """
        batch = self._delivered_batch(stream)
        with self._delivering(project, log_store) as (transaction, state):
            loaded = range(0)
            if lines:
                loaded = load_lines(transaction, self._catalog, state, lines, batch)
            write_change(transaction, change, loaded.start)
            if cursor is not None:
                self._catalog.set_cursor(transaction, cursor, position, batch.received_at)
        return len(loaded)

    def commit_cursor(
        self, cursor: str | None, position: int, change: LedgerChange = _NO_CHANGE
    ) -> None:
        """Move a delivery cursor, if any, with what the ledger is to say of it."""
        with self._database.writing() as transaction:
            write_change(transaction, change)
            if cursor is not None:
                self._catalog.set_cursor(transaction, cursor, position, self._clock.time())

    def read_cursors(self) -> dict[str, int]:
        """Every delivery cursor and its position."""
        return dict(self._catalog.cursors)

    def _delivered_batch(self, stream: str) -> Batch:
        return Batch(stream=stream, type=RecordType.JSON, tags={}, received_at=self._clock.time())

    @contextmanager
    def _delivering(self, project: str, log_store: str) -> Iterator[tuple[Transaction, StoreState]]:
        """A transaction on a LogStore; what goes wrong is a failing destination."""
        try:
            with self._database.writing() as transaction:
                state = self._catalog.store(project, log_store)
                self._availability.check(state)
                yield transaction, state
        except ControlError as error:
            # It will be ready; what is missing or stopped refuses for good.
            raise SinkError(
                f"LogStore {project}/{log_store}: {error}", retryable=error.code == NOT_READY
            ) from error
        except (DatabaseError, OSError) as error:
            raise SinkError(
                f"LogStore {project}/{log_store}: {first_line(error)}",
                retryable=is_passing(error),
            ) from error
