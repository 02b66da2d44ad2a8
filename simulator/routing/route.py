"""A listener made ready for requests: policies, groups and schedulers, looked up once."""

from dataclasses import replace
from typing import Final

from simulator.model import (
    BackendServer,
    BackendServerId,
    IpGroup,
    Listener,
    LoadBalancer,
    Policy,
    PortType,
    Protocol,
    Scheduler,
    ServerGroup,
)
from simulator.routing.persistence import Bindings
from simulator.routing.policy import PolicyMatcher
from simulator.routing.scheduler import ServerScheduler, make_scheduler

TargetKey = tuple[str, int]
"""Id of a server group or IP group, and the port of its servers; 0 for each server's own."""


class Target:
    """A group as one listener reaches it: its servers on one port, scheduler and health.

    Two policies with the same group and port share one.
    """

    __slots__ = (
        "bindings",
        "counts",
        "dead",
        "group_id",
        "key",
        "protocol",
        "scheduler",
        "servers",
    )

    def __init__(
        self,
        key: TargetKey,
        servers: tuple[BackendServer, ...],
        scheduler: Scheduler,
        previous: "Target | None" = None,
        protocol: Protocol = Protocol.HTTP,
    ) -> None:
        self.key: Final = key
        self.group_id: Final = key[0]
        """As ``vdum_ups_id`` shows it."""
        self.protocol: Final = protocol.value.lower()
        """What its servers speak, as ``vdum_rs_proto`` shows it."""
        self.servers: Final = servers
        ids = {server.backend_server_id for server in servers}
        self.dead: Final[set[BackendServerId]] = set() if previous is None else previous.dead
        """Servers that get no new requests; shared with the target that comes after a change of
        configuration, so that requests of both see it. Nobody is dead at first."""
        self.dead.intersection_update(ids)
        self.scheduler: Final[ServerScheduler] = make_scheduler(
            scheduler, servers, self.dead, None if previous is None else previous.scheduler
        )
        self.counts: Final = self.scheduler.counts
        """Whether its scheduler has to be told of every end; looked up with every request."""
        self.bindings: Final = Bindings(servers)

    @property
    def is_empty(self) -> bool:
        """Whether there is no server with a weight above 0, dead or alive."""
        return not self.scheduler.servers

    def is_usable(self, server: BackendServer) -> bool:
        """Whether ``server`` may get a new request."""
        return server.weight > 0 and server.backend_server_id not in self.dead

    def mark_dead(self, server_id: BackendServerId) -> None:
        """The server gets no new request from now on."""
        self.dead.add(server_id)

    def mark_alive(self, server_id: BackendServerId) -> None:
        """The server gets requests again."""
        self.dead.discard(server_id)

    def select_bound(self, token: bytes) -> BackendServer | None:
        """The server that a client's cookie names if it is usable, else the scheduler's choice."""
        server = self.bindings.server(token)
        if server is None or server.backend_server_id in self.dead:
            return self.scheduler.select()
        self.scheduler.take(server)
        return server


class ListenerRoute:
    """What a request needs to know of its listener; a request keeps the one it began with."""

    __slots__ = (
        "_policies",
        "forwarded_proto",
        "is_plain",
        "listener",
        "load_balancer",
        "only_target",
        "targets",
    )

    def __init__(
        self,
        load_balancer: LoadBalancer,
        listener: Listener,
        policies: tuple[tuple[PolicyMatcher, Target], ...],
        default: Target | None,
    ) -> None:
        self.load_balancer: Final = load_balancer
        self.listener: Final = listener
        targets = [target for _, target in policies] + ([] if default is None else [default])
        self.targets: Final = tuple({target.key: target for target in targets}.values())
        """All of them, each once."""
        self._policies: Final = policies
        if policies and policies[0][0].matches_all:
            default = policies[0][1]
        self.only_target: Final = None if listener.redirect_port else default
        """Where every request goes; None when that depends on the request, or when none goes
        anywhere."""
        self.is_plain: Final = self.only_target is not None and listener.keep_session is None
        """Whether nothing but the scheduler decides where a request goes."""
        self.forwarded_proto: Final = (
            listener.protocol.value.lower().encode() if listener.x_forwarded_proto else None
        )
        """What X-Forwarded-Proto is set to; None when it is left alone."""

    def match(self, host: bytes | None, target: bytes) -> Target | None:
        """Where the first policy that the request meets leads; None if it meets none.

        Args:
            host: that the request names, lower case, without port; None if it names none.
            target: the request's, in origin form.
        """
        if self.only_target is not None:
            return self.only_target
        path = target.partition(b"?")[0]
        for matcher, found in self._policies:
            if matcher.matches(host or b"", path):
                return found
        return None


def compile_route(
    load_balancer: LoadBalancer, listener: Listener, previous: ListenerRoute | None = None
) -> ListenerRoute:
    """Look up the listener's groups, compile its policies, start its schedulers.

    Args:
        load_balancer: has the groups.
        listener: one of its listeners.
        previous: the route that this one replaces. Scheduler positions, requests under way and
            health go on for servers that stay in a group, by id.

    Raises:
        KeyError: the listener names a group that its load balancer does not have.
    """
    before = {} if previous is None else {target.key: target for target in previous.targets}
    targets: dict[TargetKey, Target] = {}

    def target(
        key: TargetKey, servers: tuple[BackendServer, ...], protocol: Protocol = Protocol.HTTP
    ) -> Target:
        if key not in targets:
            targets[key] = Target(key, servers, listener.scheduler, before.get(key), protocol)
        return targets[key]

    groups = {group.server_group_id: group for group in load_balancer.server_groups}
    default = None
    if listener.server_group_id is not None and not listener.policies:
        group = groups[listener.server_group_id]
        default = target(
            (group.server_group_id, listener.backend_port),
            tuple(server.on_port(listener.backend_port) for server in group.servers),
        )
    ip_groups = {group.ip_group_id: group for group in load_balancer.ip_groups}
    policies: list[tuple[PolicyMatcher, Target]] = []
    for policy in sorted(listener.policies, key=lambda policy: policy.priority):
        if policy.ip_group_id is not None:
            ip_group = ip_groups[policy.ip_group_id]
            found = target((ip_group.ip_group_id, 0), _members(ip_group), ip_group.protocol)
        elif policy.server_group_id is not None:
            group = groups[policy.server_group_id]
            key = (group.server_group_id, policy.backend_port)
            found = target(key, _servers_on_port(group, policy))
        else:
            raise KeyError(policy.policy_id)
        policies.append((PolicyMatcher(policy), found))
    return ListenerRoute(load_balancer, listener, tuple(policies), default)


def _members(ip_group: IpGroup) -> tuple[BackendServer, ...]:
    """The group's members, spoken to as its protocol says."""
    tls = ip_group.protocol is Protocol.HTTPS
    return tuple(replace(member, tls=tls) for member in ip_group.members)


def _servers_on_port(group: ServerGroup, policy: Policy) -> tuple[BackendServer, ...]:
    """The group's servers as the policy reaches them; none if the group lacks the port.

    Source: assumed (a target without a port counts as empty).
    """
    port = policy.backend_port
    if port and not any(has.port == port and has.port_type is PortType.HTTP for has in group.ports):
        return ()
    return tuple(server.on_port(port) for server in group.servers)
