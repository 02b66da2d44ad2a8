"""Records: push, pull, query."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web

from simulator.api.bls.results import JsonRows, packed, respond, success
from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    PushBody,
    compact_json,
    from_histogram,
    from_query_result,
    json_response,
    parse_address,
    parse_log_store_type,
    parse_query,
    parse_selection,
    parse_sort,
    parse_whole,
    project_of,
    read_body,
)
from simulator.api.spooled import SpooledBody
from simulator.errors import ControlError, invalid
from simulator.logstore import (
    NewRecord,
    Page,
    Paging,
    QueryHandle,
    RecordType,
    Selection,
    is_search,
)

MAX_ROWS: Final = 1000
"""Of a pull or a search. Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""
DEFAULT_ROWS: Final = 100
MAX_PAGE_NO: Final = 1_000_000


class Records(Service):
    """Handlers of record operations."""

    async def push(self, request: web.Request) -> web.Response:
        """PushLogRecord: all records or none."""
        project, name = parse_address(request)
        body = await read_body(request, PushBody)
        try:
            record_type = RecordType(body.type or RecordType.TEXT)
        except ValueError as error:
            raise invalid("type", "expected TEXT or JSON", body.type) from error
        records = [
            NewRecord(
                message=record.message,
                timestamp_ms=record.timestamp or 0,
                sequence=record.sequence or 0,
            )
            for record in body.log_records or ()
        ]
        await self.call(
            self.engine.push,
            project,
            name,
            records,
            stream=body.log_stream_name or "",
            record_type=record_type,
            tags={tag.k: tag.v or "" for tag in body.tags or body.log_tags or ()},
        )
        with suppress(ControlError):  # it can have been deleted meanwhile
            self.remarks.pushed(self.engine.describe_log_store(project, name), records)
        return json_response({})

    async def read(self, request: web.Request) -> web.Response:
        """QueryLogRecord when there is a ``query`` parameter, else PullLogRecord."""
        parameters = parse_query(request)
        if "query" in parameters:
            return await self._query(request, parameters)
        return await self._pull(request, parameters)

    async def pull_v3(self, request: web.Request) -> web.Response:
        """PullLogRecord v3: a pull that filters and sorts. Source: assumed but for parameters."""
        parameters = parse_query(request)
        selection, paging = parse_selection(parameters), _paging(parameters)
        log_store_type = parse_log_store_type(parameters.get("logStoreType"))
        handle = QueryHandle()

        def work() -> bytes | SpooledBody:
            page = self.engine.pull_matching(
                project_of(parameters.get("project")),
                request.match_info["name"],
                selection,
                parameters.get("query") or "match *",
                paging,
                handle,
                log_store_type=log_store_type,
            )
            self._look_at(request, parameters, selection, len(page.records))
            return packed(_pulled(page, parameters))

        return respond(await self.query(request, handle, work))

    async def _pull(self, request: web.Request, parameters: Mapping[str, str]) -> web.Response:
        selection = parse_selection(parameters)
        limit = parse_whole(parameters, "limit", DEFAULT_ROWS, MAX_ROWS) or DEFAULT_ROWS
        log_store_type = parse_log_store_type(parameters.get("logStoreType"))
        handle = QueryHandle()

        def work() -> bytes | SpooledBody:
            page = self.engine.pull(
                project_of(parameters.get("project")),
                request.match_info["name"],
                selection,
                limit=limit,
                marker=parameters.get("marker") or None,
                handle=handle,
                log_store_type=log_store_type,
            )
            self._look_at(request, parameters, selection, len(page.records))
            return packed(_pulled(page, parameters))

        return respond(await self.pull(request, handle, work))

    async def _query(self, request: web.Request, parameters: Mapping[str, str]) -> web.Response:
        query = parameters["query"]
        # Sampling and paging are for searches; SQL statements ignore them.
        paging = _paging(parameters) if is_search(query) else Paging()
        selection = parse_selection(parameters)
        log_store_type = parse_log_store_type(parameters.get("logStoreType"))
        handle = QueryHandle()

        def work() -> bytes | SpooledBody:
            with JsonRows() as rows:
                result = self.engine.query(
                    project_of(parameters.get("project")),
                    request.match_info["name"],
                    selection,
                    query,
                    paging,
                    handle,
                    log_store_type=log_store_type,
                    sink=rows,
                )
                self._look_at(request, parameters, selection, result.scan_count)
                return rows.within(success(from_query_result(result, rows.place)))

        return respond(await self.query(request, handle, work))

    def _look_at(
        self,
        request: web.Request,
        parameters: Mapping[str, str],
        selection: Selection,
        read_count: int,
    ) -> None:
        """Remark on a read that found no record in its range, unless it goes on after others."""
        if not read_count and not parameters.get("marker"):
            project = project_of(parameters.get("project"))
            name = f"{project}/{request.match_info['name']}"
            self.remarks.nothing_read(name, selection.start_ms, selection.end_ms)

    async def histogram(self, request: web.Request) -> web.Response:
        """QueryLogHistogram. Source: doc the API schema; both spellings of the statistic are sent,
        since newer SDKs read one and the Java SDK the other."""
        parameters = parse_query(request)
        if not parameters.get("query"):
            raise invalid("query", "is required")
        handle = QueryHandle()
        found = await self.query(
            request,
            handle,
            self.engine.histogram,
            project_of(parameters.get("project")),
            request.match_info["name"],
            parse_selection(parameters),
            parameters["query"],
            handle,
            log_store_type=parse_log_store_type(parameters.get("logStoreType")),
        )
        return json_response(from_histogram(found))


def _paging(parameters: Mapping[str, str]) -> Paging:
    sort = parse_sort("sort", parameters.get("sort"))
    limit = parse_whole(parameters, "limit", DEFAULT_ROWS, MAX_ROWS)
    offset = 0
    # Either alone means nothing; both together replace the limit. A size of 0 is none, as in lists.
    if parameters.get("pageNo") and (size := parse_whole(parameters, "pageSize", 0, MAX_ROWS)):
        limit = size
        offset = (max(1, parse_whole(parameters, "pageNo", 1, MAX_PAGE_NO)) - 1) * limit
    percentage, seed = _sampling(parameters)
    return Paging(
        limit=limit,
        offset=offset,
        sort=sort,
        marker=parameters.get("marker") or None,
        sample_percentage=percentage,
        sample_seed=seed,
    )


def _sampling(parameters: Mapping[str, str]) -> tuple[float, int | None]:
    """The share of hits to look at, and the seed if one was sent."""
    try:
        percentage = float(parameters.get("samplePercentage") or 100)
    except ValueError:
        percentage = math.nan
    if not 1 <= percentage <= 100:
        sent = parameters["samplePercentage"]
        raise invalid("samplePercentage", "expected a number from 1 to 100", sent)
    if not parameters.get("sampleSeed"):
        return percentage, None
    try:
        seed = int(parameters["sampleSeed"])
    except ValueError:
        seed = 2**63
    if not -(2**63) <= seed < 2**63:
        sent = parameters["sampleSeed"]
        raise invalid("sampleSeed", "expected a whole number of 64 bits", sent)
    return percentage, seed


def _pulled(page: Page, parameters: Mapping[str, str]) -> dict[str, object]:
    return {
        "result": [
            {
                "message": compact_json(record.message)
                if record.type is RecordType.JSON
                else record.message,
                "timestamp": record.timestamp_ms,
                "sequence": record.sequence,
            }
            for record in page.records
        ],
        "isTruncated": bool(page.next_marker),
        "marker": parameters.get("marker", ""),
        "nextMarker": page.next_marker,
    }
