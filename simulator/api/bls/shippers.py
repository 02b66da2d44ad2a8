"""Log shippers: their wire form, and the operations on them."""

from dataclasses import replace
from typing import Final

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    date_time,
    json_response,
    list_page,
    list_query,
    parse_instant,
    parse_query,
    parse_whole,
    project_of,
    read_body,
)
from simulator.errors import ControlError, invalid
from simulator.logstore import Shipper, ShipperSettings

MIN_PAGE: Final = 10
MAX_PAGE: Final = 100
"""Source: doc of the API's schema (``pageSize`` of ListLogShipper)."""
MAX_SINCE_HOURS: Final = 4320


class DestinationBody(msgspec.Struct, rename="camel"):
    """``destConfig``. Empty texts and zeros stand for what was not given."""

    bos_path: str | None = msgspec.field(default=None, name="BOSPath")
    partition_format: str | None = msgspec.field(default=None, name="partitionFormatTS")
    partition_format_log_stream: bool | None = None
    max_object_size: int | None = None
    compress_type: str | None = None
    deliver_interval: int | None = None
    storage_format: str | None = None
    shipper_type: str | None = None
    fields_name: list[str] | None = None
    fields_type: list[str] | None = None
    csv_headline: bool | None = None
    csv_delimiter: str | None = None
    csv_quote: str | None = None
    null_identifier: str | None = None
    selected_column_name: str | None = None
    selected_column_type: str | None = None


class ShipperBody(msgspec.Struct, rename="camel"):
    """Body of CreateLogShipper and UpdateLogShipper."""

    log_shipper_name: str | None = None
    project: str | None = None
    log_store_name: str | None = None
    start_time: str | None = None
    dest_type: str | None = None
    dest_config: DestinationBody | None = None


class StatusBody(msgspec.Struct, rename="camel"):
    """Body of the calls that set a status or delete; the Go SDK spells the first key two ways."""

    desired_status: str | None = None
    status: str | None = None
    ids: list[str] | None = msgspec.field(default=None, name="logShipperIDs")


