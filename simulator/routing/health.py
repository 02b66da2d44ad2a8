"""Which backend servers may get traffic: what probes found, counted into states.

It opens nothing and reads no clock: a prober tells it each result and when it was due.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from simulator.model import BackendServer, BackendServerId, HealthCheck, HealthState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """How one probe ended."""

    ok: bool
    detail: str
    """For people: ``status 503``, ``refused``, ``no answer within 3s``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTarget:
    """One backend server to be probed for one user of it."""

    scope: str
    """Who asks: the same server may be alive for one listener or port and dead for another."""
    server: BackendServer
    check: HealthCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthStatus:
    """What is known of a target."""

    target: ProbeTarget
    state: HealthState
    changed_at: float
    """Since when it is in this state, Unix seconds."""
    detail: str
    """Of the newest probe; empty before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChange:
    """A target's way from one state to another."""

    before: HealthState
    after: HealthStatus


class ServerHealth:
    """The state of one server under one check.

    =======  ==========================================  =======
    state    event                                       next
    =======  ==========================================  =======
    Unknown  first result, a success                     Alive
    Unknown  first result, a failure                     Dead
    Alive    ``unhealthy_threshold`` failures in a row   Dead
    Dead     ``healthy_threshold`` successes in a row    Alive
    =======  ==========================================  =======

    Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7 for the thresholds; that the first
    result decides alone is assumed (blb-api C17: a new server need not wait three intervals).
    """

    __slots__ = ("_against", "_healthy_threshold", "_unhealthy_threshold", "changed_at", "state")

    def __init__(self, check: HealthCheck, now: float) -> None:
        self.state = HealthState.UNKNOWN
        self.changed_at = now
        self._against = 0
        """Results in a row that speak against the state."""
        self._unhealthy_threshold = check.unhealthy_threshold
        self._healthy_threshold = check.healthy_threshold

    def observe(self, ok: bool, now: float) -> bool:
        """Count one result.

        Args:
            ok: whether the probe succeeded.
            now: when the probe was due, Unix seconds.

        Returns:
            Whether the state changed.
        """
        if self.agrees(ok):
            self._against = 0
            return False
        self._against += 1
        needed = self._healthy_threshold if ok else self._unhealthy_threshold
        if self.state is not HealthState.UNKNOWN and self._against < needed:
            return False
        self.state = HealthState.ALIVE if ok else HealthState.DEAD
        self.changed_at = now
        self._against = 0
        return True

    def agrees(self, ok: bool) -> bool:
        """Whether a result is what the state leads one to expect."""
        return self.state is (HealthState.ALIVE if ok else HealthState.DEAD)

    def recheck(self, check: HealthCheck) -> None:
        """Keep the state and count anew, by the thresholds of another check."""
        self._against = 0
        self._unhealthy_threshold = check.unhealthy_threshold
        self._healthy_threshold = check.healthy_threshold


