"""The data plane under test in a process of its own: real listener, encoder and spool."""

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy
from simulator.clock import SimulatedClock
from simulator.dataplane import DataPlane, ListenerSettings
from simulator.model import (
    BackendServer,
    BackendServerId,
    Cluster,
    ClusterKind,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Protocol,
    Scheduler,
    ServerGroup,
    ServerGroupId,
    ServiceNode,
)
from simulator.routing import ListenerRoute, compile_route
from simulator.spool import Spool

NODE = ServiceNode(index=0, address="100.64.3.9")
LOAD_BALANCER_ID = LoadBalancerId("lb-0d29a3f6")
SERVED_BY = ServedBy(
    load_balancer_id=LOAD_BALANCER_ID,
    vip="10.0.1.5",
    vport=80,
    node_address=NODE.address,
)


def make_route(port: int, backend_port: int) -> ListenerRoute:
    """One listener in front of one backend server."""
    server = BackendServer(
        backend_server_id=BackendServerId("i-00000001"),
        address="10.0.2.11:8080",
        connect_host="127.0.0.1",
        connect_port=backend_port,
    )
    group = ServerGroup(server_group_id=ServerGroupId("sg-11bd8054"), name="web", servers=(server,))
    listener = Listener(
        protocol=Protocol.HTTP,
        port=80,
        bind_host="127.0.0.1",
        bind_port=port,
        scheduler=Scheduler.ROUND_ROBIN,
        x_forwarded_for=True,
        server_group_id=group.server_group_id,
    )
    balancer = LoadBalancer(
        load_balancer_id=LOAD_BALANCER_ID,
        name="shop",
        kind=LoadBalancerKind.APPLICATION,
        vip=SERVED_BY.vip,
        cluster=Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=(NODE,)),
        listeners=(listener,),
        server_groups=(group,),
    )
    return compile_route(balancer, listener)


async def serve(port: int, backend_port: int, directory: Path) -> None:
    """Serve until told to end."""
    clock = SimulatedClock()
    spool = Spool(directory, clock)
    # Nothing is delivered here: what is closed goes, or the disk would fill.
    spool.on_closed = spool.remove
    append = spool.series(LOAD_BALANCER_ID, NODE.address).append
    encode = RecordEncoder(SERVED_BY).encode

    def on_record(record: AccessRecord) -> None:
        append(record.logged_at, encode(record))

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock.start()
    async with asyncio.TaskGroup() as tasks:
        data_plane = DataPlane(clock=clock, tasks=tasks)
        settings = ListenerSettings(route=make_route(port, backend_port), on_record=on_record)
        await data_plane.start((settings,))
        await stop.wait()
        await data_plane.aclose(drain_s=0.0)
    clock.stop()
    spool.close()


def main() -> None:
    """Take port, backend port and spool directory from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("backend_port", type=int)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.backend_port, arguments.directory))


if __name__ == "__main__":
    main()
