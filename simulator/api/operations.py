"""The table of operations: what the vendor has, and how much of it is simulated.

Routes are made from it and so are the docs; nothing is served that is not in a table.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from aiohttp import web

from simulator.errors import ControlError, invalid

_ACTION: Final = "?action="

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OperationStatus(StrEnum):
    """How much of an operation is simulated."""

    DONE = "done"
    PARTLY = "partly"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a vendor API."""

    service: str
    """``bls``, ``blb`` ..."""
    name: str
    method: str
    path: str
    """With ``{name}`` for what varies; ``?action=`` tells operations of one path apart."""
    status: OperationStatus
    pattern: str = ""
    """The path as it is routed, where what varies does not stand for everything."""
    handle: Handle | None = None
    """None answers 501 with the operation's name."""
    remark: str = ""
    """What is missing, when ``status`` is ``partly``."""


def add_routes(app: web.Application, operations: tuple[Operation, ...]) -> None:
    """Serve ``operations`` from ``app``."""
    by_action: dict[tuple[str, str], dict[str, Handle]] = {}
    for operation in operations:
        handle = operation.handle or _not_simulated(operation)
        path, has_action, action = operation.path.partition(_ACTION)
        if has_action:
            by_action.setdefault((operation.method, path), {})[action] = handle
        else:
            app.router.add_route(operation.method, operation.pattern or path, handle)
    for (method, path), handles in by_action.items():
        app.router.add_route(method, path, _dispatch(handles))


def operation_names(operations: tuple[Operation, ...]) -> Callable[[web.Request], str | None]:
    """What tells the operation that a request is for; None if it is for none of them."""
    names = {(one.method, one.path): one.name.split(" / ") for one in operations}

    def name_of(request: web.Request) -> str | None:
        resource = request.match_info.route.resource
        if resource is None:
            return None
        path = resource.canonical
        action = f"{path}{_ACTION}{request.query.get('action', '')}"
        found = names.get((request.method, path)) or names.get((request.method, action))
        if found is None:
            return None
        # Pull and query share a path: a query is what has one.
        return found[-1] if "query" in request.query else found[0]

    return name_of


def _dispatch(handles: Mapping[str, Handle]) -> Handle:
    async def choose(request: web.Request) -> web.StreamResponse:
        action = request.query.get("action", "")
        if action not in handles:
            known = ", ".join(handles)
            raise invalid("action", f"expected one of {known}", action)
        return await handles[action](request)

    return choose


def _not_simulated(operation: Operation) -> Handle:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise ControlError("NotImplemented", 501, f"{operation.name} is not simulated")

    return refuse
