"""The Elasticsearch-compatible search: four operations, whose bodies are read by the engine."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from simulator.api.bls.elastic_parameters import (
    Parameters,
    capability_parameters,
    capability_request,
    resolve_parameters,
    search_parameters,
    terms_parameters,
    with_parameters,
)
from simulator.api.bls.filter_path import filter_answer
from simulator.api.bls.results import respond
from simulator.api.bls.service import Service
from simulator.api.bls.wire import read_body
from simulator.api.spooled import spooled
from simulator.errors import ControlError
from simulator.logstore import QueryHandle

_RESERVED: Final = "_sim"
"""Paths below it are the simulator's own, and nobody signs them."""
_COMPATIBLE: Final = re.compile(
    r"application/vnd\.elasticsearch\+json\s*;\s*compatible-with=(\d{1,3})", re.IGNORECASE
)
_OF_VENDOR: Final = ("baiducloud-", "bce-sdk-")
"""What the clients of the vendor's SDKs call themselves, up to here."""

_Document = dict[str, Any]  # Any: the engine reads it, and says where something is wrong


class Elastic(Service):
    """Handlers of the Elasticsearch-compatible search."""

    async def search(self, request: web.Request) -> web.Response:
        """AsyncSearch; in spite of its name the answer is there at once."""
        index = _index(request)
        handle = QueryHandle()
        with _elastic_errors():
            parameters = search_parameters(request)
            document = with_parameters(await read_body(request, _Document), parameters)
            typed_keys = parameters.flag("typed_keys")
            names = parameters.names()
            work = partial(
                self.engine.elastic.search,
                options=names,
                typed_keys=typed_keys,
                on_nothing=partial(self.remarks.nothing_read, index[:200]),
            )
            found = await self.query(request, handle, work, index, document, handle)
        return _plain(request, parameters, found)

    async def field_caps(self, request: web.Request) -> web.Response:
        """FieldCaps.

        A GET has the fields in its address alone. Source: assumed: Elasticsearch's clients up to
        7 send it without a body, which is a GET.
        """
        index = _index(request)
        handle = QueryHandle()
        with _elastic_errors():
            parameters = capability_parameters(request)
            wanted = capability_request(parameters)
            document = await read_body(request, _Document)
            work = partial(
                self.engine.elastic.field_caps, options=parameters.names(), request=wanted
            )
            found = await self.query(request, handle, work, index, document, handle)
        return _plain(request, parameters, found)

    async def terms_enum(self, request: web.Request) -> web.Response:
        """TermsEnum."""
        index = _index(request)
        handle = QueryHandle()
        with _elastic_errors():
            parameters = terms_parameters(request)
            document = await read_body(request, _Document)
            work = partial(self.engine.elastic.terms_enum, options=parameters.names())
            found = await self.query(request, handle, work, index, document, handle)
        return _plain(request, parameters, found)

    async def resolve(self, request: web.Request) -> web.Response:
        """ResolveIndex, also as a POST, which Elasticsearch's newer clients send (assumed).

        The clients of the vendor's SDKs get the first of the data streams, all others a list of
        them. Source: doc the vendor's SDKs (baiducloud-python-sdk-bls 0.0.9 and its Go sister,
        ``ResolveIndexResponse``) read one and fail at a list; the list is Elasticsearch's, which
        Kibana reads (assumed), as are the empty lists beside it.
        """
        with _elastic_errors():
            parameters = resolve_parameters(request)
            options = parameters.names(ignore_unavailable=True)
            names = self.engine.elastic.resolve(request.match_info["pattern"], options)
        streams = [
            {"name": name, "backing_indices": [name], "timestamp_field": "@timestamp"}
            for name in names
        ]
        if request.headers.get("User-Agent", "").startswith(_OF_VENDOR):
            return _plain(request, parameters, {"data_streams": (*streams, {})[0]})
        found = {"indices": [], "aliases": [], "data_streams": streams}
        return _plain(request, parameters, found)


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


def _plain(
    request: web.Request, parameters: Parameters, found: Mapping[str, object]
) -> web.Response:
    """An answer without the members that other calls of BLS have beside their own (assumed).

    Elasticsearch's clients want to hear that it is Elasticsearch, and its name for JSON when they
    have asked for it. Source: assumed (they refuse anything else).
    """
    answer: object = found
    if "filter_path" in parameters.given:
        with _elastic_errors():
            answer = filter_answer(found, parameters.given["filter_path"])
    response = respond(spooled(msgspec.json.encode(answer)))
    response.headers["X-Elastic-Product"] = "Elasticsearch"
    asked = _COMPATIBLE.search(request.headers.get("Accept", ""))
    if asked is not None:
        response.headers["Content-Type"] = (
            f"application/vnd.elasticsearch+json;compatible-with={asked[1]}"
        )
    return response
