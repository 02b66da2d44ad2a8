"""Puts the API application together: routes, authentication, errors."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulator.api.auth import Authenticator
from simulator.api.bls import FILES, Workers, bls_operations, file_server
from simulator.api.connections import Runner
from simulator.api.errors import error_middleware
from simulator.api.flow_log_values import FlowLogRegistry
from simulator.api.flow_logs import flow_log_operations
from simulator.api.operations import Operation, add_routes, operation_names
from simulator.api.read_faults import Meet, read_fault_middleware
from simulator.clock import Clock
from simulator.logstore import LogStoreEngine

OPERATIONS: Final = web.AppKey("operations", tuple[Operation, ...])
"""The operations an application serves, for docs and the console."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj: one push is at most 1 MB."""

UNSIGNED: Final = "/_sim/"
"""What the routes of the simulator itself begin with, which nobody signs."""


def make_api_app(
    *,
    engine: LogStoreEngine,
    clock: Clock,
    auth: Authenticator,
    on_change: Callable[[], None] | None = None,
    meet: Meet | None = None,
    object_url: Callable[[str, str], str] | None = None,
    flow_logs: FlowLogRegistry | None = None,
    region: str = "bj",
) -> web.Application:
    """The application behind the BCE APIs.

    Args:
        engine: holds the LogStores; stays the caller's to close.
        clock: does not jump while a call is at work.
        auth: verifies every request but those that the simulator itself answers, under ``/_sim/``.
        on_change: told each time that a call has changed something.
        meet: says which faults each call meets; None: none.
        object_url: the address of an object, from its bucket and key; None: a path.
        flow_logs: behind the API of flow logs; None: it is not served.
        region: of everything that is served.

    Returns:
        An application to which routes and sub-applications may still be added.
    """
    workers = Workers()
    operations = bls_operations(
        engine, clock, on_change or _ignore, object_url or _path_of, region, workers
    )
    if flow_logs is not None:
        operations += flow_log_operations(flow_logs, clock)
    middlewares = [error_middleware(), _auth_middleware(auth)]
    if meet is not None:
        middlewares.append(read_fault_middleware(meet, operation_names(operations)))
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    add_routes(app, operations)
    app.router.add_get(FILES, file_server(engine))

    async def interrupt(_app: web.Application) -> None:
        engine.interrupt_queries()

    # The server waits for its handlers before it stops; a query may have a minute left.
    async def close(_app: web.Application) -> None:
        workers.close()

    app.on_shutdown.append(interrupt)
    app.on_cleanup.append(close)
    app[OPERATIONS] = operations
    return app


def make_runner(app: web.Application, *, shutdown_s: float) -> web.AppRunner:
    """What serves an application of ``make_api_app``; the caller sets it up and cleans it up.

    Args:
        app: what to serve.
        shutdown_s: that requests under way may take at the end, real seconds.
    """
    return Runner(app, shutdown_s=shutdown_s)


def _auth_middleware(auth: Authenticator) -> Middleware:
    @web.middleware
    async def verify(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is None and _is_signed(request):
            headers = [
                (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                for name, value in request.raw_headers
            ]
            auth.check(request.method, _target(request.raw_path), headers)
        return await handler(request)

    return verify


def _is_signed(request: web.Request) -> bool:
    """By the route, not the path: in that of an index a slash may stand as ``%2F``."""
    resource = request.match_info.route.resource
    return resource is None or not resource.canonical.startswith(UNSIGNED)


def _target(raw_path: str) -> str:
    """Path and query of a request target, which may be a whole URL."""
    if raw_path.startswith("/"):
        return raw_path
    _, _, rest = raw_path.partition("://")
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def _ignore() -> None:
    """Nobody wants to know."""


def _path_of(bucket: str, key: str) -> str:
    """Nobody knows where buckets are served."""
    return f"/{bucket}/{key}"
