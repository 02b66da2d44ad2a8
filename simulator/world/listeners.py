"""Makes the scenario's listeners ready to be served: addresses, certificates, flow logs."""

import ssl
from dataclasses import replace
from typing import Final

from simulator.dataplane.certificates import (
    Authority,
    make_client_context,
    make_server_context,
    with_certificate_files,
)
from simulator.model import CertificateForDomains, LoadBalancer, Snapshot, TlsSettings
from simulator.nodes import ServedListener
from simulator.scenario import ListenerPlan, Scenario
from simulator.workload import TrafficProfile
from simulator.world.state import DataDirectory

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_BACKEND_TLS: Final = TlsSettings(
    certificate=CertificateForDomains(domains=("backend.blbsim.internal", "localhost", "127.0.0.1"))
)


class Listeners:
    """Turns the listeners of a snapshot into what service nodes serve.

    Args:
        scenario: says what each listener has.
        data: keeps the certificates that are made.
        host: where listeners bind that the scenario binds to loopback.
        free_ports: any free port instead of the scenario's.
    """

    def __init__(
        self, scenario: Scenario, data: DataDirectory, *, host: str, free_ports: bool
    ) -> None:
        self.authority: Authority | None = None
        """Signed the certificates that were made; None while there is none."""
        self._scenario = scenario
        self._data = data
        self._host = host
        self._free_ports = free_ports
        self._in_files: dict[TlsSettings, TlsSettings] = {}

    def served(self, snapshot: Snapshot) -> tuple[ServedListener, ...]:
        """Every listener, in order.

        Raises:
            StartupError: a certificate cannot be made.
        """
        plans = {plan.load_balancer_id: plan.listeners for plan in self._scenario.load_balancers}
        return tuple(
            self._served(balancer, index, plans[balancer.load_balancer_id][index])
            for balancer in snapshot.load_balancers
            for index in range(len(balancer.listeners))
        )

    def _served(
        self, load_balancer: LoadBalancer, index: int, plan: ListenerPlan
    ) -> ServedListener:
        listener = load_balancer.listeners[index]
        if self._free_ports:
            listener = replace(listener, bind_port=0)
        if listener.bind_host in LOOPBACK and self._host not in LOOPBACK:
            listener = replace(listener, bind_host=self._host)
        return ServedListener(
            load_balancer=load_balancer,
            listener=listener,
            tls=None if plan.tls is None else self._tls(plan.tls),
            place=plan.place,
        )

    def backend_context(self) -> ssl.SSLContext:
        """Of the built-in backend servers that speak TLS; each time with a new certificate.

        Raises:
            StartupError: the certificate cannot be made.
        """
        return make_server_context(_BACKEND_TLS, self._authority())

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

    def _tls(self, settings: TlsSettings) -> TlsSettings:
        """With certificates in files; those that the scenario does not give are made now."""
        if settings not in self._in_files:
            self._in_files[settings] = with_certificate_files(settings, self._authority())
        return self._in_files[settings]

    def _authority(self) -> Authority:
        if self.authority is None:
            self.authority = Authority(self._data.certificates)
        return self.authority
