"""Routes: where each request leads, and what outlives a change of configuration."""

from dataclasses import replace

import pytest

from simulator.model import (
    BackendServer,
    BackendServerId,
    Cluster,
    ClusterKind,
    IpGroup,
    IpGroupId,
    KeepSession,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Policy,
    PolicyId,
    PortType,
    Protocol,
    Rule,
    RuleKey,
    Scheduler,
    ServerGroup,
    ServerGroupId,
    ServerGroupPort,
)
from simulator.routing import compile_route, session_token


def server(name: str, weight: int = 100) -> BackendServer:
    return BackendServer(
        backend_server_id=BackendServerId(f"i-{name}"),
        address=f"10.0.0.1:{8000 + ord(name)}",
        connect_host="127.0.0.1",
        connect_port=1,
        weight=weight,
    )


A, B, C = server("a"), server("b"), server("c")


def group(name: str, *servers: BackendServer, ports: tuple[int, ...] = ()) -> ServerGroup:
    return ServerGroup(
        server_group_id=ServerGroupId(f"sg-{name}"),
        name=name,
        servers=servers,
        ports=tuple(ServerGroupPort(port_id=f"port-{port}", port=port) for port in ports),
    )


def policy(priority: int, to: str, port: int = 0, **rules: str) -> Policy:
    is_ip = to.startswith("ip_group-")
    return Policy(
        policy_id=PolicyId(f"policy-{priority}"),
        priority=priority,
        rules=tuple(Rule(key=RuleKey(key), value=value) for key, value in rules.items()),
        server_group_id=None if is_ip else ServerGroupId(to),
        ip_group_id=IpGroupId(to) if is_ip else None,
        backend_port=port,
    )


LISTENER = Listener(
    protocol=Protocol.HTTP,
    port=80,
    bind_host="127.0.0.1",
    bind_port=0,
    scheduler=Scheduler.ROUND_ROBIN,
    x_forwarded_for=False,
)


def balancer(*groups: ServerGroup, ip_groups: tuple[IpGroup, ...] = ()) -> LoadBalancer:
    return LoadBalancer(
        load_balancer_id=LoadBalancerId("lb-1"),
        name="shop",
        kind=LoadBalancerKind.APPLICATION,
        vip="10.0.0.1",
        cluster=Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=()),
        listeners=(),
        server_groups=groups,
        ip_groups=ip_groups,
    )


GROUPS = (group("web", A, B), group("api", C))


def route(*policies: Policy, groups=GROUPS, previous=None, **fields):
    listener = replace(LISTENER, policies=policies, **fields)
    return compile_route(balancer(*groups), listener, previous)


def test_the_smallest_priority_that_matches_wins():
    made = route(
        policy(300, "sg-web", uri="*"),
        policy(20, "sg-api", uri="/api/*"),
        policy(1, "sg-web", uri="/api/v1/*", host="*.b"),
    )
    assert made.match(b"a", b"/api/v1/x").group_id == "sg-api"
    assert made.match(b"a.b", b"/api/v1/x").group_id == "sg-web"
    assert made.match(b"a", b"/").group_id == "sg-web"
    assert not made.is_plain


def test_the_query_is_no_part_of_the_path_and_a_missing_host_matches_only_a_star():
    made = route(policy(1, "sg-api", uri="/a", host="*"), policy(2, "sg-web", host="b"))
    assert made.match(None, b"/a?b=/c").group_id == "sg-api"
    assert made.match(None, b"/b?/a") is None


def test_without_a_match_there_is_no_target():
    assert route(policy(1, "sg-api", uri="/a")).match(b"a", b"/b") is None
    assert route().match(b"a", b"/b") is None
    assert not route().is_plain


def test_a_policy_for_everything_makes_the_listener_plain():
    made = route(policy(5, "sg-api", uri="/never"), policy(1, "sg-web"))
    assert made.is_plain
    assert made.only_target is made.match(b"a", b"/never")
    # Those it hides are still there, to be checked and shown.
    assert [target.group_id for target in made.targets] == ["sg-web", "sg-api"]


def test_a_listener_that_keeps_sessions_or_redirects_is_not_plain():
    assert not route(policy(1, "sg-web"), keep_session=KeepSession()).is_plain
    made = route(policy(1, "sg-web"), redirect_port=443)
    assert (made.is_plain, made.only_target) == (False, None)


def test_a_standard_listener_has_its_servers_on_its_port():
    made = compile_route(
        balancer(group("all", A, B)),
        replace(LISTENER, server_group_id=ServerGroupId("sg-all"), backend_port=9000),
    )
    assert made.is_plain
    assert [s.address for s in made.targets[0].servers] == ["10.0.0.1:9000"] * 2
    assert [s.connect_port for s in made.targets[0].servers] == [9000] * 2


