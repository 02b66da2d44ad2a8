"""A listener made ready for requests: its server group and scheduler, looked up once."""

from simulator.model import Listener, LoadBalancer, ServerGroup
from simulator.routing.scheduler import RoundRobin


class ListenerRoute:
    """What a request needs to know of its listener; a request keeps the one it began with."""

    __slots__ = ("group", "listener", "load_balancer", "scheduler")

    def __init__(
        self,
        load_balancer: LoadBalancer,
        listener: Listener,
        group: ServerGroup,
        scheduler: RoundRobin,
    ) -> None:
        self.load_balancer = load_balancer
        self.listener = listener
        self.group = group
        self.scheduler = scheduler


def compile_route(load_balancer: LoadBalancer, listener: Listener) -> ListenerRoute:
    """Look up the listener's group and start its scheduler.

    Raises:
        KeyError: the listener names a server group its load balancer does not have.
    """
    groups = {group.server_group_id: group for group in load_balancer.server_groups}
    group = groups[listener.server_group_id]
    return ListenerRoute(load_balancer, listener, group, RoundRobin(group.servers))
