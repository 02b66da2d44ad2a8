"""The simulator's own API under ``/_sim/``: health, endpoints, clock, status, records."""

import hmac
import re
from typing import Final

import msgspec
from aiohttp import web

from simulator.api.bodies import decode_json
from simulator.api.fault_admin import FaultAdmin
from simulator.api.metrics import CONTENT_TYPE, encode_metrics
from simulator.api.payloads import read_payload
from simulator.api.simulation import Simulation
from simulator.api.verdict_admin import VerdictAdmin
from simulator.errors import ControlError
from simulator.verdict import parse_duration

TOKEN_HEADER: Final = "x-blbsim-token"
NEXT_DELIVERY: Final = "next_delivery"
_MAX_RECORDS: Final = 1000


class _AdvanceRequest(msgspec.Struct, forbid_unknown_fields=True):
    by: str | None = None
    to: str | None = None


def add_admin_routes(app: web.Application, simulation: Simulation, *, token: str | None) -> None:
    """Serve ``/_sim/`` from ``app``.

    Args:
        app: the application of the control APIs.
        simulation: what is shown and driven.
        token: demanded in ``x-blbsim-token`` on everything but the health checks; None on
            loopback, where nobody else can call.
    """
    admin = _Admin(simulation, token)
    app.router.add_get("/_sim/live", admin.live)
    app.router.add_get("/_sim/ready", admin.ready)
    app.router.add_get("/_sim/v1/endpoints", admin.endpoints)
    app.router.add_get("/_sim/v1/authority.pem", admin.authority)
    app.router.add_get("/_sim/v1/clock", admin.clock)
    app.router.add_post("/_sim/v1/clock/advance", admin.advance)
    app.router.add_get("/_sim/v1/status", admin.status)
    app.router.add_get("/_sim/v1/records", admin.records)
    app.router.add_get("/_sim/metrics", admin.metrics)
    FaultAdmin(simulation, admin.authorize).add_routes(app)
    VerdictAdmin(simulation, admin.authorize).add_routes(app)


class _Admin:
    def __init__(self, simulation: Simulation, token: str | None) -> None:
        self._simulation = simulation
        self._token = token

    async def live(self, _: web.Request) -> web.Response:
        return _json({"status": "live"})

    async def ready(self, _: web.Request) -> web.Response:
        ready = self._simulation.ready
        return _json({"status": "ready" if ready else "starting"}, 200 if ready else 503)

    async def endpoints(self, request: web.Request) -> web.Response:
        self.authorize(request)
        return _json(self._simulation.endpoints())

    async def authority(self, request: web.Request) -> web.Response:
        self.authorize(request)
        pem = self._simulation.authority_pem()
        if pem is None:
            raise ControlError("InvalidURI", 404, "No listener has a certificate made for it")
        return web.Response(body=pem, content_type="application/x-pem-file")

    async def clock(self, request: web.Request) -> web.Response:
        self.authorize(request)
        return _json(self._simulation.clock_status())

    async def advance(self, request: web.Request) -> web.Response:
        self.authorize(request)
        try:
            body = decode_json(await read_payload(request), _AdvanceRequest)
        except msgspec.DecodeError as error:
            raise _invalid(
                f'{error}; expected {{"by": "3m"}} or {{"to": "next_delivery"}}'
            ) from error
        if (body.by is None) == (body.to is None):
            raise _invalid('expected either {"by": "3m"} or {"to": "next_delivery"}')
        if body.to is not None:
            if body.to != NEXT_DELIVERY:
                raise _invalid(f"cannot advance to {body.to!r}; expected {NEXT_DELIVERY!r}")
            return _json(await self._simulation.advance_to_next_delivery())
        assert body.by is not None
        try:
            seconds = parse_duration(body.by)
        except ValueError as error:
            raise _invalid(str(error)) from error
        return _json(await self._simulation.advance(seconds))

    async def status(self, request: web.Request) -> web.Response:
        self.authorize(request)
        await self._simulation.refresh()
        return _json(self._simulation.status())

    async def metrics(self, request: web.Request) -> web.Response:
        self.authorize(request)
        await self._simulation.refresh()
        text = encode_metrics(self._simulation.status())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def records(self, request: web.Request) -> web.Response:
        self.authorize(request)
        text = request.query.get("last", "10")
        if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_RECORDS:
            raise _invalid(f"last is {text[:40]!r}; expected a number from 1 to {_MAX_RECORDS}")
        pending = request.query.get("pending", "false") in ("true", "1", "")
        await self._simulation.refresh(int(text))
        return _json({"records": self._simulation.records(int(text), pending=pending)})

    def authorize(self, request: web.Request) -> None:
        """Raise for a request that needs the token and has not got it."""
        if self._token is None:
            return
        given = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise ControlError(
                "Unauthorized",
                401,
                f"The admin API needs the header {TOKEN_HEADER} when it is not on loopback; "
                "its value is what `blbsim up` printed or was given",
            )


def _invalid(message: str) -> ControlError:
    return ControlError("InvalidParameter", 400, message)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
