"""The API of flow logs: create, list, get, edit, start, stop, delete.

Source: assumed: the vendor has a console for flow logs and no public API; calls, names and codes
follow its neighbour in the same service (traffic mirroring) and its load balancer API.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from simulator.api.bodies import decode_json
from simulator.api.errors import JSON_TYPE
from simulator.api.flow_log_values import (
    DestinationType,
    FlowLogEdit,
    FlowLogInfo,
    FlowLogRegistry,
    FlowLogRequest,
    FlowLogTarget,
)
from simulator.api.operations import Operation, OperationStatus
from simulator.api.payloads import read_payload
from simulator.clock import Clock
from simulator.errors import ControlError

_FLOW_LOG: Final = "/v1/flowlog"
_MAX_KEYS: Final = 1000
_MOST_DIGITS: Final = 9
"""Of a number; Python refuses to read one of some thousand digits."""
_TOKEN_LENGTH: Final = 64
_TOKEN_LIFE_S: Final = 24 * 3600.0
_DESTINATION_KEYS: Final = {
    DestinationType.BLS: ("project", "logStore"),
    DestinationType.BOS: ("bucket", "prefix"),
}


class _Target(msgspec.Struct, rename="camel"):
    project: str = ""
    log_store: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""


class _Body(msgspec.Struct, rename="camel"):
    name: str | None = None
    description: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    layer: int | str | None = None
    traffic_type: str | None = None
    sampling_rate: float | None = None
    dest_type: str | None = None
    dest_config: _Target | None = None


def flow_log_operations(registry: FlowLogRegistry, clock: Clock) -> tuple[Operation, ...]:
    """The table of operations."""
    api = _FlowLogs(registry, _Tokens(clock))
    rows = (
        ("CreateFlowLog", "POST", _FLOW_LOG, api.create),
        ("ListFlowLogs", "GET", _FLOW_LOG, api.list),
        ("GetFlowLog", "GET", f"{_FLOW_LOG}/{{id}}", api.get),
        ("UpdateFlowLog / StartFlowLog / StopFlowLog", "PUT", f"{_FLOW_LOG}/{{id}}", api.put),
        ("DeleteFlowLog", "DELETE", f"{_FLOW_LOG}/{{id}}", api.delete),
    )
    return tuple(
        Operation(
            service="flowlog",
            name=name,
            method=method,
            path=path,
            status=OperationStatus.DONE,
            handle=handle,
        )
        for name, method, path, handle in rows
    )


class _Tokens:
    """Answers kept by client token, for calls that come twice.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Mjwvxnz6v for the token; scope and lifetime are
    assumed (per method, path and token, 24 hours).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[float, bytes, bytes]] = {}
        self._lock = asyncio.Lock()

    async def once(
        self, request: web.Request, work: Callable[[], Awaitable[bytes]]
    ) -> web.Response:
        """Do ``work`` unless a call with this token did it; its body either way.

        Raises:
            ControlError: IdempotentParameterMismatch, InvalidParameter.
        """
        token = request.query.get("clientToken", "")
        if not token:
            return _answer(await work())
        if len(token) > _TOKEN_LENGTH or not token.isascii():
            raise _invalid(f"clientToken: expected at most {_TOKEN_LENGTH} ASCII characters")
        now = self._clock.time()
        query = "&".join(
            sorted(f"{key}={value}" for key, value in request.query.items() if key != "clientToken")
        )
        digest = hashlib.sha256(query.encode() + b"\n" + await request.read()).digest()
        # One at a time: a client that has given up on an answer sends the call again while the
        # first one is at work.
        async with self._lock:
            return await self._once((request.method, request.path, token), now, digest, work)

    async def _once(
        self,
        key: tuple[str, str, str],
        now: float,
        digest: bytes,
        work: Callable[[], Awaitable[bytes]],
    ) -> web.Response:
        self._kept = {key: one for key, one in self._kept.items() if one[0] > now}
        if key in self._kept:
            _, before, body = self._kept[key]
            if before != digest:
                raise ControlError(
                    "IdempotentParameterMismatch",
                    403,
                    "The request uses the same client token as a previous, but non-identical "
                    "request.",
                )
            return _answer(body)
        body = await work()
        self._kept[key] = (now + _TOKEN_LIFE_S, digest, body)
        return _answer(body)


class _FlowLogs:
    """The handlers."""

    def __init__(self, registry: FlowLogRegistry, tokens: _Tokens) -> None:
        self._registry = registry
        self._tokens = tokens

    async def create(self, request: web.Request) -> web.Response:
        async def work() -> bytes:
            body = await _read(request)
            made = await self._registry.create(_request_of(body))
            return msgspec.json.encode({"flowLogId": made.flow_log_id})

        return await self._tokens.once(request, work)

    async def list(self, request: web.Request) -> web.Response:
        wanted_resource = request.query.get("resourceId", "")
        wanted_status = request.query.get("status", "")
        found = [
            one
            for one in self._registry.list()
            if wanted_resource in ("", one.resource_id) and wanted_status in ("", one.status)
        ]
        return _answer(msgspec.json.encode(_page(request, found)))

    async def get(self, request: web.Request) -> web.Response:
        return _answer(_encoded(self._registry.get(request.match_info["id"])))

    async def put(self, request: web.Request) -> web.Response:
        flow_log_id = request.match_info["id"]
        actions = [name for name in ("start", "stop") if name in request.query]
        if len(actions) > 1:
            raise _invalid("both start and stop are given; expected one of them")
        registry = self._registry

        async def work() -> bytes:
            if actions == ["start"]:
                return _encoded(await registry.start(flow_log_id))
            if actions == ["stop"]:
                return _encoded(await registry.stop(flow_log_id))
            return _encoded(await registry.update(flow_log_id, _edit_of(await _read(request))))

        return await self._tokens.once(request, work)

    async def delete(self, request: web.Request) -> web.Response:
        async def work() -> bytes:
            await self._registry.delete(request.match_info["id"])
            return b"{}"

        return await self._tokens.once(request, partial(work))


