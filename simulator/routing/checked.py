"""Which check holds for which servers of a route."""

from collections.abc import Iterator
from dataclasses import replace

from simulator.model import HealthCheck, HealthCheckType, Listener, LoadBalancer
from simulator.routing.health import CheckedPool
from simulator.routing.route import ListenerRoute, Target, TargetKey


def checked_pools(route: ListenerRoute) -> Iterator[CheckedPool]:
    """Every target of ``route`` with its check; with None those that are not checked.

    A check of a group or its port is shared by all listeners that lead there; a listener's own
    holds for the groups without one, and is shared with nobody.
    """
    for target in route.targets:
        scope = _scope(target.key)
        check = _group_check(route.load_balancer, target.key)
        if check is None:
            check = _as_spoken(route.listener.health_check, target)
            scope = f"{scope} for {_name(route.listener)}"
        yield CheckedPool(scope=scope, pool=target, check=check)


def _as_spoken(check: HealthCheck | None, target: Target) -> HealthCheck | None:
    """A listener's check as a group's servers understand it: over TLS where they speak that.

    Source: assumed (the vendor's application load balancers have checks of groups only).
    """
    if check is not None and check.type is HealthCheckType.HTTP and target.protocol == "https":
        return replace(check, type=HealthCheckType.HTTPS)
    return check


def _group_check(load_balancer: LoadBalancer, key: TargetKey) -> HealthCheck | None:
    group_id, port = key
    for ip_group in load_balancer.ip_groups:
        if ip_group.ip_group_id == group_id:
            return ip_group.health_check
    for group in load_balancer.server_groups:
        if group.server_group_id == group_id:
            own = next((has.health_check for has in group.ports if has.port == port), None)
            return own if port else group.health_check
    return None


def _scope(key: TargetKey) -> str:
    group_id, port = key
    return f"{group_id}:{port}" if port else group_id


def _name(listener: Listener) -> str:
    return f"{listener.protocol.value}:{listener.port}"
