"""One request's decisions, without sockets or a clock."""

from dataclasses import replace

import pytest

from simulator.exchange import REDIRECT, Exchange, Failure, Phase
from simulator.model import (
    BackendServer,
    BackendServerId,
    Cluster,
    ClusterKind,
    KeepSession,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Policy,
    PolicyId,
    Protocol,
    Rule,
    RuleKey,
    Scheduler,
    ServerGroup,
    ServerGroupId,
)
from simulator.routing import RoundRobin, compile_route, session_token


def server(name: str, weight: int = 100) -> BackendServer:
    return BackendServer(
        backend_server_id=BackendServerId(name),
        address=f"{name}:80",
        connect_host="127.0.0.1",
        connect_port=1,
        weight=weight,
    )


def exchange(*servers: BackendServer, **fields) -> Exchange:
    group = ServerGroup(server_group_id=ServerGroupId("sg-1"), name="web", servers=servers)
    listener = Listener(
        protocol=Protocol.HTTP,
        port=80,
        bind_host="127.0.0.1",
        bind_port=0,
        scheduler=Scheduler.ROUND_ROBIN,
        x_forwarded_for=False,
        server_group_id=None if "policies" in fields else group.server_group_id,
    )
    listener = replace(listener, **fields)
    balancer = LoadBalancer(
        load_balancer_id=LoadBalancerId("lb-1"),
        name="shop",
        kind=LoadBalancerKind.APPLICATION,
        vip="10.0.0.1",
        cluster=Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=()),
        listeners=(listener,),
        server_groups=(group,),
    )
    return Exchange(compile_route(balancer, listener), started_at=10.0)


def tries(made: Exchange) -> list[tuple]:
    return [(a.address, a.status, a.connect_s, a.response_s) for a in made.record.attempts]


def test_a_request_that_goes_well():
    made = exchange(server("a"))
    assert made.choose_server(b"GET", 10.5, has_body=False) == server("a")
    made.connected(10.75, pooled=False)
    made.response_head(200)
    made.backend_done(12.0)
    record = made.finish(now=12.5, logged_at=99.0)
    assert tries(made) == [("a:80", 200, 0.25, 1.5)]
    assert (record.response_status, record.request_time_s, record.logged_at) == (200, 2.5, 99.0)
    assert record.server_group_id == "sg-1"


@pytest.mark.parametrize(
    ("failure", "status"), [(Failure.REFUSED, 502), (Failure.CONNECT_TIMEOUT, 504)]
)
def test_a_connection_that_never_stood_is_tried_once_more_elsewhere(failure, status):
    made = exchange(server("a"), server("b"), server("c"))
    first = made.choose_server(b"POST", 10.0, has_body=True)
    second = made.fail(failure, 11.0)
    assert isinstance(second, BackendServer)
    assert second != first
    assert made.fail(failure, 12.0) == status
    assert [(s, c, r) for _, s, c, r in tries(made)] == [(status, None, 1.0), (status, None, 1.0)]


def test_there_is_no_other_try_without_another_server():
    made = exchange(server("a"), server("idle", weight=0))
    made.choose_server(b"GET", 10.0, has_body=False)
    assert made.fail(Failure.REFUSED, 10.0) == 502


@pytest.mark.parametrize(
    ("failure", "status"),
    [(Failure.CLOSED_EARLY, 502), (Failure.READ_TIMEOUT, 504), (Failure.BAD_RESPONSE, 502)],
)
def test_once_sent_a_request_is_not_tried_again(failure, status):
    made = exchange(server("a"), server("b"))
    made.choose_server(b"GET", 10.0, has_body=False)
    made.connected(10.0, pooled=False)
    assert made.fail(failure, 11.0) == status
    assert len(made.record.attempts) == 1
    assert made.record.attempts[0].connect_s == 0.0


@pytest.mark.parametrize(
    ("method", "has_body", "again"),
    [
        (b"GET", False, True),
        (b"DELETE", False, True),
        (b"PUT", True, False),
        (b"POST", False, False),
        (b"PATCH", False, False),
    ],
)
def test_a_dead_pooled_connection_is_replaced_only_when_nothing_can_happen_twice(
    method, has_body, again
):
    made = exchange(server("a"), server("b"))
    first = made.choose_server(method, 10.0, has_body=has_body)
    made.connected(10.0, pooled=True)
    verdict = made.fail(Failure.POOLED_CLOSED, 10.5)
    assert verdict == (first if again else 502)
    if again:
        made.connected(10.5, pooled=True)
        assert made.fail(Failure.POOLED_CLOSED, 11.0) == 502


@pytest.mark.parametrize(("mid_request", "status"), [(True, 400), (False, 499)])
def test_a_client_that_leaves(mid_request, status):
    made = exchange(server("a"))
    made.choose_server(b"GET", 10.0, has_body=False)
    made.connected(10.0, pooled=False)
    made.client_gone(13.0, mid_request=mid_request)
    record = made.finish(now=13.0, logged_at=1.0)
    assert record.response_status == status
    assert tries(made) == [("a:80", None, 0.0, 3.0)]


def test_a_client_that_leaves_during_the_response_changes_no_status():
    made = exchange(server("a"))
    made.choose_server(b"GET", 10.0, has_body=False)
    made.connected(10.0, pooled=False)
    made.response_head(206)
    made.client_gone(13.0, mid_request=False)
    assert made.finish(now=13.0, logged_at=1.0).response_status == 206


def test_an_empty_group_is_told_apart():
    made = exchange()
    assert made.choose_server(b"GET", 10.0, has_body=False) == 503
    made.reply(503)
    record = made.finish(now=10.0, logged_at=1.0)
    assert (record.response_status, record.attempts) == (503, [])
    assert record.server_group_id == "sg-1"


