"""A data plane on port 0 between raw client sockets and backend servers that a test scripts."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy
from simulator.clock import ManualClock
from simulator.dataplane import DataPlane, ListenerSettings
from simulator.model import (
    BackendServer,
    BackendServerId,
    Cluster,
    ClusterKind,
    IpGroup,
    IpGroupId,
    Listener,
    ListenerLimits,
    ListenerTimeouts,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Policy,
    PolicyId,
    Protocol,
    Rule,
    RuleKey,
    Scheduler,
    ServerGroup,
    ServerGroupId,
    ServiceNode,
)
from simulator.routing import ListenerRoute, compile_route

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

START_AT = 1_772_323_200.0  # 2026-03-01T08:00:00+08:00
SERVED_BY = ServedBy(
    load_balancer_id="lb-0d29a3f6",
    vip="10.0.1.5",
    vport=80,
    node_address="100.64.3.9",
)
PATIENCE_S = 60.0
"""For what comes at once; it never comes, or the machine is busy beyond all measure."""
GONE = ("127.0.0.1", 1)
"""An address where nothing listens."""


SECURE_GROUP = "ip_group-21475a51"
TO_SECURE_GROUP = Policy(
    policy_id=PolicyId("policy-1"),
    priority=1,
    rules=(Rule(key=RuleKey.ALL, value="*"),),
    ip_group_id=IpGroupId(SECURE_GROUP),
)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def until(fact: Callable[[], object]) -> None:
    """Wait for something that nobody announces."""
    while not fact():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Sim:
    """The system under test, and its records."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_AT)
        self.records: list[AccessRecord] = []
        self._arrived = asyncio.Event()
        self._encoder = RecordEncoder(SERVED_BY)
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()
        self._stop = asyncio.Event()
        self._runner: asyncio.Task | None = None
        self.data_plane: DataPlane | None = None
        self.address = ("", 0)
        self.servers: tuple[BackendServer, ...] = ()
        self.balancer: LoadBalancer | None = None
        self.route: ListenerRoute | None = None

    async def start(
        self,
        backends: list[Handler | tuple[str, int]],
        *,
        weights: list[int] | None = None,
        x_forwarded_for: bool = False,
        timeouts: ListenerTimeouts | None = None,
        limits: ListenerLimits | None = None,
        tls: ssl.SSLContext | None = None,
        groups: dict[str, list[int]] | None = None,
        ip_groups: dict[str, list[int]] | None = None,
        backend_tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        **listener_fields,
    ) -> None:
        """Serve ``backends`` on one listener.

        Args:
            groups: further server groups: their ids, and which of the backends are in them.
            ip_groups: the same for IP groups.
            backend_tls: of the backends that are handlers; all backends are then the IP group
                ``SECURE_GROUP`` of protocol HTTPS, to which every request goes.
            host: of the listener and the backends.
            listener_fields: of the model's ``Listener``.
        """
        ready = asyncio.Event()
        self._runner = asyncio.create_task(self._run(ready))
        await ready.wait()
        servers = []
        for index, backend in enumerate(backends):
            address = (
                backend
                if isinstance(backend, tuple)
                else await self.backend(backend, host, backend_tls)
            )
            servers.append(
                BackendServer(
                    backend_server_id=BackendServerId(f"i-{index}"),
                    address="[::1]:8080" if ":" in host else f"10.0.2.{11 + index}:8080",
                    connect_host=address[0],
                    connect_port=address[1],
                    weight=100 if weights is None else weights[index],
                )
            )
        self.servers = tuple(servers)
        group = ServerGroup(
            server_group_id=ServerGroupId("sg-11bd8054"), name="web", servers=self.servers
        )
        listener = Listener(
            protocol=Protocol.HTTP,
            port=80,
            bind_host=host,
            bind_port=0,
            scheduler=Scheduler.ROUND_ROBIN,
            x_forwarded_for=x_forwarded_for,
            server_group_id=group.server_group_id,
            timeouts=timeouts or ListenerTimeouts(),
            limits=limits or ListenerLimits(),
        )
        if backend_tls is not None:
            ip_groups = {SECURE_GROUP: list(range(len(servers)))}
            listener = replace(listener, policies=(TO_SECURE_GROUP,))
        listener = replace(listener, **listener_fields)
        node = ServiceNode(index=0, address="100.64.3.9")
        balancer = LoadBalancer(
            load_balancer_id=LoadBalancerId("lb-0d29a3f6"),
            name="shop",
            kind=LoadBalancerKind.APPLICATION,
            vip="10.0.1.5",
            cluster=Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=(node,)),
            listeners=(listener,),
            server_groups=(group, *self._groups(groups or {})),
            ip_groups=tuple(
                IpGroup(
                    ip_group_id=IpGroupId(made.server_group_id),
                    name="",
                    members=made.servers,
                    protocol=Protocol.HTTP if backend_tls is None else Protocol.HTTPS,
                )
                for made in self._groups(ip_groups or {})
            ),
        )
        self.balancer = balancer
        self.route = compile_route(balancer, listener)
        self.data_plane = DataPlane(clock=self.clock, tasks=self._tasks)
        [bound] = await self.data_plane.start(
            (ListenerSettings(route=self.route, on_record=self._take, tls=tls),)
        )
        self.address = (bound.host, bound.bound_port)

    def _groups(self, members: dict[str, list[int]]) -> tuple[ServerGroup, ...]:
        return tuple(
            ServerGroup(
                server_group_id=ServerGroupId(group_id),
                name="",
                servers=tuple(self.servers[index] for index in indexes),
            )
            for group_id, indexes in members.items()
        )

    async def change(self, groups: dict[str, list[int]] | None = None, **listener_fields) -> None:
        """Go on with a changed listener, and with ``groups`` in place of those of that id."""
        balancer, listener = self.balancer, replace(self.route.listener, **listener_fields)
        others = {group.server_group_id: group for group in balancer.server_groups}
        others.update({group.server_group_id: group for group in self._groups(groups or {})})
        self.balancer = replace(balancer, server_groups=tuple(others.values()))
        self.route = compile_route(self.balancer, listener, self.route)
        await self.data_plane.apply((ListenerSettings(route=self.route, on_record=self._take),))

    async def backend(
        self, handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, host, 0, ssl=tls)
        self._stack.callback(server.close)
        return server.sockets[0].getsockname()[:2]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address, limit=1 << 20)
        self._stack.callback(writer.close)
        return reader, writer

    async def exchange(self, request: bytes) -> bytes:
        """Send ``request`` and read until the listener closes."""
        reader, writer = await self.connect()
        writer.write(request)
        return await reader.read()

    async def fields(self, count: int = 1) -> list[dict]:
        """The first ``count`` records, decoded; waits until there are as many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.records) < count:
                self._arrived.clear()
                await self._arrived.wait()
        assert len(self.records) == count
        return [json.loads(self._encoder.encode(record)) for record in self.records]

    async def aclose(self) -> None:
        if self.data_plane is not None:
            await self.data_plane.aclose(drain_s=0.0)
        await self._stack.aclose()
        if self._runner is not None:
            self._stop.set()
            await self._runner

    async def _run(self, ready: asyncio.Event) -> None:
        """One task owns the group: fixture and test run in different ones."""
        async with self._tasks:
            ready.set()
            await self._stop.wait()

    def _take(self, record: AccessRecord) -> None:
        self.records.append(record)
        self._arrived.set()


@pytest.fixture
async def sim() -> AsyncIterator[Sim]:
    sim = Sim()
    yield sim
    await sim.aclose()
