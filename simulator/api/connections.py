"""Connections to the APIs: what is no HTTP request is answered in the vendor's form too."""

import asyncio
import logging
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from simulator.api.errors import error_response, from_http, on_one_line
from simulator.errors import ControlError
from simulator.rng import request_id

MAX_LINE_BYTES: Final = 512 * 1024
"""Of a request line. A statement comes in it, up to twelve bytes a character. Source: assumed."""
MAX_HEADER_BYTES: Final = 8190
MAX_HEADERS: Final = 128
"""Of one request, each of at most ``MAX_HEADER_BYTES``. Source: assumed (aiohttp's own)."""

_log = logging.getLogger(__name__)


class Runner(web.AppRunner):
    """Serves an application on connections that answer in the vendor's form.

    Args:
        app: what to serve.
        shutdown_s: that requests under way may take at the end, real seconds.
    """

    def __init__(self, app: web.Application, *, shutdown_s: float) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=shutdown_s)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            loop=asyncio.get_running_loop(),
            access_log=None,
            # Bodies are unpacked where they are read, with a bound; see ``payloads``.
            auto_decompress=False,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    """One connection; its errors are JSON with a code, a message and a request id."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Read on; a body that turns out to be malformed ends the handler that waits for it.

        aiohttp queues the error behind the request, whose handler would wait for ever.
        """
        super().data_received(data)
        request, queued = self._current_request, self._messages
        if request is None or not queued or request.content.is_eof():
            return
        error = getattr(queued[-1][0], "exc", None)
        if error is not None:
            queued.pop()
            request.content.set_exception(error)
            self.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read, or to a failure outside of all handlers."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has gone; nobody is there to answer
        if status >= 500:
            _log.error("%s %s failed", request.method, request.path, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, another one cannot follow")
        response = error_response(_unreadable(status, exc, message or ""), request_id())
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; what aiohttp itself refused is put into the vendor's form first."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            close = not resp.keep_alive
            resp = from_http(resp, request, request_id())
            if close:
                resp.force_close()
        return await super().finish_response(request, resp, start_time)


def _unreadable(status: int, error: BaseException | None, message: str) -> ControlError:
    """Names are the vendor's; which of them belongs to what is assumed.

    Source: doc the Go SDK's ``bce/error.go`` for the names.
    """
    if status >= 500:
        return ControlError("InternalError", status, "The simulator failed; its log says where")
    if isinstance(error, LineTooLong):
        if error.args[1] in {MAX_LINE_BYTES, str(MAX_LINE_BYTES)}:
            text = f"Could not parse the URI: the request line has more than {MAX_LINE_BYTES} bytes"
            return ControlError("InvalidURI", 414, text)
        text = f"The request has a header of more than {MAX_HEADER_BYTES} bytes"
        return ControlError("InvalidHTTPRequest", 400, text)
    shown = on_one_line(message)
    return ControlError(
        "InvalidHTTPRequest", 400, f"The request is not well-formed HTTP: {shown}".rstrip(": ")
    )