async def _read(request: web.Request) -> _Body:
    try:
        return decode_json(await read_payload(request) or b"{}", _Body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except msgspec.DecodeError as error:
        raise ControlError(
            "MalformedJSON", 400, f"The JSON you provided was not well-formed: {error}"
        ) from error


def _request_of(body: _Body) -> FlowLogRequest:
    for name, value in (("name", body.name), ("resourceId", body.resource_id)):
        if not value:
            raise ControlError("MissingParameter", 400, f"the parameter {name} is missing")
    target = _target_of(body)
    if target is None:
        raise ControlError("MissingParameter", 400, "the parameter destType is missing")
    layer = 7 if body.layer is None else body.layer
    if str(layer) not in ("4", "7"):
        raise _invalid(f"layer: {layer!r} is unknown; expected 4 or 7")
    if body.traffic_type not in (None, "", "ALL", "ACCEPT", "REJECT"):
        raise _invalid(
            f"trafficType: {body.traffic_type!r} is unknown; expected ALL, ACCEPT or REJECT"
        )
    return FlowLogRequest(
        name=body.name or "",
        description=body.description or "",
        resource_type=body.resource_type or "blb",
        resource_id=body.resource_id or "",
        layer=int(layer),
        traffic_type=body.traffic_type or "",
        sampling_rate=1.0 if body.sampling_rate is None else body.sampling_rate,
        target=target,
    )


def _edit_of(body: _Body) -> FlowLogEdit:
    for name, value in (
        ("resourceType", body.resource_type),
        ("resourceId", body.resource_id),
        ("layer", body.layer),
    ):
        if value is not None:
            raise _invalid(f"{name}: it cannot be changed; make another flow log instead")
    return FlowLogEdit(
        name=body.name or None, description=body.description, target=_target_of(body)
    )


def _target_of(body: _Body) -> FlowLogTarget | None:
    if not body.dest_type and body.dest_config is None:
        return None
    if body.dest_type not in list(DestinationType):
        raise _invalid(f"destType: {body.dest_type!r} is unknown; expected BLS or BOS")
    kind = DestinationType(body.dest_type)
    config = body.dest_config or _Target()
    needed = config.log_store if kind is DestinationType.BLS else config.bucket
    if not needed:
        keys = _DESTINATION_KEYS[kind]
        raise ControlError(
            "MissingParameter",
            400,
            f"destConfig: the parameter {keys[1] if kind is DestinationType.BLS else keys[0]} "
            "is missing",
        )
    return FlowLogTarget(
        type=kind,
        project=config.project,
        log_store=config.log_store,
        bucket=config.bucket,
        prefix=config.prefix,
        region=config.region,
    )


def _page(request: web.Request, found: list[FlowLogInfo]) -> dict[str, object]:
    """A page as the load balancer API has them: the marker is the first id of the page."""
    text = request.query.get("maxKeys", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise _invalid(f"maxKeys: {text[:40]!r} is no number; expected 1 to {_MAX_KEYS}")
    max_keys = min(int(text or _MAX_KEYS) or _MAX_KEYS, _MAX_KEYS)
    marker = request.query.get("marker", "")
    ids = [one.flow_log_id for one in found]
    begin = (ids.index(marker) if marker in ids else len(ids)) if marker else 0
    page, rest = found[begin : begin + max_keys], found[begin + max_keys :]
    answer: dict[str, object] = {
        "flowLogs": [_shown(one) for one in page],
        "isTruncated": bool(rest),
        "maxKeys": max_keys,
    }
    if page:
        answer["marker"] = page[0].flow_log_id
    if rest:
        answer["nextMarker"] = rest[0].flow_log_id
    return answer


def _shown(info: FlowLogInfo) -> dict[str, object]:
    target = info.target
    config = (
        {"project": target.project, "logStore": target.log_store}
        if target.type is DestinationType.BLS
        else {"bucket": target.bucket, "prefix": target.prefix}
    )
    return {
        "flowLogId": info.flow_log_id,
        "name": info.name,
        "description": info.description,
        "resourceType": info.resource_type,
        "resourceId": info.resource_id,
        "layer": info.layer,
        "samplingRate": 1,
        "destType": target.type.value,
        "destConfig": config,
        "status": info.status,
        "createTime": f"{datetime.fromtimestamp(info.created_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _encoded(info: FlowLogInfo) -> bytes:
    return msgspec.json.encode(_shown(info))


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON_TYPE, charset="utf-8")


def _invalid(message: str) -> ControlError:
    return ControlError("InvalidParameter", 400, message)
