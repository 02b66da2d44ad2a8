"""The data plane under test in a process of its own: real listener, encoder and spool."""

import argparse
import asyncio
import signal
import ssl
from pathlib import Path

import uvloop

from benchmarks.nginx import CIPHERS
from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy
from simulator.clock import SimulatedClock
from simulator.dataplane import DataPlane, ListenerSettings
from simulator.dataplane.certificates import Authority, make_server_context
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
from simulator.model.tls import CertificateFiles, EncryptionType, TlsSettings
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


def make_route(port: int, backend_port: int, protocol: Protocol = Protocol.HTTP) -> ListenerRoute:
    """One listener in front of one backend server."""
    server = BackendServer(
        backend_server_id=BackendServerId("i-00000001"),
        address="10.0.2.11:8080",
        connect_host="127.0.0.1",
        connect_port=backend_port,
    )
    group = ServerGroup(server_group_id=ServerGroupId("sg-11bd8054"), name="web", servers=(server,))
    listener = Listener(
        protocol=protocol,
        port=80 if protocol is Protocol.HTTP else 443,
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


def make_tls_context(certificate: CertificateFiles) -> ssl.SSLContext:
    """What an HTTPS listener has, with the one cipher that nginx has too."""
    settings = TlsSettings(certificate=certificate, encryption=EncryptionType.TLS_1_2)
    context = make_server_context(settings, Authority(certificate.key.parent))
    context.set_ciphers(CIPHERS)
    return context


async def serve(
    ports: tuple[int, int], backend_port: int, directory: Path, certificate: CertificateFiles
) -> None:
    """Serve HTTP and HTTPS until told to end."""
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
        plain = ListenerSettings(route=make_route(ports[0], backend_port), on_record=on_record)
        secure = ListenerSettings(
            route=make_route(ports[1], backend_port, Protocol.HTTPS),
            on_record=on_record,
            tls=make_tls_context(certificate),
        )
        await data_plane.start((plain, secure))
        await stop.wait()
        await data_plane.aclose(drain_s=0.0)
    clock.stop()
    spool.close()


def main() -> None:
    """Take ports, directory and certificate from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("tls_port", type=int)
    parser.add_argument("backend_port", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("certificate", type=Path)
    parser.add_argument("key", type=Path)
    given = parser.parse_args()
    certificate = CertificateFiles(certificate=given.certificate, key=given.key)
    uvloop.run(
        serve((given.port, given.tls_port), given.backend_port, given.directory, certificate)
    )


if __name__ == "__main__":
    main()
