"""The health checks of all load balancers: a board and a prober for each."""

import asyncio
from collections.abc import Callable, Iterable

from simulator.clock import Clock
from simulator.dataplane.prober import HealthProber
from simulator.model import BackendServerId, HealthState, LoadBalancerId
from simulator.routing import ListenerRoute
from simulator.routing.checked import checked_pools
from simulator.routing.health import CheckedPool, HealthBoard, HealthChange, HealthStatus


class HealthChecks:
    """Keeps the targets of routes told which of their servers are alive.

    Args:
        clock: says when probes are due.
        tasks: outlives the checks.
        on_change: told of every change of a server's state.

    At the end you must call ``aclose``.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        on_change: Callable[[LoadBalancerId, HealthChange], None] | None = None,
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._on_change = on_change
        self._checks: dict[LoadBalancerId, tuple[HealthBoard, HealthProber]] = {}

    def apply(self, routes: Iterable[ListenerRoute]) -> None:
        """Check what ``routes`` lead to, and nothing else.

        Call it in the same turn in which routes are compiled: until then they take every server
        for alive. Servers checked before keep their states.
        """
        pools: dict[LoadBalancerId, list[CheckedPool]] = {known: [] for known in self._checks}
        for route in routes:
            of_one = pools.setdefault(route.load_balancer.load_balancer_id, [])
            of_one.extend(checked_pools(route))
        for load_balancer_id, of_one in pools.items():
            if load_balancer_id not in self._checks:
                if all(pool.check is None for pool in of_one):
                    continue
                self._checks[load_balancer_id] = self._make(load_balancer_id)
            board, prober = self._checks[load_balancer_id]
            board.apply(of_one, self._clock.time())
            prober.apply()

    async def wait_first(self) -> None:
        """Return when every server under a check has had its first result."""
        for _, prober in tuple(self._checks.values()):
            await prober.wait_first()

    def statuses(self, load_balancer_id: LoadBalancerId) -> tuple[HealthStatus, ...]:
        """What is known of each checked server; servers missing here are Unknown and used."""
        found = self._checks.get(load_balancer_id)
        return () if found is None else found[0].statuses()

    def unusable(self) -> tuple[tuple[LoadBalancerId, str, BackendServerId], ...]:
        """Load balancer, scope and id of each server that gets no traffic now."""
        return tuple(
            (load_balancer_id, status.target.scope, status.target.server.backend_server_id)
            for load_balancer_id, (board, _) in self._checks.items()
            for status in board.statuses()
            if status.state is not HealthState.ALIVE
        )

    def aclose(self) -> None:
        """Probe nothing more. Fine to call twice."""
        for _, prober in self._checks.values():
            prober.aclose()

    def _make(self, load_balancer_id: LoadBalancerId) -> tuple[HealthBoard, HealthProber]:
        def tell(change: HealthChange) -> None:
            if self._on_change is not None:
                self._on_change(load_balancer_id, change)

        board = HealthBoard(tell)
        return board, HealthProber(clock=self._clock, tasks=self._tasks, board=board)
