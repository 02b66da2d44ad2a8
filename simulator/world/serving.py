"""Who serves the listeners: this process where a cluster has one node, else a process per node."""

import asyncio
import os
from collections.abc import Iterator

from simulator.api.simulation import NodeView
from simulator.clock import SimulatedClock
from simulator.dataplane import DataPlane, ListenerAddress, ListenerKey, ListenerSettings
from simulator.dataplane.certificates import make_server_context
from simulator.dataplane.health import HealthChecks
from simulator.model import Cluster, HealthState, LoadBalancerId
from simulator.nodes import (
    NodeComposition,
    NodeTraffic,
    RecentRecord,
    RecordFormat,
    ServedListener,
    ServiceNodes,
)
from simulator.routing import ListenerRoute, compile_route
from simulator.routing.health import HealthChange
from simulator.scenario import Scenario
from simulator.spool import Spool
from simulator.world.views import Calendar


class Serving:
    """All service nodes of a simulation.

    Args:
        scenario: names the clusters.
        spool: takes the records.
        clock: dates records; processes follow it.
        health: says who can serve.
        lock: descriptor of the data directory's lock, which processes keep too.
        tasks: outlives it.

    At the end you must call ``aclose``.
    """

    def __init__(
        self,
        scenario: Scenario,
        spool: Spool,
        *,
        clock: SimulatedClock,
        health: HealthChecks,
        lock: int,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.routes: dict[ListenerKey, ListenerRoute] = {}
        """By which health checks know the servers of every listener."""
        self._clock = clock
        self._spool = spool
        self._plane = DataPlane(clock=clock, tasks=tasks)
        record = RecordFormat(
            shape=scenario.record.shape, zone_offset_s=scenario.record.zone_offset_s
        )
        self._here = NodeComposition(node_index=0, record=record)
        self._clusters: dict[str, Cluster] = {
            plan.cluster.name: plan.cluster for plan in scenario.load_balancers
        }
        self._served: tuple[ServedListener, ...] = ()
        self._settings: tuple[ListenerSettings, ...] = ()
        self._started_at = 0.0
        self._nodes: ServiceNodes | None = None
        several = tuple(cluster for cluster in self._clusters.values() if len(cluster.nodes) > 1)
        if several:
            tls = [each.tls for plan in scenario.load_balancers for each in plan.listeners]
            self._nodes = ServiceNodes(
                several,
                clock=clock,
                spool=spool,
                record=record,
                https_count=len(tls) - tls.count(None),
                keep=(lock,),
                unusable=health.unusable,
                tasks=tasks,
            )

    def prepare(self, served: tuple[ServedListener, ...]) -> None:
        """Make ready to serve these listeners; ``routes`` are known then.

        Raises:
            StartupError: a certificate cannot be read; the spool cannot be written.
        """
        self._served = served
        here = [each for each in served if _is_here(each.load_balancer.cluster)]
        contexts = [
            None if each.tls is None else make_server_context(each.tls, None) for each in here
        ]
        for each in here:
            # Without a flow log too: the ledger knows every record, and one can be made any time.
            load_balancer = each.load_balancer
            self._here.append_to(
                self._spool.series(
                    load_balancer.load_balancer_id, load_balancer.cluster.nodes[0].address
                )
            )
        self._settings = self._here.settings(here, contexts, self._plane.route_of)
        self.routes = {setting.key: setting.route for setting in self._settings} | {
            each.key: compile_route(each.load_balancer, each.listener)
            for each in served
            if each not in here
        }

    async def start(self) -> tuple[ListenerAddress, ...]:
        """Open every listener and start the clock; where each listens, in order.

        Raises:
            StartupError: a socket could not be bound, or a node does not start.
        """
        addresses: tuple[ListenerAddress, ...] = ()
        if self._nodes is not None:
            # While time still stands: they may take a moment.
            elsewhere = tuple(
                each for each in self._served if not _is_here(each.load_balancer.cluster)
            )
            addresses = await self._nodes.apply(elsewhere)
        self._clock.start()
        self._started_at = self._clock.time()
        addresses += await self._plane.start(self._settings)
        by_key = {(address.load_balancer_id, address.port): address for address in addresses}
        return tuple(by_key[each.key] for each in self._served)

    def tell_health(self, load_balancer_id: LoadBalancerId, change: HealthChange) -> None:
        """A server's state has changed; in this process its pools know already."""
        after = change.after
        if self._nodes is not None:
            self._nodes.tell_health(
                load_balancer_id,
                after.target.scope,
                after.target.server.backend_server_id,
                ok=after.state is HealthState.ALIVE,
            )

    def hold(self) -> None:
        """Take no new request until ``resume``; those under way finish."""
        self._plane.hold()
        if self._nodes is not None:
            self._nodes.hold_requests()

    def resume(self) -> None:
        """Take requests again."""
        self._plane.resume()
        if self._nodes is not None:
            self._nodes.resume_requests()

    async def settle(self) -> None:
        """Return when every request that has been answered is in the spool, and known to be."""
        if self._nodes is not None:
            await self._nodes.settle()

    async def refresh(self, record_count: int) -> None:
        """Bring in what only processes know, so many of the newest records of each with it."""
        if self._nodes is not None:
            await self._nodes.refresh(record_count)

    @property
    def recent(self) -> tuple[RecentRecord, ...]:
        """The newest records, oldest of them first, as of the last ``refresh``."""
        here = tuple(self._here.recent)
        if self._nodes is None:
            return here
        return tuple(sorted((*here, *self._nodes.recent), key=lambda record: record.logged_at))

    @property
    def traffic(self) -> NodeTraffic:
        """What all nodes together have served, as of the last ``refresh``."""
        traffic = self._here.traffic(self._plane)
        if self._nodes is not None:
            traffic.merge(self._nodes.traffic)
        return traffic

    def views(self, calendar: Calendar) -> tuple[NodeView, ...]:
        """Every node of every cluster that serves a load balancer."""
        elsewhere = () if self._nodes is None else self._nodes.statuses()
        return (
            *self._views_here(calendar),
            *(
                NodeView(
                    cluster=node.cluster,
                    address=node.address,
                    pid=node.pid,
                    started_at=calendar.iso(node.started_at),
                    restarts=node.restart_count,
                    connections=node.connections,
                    requests=node.request_count,
                )
                for node in elsewhere
            ),
        )

    def _views_here(self, calendar: Calendar) -> Iterator[NodeView]:
        traffic = self._here.traffic(self._plane)
        for cluster in self._clusters.values():
            if _is_here(cluster):
                keys = [
                    each.key
                    for each in self._served
                    if each.load_balancer.cluster.name == cluster.name
                ]
                yield NodeView(
                    cluster=cluster.name,
                    address=cluster.nodes[0].address,
                    pid=os.getpid(),
                    started_at=calendar.iso(self._started_at),
                    restarts=0,
                    connections=sum(traffic.connections[key].open for key in keys),
                    requests=sum(traffic.counts[key].requests for key in keys),
                )

    async def aclose(self, *, drain_s: float) -> None:
        """Accept no more, let requests under way finish for ``drain_s``, cut the rest."""
        if self._nodes is not None:
            await self._nodes.aclose(drain_s=drain_s)
        await self._plane.aclose(drain_s=drain_s)


def _is_here(cluster: Cluster) -> bool:
    return len(cluster.nodes) == 1
