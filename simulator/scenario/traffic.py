"""What is sent, and what is expected of the run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulator.model import Protocol
from simulator.model.units import parse_share
from simulator.scenario.document import Entry, Value, suggest
from simulator.scenario.scenario import LoadBalancerPlan
from simulator.scenario.tls import read_certificate_files
from simulator.scenario.units import parse_rate, parse_size_range
from simulator.verdict import Expectation, parse_duration, parse_expectation
from simulator.workload import (
    PathTemplate,
    RequestTemplate,
    TrafficProfile,
    TrafficTls,
    parse_path,
)

_METHODS: Final = ("get", "head", "post", "put", "delete", "patch", "options")
_MAX_CLIENTS: Final = 60_000  # each holds a socket
_DEFAULT_CLIENTS: Final = 100
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection", "expect"})
_DEFAULT_REQUESTS: Final = (RequestTemplate(method="GET", path=PathTemplate(parts=("/",))),)
_TARGET: Final = re.compile(r"(.+):([0-9]{1,5})")


def read_traffic(
    value: Value | None, load_balancers: Mapping[str, LoadBalancerPlan], directory: Path
) -> tuple[TrafficProfile, ...]:
    """``traffic: [{to, rate, for, start, clients, requests, tls}]``.

    Args:
        value: the list.
        load_balancers: that traffic may go to, by name.
        directory: what relative file names are relative to: the scenario's.
    """
    profiles: list[TrafficProfile] = []
    for entry_value in [] if value is None else value.items():
        entry = entry_value.mapping(
            ("to", "rate", "for", "start", "clients", "requests", "tls"),
            required=("to", "rate", "for"),
        )
        load_balancer, port = _read_target(entry.get("to"), load_balancers)
        same_target = sum(1 for profile in profiles if profile.target == f"{load_balancer}:{port}")
        suffix = f"#{same_target + 1}" if same_target else ""
        requests = entry.get("requests")
        clients = _read_clients(entry.get("clients"))
        profile = TrafficProfile(
            name=f"{load_balancer}:{port}{suffix}",
            load_balancer=load_balancer,
            port=port,
            rate_per_s=entry.parsed("rate", parse_rate, 1.0),
            duration_s=entry.parsed("for", _parse_length, 1.0),
            start_s=entry.parsed("start", parse_duration, 0.0),
            client_count=clients[0],
            keep_share=clients[1],
            tls=_read_tls(entry, load_balancers.get(load_balancer), port, directory),
            requests=(_DEFAULT_REQUESTS if requests is None else _read_requests(requests)),
        )
        profiles.append(profile)
    return tuple(profiles)


def read_expectations(
    value: Value | None, flow_log_names: tuple[str, ...], load_balancer_names: tuple[str, ...]
) -> tuple[Expectation, ...]:
    """``expect: [{that: text}]``; a metric of a flow log or load balancer has to name one."""
    expectations: list[Expectation] = []
    for entry_value in [] if value is None else value.items():
        entry = entry_value.mapping(("that",), required=("that",))
        that = entry.get("that")
        expectation = that.parsed(parse_expectation, None) if that is not None else None
        if that is None or expectation is None:
            continue
        expectations.append(expectation)
        for metric in expectation.metrics:
            for kind, name, known in (
                ("flow log", metric.flow_log, flow_log_names),
                ("load balancer", metric.load_balancer, load_balancer_names),
            ):
                if name is not None and name not in known:
                    that.problem(f"no {kind} is named {name!r}; {suggest(name, known)}")
    return tuple(expectations)


def _read_target(
    value: Value | None, load_balancers: Mapping[str, LoadBalancerPlan]
) -> tuple[str, int]:
    if value is None:
        return "", 0
    name, port = value.parsed(_parse_target, ("", 0))
    if not name:
        return name, port
    if name not in load_balancers:
        value.problem(f"no load balancer is named {name!r}; {suggest(name, load_balancers)}")
        return name, port
    ports = [listener.port for listener in load_balancers[name].listeners]
    if port not in ports:
        listed = ", ".join(map(str, ports)) or "none"
        value.problem(f"load balancer {name!r} has no listener on port {port}; its ports: {listed}")
    return name, port


def _read_clients(value: Value | None) -> tuple[int, float]:
    """How many clients, and the share of responses after which they keep their connection."""
    if value is None:
        return _DEFAULT_CLIENTS, 1.0
    entry = value.mapping(("count", "keep"), required=("count",))
    return entry.integer("count", 1, _MAX_CLIENTS, 1), entry.parsed("keep", parse_share, 1.0)


def _read_tls(
    entry: Entry, load_balancer: LoadBalancerPlan | None, port: int, directory: Path
) -> TrafficTls | None:
    """``tls: {resume, certificate, key}``; None where the listener speaks plain HTTP."""
    value = entry.get("tls")
    listeners = () if load_balancer is None else load_balancer.listeners
    protocol = next((each.protocol for each in listeners if each.port == port), None)
    if protocol is not Protocol.HTTPS:
        if value is not None and protocol is not None:
            value.problem("the listener speaks plain HTTP; expected tls for an HTTPS listener")
        return None
    if value is None:
        return TrafficTls()
    tls = value.mapping(("resume", "certificate", "key"))
    return TrafficTls(
        resume_share=tls.parsed("resume", _parse_resume, 1.0),
        certificate=read_certificate_files(value, directory),
    )


def _parse_resume(text: str) -> float:
    if text in ("true", "false"):
        return float(text == "true")
    if not text.endswith("%"):
        raise ValueError(f"{text!r} is not a share; expected true, false or such as 50%")
    return parse_share(text)


def _read_requests(value: Value) -> tuple[RequestTemplate, ...]:
    entries = value.items()
    if not entries and not value.is_mapping:
        value.problem("no request is given; expected at least one, such as {get: /}")
    return tuple(_read_request(entry) for entry in entries)


def _read_request(value: Value) -> RequestTemplate:
    entry = value.mapping((*_METHODS, "weight", "headers", "body"))
    methods = [method for method in _METHODS if method in entry]
    if len(methods) != 1 and value.is_mapping:
        given = f"{' and '.join(methods)} are given" if methods else "no method is given"
        value.problem(f"{given}; expected one of {', '.join(_METHODS)} with a path")
    method = methods[0] if methods else "get"
    weight, body = entry.get("weight"), entry.get("body")
    return RequestTemplate(
        method=method.upper(),
        path=entry.parsed(method, parse_path, PathTemplate(parts=("/",))),
        weight=1.0 if weight is None else weight.positive_number(1.0),
        headers=_read_headers(entry),
        body_bytes=None if body is None else body.parsed(parse_size_range, None),
    )


def _read_headers(entry: Entry) -> tuple[tuple[str, str], ...]:
    headers = entry.get("headers")
    read: list[tuple[str, str]] = []
    for name, (key, value) in [] if headers is None else headers.entries():
        if not _HEADER_NAME.fullmatch(name):
            key.problem(f"{name!r} is not a header name")
        elif name.lower() in _OWN_HEADERS:
            key.problem(f"the header {name!r} is the sender's own; expected any other")
        read.append((name, value.parsed(_parse_header_value, "")))
    return tuple(read)


def _parse_header_value(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text if character != "\t"):
        raise ValueError("a header value cannot hold control characters")
    return text


def _parse_target(text: str) -> tuple[str, int]:
    found = _TARGET.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a target; expected balancer:port such as 'shop:80'")
    return found[1], int(found[2])


def _parse_length(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0.0:
        raise ValueError(f"{text} is no time to send anything; expected more than 0s")
    return seconds
