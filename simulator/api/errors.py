"""Turns whatever a handler raises into the vendor's error body, with a request id on everything."""

import logging
import re
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from simulator.errors import ControlError
from simulator.rng import request_id

REQUEST_ID: Final = "x-bce-request-id"
JSON_TYPE: Final = "application/json"
_MESSAGE_LENGTH: Final = 200
_LONGEST: Final = 4096
"""Characters of a message."""

_log = logging.getLogger(__name__)
_REQUEST_ID_KEY: Final = web.RequestKey("request_id", str)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def error_middleware() -> Middleware:
    """The one place where errors become responses.

    A ``ControlError`` gives its code, status and message; a path nobody serves 404 InvalidURI; a
    wrong verb 405 InvalidHTTPRequest (names from the Go SDK's ``bce/error.go``; statuses assumed);
    a body too large 413 RequestOverload, one that cannot be read 400 InvalidHTTPRequest; anything
    else is a bug: 500 InternalError, and logged.
    """

    @web.middleware
    async def render(request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = request.headers.get(REQUEST_ID, "")
        # Source: assumed: a well-formed id of the client is echoed.
        id_ = sent if _UUID.fullmatch(sent) else request_id()
        request[_REQUEST_ID_KEY] = id_
        try:
            response = await handler(request)
        except ControlError as error:
            response = error_response(error, id_)
        except web.HTTPException as error:
            response = from_http(error, request, id_)
        except (HttpProcessingError, web.RequestPayloadError) as error:
            text = f"The body cannot be read: {on_one_line(getattr(error, 'message', str(error)))}"
            response = error_response(ControlError("InvalidHTTPRequest", 400, text), id_)
        except ConnectionError:
            raise  # the client has gone in the middle of its request
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            response = error_response(
                ControlError("InternalError", 500, "The simulator failed; its log says where"), id_
            )
        if not response.prepared:
            response.headers.setdefault(REQUEST_ID, id_)
        return response

    return render


def error_response(error: ControlError, id_: str) -> web.Response:
    """The vendor's error body. Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r."""
    message = error.message
    if len(message) > _LONGEST:  # it may quote what a client sent, up to the bound of a body
        message = f"{message[: _LONGEST - 3]}..."
    body = {"code": error.code, "message": message, "requestId": id_, **error.details}
    return web.Response(
        body=msgspec.json.encode(body),
        status=error.status,
        content_type=JSON_TYPE,
        charset="utf-8",
        headers={REQUEST_ID: id_},
    )


def overload() -> ControlError:
    """The error for a body that is too large.

    Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r.
    """
    return ControlError("RequestOverload", 413, "Requested body too large, size exceed limit")


def on_one_line(message: str) -> str:
    """What aiohttp says, which shows a place by a line of blanks and a caret."""
    return " ".join(message.replace("^", " ").split())[:_MESSAGE_LENGTH]


def _instead(path: str) -> str:
    """What there is, for a call that Elasticsearch has and this API has not."""
    if not any(piece[:1] == "_" for piece in path.split("/")) or path.startswith("/_sim"):
        return ""
    return (
        "; of Elasticsearch's calls there are /{index}/_async_search, /{index}/_field_caps,"
        " /{index}/_terms_enum and /_resolve/index/{pattern}"
    )


def from_http(error: web.HTTPException, request: web.BaseRequest, id_: str) -> web.Response:
    """What aiohttp refuses, in the vendor's form; an answer that is no error is raised again."""
    match error:
        case web.HTTPNotFound():
            text = f"Could not parse the URI {request.path}{_instead(request.path)}"
            found = ControlError("InvalidURI", 404, text)
        case web.HTTPMethodNotAllowed():
            found = ControlError(
                "InvalidHTTPRequest", 405, f"{request.method} is not allowed on {request.path}"
            )
        case web.HTTPRequestEntityTooLarge():
            found = overload()
        case _ if error.status < 400:
            raise error
        case _:
            found = ControlError("InvalidHTTPRequest", error.status, error.reason)
    response = error_response(found, id_)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
