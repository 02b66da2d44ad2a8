"""The scenario's traffic: its senders, from the first request to the last answer."""

import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial

from simulator.clock import Clock
from simulator.dataplane import ListenerAddress
from simulator.model import LoadBalancerId
from simulator.rng import Rng
from simulator.scenario import Scenario
from simulator.workload import TrafficProfile, TrafficSender


class Traffic:
    """Sends what the scenario says, once it is started.

    After ``start`` you must call ``aclose``.

    Args:
        spawn: starts a task of the world's.
        storm: how many times the traffic of a load balancer there is at an instant.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        clock: Clock,
        rng: Rng,
        spawn: Callable[[Coroutine[None, None, None], str], object],
        storm: Callable[[LoadBalancerId, float], int],
    ) -> None:
        self._scenario = scenario
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._storm = storm
        self.senders: tuple[TrafficSender, ...] = ()
        """One for each entry; none before ``start``."""

    def start(
        self,
        addresses: Sequence[ListenerAddress],
        client_context: Callable[[TrafficProfile], ssl.SSLContext | None],
    ) -> None:
        """Begin; returns at once.

        Args:
            addresses: where the listeners listen.
            client_context: what the clients of an entry need for TLS.
        """
        bound = {(address.load_balancer_name, address.port): address for address in addresses}
        plans = {plan.name: plan for plan in self._scenario.load_balancers}
        self.senders = tuple(
            TrafficSender(
                profile,
                host=bound[profile.load_balancer, profile.port].host,
                port=bound[profile.load_balancer, profile.port].bound_port,
                vip=plans[profile.load_balancer].vip,
                clock=self._clock,
                rng=self._rng,
                spawn=self._spawn,
                tls=client_context(profile),
                repeats=partial(self._storm, plans[profile.load_balancer].load_balancer_id),
            )
            for profile in self._scenario.traffic
        )
        for sender in self.senders:
            sender.start()

    async def wait_done(self) -> None:
        """Return when every request has been answered or has failed."""
        for sender in self.senders:
            await sender.wait_done()

    def is_done(self) -> bool:
        """Whether every request that was planned has an end."""
        planned = sum(sender.profile.request_count for sender in self.senders)
        counters = [sender.counters for sender in self.senders]
        return planned <= sum(c.completed + c.failed + c.overflowed for c in counters)

    async def aclose(self) -> None:
        """Send no more. Fine to call twice."""
        async with AsyncExitStack() as stack:
            for sender in self.senders:
                stack.push_async_callback(sender.aclose)
