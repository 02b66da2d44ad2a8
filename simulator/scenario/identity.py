"""Ids and addresses that follow from the seed and a name, so that one seed is one region."""

from simulator.model import (
    BackendServerId,
    Cluster,
    ClusterKind,
    ClusterLimits,
    FlowLogId,
    IpGroupId,
    LoadBalancerId,
    PolicyId,
    ServerGroupId,
    ServiceNode,
)
from simulator.rng import Rng

SHARED_CLUSTER = "shared"
BACKEND_PORT = 8080
"""Port in the record of built-in backend servers. Source: assumed (any would do)."""
BACKEND_TLS_PORT = 8443
"""The same of those that speak TLS."""


class Identities:
    """Draws ids and addresses; each kind of address is given out once.

    Call it in the order of the file: when two names draw the same address, the later one moves on.
    Source: id forms as in the vendor's examples (``lb-3d3d4a58``, ``sg-9153c2d9``,
    ``nginx_group-`` and ``i-`` with 8 characters); one form for all digits is assumed.
    """

    def __init__(self, seed: int) -> None:
        self._rng = Rng(seed)
        self._taken: set[str] = set()

    def load_balancer_id(self, name: str) -> LoadBalancerId:
        """``lb-`` and 8 hex digits."""
        return LoadBalancerId(self._rng.hex_id("lb-", name))

    def server_group_id(self, load_balancer: str, group: str) -> ServerGroupId:
        """``sg-`` and 8 hex digits."""
        return ServerGroupId(self._rng.hex_id("sg-", load_balancer, group))

    def port_id(self, load_balancer: str, group: str, port: int) -> str:
        """``port-`` and 8 hex digits."""
        return self._rng.hex_id("port-", load_balancer, group, port)

    def ip_group_id(self, load_balancer: str, group: str) -> IpGroupId:
        """``ip_group-`` and 8 hex digits."""
        return IpGroupId(self._rng.hex_id("ip_group-", load_balancer, group))

    def ip_member_id(self, load_balancer: str, group: str, address: str) -> BackendServerId:
        """``ip_member-`` and 8 hex digits."""
        return BackendServerId(self._rng.hex_id("ip_member-", load_balancer, group, address))

    def policy_id(self, load_balancer: str, port: int, priority: int) -> PolicyId:
        """``policy-`` and 8 hex digits."""
        return PolicyId(self._rng.hex_id("policy-", load_balancer, port, priority))

    def backend_server_id(self, backends: str, index: int) -> BackendServerId:
        """``i-`` and 8 hex digits; the same in every group the server is in."""
        return BackendServerId(self._rng.hex_id("i-", backends, index))

    def flow_log_id(self, name: str) -> FlowLogId:
        """``fl-`` and 8 hex digits."""
        return FlowLogId(self._rng.hex_id("fl-", name))

    def cluster(self, name: str, *, node_count: int = 1, limits: ClusterLimits) -> Cluster:
        """The shared cluster, or the dedicated one of that name, with its nodes.

        Source: doc https://cloud.baidu.com/doc/BLB/s/Blswws5w7 (nodes talk to backend servers
        from 100.64.0.0/10); how many nodes a cluster has is assumed to be anybody's guess.
        """
        shared = name == SHARED_CLUSTER
        nodes = tuple(
            ServiceNode(
                index=index,
                address=self._address(
                    "100", 64, 127, "node", name, *([index] if index else []), subnets=(0, 255)
                ),
            )
            for index in range(node_count)
        )
        return Cluster(
            name=name,
            kind=ClusterKind.SHARED if shared else ClusterKind.DEDICATED,
            cluster_id="" if shared else self._rng.hex_id("nginx_group-", name),
            nodes=nodes,
            limits=limits,
        )

    def take(self, address: str) -> None:
        """Never give ``address`` out; for those the scenario names."""
        self._taken.add(address)

    def vip(self, load_balancer: str) -> str:
        """A free address in 192.168.0.0/20."""
        return self._address("192", 168, 168, "vip", load_balancer, subnets=(0, 15))

    def backend_address(self, backends: str, index: int, *, tls: bool) -> str:
        """A free ``ip:port`` in 192.168.16.0/20 for a built-in server."""
        ip = self._address("192", 168, 168, "backend", backends, index, subnets=(16, 31))
        return f"{ip}:{BACKEND_TLS_PORT if tls else BACKEND_PORT}"

    def _address(
        self, first: str, low: int, high: int, *name: str | int, subnets: tuple[int, int]
    ) -> str:
        count = (high - low + 1) * (subnets[1] - subnets[0] + 1) * 253
        offset = int(self._rng.uniform("address", *name) * count)
        for step in range(count):
            rest, host = divmod((offset + step) % count, 253)
            second, third = divmod(rest, subnets[1] - subnets[0] + 1)
            # .0 and .255 look like networks, .1 like a gateway.
            address = f"{first}.{low + second}.{subnets[0] + third}.{host + 2}"
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise AssertionError("no address is left")
