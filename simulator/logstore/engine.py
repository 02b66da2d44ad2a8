"""The LogStores: one database, calls that are synchronous and safe from any thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from simulator.clock import Clock
from simulator.logstore.alarms import Alarms
from simulator.logstore.availability import Availability
from simulator.logstore.bindings import Bindings
from simulator.logstore.buckets import Buckets
from simulator.logstore.catalog import Catalog
from simulator.logstore.database import Database
from simulator.logstore.deliveries import Deliveries
from simulator.logstore.downloads import Downloads
from simulator.logstore.elastic import Elastic
from simulator.logstore.fast_queries import FastQueries
from simulator.logstore.indexes import Indexes, check_index_of
from simulator.logstore.ledger import make_tables
from simulator.logstore.loader import SEQ_SHIFT, Batch, load_records
from simulator.logstore.origins import Origins
from simulator.logstore.overview import Overview
from simulator.logstore.pushes import (
    byte_count,
    check_stream,
    check_tags,
    decode_records,
    stamp_records,
)
from simulator.logstore.queries import QueryRunner
from simulator.logstore.results import RowSink
from simulator.logstore.retention import Retention
from simulator.logstore.shippers import Shippers
from simulator.logstore.shipping import Shipping
from simulator.logstore.templates import Templates
from simulator.logstore.upkeep import Job
from simulator.logstore.values import (
    Histogram,
    LogStore,
    LogStoreSettings,
    LogStoreType,
    LogStream,
    NewRecord,
    Page,
    Paging,
    Project,
    QueryResult,
    RecordType,
    Selection,
)
from simulator.logstore.views import Views
from simulator.logstore.watchdog import QueryHandle
from simulator.rng import Rng

QUERY_LIMIT_S: Final = 60.0
"""Source: doc https://cloud.baidu.com/doc/BLS (of a histogram); assumed for pulls and queries."""


