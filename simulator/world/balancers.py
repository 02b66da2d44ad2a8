"""What the admin API, the command and expectations show of load balancers."""

from collections import Counter
from collections.abc import Iterator, Sequence

from simulator.accesslog import TrafficCounts
from simulator.api.simulation import ListenerView, LoadBalancerView, ServerView
from simulator.dataplane import ConnectionCounts
from simulator.dataplane.health import HealthChecks
from simulator.model import HealthState, Listener, LoadBalancer
from simulator.routing import ListenerRoute
from simulator.routing.checked import checked_pools
from simulator.verdict import LoadBalancerMeasures
from simulator.world.serving import Serving
from simulator.world.views import Calendar


class BalancerViews:
    """Reads the counters of every room that has some of a load balancer."""

    def __init__(
        self,
        *,
        serving: Serving,
        health: HealthChecks,
        calendar: Calendar,
    ) -> None:
        self._routes = serving.routes
        self._traffic = serving.traffic
        self._health = health
        self._calendar = calendar

    def views(self, load_balancers: Sequence[LoadBalancer]) -> tuple[LoadBalancerView, ...]:
        """Each with its listeners and servers, as they are now."""
        return tuple(self._view(load_balancer) for load_balancer in load_balancers)

    def _view(self, load_balancer: LoadBalancer) -> LoadBalancerView:
        load_balancer_id = load_balancer.load_balancer_id
        keys = [(load_balancer_id, listener.port) for listener in load_balancer.listeners]
        routes = [self._routes[key] for key in keys if key in self._routes]
        return LoadBalancerView(
            name=load_balancer.name,
            load_balancer_id=load_balancer_id,
            dropped_connections=self._traffic.dropped.get(load_balancer_id, 0),
            listeners=tuple(
                _listener_view(listener, *self._traffic.of_listener(key))
                for listener, key in zip(load_balancer.listeners, keys, strict=True)
            ),
            servers=tuple(self._servers(routes)),
        )

    def _servers(self, routes: Sequence[ListenerRoute]) -> Iterator[ServerView]:
        """The servers that ``routes`` lead to, each once for each check it is under."""
        seen: set[tuple[str, str]] = set()
        for route in routes:
            known = {
                (status.target.scope, status.target.server.backend_server_id): status
                for status in self._health.statuses(route.load_balancer.load_balancer_id)
            }
            for checked in checked_pools(route):
                for server in checked.pool.servers:
                    key = (checked.scope, server.backend_server_id)
                    if key in seen:
                        continue
                    seen.add(key)
                    status = known.get(key)
                    yield ServerView(
                        server=server.address,
                        scope=checked.scope,
                        state=(HealthState.UNKNOWN if status is None else status.state).value,
                        since=None if status is None else self._calendar.iso(status.changed_at),
                        detail="not checked" if status is None else status.detail,
                    )


def balancer_measures(view: LoadBalancerView) -> LoadBalancerMeasures:
    """What expectations compare of a load balancer."""
    by_status: Counter[int] = Counter()
    for listener in view.listeners:
        by_status.update({int(code): count for code, count in listener.by_status.items()})
    states = Counter(server.state for server in view.servers)
    return LoadBalancerMeasures(
        by_status=by_status,
        limited_requests=sum(listener.limited_requests for listener in view.listeners),
        new_connections=sum(listener.new_connections for listener in view.listeners),
        dropped_connections=view.dropped_connections,
        alive_servers=states[HealthState.ALIVE.value],
        dead_servers=states[HealthState.DEAD.value],
    )


def _listener_view(
    listener: Listener, connections: ConnectionCounts, counts: TrafficCounts
) -> ListenerView:
    return ListenerView(
        port=listener.port,
        protocol=listener.protocol.value,
        open_connections=connections.open,
        new_connections=connections.accepted,
        requests=counts.requests,
        by_status={f"{status:03d}": count for status, count in sorted(counts.by_status.items())},
        limited_requests=counts.limited,
        forwarded_requests=counts.forwarded,
        request_time_s=round(counts.request_time_s, 3),
        upstream_time_s=round(counts.upstream_time_s, 3),
        request_bytes=counts.request_bytes,
        response_body_bytes=counts.response_body_bytes,
    )
