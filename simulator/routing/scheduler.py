"""Schedulers: ``select`` a backend server for one request, ``release`` it at its end.

Source: doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb: weighted round robin, shares
proportional to the weights, weight 0 gets nothing; doc https://cloud.baidu.com/doc/BLB/s/bmpqq0m60:
weighted least connections. The smooth variant, and ties going by turns, are assumed.
"""

from collections.abc import Set as AbstractSet
from typing import ClassVar, Protocol

from simulator.model import BackendServer, BackendServerId, Scheduler

_NOBODY: frozenset[BackendServerId] = frozenset()


class BackendState:
    """What moves of one backend server in one group; joined to it by id.

    It outlives a change of configuration: the next scheduler of the group works with the same
    object, so a request that began before the change is counted, and released, in both.
    """

    __slots__ = ("active_count", "current_weight")

    def __init__(self) -> None:
        self.active_count = 0
        """Requests under way; counted by ``LeastConnections`` only."""
        self.current_weight = 0
        """How far its next turn has come."""


class ServerScheduler(Protocol):
    """Spreads requests over the servers of a group."""

    counts: ClassVar[bool]
    """Whether every server that ``select`` gave must be given to ``release``."""

    @property
    def servers(self) -> tuple[BackendServer, ...]:
        """The servers with a weight above 0."""
        ...

    @property
    def states(self) -> dict[BackendServerId, BackendState]:
        """What moves of each of them."""
        ...

    def select(self, tried: tuple[BackendServer, ...] = ()) -> BackendServer | None:
        """The server for the next request; none of ``tried``, and none that is dead.

        Returns:
            None when no server is left.
        """
        ...

    def take(self, server: BackendServer) -> None:
        """A request goes to ``server`` without having been scheduled."""
        ...

    def release(self, server: BackendServer) -> None:
        """A request that went to ``server`` has ended."""
        ...


class RoundRobin:
    """Smooth weighted round robin: over any span, shares follow the weights without bursts.

    With weights 5, 1, 1 the order is a a b a c a a, not a a a a a b c.

    Args:
        servers: of the group.
        dead: ids of those that get no requests; looked at with every choice.
        previous: whose place is taken.
    """

    __slots__ = ("_dead", "_equal", "_last", "_next", "servers", "states")
    counts: ClassVar[bool] = False

    def __init__(
        self,
        servers: tuple[BackendServer, ...],
        dead: AbstractSet[BackendServerId] = _NOBODY,
        previous: ServerScheduler | None = None,
    ) -> None:
        self.servers = tuple(server for server in servers if server.weight > 0)
        self.states = _carry_over(self.servers, previous)
        self._dead = dead
        self._equal = len({server.weight for server in self.servers}) == 1
        self._last = len(self.servers) - 1
        self._next = 0
        if isinstance(previous, RoundRobin):
            self._next = self._index_of_first(previous.servers_in_turn())

    def servers_in_turn(self) -> tuple[BackendServer, ...]:
        """All of them, beginning with the one whose turn is next if weights are equal."""
        return self.servers[self._next :] + self.servers[: self._next]

    def select(self, tried: tuple[BackendServer, ...] = ()) -> BackendServer | None:
        """The server whose turn it is; one that was tried or is dead loses no turn."""
        dead = self._dead
        if self._equal:
            if tried or dead:
                return self._select_other(tried)
            # The proxied path: no loop, no look-up.
            index = self._next
            self._next = index + 1 if index < self._last else 0
            return self.servers[index]
        return _next_in_turn(
            [s for s in self.servers if s not in tried and s.backend_server_id not in dead],
            self.states,
        )

    def take(self, server: BackendServer) -> None:
        """Nothing to do: it was nobody's turn."""

    def release(self, server: BackendServer) -> None:
        """Nothing to do: requests under way are not counted."""

    def _select_other(self, tried: tuple[BackendServer, ...]) -> BackendServer | None:
        """The next one with equal weights that was not tried and is not dead."""
        for server in self.servers_in_turn():
            self._next = self._next + 1 if self._next < self._last else 0
            if server not in tried and server.backend_server_id not in self._dead:
                return server
        return None

    def _index_of_first(self, wanted: tuple[BackendServer, ...]) -> int:
        """Where the first of ``wanted`` that is still here stands."""
        indexes = {server.backend_server_id: i for i, server in enumerate(self.servers)}
        for server in wanted:
            if server.backend_server_id in indexes:
                return indexes[server.backend_server_id]
        return 0


