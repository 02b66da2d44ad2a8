"""Groups, policies, sessions and redirects of a scenario, right and wrong."""

from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model import (
    IpGroup,
    KeepSession,
    KeepSessionType,
    LoadBalancer,
    Rule,
    RuleKey,
    Scheduler,
)
from simulator.routing import compile_route
from simulator.scenario import PolicyPlan, Scenario, build_snapshot, load_scenario

GOOD = """\
version: 1
seed: 7
backends:
  web: {count: 2, weights: [50, 25]}
  api: {count: 1}
  far: {addresses: ["10.9.8.7:9000", "[::1]:9001"]}
load_balancers:
  - name: shop
    server_groups:
      - {name: pages, servers: web}
      - {name: both, servers: [web, api], weights: [3, 2, 1]}
      - {name: mixed, servers: [api, far]}
    ip_groups:
      - {name: ips, members: ["127.0.0.1:9000", "[::1]:9001"], weights: [10, 0]}
    listeners:
      - protocol: HTTP
        port: 80
        scheduler: LeastConnection
        x_forwarded_proto: true
        keep_session: {lifetime: 10m}
        policies:
          - {priority: 20, host: "*.example.com", uri: /api/*, to: both}
          - {priority: 10, uri: ["/img/*", "*.jpg"], to: ips}
          - {priority: 30, to: api}
      - {protocol: HTTP, port: 81, to: pages, keep_session: {type: rewrite, cookie: SID}}
      - {protocol: HTTP, port: 82, to: mixed}
  - {name: plain, kind: standard, listeners: [{protocol: HTTP, port: 80, to: far}]}
"""
BOUND = {
    "web": [("127.0.0.1", 4001), ("127.0.0.1", 4002)],
    "api": [("127.0.0.1", 4003)],
}
ALL = (Rule(key=RuleKey.ALL, value="*"),)


def load(tmp_path: Path, text: str = GOOD) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


def build(tmp_path: Path, text: str = GOOD) -> tuple[LoadBalancer, ...]:
    return build_snapshot(load(tmp_path, text), BOUND).load_balancers


def test_policies_are_read(tmp_path: Path) -> None:
    first, second, _ = load(tmp_path).load_balancers[0].listeners
    assert first.policies == (
        PolicyPlan(
            priority=20,
            rules=(
                Rule(key=RuleKey.HOST, value="*.example.com"),
                Rule(key=RuleKey.URI, value="/api/*"),
            ),
            to="both",
        ),
        PolicyPlan(
            priority=10,
            rules=(
                Rule(key=RuleKey.URI, value="/img/*"),
                Rule(key=RuleKey.URI, value="*.jpg"),
            ),
            to="ips",
        ),
        PolicyPlan(priority=30, rules=ALL, to="api"),
    )
    assert first.scheduler is Scheduler.LEAST_CONNECTION
    assert first.x_forwarded_proto
    assert first.keep_session == KeepSession(lifetime_s=600)
    assert second.keep_session == KeepSession(type=KeepSessionType.REWRITE, cookie_name="SID")


def test_the_short_form_is_one_policy_that_every_request_meets(tmp_path: Path) -> None:
    listener = load(tmp_path).load_balancers[0].listeners[1]
    assert listener.policies == (PolicyPlan(priority=32768, rules=ALL, to="pages"),)


def test_groups_become_servers_with_weights_and_ports(tmp_path: Path) -> None:
    shop, _ = build(tmp_path)
    groups = {group.name: group for group in shop.server_groups}
    # The entry of backends that a policy names directly is a group too.
    assert list(groups) == ["pages", "both", "mixed", "api"]
    assert [server.weight for server in groups["pages"].servers] == [50, 25]
    assert [server.weight for server in groups["both"].servers] == [3, 2, 1]
    assert [server.connect_port for server in groups["both"].servers] == [4001, 4002, 4003]
    assert [[port.port for port in group.ports] for group in groups.values()] == [
        [8080],
        [8080],
        [],
        [8080],
    ]
    assert len({group.server_group_id for group in groups.values()}) == 4
    assert groups["pages"].ports[0].port_id.startswith("port-")
    pages, both = groups["pages"].servers[0], groups["both"].servers[0]
    assert pages.backend_server_id == both.backend_server_id


def test_ip_groups_have_members_of_their_own(tmp_path: Path) -> None:
    (group,) = build(tmp_path)[0].ip_groups
    assert isinstance(group, IpGroup)
    assert group.ip_group_id.startswith("ip_group-")
    assert [(m.address, m.connect_host, m.connect_port, m.weight) for m in group.members] == [
        ("127.0.0.1:9000", "127.0.0.1", 9000, 10),
        ("[::1]:9001", "::1", 9001, 0),
    ]
    assert all(m.backend_server_id.startswith("ip_member-") for m in group.members)


