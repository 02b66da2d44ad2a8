"""``health_check``, ``performance_level`` and ``limits``: what is read, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from simulator.errors import ScenarioError
from simulator.model import (
    LIMITS_BY_LEVEL,
    HealthCheck,
    HealthCheckMethod,
    HealthCheckType,
    InstanceLimits,
    LoadBalancer,
    PerformanceLevel,
)
from simulator.routing import compile_route
from simulator.routing.checked import checked_pools
from simulator.scenario import build_snapshot, load_scenario
from simulator.scenario.document import Entry, open_document
from simulator.scenario.health import read_health_check
from simulator.scenario.limits import LIMIT_KEYS, read_instance_limits, read_performance_level

T = TypeVar("T")


def reading(tmp_path: Path, text: str, read: Callable[[Entry], T]) -> T:
    path = tmp_path / "part.yaml"
    path.write_text(text, encoding="utf-8")
    root, problems = open_document(path)
    found = read(root.mapping(("health_check", *LIMIT_KEYS)))
    problems.raise_if_any()
    return found


def read_check(entry: Entry) -> HealthCheck | None:
    return read_health_check(entry.get("health_check"))


def read_limits(entry: Entry) -> tuple[PerformanceLevel | None, InstanceLimits]:
    level = read_performance_level(entry)
    return level, read_instance_limits(entry, level)


def problem_of(tmp_path: Path, text: str, read: Callable[[Entry], object]) -> str:
    with pytest.raises(ScenarioError) as caught:
        reading(tmp_path, text, read)
    [problem] = caught.value.problems
    return f"{problem.line}:{problem.column} {problem.path}: {problem.message}"


def test_nothing_is_checked_unless_the_scenario_says_so(tmp_path: Path):
    assert reading(tmp_path, "{}", read_check) is None


def test_an_empty_check_has_the_vendors_defaults(tmp_path: Path):
    check = reading(tmp_path, "health_check: {}", read_check)
    assert check == HealthCheck(
        type=HealthCheckType.HTTP,
        port=None,
        uri="/",
        method=HealthCheckMethod.HEAD,
        host="",
        normal_status=frozenset({2, 3}),
        interval_s=3.0,
        timeout_s=3.0,
        unhealthy_threshold=3,
        healthy_threshold=3,
    )


def test_everything_of_a_check_can_be_said(tmp_path: Path):
    check = reading(
        tmp_path,
        'health_check: {type: HTTP, port: 8081, uri: "/up?full=1", method: GET, host: shop.test,'
        ' normal_status: "http_2xx|http_4xx", interval: 10s, timeout: 100ms,'
        " unhealthy_threshold: 2, healthy_threshold: 5}",
        read_check,
    )
    assert check == HealthCheck(
        port=8081,
        uri="/up?full=1",
        method=HealthCheckMethod.GET,
        host="shop.test",
        normal_status=frozenset({2, 4}),
        interval_s=10.0,
        timeout_s=0.1,
        unhealthy_threshold=2,
        healthy_threshold=5,
    )


def test_a_tcp_check_needs_no_more_than_its_type(tmp_path: Path):
    check = reading(tmp_path, "health_check: {type: TCP}", read_check)
    assert check == HealthCheck(type=HealthCheckType.TCP)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{typ: TCP}", "1:16 health_check.typ: unknown key 'typ'; did you mean 'type'?"),
        (
            "{type: UDP}",
            "1:22 health_check.type: the check UDP is for listeners of layer 4; "
            "expected HTTP or TCP",
        ),
        (
            "{type: http}",
            "1:22 health_check.type: unknown value 'http'; expected one of HTTP, TCP",
        ),
        (
            "{type: TCP, uri: /up}",
            "1:32 health_check.uri: a check of type TCP has no uri; expected it with type: HTTP",
        ),
        (
            "{interval: 500ms}",
            "1:26 health_check.interval: 500ms is out of range; "
            "expected at least 1s and at most 10s",
        ),
        (
            "{interval: 11s}",
            "1:26 health_check.interval: 11s is out of range; expected at least 1s and at most 10s",
        ),
        (
            "{timeout: 0s}",
            "1:25 health_check.timeout: 0s is out of range; expected more than 0s and at most 1m",
        ),
        (
            "{timeout: 61s}",
            "1:25 health_check.timeout: 61s is out of range; expected more than 0s and at most 1m",
        ),
        (
            "{unhealthy_threshold: 1}",
            "1:37 health_check.unhealthy_threshold: 1 is out of range; "
            "expected a whole number from 2 to 5",
        ),
        (
            "{healthy_threshold: 6}",
            "1:35 health_check.healthy_threshold: 6 is out of range; "
            "expected a whole number from 2 to 5",
        ),
        (
            "{uri: up}",
            "1:21 health_check.uri: 'up' is not a path; "
            "expected / and printable ASCII without spaces",
        ),
        (
            '{host: "a b"}',
            "1:22 health_check.host: 'a b' is not a host; expected a name such as shop.example.com",
        ),
        (
            "{normal_status: 200}",
            "1:31 health_check.normal_status: '200' is not a class of statuses; "
            "expected http_1xx to http_5xx, joined with | such as http_2xx|http_3xx",
        ),
        (
            "{method: POST}",
            "1:24 health_check.method: unknown value 'POST'; expected one of HEAD, GET",
        ),
    ],
)
def test_a_check_that_cannot_be_is_refused(tmp_path: Path, text: str, problem: str):
    assert problem_of(tmp_path, f"health_check: {text}", read_check) == problem


def test_a_load_balancer_is_unlimited_unless_the_scenario_says_so(tmp_path: Path):
    level, limits = reading(tmp_path, "{}", read_limits)
    assert level is None
    assert limits.unlimited


def test_a_level_brings_its_limits(tmp_path: Path):
    level, limits = reading(tmp_path, "performance_level: small1", read_limits)
    assert level is PerformanceLevel.SMALL_1
    assert limits == LIMITS_BY_LEVEL[level]
    assert limits == InstanceLimits(qps=1000, new_connections=3000, connections=5000)


def test_limits_take_the_place_of_the_levels(tmp_path: Path):
    text = "{performance_level: small2, limits: {qps: 7, connections: unlimited}}"
    level, limits = reading(tmp_path, text, read_limits)
    assert level is PerformanceLevel.SMALL_2
    assert limits == InstanceLimits(qps=7, new_connections=5000, connections=None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "performance_level: small9",
            "1:20 performance_level: unknown value 'small9'; did you mean 'small2'?",
        ),
        ("limits: {rps: 5}", "1:10 limits.rps: unknown key 'rps'; did you mean 'qps'?"),
        (
            "limits: {qps: 0}",
            "1:15 limits.qps: '0' is not a limit; expected a whole number from 1 to 100000000 "
            "each second, or unlimited",
        ),
        (
            "limits: {connections: 5.5}",
            "1:23 limits.connections: '5.5' is not a limit; expected a whole number from 1 to "
            "100000000, or unlimited",
        ),
    ],
)
def test_limits_that_cannot_be_are_refused(tmp_path: Path, text: str, problem: str):
    assert problem_of(tmp_path, text, read_limits) == problem


WHOLE = """\
version: 1
seed: 7
backends:
  web: {address: 127.0.0.1:9000}
  api: {addresses: ["127.0.0.1:9001", "127.0.0.1:9002"]}
