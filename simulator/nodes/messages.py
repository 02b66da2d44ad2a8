"""What the simulator, the process that forks service nodes, and the nodes say to each other."""

from dataclasses import dataclass
from pathlib import Path

from simulator.accesslog import AccessRecordShape
from simulator.dataplane import ListenerKey
from simulator.model import (
    BackendServerId,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    TlsSettings,
)
from simulator.nodes.traffic import NodeTraffic
from simulator.spool import SegmentInfo, WhenFull


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFormat:
    """How access records are written."""

    shape: AccessRecordShape = AccessRecordShape.TYPED
    zone_offset_s: int = 8 * 3600
    """Zone of ``time_local``, seconds east of UTC."""


@dataclass(slots=True, kw_only=True)
class RecentRecord:
    """One of the newest records, as it was spooled."""

    logged_at: float
    load_balancer_id: LoadBalancerId
    line: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedListener:
    """One listener that a node is to serve."""

    load_balancer: LoadBalancer
    listener: Listener
    tls: TlsSettings | None = None
    """Of an HTTPS listener; its certificates are files."""
    place: str = ""
    """Where its address was configured, for the message when it cannot be had."""

    @property
    def key(self) -> ListenerKey:
        """As the data plane knows it."""
        return self.load_balancer.load_balancer_id, self.listener.port


# -- to the process that forks


@dataclass(frozen=True, slots=True)
class Fork:
    """Fork a node; the one descriptor that comes along is its end of the channel."""

    place: int
    """Its place in the page."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End a node at once; nothing happens if it has ended."""

    pid: int


# -- from it


@dataclass(frozen=True, slots=True)
class Forked:
    """A node runs."""

    place: int
    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A node has ended."""

    pid: int
    status: int
    """Exit code; the negative of the signal that ended it."""


# -- to a node


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first message: what stays as it is for the node's life."""

    place: int
    """In the page."""
    node_index: int
    """In its cluster."""
    spool: Path
    quantum_s: float
    max_segment_bytes: int
    max_bytes: int | None
    """Of the whole spool; None: no bound."""
    when_full: WhenFull
    record: RecordFormat


@dataclass(frozen=True, slots=True)
class Hold:
    """Take no new request until Resume."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Take requests again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOrder:
    """A series of the spool that the node is to write."""

    load_balancer_id: LoadBalancerId
    node_address: str
    cells: int
    """Which of the node's rows of cells it has."""
    next_seq: int
    """Used if the node does not write it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Make ready to serve these listeners and no others. Answered by Prepared or Refused."""

    number: int
    listeners: tuple[ServedListener, ...]
    contexts: tuple[int | None, ...]
    """Of each listener the number of its TLS context, made before the fork; None without TLS, or
    for one that the node makes itself."""
    series: tuple[SeriesOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Listening sockets for the change prepared, one descriptor for each key."""

    keys: tuple[ListenerKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Serve what was prepared. Answered by Committed."""

    number: int
    unusable: tuple[tuple[LoadBalancerId, str, BackendServerId], ...]
    """Load balancer, scope and id of the servers that get no traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A server is alive, or gets no traffic, for those who ask under ``scope``."""

    load_balancer_id: LoadBalancerId
    scope: str
    server_id: BackendServerId
    is_usable: bool


@dataclass(frozen=True, slots=True)
class Wake:
    """Fire what is due on the clock; answered by Woken after everything sent before."""

    number: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Close what is being written of a load balancer; answered by Woken after its report."""

    number: int
    load_balancer_id: LoadBalancerId


@dataclass(frozen=True, slots=True)
class Report:
    """Tell how you are; answered by Reported."""

    number: int
    record_count: int
    """How many of the newest records to tell."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Accept no more, let requests finish for so many real seconds, and end."""

    drain_s: float


# -- from a node


@dataclass(frozen=True, slots=True)
class Prepared:
    """It can serve what it was asked to."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot; nothing has changed."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Committed:
    """It serves it."""

    number: int


@dataclass(frozen=True, slots=True)
class Woken:
    """Nothing is due any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A segment is complete."""

    segment: SegmentInfo


@dataclass(frozen=True, slots=True)
class Full:
    """The spool is full: it takes no new request until Resume."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No request is under way any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """How a node is."""

    number: int
    traffic: NodeTraffic
    records: tuple[RecentRecord, ...] | None = None
    """The newest, oldest of them first; None if none were asked for."""