def test_every_listener_of_a_snapshot_makes_a_route(tmp_path: Path) -> None:
    shop, plain = build(tmp_path)
    first, second, third = (compile_route(shop, listener) for listener in shop.listeners)
    groups = {group.server_group_id: group.name for group in shop.server_groups}
    assert groups[first.match(b"a.example.com", b"/api/x").group_id] == "both"
    assert first.match(b"a.example.com", b"/img/x.jpg").group_id.startswith("ip_group-")
    assert groups[first.match(b"b", b"/").group_id] == "api"
    assert groups[second.only_target.group_id] == "pages"
    assert [server.address.rpartition(":")[2] for server in third.only_target.servers] == [
        "8080",
        "9000",
        "9001",
    ]
    route = compile_route(plain, plain.listeners[0])
    assert route.is_plain
    assert route.only_target.group_id == plain.load_balancer_id
    assert [server.connect_port for server in route.only_target.servers] == [9000, 9001]


def test_ids_follow_from_the_seed(tmp_path: Path) -> None:
    assert build(tmp_path) == build(tmp_path)
    (other, _) = build(tmp_path, GOOD.replace("seed: 7", "seed: 8"))
    (shop, _) = build(tmp_path)
    assert shop.ip_groups[0].ip_group_id != other.ip_groups[0].ip_group_id
    ids = [policy.policy_id for listener in shop.listeners for policy in listener.policies]
    assert len(set(ids)) == 5
    assert all(policy_id.startswith("policy-") for policy_id in ids)


HTTPS = """\
version: 1
backends: {web: {}}
load_balancers:
  - name: shop
    listeners:
      - {protocol: HTTP, port: 80, redirect_port: 443}
      - {protocol: HTTPS, port: 443, to: web, x_forwarded_proto: true}
"""


def test_an_http_listener_redirects_to_an_https_listener(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(HTTPS, encoding="utf-8")
    (shop,) = build_snapshot(load_scenario(path), {"web": [("127.0.0.1", 1)]}).load_balancers
    http, https = (compile_route(shop, listener) for listener in shop.listeners)
    assert (http.listener.redirect_port, http.targets) == (443, ())
    assert https.forwarded_proto == b"https"


def test_a_redirect_needs_an_https_listener_and_no_other(tmp_path: Path) -> None:
    text = HTTPS.replace("redirect_port: 443", "redirect_port: 80").replace(
        "to: web,", "redirect_port: 443,"
    )
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, text)
    assert [problem.message for problem in caught.value.problems] == [
        "this load balancer has no HTTPS listener on port 80; its HTTPS ports: 443",
        "an HTTPS listener does not redirect; expected it on an HTTP listener",
    ]


HOST = (
    "expected at most 100 letters, digits and the characters - _ . with one * at most, at the start"
)
URI = "expected at most 100 characters without a query that begin with / or *, with one * at most"
POLICY = "          - {priority: 30, to: api}\n"
AT = "load_balancers[0].listeners[0]"

