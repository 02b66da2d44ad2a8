"""Faults over the simulator's own API: ``/_sim/v1/faults``."""

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from simulator.api.bodies import decode_json
from simulator.api.payloads import read_payload
from simulator.api.simulation import Simulation
from simulator.errors import ControlError

FAULTS: str = "/_sim/v1/faults"


class FaultAdmin:
    """The handlers of faults.

    Args:
        simulation: has the faults.
        authorize: raises for a request without the token it needs.
    """

    def __init__(self, simulation: Simulation, authorize: Callable[[web.Request], None]) -> None:
        self._simulation = simulation
        self._authorize = authorize

    def add_routes(self, app: web.Application) -> None:
        """Serve them from ``app``."""
        app.router.add_get(FAULTS, self._list)
        app.router.add_post(FAULTS, self._add)
        app.router.add_delete(FAULTS, self._clear)
        app.router.add_delete(f"{FAULTS}/{{name}}", self._remove)

    async def _list(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return _json({"faults": self._simulation.faults.views()})

    async def _add(self, request: web.Request) -> web.Response:
        self._authorize(request)
        try:
            body = decode_json(await read_payload(request), dict[str, object])
        except msgspec.DecodeError as error:
            raise _invalid(
                f'{error}; expected an object such as {{"fault": "F-LATE", "share": "10%"}}'
            ) from error
        return _json(self._simulation.faults.add(_texts(body)), 201)

    async def _remove(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return _json(self._simulation.faults.remove(request.match_info["name"]))

    async def _clear(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return _json({"removed": self._simulation.faults.clear()})


def _texts(body: Mapping[str, object]) -> dict[str, str | Mapping[str, str]]:
    """Every value as it would be written: numbers and booleans are taken as well."""
    texts: dict[str, str | Mapping[str, str]] = {}
    for key, value in body.items():
        if key == "where" and isinstance(value, Mapping):
            texts[key] = {str(field): _text(f"where.{field}", one) for field, one in value.items()}
        else:
            texts[key] = _text(key, value)
    return texts


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise _invalid(f"{key}: expected text, a number or a boolean")


def _invalid(message: str) -> ControlError:
    return ControlError("InvalidParameter", 400, message)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
