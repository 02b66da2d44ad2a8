"""Results of queries as JSON, made block by block in the thread that runs the query."""

from collections.abc import Mapping, Sequence
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import web

from simulator.api.errors import JSON_TYPE
from simulator.api.spooled import MAX_IN_MEMORY_BYTES, SpooledBody, spooled
from simulator.logstore import Cells

MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
"""Of the values of an SQL result. Source: assumed (older docs say 1 MB, newer ones give rows)."""

_PLACE: Final = "\0rows"
"""Stands where the rows go; nothing before it has a NUL character, which no query may have."""


class JsonRows:
    """Writes rows as JSON, into a file when they are many."""

    most_bytes = MAX_RESULT_BYTES

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(  # noqa: SIM115  # closed once it is sent
            max_size=MAX_IN_MEMORY_BYTES
        )
        self._is_empty = True
        self._is_taken = False

    def begin(self, columns: Sequence[str]) -> None:
        """See ``RowSink.begin``."""

    def add(self, rows: Sequence[Cells]) -> None:
        """See ``RowSink.add``."""
        if rows:
            self._file.write(b"" if self._is_empty else b",")
            self._file.write(msgspec.json.encode(rows)[1:-1])
            self._is_empty = False

    def within(self, body: Mapping[str, object]) -> bytes | SpooledBody:
        """``body`` with the rows where it has ``place``."""
        before, _, after = msgspec.json.encode(body).partition(msgspec.json.encode(_PLACE))
        pieces = (before + b"[", self._file, b"]" + after)
        found = SpooledBody(pieces)
        self._is_taken = True
        return found if (found.size or 0) > MAX_IN_MEMORY_BYTES else found.whole()

    @property
    def place(self) -> str:
        """What stands for the rows in a body."""
        return _PLACE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_taken:
            self._file.close()


def packed(body: Mapping[str, object]) -> bytes | SpooledBody:
    """A successful answer, which may be large. To be called off the event loop."""
    return spooled(msgspec.json.encode(success(body)))


def success(body: Mapping[str, object]) -> dict[str, object]:
    """A successful answer: every object says so, as newer SDKs expect."""
    return {"success": True, "code": "OK", **body}


def respond(body: bytes | SpooledBody) -> web.Response:
    """The response that has a packed body."""
    return web.Response(body=body, content_type=JSON_TYPE, charset="utf-8")
