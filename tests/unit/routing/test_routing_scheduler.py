"""Schedulers: shares follow weights, load is level, and nothing is lost by a change."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model import BackendServer, BackendServerId
from simulator.routing import LeastConnections, RoundRobin

WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=6)
POSITIVE = st.lists(st.integers(1, 100), min_size=1, max_size=6)


def servers(weights: list[int], prefix: str = "i-") -> tuple[BackendServer, ...]:
    return tuple(
        BackendServer(
            backend_server_id=BackendServerId(f"{prefix}{index}"),
            address=f"10.0.0.{index}:80",
            connect_host="127.0.0.1",
            connect_port=1,
            weight=weight,
        )
        for index, weight in enumerate(weights)
    )


def ids(*chosen: BackendServer | None) -> str:
    return "".join("-" if server is None else server.backend_server_id[2:] for server in chosen)


@given(POSITIVE)
def test_in_a_whole_cycle_every_server_gets_its_weight_and_never_strays_far(weights):
    group = servers(weights)
    scheduler = RoundRobin(group)
    total = sum(weights)
    counts = Counter()
    for turn in range(1, total + 1):
        counts[scheduler.select()] += 1
        for server in group:
            assert abs(counts[server] - turn * server.weight / total) <= len(group)
    turns = {server: total // len(group) for server in group}
    if len(set(weights)) > 1:
        turns = {server: server.weight for server in group}
    assert counts == turns


@given(WEIGHTS, st.sets(st.integers(0, 5)), st.sampled_from([RoundRobin, LeastConnections]))
def test_servers_without_weight_and_dead_ones_get_nothing(weights, dead_indexes, kind):
    group = servers(weights)
    dead = {BackendServerId(f"i-{index}") for index in dead_indexes}
    scheduler = kind(group, dead)
    usable = {s for s in group if s.weight and s.backend_server_id not in dead}
    chosen = {scheduler.select() for _ in range(300)}
    assert chosen <= usable or not usable
    if not usable:
        assert chosen == {None}
    elif kind is LeastConnections:
        assert len(chosen) >= min(2, len(usable))


def test_a_dead_server_leaves_its_share_to_the_others_and_gets_it_back():
    dead: set[BackendServerId] = set()
    scheduler = RoundRobin(servers([3, 2, 1]), dead)
    dead.add(BackendServerId("i-0"))
    assert Counter(ids(*(scheduler.select() for _ in range(30)))) == {"1": 20, "2": 10}
    dead.clear()
    assert Counter(ids(*(scheduler.select() for _ in range(30)))) == {"0": 15, "1": 10, "2": 5}


@given(POSITIVE, st.lists(st.integers(0, 99), max_size=200))
def test_least_connections_never_exceeds_what_another_server_would_have(weights, steps):
    """Whatever ends when: the chosen server is the least loaded one, counted with the request."""
    group = servers(weights)
    scheduler = LeastConnections(group)
    open_requests: list[BackendServer] = []
    for step in steps:
        if step % 3 == 0 and open_requests:
            scheduler.release(open_requests.pop(step % len(open_requests)))
            continue
        chosen = scheduler.select()
        assert chosen is not None
        counts = Counter(open_requests)
        open_requests.append(chosen)
        assert all(
            (counts[chosen] + 1) * other.weight <= (counts[other] + 1) * chosen.weight
            for other in group
        )
        assert {i: state.active_count for i, state in scheduler.states.items()} == {
            server.backend_server_id: open_requests.count(server) for server in group
        }


@given(POSITIVE)
def test_requests_that_never_end_are_spread_by_weight(weights):
    group = servers(weights)
    scheduler = LeastConnections(group)
    counts = Counter(scheduler.select() for _ in range(200))
    for one in group:
        for other in group:
            assert counts[one] * other.weight <= (counts[other] + 1) * one.weight + other.weight


def test_level_servers_take_turns_by_weight():
    scheduler = LeastConnections(servers([1, 1, 1]))
    order = []
    for _ in range(6):
        chosen = scheduler.select()
        order.append(chosen)
        scheduler.release(chosen)
    assert ids(*order) == "012012"


def test_a_request_that_was_not_scheduled_counts_too():
    group = servers([1, 1])
    scheduler = LeastConnections(group)
    scheduler.take(group[0])
    scheduler.take(group[0])
    assert ids(scheduler.select(), scheduler.select()) == "11"


@pytest.mark.parametrize("kind", [RoundRobin, LeastConnections])
def test_a_server_already_tried_is_passed_over(kind):
    group = servers([3, 2, 1])
    scheduler = kind(group)
    first = scheduler.select()
    assert scheduler.select((first,)) not in (first, None)
    assert scheduler.select(group) is None


def test_turns_go_on_after_a_change():
    group = servers([1, 1, 1, 1])
    before = RoundRobin(group)
    assert ids(before.select(), before.select()) == "01"
    same = RoundRobin(group, previous=before)
    assert ids(same.select()) == "2"
    without_3 = RoundRobin(group[:3], previous=same)
    assert ids(without_3.select(), without_3.select()) == "01"


def test_weighted_turns_go_on_after_a_change():
    group = servers([5, 1, 1])
    whole = RoundRobin(group)
    expected = [whole.select() for _ in range(14)]
    scheduler = RoundRobin(group)
    turns = []
    for _ in range(14):
        turns.append(scheduler.select())
        scheduler = RoundRobin(group, previous=scheduler)
    assert turns == expected


def test_a_changed_weight_begins_anew():
    before = RoundRobin(servers([100, 99]))
    before.select()
    after = RoundRobin(servers([2, 1]), previous=before)
    assert ids(*(after.select() for _ in range(6))) == "010010"


@given(POSITIVE, POSITIVE, st.integers(0, 30), st.integers(0, 30))
def test_requests_under_way_are_counted_over_changes(weights, other_weights, before, between):
    first = LeastConnections(servers(weights))
    old = [first.select() for _ in range(before)]
    second = LeastConnections(servers(other_weights), previous=first)
    new = [second.select() for _ in range(between)]
    third = LeastConnections(servers(other_weights), previous=RoundRobin((), previous=second))
    assert all(state.active_count == 0 for state in third.states.values())
    third = LeastConnections(servers(other_weights), previous=second)
    for server in old:
        first.release(server)
    for server in new:
        second.release(server)
    assert all(state.active_count == 0 for state in third.states.values())
