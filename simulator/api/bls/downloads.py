"""Download tasks: their wire form, the operations on them, and the files behind their links."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    date_time,
    json_response,
    list_page,
    parse_instant,
    parse_log_store_type,
    parse_sort,
    read_body,
)
from simulator.api.bls.workers import Workers
from simulator.api.operations import Handle
from simulator.clock import Clock, Hold
from simulator.errors import invalid
from simulator.logstore import (
    DEFAULT_PROJECT,
    DEFAULT_QUERY,
    MAX_DOWNLOAD_ROWS,
    DownloadFormat,
    DownloadRequest,
    DownloadState,
    DownloadTask,
    LogStoreEngine,
    LogStoreType,
    QueryHandle,
    Sort,
    split_directory,
)

FILES: Final = "/_sim/downloads/{token}/{file_name}"
"""Where files are served, unsigned: the link itself is the permission."""


class DownloadBody(msgspec.Struct, rename="camel"):
    """Body of CreateDownloadTask."""

    name: str | None = None
    project: str | None = None
    log_store_name: str | None = None
    log_stream_name: str | None = None
    query: str | None = None
    query_start_time: str | None = None
    query_end_time: str | None = None
    format: str | None = None
    limit: int | None = None
    order: str | None = None
    file_dir: str | None = None
    log_store_type: str | None = None


class DownloadListBody(ListBody, rename="camel"):
    """Body of ListDownloadTask."""

    log_store_name: str | None = None


class Downloads(Service):
    """Handlers of the operations on download tasks.

    Args:
        engine: runs them.
        clock: does not jump while one runs.
        on_change: told each time that something has changed.
        workers: the threads that the engine works in.
        object_url: the address of an object in a bucket.
    """

    def __init__(
        self,
        engine: LogStoreEngine,
        clock: Clock,
        on_change: Callable[[], None],
        workers: Workers,
        object_url: Callable[[str, str], str],
    ) -> None:
        super().__init__(engine, clock, on_change, workers)
        self._object_url = object_url

    async def create(self, request: web.Request) -> web.Response:
        """CreateDownloadTask: the task is done when this is answered (assumed)."""
        body = await read_body(request, DownloadBody)
        if not body.log_store_name:
            raise invalid("logStoreName", "is required")
        if body.format not in {None, "", *DownloadFormat}:
            raise invalid("format", "expected json or csv", body.format)
        parse_sort("order", body.order)
        asked = DownloadRequest(
            name=body.name or "",
            project=_sent(body.project, DEFAULT_PROJECT),
            log_store=body.log_store_name,
            stream=body.log_stream_name or "",
            query=_sent(body.query, DEFAULT_QUERY),
            start=body.query_start_time or "",
            end=body.query_end_time or "",
            start_ms=parse_instant("queryStartTime", body.query_start_time),
            end_ms=parse_instant("queryEndTime", body.query_end_time),
            format=_sent(body.format, DownloadFormat.JSON),
            limit=MAX_DOWNLOAD_ROWS if body.limit is None else body.limit,
            order=_sent(body.order, Sort.DESC),
            file_dir=body.file_dir or "",
            log_store_type=parse_log_store_type(body.log_store_type),
        )
        handle = QueryHandle()
        with Hold(self.clock):
            uuid = await self.query(request, handle, self.engine.downloads.create, asked, handle)
            self.tell()
        return json_response({"message": "", "result": {"uuid": uuid}})

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeDownloadTask."""
        task = self.engine.downloads.describe(request.match_info["uuid"])
        return json_response({"message": "", "result": {"task": _from_task(task)}})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteDownloadTask."""
        return await self.confirm(self.engine.downloads.delete, request.match_info["uuid"])

    async def link(self, request: web.Request) -> web.Response:
        """GetDownloadTaskLink: empty when the task failed or its file has expired (assumed)."""
        task = self.engine.downloads.describe(request.match_info["uuid"])
        file_dir = task.request.file_dir
        if task.state is not DownloadState.SUCCESS:
            link = ""
        elif file_dir:
            bucket, directory = split_directory(file_dir)
            link = self._object_url(bucket, directory + task.file_name)
        else:
            path = FILES.format(token=task.token, file_name=quote(task.file_name))
            link = f"{request.scheme}://{request.host}{path}"
        result = {"fileDir": file_dir, "fileName": task.file_name, "link": link}
        return json_response({"message": "", "result": result})

    async def list_all(self, request: web.Request) -> web.Response:
        """ListDownloadTask."""
        asked = await read_body(request, DownloadListBody)
        page, wrapper = list_page(
            [
                task
                for task in self.engine.downloads.list_all()
                if (asked.project or "") in {"", task.request.owner}
                and (asked.log_store_name or "") in task.request.log_store
            ],
            {
                "createdTime": lambda task: task.created_at,
                "updatedTime": lambda task: task.updated_at,
                "name": lambda task: task.request.name,
            },
            asked,
        )
        result = {
            **wrapper,
            "total": wrapper["totalCount"],
            "tasks": [_from_task(task) for task in page],
        }
        return json_response({"message": "", "result": result})


def file_server(engine: LogStoreEngine) -> Handle:
    """Serves the files behind links; goes to the path ``FILES``."""

    async def serve(request: web.Request) -> web.StreamResponse:
        path = engine.downloads.find_file(request.match_info["token"])
        name = request.match_info["file_name"]
        return web.FileResponse(
            path,
            headers={
                "Content-Type": "text/csv" if name.endswith(".csv") else "application/json",
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            },
        )

    return serve


def _sent(value: str | None, default: str) -> str:
    """What was sent, also when it was empty; ``default`` where nothing was."""
    return default if value is None else value


def _from_task(task: DownloadTask) -> dict[str, object]:
    asked = task.request
    # The vendor's schema has no type; it is added where it says something.
    is_view = asked.log_store_type is LogStoreType.LOGSTORE_VIEW
    return {
        "uuid": task.uuid,
        "name": asked.name,
        "project": asked.project,
        "logStoreName": asked.log_store,
        "logStreamName": asked.stream,
        "query": asked.query,
        "queryStartTime": asked.start,
        "queryEndTime": asked.end,
        "format": asked.format,
        "limit": asked.limit,
        "orderBy": "@timestamp",
        "order": asked.order,
        "state": task.state,
        "failedCode": task.failed_code,
        "failedMessage": task.failed_message,
        "retry": 0,
        "writtenRows": task.written_rows,
        "fileDir": asked.file_dir,
        "fileName": task.file_name,
        "execStartTime": date_time(task.created_at),
        "execEndTime": date_time(task.ended_at),
        "createdTime": date_time(task.created_at),
        "updatedTime": date_time(task.updated_at),
        **({"logStoreType": asked.log_store_type} if is_view else {}),
    }
