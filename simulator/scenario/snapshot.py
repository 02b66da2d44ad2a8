"""The first snapshot of a run: the scenario's load balancers with servers that have sockets."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from simulator.model import (
    BackendServer,
    Listener,
    LoadBalancer,
    LoadBalancerKind,
    ServerGroup,
    ServerGroupId,
    Snapshot,
)
from simulator.scenario.identity import Identities
from simulator.scenario.scenario import Backends, ExternalServers, LoadBalancerPlan, Scenario
from simulator.workload import BackendProfile


def build_snapshot(scenario: Scenario, bound: Mapping[str, Sequence[tuple[str, int]]]) -> Snapshot:
    """The load balancers of ``scenario``.

    Args:
        scenario: as loaded.
        bound: name of each set of built-in backend servers to the real ``(host, port)`` of each
            of its servers, in order.

    Built-in servers are recorded under private addresses that follow from the seed; external
    ones under their own.
    """
    identities = Identities(scenario.seed)
    for plan in scenario.load_balancers:
        identities.take(plan.vip)
    servers = {
        backends.name: _servers(backends, bound, identities) for backends in scenario.backends
    }
    return Snapshot(
        load_balancers=tuple(
            _load_balancer(plan, servers, identities) for plan in scenario.load_balancers
        )
    )


def _servers(
    backends: Backends,
    bound: Mapping[str, Sequence[tuple[str, int]]],
    identities: Identities,
) -> tuple[BackendServer, ...]:
    match backends.servers:
        case ExternalServers(addresses=sockets):
            addresses = [_join(host, port) for host, port in sockets]
        case BackendProfile(name=name, count=count):
            sockets = tuple(bound[name])
            addresses = [identities.backend_address(name, index) for index in range(count)]
        case _:
            assert_never(backends.servers)
    return tuple(
        BackendServer(
            backend_server_id=identities.backend_server_id(backends.name, index),
            address=address,
            connect_host=host,
            connect_port=port,
            weight=weight,
        )
        for index, (address, (host, port), weight) in enumerate(
            zip(addresses, sockets, backends.weights, strict=True)
        )
    )


def _load_balancer(
    plan: LoadBalancerPlan,
    servers: Mapping[str, tuple[BackendServer, ...]],
    identities: Identities,
) -> LoadBalancer:
    groups = {
        name: ServerGroup(
            server_group_id=_server_group_id(plan, name, identities),
            name=name,
            servers=servers[name],
        )
        for name in dict.fromkeys(listener.backends for listener in plan.listeners)
    }
    return LoadBalancer(
        load_balancer_id=plan.load_balancer_id,
        name=plan.name,
        kind=plan.kind,
        vip=plan.vip,
        cluster=plan.cluster,
        listeners=tuple(
            Listener(
                protocol=listener.protocol,
                port=listener.port,
                bind_host=listener.bind_host,
                bind_port=listener.bind_port,
                scheduler=listener.scheduler,
                x_forwarded_for=listener.x_forwarded_for,
                server_group_id=groups[listener.backends].server_group_id,
                timeouts=listener.timeouts,
                limits=listener.limits,
            )
            for listener in plan.listeners
        ),
        server_groups=tuple(groups.values()),
    )


def _server_group_id(plan: LoadBalancerPlan, name: str, identities: Identities) -> ServerGroupId:
    """Source: assumed for standard load balancers, which have no groups: the instance's id."""
    if plan.kind is LoadBalancerKind.STANDARD:
        return ServerGroupId(plan.load_balancer_id)
    return identities.server_group_id(plan.name, name)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
