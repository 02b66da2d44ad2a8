from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.accesslog import AccessRecordShape
from simulator.clock import ClockMode
from simulator.errors import ScenarioError
from simulator.model import (
    AuthMode,
    BucketDestination,
    ClusterKind,
    DelayDistribution,
    DelayKind,
    Granularity,
    ListenerLimits,
    ListenerTimeouts,
    LoadBalancerKind,
    LogStore,
    LogStoreDestination,
    SearchMode,
)
from simulator.scenario import (
    Account,
    ExternalServers,
    LedgerSettings,
    LogServiceSettings,
    Ports,
    RecordSettings,
    Scenario,
    SpoolSettings,
    load_scenario,
)
from simulator.spool import WhenFull
from simulator.workload import BackendProfile, SizeRange

QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"

FULL = """\
version: 1
name: everything
seed: 9
clock: {mode: scaled, start: 2026-03-01 08:00:00+08:00, rate: 60}
region: gz
account: {access_key: AK, secret_key: SK, auth: off}
ports: {api: 0, bos: 0, s3: 9402}
record: {shape: strings, zone: "-03:30"}
log_service: {search: strict, ready_after: 10s, memory: 2GiB, spill: 1GiB, query_timeout: 5s}
ledger: {keep: 20MiB}
spool: {max: 5MB, when_full: block}
backends:
  slow: {count: 2, latency: 20ms, errors: {500: 0.5%, 503: 1%}, body: 1KiB, weights: [100, 0]}
  outside: {addresses: ["127.0.0.1:9000", "[::1]:9001", "app:80"], weight: 30}
dedicated_clusters: [{name: gold}]
load_balancers:
  - name: shop
    id: lb-1a2b3c4d
    cluster: gold
    listeners:
      - protocol: HTTP
        port: 80
        to: slow
        timeouts: {client_header: 100ms, server: 2s}
        limits: {response_header: 1KiB, body: 1MB}
      - {protocol: HTTP, port: 8080, bind: "0.0.0.0:8080", to: outside, x_forwarded_for: true}
  - {name: plain, kind: standard, listeners: [{protocol: HTTP, port: 80, to: outside}]}
log_stores:
  - {name: access, project: web, retention: 30d, search: lenient}
  - {name: access, project: ops}
buckets: [logs, more-logs]
flow_logs:
  - {name: a, load_balancer: shop, to: {log_store: access, project: ops}, delay: 0s}
  - name: b
    load_balancer: shop
    layer: 7
    to: {bucket: logs, rotate: 2m, max_size: 1MiB}
    delay: {lognormal: {p50: 130s, p99: 400s}}
  - name: c
    load_balancer: plain
    granularity: node
    to: {bucket: logs, prefix: p/, gzip: on, layout: "{node}/{flow_log}_{start}_{sequence}"}
    delay: {uniform: [1m, 90s]}
traffic:
  - {to: "shop:80", rate: 300/m, for: 1m, start: 5s}
  - to: "shop:80"
    rate: 1/s
    for: 10s
    clients: {count: 3}
    requests:
      - {put: "/a", weight: 2.5, headers: {X-Trace: 1, Host: b.test}, body: 10B}
      - {head: "/{choice:a|b}"}
faults: []
expect: [{that: flow_log.a.lost == 0}]
"""


