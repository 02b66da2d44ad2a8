"""What the admin API shows of a running simulation, and what it can ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from simulator.api.verdicts import Verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerEndpoint:
    """A listener and where it really listens."""

    load_balancer: str
    load_balancer_id: str
    port: int
    """The simulated port."""
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Everything a client needs to know."""

    api: str
    """All BCE APIs but BOS, and the admin API under ``/_sim/``."""
    s3: str | None
    """The S3 door of the object store; None without buckets."""
    region: str
    access_key: str
    secret_key: str
    listeners: tuple[ListenerEndpoint, ...]
    log_stores: tuple[tuple[str, str], ...]
    """``(project, name)``."""
    buckets: tuple[str, ...]
    authority: str | None
    """PEM file of the authority that signed the made certificates; None without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStatus:
    """Where simulated time is."""

    mode: str
    time: str
    """ISO 8601 in the records' zone."""
    unix_s: float
    next_delivery: str | None
    """When something becomes visible next, if no further record comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceReceipt:
    """What an advance of the clock brought."""

    from_time: str
    to_time: str
    advanced_s: float
    records: int
    """Records that became visible, one for every flow log."""
    objects: int
    by_flow_log: dict[str, int]
    object_names: tuple[str, ...]
    """``<bucket>/<key>``; the newest of very many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogView:
    """One flow log's counts; delays in seconds."""

    name: str
    flow_log_id: str
    destination: str
    status: str
    written: int
    delivered: int
    pending: int
    lost: int
    dropped: int
    """Taken away by faults."""
    copied: int
    """Added by faults."""
    held: int
    """Of ``pending``: kept back by faults."""
    objects: int
    delay_min_s: float | None
    delay_median_s: float | None
    delay_max_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """One traffic entry's counts."""

    name: str
    sent: int
    completed: int
    failed: int
    overflowed: int
    """Due while every client was busy; never sent."""
    by_status: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerView:
    """One listener's counts since the start."""

    port: int
    """The simulated one."""
    protocol: str
    open_connections: int
    new_connections: int
    requests: int
    by_status: dict[str, int]
    limited_requests: int
    forwarded_requests: int
    request_time_s: float
    """Of all requests together."""
    upstream_time_s: float
    """Of all tries at backend servers together."""
    request_bytes: int
    response_body_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """A backend server as a listener or group sees it."""

    server: str
    scope: str
    """The server group or IP group, its port, and the listener if the check is its own."""
    state: str
    """``Alive``, ``Dead``, or ``Unknown`` when it is not checked, or not yet."""
    since: str | None
    """When it came into this state; None for one that is not checked."""
    detail: str
    """What the newest probe found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerView:
    """One load balancer's counts and backend servers."""

    name: str
    load_balancer_id: str
    dropped_connections: int
    """Refused by its limits."""
    listeners: tuple[ListenerView, ...]
    servers: tuple[ServerView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A service node of a cluster that serves a load balancer."""

    cluster: str
    address: str
    pid: int | None
    """Its process; the simulator's own where the cluster has one node. None while it starts."""
    started_at: str
    """When that process began to serve, on the simulated clock."""
    restarts: int
    connections: int
    """Client connections open."""
    requests: int
    """Requests answered since the run began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolView:
    """How much of the bound of the spool is used."""

    used_bytes: int
    max_bytes: int
    when_full: str
    """``drop`` or ``block``."""
    full_since: str | None
    """Since when new requests wait, on the simulated clock; None if they do not."""
    blocked_s: float
    """How long new requests have had to wait in all, real seconds."""
    blocked_count: int
    """How often."""
    advice: str | None
    """What makes room if nothing will by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStoreStatus:
    """A LogStore and what it holds."""

    project: str
    name: str
    state: str
    """``ready``, ``not ready`` or ``stopped``."""
    index: str
    """``none``, ``on`` or ``off``."""
    records: int | None
    """That can be read; None, as are the next two, where they could not be counted in time."""
    oldest: str | None
    """The earliest timestamp of a record; None without any."""
    newest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperView:
    """A log shipper and how far it has come."""

    name: str
    shipper_id: str
    project: str
    log_store: str
    bucket: str
    status: str
    """``Running``, ``Abnormal`` or ``Paused``."""
    last_run_at: str | None
    """To when all is shipped; None before the first run."""
    records: int | None
    """Shipped in the last 180 days; None: they could not be counted in time."""
    error: str
    """Why it is abnormal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPolicyView:
    """An alarm policy and how it stands."""

    name: str
    state: str
    """``ok``, ``pending`` while a condition has not held often enough, ``alert``, ``disabled``."""
    error: str
    """Why its newest evaluation failed; until one succeeds, its alarms stay as they are."""
    alarms: int
    """That are open."""
    evaluated_at: str | None
    """None before the first evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServiceView:
    """The log service at one moment."""

    log_stores: tuple[LogStoreStatus, ...]
    shippers: tuple[ShipperView, ...]
    alarm_policies: tuple[AlarmPolicyView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationStatus:
    """The whole simulation at one moment."""

    scenario: str
    version: str
    seed: int
    ready: bool
    clock: ClockStatus
    connections: int
    """Client connections open at the listeners."""
    dropped_records: int
    """Records that the disk or the bound of the spool did not take."""
    spool: SpoolView | None
    """None: the spool has no bound."""
    load_balancers: tuple[LoadBalancerView, ...]
    nodes: tuple[NodeView, ...]
    traffic: tuple[TrafficView, ...]
    flow_logs: tuple[FlowLogView, ...]
    log_service: LogServiceView


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """An access record and where it is on its way."""

    logged_at: str
    load_balancer_id: str
    due_at: str | None
    """When it becomes visible first, of a pending record whose batch is closed."""
    record: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultView:
    """A fault and what it did so far."""

    name: str
    fault: str
    """Its id in the catalogue."""
    status: str
    """``waiting`` for its time, ``active``, or ``over``."""
    settings: dict[str, str]
    """As they would be written, times left out."""
    begins_at: float
    """Unix seconds on the simulated clock."""
    ends_at: float | None
    """None: it has no end."""
    requested: float
    """The share of subjects it is to hit, 0 to 1."""
    realised: float | None
    """The share it hit; None before the first subject."""
    subjects: int
    hits: int


class FaultSet(Protocol):
    """The faults of a simulation."""

    def views(self) -> tuple[FaultView, ...]:
        """Every fault in force, in the order they were added."""
        ...

    def add(self, given: Mapping[str, str | Mapping[str, str]]) -> FaultView:
        """Put a fault in force, from its keys as texts; ``at`` counts from now.

        Raises:
            ControlError: InvalidParameter with everything that is wrong, a line each.
        """
        ...

    def remove(self, name: str) -> FaultView:
        """Take a fault back.

        Raises:
            ControlError: FaultNotFound.
        """
        ...

    def clear(self) -> int:
        """Take all faults back; how many there were."""
        ...


class Simulation(Protocol):
    """A running simulation, as the admin API drives it."""

    @property
    def ready(self) -> bool:
        """Whether everything the scenario asks for is up."""
        ...

    @property
    def verdicts(self) -> Verdicts:
        """What became of its records."""
        ...

    @property
    def faults(self) -> FaultSet:
        """What goes wrong in it on purpose."""
        ...

    def endpoints(self) -> Endpoints:
        """Where everything is."""
        ...

    def clock_status(self) -> ClockStatus:
        """Where time is."""
        ...

    async def refresh(self, record_count: int = 0) -> None:
        """Bring in what is not at hand, before ``status`` or so many ``records``."""
        ...

    def status(self) -> SimulationStatus:
        """Counts of everything."""
        ...

    def records(self, limit: int, *, pending: bool) -> tuple[RecordView, ...]:
        """The newest records, oldest of them first; only those not yet visible if ``pending``."""
        ...

    def authority_pem(self) -> bytes | None:
        """The certificate of the authority that clients of HTTPS listeners can trust."""
        ...

    async def advance(self, seconds: float) -> AdvanceReceipt:
        """Move the clock on and wait for all that becomes due."""
        ...

    async def advance_to_next_delivery(self) -> AdvanceReceipt:
        """Move the clock to the next instant something becomes visible, if there is one."""
        ...
