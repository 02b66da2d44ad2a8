"""What traffic to send and how built-in backend servers behave, as values. No sockets, no draws."""

from dataclasses import dataclass

from simulator.model import CertificateFiles
from simulator.workload.paths import PathTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRange:
    """A size in bytes, drawn evenly between both ends."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendProfile:
    """A set of equal built-in backend servers."""

    name: str
    count: int = 1
    """Servers, 1 to 50."""
    latency_p50_s: float = 0.0
    """Median of the lognormal latency, real seconds; 0 answers at once."""
    latency_p99_s: float = 0.0
    """99th percentile; not below the median. Equal to it: always the median."""
    errors: tuple[tuple[int, float], ...] = ()
    """``(status, share)``: statuses 400 to 599, shares 0 to 1 that add up to at most 1."""
    body_bytes: SizeRange | None = None
    """Response bodies are padded to a size in this range; None: the bare echo."""
    tls: bool = False
    """Whether they speak TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTemplate:
    """One kind of request; its parts are drawn anew for every request."""

    method: str
    path: PathTemplate
    weight: float = 1.0
    """Relative to the other templates, above 0."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent as they are; one of the same name replaces the sender's own."""
    body_bytes: SizeRange | None = None
    """None: no body and no ``Content-Length``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficTls:
    """How the clients of a stream of requests speak TLS."""

    resume_share: float = 1.0
    """Of the connections of a client that has had one before: those that go on with its session."""
    certificate: CertificateFiles | None = None
    """Of the clients; None: they have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficProfile:
    """An open-loop stream of requests to one listener."""

    name: str
    """Names its random streams; unique in a scenario."""
    load_balancer: str
    port: int
    """The listener's simulated port."""
    rate_per_s: float
    duration_s: float
    client_count: int
    """Simulated clients; each has one connection at most."""
    requests: tuple[RequestTemplate, ...]
    """At least one."""
    start_s: float = 0.0
    """From the start of the run to the start of this traffic."""
    keep_share: float = 1.0
    """Of the responses: those after which the client keeps its connection."""
    tls: TrafficTls | None = None
    """Of traffic to an HTTPS listener."""

    @property
    def target(self) -> str:
        """``balancer:port``, as the scenario writes it."""
        return f"{self.load_balancer}:{self.port}"

    @property
    def request_count(self) -> int:
        """How many requests it is, exactly."""
        return round(self.rate_per_s * self.duration_s)