class ServerPool(Protocol):
    """What gets traffic: servers of a group, as a listener reaches them."""

    @property
    def servers(self) -> tuple[BackendServer, ...]:
        """All of them."""
        ...

    def mark_dead(self, server_id: BackendServerId) -> None:
        """The server gets no new traffic from now on; fine to call twice."""
        ...

    def mark_alive(self, server_id: BackendServerId) -> None:
        """The server gets traffic again; fine to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPool:
    """A pool and how its servers are checked. Pools with one scope share what probes find."""

    scope: str
    """Who asks, for people too: ``listener 80``, ``port 8080 of sg-11bd8054``."""
    pool: ServerPool
    check: HealthCheck | None
    """None: not checked, all servers are usable."""


class HealthBoard:
    """The health of every checked server of one load balancer, told to the pools that use it.

    Args:
        on_change: told of each change of state after the pools were.

    A server that is not checked is usable and shown as Unknown; one that is checked and has no
    result yet is Unknown too, and not used.
    Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7 (usable); assumed (Unknown, C17).
    """

    def __init__(self, on_change: Callable[[HealthChange], None] | None = None) -> None:
        self._on_change = on_change
        self._lines: dict[tuple[str, BackendServerId], _Line] = {}

    def apply(self, pools: Iterable[CheckedPool], now: float) -> None:
        """Make ``pools`` all there is, and tell each of them what is known.

        A server known already keeps its state, also under another check; one that has moved to
        another address starts anew. After calling this, tell the prober.
        """
        before, self._lines = self._lines, {}
        for checked in pools:
            for server in checked.pool.servers:
                if checked.check is None:
                    checked.pool.mark_alive(server.backend_server_id)
                else:
                    target = ProbeTarget(scope=checked.scope, server=server, check=checked.check)
                    line = self._line(target, before, now)
                    line.pools.append(checked.pool)
                    line.tell(checked.pool)

    def _line(
        self,
        target: ProbeTarget,
        before: dict[tuple[str, BackendServerId], "_Line"],
        now: float,
    ) -> "_Line":
        key = (target.scope, target.server.backend_server_id)
        line = self._lines.get(key)
        if line is not None:
            return line
        line = before.get(key)
        if line is None or not _same_address(line.target.server, target.server):
            line = _Line(target, ServerHealth(target.check, now))
        elif line.target.check != target.check:
            line.health.recheck(target.check)
        line.target = target
        line.pools = []
        self._lines[key] = line
        return line

    def observe(self, target: ProbeTarget, result: ProbeResult, now: float) -> bool:
        """Count a result of a probe that was due at ``now``.

        Returns:
            Whether the result is what the state now leads one to expect, so that more probes
            at this moment would tell nothing new. True for a target that is gone.
        """
        line = self._lines.get((target.scope, target.server.backend_server_id))
        if line is None or not _same_address(line.target.server, target.server):
            return True
        line.detail = result.detail
        health = line.health
        before = health.state
        if health.observe(result.ok, now):
            for pool in line.pools:
                line.tell(pool)
            if self._on_change is not None:
                self._on_change(HealthChange(before=before, after=line.status()))
        return health.agrees(result.ok)

    def state(self, scope: str, server_id: BackendServerId) -> HealthState:
        """What is known of a server; Unknown too if it is not checked."""
        line = self._lines.get((scope, server_id))
        return HealthState.UNKNOWN if line is None else line.health.state

    def unusable(self, scope: str) -> frozenset[BackendServerId]:
        """Ids of the servers that get no new traffic now: Dead, or not probed yet."""
        return frozenset(
            server_id
            for (where, server_id), line in self._lines.items()
            if where == scope and line.health.state is not HealthState.ALIVE
        )

    def targets(self) -> tuple[ProbeTarget, ...]:
        """All that is to be probed."""
        return tuple(line.target for line in self._lines.values())

    def statuses(self) -> tuple[HealthStatus, ...]:
        """What is known of each target, in the order of ``targets``."""
        return tuple(line.status() for line in self._lines.values())


class _Line:
    """One target on the board, and the pools that it stands for."""

    __slots__ = ("detail", "health", "pools", "target")

    def __init__(self, target: ProbeTarget, health: ServerHealth) -> None:
        self.target = target
        self.health = health
        self.detail = ""
        self.pools: list[ServerPool] = []

    def tell(self, pool: ServerPool) -> None:
        server_id = self.target.server.backend_server_id
        if self.health.state is HealthState.ALIVE:
            pool.mark_alive(server_id)
        else:
            pool.mark_dead(server_id)

    def status(self) -> HealthStatus:
        return HealthStatus(
            target=self.target,
            state=self.health.state,
            changed_at=self.health.changed_at,
            detail=self.detail,
        )


def _same_address(one: BackendServer, other: BackendServer) -> bool:
    return (one.connect_host, one.connect_port) == (other.connect_host, other.connect_port)
