"""The sets of backend servers: built in, or running elsewhere."""

import re
from typing import Final

from simulator.scenario.document import Entry, Value
from simulator.scenario.names import parse_name
from simulator.scenario.scenario import Backends, ExternalServers
from simulator.scenario.units import parse_address, parse_size_range
from simulator.verdict import parse_duration, parse_share
from simulator.workload import BackendProfile

MAX_SERVERS: Final = 50  # of a server group; doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu
_BUILT_IN_KEYS: Final = ("count", "latency", "errors", "body")
_EXTERNAL_KEYS: Final = ("address", "addresses")


def read_backends(value: Value | None) -> dict[str, Backends]:
    """``backends: {name: {...}}`` by name."""
    backends: dict[str, Backends] = {}
    if value is None:
        return backends
    for name, (key, entry_value) in value.entries():
        key.parsed(parse_name, "")
        entry = entry_value.mapping(
            (*_BUILT_IN_KEYS, *_EXTERNAL_KEYS, "tls", "weight", "weights"),
        )
        external = [key for key in _EXTERNAL_KEYS if key in entry]
        built_in = [key for key in _BUILT_IN_KEYS if key in entry]
        servers: BackendProfile | ExternalServers
        if external and built_in:
            entry_value.problem(
                f"{external[0]!r} names servers that run elsewhere and {built_in[0]!r} describes "
                "built-in ones; expected one or the other"
            )
            servers = ExternalServers(addresses=())
        elif external:
            servers = _read_external(entry)
        else:
            servers = _read_built_in(name, entry)
        count = len(servers.addresses) if isinstance(servers, ExternalServers) else servers.count
        backends[name] = Backends(
            name=name,
            servers=servers,
            weights=read_weights(entry, count),
        )
    return backends


def _read_built_in(name: str, entry: Entry) -> BackendProfile:
    p50_s, p99_s = _read_latency(entry.get("latency"))
    body = entry.get("body")
    return BackendProfile(
        name=name,
        count=entry.integer("count", 1, MAX_SERVERS, 1),
        latency_p50_s=p50_s,
        latency_p99_s=p99_s,
        errors=_read_errors(entry.get("errors")),
        body_bytes=None if body is None else body.parsed(parse_size_range, None),
        tls=entry.boolean("tls", default=False),
    )


def _read_latency(value: Value | None) -> tuple[float, float]:
    if value is None:
        return 0.0, 0.0
    if not value.is_mapping:
        seconds = value.parsed(parse_duration, 0.0)
        return seconds, seconds
    parts = value.mapping(("p50", "p99"), required=("p50", "p99"))
    p50_s = parts.parsed("p50", parse_duration, None)
    p99_s = parts.parsed("p99", parse_duration, None)
    if p50_s is None or p99_s is None:
        return 0.0, 0.0
    if p99_s < p50_s:
        value.problem("p99 is less than p50; expected at least as much")
    elif p50_s == 0.0 < p99_s:
        value.problem("a p50 of 0s leaves no room for a p99 above it; expected more than 0s")
    return p50_s, p99_s


def _read_errors(value: Value | None) -> tuple[tuple[int, float], ...]:
    errors: dict[int, float] = {}
    for _, (key, share) in [] if value is None else value.entries():
        status = key.parsed(_parse_error_status, 0)
        errors[status] = share.parsed(parse_share, 0.0)
    if value is not None and sum(errors.values()) > 1.0:
        value.problem("the shares add up to more than 100%")
    return tuple(errors.items())


def _read_external(entry: Entry) -> ExternalServers:
    address, addresses = entry.get("address"), entry.get("addresses")
    if address is not None and addresses is not None:
        entry.value.problem("both 'address' and 'addresses' are given; expected one of them")
    values = [] if addresses is None else addresses.items()
    if addresses is not None and not values:
        addresses.problem("no address is given; expected at least one")
    elif len(values) > MAX_SERVERS and addresses is not None:
        addresses.problem(f"{len(values)} servers are too many; expected at most {MAX_SERVERS}")
    if address is not None:
        values = [address]
    return ExternalServers(
        addresses=tuple(value.parsed(parse_server_address, ("", 0)) for value in values),
        tls=entry.boolean("tls", default=False),
    )


def read_weights(entry: Entry, count: int) -> tuple[int, ...]:
    """``weights``, one for each of ``count`` servers, or ``weight`` for all."""
    weight, weights = entry.get("weight"), entry.get("weights")
    if weights is None:
        return (entry.integer("weight", 0, 100, 100),) * count
    if weight is not None:
        entry.value.problem("both 'weight' and 'weights' are given; expected one of them")
    values = weights.items()
    if values and len(values) != count:
        weights.problem(f"{len(values)} weights for {count} servers; expected one for each")
    return tuple(value.integer(0, 100, 100) for value in values)


def _parse_error_status(text: str) -> int:
    if not re.fullmatch(r"[45][0-9]{2}", text):
        raise ValueError(f"{text!r} is not an error status; expected 400 to 599")
    return int(text)


def parse_server_address(text: str) -> tuple[str, int]:
    """Host (no brackets) and port of a server.

    Raises:
        ValueError: it is not an address, or its port is 0.
    """
    host, port = parse_address(text)
    if port == 0:
        raise ValueError(f"{text!r} has no port to connect to; expected 1 to 65535")
    return host, port
