"""The one door to DuckDB: opening, locking down, transactions.

Every call works on its own cursor, so threads do not share state; writers go one at a time. The
data lives in an attached database named ``logs``: a file, or memory kept compressed.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb

from simulator.errors import ControlError, ParameterError, StartupError
from simulator.logstore.admission import Admission
from simulator.logstore.footprint import MAX_BYTES
from simulator.logstore.spilling import clean_directory
from simulator.logstore.typed import LOCAL_HOURS
from simulator.logstore.watchdog import QueryHandle, Watchdog, timed_out

Cursor: TypeAlias = duckdb.DuckDBPyConnection
Parameters: TypeAlias = Mapping[str, object]
Row: TypeAlias = tuple[Any, ...]  # DuckDB types its cells at run time

Streamed: TypeAlias = tuple[tuple[str, ...], Iterator[list[Row]]]
"""The type name of each column, and the rows, some at a time."""

DatabaseError: Final = duckdb.Error
"""Whatever DuckDB raises."""

SCHEMA: Final = "logs.main"
"""Where every table lives; statements name it in full, cursors have no state of their own."""

ROW_GROUP_SIZE: Final = 61_440
"""Half of DuckDB's own: wide text rows of a group then fit in the processor's cache, which makes
loading a quarter faster; aggregates do not mind."""

LATE_ROWS: Final = 2000
"""Wide columns of so many records at most are read after these have been found."""
_BLOCK_ROWS: Final = 100
"""That are fetched at a time: each may have some hundred kilobytes."""
_HARDENING: Final = {
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_CALLERS_FAULT: Final = (
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.InvalidTypeException,
    duckdb.TypeMismatchException,
    duckdb.NotImplementedException,
)


class Transaction:
    """One change of the data, and what is to be done once it is safe."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.actions: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do ``action`` after the commit, before the next writer; not at all if it fails."""
        self.actions.append(action)


class Database:
    """One open DuckDB database.

    Args:
        path: the file, made if missing; None keeps everything in memory.
        memory_limit: of DuckDB's buffers, for example ``512MB``.
        spill_limit: of the files that statements spill to when these are full.
        threads: that one statement may use.
        load_from: directories the loader reads from. When given, DuckDB itself refuses every
            other file. The settings cannot be changed once it is open.
        query_limit_s: seconds of real time that one reader may take.

    Raises:
        StartupError: the file is in use, damaged or cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        memory_limit: str,
        spill_limit: str,
        threads: int,
        load_from: Sequence[Path] = (),
        query_limit_s: float = 60.0,
    ) -> None:
        self._writing = threading.Lock()
        self._watchdog = Watchdog(query_limit_s)
        self._admission = Admission(MAX_BYTES)
        self.threads = threads
        """That one statement may use."""
        self._closed = False
        self._connection = duckdb.connect(
            ":memory:",
            config={**_HARDENING, "memory_limit": memory_limit, "threads": str(threads)},
        )
        try:
            self._attach(path)
            self._spill_to(clean_directory(path), spill_limit)
            self._lock_down(load_from)
        except (duckdb.Error, OSError) as error:
            self._connection.close()
            raise StartupError(f"log store database {path}: {first_line(error)}") from error

    def _attach(self, path: Path | None) -> None:
        if path is None:
            self._connection.execute(
                f"ATTACH ':memory:' AS logs (COMPRESS, ROW_GROUP_SIZE {ROW_GROUP_SIZE})"
            )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection.execute(
            f"ATTACH {quote_text(str(path))} AS logs (ROW_GROUP_SIZE {ROW_GROUP_SIZE})"
        )

    def _spill_to(self, directory: Path, limit: str) -> None:
        execute = self._connection.execute
        execute("SET temp_directory = $spill", {"spill": str(directory)})
        execute("SET max_temp_directory_size = $limit", {"limit": limit})

    def _lock_down(self, load_from: Sequence[Path]) -> None:
        execute = self._connection.execute
        # Text without an offset is the service's local time, whatever zone the machine is in.
        execute(f"SET GLOBAL TimeZone = 'Etc/GMT-{LOCAL_HOURS}'")
        if load_from:
            execute(
                "SET allowed_directories = $allowed",
                {"allowed": [str(directory.resolve()) for directory in load_from]},
            )
            execute("SET enable_external_access = false")
        # A page of records is found by narrow columns first, which takes a third of the time.
        execute(f"SET GLOBAL late_materialization_max_rows = {LATE_ROWS}")
        execute("SET lock_configuration = true")

    @contextmanager
    def querying(self, handle: QueryHandle | None = None) -> Iterator[Cursor]:
        """Like ``reading``, for statements of a caller's: a few are at work, the others wait.

        Waiting counts as time that the query takes.

        Raises:
            ControlError: as ``reading``.
        """
        deadline = self._watchdog.deadline_of(handle)
        with self._admission.place(deadline, handle), self._reading(deadline, handle) as cursor:
            yield cursor

    @contextmanager
    def room(self, byte_count: int, handle: QueryHandle | None = None) -> Iterator[None]:
        """Room for the values of a query's statement, while the block runs it.

        The watchdog goes on to stop the query's statements, also after waiting here.

        Raises:
            ControlError: ExecutionTimeout.
        """
        stop = None if handle is None else handle.stop
        deadline = self._watchdog.deadline_of(handle)
        with self._admission.room(byte_count, deadline, handle):
            if handle is not None:
                handle.stop = stop
                # Looked at after it can be stopped again, as where it waits.
                if handle.cancelled:
                    raise timed_out()
            yield

    @contextmanager
    def reading(self, handle: QueryHandle | None = None) -> Iterator[Cursor]:
        """A cursor with one snapshot of the data of LogStores for all its statements.

        Raises:
            ControlError: ExecutionTimeout when the block took too long, was given up, or the
                database is closed; LogStoreNotFound when a LogStore was deleted meanwhile.
        """
        with self._reading(self._watchdog.deadline_of(handle), handle) as cursor:
            yield cursor

    @contextmanager
    def inspecting(self) -> Iterator[Cursor]:
        """Like ``reading``, for the simulator's own work, which takes as long as it takes.

        Raises:
            ControlError: ExecutionTimeout when all readers are to end, or the database is closed;
                LogStoreNotFound.
        """
        with self._reading(math.inf, None) as cursor:
            yield cursor

    @contextmanager
    def _reading(self, deadline: float, handle: QueryHandle | None) -> Iterator[Cursor]:
        try:
            with (
                self._connection.cursor() as cursor,
                self._watchdog.watching(cursor.interrupt, deadline, handle),
            ):
                cursor.execute("BEGIN TRANSACTION")
                yield cursor
        except (duckdb.InterruptException, duckdb.ConnectionException) as error:
            raise timed_out() from error
        except duckdb.CatalogException as error:
            # Functions come from an allow-list: only the table can be missing.
            raise ControlError("LogStoreNotFound", 404, "LogStore not found") from error

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block, or leaves no trace.

        Writers wait for each other, also while what follows the commit is done.
        """
        with self._writing, self._connection.cursor() as cursor:
            transaction = Transaction(cursor)
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield transaction
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # a failed commit has rolled back already
                    cursor.execute("ROLLBACK")
                raise
            for action in transaction.actions:
                action()

    def reclaim(self) -> bool:
        """Give the space of deleted rows back; whether that could be done.

        DuckDB grows the file by as much as was deleted unless it is told to; some of its versions
        refuse while something is read.
        """
        with self._writing, self._connection.cursor() as cursor:
            try:
                cursor.execute("CHECKPOINT logs")
            except duckdb.TransactionException:
                return False
        return True

    def interrupt_readers(self) -> None:
        """End what is being read now, or waits for that, with ExecutionTimeout."""
        self._admission.interrupt_all()
        self._watchdog.interrupt_all()

    def close(self) -> None:
        """End what is being read, write everything out, release the file. Fine to call twice."""
        self._admission.close()
        self._watchdog.close()
        with self._writing:
            if not self._closed:
                self._closed = True
                self._connection.close()


