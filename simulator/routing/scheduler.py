"""Schedulers: ``select`` a backend server for one request.

Source: doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb: weighted round robin, shares
proportional to the weights, weight 0 gets nothing. The smooth variant is assumed.
"""

from simulator.model import BackendServer


class RoundRobin:
    """Smooth weighted round robin: over any span, shares follow the weights without bursts.

    With weights 5, 1, 1 the order is a a b a c a a, not a a a a a b c.
    """

    __slots__ = ("_current", "_equal", "_next", "_servers", "_total")

    def __init__(self, servers: tuple[BackendServer, ...]) -> None:
        self._servers = tuple(server for server in servers if server.weight > 0)
        self._current = [0] * len(self._servers)
        self._total = sum(server.weight for server in self._servers)
        self._equal = len({server.weight for server in self._servers}) == 1
        self._next = 0

    def select(self, tried: tuple[BackendServer, ...] = ()) -> BackendServer | None:
        """The server whose turn it is; one in ``tried`` is passed over.

        Returns:
            None when every server with a weight is in ``tried``, or there is none.
        """
        servers = self._servers
        if self._equal:
            for _ in servers:
                server = servers[self._next]
                self._next = (self._next + 1) % len(servers)
                if server not in tried:
                    return server
            return None
        best = -1
        current = self._current
        for index, server in enumerate(servers):
            current[index] += server.weight
            if server not in tried and (best < 0 or current[index] > current[best]):
                best = index
        if best < 0:
            return None
        current[best] -= self._total
        return servers[best]
