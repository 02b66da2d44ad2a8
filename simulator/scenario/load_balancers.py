"""Clusters and load balancers with their listeners."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from simulator.model import (
    Cluster,
    ClusterLimits,
    ListenerLimits,
    ListenerTimeouts,
    LoadBalancerId,
    LoadBalancerKind,
    Protocol,
    Scheduler,
    TlsSettings,
)
from simulator.model.units import parse_size
from simulator.scenario.custom import CUSTOM_KEYS, read_custom
from simulator.scenario.document import Entry, Value
from simulator.scenario.groups import Groups
from simulator.scenario.health import read_health_check
from simulator.scenario.identity import SHARED_CLUSTER, Identities
from simulator.scenario.limits import (
    LIMIT_KEYS,
    read_cluster_limits,
    read_instance_limits,
    read_performance_level,
)
from simulator.scenario.names import UniqueNames, take_name
from simulator.scenario.policies import ALL, LOWEST_PRIORITY, read_keep_session, read_policies
from simulator.scenario.scenario import Backends, ListenerPlan, LoadBalancerPlan, PolicyPlan
from simulator.scenario.tls import read_tls
from simulator.scenario.units import parse_address
from simulator.verdict import format_duration, parse_duration

_DEFAULT_BIP: Final = "100.64.0.17"
_OTHER_PROTOCOLS: Final = ("TCP", "UDP", "SSL")
_LAYER_4_SCHEDULERS: Final = ("WeightLeastConn", "Hash")
_TIMEOUTS: Final = {
    # Key: longest allowed, seconds. The vendor's shortest are left out: tests need shorter ones.
    "client_header": 120.0,  # doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic: 30 to 120 s
    "client_body": 120.0,  # the same
    "client_send": 3600.0,
    "keep_alive": 3600.0,
    "connect": 3600.0,
    "server": 3600.0,  # the vendor's API metadata: 1 to 3600 s
    "backend_keep_alive": 3600.0,
}
_MOST_NODES: Final = 16
"""Of one cluster; each is a process."""
_LIMITS: Final = ("request_line", "header", "response_header", "body_buffer", "body")
_LOAD_BALANCER_ID: Final = re.compile(r"lb-[0-9A-Za-z]{8}")


def read_clusters(
    shared: Value | None, dedicated: Value | None, identities: Identities
) -> dict[str, Cluster]:
    """``shared_cluster: {nodes}`` and ``dedicated_clusters: [{name, nodes, limits}]``, by name."""
    shared_nodes = 1
    if shared is not None:
        shared_nodes = _read_node_count(shared.mapping(("nodes",)))
    clusters = {
        SHARED_CLUSTER: identities.cluster(
            SHARED_CLUSTER, node_count=shared_nodes, limits=ClusterLimits()
        )
    }
    names = UniqueNames("dedicated cluster")
    for value in [] if dedicated is None else dedicated.items():
        entry = value.mapping(("name", "nodes", "limits"), required=("name",))
        name = take_name(entry, names)
        node_count, limits = _read_node_count(entry), read_cluster_limits(entry)
        if name == SHARED_CLUSTER:
            value.problem("'shared' is the name of the shared cluster; expected another")
        elif name and name not in clusters:
            clusters[name] = identities.cluster(name, node_count=node_count, limits=limits)
    return clusters


def _read_node_count(entry: Entry) -> int:
    return entry.integer("nodes", 1, _MOST_NODES, 1)


def read_load_balancers(
    value: Value | None,
    *,
    backends: Mapping[str, Backends],
    clusters: Mapping[str, Cluster],
    identities: Identities,
    directory: Path,
) -> dict[str, LoadBalancerPlan]:
    """``load_balancers: [...]`` by name; file names in them are relative to ``directory``."""
    reader = _LoadBalancers(backends, clusters, identities, directory)
    plans = [reader.read(entry) for entry in ([] if value is None else value.items())]
    by_name: dict[str, LoadBalancerPlan] = {}
    for plan in plans:
        if plan.name:
            # Two with one name are a problem already; others refer to the first.
            by_name.setdefault(plan.name, plan)
    return by_name


class _LoadBalancers:
    """Reads load balancers one by one and remembers what may be given only once."""

    def __init__(
        self,
        backends: Mapping[str, Backends],
        clusters: Mapping[str, Cluster],
        identities: Identities,
        directory: Path,
    ) -> None:
        self._directory = directory
        self._backends = backends
        self._clusters = clusters
        self._identities = identities
        self._names = UniqueNames("load balancer")
        self._ids = UniqueNames("load balancer id")
        self._vips = UniqueNames("load balancer address")
        self._binds: dict[str, str] = {}

    def read(self, value: Value) -> LoadBalancerPlan:
        entry = value.mapping(
            (
                "name",
                "id",
                "kind",
                "cluster",
                "vip",
                "cip_forward",
                "bips",
                "server_groups",
                "ip_groups",
                *LIMIT_KEYS,
                "listeners",
            ),
            required=("name",),
        )
        name = take_name(entry, self._names)
        kind = entry.choice("kind", LoadBalancerKind, LoadBalancerKind.APPLICATION)
        cluster_value = entry.get("cluster")
        cluster = SHARED_CLUSTER
        if cluster_value is not None:
            cluster = cluster_value.reference("cluster", self._clusters) or SHARED_CLUSTER
        groups = None
        if kind is LoadBalancerKind.APPLICATION:
            groups = Groups(entry, self._backends)
        else:
            _refuse_in_standard(entry, ("server_groups", "ip_groups"))
        listeners = self._read_listeners(entry, groups)
        if groups is None:
            self._check_one_backend_list(listeners)
        _check_redirects(listeners)
        level = read_performance_level(entry)
        return LoadBalancerPlan(
            load_balancer_id=self._read_id(entry, name),
            name=name,
            kind=kind,
            vip=self._read_vip(entry, name),
            gateway_addresses=_read_gateway(entry),
            cluster=self._clusters[cluster],
            listeners=tuple(listener for _, listener in listeners),
            server_groups=() if groups is None else tuple(groups.server_groups.values()),
            ip_groups=() if groups is None else tuple(groups.ip_groups.values()),
            performance_level=level,
            limits=read_instance_limits(entry, level),
        )

    def _read_id(self, entry: Entry, name: str) -> LoadBalancerId:
        value = entry.get("id")
        drawn = self._identities.load_balancer_id(name)
        if value is None:
            return drawn
        given = value.parsed(_parse_load_balancer_id, drawn)
        self._ids.add(given, value)
        return given

    def _read_vip(self, entry: Entry, name: str) -> str:
        value = entry.get("vip")
        if value is None:
            return self._identities.vip(name)
        vip = value.parsed(_parse_vip, "")
        if vip:
            self._identities.take(vip)
            self._vips.add(vip, value)
        return vip

    def _read_listeners(
        self, entry: Entry, groups: Groups | None
    ) -> list[tuple[Entry, ListenerPlan]]:
        listeners: list[tuple[Entry, ListenerPlan]] = []
        lines: dict[int, int] = {}
        for value in entry.items("listeners"):
            item, listener = self._read_listener(value, groups)
            listeners.append((item, listener))
            port = item.get("port")
            if port is not None and listener.port:
                if listener.port in lines:
                    port.problem(
                        f"duplicate port {listener.port}; the listener in line "
                        f"{lines[listener.port]} of this load balancer has it already"
                    )
                lines.setdefault(listener.port, port.line)
        return listeners

    def _read_listener(self, value: Value, groups: Groups | None) -> tuple[Entry, ListenerPlan]:
        entry = value.mapping(
            (
                "protocol",
                "port",
                "bind",
                "scheduler",
                "x_forwarded_for",
                "x_forwarded_proto",
                "keep_session",
                "redirect_port",
                "health_check",
                "to",
                "policies",
                "tls",
                "timeouts",
                "limits",
                "gzip_json",
                "allow_non_ascii",
                *CUSTOM_KEYS,
            ),
            required=("protocol", "port"),
        )
        protocol = _read_protocol(entry)
        bind_host, bind_port = entry.parsed("bind", parse_address, ("127.0.0.1", 0))
        bind = entry.get("bind")
        if bind is not None and bind_port:
            self._check_bind(bind, bind_host, bind_port)
        to = entry.get("to")
        if to is None and "policies" not in entry and "redirect_port" not in entry:
            value.problem("the key 'to' is missing")
        limits = _read_limits(entry.get("limits"))
        backends = ""
        policies: tuple[PolicyPlan, ...] = ()
        if groups is not None:
            policies = _read_targets(entry, groups, protocol)
        else:
            _refuse_in_standard(entry, ("policies",))
            if to is not None:
                backends = self._read_instance_servers(to)
        return entry, ListenerPlan(
            place=bind.place if bind is not None else "",
            protocol=protocol,
            tls=self._read_tls(entry, protocol),
            port=entry.integer("port", 1, 65535, 0),
            bind_host=bind_host,
            bind_port=bind_port,
            scheduler=_read_scheduler(entry),
            x_forwarded_for=entry.boolean("x_forwarded_for", default=False),
            x_forwarded_proto=entry.boolean("x_forwarded_proto", default=False),
            policies=policies,
            backends=backends,
            keep_session=read_keep_session(entry.get("keep_session")),
            redirect_port=entry.integer("redirect_port", 1, 65535, 0),
            health_check=read_health_check(entry.get("health_check")),
            timeouts=_read_timeouts(entry.get("timeouts")),
            limits=limits,
            custom=read_custom(entry, limits),
            gzip_json=entry.boolean("gzip_json", default=False),
            allow_non_ascii=entry.boolean("allow_non_ascii", default=False),
        )

    def _read_instance_servers(self, to: Value) -> str:
        """``to`` of a standard load balancer, whose servers speak HTTP."""
        name = to.reference("entry of backends", self._backends) or ""
        if name and self._backends[name].tls:
            to.problem(
                f"the servers of {name!r} speak TLS and those of a standard load balancer are "
                "reached over HTTP; expected kind: application"
            )
        return name

    def _read_tls(self, entry: Entry, protocol: Protocol) -> TlsSettings | None:
        value = entry.get("tls")
        if protocol is Protocol.HTTPS:
            return read_tls(value, self._directory)
        if value is not None:
            value.problem("an HTTP listener has no certificates; expected protocol: HTTPS with it")
        return None

    def _check_bind(self, bind: Value, host: str, port: int) -> None:
        address = f"{host}:{port}"
        if address in self._binds:
            bind.problem(f"{address} is bound by {self._binds[address]} already; expected another")
        else:
            self._binds[address] = bind.path.removesuffix(".bind")

    def _check_one_backend_list(self, listeners: list[tuple[Entry, ListenerPlan]]) -> None:
        first = next((plan.backends for _, plan in listeners if plan.backends), "")
        for entry, plan in listeners:
            to = entry.get("to")
            if to is not None and plan.backends and plan.backends != first:
                to.problem(
                    "a standard load balancer has one list of backend servers for all its "
                    f"listeners; expected {first!r} here too, or kind: application"
                )


def _read_targets(entry: Entry, groups: Groups, protocol: Protocol) -> tuple[PolicyPlan, ...]:
    """``policies``, or ``to`` as the one policy that every request meets."""
    to, policies = entry.get("to"), entry.get("policies")
    if policies is None:
        if to is None:
            return ()
        # The lowest priority, so that a policy added while running goes first.
        to_group = groups.refer(to, protocol)
        return (PolicyPlan(priority=LOWEST_PRIORITY, rules=(ALL,), to=to_group),)
    if to is not None:
        entry.value.problem("both 'to' and 'policies' are given; expected one of them")
    return read_policies(policies, groups, protocol)


def _read_scheduler(entry: Entry) -> Scheduler:
    value = entry.get("scheduler")
    if value is not None and value.word() in _LAYER_4_SCHEDULERS:
        value.problem(
            f"the scheduler {value.word()} is for listeners of layer 4; "
            f"expected {' or '.join(Scheduler)}"
        )
        return Scheduler.ROUND_ROBIN
    return entry.choice("scheduler", Scheduler, Scheduler.ROUND_ROBIN)


def _refuse_in_standard(entry: Entry, keys: tuple[str, ...]) -> None:
    for key in keys:
        value = entry.get(key)
        if value is not None:
            value.problem(
                f"a standard load balancer has no {key}; expected 'to' with the name of backends "
                "in its listeners, or kind: application"
            )


def _check_redirects(listeners: list[tuple[Entry, ListenerPlan]]) -> None:
    """Source: doc https://cloud.baidu.com/doc/BLB/s/Ymotqzfzu: from HTTP to HTTPS listeners."""
    https = {plan.port for _, plan in listeners if plan.protocol is Protocol.HTTPS}
    for entry, plan in listeners:
        value = entry.get("redirect_port")
        if value is None or not plan.redirect_port:
            continue
        if plan.protocol is Protocol.HTTPS:
            value.problem("an HTTPS listener does not redirect; expected it on an HTTP listener")
        elif plan.redirect_port not in https:
            value.problem(
                f"this load balancer has no HTTPS listener on port {plan.redirect_port}; "
                f"its HTTPS ports: {', '.join(map(str, sorted(https))) or 'none'}"
            )


