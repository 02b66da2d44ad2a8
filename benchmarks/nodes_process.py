"""The data plane of one cluster, by one process or by one for each node, told on lines of input.

Each line of standard input is answered with one of JSON: process id and requests of every node.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvloop

from benchmarks.proxy_process import make_route
from simulator.clock import SimulatedClock
from simulator.dataplane import DataPlane
from simulator.dataplane.certificates import make_server_context
from simulator.model import Cluster, ClusterKind, Protocol, ServiceNode
from simulator.model.tls import CertificateFiles, EncryptionType, TlsSettings
from simulator.nodes import NodeComposition, RecordFormat, ServedListener, ServiceNodes
from simulator.spool import Spool

Counts = list[tuple[int, int]]
"""Process id and requests of each node."""


def make_served(
    node_count: int, ports: tuple[int, int], backend_port: int, certificate: CertificateFiles
) -> tuple[ServedListener, ...]:
    """An HTTP and an HTTPS listener on a cluster of so many nodes."""
    nodes = tuple(
        ServiceNode(index=index, address=f"100.64.3.{9 + index}") for index in range(node_count)
    )
    cluster = Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=nodes)
    plain = make_route(ports[0], backend_port)
    secure = make_route(ports[1], backend_port, Protocol.HTTPS)
    return tuple(
        ServedListener(
            load_balancer=replace(
                plain.load_balancer,
                cluster=cluster,
                listeners=(plain.listener, secure.listener),
            ),
            listener=route.listener,
            tls=tls,
        )
        for route, tls in (
            (plain, None),
            (secure, TlsSettings(certificate=certificate, encryption=EncryptionType.TLS_1_2)),
        )
    )


async def serve(served: tuple[ServedListener, ...], directory: Path) -> None:
    """Serve until the input ends."""
    clock = SimulatedClock()
    spool = Spool(directory, clock)
    # Nothing is delivered here: what is closed goes, or the disk would fill.
    spool.on_closed = spool.remove
    cluster = served[0].load_balancer.cluster
    async with asyncio.TaskGroup() as tasks:
        if len(cluster.nodes) == 1:
            clock.start()
            await _serve_here(served, spool, clock, tasks)
        else:
            nodes = ServiceNodes(
                (cluster,),
                clock=clock,
                spool=spool,
                record=RecordFormat(),
                https_count=1,
                keep=(),
                unusable=tuple,
                tasks=tasks,
            )
            await nodes.apply(served)
            clock.start()

            def counts() -> Counts:
                return [(node.pid or 0, node.request_count) for node in nodes.statuses()]

            await _answer(counts)
            await nodes.aclose(drain_s=0.0)
    clock.stop()
    spool.close()


async def _serve_here(
    served: tuple[ServedListener, ...],
    spool: Spool,
    clock: SimulatedClock,
    tasks: asyncio.TaskGroup,
) -> None:
    load_balancer = served[0].load_balancer
    composition = NodeComposition(node_index=0, record=RecordFormat())
    composition.append_to(
        spool.series(load_balancer.load_balancer_id, load_balancer.cluster.nodes[0].address)
    )
    plane = DataPlane(clock=clock, tasks=tasks)
    contexts = [
        None if each.tls is None else make_server_context(each.tls, None) for each in served
    ]
    await plane.start(composition.settings(served, contexts, plane.route_of))

    def counts() -> Counts:
        requests = sum(it.requests for it in composition.traffic(plane).counts.values())
        return [(os.getpid(), requests)]

    await _answer(counts)
    await plane.aclose(drain_s=0.0)


async def _answer(counts: Callable[[], Counts]) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps(counts()), flush=True)


def main() -> None:
    """Take nodes, ports, directory and certificate from the command line."""
    parser = argparse.ArgumentParser()
    for name in ("nodes", "port", "tls_port", "backend_port"):
        parser.add_argument(name, type=int)
    for name in ("directory", "certificate", "key"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    certificate = CertificateFiles(certificate=given.certificate, key=given.key)
    ports = given.port, given.tls_port
    served = make_served(given.nodes, ports, given.backend_port, certificate)
    uvloop.run(serve(served, given.directory))


if __name__ == "__main__":
    main()
