"""Fast queries: their wire form, and the operations on them."""

from dataclasses import replace

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    date_time,
    json_response,
    list_page,
    list_query,
    parse_log_store_type,
    parse_query,
    project_of,
    read_body,
)
from simulator.errors import invalid
from simulator.logstore import FastQuery, FastQueryContent


class FastQueryBody(msgspec.Struct, rename="camel"):
    """Body of CreateFastQuery and UpdateFastQuery."""

    fast_query_name: str | None = None
    query: str | None = None
    description: str | None = None
    project: str | None = None
    log_store_name: str | None = None
    log_stream_name: str | None = None
    log_store_type: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None


class FastQueries(Service):
    """Handlers of the operations on fast queries."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateFastQuery."""
        body = await read_body(request, FastQueryBody)
        if not body.fast_query_name:
            raise invalid("fastQueryName", "is required")
        if not body.log_store_name:
            raise invalid("logStoreName", "is required")
        content = FastQueryContent(
            query=body.query or "",
            project=project_of(body.project),
            log_store=body.log_store_name,
            description=body.description or "",
            stream=body.log_stream_name or "",
            start=body.start_date_time or "",
            end=body.end_date_time or "",
            log_store_type=parse_log_store_type(body.log_store_type),
        )
        return await self.confirm(self.engine.fast_queries.create, body.fast_query_name, content)

    async def update(self, request: web.Request) -> web.Response:
        """UpdateFastQuery: the name is in the path and stays.

        Source: assumed, like an update of a shipper: an empty text leaves what was there.
        """
        body = await read_body(request, FastQueryBody)
        type_ = parse_log_store_type(body.log_store_type)
        name = request.match_info["fastQueryName"]

        def change(before: FastQueryContent) -> FastQueryContent:
            return replace(
                before,
                query=body.query or before.query,
                description=body.description or before.description,
                project=body.project or before.project,
                log_store=body.log_store_name or before.log_store,
                stream=body.log_stream_name or before.stream,
                start=body.start_date_time or before.start,
                end=body.end_date_time or before.end,
                log_store_type=type_ if body.log_store_type else before.log_store_type,
            )

        return await self.confirm(self.engine.fast_queries.update, name, change)

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeFastQuery: a flat object."""
        found = self.engine.fast_queries.describe(request.match_info["fastQueryName"])
        return json_response(_from_fast_query(found))

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteFastQuery."""
        name = request.match_info["fastQueryName"]
        return await self.confirm(self.engine.fast_queries.delete, name)

    async def list_all(self, request: web.Request) -> web.Response:
        """ListFastQuery: without a project those of all, with a LogStore only its own."""
        parameters = parse_query(request)
        asked = list_query(parameters)
        store = parameters.get("logStoreName", "")
        type_ = parameters.get("logStoreType", "")
        page, wrapper = list_page(
            [
                one
                for one in self.engine.fast_queries.list_all()
                if (asked.project or "") in {"", one.content.project}
                and store in {"", one.content.log_store}
                and type_ in {"", one.content.log_store_type}
                and (asked.name_pattern or "") in one.name
            ],
            {
                "creationDateTime": lambda one: one.created_at,
                "lastModifiedTime": lambda one: one.updated_at,
                "name": lambda one: one.name,
            },
            asked,
        )
        return json_response({**wrapper, "result": [_from_fast_query(one) for one in page]})


def _from_fast_query(one: FastQuery) -> dict[str, object]:
    content = one.content
    return {
        "creationDateTime": date_time(one.created_at),
        "lastModifiedTime": date_time(one.updated_at),
        "fastQueryName": one.name,
        "query": content.query,
        "description": content.description,
        "project": content.project,
        "logStoreName": content.log_store,
        "logStreamName": content.stream,
        "logStoreType": content.log_store_type,
        "startDateTime": content.start,
        "endDateTime": content.end,
    }