def _read_timeouts(value: Value | None) -> ListenerTimeouts:
    if value is None:
        return ListenerTimeouts()
    entry = value.mapping(tuple(_TIMEOUTS))
    given: dict[str, float] = {}
    for key, longest_s in _TIMEOUTS.items():
        seconds = entry.parsed(key, _timeout_parser(longest_s), None)
        if seconds is not None:
            given[f"{key}_s"] = seconds
    return ListenerTimeouts(**given)


def _read_limits(value: Value | None) -> ListenerLimits:
    if value is None:
        return ListenerLimits()
    entry = value.mapping(_LIMITS)
    given: dict[str, int] = {}
    for key in _LIMITS:
        size = entry.parsed(key, _parse_limit, None)
        if size is not None:
            given[f"{key}_bytes"] = size
    return ListenerLimits(**given)


def _read_protocol(entry: Entry) -> Protocol:
    value = entry.get("protocol")
    if value is not None and value.word() in _OTHER_PROTOCOLS:
        value.problem(
            f"the protocol {value.word()} is not simulated yet; expected {' or '.join(Protocol)}"
        )
        return Protocol.HTTP
    return entry.choice("protocol", Protocol, Protocol.HTTP)


def _timeout_parser(longest_s: float) -> Callable[[str], float | None]:
    def parse(text: str) -> float | None:
        seconds = parse_duration(text)
        if not 0.0 < seconds <= longest_s:
            raise ValueError(
                f"{text} is out of range; expected more than 0s and at most "
                f"{format_duration(longest_s)}"
            )
        return seconds

    return parse


def _parse_limit(text: str) -> int | None:
    size = parse_size(text)
    if size == 0:
        raise ValueError(f"the limit {text} lets nothing pass; expected at least 1B")
    return size


def _parse_load_balancer_id(text: str) -> LoadBalancerId:
    if not _LOAD_BALANCER_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not an id; expected lb- and 8 letters or digits")
    return LoadBalancerId(text)


def _read_gateway(entry: Entry) -> tuple[str, ...]:
    """``cip_forward`` and ``bips``.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (2025-10-16): without cip_forward
    ``remote_addr`` is the gateway's BIP; its address here is assumed.
    """
    forwards = entry.boolean("cip_forward", default=True)
    bips = entry.get("bips")
    if forwards:
        if bips is not None:
            bips.problem("bips are seen with cip_forward: off only")
        return ()
    if bips is None:
        return (_DEFAULT_BIP,)
    items = bips.items()
    if not items:
        bips.problem("expected at least one address")
    return tuple(item.parsed(_parse_vip, _DEFAULT_BIP) for item in items)


def _parse_vip(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not an IPv4 address; expected e.g. 192.168.0.10") from error
