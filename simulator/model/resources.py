"""Load balancers, listeners, server groups, clusters, flow logs and their destinations.

Everything here is frozen: a change makes the next ``Snapshot``, it never edits one. What moves
(weights in use, open requests, cursors) lives with the room that moves it, joined by id.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType

from simulator.model.custom import CustomConfiguration
from simulator.model.health import HealthCheck
from simulator.model.key_layout import DEFAULT_LAYOUT
from simulator.model.limits import ClusterLimits, InstanceLimits, PerformanceLevel

LoadBalancerId = NewType("LoadBalancerId", str)
"""``lb-`` and 8 hex digits."""
ServerGroupId = NewType("ServerGroupId", str)
"""``sg-`` and 8 hex digits; the instance id for a standard load balancer, which has no groups."""
IpGroupId = NewType("IpGroupId", str)
"""``ip_group-`` and 8 hex digits."""
PolicyId = NewType("PolicyId", str)
"""``policy-`` and 8 hex digits."""
BackendServerId = NewType("BackendServerId", str)
"""``i-`` and 8 characters; ``ip_member-`` and 8 hex digits for a member of an IP group."""
FlowLogId = NewType("FlowLogId", str)
"""``fl-`` and 8 hex digits."""


class LoadBalancerKind(StrEnum):
    """The two families of load balancers."""

    STANDARD = "standard"
    APPLICATION = "application"


class Protocol(StrEnum):
    """Protocols of listeners that the data plane serves, and of IP groups."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class Scheduler(StrEnum):
    """How a listener spreads requests over backend servers."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_CONNECTION = "LeastConnection"


class KeepSessionType(StrEnum):
    """How a listener remembers which backend server a client was given."""

    INSERT = "insert"
    """It plants a cookie of its own."""
    REWRITE = "rewrite"
    """It adds to the cookie that the backend server sets."""


class RuleKey(StrEnum):
    """What of a request a rule looks at."""

    HOST = "host"
    URI = "uri"
    ALL = "*"


class PortType(StrEnum):
    """What a port of a server group speaks."""

    TCP = "TCP"
    UDP = "UDP"
    HTTP = "HTTP"


class AuthMode(StrEnum):
    """What a control API does with a request whose signature does not hold."""

    ENFORCE = "enforce"
    """Refuse it."""
    WARN = "warn"
    """Serve it and say so in the log."""
    OFF = "off"
    """Look at no signature."""


class ClusterKind(StrEnum):
    """Who else is served by the machines of a cluster."""

    SHARED = "shared"
    DEDICATED = "dedicated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNode:
    """One machine of a cluster: it serves requests and spools their records."""

    index: int
    """0-based within its cluster."""
    address: str
    """Internal address, printed as ``upstream_local_addr``; in 100.64.0.0/10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The machines that serve a set of load balancers."""

    name: str
    """``shared``, or the name of a dedicated cluster."""
    kind: ClusterKind
    cluster_id: str
    """``nginx_group-`` and 8 hex digits for layer 7; empty when shared."""
    nodes: tuple[ServiceNode, ...]
    limits: ClusterLimits = field(default_factory=ClusterLimits)
    """Of a dedicated cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendServer:
    """A server that answers requests."""

    backend_server_id: BackendServerId
    address: str
    """``ip:port`` as the record prints it; IPv6 in brackets."""
    connect_host: str
    """Where the socket really connects to."""
    connect_port: int
    weight: int = 100
    """0 to 100; 0 gets no new traffic."""
    tls: bool = False
    """Whether the connection to it is encrypted: as a member of an IP group of protocol HTTPS."""

    @property
    def port(self) -> int:
        """The port of ``address``, 0 if it names none."""
        port = self.address.rpartition(":")[2]
        return int(port) if port.isdecimal() else 0

    def on_port(self, port: int) -> "BackendServer":
        """The same server on another port; on the one it has, and on 0, the server itself."""
        if port in (0, self.port):
            return self
        host = self.address.rpartition(":")[0]
        return replace(self, address=f"{host}:{port}", connect_port=port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroupPort:
    """A port that every server of a group serves; policies name it."""

    port_id: str
    """``port-`` and 8 hex digits."""
    port: int
    """1 to 65535."""
    port_type: PortType = PortType.HTTP
    health_check: HealthCheck | None = None
    """None: the servers are not checked on this port for its own sake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """Backend servers that a policy, or a standard load balancer, forwards to."""

    server_group_id: ServerGroupId
    name: str
    servers: tuple[BackendServer, ...]
    ports: tuple[ServerGroupPort, ...] = ()
    health_check: HealthCheck | None = None
    """Where policies lead to the port that each server has, not to one of ``ports``."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpGroup:
    """Addresses that a policy forwards to.

    Source: the vendor's API metadata (backend servers that speak HTTPS are those of an IP group
    of protocol HTTPS; ports of server groups are TCP, UDP or HTTP).
    """

    ip_group_id: IpGroupId
    name: str
    members: tuple[BackendServer, ...]
    """Each with the port of its own; its id is the member's."""
    protocol: Protocol = Protocol.HTTP
    """What its members speak."""
    health_check: HealthCheck | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One condition of a policy."""

    key: RuleKey
    value: str
    """A host or a path, with at most one ``*`` for any run of characters; ``*`` for the key
    ``*``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where a listener forwards the requests that meet all of its rules.

    Exactly one of ``server_group_id`` and ``ip_group_id`` is given.
    """

    policy_id: PolicyId
    priority: int
    """1 to 32768, unique in its listener; the smallest that matches wins."""
    rules: tuple[Rule, ...]
    server_group_id: ServerGroupId | None = None
    ip_group_id: IpGroupId | None = None
    backend_port: int = 0
    """The port of the server group; 0 for the port that each server has, as in an IP group."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSession:
    """Session persistence of a listener.

    Source: doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb: the two forms, the lifetime and its
    range; the name of the inserted cookie is assumed.
    """

    type: KeepSessionType = KeepSessionType.INSERT
    lifetime_s: int = 3600
    """1 to 15552000, ``insert`` only."""
    cookie_name: str = "BLB_SESSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTimeouts:
    """How long a listener waits, in real seconds: they time real sockets.

    Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (2025-05-29) for the client side;
    ``serverTimeout`` default from the vendor's API metadata; connect and keep-alive assumed
    (the defaults of the server the layer 7 is derived from).
    """

    client_header_s: float = 60.0
    client_body_s: float = 60.0
    """Between two reads of a body."""
    client_send_s: float = 60.0
    """Between two writes to a client that does not read."""
    keep_alive_s: float = 75.0
    """An idle client connection is closed after this."""
    connect_s: float = 60.0
    server_s: float = 30.0
    """Between two reads from a backend server (``serverTimeout``)."""
    backend_keep_alive_s: float = 60.0
    """An idle pooled connection is closed after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Sizes at which a listener refuses, in bytes.

    Source: doc https://cloud.baidu.com/doc/BLB/s/gkk3kb8ic (2025-05-29) for
    ``proxy_buffer_size``; the request line and header limits are assumed.
    """

    request_line_bytes: int = 8192
    """A longer request line is answered 414."""
    header_bytes: int = 32768
    """A longer header block is answered 400."""
    response_header_bytes: int = 4096
    """A backend whose response header is longer earns a 502 (``proxy_buffer_size``)."""
    body_buffer_bytes: int = 16384
    """Bodies up to this are read whole before a backend server sees the request."""
    body_bytes: int | None = None
    """A larger body is answered 413; None for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One port of a load balancer."""

    protocol: Protocol
    port: int
    """The simulated ``vport``, 1 to 65535."""
    bind_host: str
    bind_port: int
    """The real socket; 0 picks a free port."""
    scheduler: Scheduler
    x_forwarded_for: bool
    x_forwarded_proto: bool = False
    policies: tuple[Policy, ...] = ()
    """Of an application load balancer; a request that meets none of them is refused."""
    server_group_id: ServerGroupId | None = None
    """Where every request goes when there are no policies: the servers of a standard load
    balancer."""
    backend_port: int = 0
    """The port of those servers; 0 for the one each has."""
    keep_session: KeepSession | None = None
    """None: off."""
    redirect_port: int = 0
    """The port of the HTTPS listener that every request is redirected to; 0 for none."""
    health_check: HealthCheck | None = None
    """Of the servers it forwards to, where their group has no check of its own."""
    timeouts: ListenerTimeouts = field(default_factory=ListenerTimeouts)
    limits: ListenerLimits = field(default_factory=ListenerLimits)
    custom: CustomConfiguration = field(default_factory=CustomConfiguration)
    gzip_json: bool = False
    """Whether JSON responses are compressed for clients that accept it (``gzipJson``)."""
    allow_non_ascii: bool = False
    """Whether a request line may hold bytes above 0x7F."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """A load balancer instance."""

    load_balancer_id: LoadBalancerId
    name: str
    kind: LoadBalancerKind
    vip: str
    gateway_addresses: tuple[str, ...] = ()
    """Addresses (BIPs) of the layer-4 gateway where it does not forward client addresses
    (``cip_forward`` off): the layer 7 then sees one of these as its peer. Empty: it forwards."""
    cluster: Cluster
    listeners: tuple[Listener, ...]
    server_groups: tuple[ServerGroup, ...]
    """Just one, with the instance's own id, if it is a standard load balancer."""
    ip_groups: tuple[IpGroup, ...] = ()
    performance_level: PerformanceLevel | None = None
    """None on the shared cluster."""
    limits: InstanceLimits = field(default_factory=InstanceLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All load balancers at one moment; a request keeps the one it began with."""

    load_balancers: tuple[LoadBalancer, ...]


class SearchMode(StrEnum):
    """What becomes of a search that the index of a LogStore does not cover."""

    LENIENT = "lenient"
    """It scans. Source: assumed (handy where no index is made by hand)."""
    STRICT = "strict"
    """It is refused. Source: assumed (the doc asks for an index)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStore:
    """A LogStore to be created at start."""

    name: str
    project: str = "default"
    retention_days: int = 7
    search: SearchMode = SearchMode.LENIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket to be created at start."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStoreDestination:
    """Records go to a LogStore."""

    project: str
    log_store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketDestination:
    """Records go to objects in a bucket.

    Source: assumed (the vendor documents bucket, folder and prefix, not key, format or size).
    """

    bucket: str
    prefix: str = ""
    layout: str = DEFAULT_LAYOUT
    """Of the key behind the prefix, without extension; see ``key_layout``."""
    gzip: bool = False
    rotation_s: int = 60
    max_object_bytes: int = 64 * 1024 * 1024


class DelayKind(StrEnum):
    """Distributions a delivery delay can follow."""

    UNIFORM = "uniform"
    LOGNORMAL = "lognormal"


class Granularity(StrEnum):
    """What one draw of a delay is for."""

    BATCH = "batch"
    """Each batch of a node."""
    NODE = "node"
    """Each node, for good: all its batches are equally fast or slow."""
    RECORD = "record"
    """Each record, in a LogStore; those of a node overtake each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayDistribution:
    """Seconds from the write of a record to its visibility.

    ``UNIFORM``: between ``low_s`` and ``high_s``. ``LOGNORMAL``: with the median ``p50_s`` and
    the 99th percentile ``p99_s``.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (2025-10-16), "2~3 minutes"; the
    uniform distribution is assumed.
    """

    kind: DelayKind = DelayKind.UNIFORM
    low_s: float = 120.0
    high_s: float = 180.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    granularity: Granularity = Granularity.BATCH
    """Source: assumed (nothing is documented but the range)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLog:
    """Delivers the layer-7 records of one load balancer to one destination."""

    flow_log_id: FlowLogId
    name: str
    load_balancer_id: LoadBalancerId
    destination: LogStoreDestination | BucketDestination
    delay: DelayDistribution = field(default_factory=DelayDistribution)
