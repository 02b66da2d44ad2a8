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


def _not_simulated(operation: Operation) -> Handle:
    async def refuse(request: web.Request) -> web.StreamResponse:
        # Operations of one path are told apart by their action.
        action = request.query.get("action", "")
        name = f"{operation.name} {action}".strip()
        raise ControlError("NotImplemented", 501, f"{name} is not simulated")

    return refuse
