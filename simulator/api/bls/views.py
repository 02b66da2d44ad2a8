"""Views of LogStores: their wire form, and the operations on them."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    date_time,
    json_response,
    list_page,
    project_of,
    read_body,
)
from simulator.api.bls.workers import Workers
from simulator.clock import Clock
from simulator.errors import invalid
from simulator.logstore import LogStoreEngine, View, ViewColumn, ViewStore


class ColumnBody(msgspec.Struct, rename="camel"):
    """An entry of ``extends``."""

    column: str | None = None
    alias: str | None = None


class StoreBody(msgspec.Struct, rename="camel"):
    """An entry of ``logstores``; the vendor's class for it has the name in two spellings."""

    region: str | None = None
    project: str | None = None
    name: str | None = None
    log_store_name: str | None = None
    extends: list[ColumnBody] | None = None


class ViewBody(msgspec.Struct, rename="camel"):
    """Body of the operations on one view."""

    project: str | None = None
    name: str | None = None
    logstores: list[StoreBody] | None = None


class Views(Service):
    """Handlers of the operations on views.

    Args:
        engine: holds them.
        clock: does not jump while a call is at work.
        on_change: told each time that something has changed.
        workers: the threads that the engine works in.
        region: the one that LogStores are in.
    """

    def __init__(
        self,
        engine: LogStoreEngine,
        clock: Clock,
        on_change: Callable[[], None],
        workers: Workers,
        region: str,
    ) -> None:
        super().__init__(engine, clock, on_change, workers)
        self._region = region

    async def create(self, request: web.Request) -> web.Response:
        """CreateLogStoreView."""
        body = await read_body(request, ViewBody)
        project, name = _address(body)
        return await self.confirm(self.engine.views.create, project, name, self._stores(body))

    async def update(self, request: web.Request) -> web.Response:
        """UpdateLogStoreView: the LogStores are replaced as a whole (assumed); the name stays."""
        body = await read_body(request, ViewBody)
        project, name = _address(body)
        return await self.confirm(self.engine.views.update, project, name, self._stores(body))

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteLogStoreView."""
        body = await read_body(request, ViewBody)
        return await self.confirm(self.engine.views.delete, *_address(body))

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeLogStoreView: a flat object. Source: doc the vendor's generated SDK (0.0.9)."""
        found = self.engine.views.describe(*_address(await read_body(request, ViewBody)))
        return json_response(self._from_view(found))

    async def list_all(self, request: web.Request) -> web.Response:
        """DescribeLogStoreViews: ``name`` is a part of one; without a project those of all.

        Source: doc the vendor's generated SDK (0.0.9); that ``project`` is a whole name is assumed.
        """
        asked = await read_body(request, ListBody)
        page, wrapper = list_page(
            [
                view
                for view in self.engine.views.list_all()
                if (asked.project or "") in {"", view.project} and (asked.name or "") in view.name
            ],
            {
                "createdTimestamp": lambda view: view.created_at,
                "updatedTimestamp": lambda view: view.updated_at,
            },
            asked,
        )
        return json_response({**wrapper, "views": [self._from_view(view) for view in page]})

    def _stores(self, body: ViewBody) -> list[ViewStore]:
        if not body.logstores:
            raise invalid("logstores", "is required")
        return [self._store(one, number) for number, one in enumerate(body.logstores)]

    def _store(self, one: StoreBody, number: int) -> ViewStore:
        place = f"logstores[{number}]"
        if one.region and one.region != self._region:
            expected = f"expected {self._region}, the view's own"
            raise invalid(f"{place}.region", expected, one.region)
        name = one.name or one.log_store_name
        if not name:
            raise invalid(f"{place}.name", "is required")
        columns = tuple(
            ViewColumn(column=column.column or "", alias=column.alias or "")
            for column in one.extends or ()
        )
        return ViewStore(project=project_of(one.project), name=name, columns=columns)

    def _from_view(self, view: View) -> dict[str, object]:
        return {
            "project": view.project,
            "name": view.name,
            "logstores": [
                {
                    "region": self._region,
                    "project": store.project,
                    "name": store.name,
                    "extends": [
                        {"column": one.column, "alias": one.alias} for one in store.columns
                    ],
                }
                for store in view.stores
            ],
            "createdTimestamp": date_time(view.created_at),
            "updatedTimestamp": date_time(view.updated_at),
        }


def _address(body: ViewBody) -> tuple[str, str]:
    if not body.name:
        raise invalid("name", "is required")
    return project_of(body.project), body.name