def load(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


def test_the_quickstart_loads() -> None:
    scenario = load_scenario(QUICKSTART)
    assert scenario.name == "quickstart"
    assert scenario.seed == 7
    assert not scenario.seed_drawn
    assert scenario.clock.mode is ClockMode.AUTO
    assert scenario.clock.start_at == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    (shop,) = scenario.load_balancers
    assert (shop.name, shop.vip, shop.cluster.kind) == ("shop", "192.168.0.10", ClusterKind.SHARED)
    assert shop.listeners[0].x_forwarded_for
    assert shop.listeners[0].bind_port == 18080
    assert scenario.builtin_backends == (
        BackendProfile(
            name="web",
            count=3,
            latency_p50_s=0.005,
            latency_p99_s=0.06,
            errors=((500, 0.005),),
        ),
    )
    l7, archive = scenario.flow_logs
    assert l7.load_balancer_id == archive.load_balancer_id == shop.load_balancer_id
    assert l7.destination == LogStoreDestination(project="default", log_store="access")
    assert l7.delay == archive.delay == DelayDistribution(low_s=120.0, high_s=180.0)
    assert archive.destination == BucketDestination(bucket="shop-logs", prefix="l7/", gzip=True)
    (traffic,) = scenario.traffic
    assert traffic.target == "shop:80"
    assert traffic.request_count == 500
    assert traffic.requests[1].body_bytes == SizeRange(low=200, high=4096)
    assert len(scenario.expectations) == 3


def test_settings_are_read(tmp_path: Path) -> None:
    scenario = load(tmp_path, FULL)
    assert scenario.region == "gz"
    assert scenario.clock.mode is ClockMode.SCALED
    assert scenario.clock.rate == 60.0
    assert scenario.clock.start_at == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert scenario.account == Account(access_key="AK", secret_key="SK", auth=AuthMode.OFF)
    ports = scenario.ports
    assert (ports.api, ports.bos, ports.s3) == (0, 0, 9402)
    assert ports.s3_place.endswith(" ports.s3")
    assert scenario.record == RecordSettings(shape=AccessRecordShape.STRINGS, zone_offset_s=-12600)
    assert scenario.log_service == LogServiceSettings(
        search=SearchMode.STRICT,
        ready_after_s=10.0,
        memory_bytes=2 << 30,
        spill_bytes=1 << 30,
        query_timeout_s=5.0,
    )
    assert scenario.ledger == LedgerSettings(keep_bytes=20 << 20)
    assert scenario.spool == SpoolSettings(max_bytes=5_000_000, when_full=WhenFull.BLOCK)


def test_backends_are_read(tmp_path: Path) -> None:
    slow, outside = load(tmp_path, FULL).backends
    assert slow.servers == BackendProfile(
        name="slow",
        count=2,
        latency_p50_s=0.02,
        latency_p99_s=0.02,
        errors=((500, 0.005), (503, 0.01)),
        body_bytes=SizeRange(low=1024, high=1024),
    )
    assert slow.weights == (100, 0)
    assert outside.servers == ExternalServers(
        addresses=(("127.0.0.1", 9000), ("::1", 9001), ("app", 80))
    )
    assert outside.weights == (30, 30, 30)


def test_load_balancers_are_read(tmp_path: Path) -> None:
    shop, plain = load(tmp_path, FULL).load_balancers
    assert shop.load_balancer_id == "lb-1a2b3c4d"
    assert shop.kind is LoadBalancerKind.APPLICATION
    assert shop.cluster.kind is ClusterKind.DEDICATED
    assert shop.cluster.cluster_id.startswith("nginx_group-")
    first, second = shop.listeners
    assert first.timeouts == ListenerTimeouts(client_header_s=0.1, server_s=2.0)
    assert first.limits == ListenerLimits(response_header_bytes=1024, body_bytes=1_000_000)
    assert (first.bind_host, first.bind_port) == ("127.0.0.1", 0)
    assert not first.x_forwarded_for
    assert (second.bind_host, second.bind_port) == ("0.0.0.0", 8080)
    assert second.limits == ListenerLimits()
    assert second.timeouts == ListenerTimeouts()
    assert plain.kind is LoadBalancerKind.STANDARD
    assert plain.cluster.kind is ClusterKind.SHARED
    assert plain.vip.startswith("192.168.")
    assert plain.vip != shop.vip


def test_flow_logs_are_read(tmp_path: Path) -> None:
    scenario = load(tmp_path, FULL)
    assert scenario.log_stores == (
        LogStore(name="access", project="web", retention_days=30),
        LogStore(name="access", project="ops", retention_days=7, search=SearchMode.STRICT),
    )
    a, b, c = scenario.flow_logs
    assert a.destination == LogStoreDestination(project="ops", log_store="access")
    assert a.delay == DelayDistribution(low_s=0.0, high_s=0.0)
    assert b.destination == BucketDestination(bucket="logs", rotation_s=120, max_object_bytes=2**20)
    assert b.delay == DelayDistribution(
        kind=DelayKind.LOGNORMAL, low_s=0.0, high_s=0.0, p50_s=130.0, p99_s=400.0
    )
    layout = "{node}/{flow_log}_{start}_{sequence}"
    assert c.destination == BucketDestination(bucket="logs", prefix="p/", layout=layout, gzip=True)
    assert c.delay == DelayDistribution(low_s=60.0, high_s=90.0, granularity=Granularity.NODE)


def test_traffic_is_read(tmp_path: Path) -> None:
    first, second = load(tmp_path, FULL).traffic
    assert (first.name, second.name) == ("shop:80", "shop:80#2")
    assert (first.rate_per_s, first.duration_s, first.start_s) == (5.0, 60.0, 5.0)
    assert [request.method for request in first.requests] == ["GET"]
    put, head = second.requests
    assert (put.method, put.weight) == ("PUT", 2.5)
    assert put.headers == (("X-Trace", "1"), ("Host", "b.test"))
    assert put.body_bytes == SizeRange(low=10, high=10)
    assert head.method == "HEAD"
    assert head.path.expand(lambda: 0.9) == "/b"


def test_little_is_needed(tmp_path: Path) -> None:
    scenario = load(tmp_path, "version: 1\n")
    assert scenario.name == "scenario"
    assert scenario.seed_drawn
    assert scenario.clock.mode is ClockMode.AUTO
    assert scenario.clock.start_at is None
    assert scenario.ports == Ports(api=7400, bos=7401, s3=7402)
    assert scenario.record == RecordSettings()
    assert scenario.account.auth is AuthMode.ENFORCE


def test_a_seed_that_is_not_given_is_drawn_anew(tmp_path: Path) -> None:
    seeds = {load(tmp_path, "version: 1\n").seed for _ in range(5)}
    assert len(seeds) > 1


def test_a_log_store_of_one_project_needs_no_project(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        "version: 1\n"
        "backends: {web: {}}\n"
        "load_balancers: [{name: a, listeners: [{protocol: HTTP, port: 80, to: web}]}]\n"
        "log_stores: [{name: access, project: web}]\n"
        "flow_logs: [{name: l7, load_balancer: a, to: {log_store: access}}]\n",
    )
    assert scenario.flow_logs[0].destination == LogStoreDestination(
        project="web", log_store="access"
    )


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(missing)
    assert str(caught.value) == f"{missing}: the file cannot be read: No such file or directory"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path)
    assert str(caught.value) == f"{tmp_path}: the file cannot be read: Is a directory"


def test_bytes_that_are_not_utf_8_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_bytes(b"version: 1\nname: caf\xe9\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(caught.value) == f"{path}:2:10: the byte 0xe9 is not UTF-8"
