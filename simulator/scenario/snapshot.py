"""The first snapshot of a run: the scenario's load balancers with servers that have sockets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from simulator.model import (
    BackendServer,
    IpGroup,
    Listener,
    LoadBalancer,
    LoadBalancerKind,
    Policy,
    ServerGroup,
    ServerGroupId,
    ServerGroupPort,
    Snapshot,
)
from simulator.scenario.identity import Identities
from simulator.scenario.scenario import (
    Backends,
    ExternalServers,
    IpGroupPlan,
    ListenerPlan,
    LoadBalancerPlan,
    PolicyPlan,
    Scenario,
    ServerGroupPlan,
)
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
            addresses = [
                identities.backend_address(name, index, tls=backends.tls) for index in range(count)
            ]
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
        group.name: _server_group(plan, group, servers, identities) for group in plan.server_groups
    }
    ip_groups = {
        group.name: _ip_group(plan, group, servers, identities) for group in plan.ip_groups
    }
    instance_servers = _instance_servers(plan, servers)
    return LoadBalancer(
        load_balancer_id=plan.load_balancer_id,
        name=plan.name,
        kind=plan.kind,
        vip=plan.vip,
        gateway_addresses=plan.gateway_addresses,
        cluster=plan.cluster,
        listeners=tuple(
            Listener(
                protocol=listener.protocol,
                port=listener.port,
                bind_host=listener.bind_host,
                bind_port=listener.bind_port,
                scheduler=listener.scheduler,
                x_forwarded_for=listener.x_forwarded_for,
                x_forwarded_proto=listener.x_forwarded_proto,
                policies=tuple(
                    _policy(plan, listener, policy, groups, ip_groups, identities)
                    for policy in listener.policies
                ),
                server_group_id=None
                if instance_servers is None
                else instance_servers.server_group_id,
                backend_port=0
                if instance_servers is None
                else _common_port(instance_servers.servers),
                keep_session=listener.keep_session,
                redirect_port=listener.redirect_port,
                health_check=listener.health_check,
                timeouts=listener.timeouts,
                limits=listener.limits,
                custom=listener.custom,
                gzip_json=listener.gzip_json,
                allow_non_ascii=listener.allow_non_ascii,
            )
            for listener in plan.listeners
        ),
        server_groups=tuple(groups.values()) if instance_servers is None else (instance_servers,),
        ip_groups=tuple(ip_groups.values()),
        performance_level=plan.performance_level,
        limits=plan.limits,
    )


def _instance_servers(
    plan: LoadBalancerPlan, servers: Mapping[str, tuple[BackendServer, ...]]
) -> ServerGroup | None:
    """The servers of a standard load balancer; None for one that has groups.

    Source: assumed (the record shows the instance's id for a load balancer without groups).
    """
    if plan.kind is not LoadBalancerKind.STANDARD:
        return None
    name = next((listener.backends for listener in plan.listeners if listener.backends), "")
    return ServerGroup(
        server_group_id=ServerGroupId(plan.load_balancer_id),
        name=name,
        servers=servers.get(name, ()),
    )


def _server_group(
    plan: LoadBalancerPlan,
    group: ServerGroupPlan,
    servers: Mapping[str, tuple[BackendServer, ...]],
    identities: Identities,
) -> ServerGroup:
    members = tuple(
        replace(server, weight=weight)
        for server, weight in zip(
            (server for name in group.backends for server in servers[name]),
            group.weights,
            strict=True,
        )
    )
    port = _common_port(members)
    return ServerGroup(
        server_group_id=identities.server_group_id(plan.name, group.name),
        name=group.name,
        servers=members,
        ports=(
            (
                ServerGroupPort(
                    port_id=identities.port_id(plan.name, group.name, port),
                    port=port,
                    health_check=group.health_check,
                ),
            )
            if port
            else ()
        ),
        health_check=group.health_check,
    )


def _ip_group(
    plan: LoadBalancerPlan,
    group: IpGroupPlan,
    servers: Mapping[str, tuple[BackendServer, ...]],
    identities: Identities,
) -> IpGroup:
    sockets: list[tuple[str, str, int]] = []
    for member in group.members:
        if isinstance(member, str):
            sockets += [(s.address, s.connect_host, s.connect_port) for s in servers[member]]
        else:
            sockets.append((_join(*member), *member))
    return IpGroup(
        ip_group_id=identities.ip_group_id(plan.name, group.name),
        name=group.name,
        members=tuple(
            BackendServer(
                backend_server_id=identities.ip_member_id(plan.name, group.name, address),
                address=address,
                connect_host=host,
                connect_port=port,
                weight=weight,
            )
            for (address, host, port), weight in zip(sockets, group.weights, strict=True)
        ),
        protocol=group.protocol,
        health_check=group.health_check,
    )


def _policy(
    plan: LoadBalancerPlan,
    listener: ListenerPlan,
    policy: PolicyPlan,
    groups: Mapping[str, ServerGroup],
    ip_groups: Mapping[str, IpGroup],
    identities: Identities,
) -> Policy:
    group, ip_group = groups.get(policy.to), ip_groups.get(policy.to)
    return Policy(
        policy_id=identities.policy_id(plan.name, listener.port, policy.priority),
        priority=policy.priority,
        rules=policy.rules,
        server_group_id=None if group is None else group.server_group_id,
        ip_group_id=None if ip_group is None else ip_group.ip_group_id,
        backend_port=0 if group is None else _common_port(group.servers),
    )


def _common_port(servers: Sequence[BackendServer]) -> int:
    """The port all of them have; 0 if they differ, and then each is reached on its own."""
    ports = {server.port for server in servers}
    return ports.pop() if len(ports) == 1 else 0


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
