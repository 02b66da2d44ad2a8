"""Which request is sent when and by which client: a pure function of profile and seed."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from simulator.rng import Rng
from simulator.workload.profiles import RequestTemplate, TrafficProfile

_REFERER_SHARE: Final = 0.3
"""Of requests after a client's first. Source: assumed (any value between 0 and 1 serves)."""
_CLIENT_NETWORKS: Final = (
    # Reserved for benchmarks and documentation, so no record can name a real person's address.
    (0xC612_0000, 0x2_0000),  # 198.18.0.0/15, RFC 2544
    (0xCB00_7100, 0x100),  # 203.0.113.0/24, RFC 5737
    (0xC633_6400, 0x100),  # 198.51.100.0/24, RFC 5737
)
_CLIENT_ADDRESS_COUNT: Final = sum(size for _, size in _CLIENT_NETWORKS)
_EPHEMERAL_PORTS: Final = (32768, 60999)  # Linux's ip_local_port_range
_USER_AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "curl/8.5.0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """One request before it is sent."""

    at_s: float
    """From the start of the traffic."""
    client: int
    """0-based; another one sends it when this one is busy."""
    template: RequestTemplate
    method: str
    path: str
    body_bytes: int | None
    """None: no body."""
    with_referer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClient:
    """Who a connection says it is."""

    index: int
    address: str
    first_port: int
    """Source port of its first connection; the next one takes the next port."""
    user_agent: str

    def port(self, connection: int) -> int:
        """The source port of its 0-based ``connection``."""
        low, high = _EPHEMERAL_PORTS
        return low + (self.first_port - low + connection) % (high - low + 1)


def plan(profile: TrafficProfile, rng: Rng) -> Iterator[PlannedRequest]:
    """The requests of ``profile`` in order, drawn one by one.

    There are exactly ``profile.request_count``; their instants are those of a Poisson process
    with that many arrivals. Arrivals, requests and clients are separate streams: a change of the
    templates does not shift the instants.
    """
    weights = list(accumulate(template.weight for template in profile.requests))
    draw = rng.stream("workload", profile.name, "requests").random
    arrivals = _arrivals(profile, rng)
    clients = _clients(profile, rng)
    for at_s, client in zip(arrivals, clients, strict=False):
        template = profile.requests[bisect_right(weights, draw() * weights[-1])]
        path = template.path.expand(draw)
        size = template.body_bytes
        yield PlannedRequest(
            at_s=at_s,
            client=client,
            template=template,
            method=template.method,
            path=path,
            body_bytes=None
            if size is None
            else size.low + int(draw() * (size.high - size.low + 1)),
            with_referer=draw() < _REFERER_SHARE,
        )


def simulated_client(profile: TrafficProfile, rng: Rng, index: int) -> SimulatedClient:
    """The client ``index`` of ``profile``, always the same for one seed."""
    stream = ("workload", profile.name, "client", index)
    offset = int(rng.uniform(*stream, "address") * _CLIENT_ADDRESS_COUNT)
    low, high = _EPHEMERAL_PORTS
    return SimulatedClient(
        index=index,
        address=_client_address(offset),
        first_port=low + int(rng.uniform(*stream, "port") * (high - low + 1)),
        user_agent=_USER_AGENTS[int(rng.uniform(*stream, "user-agent") * len(_USER_AGENTS))],
    )


def _arrivals(profile: TrafficProfile, rng: Rng) -> Iterator[float]:
    draw = rng.stream("workload", profile.name, "arrivals").random
    at_s = 0.0
    for remaining in range(profile.request_count, 0, -1):
        # The least of `remaining` numbers drawn evenly from what is left of the duration.
        at_s += (profile.duration_s - at_s) * (1.0 - (1.0 - draw()) ** (1.0 / remaining))
        yield at_s


def _clients(profile: TrafficProfile, rng: Rng) -> Iterator[int]:
    """Clients in random order, each at rest for at least half a round between two requests."""
    draw = rng.stream("workload", profile.name, "clients").random
    order = list(range(profile.client_count))
    half = (profile.client_count + 1) // 2
    while True:
        # The first half of `order` is the one used longest ago.
        rested, recent = order[:half], order[half:]
        for last in range(len(rested) - 1, -1, -1):
            pick = int(draw() * (last + 1))
            rested[pick], rested[last] = rested[last], rested[pick]
            yield rested[last]
        order = recent + rested[::-1]


def _client_address(offset: int) -> str:
    for network, size in _CLIENT_NETWORKS:
        if offset < size:
            number = network + offset
            return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))
        offset -= size
    raise AssertionError("an offset beyond the client networks")