def run_statement(
    cursor: Cursor, sql: str, parameters: Parameters
) -> tuple[tuple[str, ...], list[Row]]:
    """Run a statement that was rebuilt from a caller's query.

    Returns:
        The type name of each column (``BIGINT``, ``VARCHAR`` ...) and the rows.

    Raises:
        ControlError: InvalidParameter when the statement does not make sense, for example a
            column that is neither grouped nor aggregated.
    """
    types, blocks = stream_statement(cursor, sql, parameters)
    return types, [row for block in blocks for row in block]


def stream_statement(cursor: Cursor, sql: str, parameters: Parameters) -> Streamed:
    """The same, the rows some at a time.

    Raises:
        ControlError: as ``run_statement``, also while the rows are read.
    """
    with _explained():
        cursor.execute(sql, parameters)
    return tuple(str(column[1]) for column in cursor.description or ()), _blocks(cursor)


def _blocks(cursor: Cursor) -> Iterator[list[Row]]:
    while True:
        with _explained():
            rows = cursor.fetchmany(_BLOCK_ROWS)
        if not rows:
            return
        yield rows


@contextmanager
def _explained() -> Iterator[None]:
    """Say of what DuckDB refuses in the block whose fault it is."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        needed = "memory than log_service.memory allows"
        if "max_temp_directory_size" in str(error):
            needed = "room on the disk than log_service.spill allows"
        raise ParameterError("query", f": it needs more {needed}") from error
    except _CALLERS_FAULT as error:
        raise ParameterError("query", f": {first_line(error)}") from error


def quote_text(text: str) -> str:
    """``text`` as a DuckDB literal, for the few places that take no parameter."""
    return "'" + text.replace("'", "''") + "'"


def is_passing(error: BaseException) -> bool:
    """Whether trying again later may help: disk and memory trouble do pass, bad data does not."""
    return isinstance(
        error,
        (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, OSError),
    )


def first_line(error: BaseException) -> str:
    """What DuckDB complains about, without the statement it quotes."""
    line = str(error).partition("\n")[0]
    return line.removeprefix("Binder Error: ").removeprefix("Invalid Input Error: ")
