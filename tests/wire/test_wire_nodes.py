"""Service nodes as processes, changed and disturbed while they serve."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from simulator.clock import ManualClock
from simulator.dataplane import ListenerAddress
from simulator.errors import StartupError
from simulator.model import (
    BackendServer,
    BackendServerId,
    CertificateFiles,
    Cluster,
    ClusterKind,
    ClusterLimits,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Protocol,
    Scheduler,
    ServerGroup,
    ServerGroupId,
    ServiceNode,
    TlsSettings,
)
from simulator.nodes import RecordFormat, ServedListener, ServiceNodes
from simulator.spool import SegmentInfo, Spool
from tests.wire.conftest import read_head, until

T = 1_772_323_200.0
CLUSTER = Cluster(
    name="shared",
    kind=ClusterKind.SHARED,
    cluster_id="",
    nodes=tuple(ServiceNode(index=index, address=f"100.64.3.{9 + index}") for index in range(2)),
)


class Nodes:
    """Two nodes, and what they spool."""

    def __init__(self, directory: Path, tasks: asyncio.TaskGroup) -> None:
        self.clock = ManualClock(T)
        self.spool = Spool(directory / "spool", self.clock)
        self.segments: list[SegmentInfo] = []
        self.spool.on_closed = self.segments.append
        self.unusable: list[tuple[LoadBalancerId, str, BackendServerId]] = []
        self.service = ServiceNodes(
            (CLUSTER,),
            clock=self.clock,
            spool=self.spool,
            record=RecordFormat(),
            https_count=1,
            keep=(),
            unusable=lambda: tuple(self.unusable),
            tasks=tasks,
        )
        self.servers: list[BackendServer] = []
        self._sockets: list[asyncio.Server] = []

    async def add_server(self, name: str) -> None:
        """A backend server that answers with its name."""
        body = name.encode()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await read_head(reader)
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                    )
            except (EOFError, OSError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._sockets.append(server)
        host, port = server.sockets[0].getsockname()
        self.servers.append(
            BackendServer(
                backend_server_id=BackendServerId(f"i-{name}"),
                address=f"10.0.2.{10 + len(self.servers)}:8080",
                connect_host=host,
                connect_port=port,
            )
        )

    def served(
        self,
        *ports: int,
        servers: list[int] | None = None,
        tls: TlsSettings | None = None,
        cluster: Cluster = CLUSTER,
    ) -> tuple[ServedListener, ...]:
        """Listeners on these simulated ports, all to the same servers."""
        group = ServerGroup(
            server_group_id=ServerGroupId("sg-11bd8054"),
            name="web",
            servers=tuple(
                server
                for index, server in enumerate(self.servers)
                if servers is None or index in servers
            ),
        )
        listeners = tuple(
            Listener(
                protocol=Protocol.HTTP if tls is None else Protocol.HTTPS,
                port=port,
                bind_host="127.0.0.1",
                bind_port=0,
                scheduler=Scheduler.ROUND_ROBIN,
                x_forwarded_for=False,
                server_group_id=group.server_group_id,
            )
            for port in ports
        )
        balancer = LoadBalancer(
            load_balancer_id=LoadBalancerId("lb-0d29a3f6"),
            name="shop",
            kind=LoadBalancerKind.APPLICATION,
            vip="10.0.1.5",
            cluster=cluster,
            listeners=listeners,
            server_groups=(group,),
        )
        return tuple(
            ServedListener(load_balancer=balancer, listener=listener, tls=tls)
            for listener in listeners
        )

    async def aclose(self) -> None:
        await self.service.aclose(drain_s=0.5)
        self.spool.close()
        self.clock.stop()
        for server in self._sockets:
            server.close()


@asynccontextmanager
async def nodes_in(directory: Path) -> AsyncIterator[Nodes]:
    async with asyncio.TaskGroup() as tasks:
        nodes = Nodes(directory, tasks)
        nodes.clock.start()
        try:
            for name in ("one", "two"):
                await nodes.add_server(name)
            yield nodes
        finally:
            await nodes.aclose()


@pytest.fixture
async def nodes(tmp_path: Path):
    stop = asyncio.Event()
    ready: asyncio.Future[Nodes] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with nodes_in(tmp_path) as found:
            ready.set_result(found)
            await stop.wait()

    runner = asyncio.create_task(run())
    yield await ready
    stop.set()
    await runner


class Client:
    """A kept-alive connection."""

    def __init__(self, address: ListenerAddress) -> None:
        self._address = address

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._address.host, self._address.bound_port
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, path: str = "/") -> tuple[int, bytes]:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await read_head(self._reader)
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        return int(head.split()[1]), await self._reader.readexactly(length)


async def answers(address: ListenerAddress, count: int) -> Counter[tuple[int, bytes]]:
    """What so many connections get, one request each."""
    found: Counter[tuple[int, bytes]] = Counter()
    for _ in range(count):
        async with Client(address) as client:
            found[await client.get()] += 1
    return found


async def test_a_change_under_load_fails_no_request(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80, servers=[0]))
    changed = asyncio.Event()
    seen: list[Counter[bytes]] = []

    async def load() -> None:
        found: Counter[bytes] = Counter()
        seen.append(found)
        async with Client(address) as client:
            after = 0
            while after < 10:
                after += changed.is_set()
                status, body = await client.get()
                assert status == 200
                found[body] += 1
            # It began before the change and ends after it, on one connection.
            assert (await client.get())[1] == b"two"

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(load())
        await until(lambda: sum(map(len, seen)) == 8)
        again = await service.apply(nodes.served(80, 8080, servers=[1]))
        changed.set()
    assert again[0] == address
    assert (await answers(again[1], 8)).keys() == {(200, b"two")}
    await service.refresh(0)
    assert sum(count.requests for count in service.traffic.counts.values()) == 16 + sum(
        sum(found.values()) for found in seen
    )


async def test_a_listener_that_goes_lets_its_port_go(nodes: Nodes):
    service = nodes.service
    first, second = await service.apply(nodes.served(80, 8080))
    [kept] = await service.apply(nodes.served(80))
    assert kept == first
    assert (await answers(kept, 6)).keys() == {(200, b"one"), (200, b"two")}
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(second.host, second.bound_port)


async def test_what_one_node_cannot_serve_changes_nothing_on_any(nodes: Nodes, tmp_path: Path):
    service = nodes.service
    [address] = await service.apply(nodes.served(80, servers=[0]))
    missing = CertificateFiles(certificate=tmp_path / "no.pem", key=tmp_path / "no.key")
    refused = (
        *nodes.served(80, servers=[1]),
        *nodes.served(443, tls=TlsSettings(certificate=missing)),
    )
    with pytest.raises(StartupError, match=r"no\.pem"):
        await service.apply(refused)
    assert (await answers(address, 8)).keys() == {(200, b"one")}
    # And the next change is served as if that had never been.
    [again] = await service.apply(nodes.served(80, servers=[1]))
    assert again == address
    assert (await answers(address, 8)).keys() == {(200, b"two")}


async def test_a_taken_port_is_refused_before_any_node_hears_of_it(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        [kept, wanted] = nodes.served(80, 81)
        wanted = replace(wanted, listener=replace(wanted.listener, bind_port=port), place="here")
        with pytest.raises(StartupError, match=rf"here: listener shop:81 .*:{port}: "):
            await service.apply((kept, wanted))
    assert (await answers(address, 4)).total() == 4


async def test_every_node_is_told_of_a_dead_server_and_a_new_one_too(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80))
    dead = (LoadBalancerId("lb-0d29a3f6"), "sg-11bd8054 for HTTP:80", BackendServerId("i-one"))
    nodes.unusable.append(dead)
    service.tell_health(*dead, ok=False)
    await service.refresh(0)
    assert (await answers(address, 12)).keys() == {(200, b"two")}
    for status in service.statuses():
        os.kill(status.pid, signal.SIGKILL)
    await until(lambda: all(each.restart_count == 1 and each.pid for each in service.statuses()))
    assert (await answers(address, 12)).keys() == {(200, b"two")}
    nodes.unusable.clear()
    service.tell_health(*dead, ok=True)
    await service.refresh(0)
    assert (await answers(address, 12)).keys() == {(200, b"one"), (200, b"two")}


async def test_limits_of_a_cluster_are_shared_out_and_hold_for_all_its_balancers(nodes: Nodes):
    limited = replace(CLUSTER, kind=ClusterKind.DEDICATED, limits=ClusterLimits(http_qps=4))
    served = nodes.served(80, cluster=limited)
    other = replace(
        served[0].load_balancer, load_balancer_id=LoadBalancerId("lb-11111111"), name="other"
    )
    both = (*served, replace(served[0], load_balancer=other))
    addresses = await nodes.service.apply(both)
    # Two a second on each of two nodes, for both balancers together, and the clock stands.
    found: Counter[int] = Counter()
    for _ in range(20):
        for address in addresses:
            for status, _ in await answers(address, 1):
                found[status] += 1
    assert found == {200: 4, 503: 36}
    # A second's worth at most is saved up.
    await nodes.clock.advance(10)
    for _ in range(20):
        for address in addresses:
            for status, _ in await answers(address, 1):
                found[status] += 1
    assert found == {200: 8, 503: 72}


async def test_a_node_that_cannot_be_kept_up_is_tried_again_and_again(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80))
    for restarts in (1, 2, 3):
        [victim, _] = service.statuses()
        os.kill(victim.pid, signal.SIGKILL)
        await until(
            lambda restarts=restarts: (
                service.statuses()[0].restart_count == restarts and service.statuses()[0].pid
            )
        )
    assert (await answers(address, 8)).total() == 8


async def test_a_node_that_hangs_is_ended_and_nobody_waits_for_ever(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80))
    before = service.statuses()
    service._patience_s = 4.0  # more than the other one may be kept from answering
    os.kill(before[0].pid, signal.SIGSTOP)
    await service.refresh(0)
    await until(lambda: service.statuses()[0].restart_count == 1 and service.statuses()[0].pid)
    assert (await answers(address, 8)).total() == 8
    assert service.statuses()[1].pid == before[1].pid


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_nodes_outlive_the_process_they_were_forked_from(nodes: Nodes):
    service = nodes.service
    [address] = await service.apply(nodes.served(80))
    before = service.statuses()
    os.kill(parent_of(before[0].pid), signal.SIGKILL)
    assert (await answers(address, 8)).total() == 8
    os.kill(before[0].pid, signal.SIGKILL)
    await until(lambda: service.statuses()[0].restart_count == 1 and service.statuses()[0].pid)
    assert (await answers(address, 8)).total() == 8
    assert service.statuses()[1].pid == before[1].pid