def test_policies_share_a_group_on_one_port_and_part_on_two():
    web = group("web", A, B, ports=(8080, 9090))
    made = route(
        policy(1, "sg-web", 8080, uri="/a"),
        policy(2, "sg-web", 8080, uri="/b"),
        policy(3, "sg-web", 9090, uri="/c"),
        groups=(web,),
    )
    assert [target.key for target in made.targets] == [("sg-web", 8080), ("sg-web", 9090)]
    assert made.match(b"", b"/a") is made.match(b"", b"/b")
    assert made.targets[1].servers[0].address == "10.0.0.1:9090"


@pytest.mark.parametrize(
    "ports",
    [(), (ServerGroupPort(port_id="p", port=8080, port_type=PortType.TCP),)],
)
def test_a_group_without_the_port_is_empty(ports):
    web = replace(group("web", A), ports=ports)
    made = route(policy(1, "sg-web", 8080), groups=(web,))
    assert made.targets[0].is_empty


def test_an_ip_group_is_a_target_too():
    members = (replace(A, backend_server_id=BackendServerId("ip_member-1")),)
    ip_group = IpGroup(ip_group_id=IpGroupId("ip_group-1"), name="ips", members=members)
    made = compile_route(
        balancer(ip_groups=(ip_group,)),
        replace(LISTENER, policies=(policy(1, "ip_group-1"),)),
    )
    assert made.only_target.group_id == "ip_group-1"
    assert made.only_target.servers == members


@pytest.mark.parametrize("to", ["sg-none", "ip_group-none"])
def test_a_group_that_does_not_exist_is_a_bug_of_the_caller(to):
    with pytest.raises(KeyError):
        route(policy(1, to))


def test_a_dead_server_gets_nothing_until_it_is_alive():
    target = route(policy(1, "sg-web")).only_target
    target.mark_dead(A.backend_server_id)
    assert (target.is_usable(A), target.is_usable(B)) == (False, True)
    assert {target.scheduler.select() for _ in range(4)} == {B}
    assert target.select_bound(session_token(A.backend_server_id)) == B
    target.mark_dead(B.backend_server_id)
    assert target.scheduler.select() is None
    assert not target.is_empty
    target.mark_alive(A.backend_server_id)
    assert target.scheduler.select() == A


def test_a_client_goes_back_to_the_server_its_token_names():
    target = route(policy(1, "sg-web")).only_target
    token = session_token(B.backend_server_id)
    assert [target.select_bound(token) for _ in range(5)] == [B] * 5
    assert {target.select_bound(b"") for _ in range(2)} == {A, B}
    assert {target.select_bound(b"0" * 16) for _ in range(2)} == {A, B}


def test_a_bound_server_without_weight_is_replaced():
    made = route(policy(1, "sg-web"), groups=(group("web", A, replace(B, weight=0)),))
    assert made.only_target.select_bound(session_token(B.backend_server_id)) == A


def test_a_token_is_opaque_and_always_the_same():
    assert session_token(BackendServerId("i-a")) == session_token(BackendServerId("i-a"))
    assert session_token(BackendServerId("i-a")) != session_token(BackendServerId("i-b"))
    assert b"i-a" not in session_token(BackendServerId("i-a"))


def test_health_and_turns_go_on_after_a_change():
    before = route(policy(1, "sg-web"), groups=(group("web", A, B, C),))
    old = before.only_target
    old.mark_dead(C.backend_server_id)
    assert old.scheduler.select() == A
    after = route(policy(7, "sg-web", uri="/*"), groups=(group("web", B, C, A),), previous=before)
    (new,) = after.targets
    assert not new.is_usable(C)
    assert new.scheduler.select() == B
    # Requests of both see what is found out from now on.
    new.mark_dead(B.backend_server_id)
    assert old.scheduler.select() == new.scheduler.select() == A


def test_a_server_that_comes_back_begins_alive():
    before = route(policy(1, "sg-web"))
    before.only_target.mark_dead(A.backend_server_id)
    between = route(policy(1, "sg-web"), groups=(group("web", B),), previous=before)
    after = route(policy(1, "sg-web"), previous=between)
    assert after.only_target.is_usable(A)


def test_requests_under_way_are_counted_across_a_change():
    fields = {"scheduler": Scheduler.LEAST_CONNECTION}
    before = route(policy(1, "sg-web"), **fields)
    first = before.only_target.select_bound(session_token(A.backend_server_id))
    after = route(policy(1, "sg-web"), previous=before, **fields)
    assert [after.only_target.scheduler.select() for _ in range(2)].count(B) >= 1
    before.only_target.scheduler.release(first)
    active = {i: s.active_count for i, s in after.only_target.scheduler.states.items()}
    assert sum(active.values()) == 2


@pytest.mark.parametrize(("on", "sent"), [(False, None), (True, b"http")])
def test_the_forwarded_protocol_is_the_listeners(on, sent):
    assert route(policy(1, "sg-web"), x_forwarded_proto=on).forwarded_proto == sent
