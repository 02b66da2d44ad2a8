"""The HTTP doors of a world: the APIs on one port, S3 on another."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from aiohttp import web

from simulator.api import Authenticator, make_api_app, make_runner
from simulator.api.admin import add_admin_routes
from simulator.api.simulation import Simulation
from simulator.clock import Clock
from simulator.delivery.read_side import ReadSide
from simulator.errors import StartupError
from simulator.model.faults import ReadApi
from simulator.objectstore import S3Door
from simulator.scenario import Ports, Scenario
from simulator.world.flow_logs import FlowLogs
from simulator.world.listeners import LOOPBACK
from simulator.world.stores import Stores
from simulator.world.views import reachable_url

_LINK_S: Final = 7 * 86_400
_SHUTDOWN_S: Final = 0.5


class Doors:
    """Serves the APIs, and S3 where there are buckets.

    After ``start`` you must call ``aclose``.

    Args:
        host: where both bind.
        admin_token: what the admin API wants beyond loopback.
        free_ports: any free port for both instead of the scenario's.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: str,
        admin_token: str | None,
        free_ports: bool,
        clock: Clock,
        read_side: ReadSide,
    ) -> None:
        self._scenario = scenario
        self._host = host
        self._admin_token = admin_token
        self._ports = Ports(api=0, bos=0, s3=0) if free_ports else scenario.ports
        self._clock = clock
        self._read_side = read_side
        self._runner: web.AppRunner | None = None
        self._s3: S3Door | None = None
        self.api_url = ""
        """What a client of the APIs takes as its endpoint; known after ``start``."""

    @property
    def s3_url(self) -> str | None:
        """What a client of S3 takes as its endpoint; None where there are no buckets."""
        return None if self._s3 is None else reachable_url(self._s3.host, self._s3.port)

    async def start(
        self,
        simulation: Simulation,
        stores: Stores,
        flow_logs: FlowLogs,
        on_change: Callable[[], None],
    ) -> None:
        """Bind and serve.

        Args:
            on_change: called after each operation that changed something.

        Raises:
            StartupError: a port is taken or may not be bound.
        """
        account = self._scenario.account
        app = make_api_app(
            engine=stores.engine,
            clock=self._clock,
            auth=Authenticator({account.access_key: account.secret_key}, mode=account.auth),
            on_change=on_change,
            object_url=self._object_url,
            meet=partial(self._read_side.meet, ReadApi.BLS),
            flow_logs=flow_logs,
            region=self._scenario.region,
        )
        token = self._admin_token if self._host not in LOOPBACK else None
        add_admin_routes(app, simulation, token=token)
        self._runner = make_runner(app, shutdown_s=_SHUTDOWN_S)
        await self._runner.setup()
        await self._start_apis(self._runner)
        if stores.objects is not None:
            self._start_s3()

    async def _start_apis(self, runner: web.AppRunner) -> None:
        port, place = self._ports.api, self._ports.api_place
        try:
            await web.TCPSite(runner, self._host, port).start()
        except OSError as error:
            raise StartupError(
                f"{place}: "
                * bool(place)
                + f"the APIs cannot listen on {self._host}:{port}: {error.strerror or error}; "
                "free the port, set `ports: {api: 0}` (0 picks a free one), or use --free-ports"
            ) from error
        self.api_url = reachable_url(*runner.addresses[0][:2])

    def _start_s3(self) -> None:
        port, place = self._ports.s3, self._ports.s3_place
        door = S3Door(self._host, port, meet=partial(self._read_side.meet, ReadApi.S3))
        try:
            door.start()
        except StartupError as error:
            raise StartupError(f"{place}: " * bool(place) + str(error)) from error
        self._s3 = door

    def _object_url(self, bucket: str, key: str) -> str:
        """A link to an object that needs no key and no signature of whoever follows it."""
        assert self._s3 is not None  # or there would be no bucket
        account = self._scenario.account
        return f"{self.s3_url}" + self._s3.signed_path(
            bucket,
            key,
            access_key=account.access_key,
            secret_key=account.secret_key,
            until=int(self._clock.time()) + _LINK_S,
        )

    async def aclose(self) -> None:
        """Serve no more. Fine to call twice."""
        # Whatever fails to stop, the other still does.
        async with AsyncExitStack() as stack:
            if self._s3 is not None:
                stack.callback(self._s3.stop)
            if self._runner is not None:
                stack.push_async_callback(self._runner.cleanup)
