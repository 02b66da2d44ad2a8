"""Makes listeners ready for the data plane of one service node: routes, limits, record keeping."""

import copy
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy, TrafficCounts
from simulator.dataplane import DataPlane, ListenerKey, ListenerSettings
from simulator.model import LoadBalancer
from simulator.nodes.messages import RecentRecord, RecordFormat, ServedListener
from simulator.nodes.traffic import NodeTraffic
from simulator.routing import ListenerRoute, compile_route
from simulator.routing.cluster_limits import NodeLimits
from simulator.spool import SpoolSeries

_RECENT_RECORDS: Final = 1000
"""Newest records kept in memory for ``blbsim records``."""


class NodeComposition:
    """Turns listeners into what the data plane opens, for one node.

    Args:
        node_index: which of the nodes of a load balancer's cluster this is.
        record: how records are written.
    """

    def __init__(self, *, node_index: int, record: RecordFormat) -> None:
        self.recent: deque[RecentRecord] = deque(maxlen=_RECENT_RECORDS)
        self._node_index = node_index
        self._record = record
        self._series: dict[str, SpoolSeries] = {}
        self._counts: dict[ListenerKey, TrafficCounts] = {}
        self._limits = NodeLimits()

    def append_to(self, series: SpoolSeries) -> None:
        """Have the records of the load balancer of ``series`` appended to it."""
        self._series[series.load_balancer_id] = series

    def traffic(self, plane: DataPlane) -> NodeTraffic:
        """What was served since the start, with the connections that ``plane`` has."""
        return NodeTraffic(
            connections={key: plane.connections(key) for key in self._counts},
            counts=copy.deepcopy(self._counts),
            dropped=self._limits.dropped_connections(),
        )

    def settings(
        self,
        listeners: Sequence[ServedListener],
        contexts: Sequence[ssl.SSLContext | None],
        previous: Callable[[ListenerKey], ListenerRoute | None],
        sockets: Mapping[ListenerKey, socket.socket] | None = None,
    ) -> tuple[ListenerSettings, ...]:
        """Of every listener, in order.

        Args:
            listeners: all that are served.
            contexts: the TLS context of each; None without TLS.
            previous: the route that a listener is served with now.
            sockets: ready ones, by listener; those without are bound where they say.
        """
        self._limits.apply(
            {each.load_balancer.load_balancer_id: each.load_balancer for each in listeners}
        )
        return tuple(
            ListenerSettings(
                route=compile_route(served.load_balancer, served.listener, previous(served.key)),
                on_record=self._recorder(served),
                limiter=self._limits.of_listener(
                    served.load_balancer, served.listener.port, served.listener.protocol
                ),
                tls=context,
                ready_socket=None if sockets is None else sockets.get(served.key),
                place=served.place,
            )
            for served, context in zip(listeners, contexts, strict=True)
        )

    def _recorder(self, served: ServedListener) -> Callable[[AccessRecord], None]:
        """What becomes of each record of a listener: encoded once, spooled, remembered."""
        load_balancer: LoadBalancer = served.load_balancer
        load_balancer_id = load_balancer.load_balancer_id
        encode = RecordEncoder(
            ServedBy(
                load_balancer_id=load_balancer_id,
                vip=load_balancer.vip,
                vport=served.listener.port,
                node_address=load_balancer.cluster.nodes[self._node_index].address,
            ),
            shape=self._record.shape,
            zone_offset_s=self._record.zone_offset_s,
        ).encode
        recent = self.recent
        count = self._counts.setdefault(served.key, TrafficCounts()).add
        append = self._series[load_balancer_id].append

        def on_record(record: AccessRecord) -> None:
            count(record)
            line = encode(record)
            append(record.logged_at, line)
            recent.append(
                RecentRecord(
                    logged_at=record.logged_at, load_balancer_id=load_balancer_id, line=line
                )
            )

        return on_record