load_balancers:
  - name: plain
    kind: standard
    performance_level: small1
    listeners: [{protocol: HTTP, port: 80, to: web, health_check: {type: TCP}}]
  - name: shop
    limits: {qps: 10}
    server_groups:
      - {name: one, servers: web, health_check: {uri: /one}}
      - {name: two, servers: api, health_check: {uri: /two}}
    ip_groups: [{name: far, members: ["127.0.0.1:9003"], health_check: {uri: /far}}]
    listeners:
      - protocol: HTTP
        port: 80
        health_check: {uri: /web}
        policies:
          - {priority: 1, uri: /1, to: one}
          - {priority: 2, uri: /2, to: two}
          - {priority: 3, uri: /3, to: far}
          - {priority: 4, to: web}
"""


def test_checks_and_limits_of_a_scenario_reach_its_routes(tmp_path: Path):
    path = tmp_path / "scenario.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    plain, shop = build_snapshot(load_scenario(path), {}).load_balancers
    assert plain.performance_level is PerformanceLevel.SMALL_1
    assert plain.limits.qps == 1000
    assert shop.performance_level is None
    assert shop.limits == InstanceLimits(qps=10)

    def checks(load_balancer: LoadBalancer) -> list[tuple[str, str, int]]:
        route = compile_route(load_balancer, load_balancer.listeners[0])
        return [
            (pool.check.type.value, pool.check.uri, len(pool.pool.servers))
            for pool in checked_pools(route)
            if pool.check is not None
        ]

    assert checks(plain) == [("TCP", "/", 1)]
    assert checks(shop) == [
        ("HTTP", "/one", 1),
        ("HTTP", "/two", 2),
        ("HTTP", "/far", 1),
        ("HTTP", "/web", 1),
    ]
