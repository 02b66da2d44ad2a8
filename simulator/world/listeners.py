"""Makes the scenario's listeners ready for the data plane: certificates, limits, record keeping."""

import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy, TrafficCounts
from simulator.dataplane import ListenerKey, ListenerSettings
from simulator.dataplane.certificates import Authority, make_client_context, make_server_context
from simulator.model import (
    CertificateForDomains,
    LoadBalancer,
    LoadBalancerId,
    Snapshot,
    TlsSettings,
)
from simulator.routing import compile_route
from simulator.routing.limits import InstanceLimiter, make_limiter
from simulator.scenario import ListenerPlan, Scenario
from simulator.spool import Spool
from simulator.workload import TrafficProfile
from simulator.world.state import DataDirectory

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_RECENT_RECORDS: Final = 1000
"""Newest records kept in memory for ``blbsim records``."""
_BACKEND_TLS: Final = TlsSettings(
    certificate=CertificateForDomains(domains=("backend.blbsim.internal", "localhost", "127.0.0.1"))
)


@dataclass(slots=True, kw_only=True)
class RecentRecord:
    """One of the newest records, as it was spooled."""

    logged_at: float
    load_balancer_id: LoadBalancerId
    line: bytes


class Listeners:
    """Turns the listeners of a snapshot into what the data plane opens.

    Args:
        scenario: says how records look and what each listener has.
        data: keeps the certificates that are made.
        spool: takes the records.
        host: where listeners bind that the scenario binds to loopback.
        free_ports: any free port instead of the scenario's.
    """

    def __init__(
        self, scenario: Scenario, data: DataDirectory, spool: Spool, *, host: str, free_ports: bool
    ) -> None:
        self.authority: Authority | None = None
        """Signed the certificates that were made; None while there is none."""
        self.recent: deque[RecentRecord] = deque(maxlen=_RECENT_RECORDS)
        self.counts: dict[ListenerKey, TrafficCounts] = {}
        """Of every listener there was."""
        self._scenario = scenario
        self._data = data
        self._spool = spool
        self._host = host
        self._free_ports = free_ports
        self._limiters: dict[LoadBalancerId, InstanceLimiter | None] = {}

    def settings(self, snapshot: Snapshot) -> tuple[ListenerSettings, ...]:
        """Of every listener, in order.

        Raises:
            StartupError: a certificate cannot be read or made; the spool cannot be written.
        """
        plans = {plan.load_balancer_id: plan.listeners for plan in self._scenario.load_balancers}
        return tuple(
            self._settings(balancer, index, plans[balancer.load_balancer_id][index])
            for balancer in snapshot.load_balancers
            for index in range(len(balancer.listeners))
        )

    def _settings(
        self, load_balancer: LoadBalancer, index: int, plan: ListenerPlan
    ) -> ListenerSettings:
        listener = load_balancer.listeners[index]
        if self._free_ports:
            listener = replace(listener, bind_port=0)
        if listener.bind_host in LOOPBACK and self._host not in LOOPBACK:
            listener = replace(listener, bind_host=self._host)
        return ListenerSettings(
            route=compile_route(load_balancer, listener),
            on_record=self._recorder(load_balancer, listener.port),
            limiter=self._limiter(load_balancer),
            tls=self._tls_context(plan),
            place=plan.place,
        )

    def dropped_connections(self, load_balancer_id: LoadBalancerId) -> int:
        """Connections that the limits of a load balancer have refused so far."""
        limiter = self._limiters.get(load_balancer_id)
        return 0 if limiter is None else limiter.dropped_connection_count

    def _tls_context(self, plan: ListenerPlan) -> ssl.SSLContext | None:
        """Of an HTTPS listener; its certificate is made now if the scenario gives none."""
        return None if plan.tls is None else self._server_context(plan.tls)

    def backend_context(self) -> ssl.SSLContext:
        """Of the built-in backend servers that speak TLS; each time with a new certificate.

        Raises:
            StartupError: the certificate cannot be made.
        """
        return self._server_context(_BACKEND_TLS)

    def client_context(self, profile: TrafficProfile) -> ssl.SSLContext | None:
        """Of the clients that send ``profile``; None where the listener speaks plain HTTP.

        Raises:
            StartupError: the clients' certificate cannot be read.
        """
        if profile.tls is None:
            return None
        settings = next(
            listener.tls
            for plan in self._scenario.load_balancers
            for listener in plan.listeners
            if (plan.name, listener.port) == (profile.load_balancer, profile.port)
        )
        assert settings is not None
        return make_client_context(settings, self.authority, profile.tls.certificate)

    def _server_context(self, settings: TlsSettings) -> ssl.SSLContext:
        if self.authority is None:
            self.authority = Authority(self._data.certificates)
        return make_server_context(settings, self.authority)

    def _limiter(self, load_balancer: LoadBalancer) -> InstanceLimiter | None:
        """The one limiter of all listeners of a load balancer; None: unlimited."""
        load_balancer_id = load_balancer.load_balancer_id
        if load_balancer_id not in self._limiters:
            self._limiters[load_balancer_id] = make_limiter(
                load_balancer.limits, node_count=len(load_balancer.cluster.nodes)
            )
        return self._limiters[load_balancer_id]

    def _recorder(self, load_balancer: LoadBalancer, vport: int) -> Callable[[AccessRecord], None]:
        """What becomes of each record of a listener: encoded once, spooled, remembered."""
        node = load_balancer.cluster.nodes[0]
        load_balancer_id = load_balancer.load_balancer_id
        encode = RecordEncoder(
            ServedBy(
                load_balancer_id=load_balancer_id,
                vip=load_balancer.vip,
                vport=vport,
                node_address=node.address,
            ),
            shape=self._scenario.record.shape,
            zone_offset_s=self._scenario.record.zone_offset_s,
        ).encode
        recent = self.recent
        count = self.counts.setdefault((load_balancer_id, vport), TrafficCounts()).add
        # Without a flow log too: the ledger knows every record, and one can be made at any time.
        append = self._spool.series(load_balancer_id, node.address).append

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
