"""What service nodes have served: counts that add up over nodes and over their processes."""

from dataclasses import dataclass, field
from typing import Self

from simulator.accesslog import TrafficCounts
from simulator.dataplane import ConnectionCounts, ListenerKey
from simulator.model import LoadBalancerId

_NONE = ConnectionCounts(open=0, accepted=0)


@dataclass(slots=True, kw_only=True)
class NodeTraffic:
    """Counts since the start."""

    connections: dict[ListenerKey, ConnectionCounts] = field(default_factory=dict)
    counts: dict[ListenerKey, TrafficCounts] = field(default_factory=dict)
    dropped: dict[LoadBalancerId, int] = field(default_factory=dict)
    """Connections that the limits of a load balancer refused."""

    @property
    def open_connections(self) -> int:
        """Of all listeners."""
        return sum(each.open for each in self.connections.values())

    def of_listener(self, key: ListenerKey) -> tuple[ConnectionCounts, TrafficCounts]:
        """Those of one listener."""
        return self.connections.get(key, _NONE), self.counts.get(key, TrafficCounts())

    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""
        for key, connections in other.connections.items():
            mine = self.connections.get(key, _NONE)
            self.connections[key] = ConnectionCounts(
                open=mine.open + connections.open, accepted=mine.accepted + connections.accepted
            )
        for key, counts in other.counts.items():
            self.counts.setdefault(key, TrafficCounts()).merge(counts)
        for load_balancer_id, count in other.dropped.items():
            self.dropped[load_balancer_id] = self.dropped.get(load_balancer_id, 0) + count

    def ended(self) -> None:
        """The process that had the connections is gone."""
        self.connections = {
            key: ConnectionCounts(open=0, accepted=each.accepted)
            for key, each in self.connections.items()
        }
