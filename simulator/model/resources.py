"""Load balancers, listeners, server groups, clusters, flow logs and their destinations.

Everything here is frozen: a change makes the next ``Snapshot``, it never edits one. What moves
(weights in use, open requests, cursors) lives with the room that moves it, joined by id.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

LoadBalancerId = NewType("LoadBalancerId", str)
"""``lb-`` and 8 hex digits."""
ServerGroupId = NewType("ServerGroupId", str)
"""``sg-`` and 8 hex digits; the instance id for a standard load balancer, which has no groups."""
BackendServerId = NewType("BackendServerId", str)
"""``i-`` and 8 characters."""
FlowLogId = NewType("FlowLogId", str)
"""``fl-`` and 8 hex digits."""


class LoadBalancerKind(StrEnum):
    """The two families of load balancers."""

    STANDARD = "standard"
    APPLICATION = "application"


class Protocol(StrEnum):
    """Listener protocols the data plane serves."""

    HTTP = "HTTP"


class Scheduler(StrEnum):
    """How a listener spreads requests over backend servers."""

    ROUND_ROBIN = "RoundRobin"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """The backend servers one listener forwards to."""

    server_group_id: ServerGroupId
    name: str
    servers: tuple[BackendServer, ...]


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
    server_group_id: ServerGroupId
    timeouts: ListenerTimeouts = field(default_factory=ListenerTimeouts)
    limits: ListenerLimits = field(default_factory=ListenerLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """A load balancer instance."""

    load_balancer_id: LoadBalancerId
    name: str
    kind: LoadBalancerKind
    vip: str
    cluster: Cluster
    listeners: tuple[Listener, ...]
    server_groups: tuple[ServerGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All load balancers at one moment; a request keeps the one it began with."""

    load_balancers: tuple[LoadBalancer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStore:
    """A LogStore to be created at start."""

    name: str
    project: str = "default"
    retention_days: int = 7


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
    gzip: bool = False
    rotation_s: int = 60
    max_object_bytes: int = 64 * 1024 * 1024


class DelayKind(StrEnum):
    """Distributions a delivery delay can follow."""

    UNIFORM = "uniform"
    LOGNORMAL = "lognormal"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLog:
    """Delivers the layer-7 records of one load balancer to one destination."""

    flow_log_id: FlowLogId
    name: str
    load_balancer_id: LoadBalancerId
    destination: LogStoreDestination | BucketDestination
    delay: DelayDistribution = field(default_factory=DelayDistribution)
