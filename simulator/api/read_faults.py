"""Faults that meet a pipeline when it calls an API: throttling, errors, slow and broken answers."""

import socket
import struct
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulator.api.spooled import SpooledBody
from simulator.clock import real_sleep
from simulator.errors import ControlError
from simulator.model.faults import FaultKind, ReadEffect

Meet = Callable[[str], tuple[ReadEffect, ...]]
"""What the next request to an operation meets."""

_ERRORS: Final = {
    500: ControlError("InternalError", 500, "Internal error, please try again"),
    502: ControlError("ServiceUnavailable", 502, "Service unavailable, please try again"),
    503: ControlError("ServiceUnavailable", 503, "Service unavailable, please try again"),
}
"""Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r for codes; wordings and 502 assumed."""
_THROTTLED: Final = ControlError(
    "RequestLimited", 429, "Request frequency is too high, please slow down"
)
"""Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r."""
_EXPIRED: Final = ControlError(
    "Unauthorized", 401, "Check unauthorized: invalid ak/sk (the signature has expired)"
)
"""Source: assumed (the one code that BLS documents for every failure of authentication)."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing resets the connection."""


def read_fault_middleware(meet: Meet, name_of: Callable[[web.Request], str | None]) -> Middleware:
    """Let requests meet what ``meet`` says.

    Args:
        meet: asked once for each request.
        name_of: the operation a request is for; None for one that no fault reaches.
    """

    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = name_of(request)
        effects = () if name is None else meet(name)
        if not effects:
            return await handler(request)
        for effect in effects:
            if effect.kind is FaultKind.READ_SLOW:
                await real_sleep(effect.delay_s)
            refused = _refusal(effect)
            if refused is not None:
                raise refused
        response = await handler(request)
        for effect in effects:
            if effect.kind is FaultKind.READ_RESET:
                return _reset(request)
            if effect.kind is FaultKind.READ_TRUNC:
                return await _cut_off(request, response, effect.keep)
        return response

    return spoil


def _refusal(effect: ReadEffect) -> ControlError | None:
    match effect.kind:
        case FaultKind.READ_THROTTLE:
            return _THROTTLED
        case FaultKind.READ_ERROR:
            return _ERRORS[effect.status]
        case FaultKind.READ_EXPIRED:
            return _EXPIRED
        case _:
            return None


async def _cut_off(
    request: web.Request, response: web.StreamResponse, keep: float
) -> web.StreamResponse:
    """Send the head and a part of the body, and close: shorter than its Content-Length says."""
    body = response.body if isinstance(response, web.Response) else None
    if isinstance(body, SpooledBody):
        whole = body.whole()
        await body.close()
    else:
        whole = bytes(body) if isinstance(body, bytes | bytearray) else b""
    broken = web.StreamResponse(status=response.status, headers=response.headers)
    broken.content_length = len(whole)
    await broken.prepare(request)
    await broken.write(whole[: int(len(whole) * keep)])
    if request.transport is not None:
        request.transport.close()
    return broken


def _reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection; what is returned goes nowhere."""
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.transport.abort()
    return web.Response()