class Shippers(Service):
    """Handlers of the operations on log shippers."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateLogShipper."""
        body = await read_body(request, ShipperBody)
        if body.dest_type == "KAFKA":
            raise ControlError("NotImplemented", 501, "Log shippers to Kafka are not simulated")
        if body.dest_type not in {None, "", "BOS"}:
            raise invalid("destType", "expected BOS or KAFKA", body.dest_type)
        config = body.dest_config
        if config is None or not config.bos_path:
            raise invalid("destConfig.BOSPath", "is required")
        settings = _changed(ShipperSettings(path=config.bos_path), config)
        if not body.log_store_name:
            raise invalid("logStoreName", "is required")
        start = body.start_time or date_time(self.clock.time())
        id_ = await self.change(
            lambda: self.engine.shippers.create(
                name=body.log_shipper_name or "",
                project=project_of(body.project),
                log_store=body.log_store_name or "",
                start=start,
                start_ms=parse_instant("startTime", start),
                settings=settings,
            ),
        )
        return json_response({"logShipperID": id_})

    async def update(self, request: web.Request) -> web.Response:
        """UpdateLogShipper: name and settings; store, start and kind of destination stay.

        Source: inferred from SDK tests: empty texts and zeros leave what was there.
        """
        body = await read_body(request, ShipperBody)
        config = body.dest_config or DestinationBody()
        return await self.confirm(
            self.engine.shippers.update,
            request.match_info["id"],
            body.log_shipper_name or "",
            lambda before: _changed(before, config),
        )

    async def describe(self, request: web.Request) -> web.Response:
        """GetLogShipper: a flat object."""
        found = self.engine.shippers.describe(request.match_info["id"])
        return json_response(
            {
                "status": found.status,
                "errMessage": found.error,
                "logShipperName": found.name,
                "project": found.project,
                "logStoreName": found.log_store,
                "startTime": found.start,
                "destType": "BOS",
                "destConfig": _from_settings(found.settings),
            }
        )

    async def list_all(self, request: web.Request) -> web.Response:
        """ListLogShipper."""
        parameters = parse_query(request)
        asked = list_query(parameters)
        if asked.page_size and asked.page_size < MIN_PAGE:
            raise invalid("pageSize", f"expected {MIN_PAGE} to {MAX_PAGE}", asked.page_size)
        part = {
            name: parameters.get(name, "")
            for name in ("logShipperID", "logShipperName", "logStoreName", "status", "destType")
        }
        found = [
            one
            for one in self.engine.shippers.list_all()
            if (asked.project or "") in {"", one.project}
            and part["logShipperID"] in one.id
            and part["logShipperName"] in one.name
            and part["logStoreName"] in one.log_store
            and part["status"] in {"", one.status}
            and part["destType"] in {"", "BOS"}
        ]
        keys = {
            "createDateTime": lambda one: one.created_at,
            "creationDateTime": lambda one: one.created_at,
        }
        page, wrapper = list_page(found, keys, asked, most=MAX_PAGE)
        return json_response({**wrapper, "result": [_in_list(one) for one in page]})

    async def set_status(self, request: web.Request) -> web.Response:
        """SetSingleLogShipperStatus."""
        body = await read_body(request, StatusBody)
        return await self._set((request.match_info["id"],), body, strict=True)

    async def set_statuses(self, request: web.Request) -> web.Response:
        """BulkSetLogShipperStatus: unknown ids are passed over (assumed)."""
        body = await read_body(request, StatusBody)
        return await self._set(_ids(body), body, strict=False)

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteSingleLogShipper."""
        ids = (request.match_info["id"],)
        return await self.confirm(self.engine.shippers.delete, ids, strict=True)

    async def delete_all(self, request: web.Request) -> web.Response:
        """BulkDeleteLogShipper: a DELETE with a body; unknown ids are passed over (assumed)."""
        ids = _ids(await read_body(request, StatusBody))
        return await self.confirm(self.engine.shippers.delete, ids, strict=False)

    async def list_records(self, request: web.Request) -> web.Response:
        """ListLogShipperRecord: the newest first (assumed)."""
        parameters = parse_query(request)
        hours = parse_whole(parameters, "sinceHours", 1, MAX_SINCE_HOURS) or 1
        asked = ListBody(
            page_no=parse_whole(parameters, "pageNo", 1, 1_000_000),
            page_size=parse_whole(parameters, "pageSize", 10, MAX_PAGE),
        )
        runs = await self.call(
            self.engine.shippers.runs,
            request.match_info["id"],
            self.clock.time() - hours * 3600,
        )
        page, wrapper = list_page(runs, {"startTime": lambda run: run.started_at}, asked)
        items = [
            {
                "startTime": date_time(run.started_at),
                "endTime": date_time(run.ended_at),
                "finishedCount": run.record_count,
            }
            for run in page
        ]
        return json_response({"totalCount": wrapper["totalCount"], "result": items})

    async def _set(self, ids: tuple[str, ...], body: StatusBody, *, strict: bool) -> web.Response:
        status = body.desired_status or body.status or ""
        return await self.confirm(self.engine.shippers.set_status, ids, status, strict=strict)


def _ids(body: StatusBody) -> tuple[str, ...]:
    if not body.ids:
        raise invalid("logShipperIDs", "is required")
    return tuple(body.ids)


def _changed(before: ShipperSettings, body: DestinationBody) -> ShipperSettings:
    """What a body makes of settings: empty texts and zeros change nothing, booleans do."""
    by_stream, headline = body.partition_format_log_stream, body.csv_headline
    return replace(
        before,
        path=body.bos_path or before.path,
        partition_format=body.partition_format or before.partition_format,
        partition_by_stream=before.partition_by_stream if by_stream is None else by_stream,
        max_object_mb=body.max_object_size or before.max_object_mb,
        compression=body.compress_type or before.compression,
        interval_min=body.deliver_interval or before.interval_min,
        storage_format=body.storage_format or before.storage_format,
        kind=body.shipper_type or before.kind,
        field_names=tuple(body.fields_name or before.field_names),
        field_types=tuple(body.fields_type or before.field_types),
        csv_headline=before.csv_headline if headline is None else headline,
        csv_delimiter=body.csv_delimiter or before.csv_delimiter,
        csv_quote=body.csv_quote or before.csv_quote,
        null_text=body.null_identifier or before.null_text,
        column_names=body.selected_column_name or before.column_names,
        column_types=body.selected_column_type or before.column_types,
    )


def _from_settings(settings: ShipperSettings) -> dict[str, object]:
    return {
        "BOSPath": settings.path,
        "partitionFormatTS": settings.partition_format,
        "partitionFormatLogStream": settings.partition_by_stream,
        "maxObjectSize": settings.max_object_mb,
        "compressType": settings.compression,
        "deliverInterval": settings.interval_min,
        "storageFormat": settings.storage_format,
        "shipperType": settings.kind,
        "fieldsName": settings.field_names,
        "fieldsType": settings.field_types,
        "csvHeadline": settings.csv_headline,
        "csvDelimiter": settings.csv_delimiter,
        "csvQuote": settings.csv_quote,
        "nullIdentifier": settings.null_text,
        "selectedColumnName": settings.column_names,
        "selectedColumnType": settings.column_types,
    }


def _in_list(one: Shipper) -> dict[str, object]:
    return {
        "logShipperID": one.id,
        "logShipperName": one.name,
        "project": one.project,
        "logStoreName": one.log_store,
        "destType": "BOS",
        "status": one.status,
        "errMessage": one.error,
        "createDateTime": date_time(one.created_at),
    }
