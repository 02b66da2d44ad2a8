"""Bodies as they arrive: unpacked, and never more of them in memory than is allowed."""

import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from simulator.api.errors import overload
from simulator.errors import ControlError

_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}
_STEP_BYTES: Final = 256 * 1024
"""Unpacked at a time."""
_FED_BYTES: Final = 4096
"""Packed, at a time."""


async def read_payload(request: web.Request) -> bytes:
    """The whole body of a request, unpacked.

    Source: assumed (no doc names ``Content-Encoding`` of requests): gzip and deflate are taken, and
    the bound is one of the body before and after.

    Raises:
        ControlError: RequestOverload for more than the application accepts; InvalidHTTPRequest for
            an encoding that is not known, or a body that is not in it.
    """
    most = request.client_max_size
    if request.content_length is not None and request.content_length > most:
        raise overload()
    packing = _packing_of(request)
    raw = await request.read()
    if packing is None or not raw:
        return raw
    unpacker = _Unpacker(packing)
    unpacked = unpacker.unpack(raw, most + 1)
    if len(unpacked) > most:
        raise overload()
    unpacker.finish()
    return unpacked


async def read_blocks(request: web.Request) -> AsyncIterator[bytes]:
    """The body of a request, unpacked, piece by piece; no piece is large.

    Raises:
        ControlError: InvalidHTTPRequest, as ``read_payload``.
    """
    packing = _packing_of(request)
    unpacker = None if packing is None else _Unpacker(packing)
    async for chunk in request.content.iter_any():
        if unpacker is None:
            yield chunk
            continue
        rest = chunk
        while rest:
            piece = unpacker.unpack(rest, _STEP_BYTES)
            rest = unpacker.rest
            yield piece
    if unpacker is not None:
        unpacker.finish()


def _packing_of(request: web.Request) -> str | None:
    """How the body is packed; None when it is not."""
    name = request.headers.get("Content-Encoding", "identity").strip().lower()
    if name in {"", "identity"}:
        return None
    if name not in _WINDOWS:
        raise _unreadable(f"the Content-Encoding {name[:40]!r} is not gzip or deflate")
    return name


class _Unpacker:
    """Unpacks one body, which may be of several gzip members."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._window = window = _WINDOWS[name]
        self._inner = zlib.decompressobj(window)
        self._begun = False
        self.rest = b""
        """What ``unpack`` has not looked at yet."""

    def unpack(self, packed: bytes, most: int) -> bytes:
        """At most ``most`` bytes of what ``packed`` holds."""
        found = bytearray()
        place = 0
        try:
            while place < len(packed) and len(found) < most:
                if self._inner.eof:
                    self._inner = zlib.decompressobj(self._window)
                self._begun = True
                # No more of it: each member of a body gets a copy of what follows it.
                piece = packed[place : place + _FED_BYTES]
                found += self._inner.decompress(piece, most - len(found))
                place += len(piece) - len(self._inner.unconsumed_tail or self._inner.unused_data)
        except zlib.error as error:
            raise _unreadable(f"it is not {self._name}: {error}") from error
        self.rest = packed[place:]
        return bytes(found)

    def finish(self) -> None:
        """See that nothing is missing at the end."""
        if self._begun and not self._inner.eof:
            raise _unreadable(f"its {self._name} has no end")


def _unreadable(what: str) -> ControlError:
    return ControlError("InvalidHTTPRequest", 400, f"The body cannot be read: {what}")
