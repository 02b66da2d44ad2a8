"""One listening socket's shared state: its route, its pool, its open connections."""

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.accesslog import AccessRecord
from simulator.clock import Clock
from simulator.dataplane.http1_known import KnownRequests
from simulator.dataplane.http1_request import HeaderMemo
from simulator.dataplane.pool import BackendPool
from simulator.routing import ListenerRoute
from simulator.routing.limits import Limiter

if TYPE_CHECKING:
    from simulator.dataplane.client_base import ClientBase
    from simulator.dataplane.tls import TlsAcceptor


class ListenerPort:
    """What every connection of one listener shares."""

    __slots__ = (
        "_known",
        "_known_route",
        "accepted_count",
        "clock",
        "connections",
        "draining",
        "handshakes",
        "header_memo",
        "is_held",
        "limiter",
        "on_record",
        "pool",
        "route",
        "tls",
    )

    def __init__(
        self,
        *,
        route: ListenerRoute,
        clock: Clock,
        pool: BackendPool,
        on_record: Callable[[AccessRecord], None],
        tls: ssl.SSLContext | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.route = route
        """Replaced whole when the configuration changes; a request keeps the one it began with."""
        self.tls = tls
        """Of an HTTPS listener; replaced the same way, for connections made after it."""
        self.limiter = limiter
        """Of the load balancer on this node; None: unlimited. Replaced the same way."""
        self.clock = clock
        self.pool = pool
        self.on_record = on_record
        self.connections: set[ClientBase] = set()
        self.handshakes: set[TlsAcceptor] = set()
        """Connections of an HTTPS listener that have not become clients yet."""
        self.accepted_count = 0
        """Connections let in so far."""
        self.header_memo = HeaderMemo()
        self.draining = False
        self.is_held = False
        """Whether no new request is taken for now; see ``DataPlane.hold``."""
        self._known_route: ListenerRoute | None = None
        self._known: KnownRequests = None  # type: ignore[assignment]  # set when first asked for

    def known_requests(self) -> KnownRequests:
        """The requests that clients repeat, and what the route of the moment makes of them."""
        route = self.route
        if route is not self._known_route:
            listener = route.listener
            self._known_route = route
            self._known = KnownRequests(
                adds_client_ip=listener.x_forwarded_for,
                proto=route.forwarded_proto,
                line_limit=listener.limits.request_line_bytes,
                head_limit=listener.limits.header_bytes,
                reads_others=listener.keep_session is not None or listener.gzip_json,
            )
        return self._known
