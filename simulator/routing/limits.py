"""What an instance may take on one service node: token buckets, told the time by their caller."""

from typing import Final, Protocol

from simulator.model import InstanceLimits

_UNITS: Final = 1_000_000
"""Levels are counted in millionths of a token and time in microseconds, both whole numbers: a
bucket gains exactly what its rate says, however often and at whatever instants it is asked."""


class Limiter(Protocol):
    """Lets requests and connections in, or not."""

    def admit_request(self, now: float) -> tuple[int, int] | None:
        """Let a request pass, or not."""
        ...

    def admit_connection(self, now: float, open_count: int) -> bool:
        """Let a new connection in, or not."""
        ...


class TokenBucket:
    """Lets ``rate`` tokens a second through on average, and one second's worth at once.

    Args:
        rate: tokens per second of the whole instance, above 0.
        shares: how many buckets the rate is divided over; this is one of them.

    A share below one token a second still lets one through when it has waited long enough.
    """

    __slots__ = ("_at_us", "_capacity", "_cost", "_level", "_rate")

    def __init__(self, rate: int, *, shares: int = 1) -> None:
        self._rate = rate
        # Of a share of the rate each microsecond brings rate / shares units; the divisor is
        # moved to the other side, where it stays whole.
        self._cost = _UNITS * shares
        self._capacity = max(rate * _UNITS, self._cost)
        self._level = self._capacity
        self._at_us = 0

    def take(self, now: float) -> bool:
        """Take a token at ``now``, Unix seconds; whether there was one.

        Instants before the newest one seen count as that one.
        """
        now_us = round(now * 1e6)
        if now_us > self._at_us:
            level = self._level + (now_us - self._at_us) * self._rate
            self._level = min(level, self._capacity)
            self._at_us = now_us
        if self._level < self._cost:
            return False
        self._level -= self._cost
        return True

    @property
    def tokens(self) -> int:
        """Whole tokens left at the newest instant seen."""
        return self._level // self._cost


class InstanceLimiter:
    """The limits of one load balancer on one service node.

    Args:
        limits: of the whole instance.
        node_count: how many nodes serve it; each has an even share of every limit.

    Source: assumed for a refused request's status, 503 without a backend server (flow-logs Q17);
    doc https://cloud.baidu.com/doc/BLB/s/Olvj6i3i2 for new connections above the rate, which are
    dropped; that the nodes' shares are even is assumed.
    """

    __slots__ = (
        "_connection_limit",
        "_connections",
        "_requests",
        "_second",
        "_seen",
        "dropped_connection_count",
        "limited_request_count",
        "limits",
        "node_count",
    )

    def __init__(self, limits: InstanceLimits, *, node_count: int = 1) -> None:
        self.limits = limits
        self.node_count = node_count
        self.dropped_connection_count = 0
        """Connections refused so far (``DropConnectCount``)."""
        self.limited_request_count = 0
        """Requests refused so far."""
        self._requests = _bucket(limits.qps, node_count)
        self._connections = _bucket(limits.new_connections, node_count)
        self._connection_limit = (
            None if limits.connections is None else max(1, limits.connections // node_count)
        )
        self._second = 0
        self._seen = 0

    def admit_request(self, now: float) -> tuple[int, int] | None:
        """Let a request pass, or not.

        Args:
            now: Unix seconds on the simulated clock.

        Returns:
            None when it may pass. Otherwise what its record says: requests seen on this node in
            this second, itself included, and tokens left.
        """
        second = int(now)
        if second != self._second:
            self._second = second
            self._seen = 0
        self._seen += 1
        bucket = self._requests
        if bucket is None or bucket.take(now):
            return None
        self.limited_request_count += 1
        return self._seen, bucket.tokens

    def admit_connection(self, now: float, open_count: int) -> bool:
        """Let a new connection in, or not; those that stand are never touched.

        Args:
            now: Unix seconds on the simulated clock.
            open_count: connections of this load balancer open on this node, without this one.
        """
        limit, bucket = self._connection_limit, self._connections
        # One refused for want of room takes no token from those that come after it.
        if (limit is None or open_count < limit) and (bucket is None or bucket.take(now)):
            return True
        self.dropped_connection_count += 1
        return False


def make_limiter(
    limits: InstanceLimits, *, node_count: int = 1, previous: InstanceLimiter | None = None
) -> InstanceLimiter | None:
    """A limiter, or None where nothing is limited, so that an unlimited request pays nothing.

    Args:
        limits: of the whole instance.
        node_count: how many nodes serve it.
        previous: the one in use; it stays, tokens and all, unless its limits have changed.
    """
    if limits.unlimited:
        return None
    if previous is not None and (previous.limits, previous.node_count) == (limits, node_count):
        return previous
    limiter = InstanceLimiter(limits, node_count=node_count)
    if previous is not None:
        limiter.dropped_connection_count = previous.dropped_connection_count
        limiter.limited_request_count = previous.limited_request_count
    return limiter


def _bucket(rate: int | None, shares: int) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate, shares=shares)
