"""LogStores and their streams: their wire form and what manages them."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from aiohttp import web

from simulator.api.bls.indexes import IndexBody, from_index, to_index
from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    NamedStore,
    date_time,
    json_response,
    list_page,
    list_query,
    parse_address,
    parse_query,
    project_of,
    read_body,
)
from simulator.errors import ControlError, invalid
from simulator.logstore import Binding, IndexSettings, LogStore, LogStoreSettings

MAX_BATCH = 100


class Tag(msgspec.Struct, rename="camel"):
    """A tag of a LogStore."""

    tag_key: str | None = None
    tag_value: str | None = None


class LogStoreBody(msgspec.Struct, rename="camel"):
    """Body of CreateLogStore and UpdateLogStore."""

    project: str | None = None
    log_store_name: str | None = None
    retention: int | None = None
    tags: list[Tag] | None = None
    enable_hot_retention: bool | None = None
    capital_enable_hot_retention: bool | None = msgspec.field(
        default=None, name="EnableHotRetention"
    )
    hot_retention: int | None = None
    shard_count: int | None = None
    max_shard_count: int | None = None
    disable_shard_auto_split: bool | None = None
    index: IndexBody | None = None
    index_enabled: bool | None = None


class BatchBody(msgspec.Struct):
    """Body of BatchGetLogStore; Go spells the key one way, the schema the other."""

    log_stores: list[NamedStore] | None = msgspec.field(default=None, name="logStores")
    capital_log_stores: list[NamedStore] | None = msgspec.field(default=None, name="LogStores")


class BindingBody(msgspec.Struct, rename="camel"):
    """Body of BindResource and UnBindResource."""

    project: str | None = None
    user_id: str | None = msgspec.field(default=None, name="userID")
    log_store_name: str | None = None
    id: str | None = None
    scope: str | None = None
    sub_scope: str | None = None


class LogStores(Service):
    """Handlers of operations on LogStores."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateLogStore: templates say what the body does not."""
        body = await read_body(request, LogStoreBody)
        if not body.log_store_name:
            raise invalid("logStoreName", "is required")
        project, name = project_of(body.project), body.log_store_name
        settings = _settings(body, self.engine.log_store_defaults(project, name))
        return await self.confirm(self.engine.create_log_store, project, name, settings)

    async def update(self, request: web.Request) -> web.Response:
        """UpdateLogStore: names come from path and query, those in the body are ignored."""
        project, name = parse_address(request)
        body = await read_body(request, LogStoreBody)
        if not body.retention:
            raise invalid("retention", "is required")
        return await self.confirm(
            self.engine.update_log_store,
            project,
            name,
            lambda before: _settings(body, before),
        )

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeLogStore: a flat object."""
        store = self.engine.describe_log_store(*parse_address(request))
        index = store.settings.index or IndexSettings()
        return json_response({**_from_log_store(store), "index": from_index(index)})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteLogStore."""
        return await self.confirm(self.engine.delete_log_store, *parse_address(request))

    async def list_all(self, request: web.Request) -> web.Response:
        """ListLogStore, the old form: parameters in the query."""
        parameters = parse_query(request)
        return self._list_log_stores(list_query(parameters), parameters.get("billingShortId", ""))

    async def list_all_post(self, request: web.Request) -> web.Response:
        """ListLogStore, the new form and its v2 twin: parameters in the body."""
        return self._list_log_stores(await read_body(request, ListBody))

    async def get_batch(self, request: web.Request) -> web.Response:
        """BatchGetLogStore: stores that do not exist are left out (assumed)."""
        body = await read_body(request, BatchBody)
        asked = body.log_stores or body.capital_log_stores or []
        if len(asked) > MAX_BATCH:
            raise invalid("logStores", f"expected at most {MAX_BATCH}, not {len(asked)}")
        found: list[LogStore] = []
        for one in asked:
            try:
                found.append(
                    self.engine.describe_log_store(
                        project_of(one.project), one.log_store_name or ""
                    )
                )
            except ControlError:
                continue
        return json_response({"result": [_in_list(store) for store in found]})

    async def list_streams(self, request: web.Request) -> web.Response:
        """ListLogStream."""
        parameters = parse_query(request)
        streams = self.engine.list_streams(*parse_address(request))
        asked = list_query(parameters)
        page, wrapper = list_page(
            [stream for stream in streams if (asked.name_pattern or "") in stream.name],
            {
                "creationDateTime": lambda stream: stream.created_at,
                "logStreamName": lambda stream: stream.name,
            },
            asked,
        )
        items = [
            {"creationDateTime": date_time(stream.created_at), "logStreamName": stream.name}
            for stream in page
        ]
        return json_response({**wrapper, "result": items})

    async def bind(self, request: web.Request) -> web.Response:
        """BindResource."""
        binding = _binding(await read_body(request, BindingBody))
        return await self.confirm(self.engine.bindings.bind, binding)

    async def unbind(self, request: web.Request) -> web.Response:
        """UnBindResource."""
        binding = _binding(await read_body(request, BindingBody))
        return await self.confirm(self.engine.bindings.unbind, binding)

    def _list_log_stores(self, asked: ListBody, short_id: str = "") -> web.Response:
        wanted = [str(entry.get("scope") or "") for entry in asked.binding_resources or ()]
        stores = self.engine.list_log_stores(asked.project or None)
        found = [
            store
            for store in stores
            if (asked.name_pattern or "") in store.name
            and short_id in {"", store.short_id}
            and self._is_bound(store, wanted)
        ]
        page, wrapper = list_page(
            found,
            {
                "creationDateTime": lambda store: store.created_at,
                "lastModifiedTime": lambda store: store.updated_at,
                "name": lambda store: store.name,
            },
            asked,
        )
        return json_response({**wrapper, "result": [_in_list(s) for s in page]})

    def _is_bound(self, store: LogStore, wanted: Sequence[str]) -> bool:
        """Whether a LogStore is bound to one of the scopes asked for, if any is.

        Source: inferred from SDK tests: a part of a scope finds it, and the empty scope any.
        """
        scopes = self.engine.bindings.scopes(store.project, store.name) or ("",)
        return not wanted or any(part in scope for part in wanted for scope in scopes)


