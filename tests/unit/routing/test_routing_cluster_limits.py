"""Limits of a dedicated cluster beside those of its load balancers."""

from dataclasses import replace

from simulator.model import (
    Cluster,
    ClusterKind,
    ClusterLimits,
    InstanceLimits,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Protocol,
    ServiceNode,
)
from simulator.routing.cluster_limits import NodeLimits

T = 1_772_323_200.0
CLUSTER = Cluster(
    name="own",
    kind=ClusterKind.DEDICATED,
    cluster_id="nginx_group-12345678",
    nodes=tuple(ServiceNode(index=index, address=f"100.64.0.{index + 2}") for index in range(2)),
    limits=ClusterLimits(http_qps=8, https_new_connections=2),
)


def balancer(name: str, cluster: Cluster = CLUSTER, **limits: int) -> LoadBalancer:
    return LoadBalancer(
        load_balancer_id=LoadBalancerId(name),
        name=name,
        kind=LoadBalancerKind.APPLICATION,
        vip="10.0.0.1",
        cluster=cluster,
        listeners=(),
        server_groups=(),
        limits=InstanceLimits(**limits),
    )


def applied(*balancers: LoadBalancer) -> NodeLimits:
    limits = NodeLimits()
    limits.apply({each.load_balancer_id: each for each in balancers})
    return limits


def admitted(limiter, now: float, count: int = 20) -> int:
    return sum(limiter.admit_request(now) is None for _ in range(count))


def test_all_load_balancers_of_a_cluster_share_a_node_s_part_of_its_limit():
    one, two = balancer("one"), balancer("two")
    limits = applied(one, two)
    first = limits.of_listener(one, 80, Protocol.HTTP)
    second = limits.of_listener(two, 8080, Protocol.HTTP)
    assert admitted(first, T, 3) == 3
    assert admitted(second, T) == 1  # four a second on each of two nodes
    assert admitted(first, T + 0.5) == 2


def test_a_refusal_by_the_cluster_tells_what_it_saw_and_has():
    one = balancer("one")
    limiter = applied(one).of_listener(one, 80, Protocol.HTTP)
    admitted(limiter, T, 4)
    assert limiter.admit_request(T) == (5, 0)


def test_each_protocol_has_its_own_limits():
    one = balancer("one")
    limits = applied(one)
    https = limits.of_listener(one, 443, Protocol.HTTPS)
    http = limits.of_listener(one, 80, Protocol.HTTP)
    assert admitted(https, T) == 20
    assert [https.admit_connection(T, 0) for _ in range(2)] == [True, False]
    assert all(http.admit_connection(T, 0) for _ in range(20))
    assert limits.dropped_connections() == {"one": 1}


def test_the_instance_is_asked_first():
    one = balancer("one", qps=2)
    limits = applied(one)
    limiter = limits.of_listener(one, 80, Protocol.HTTP)
    assert admitted(limiter, T) == 1
    # What the instance refused has cost the cluster nothing.
    other = balancer("two")
    limits.apply({"one": one, "two": other})
    assert admitted(limits.of_listener(other, 80, Protocol.HTTP), T) == 3


def test_a_cluster_without_numbers_costs_nothing():
    free = replace(CLUSTER, limits=ClusterLimits())
    one = balancer("one", cluster=free)
    assert applied(one).of_listener(one, 80, Protocol.HTTP) is None


def test_a_change_keeps_tokens_and_counts():
    one = balancer("one")
    limits = applied(one)
    https = limits.of_listener(one, 443, Protocol.HTTPS)
    assert [https.admit_connection(T, 0) for _ in range(2)] == [True, False]
    limits.apply({"one": one})
    again = limits.of_listener(one, 443, Protocol.HTTPS)
    assert not again.admit_connection(T, 0)
    assert limits.dropped_connections() == {"one": 2}
