"""A scenario as one frozen value: the file after reading, with every id already drawn."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from simulator.accesslog import AccessRecordShape
from simulator.clock import ClockMode
from simulator.model import (
    AuthMode,
    Bucket,
    Cluster,
    CustomConfiguration,
    FlowLog,
    HealthCheck,
    InstanceLimits,
    KeepSession,
    ListenerLimits,
    ListenerTimeouts,
    LoadBalancerId,
    LoadBalancerKind,
    LogStore,
    PerformanceLevel,
    Protocol,
    Rule,
    Scheduler,
    SearchMode,
    TlsSettings,
)
from simulator.model.faults import Fault
from simulator.spool import WhenFull
from simulator.verdict import Expectation
from simulator.workload import BackendProfile, TrafficProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """How simulated time begins and moves."""

    mode: ClockMode = ClockMode.AUTO
    start_at: float | None = None
    """Unix seconds; None: the machine's time when the run starts."""
    rate: float | None = None
    """Simulated seconds per real second, ``scaled`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The one account of the simulated region."""

    access_key: str = "blbsim-local-access-key"
    secret_key: str = "blbsim-local-not-a-secret"
    """A made-up pair, meant to be seen."""
    auth: AuthMode = AuthMode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the control APIs listen; 0 picks a free port."""

    api: int = 7400
    bos: int = 7401
    s3: int = 7402
    api_place: str = ""
    """``file:line:col path`` of the port in the file; empty if it is the default."""
    s3_place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """How access records are written."""

    shape: AccessRecordShape = AccessRecordShape.TYPED
    zone_offset_s: int = 8 * 3600
    """Zone of ``time_local``, seconds east of UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """What is kept of records that have been delivered."""

    keep_bytes: int = 1 << 30
    """The oldest go when there is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServiceSettings:
    """How the log service behaves as a whole."""

    search: SearchMode = SearchMode.LENIENT
    """Of every LogStore that does not say its own, those that a client makes among them."""
    ready_after_s: float = 0.0
    """How long a LogStore that a client makes refuses records and queries."""
    memory_bytes: int = 512 << 20
    """For loading and querying; beyond it DuckDB spills to the data directory, or refuses."""
    spill_bytes: int = 4 << 30
    """Of the disk, for what does not fit into that memory; beyond it a query is refused. Source:
    assumed (a bound against abuse)."""
    query_timeout_s: float = 60.0
    """Real seconds that one pull or query may take. Source: doc https://cloud.baidu.com/doc/BLS
    (of a histogram); assumed for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """What is kept of records that have not been delivered."""

    max_bytes: float = inf
    """What happens beyond it is for ``when_full`` to say."""
    when_full: WhenFull = WhenFull.DROP


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalServers:
    """Backend servers that run elsewhere."""

    addresses: tuple[tuple[str, int], ...]
    """Host (no brackets) and port of each."""
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """A named set of backend servers that listeners forward to."""

    name: str
    servers: BackendProfile | ExternalServers
    weights: tuple[int, ...]
    """One per server, 0 to 100."""

    @property
    def tls(self) -> bool:
        """Whether the servers speak TLS; then they are members of IP groups of protocol HTTPS."""
        return self.servers.tls


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroupPlan:
    """A server group before its servers have sockets."""

    name: str
    backends: tuple[str, ...]
    """Names of entries of ``Scenario.backends``; their servers in this order."""
    weights: tuple[int, ...]
    """One per server."""
    health_check: HealthCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IpGroupPlan:
    """An IP group."""

    name: str
    members: tuple[tuple[str, int] | str, ...]
    """Host (no brackets) and port of a server, or the name of an entry of
    ``Scenario.backends`` for all its servers."""
    weights: tuple[int, ...]
    """One per server."""
    protocol: Protocol = Protocol.HTTP
    health_check: HealthCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlan:
    """A policy whose group is known by name."""

    priority: int
    rules: tuple[Rule, ...]
    to: str
    """Name of a server group or IP group of the load balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerPlan:
    """A listener before its backend servers have sockets."""

    protocol: Protocol
    port: int
    bind_host: str
    bind_port: int
    scheduler: Scheduler
    x_forwarded_for: bool
    x_forwarded_proto: bool = False
    policies: tuple[PolicyPlan, ...] = ()
    """Of an application load balancer; ``to`` has become the one that every request meets."""
    backends: str = ""
    """Name of an entry of ``Scenario.backends``, of a standard load balancer."""
    keep_session: KeepSession | None = None
    redirect_port: int = 0
    health_check: HealthCheck | None = None
    tls: TlsSettings | None = None
    """Of an HTTPS listener."""
    place: str = ""
    """``file:line:col path`` of ``bind``; empty without one."""
    timeouts: ListenerTimeouts
    limits: ListenerLimits
    custom: CustomConfiguration
    gzip_json: bool = False
    allow_non_ascii: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerPlan:
    """A load balancer before its backend servers have sockets."""

    load_balancer_id: LoadBalancerId
    name: str
    kind: LoadBalancerKind
    vip: str
    gateway_addresses: tuple[str, ...] = ()
    cluster: Cluster
    listeners: tuple[ListenerPlan, ...]
    server_groups: tuple[ServerGroupPlan, ...] = ()
    """Those given, then one for each entry of backends that a policy names."""
    ip_groups: tuple[IpGroupPlan, ...] = ()
    performance_level: PerformanceLevel | None = None
    limits: InstanceLimits = field(default_factory=InstanceLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything a run is made of."""

    path: Path
    name: str
    seed: int
    seed_drawn: bool
    """The file gave no seed; the run prints the one drawn."""
    region: str = "bj"
    clock: ClockSettings = field(default_factory=ClockSettings)
    account: Account = field(default_factory=Account)
    ports: Ports = field(default_factory=Ports)
    record: RecordSettings = field(default_factory=RecordSettings)
    log_service: LogServiceSettings = field(default_factory=LogServiceSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    backends: tuple[Backends, ...] = ()
    load_balancers: tuple[LoadBalancerPlan, ...] = ()
    log_stores: tuple[LogStore, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    flow_logs: tuple[FlowLog, ...] = ()
    traffic: tuple[TrafficProfile, ...] = ()
    faults: tuple[Fault, ...] = ()
    """Their time counts from the beginning of the simulation."""
    expectations: tuple[Expectation, ...] = ()

    @property
    def builtin_backends(self) -> tuple[BackendProfile, ...]:
        """The sets of servers that the run has to start itself."""
        return tuple(
            backends.servers
            for backends in self.backends
            if isinstance(backends.servers, BackendProfile)
        )
