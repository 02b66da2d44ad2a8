"""Download tasks: the result of a statement as a file, in a bucket or behind a link.

A task is done before its creation is answered, so it never shows as waiting or running, and a
process that is killed leaves a task whole or not at all.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from simulator.clock import Clock
from simulator.errors import ControlError, invalid
from simulator.logstore.buckets import Buckets
from simulator.logstore.catalog import Catalog, make_uuid
from simulator.logstore.database import Database
from simulator.logstore.download_files import DownloadFormat, WrittenRows
from simulator.logstore.lengths import check_length
from simulator.logstore.resources import ResourceTable
from simulator.logstore.results import RowSink
from simulator.logstore.shipper_settings import MAX_PATH_LENGTH
from simulator.logstore.typed import LOCAL_AHEAD
from simulator.logstore.upkeep import IsStopped, never
from simulator.logstore.values import (
    DEFAULT_PROJECT,
    LogStoreType,
    Paging,
    QueryResult,
    Selection,
    Sort,
)
from simulator.logstore.views import Views
from simulator.logstore.watchdog import QueryHandle
from simulator.rng import access_token

MAX_DOWNLOAD_ROWS: Final = 1_000_000
"""And the default. Source: doc of the API's schema (``limit``)."""
DEFAULT_QUERY: Final = "match *"
"""Source: doc of the API's schema."""
PAGE_ROWS: Final = 10_000
"""Of a search that are read at a time."""
QUERIES_LONG: Final = 10
"""A task may take so many times as long as a query. Source: assumed."""
KEPT_S: Final = 7 * 86_400
"""How long a file stays behind its link. Source: assumed (that it expires is documented)."""

_NAME: Final = re.compile(r"[^/\x00-\x1f\x7f]{0,128}")
_DIRECTORY: Final = re.compile(r"/?([a-z0-9][a-z0-9\-]{1,61}[a-z0-9])(?:/([^\x00-\x1f\x7f]*))?")


