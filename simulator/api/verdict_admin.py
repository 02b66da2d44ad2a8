"""Deliveries and verdicts over the simulator's own API: watermarks, explain, advice, reconcile.

What a pipeline kept comes in the body of a request. The server reads no file and no URL that a
client names.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
from aiohttp import web

from simulator.api.bodies import decode_json
from simulator.api.payloads import read_blocks, read_payload
from simulator.api.simulation import Simulation
from simulator.api.verdicts import Comparison
from simulator.errors import ControlError
from simulator.model.units import parse_duration
from simulator.verdict import RecordMapping, parse_mapping

_BLOCK_BYTES: Final = 1 << 20
"""Compared at a time, off the loop."""
_LONGEST_LINE: Final = 16 << 20
_MAX_EXAMPLES: Final = 1000
_OPTIONS: Final = frozenset(
    ("flow_log", "destination", "grace", "examples", "mapping", "allow_broken", "allow_deduped")
)


class _ExplainRequest(msgspec.Struct, forbid_unknown_fields=True):
    record: str


class VerdictAdmin:
    """The handlers.

    Args:
        simulation: was delivering.
        authorize: raises for a request without the token it needs.
    """

    def __init__(self, simulation: Simulation, authorize: Callable[[web.Request], None]) -> None:
        self._simulation = simulation
        self._authorize = authorize

    def add_routes(self, app: web.Application) -> None:
        """Serve them from ``app``."""
        app.router.add_get("/_sim/v1/watermarks", self._watermarks)
        app.router.add_get("/_sim/v1/advice", self._advice)
        app.router.add_post("/_sim/v1/explain", self._explain)
        app.router.add_post("/_sim/v1/reconcile", self._reconcile)

    async def _watermarks(self, request: web.Request) -> web.Response:
        self._authorize(request)
        await self._simulation.refresh()
        return _json(self._simulation.verdicts.watermarks())

    async def _advice(self, request: web.Request) -> web.Response:
        self._authorize(request)
        interval_s = _duration(request, "interval", "1m")
        return _json({"flow_logs": await self._simulation.verdicts.advice(interval_s)})

    async def _explain(self, request: web.Request) -> web.Response:
        self._authorize(request)
        try:
            asked = decode_json(await read_payload(request), _ExplainRequest)
        except msgspec.DecodeError as error:
            raise _invalid(
                f'{error}; expected {{"record": "..."}} with a ledger id or the text of a record'
            ) from error
        return _json(await self._simulation.verdicts.explain(asked.record))

    async def _reconcile(self, request: web.Request) -> web.Response:
        self._authorize(request)
        query = request.query
        if unknown := set(query) - _OPTIONS:
            raise _invalid(
                f"unknown option {sorted(unknown)[0]!r}; expected {', '.join(sorted(_OPTIONS))}"
            )
        comparison = self._simulation.verdicts.compare(
            flow_logs=query.getall("flow_log", []),
            destination=query.get("destination"),
            mapping=_mapping(query.get("mapping")),
            grace_s=_duration(request, "grace", "0s"),
            examples=_examples(query.get("examples", "3")),
            allow_broken=_flag(query, "allow_broken"),
            allow_deduped=_flag(query, "allow_deduped"),
        )
        await asyncio.to_thread(comparison.begin)
        await _upload(request, comparison)
        return _json(await asyncio.to_thread(comparison.finish))


async def _upload(request: web.Request, comparison: Comparison) -> None:
    """Feed the lines of the body to the comparison, a block at a time."""
    lines = _Lines()
    block = bytearray()
    async for chunk in read_blocks(request):
        block += chunk
        if len(block) >= _BLOCK_BYTES:
            await asyncio.to_thread(_feed, comparison, lines.split(bytes(block)))
            block.clear()
    await asyncio.to_thread(_feed, comparison, lines.split(bytes(block), last=True))


def _feed(comparison: Comparison, lines: Iterator[tuple[int, bytes]]) -> None:
    for number, line in lines:
        comparison.keep(number, line)


class _Lines:
    """Cuts a stream into numbered lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._count = 0

    def split(self, block: bytes, *, last: bool = False) -> Iterator[tuple[int, bytes]]:
        """The lines that end in ``block``; without LF or CR LF."""
        *whole, self._rest = (self._rest + block).split(b"\n")
        if last:
            whole.append(self._rest)
        elif len(self._rest) > _LONGEST_LINE:
            raise _invalid(
                f"line {self._count + len(whole) + 1} is longer than {_LONGEST_LINE >> 20} MiB; "
                "expected one record a line"
            )
        for line in whole:
            self._count += 1
            yield self._count, line.removesuffix(b"\r")


def _mapping(text: str | None) -> RecordMapping:
    if text is None:
        return RecordMapping()
    try:
        return parse_mapping(decode_json(text, object))
    except (msgspec.DecodeError, ValueError) as error:
        raise _invalid(f"mapping: {str(error).removeprefix('mapping: ')}") from error


def _duration(request: web.Request, name: str, default: str) -> float:
    try:
        return parse_duration(request.query.get(name, default))
    except ValueError as error:
        raise _invalid(f"{name}: {error}") from error


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "false") in ("true", "1", "")


def _examples(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) > _MAX_EXAMPLES:
        raise _invalid(f"examples is {text!r}; expected a number from 0 to {_MAX_EXAMPLES}")
    return int(text)


def _invalid(message: str) -> ControlError:
    return ControlError("InvalidParameter", 400, message)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
