"""The Elasticsearch-compatible search: four operations, whose bodies are read by the engine."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import read_body
from simulator.api.errors import JSON_TYPE
from simulator.errors import ControlError
from simulator.logstore import QueryHandle

_RESERVED: Final = "_sim"
"""Paths below it are the simulator's own, and nobody signs them."""

_Document = dict[str, Any]  # Any: the engine reads it, and says where something is wrong


class Elastic(Service):
    """Handlers of the Elasticsearch-compatible search."""

    async def search(self, request: web.Request) -> web.Response:
        """AsyncSearch; in spite of its name the answer is there at once."""
        index = _index(request)
        handle = QueryHandle()
        document = await read_body(request, _Document)
        found = await self.call_watched(
            request, handle, self.engine.elastic.search, index, document, handle
        )
        return _plain(found)

    async def field_caps(self, request: web.Request) -> web.Response:
        """FieldCaps."""
        index = _index(request)
        document = await read_body(request, _Document)
        return _plain(await self.call(self.engine.elastic.field_caps, index, document))

    async def terms_enum(self, request: web.Request) -> web.Response:
        """TermsEnum."""
        index = _index(request)
        handle = QueryHandle()
        document = await read_body(request, _Document)
        found = await self.call_watched(
            request, handle, self.engine.elastic.terms_enum, index, document, handle
        )
        return _plain(found)

    async def resolve(self, request: web.Request) -> web.Response:
        """ResolveIndex."""
        return _plain(self.engine.elastic.resolve(request.match_info["pattern"]))


def _index(request: web.Request) -> str:
    index = request.match_info["index"]
    if index == _RESERVED:
        raise ControlError("InvalidURI", 404, f"Could not parse the URI {request.path}")
    return index


def _plain(body: Mapping[str, object]) -> web.Response:
    """An answer without the members that other calls of BLS have beside their own (assumed)."""
    return web.Response(body=msgspec.json.encode(body), content_type=JSON_TYPE, charset="utf-8")