PROBLEMS = [
    # groups
    (
        ("servers: web}", "servers: wbe}"),
        "10:32 load_balancers[0].server_groups[0].servers: no entry of backends is named 'wbe'; "
        "did you mean 'web'?",
    ),
    (
        ("[web, api], weights: [3, 2, 1]", "[web, web], weights: [1]"),
        "11:37 load_balancers[0].server_groups[1].servers[1]: 'web' is in this group already; "
        "expected each once\n"
        "11:52 load_balancers[0].server_groups[1].weights: 1 weights for 2 servers; "
        "expected one for each",
    ),
    (
        ("{name: ips,", "{name: pages,"),
        "14:16 load_balancers[0].ip_groups[0].name: duplicate name 'pages'; "
        "line 10 has a group of that name already\n"
        "23:58 load_balancers[0].listeners[0].policies[1].to: no server group, IP group or entry "
        "of backends is named 'ips'; expected one of pages, both, mixed, web, api, far",
    ),
    (
        ('["127.0.0.1:9000", "[::1]:9001"], weights', '["127.0.0.1:0", "::1"], weights'),
        "14:31 load_balancers[0].ip_groups[0].members[0]: '127.0.0.1:0' has no port to connect "
        "to; expected 1 to 65535\n"
        "14:46 load_balancers[0].ip_groups[0].members[1]: '::1' is not an address; "
        "expected host:port such as 127.0.0.1:9000",
    ),
    (
        ('["127.0.0.1:9000", "[::1]:9001"], weights', '["a:1", "a:1"], weights'),
        "14:38 load_balancers[0].ip_groups[0].members[1]: a:1 is in this group already; "
        "expected each once",
    ),
    # policies
    (
        (POLICY, "          - {priority: 20, to: api}\n"),
        f"24:24 {AT}.policies[2].priority: duplicate priority 20; "
        "the policy in line 22 of this listener has it already",
    ),
    (
        (POLICY, "          - {priority: 0, to: apo}\n"),
        f"24:24 {AT}.policies[2].priority: 0 is out of range; "
        "expected a whole number from 1 to 32768\n"
        f"24:31 {AT}.policies[2].to: no server group, IP group or entry of backends is named "
        "'apo'; did you mean 'api'?",
    ),
    (
        (POLICY, "          - {url: /x}\n"),
        f"24:13 {AT}.policies[2]: the key 'priority' is missing\n"
        f"24:13 {AT}.policies[2]: the key 'to' is missing\n"
        f"24:14 {AT}.policies[2].url: unknown key 'url'; did you mean 'uri'?",
    ),
    (
        (
            POLICY,
            "          - {priority: 1, to: api, host: [a*, '*.*'], uri: [img, '/a?b', /**]}\n",
        ),
        f"24:43 {AT}.policies[2].host[0]: 'a*' is not a host; {HOST}\n"
        f"24:47 {AT}.policies[2].host[1]: '*.*' is not a host; {HOST}\n"
        f"24:61 {AT}.policies[2].uri[0]: 'img' is not a path; {URI}\n"
        f"24:66 {AT}.policies[2].uri[1]: '/a?b' is not a path; {URI}\n"
        f"24:74 {AT}.policies[2].uri[2]: '/**' is not a path; {URI}",
    ),
    (
        (POLICY, f"          - {{priority: 1, to: api, uri: /{'a' * 100}}}\n"),
        f"24:41 {AT}.policies[2].uri: '/{'a' * 100}' is not a path; {URI}",
    ),
    (
        (POLICY, "          - {priority: 1, to: api, uri: [/1, /2, /3, /4, /5, /6]}\n"),
        f"24:13 {AT}.policies[2]: 6 conditions are too many; expected at most 5",
    ),
    (
        (POLICY, "".join(f"          - {{priority: {n}, to: api}}\n" for n in range(30, 39))),
        f"32:13 {AT}.policies[10]: 11 policies are too many; expected at most 10",
    ),
    (
        ("port: 81, to: pages,", "port: 81, to: pages, policies: [],"),
        "25:9 load_balancers[0].listeners[1]: both 'to' and 'policies' are given; "
        "expected one of them",
    ),
    (
        ("port: 81, to: pages,", "port: 81,"),
        "25:9 load_balancers[0].listeners[1]: the key 'to' is missing",
    ),
    (
        ("port: 81, to: pages", "port: 81, to: page"),
        "25:40 load_balancers[0].listeners[1].to: no server group, IP group or entry of backends "
        "is named 'page'; did you mean 'pages'?",
    ),
    # standard load balancers
    (
        ("{protocol: HTTP, port: 80, to: far}", "{protocol: HTTP, port: 80, policies: []}"),
        "27:84 load_balancers[1].listeners[0].policies: a standard load balancer has no policies; "
        "expected 'to' with the name of backends in its listeners, or kind: application",
    ),
    (
        ("kind: standard,", "kind: standard, server_groups: [], ip_groups: [],"),
        "27:50 load_balancers[1].server_groups: a standard load balancer has no server_groups; "
        "expected 'to' with the name of backends in its listeners, or kind: application\n"
        "27:65 load_balancers[1].ip_groups: a standard load balancer has no ip_groups; "
        "expected 'to' with the name of backends in its listeners, or kind: application",
    ),
    # sessions
    (
        ("{lifetime: 10m}", "{type: rewrite, lifetime: 10m}"),
        f"20:23 {AT}.keep_session: a rewritten cookie is the backend server's own; "
        "expected 'cookie' with its name\n"
        f"20:49 {AT}.keep_session.lifetime: a rewritten cookie lives as long as the backend "
        "server says; expected a lifetime with type: insert only",
    ),
    (
        ("{lifetime: 10m}", "{type: inser, lifetime: 1.5s, cookie: 'a b'}"),
        f"20:30 {AT}.keep_session.type: unknown value 'inser'; did you mean 'insert'?\n"
        f"20:47 {AT}.keep_session.lifetime: 1.5s is not a lifetime; "
        "expected whole seconds, at most 180d\n"
        f"20:61 {AT}.keep_session.cookie: 'a b' is not a cookie name; expected letters, digits "
        "and the characters ! # $ % & ' * + - . ^ _ ` | ~",
    ),
    (
        ("{lifetime: 10m}", "{lifetime: 181d}"),
        f"20:34 {AT}.keep_session.lifetime: 181d is not a lifetime; "
        "expected whole seconds, at most 180d",
    ),
    # redirects
    (
        ("port: 81, to: pages,", "port: 81, redirect_port: 82,"),
        "25:51 load_balancers[0].listeners[1].redirect_port: this load balancer has no HTTPS "
        "listener on port 82; its HTTPS ports: none",
    ),
]


@pytest.mark.parametrize(("change", "expected"), PROBLEMS)
def test_bad_routing_says_where_and_what_was_expected(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    assert GOOD.count(change[0]) == 1
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, GOOD.replace(*change))
    path = str(tmp_path / "scenario.yaml")
    found = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert found == expected.splitlines()