def _settings(body: LogStoreBody, before: LogStoreSettings) -> LogStoreSettings:
    """The settings a create or update asks for.

    Absent values, and numbers that are 0, leave what was there before.
    """
    retention = body.retention or before.retention_days
    if not retention:
        raise invalid("retention", "is required")
    spellings = {body.enable_hot_retention, body.capital_enable_hot_retention} - {None}
    hot = True in spellings if spellings else before.enable_hot_retention
    split, enabled = body.disable_shard_auto_split, body.index_enabled
    tags = body.tags
    index = body.index
    return replace(
        before,
        retention_days=retention,
        tags=before.tags
        if tags is None
        else tuple((t.tag_key or "", t.tag_value or "") for t in tags),
        enable_hot_retention=hot,
        hot_retention_days=(body.hot_retention or before.hot_retention_days) if hot else 0,
        shard_count=body.shard_count or before.shard_count,
        max_shard_count=body.max_shard_count or before.max_shard_count,
        disable_shard_auto_split=before.disable_shard_auto_split if split is None else split,
        index=before.index if index is None or index.is_off else to_index(index, "index."),
        index_enabled=before.index_enabled if enabled is None else enabled,
    )


def _binding(body: BindingBody) -> Binding:
    if not body.log_store_name:
        raise invalid("logStoreName", "is required")
    return Binding(
        project=project_of(body.project),
        log_store=body.log_store_name,
        scope=body.scope or "",
        sub_scope=body.sub_scope or "",
        id=body.id or "",
        user_id=body.user_id or "",
    )


def _from_log_store(store: LogStore) -> dict[str, object]:
    """A LogStore as described."""
    settings = store.settings
    body: dict[str, object] = {
        "creationDateTime": date_time(store.created_at),
        "lastModifiedTime": date_time(store.updated_at),
        "project": store.project,
        "logStoreName": store.name,
        "retention": settings.retention_days,
        "enableHotRetention": settings.enable_hot_retention,
        "hotRetention": settings.hot_retention_days,
        "shardCount": settings.shard_count,
        "maxShardCount": settings.max_shard_count,
        "disableShardAutoSplit": settings.disable_shard_auto_split,
        "indexEnabled": store.active_index is not None,
        "shortID": store.short_id,
    }
    if settings.tags:
        body["tags"] = [{"tagKey": key, "tagValue": value} for key, value in settings.tags]
    return body


def _in_list(store: LogStore) -> dict[str, object]:
    """A LogStore as an item of a list."""
    return {
        **_from_log_store(store),
        "enableArchiveRetention": False,
        "lowFrequencyRetention": 0,
        "resourceID": store.resource_id,
    }
