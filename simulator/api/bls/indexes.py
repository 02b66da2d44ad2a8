"""The index of a LogStore: its wire form, and the four operations on it."""

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import json_response, parse_address, read_body
from simulator.errors import invalid
from simulator.logstore import DEFAULT_SEPARATORS, IndexField, IndexSettings, IndexType


class IndexFieldBody(msgspec.Struct, rename="camel"):
    """The index of one field, as sent."""

    type: str | None = None
    case_sensitive: bool | None = None
    include_chinese: bool | None = None
    separators: str | None = None
    dynamic_mapping: bool | None = None
    fields: "dict[str, IndexFieldBody] | None" = None


class IndexBody(msgspec.Struct, rename="camel"):
    """Body of CreateIndex and UpdateIndex, and ``index`` of a LogStore."""

    fulltext: bool | None = None
    case_sensitive: bool | None = None
    include_chinese: bool | None = None
    separators: str | None = None
    fields: dict[str, IndexFieldBody] | None = None

    @property
    def is_off(self) -> bool:
        """Whether nothing is indexed, which a LogStore without an index is described as."""
        return not self.fulltext and not self.fields


class Indexes(Service):
    """Handlers of the operations on an index."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateIndex."""
        index = to_index(await read_body(request, IndexBody))
        address = parse_address(request)
        return await self.confirm(self.engine.indexes.create, *address, index)

    async def update(self, request: web.Request) -> web.Response:
        """UpdateIndex: replaces the whole definition."""
        index = to_index(await read_body(request, IndexBody))
        address = parse_address(request)
        return await self.confirm(self.engine.indexes.update, *address, index)

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeIndex."""
        return json_response(from_index(self.engine.indexes.describe(*parse_address(request))))

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteIndex."""
        return await self.confirm(self.engine.indexes.delete, *parse_address(request))


def to_index(body: IndexBody, place: str = "") -> IndexSettings:
    """The definition that a body holds; ``place`` is where, with a dot behind it.

    Raises:
        ControlError: InvalidParameter for a type that does not exist.
    """
    return IndexSettings(
        fulltext=bool(body.fulltext),
        case_sensitive=bool(body.case_sensitive),
        include_chinese=bool(body.include_chinese),
        separators=body.separators or DEFAULT_SEPARATORS,
        fields=_to_fields(body.fields or {}, f"{place}fields"),
    )


def from_index(index: IndexSettings) -> dict[str, object]:
    """An index as described."""
    return {
        "fulltext": index.fulltext,
        "caseSensitive": index.case_sensitive,
        "includeChinese": index.include_chinese,
        "separators": index.separators,
        "fields": {field.name: _from_field(field) for field in index.fields},
    }


def _to_fields(bodies: dict[str, IndexFieldBody], place: str) -> tuple[IndexField, ...]:
    return tuple(_to_field(name, body, f"{place}.{name}") for name, body in bodies.items())


def _to_field(name: str, body: IndexFieldBody, place: str) -> IndexField:
    try:
        type_ = IndexType(body.type or "")
    except ValueError as error:
        expected = f"expected one of {', '.join(IndexType)}"
        raise invalid(f"{place}.type", expected, body.type) from error
    return IndexField(
        name=name,
        type=type_,
        case_sensitive=bool(body.case_sensitive),
        include_chinese=bool(body.include_chinese),
        separators=body.separators or DEFAULT_SEPARATORS,
        dynamic_mapping=bool(body.dynamic_mapping),
        fields=_to_fields(body.fields or {}, f"{place}.fields"),
    )


def _from_field(field: IndexField) -> dict[str, object]:
    body: dict[str, object] = {
        "type": field.type,
        "caseSensitive": field.case_sensitive,
        "includeChinese": field.include_chinese,
        "separators": field.separators,
        "dynamicMapping": field.dynamic_mapping,
    }
    if field.fields:
        body["fields"] = {inner.name: _from_field(inner) for inner in field.fields}
    return body