def test_a_group_whose_servers_are_all_dead_stands_in_the_place_of_a_server():
    made = exchange(server("a"), server("b"), server("idle", weight=0))
    (target,) = made.route.targets
    target.mark_dead(BackendServerId("a"))
    target.mark_dead(BackendServerId("b"))
    assert made.choose_server(b"GET", 10.0, has_body=False) == 502
    made.reply(502)
    record = made.finish(now=10.0, logged_at=1.0)
    assert tries(made) == [("sg-1", 502, None, 0.0)]
    assert (record.response_status, record.server_group_id) == (502, "sg-1")


def test_a_dead_server_is_not_tried_after_a_failure():
    made = exchange(server("a"), server("b"))
    assert made.choose_server(b"GET", 10.0, has_body=False) == server("a")
    made.route.targets[0].mark_dead(BackendServerId("b"))
    assert made.fail(Failure.REFUSED, 10.0) == 502


API = Policy(
    policy_id=PolicyId("policy-1"),
    priority=1,
    rules=(Rule(key=RuleKey.URI, value="/api/*"),),
    server_group_id=ServerGroupId("sg-1"),
)


def test_a_request_that_meets_no_policy_has_no_group():
    made = exchange(server("a"), policies=(API,))
    assert made.choose_server(b"GET", 10.0, has_body=False, host=b"a", target=b"/") == 404
    made.reply(404)
    record = made.finish(now=10.0, logged_at=1.0)
    assert (record.server_group_id, record.attempts) == (None, [])


def test_a_request_that_meets_a_policy_goes_to_its_group():
    made = exchange(server("a"), policies=(API,))
    found = made.choose_server(b"GET", 10.0, has_body=False, host=b"a", target=b"/api/?x=1")
    assert found == server("a")
    assert made.record.server_group_id == "sg-1"


def test_a_redirect_touches_no_group():
    made = exchange(server("a"), redirect_port=443)
    assert made.choose_server(b"GET", 10.0, has_body=False) == REDIRECT
    made.reply(REDIRECT)
    record = made.finish(now=10.0, logged_at=1.0)
    assert (record.response_status, record.server_group_id, record.attempts) == (301, None, [])


def test_a_session_goes_back_to_its_server_and_moves_when_that_fails():
    made = exchange(server("a"), server("b"), keep_session=KeepSession())
    token = session_token(BackendServerId("b"))
    assert made.choose_server(b"GET", 10.0, has_body=False, session=token) == server("b")
    assert made.session_token == token
    assert made.fail(Failure.REFUSED, 10.0) == server("a")
    assert made.session_token == session_token(BackendServerId("a"))


def active(made: Exchange) -> dict[str, int]:
    states = made.route.targets[0].scheduler.states
    return {server_id: state.active_count for server_id, state in states.items()}


def least(*servers: BackendServer) -> Exchange:
    return exchange(*servers, scheduler=Scheduler.LEAST_CONNECTION)


@pytest.mark.parametrize("end", ["answered", "client gone", "refused", "read timeout", "reply"])
def test_a_request_is_counted_until_it_ends_whatever_way(end):
    made = least(server("a"), server("b"))
    made.choose_server(b"GET", 10.0, has_body=False)
    assert sum(active(made).values()) == 1
    if end == "refused":
        made.fail(Failure.REFUSED, 10.0)
        assert active(made) == {"a": 0, "b": 1}
        made.reply(made.fail(Failure.REFUSED, 10.0))
    elif end == "reply":
        made.reply(413)
    elif end == "client gone":
        made.client_gone(11.0, mid_request=False)
    else:
        made.connected(10.0, pooled=True)
        if end == "answered":
            made.response_head(200)
        else:
            made.reply(made.fail(Failure.READ_TIMEOUT, 11.0))
    assert sum(active(made).values()) == 1
    made.finish(now=11.0, logged_at=1.0)
    assert active(made) == {"a": 0, "b": 0}


def test_a_pooled_connection_that_died_does_not_count_twice():
    made = least(server("a"), server("b"))
    made.choose_server(b"GET", 10.0, has_body=False)
    made.connected(10.0, pooled=True)
    made.fail(Failure.POOLED_CLOSED, 10.0)
    assert active(made) == {"a": 1, "b": 0}
    made.finish(now=11.0, logged_at=1.0)
    assert active(made) == {"a": 0, "b": 0}


def test_illegal_events_say_what_and_when():
    made = exchange(server("a"))
    with pytest.raises(RuntimeError, match="connected is not legal in phase RECEIVED"):
        made.connected(10.0, pooled=False)
    made.reply(400)
    made.finish(now=10.0, logged_at=1.0)
    assert made.phase is Phase.DONE
    with pytest.raises(RuntimeError, match="finish is not legal in phase DONE"):
        made.finish(now=10.0, logged_at=1.0)


def test_request_time_is_never_negative():
    made = exchange(server("a"))
    made.reply(400)
    assert made.finish(now=9.0, logged_at=1.0).request_time_s == 0.0


def test_smooth_round_robin_mixes_the_servers():
    scheduler = RoundRobin((server("a", 5), server("b", 1), server("c", 1)))
    names = [str(scheduler.select().backend_server_id) for _ in range(14)]
    assert "".join(names) == "aabacaa" * 2


@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 2, 1)])
def test_a_server_already_tried_is_passed_over(weights):
    servers = tuple(server(n, w) for n, w in zip("abc", weights, strict=True))
    scheduler = RoundRobin(servers)
    for _ in range(10):
        first = scheduler.select()
        other = scheduler.select((first,))
        assert other is not None
        assert other != first
    assert scheduler.select(servers) is None


def test_no_servers_no_choice():
    assert RoundRobin(()).select() is None
    assert RoundRobin((server("a", 0),)).select() is None
