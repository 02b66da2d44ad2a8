"""Templates of LogStores: their wire form, and the operations on them."""

from typing import Final

import msgspec
from aiohttp import web

from simulator.api.bls.indexes import IndexBody, from_index, to_index
from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    date_time,
    json_response,
    list_page,
    read_body,
)
from simulator.errors import invalid
from simulator.logstore import Template, TemplateContent, TemplateSettings

MAX_PAGE: Final = 100


class SettingsBody(msgspec.Struct, rename="camel"):
    """``template``. Zeros stand for what was not given."""

    retention: int | None = None
    shard_count: int | None = None
    max_shard_count: int | None = None
    disable_shard_auto_split: bool | None = None
    enable_hot_retention: bool | None = None
    hot_retention: int | None = None
    index: IndexBody | None = None


class TemplateBody(msgspec.Struct, rename="camel"):
    """Body of the operations on one template, or on several."""

    name: str | None = None
    names: list[str] | None = None
    project_patterns: list[str] | None = None
    logstore_patterns: list[str] | None = None
    priority: int | None = None
    template: SettingsBody | None = None


class Templates(Service):
    """Handlers of the operations on templates."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateLogStoreTemplate."""
        body = await read_body(request, TemplateBody)
        content = TemplateContent(
            project_patterns=tuple(body.project_patterns or ()),
            log_store_patterns=tuple(body.logstore_patterns or ()),
            priority=body.priority or 0,
            settings=_settings(body.template or SettingsBody()),
        )
        return await self.confirm(self.engine.templates.create, _name(body), content)

    async def update(self, request: web.Request) -> web.Response:
        """UpdateLogStoreTemplate: what is absent stays; ``template`` is replaced as a whole."""
        body = await read_body(request, TemplateBody)

        def change(before: TemplateContent) -> TemplateContent:
            return TemplateContent(
                project_patterns=tuple(body.project_patterns or before.project_patterns),
                log_store_patterns=tuple(body.logstore_patterns or before.log_store_patterns),
                priority=before.priority if body.priority is None else body.priority,
                settings=before.settings if body.template is None else _settings(body.template),
            )

        return await self.confirm(self.engine.templates.update, _name(body), change)

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeLogStoreTemplate: a flat object.

        Source: doc https://cloud.baidu.com/doc/BLS/s/nmhybgpbt-en (2025-11).
        """
        body = await read_body(request, TemplateBody)
        found = self.engine.templates.describe(_name(body))
        return json_response({"message": "", **_from_template(found)})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteLogStoreTemplates."""
        body = await read_body(request, TemplateBody)
        if not body.names:
            raise invalid("names", "is required")
        return await self.confirm(self.engine.templates.delete, body.names)

    async def list_all(self, request: web.Request) -> web.Response:
        """DescribeLogStoreTemplates: ``name`` is a part of one, and items are whole (assumed)."""
        asked = await read_body(request, ListBody)
        page, wrapper = list_page(
            [one for one in self.engine.templates.list_all() if (asked.name or "") in one.name],
            {
                "priority": lambda one: one.content.priority,
                "createdTime": lambda one: one.created_at,
                "updatedTime": lambda one: one.updated_at,
                "name": lambda one: one.name,
            },
            asked,
            most=MAX_PAGE,
        )
        templates = [_from_template(one) for one in page]
        return json_response({"message": "", **wrapper, "templates": templates})


def _name(body: TemplateBody) -> str:
    if not body.name:
        raise invalid("name", "is required")
    return body.name


def _settings(body: SettingsBody) -> TemplateSettings:
    index = body.index
    return TemplateSettings(
        retention_days=body.retention or None,
        shard_count=body.shard_count or None,
        max_shard_count=body.max_shard_count or None,
        disable_shard_auto_split=body.disable_shard_auto_split,
        enable_hot_retention=body.enable_hot_retention,
        hot_retention_days=body.hot_retention or None,
        index=None if index is None or index.is_off else to_index(index, "template.index."),
    )


def _from_template(one: Template) -> dict[str, object]:
    settings = one.content.settings
    said: dict[str, object] = {
        "retention": settings.retention_days,
        "shardCount": settings.shard_count,
        "maxShardCount": settings.max_shard_count,
        "disableShardAutoSplit": settings.disable_shard_auto_split,
        "enableHotRetention": settings.enable_hot_retention,
        "hotRetention": settings.hot_retention_days,
        "index": None if settings.index is None else from_index(settings.index),
    }
    return {
        "name": one.name,
        "projectPatterns": one.content.project_patterns,
        "logstorePatterns": one.content.log_store_patterns,
        "priority": one.content.priority,
        "template": {key: value for key, value in said.items() if value is not None},
        "createdTimestamp": date_time(one.created_at),
        "updatedTimestamp": date_time(one.updated_at),
    }
