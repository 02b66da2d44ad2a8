"""What a dedicated cluster may take on one of its service nodes, beside what each instance may."""

from collections.abc import Mapping

from simulator.model import Cluster, InstanceLimits, LoadBalancer, LoadBalancerId, Protocol
from simulator.routing.limits import InstanceLimiter, Limiter, make_limiter


class ListenerLimiter:
    """The limits of a listener's load balancer, then those of its cluster.

    Args:
        instance: of the load balancer; None: unlimited.
        cluster: shared by all listeners of one protocol in the cluster.

    Source: assumed (the vendor says what it measures of a dedicated cluster, ``httpQps``,
    ``httpsQps``, ``httpNewConnectCps`` and ``httpsNewConnectCps``, and not what happens above:
    the same as above an instance's limits; a request that the instance let through has cost it a
    token even where the cluster refuses it).
    """

    __slots__ = ("_cluster", "_instance", "dropped_connection_count")

    def __init__(self, instance: InstanceLimiter | None, cluster: InstanceLimiter) -> None:
        self._instance = instance
        self._cluster = cluster
        self.dropped_connection_count = 0
        """Connections of this listener that the cluster refused."""

    def admit_request(self, now: float) -> tuple[int, int] | None:
        """Let a request pass, or not; see ``InstanceLimiter``."""
        if self._instance is not None:
            refused = self._instance.admit_request(now)
            if refused is not None:
                return refused
        return self._cluster.admit_request(now)

    def admit_connection(self, now: float, open_count: int) -> bool:
        """Let a new connection in, or not; see ``InstanceLimiter``."""
        if self._instance is not None and not self._instance.admit_connection(now, open_count):
            return False
        if self._cluster.admit_connection(now, open_count):
            return True
        self.dropped_connection_count += 1
        return False


class NodeLimits:
    """All limiters of one service node, kept while configurations come and go."""

    def __init__(self) -> None:
        self._instances: Mapping[LoadBalancerId, InstanceLimiter | None] = {}
        self._clusters: dict[tuple[str, Protocol], InstanceLimiter | None] = {}
        self._listeners: dict[tuple[LoadBalancerId, int], ListenerLimiter] = {}

    def apply(self, load_balancers: Mapping[LoadBalancerId, LoadBalancer]) -> None:
        """Make these all there is; limiters whose limits stay keep their tokens."""
        before = self._instances
        self._instances = {
            load_balancer_id: make_limiter(
                load_balancer.limits,
                node_count=len(load_balancer.cluster.nodes),
                previous=before.get(load_balancer_id),
            )
            for load_balancer_id, load_balancer in load_balancers.items()
        }

    def of_listener(
        self, load_balancer: LoadBalancer, port: int, protocol: Protocol
    ) -> Limiter | None:
        """What one of the listeners asks; None: unlimited. After ``apply``."""
        instance = self._instances[load_balancer.load_balancer_id]
        cluster = self._of_cluster(load_balancer.cluster, protocol)
        if cluster is None:
            return instance
        limiter = ListenerLimiter(instance, cluster)
        key = load_balancer.load_balancer_id, port
        if key in self._listeners:
            limiter.dropped_connection_count = self._listeners[key].dropped_connection_count
        self._listeners[key] = limiter
        return limiter

    def dropped_connections(self) -> dict[LoadBalancerId, int]:
        """Connections that the limits of each load balancer, or of its cluster, refused."""
        dropped: dict[LoadBalancerId, int] = {
            load_balancer_id: limiter.dropped_connection_count
            for load_balancer_id, limiter in self._instances.items()
            if limiter is not None
        }
        for (load_balancer_id, _), listener in self._listeners.items():
            count = dropped.get(load_balancer_id, 0)
            dropped[load_balancer_id] = count + listener.dropped_connection_count
        return dropped

    def _of_cluster(self, cluster: Cluster, protocol: Protocol) -> InstanceLimiter | None:
        limits = cluster.limits
        is_http = protocol is Protocol.HTTP
        key = cluster.name, protocol
        self._clusters[key] = limiter = make_limiter(
            InstanceLimits(
                qps=limits.http_qps if is_http else limits.https_qps,
                new_connections=(
                    limits.http_new_connections if is_http else limits.https_new_connections
                ),
            ),
            node_count=len(cluster.nodes),
            previous=self._clusters.get(key),
        )
        return limiter
