"""The table of operations: what the vendor has, and how much of it is simulated.

Routes are made from it and so are the docs; nothing is served that is not in a table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from aiohttp import web

from simulator.errors import ControlError

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
    """With ``{name}`` for what varies."""
    status: OperationStatus
    handle: Handle | None = None
    """None answers 501 with the operation's name."""
    remark: str = ""
    """What is missing, when ``status`` is ``partly``."""


def add_routes(app: web.Application, operations: tuple[Operation, ...]) -> None:
    """Serve ``operations`` from ``app``."""
    for operation in operations:
        app.router.add_route(
            operation.method, operation.path, operation.handle or _not_simulated(operation)
        )


def operation_names(operations: tuple[Operation, ...]) -> Callable[[web.Request], str | None]:
    """What tells the operation that a request is for; None if it is for none of them."""
    names = {(one.method, one.path): one.name.split(" / ") for one in operations}

    def name_of(request: web.Request) -> str | None:
        resource = request.match_info.route.resource
        found = None if resource is None else names.get((request.method, resource.canonical))
        if found is None:
            return None
        # Pull and query share a path: a query is what has one.
        return found[-1] if "query" in request.query else found[0]

    return name_of


def _not_simulated(operation: Operation) -> Handle:
    async def refuse(request: web.Request) -> web.StreamResponse:
        # Operations of one path are told apart by their action.
        action = request.query.get("action", "")
        name = f"{operation.name} {action}".strip()
        raise ControlError("NotImplemented", 501, f"{name} is not simulated")

    return refuse