class DownloadState(StrEnum):
    """What became of a task."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    """The file is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """What a task is asked for, as it was sent: an empty text or 0 stands for the default.

    Source: observed in SDK tests: a task is described with what was sent, also where that was
    empty.
    """

    name: str
    project: str
    log_store: str
    stream: str
    query: str
    start: str
    end: str
    start_ms: int
    end_ms: int
    format: str
    limit: int
    order: str
    file_dir: str
    """``bucket/directory/``, or empty for a place that is not the caller's."""
    log_store_type: LogStoreType = LogStoreType.LOGSTORE
    """What ``log_store`` names."""

    @property
    def owner(self) -> str:
        """The project that the LogStore is in."""
        return self.project or DEFAULT_PROJECT

    @property
    def statement(self) -> str:
        """What is run."""
        return self.query or DEFAULT_QUERY

    @property
    def file_format(self) -> DownloadFormat:
        """What the file holds."""
        return DownloadFormat(self.format or DownloadFormat.JSON)

    @property
    def row_limit(self) -> int:
        """Rows that the file has at most."""
        return self.limit or MAX_DOWNLOAD_ROWS

    @property
    def sort(self) -> Sort:
        """How the hits of a search are ordered."""
        return Sort((self.order or Sort.DESC).lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadTask:
    """A task and what became of it."""

    uuid: str
    request: DownloadRequest
    file_name: str
    token: str
    """Makes the link one that nobody can guess."""
    state: DownloadState
    failed_code: str
    failed_message: str
    written_rows: int
    created_at: float
    updated_at: float
    ended_at: float


class Query(Protocol):
    """Runs a statement."""

    def __call__(
        self,
        project: str,
        log_store: str,
        selection: Selection,
        query: str,
        paging: Paging,
        handle: QueryHandle | None = None,
        *,
        log_store_type: LogStoreType = LogStoreType.LOGSTORE,
        sink: RowSink | None = None,
    ) -> QueryResult:
        """What it finds."""
        ...


class Downloads:
    """Every download task; and the job that lets files expire.

    Args:
        database: keeps the tasks.
        catalog: says which LogStores there are.
        views: says which views there are.
        clock: the time of tasks.
        query: runs their statements.
        directory: where files are kept that go to no bucket.
        query_limit_s: seconds of real time that one query may take.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        views: Views,
        clock: Clock,
        query: Query,
        directory: Path,
        query_limit_s: float,
    ) -> None:
        self._limit_s = query_limit_s * QUERIES_LONG
        self._database = database
        self._catalog = catalog
        self._views = views
        self._clock = clock
        self._query = query
        self._directory = directory
        self._table = ResourceTable(database, "downloads", DownloadTask)
        self.buckets: Buckets | None = None
        """Where files may go; None: there are no buckets."""
        self._remove_strays()

    def create(self, request: DownloadRequest, handle: QueryHandle | None = None) -> str:
        """Run a task; its uuid. A statement that fails makes a failed task.

        ``handle`` lets another thread give it up, which makes a failed task too (assumed: BLS
        answers before it runs one).

        Raises:
            ControlError: LogStoreNotFound, LogStoreViewNotFound; InvalidParameter, also for a
                bucket that is missing.
        """
        self._check(request)
        handle = handle or QueryHandle()
        handle.begin(self._limit_s)
        self._views.check_target(request.owner, request.log_store, request.log_store_type)
        now = self._clock.time()
        with self._database.writing() as transaction:
            number = self._catalog.next_number(transaction)
        uuid = make_uuid(f"download/{number}/{request.owner}/{request.log_store}")
        stamp = datetime.fromtimestamp(now, UTC) + LOCAL_AHEAD
        task = DownloadTask(
            uuid=uuid,
            request=request,
            # Source: assumed, but for its beginning.
            file_name=f"{request.name or 'download'}_{request.file_format}_{stamp:%Y%m%d%H%M%S}"
            f"_{uuid[:8]}.{request.file_format}",
            token=access_token(),
            state=DownloadState.SUCCESS,
            failed_code="",
            failed_message="",
            written_rows=0,
            created_at=now,
            updated_at=now,
            ended_at=now,
        )
        try:
            task = replace(task, written_rows=self._write(task, handle))
        except (ControlError, OSError) as error:
            with suppress(OSError):  # what the disk keeps goes with the next start
                self._file(task).unlink(missing_ok=True)
            task = _failed(task, error)
        task = replace(task, ended_at=self._clock.time(), updated_at=self._clock.time())
        with self._database.writing() as transaction:
            self._table.put(transaction, uuid, task)
        return uuid

    def describe(self, uuid: str) -> DownloadTask:
        """The task with this uuid.

        Raises:
            ControlError: DownloadTaskNotFound.
        """
        found = self._table.items.get(uuid)
        if found is None:
            raise ControlError("DownloadTaskNotFound", 404, "Download task not found")
        return found

    def delete(self, uuid: str) -> None:
        """Forget a task and remove its file; an object in a bucket stays (assumed).

        Raises:
            ControlError: DownloadTaskNotFound.
        """
        with self._database.writing() as transaction:
            task = self.describe(uuid)
            self._table.remove(transaction, uuid)
        self._file(task).unlink(missing_ok=True)

    def list_all(self) -> list[DownloadTask]:
        """Every task, in the order made."""
        return list(self._table.items.values())

    def find_file(self, token: str) -> Path:
        """The file behind a link.

        Raises:
            ControlError: DownloadTaskNotFound when there is none, or no longer.
        """
        for task in self._table.items.values():
            if task.token == token and task.state is DownloadState.SUCCESS:
                return self._file(task)
        raise ControlError("DownloadTaskNotFound", 404, "Download task not found")

    def next_at(self) -> float | None:
        """When the first file expires."""
        return min((task.created_at + KEPT_S for task in self._kept()), default=None)

    def run(self, now: float, is_stopped: IsStopped = never) -> None:
        """Let files expire."""
        for task in self._kept():
            if task.created_at + KEPT_S > now or is_stopped():
                continue
            with self._database.writing() as transaction:
                if task.uuid in self._table.items:
                    expired = replace(task, state=DownloadState.EXPIRED, updated_at=now)
                    self._table.put(transaction, task.uuid, expired)
            self._file(task).unlink(missing_ok=True)

    def _kept(self) -> list[DownloadTask]:
        """The tasks with a file that is ours."""
        return [
            task
            for task in self._table.items.values()
            if task.state is DownloadState.SUCCESS and not task.request.file_dir
        ]

    def _check(self, request: DownloadRequest) -> None:
        if not _NAME.fullmatch(request.name):
            raise invalid("name", "expected at most 128 characters without `/`", request.name)
        check_length("query", request.query)
        check_length("logStreamName", request.stream)
        if not 0 <= request.limit <= MAX_DOWNLOAD_ROWS:
            expected = f"expected 1 to {MAX_DOWNLOAD_ROWS}, or 0 for the most"
            raise invalid("limit", expected, request.limit)
        if request.end_ms <= request.start_ms:
            expected = f"expected a time after queryStartTime, which is {request.start}"
            raise invalid("queryEndTime", expected, request.end)
        if request.file_dir:
            bucket, _ = split_directory(request.file_dir)
            if self.buckets is None or not self.buckets.has_bucket(bucket):
                raise invalid("fileDir", "expected a bucket that exists", bucket)

    def _write(self, task: DownloadTask, handle: QueryHandle) -> int:
        """Write the file; the number of rows."""
        request = task.request
        file = self._file(task)
        self._directory.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            rows = WrittenRows(out, request.file_format, request.row_limit)
            self._run(request, handle, rows)
            out.flush()
            os.fsync(out.fileno())
        if request.file_dir:
            self._put(task, file)
        return rows.count

    def _put(self, task: DownloadTask, file: Path) -> None:
        bucket, directory = split_directory(task.request.file_dir)
        try:
            assert self.buckets is not None
            self.buckets.put_object(
                bucket,
                directory + task.file_name,
                file,
                "text/csv"
                if task.request.file_format is DownloadFormat.CSV
                else "application/json",
                last_modified=self._clock.time(),
            )
        finally:
            file.unlink(missing_ok=True)

    def _run(self, request: DownloadRequest, handle: QueryHandle, rows: WrittenRows) -> None:
        """Run the statement, a search page by page."""
        selection = Selection(
            start_ms=request.start_ms, end_ms=request.end_ms, stream=request.stream or None
        )
        marker: str | None = None
        source = self._source(request)
        while True:
            paging = Paging(limit=min(rows.left, PAGE_ROWS), sort=request.sort, marker=marker)
            found = self._query(
                request.owner,
                request.log_store,
                selection,
                request.statement,
                paging,
                handle,
                log_store_type=request.log_store_type,
                sink=rows,
            )
            if self._source(request) != source:
                raise ControlError("LogStoreNotFound", 404, "LogStore deleted while it was read")
            marker = found.next_marker
            if marker is None or rows.left == 0:
                return

    def _source(self, request: DownloadRequest) -> tuple[int | None, ...]:
        """Numbers of the LogStores that are read now; each page names them anew."""
        names = [(request.owner, request.log_store)]
        if request.log_store_type is LogStoreType.LOGSTORE_VIEW:
            view = self._views.describe(request.owner, request.log_store)
            names = [(one.project, one.name) for one in view.stores]
        states = [self._catalog.stores.get(name) for name in names]
        return tuple(None if state is None else state.id for state in states)

    def _file(self, task: DownloadTask) -> Path:
        return self._directory / task.uuid

    def _remove_strays(self) -> None:
        """Files of tasks that a killed process never finished, or deleted."""
        if self._directory.is_dir():
            kept = {task.uuid for task in self._kept()}
            for file in self._directory.iterdir():
                if file.name not in kept:
                    file.unlink(missing_ok=True)


def split_directory(file_dir: str) -> tuple[str, str]:
    """Bucket and directory of ``bucket/directory/``; the second is empty or ends in a slash.

    Raises:
        ControlError: InvalidParameter.
    """
    found = _DIRECTORY.fullmatch(file_dir)
    if found is None or len(file_dir) > MAX_PATH_LENGTH:
        expected = f"expected bucket/directory/, at most {MAX_PATH_LENGTH} characters"
        raise invalid("fileDir", expected, file_dir)
    directory = (found[2] or "").strip("/")
    return found[1], f"{directory}/" if directory else ""


def _failed(task: DownloadTask, error: ControlError | OSError) -> DownloadTask:
    """Source: assumed, what a task says that the machine's disk refused."""
    code, message = "InternalError", str(error)
    if isinstance(error, ControlError):
        code, message = error.code, error.message
    return replace(task, state=DownloadState.FAILED, failed_code=code, failed_message=message)
