"""Backend servers that speak TLS, and the IP groups they are in."""

from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model import HealthCheckType, LoadBalancer, Protocol
from simulator.scenario import build_snapshot, load_scenario

SCENARIO = """\
version: 1
seed: 7
backends:
  plain: {count: 1}
  web: {count: 2, tls: true, weights: [100, 50]}
  mine: {addresses: ["127.0.0.1:9443"], tls: true}
load_balancers:
  - name: shop
    ip_groups:
      - {name: secure, protocol: HTTPS, members: [web, "127.0.0.1:9444"], health_check: {}}
      - {name: open, members: plain, weight: 7, health_check: {}}
    listeners:
      - {protocol: HTTPS, port: 443, to: secure}
      - {protocol: HTTPS, port: 444, policies: [{priority: 1, to: mine}]}
      - {protocol: HTTPS, port: 445, to: open}
      - {protocol: HTTP, port: 80, to: open}
"""
BOUND = {"plain": [("127.0.0.1", 7001)], "web": [("127.0.0.1", 7002), ("127.0.0.1", 7003)]}
GROUP = "load_balancers[0].ip_groups[0]"
LISTENER = "load_balancers[0].listeners"


def build(tmp_path: Path, text: str = SCENARIO) -> LoadBalancer:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    [load_balancer] = build_snapshot(load_scenario(path), BOUND).load_balancers
    return load_balancer


def test_members_are_addresses_or_all_servers_of_a_set(tmp_path: Path):
    balancer = build(tmp_path)
    secure, plain, mine = balancer.ip_groups
    assert [group.protocol for group in balancer.ip_groups] == ["HTTPS", "HTTP", "HTTPS"]
    assert [(m.connect_host, m.connect_port, m.weight) for m in secure.members] == [
        ("127.0.0.1", 7002, 100),
        ("127.0.0.1", 7003, 50),
        ("127.0.0.1", 9444, 100),
    ]
    assert [member.port for member in secure.members] == [8443, 8443, 9444]
    assert len({member.backend_server_id for member in secure.members}) == 3
    assert all(m.backend_server_id.startswith("ip_member-") for m in secure.members)
    assert [(m.connect_port, m.port, m.weight) for m in plain.members] == [(7001, 8080, 7)]
    # A set that is named directly is a group by itself.
    assert (mine.name, [m.connect_port for m in mine.members]) == ("mine", [9443])
    assert balancer.server_groups == ()


def test_the_group_decides_what_its_check_speaks(tmp_path: Path):
    secure, plain, mine = build(tmp_path).ip_groups
    assert secure.health_check.type is HealthCheckType.HTTPS
    assert plain.health_check.type is HealthCheckType.HTTP
    assert mine.health_check is None
    for check, expected in (
        ("{type: TCP}", HealthCheckType.TCP),
        ("{type: HTTP, port: 9000}", HealthCheckType.HTTP),
        ("{type: HTTPS, uri: /up, port: 9001}", HealthCheckType.HTTPS),
    ):
        text = SCENARIO.replace(
            '"127.0.0.1:9444"], health_check: {}', f"mine], health_check: {check}"
        )
        secure = build(tmp_path, text).ip_groups[0]
        assert secure.health_check.type is expected
        assert secure.protocol is Protocol.HTTPS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("{protocol: HTTPS, port: 443, to: secure}", "{protocol: HTTP, port: 443, to: secure}"),
            f"13:41 {LISTENER}[0].to: the servers of 'secure' speak HTTPS and an HTTP listener "
            "forwards to HTTP only; expected protocol: HTTPS for the listener, or another group",
        ),
        (
            ("{protocol: HTTPS, port: 444,", "{protocol: HTTP, port: 444,"),
            f"14:66 {LISTENER}[1].policies[0].to: the servers of 'mine' speak HTTPS and an HTTP "
            "listener forwards to HTTP only; expected protocol: HTTPS for the listener, or another "
            "group",
        ),
        (
            ("protocol: HTTPS, members: [web, ", "protocol: HTTPS, members: [plain, "),
            f"10:51 {GROUP}.members[0]: the servers of 'plain' do not speak TLS; expected "
            "protocol: HTTP in this group, or tls: true in backends.plain",
        ),
        (
            ("members: plain, weight: 7", "members: mine, weight: 7"),
            "11:31 load_balancers[0].ip_groups[1].members: the servers of 'mine' speak TLS; "
            "expected protocol: HTTPS in this group, or tls: false in backends.mine",
        ),
        (
            ("[web, ", "[web, web, "),
            f"10:56 {GROUP}.members[1]: web is in this group already; expected each once",
        ),
        (
            ("[web, ", "[wep, "),
            f"10:51 {GROUP}.members[0]: no entry of backends is named 'wep'; did you mean 'web'?",
        ),
        (
            ("protocol: HTTPS, members", "protocol: TCP, members"),
            f"10:34 {GROUP}.protocol: unknown value 'TCP'; expected one of HTTP, HTTPS\n"
            f"10:49 {GROUP}.members[0]: the servers of 'web' speak TLS; expected protocol: "
            "HTTPS in this group, or tls: false in backends.web",
        ),
        (
            ('9444"], health_check: {}', '9444"], health_check: {type: HTTP}'),
            f"10:89 {GROUP}.health_check: a check of type HTTP does not speak TLS, as the port of "
            "the servers does; expected 'port' with another one, or type: HTTPS",
        ),
        (
            ("weight: 7, health_check: {}", "weight: 7, health_check: {type: HTTPS}"),
            "11:70 load_balancers[0].ip_groups[1].health_check.type: the check HTTPS is for IP "
            "groups of protocol HTTPS; a listener's check of type HTTP speaks TLS to their servers "
            "by itself",
        ),
        (
            ("    listeners:", "    server_groups: [{name: sg, servers: web}]\n    listeners:"),
            "12:41 load_balancers[0].server_groups[0].servers: the servers of 'web' speak TLS and "
            "a server group is reached over HTTP; expected an IP group with protocol: HTTPS and "
            "members: web",
        ),
        (
            ("tls: true}", "tls: 1}"),
            "6:46 backends.mine.tls: expected true or false, got the number 1",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(
    tmp_path: Path, change: tuple[str, str], expected: str
):
    assert SCENARIO.count(change[0]) == 1
    with pytest.raises(ScenarioError) as caught:
        build(tmp_path, SCENARIO.replace(*change))
    path = str(tmp_path / "scenario.yaml")
    found = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert found == expected.splitlines()


def test_a_standard_load_balancer_has_no_servers_that_speak_tls(tmp_path: Path):
    text = """\
version: 1
backends: {web: {tls: true}}
load_balancers:
  - {name: shop, kind: standard, listeners: [{protocol: HTTPS, port: 443, to: web}]}
"""
    with pytest.raises(ScenarioError) as caught:
        build(tmp_path, text)
    [problem] = caught.value.problems
    assert (problem.line, problem.path) == (4, "load_balancers[0].listeners[0].to")
    assert problem.message == (
        "the servers of 'web' speak TLS and those of a standard load balancer are reached over "
        "HTTP; expected kind: application"
    )