class LeastConnections:
    """Weighted least connections: the least ``(active + 1) / weight`` gets the next request.

    Servers that are level take turns by their weights.

    Args:
        servers: of the group.
        dead: ids of those that get no requests; looked at with every choice.
        previous: whose place is taken.
    """

    __slots__ = ("_dead", "servers", "states")
    counts: ClassVar[bool] = True

    def __init__(
        self,
        servers: tuple[BackendServer, ...],
        dead: AbstractSet[BackendServerId] = _NOBODY,
        previous: ServerScheduler | None = None,
    ) -> None:
        self.servers = tuple(server for server in servers if server.weight > 0)
        self.states = _carry_over(self.servers, previous)
        self._dead = dead

    def select(self, tried: tuple[BackendServer, ...] = ()) -> BackendServer | None:
        """The server with the fewest requests for its weight; it has one more from now on."""
        states, dead = self.states, self._dead
        level: list[BackendServer] = []
        least_load, least_weight = 0, 1
        for server in self.servers:
            if server in tried or server.backend_server_id in dead:
                continue
            load, weight = states[server.backend_server_id].active_count + 1, server.weight
            # load / weight compared without dividing.
            order = load * least_weight - least_load * weight if level else -1
            if order < 0:
                level = [server]
                least_load, least_weight = load, weight
            elif order == 0:
                level.append(server)
        chosen = _next_in_turn(level, states) if len(level) > 1 else level[0] if level else None
        if chosen is not None:
            states[chosen.backend_server_id].active_count += 1
        return chosen

    def take(self, server: BackendServer) -> None:
        """``server`` has one request more."""
        self.states[server.backend_server_id].active_count += 1

    def release(self, server: BackendServer) -> None:
        """``server`` has one request less."""
        self.states[server.backend_server_id].active_count -= 1


def make_scheduler(
    kind: Scheduler,
    servers: tuple[BackendServer, ...],
    dead: AbstractSet[BackendServerId],
    previous: ServerScheduler | None = None,
) -> ServerScheduler:
    """The scheduler of that kind; see ``RoundRobin`` for the arguments."""
    maker = LeastConnections if kind is Scheduler.LEAST_CONNECTION else RoundRobin
    return maker(servers, dead, previous)


def _carry_over(
    servers: tuple[BackendServer, ...], previous: ServerScheduler | None
) -> dict[BackendServerId, BackendState]:
    """The states of servers that stay, and new ones for the others."""
    before = {} if previous is None else previous.states
    weights = {} if previous is None else {s.backend_server_id: s.weight for s in previous.servers}
    states: dict[BackendServerId, BackendState] = {}
    for server in servers:
        server_id = server.backend_server_id
        state = states[server_id] = before.get(server_id) or BackendState()
        if weights.get(server_id) != server.weight:
            # Progress under a great weight would be many turns in a row under a small one.
            state.current_weight = 0
    return states


def _next_in_turn(
    servers: list[BackendServer], states: dict[BackendServerId, BackendState]
) -> BackendServer | None:
    """One step of smooth weighted round robin among ``servers``; the others stand still."""
    best: BackendServer | None = None
    best_weight = total = 0
    for server in servers:
        state = states[server.backend_server_id]
        state.current_weight += server.weight
        total += server.weight
        if best is None or state.current_weight > best_weight:
            best, best_weight = server, state.current_weight
    if best is not None:
        states[best.backend_server_id].current_weight -= total
    return best
