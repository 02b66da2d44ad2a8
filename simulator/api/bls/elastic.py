"""The Elasticsearch-compatible search: four operations, whose bodies are read by the engine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        with _elastic_errors():
            document = await read_body(request, _Document)
            found = await self.call_watched(
                request, handle, self.engine.elastic.search, index, document, handle
            )
        return _plain(found)

    async def field_caps(self, request: web.Request) -> web.Response:
        """FieldCaps."""
        index = _index(request)
        with _elastic_errors():
            document = await read_body(request, _Document)
            found = await self.call(self.engine.elastic.field_caps, index, document)
        return _plain(found)

    async def terms_enum(self, request: web.Request) -> web.Response:
        """TermsEnum."""
        index = _index(request)
        handle = QueryHandle()
        with _elastic_errors():
            document = await read_body(request, _Document)
            found = await self.call_watched(
                request, handle, self.engine.elastic.terms_enum, index, document, handle
            )
        return _plain(found)

    async def resolve(self, request: web.Request) -> web.Response:
        """ResolveIndex."""
        return _plain(self.engine.elastic.resolve(request.match_info["pattern"]))


@contextmanager
def _elastic_errors() -> Iterator[None]:
    """Errors that Elasticsearch's clients can read as well as the vendor's.

    Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for ``error`` and ``status``;
    that the type is our code, and that the vendor's usual members stand beside them, which its
    SDKs need to make an error of any answer, is assumed.
    """
    try:
        yield
    except ControlError as error:
        cause = {"type": error.code, "reason": error.message}
        details = {"error": {"root_cause": [cause], **cause}, "status": error.status}
        raise ControlError(error.code, error.status, error.message, details) from error


def _index(request: web.Request) -> str:
    index = request.match_info["index"]
    if index == _RESERVED:
        raise ControlError("InvalidURI", 404, f"Could not parse the URI {request.path}")
    return index


def _plain(body: Mapping[str, object]) -> web.Response:
    """An answer without the members that other calls of BLS have beside their own (assumed)."""
    return web.Response(body=msgspec.json.encode(body), content_type=JSON_TYPE, charset="utf-8")