class LogStoreEngine:
    """Projects, LogStores and their records.

    What a call has acknowledged is there after the process was killed and the file opened again.

    Args:
        path: the DuckDB file, made if missing; None keeps everything in memory.
        clock: the time of receipt, and what retention is judged by.
        memory_limit: of DuckDB's buffers.
        spill_limit: of the files that statements spill to when these are full.
        threads: that one query may use.
        load_from: directories that segments are delivered from. When given, DuckDB refuses to
            open any other file, whatever a statement says.
        query_limit_s: seconds of real time that a pull or a query may take.
        downloads: where the files of download tasks are kept; None: a temporary directory.
        rng: draws what a query leaves to chance; None: always the same.

    Raises:
        StartupError: the file is in use, damaged or cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        *,
        memory_limit: str = "512MB",
        spill_limit: str = "4GiB",
        threads: int = 2,
        load_from: Sequence[Path] = (),
        query_limit_s: float = QUERY_LIMIT_S,
        downloads: Path | None = None,
        rng: Rng | None = None,
    ) -> None:
        self._clock = clock
        self.ready_after_s = 0.0
        """How long a LogStore made from now on is not ready, seconds of the clock.

        Source: doc https://cloud.baidu.com/doc/BLS (the error exists); how long is assumed.
        """
        self.strict_search = False
        """Whether a LogStore that a client makes from now on insists on an index."""
        self._database = Database(
            path,
            memory_limit=memory_limit,
            spill_limit=spill_limit,
            threads=threads,
            load_from=load_from,
            query_limit_s=query_limit_s,
        )
        self._catalog = Catalog()
        with self._database.writing() as transaction:
            self._catalog.load(transaction, clock.time())
            make_tables(transaction)
        self._queries = QueryRunner(self._database, rng or Rng(0))
        self.indexes = Indexes(self._database, self._catalog, clock)
        self.bindings = Bindings(self._database, self._catalog)
        self.views = Views(self._database, self._catalog, clock)
        self.availability = Availability(clock)
        """Whether a LogStore answers; its gate may be set."""
        self.deliveries = Deliveries(self._database, self._catalog, self.availability, clock)
        self._origins = Origins(self._catalog, self.views, self.availability, clock)
        self.fast_queries = FastQueries(self._database, self.views, clock)
        self.templates = Templates(self._database, clock)
        self.shippers = Shippers(self._database, self._catalog, clock)
        self._shipping = Shipping(self._database, self._catalog, self.shippers, self.availability)
        self._temporary = ExitStack()
        files = downloads or Path(
            self._temporary.enter_context(TemporaryDirectory(prefix="blbsim-downloads-"))
        )
        self.downloads = Downloads(
            self._database,
            self._catalog,
            self.views,
            clock,
            self.query,
            files,
            query_limit_s,
        )
        self.alarms = Alarms(self._database, self._catalog, clock, self.query)
        self.overview = Overview(
            self._database,
            self._catalog,
            clock,
            availability=self.availability,
            shippers=self.shippers,
            alarms=self.alarms,
        )
        """What ``status`` shows."""
        self.elastic = Elastic(self._database, self._catalog, clock, self._origins.log_store)
        self.jobs: tuple[Job, ...] = (
            # A clock that jumped finds all of them due: what was received is shipped and looked at
            # by alarms, then expires.
            self._shipping,
            self.alarms,
            Retention(self._database, self._catalog, clock),
            self.downloads,
        )
        """What is to be done on the clock, in this order; see ``Upkeep``."""

    def use_buckets(self, buckets: Buckets) -> None:
        """Tell where shippers and download tasks put objects; without it there is no bucket."""
        self._shipping.buckets = self.downloads.buckets = buckets

    # Projects

    def create_project(self, name: str, description: str = "") -> Project:
        """Make a project.

        Raises:
            ControlError: ProjectAlreadyExist, ResourceOverflow, InvalidParameter.
        """
        with self._database.writing() as transaction:
            return self._catalog.add_project(transaction, name, description, self._clock.time())

    def update_project(
        self, uuid: str, *, description: str | None = None, top: bool | None = None
    ) -> Project:
        """Change a project's description or whether it is pinned; None leaves it.

        Raises:
            ControlError: ProjectNotFound.
        """
        with self._database.writing() as transaction:
            project = self._catalog.project_by_id(uuid)
            return self._catalog.update_project(
                transaction,
                project,
                project.description if description is None else description,
                project.top if top is None else top,
                self._clock.time(),
            )

    def describe_project(self, uuid: str) -> Project:
        """The project with this uuid, or this name.

        Raises:
            ControlError: ProjectNotFound.
        """
        return self._catalog.project_by_id(uuid)

    def delete_project(self, uuid: str) -> None:
        """Remove a project that has no LogStores.

        Raises:
            ControlError: ProjectNotFound, ProjectLogStoreNotEmpty, InvalidParameter.
        """
        with self._database.writing() as transaction:
            self._catalog.remove_project(transaction, self._catalog.project_by_id(uuid))

    def list_projects(self) -> list[Project]:
        """Every project, in the order they were made."""
        return list(self._catalog.projects.values())

    # LogStores

    def create_log_store(self, project: str, name: str, settings: LogStoreSettings) -> LogStore:
        """Make a LogStore, ready after ``ready_after_s``.

        Raises:
            ControlError: LogStoreAlreadyExist, ProjectNotFound, ResourceOverflow,
                InvalidParameter.
        """
        check_index_of(settings)
        with self._database.writing() as transaction:
            now = self._clock.time()
            state = self._catalog.add_store(transaction, project, name, settings, now)
            state.ready_at = now + self.ready_after_s
            return state.log_store

    def log_store_defaults(self, project: str, name: str) -> LogStoreSettings:
        """What a new LogStore has where the client that makes it says nothing; retention 0 when
        nobody says."""
        settings = self.templates.defaults(project, name)
        return replace(settings, strict_search=self.strict_search)

    def update_log_store(
        self, project: str, name: str, change: Callable[[LogStoreSettings], LogStoreSettings]
    ) -> LogStore:
        """Put what ``change`` makes of a LogStore's settings in their place.

        Raises:
            ControlError: LogStoreNotFound, InvalidParameter.
        """
        with self._database.writing() as transaction:
            state = self._catalog.store(project, name)
            settings = change(state.log_store.settings)
            check_index_of(settings)
            return self._catalog.update_store(transaction, state, settings, self._clock.time())

    def describe_log_store(self, project: str, name: str) -> LogStore:
        """The LogStore ``name`` of ``project``.

        Raises:
            ControlError: LogStoreNotFound.
        """
        return self._catalog.store(project, name).log_store

    def has_log_store(self, project: str, name: str) -> bool:
        """Whether ``project`` has a LogStore ``name``."""
        return (project, name) in self._catalog.stores

    def delete_log_store(self, project: str, name: str) -> None:
        """Remove a LogStore with its records and streams; its shippers end.

        Raises:
            ControlError: LogStoreNotFound, LogStoreAlreadyBind.
        """
        with self._database.writing() as transaction:
            state = self._catalog.store(project, name)
            self.bindings.check_unbound(project, name)
            self.shippers.end_for(transaction, project, name)
            self._catalog.remove_store(transaction, state)

    def list_log_stores(self, project: str | None = None) -> list[LogStore]:
        """The LogStores of ``project``, or all, in the order they were made."""
        return [
            state.log_store
            for state in self._catalog.stores.values()
            if project is None or state.log_store.project == project
        ]

    def list_streams(self, project: str, log_store: str) -> list[LogStream]:
        """The streams of a LogStore, in the order of their first record.

        Raises:
            ControlError: LogStoreNotFound.
        """
        return list(self._catalog.store(project, log_store).streams.values())

    # Records

    def push(
        self,
        project: str,
        log_store: str,
        records: Sequence[NewRecord],
        *,
        stream: str = "",
        record_type: RecordType = RecordType.TEXT,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Store ``records``, all or none; returns how many.

        Raises:
            ControlError: LogStoreNotFound, LogStoreNotReady, LogStoreStopped, RequestLimited;
                InvalidParameter for a bad stream name, too many or too large records or tags, a
                time too far ahead, a JSON record that is not an object.
        """
        now = self._clock.time()
        stamped = stamp_records(records, self._clock)
        check_stream(stream)
        check_tags(tags or {})
        decoded = decode_records(stamped) if record_type is RecordType.JSON else []
        batch = Batch(stream=stream, type=record_type, tags=tags or {}, received_at=now)
        with self._database.writing() as transaction:
            state = self._origins.log_store(project, log_store)
            self.availability.take(state, sum(map(byte_count, stamped)))
            return len(load_records(transaction, self._catalog, state, stamped, decoded, batch))

    def pull(
        self,
        project: str,
        log_store: str,
        selection: Selection,
        *,
        limit: int = 100,
        marker: str | None = None,
        handle: QueryHandle | None = None,
        log_store_type: LogStoreType = LogStoreType.LOGSTORE,
    ) -> Page:
        """Records in the order of their time, oldest first; ``log_store_type`` is what
        ``log_store`` names, and ``handle`` lets another thread give the pull up.

        Raises:
            ControlError: LogStoreNotFound, LogStoreViewNotFound, LogStoreNotReady,
                LogStoreStopped, InvalidParameter, ExecutionTimeout.
        """
        origin = self._origins.find(project, log_store, log_store_type, selection)
        return self._queries.pull(origin, limit, marker, handle)

    def pull_matching(
        self,
        project: str,
        log_store: str,
        selection: Selection,
        query: str,
        paging: Paging,
        handle: QueryHandle | None = None,
        *,
        log_store_type: LogStoreType = LogStoreType.LOGSTORE,
    ) -> Page:
        """Records that a ``match`` statement finds, in the order ``paging`` says.

        ``handle`` lets another thread give the query up; ``log_store_type`` is what
        ``log_store`` names.

        Raises:
            ControlError: as ``query``.
        """
        origin = self._origins.find(project, log_store, log_store_type, selection)
        return self._queries.pull_matching(origin, query, paging, handle)

    def query(
        self,
        project: str,
        log_store: str,
        selection: Selection,
        query: str,
        paging: Paging | None = None,
        handle: QueryHandle | None = None,
        *,
        log_store_type: LogStoreType = LogStoreType.LOGSTORE,
        sink: RowSink | None = None,
    ) -> QueryResult:
        """What a statement finds: ``match ...``, ``select ...`` or both with a pipe.

        ``handle`` lets another thread give the query up; ``log_store_type`` is what
        ``log_store`` names. The rows go into ``sink``; without one they are in the result.

        Raises:
            ControlError: LogStoreNotFound, LogStoreViewNotFound, LogStoreNotReady,
                LogStoreStopped, ExecutionTimeout; InvalidParameter with position and expectation.
        """
        origin = self._origins.find(project, log_store, log_store_type, selection)
        asked_at = self._clock.time() if selection.as_of is None else selection.as_of
        now_ms = int(asked_at * 1000)
        return self._queries.run(origin, query, paging or Paging(), now_ms, handle, sink)

    def histogram(
        self,
        project: str,
        log_store: str,
        selection: Selection,
        query: str,
        handle: QueryHandle | None = None,
        *,
        log_store_type: LogStoreType = LogStoreType.LOGSTORE,
    ) -> Histogram:
        """How the hits of a statement are spread over a range of time.

        ``handle`` lets another thread give the query up; ``log_store_type`` is what
        ``log_store`` names.

        Raises:
            ControlError: as ``query``.
        """
        origin = self._origins.find(project, log_store, log_store_type, selection)
        return self._queries.histogram(origin, query, handle)

    def newest_at(self) -> float:
        """The newest instant of the clock that the file tells of, Unix seconds.

        A run that began before it would deliver in its own past, and its shippers and alarms would
        wait until the clock has come as far as they have.
        """
        return max(self._instants())

    def _instants(self) -> Iterator[float]:
        """When things were made, changed, received or done."""
        if self._catalog.clock_at is not None:
            yield self._catalog.clock_at
        yield from (project.updated_at for project in self._catalog.projects.values())
        for state in self._catalog.stores.values():
            yield state.log_store.updated_at
            yield ((state.next_seq - 1) >> SEQ_SHIFT) / 1000
        for table in (self.views, self.fast_queries, self.templates, self.downloads):
            yield from (one.updated_at for one in table.list_all())
        yield from (shipper.window_at for shipper in self.shippers.list_all())
        for policy in self.alarms.list_policies():
            yield from (policy.updated_at, policy.evaluated_at)

    def interrupt_queries(self) -> None:
        """End every pull and query at work with ExecutionTimeout; later ones are not touched."""
        self._database.interrupt_readers()

    def close(self) -> None:
        """End all queries, write everything out and release the file. Fine to call twice."""
        with self._temporary:
            self._database.close()
