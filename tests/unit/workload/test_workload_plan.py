import ipaddress
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rng import Rng
from simulator.workload import (
    RequestTemplate,
    SizeRange,
    TrafficProfile,
    parse_path,
    plan,
    simulated_client,
)

SHOP = TrafficProfile(
    name="shop:80",
    load_balancer="shop",
    port=80,
    rate_per_s=50.0,
    duration_s=10.0,
    client_count=20,
    requests=(
        RequestTemplate(method="GET", path=parse_path("/item/{int:1-500}"), weight=9.0),
        RequestTemplate(
            method="POST", path=parse_path("/cart"), body_bytes=SizeRange(low=200, high=4096)
        ),
    ),
)

FIRST_REQUESTS_OF_SEED_7 = [
    (0.008088, 4, "GET", "/item/481", None),
    (0.017692, 1, "GET", "/item/460", None),
    (0.045382, 3, "POST", "/cart", 3032),
]


def test_the_same_seed_plans_the_same_requests() -> None:
    assert list(plan(SHOP, Rng(7))) == list(plan(SHOP, Rng(7)))


def test_another_seed_or_name_plans_others() -> None:
    requests = list(plan(SHOP, Rng(7)))
    assert requests != list(plan(SHOP, Rng(8)))
    assert requests != list(plan(replace(SHOP, name="shop:80#2"), Rng(7)))


def test_other_templates_do_not_shift_instants_and_clients() -> None:
    other = replace(SHOP, requests=SHOP.requests[:1])
    assert [(request.at_s, request.client) for request in plan(SHOP, Rng(7))] == [
        (request.at_s, request.client) for request in plan(other, Rng(7))
    ]


def test_the_first_requests_of_a_seed_never_change() -> None:
    first = [
        (round(request.at_s, 6), request.client, request.method, request.path, request.body_bytes)
        for request, _ in zip(plan(SHOP, Rng(7)), range(3), strict=False)
    ]
    assert first == FIRST_REQUESTS_OF_SEED_7


def test_a_plan_has_exactly_rate_times_duration_requests_in_order_within_the_duration() -> None:
    instants = [request.at_s for request in plan(SHOP, Rng(7))]
    assert len(instants) == SHOP.request_count == 500
    assert instants == sorted(instants)
    assert instants[0] >= 0.0
    assert instants[-1] < SHOP.duration_s


def test_arrivals_spread_over_the_whole_duration() -> None:
    seconds = Counter(int(request.at_s) for request in plan(SHOP, Rng(7)))
    assert set(seconds) == set(range(10))
    assert max(seconds.values()) < 90


def test_templates_come_up_by_weight_with_sizes_in_range() -> None:
    requests = list(plan(SHOP, Rng(7)))
    posts = [request for request in requests if request.method == "POST"]
    assert 25 <= len(posts) <= 80
    assert all(200 <= (post.body_bytes or 0) <= 4096 for post in posts)
    assert len({post.body_bytes for post in posts}) > len(posts) // 2
    assert all(request.body_bytes is None for request in requests if request.method == "GET")


def test_every_client_takes_part_and_rests_between_two_requests() -> None:
    clients = [request.client for request in plan(SHOP, Rng(7))]
    assert set(clients) == set(range(20))
    for start in range(0, len(clients), 10):
        assert len(set(clients[start : start + 10])) == 10


def test_one_client_sends_everything() -> None:
    profile = TrafficProfile(
        name="x:80",
        load_balancer="x",
        port=80,
        rate_per_s=5.0,
        duration_s=1.0,
        client_count=1,
        requests=SHOP.requests,
    )
    assert [request.client for request in plan(profile, Rng(1))] == [0] * 5


def test_clients_have_reserved_addresses_that_follow_from_the_seed() -> None:
    networks = [
        ipaddress.ip_network(network)
        for network in ("198.18.0.0/15", "203.0.113.0/24", "198.51.100.0/24")
    ]
    clients = [simulated_client(SHOP, Rng(7), index) for index in range(200)]
    assert clients == [simulated_client(SHOP, Rng(7), index) for index in range(200)]
    for client in clients:
        assert any(ipaddress.ip_address(client.address) in network for network in networks)
        assert all(32768 <= client.port(connection) <= 60999 for connection in (0, 1, 30000))
        assert client.port(0) != client.port(1)
    assert len({client.address for client in clients}) > 190


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**6))
def test_an_int_placeholder_stays_in_its_range_at_both_ends(low: int, width: int) -> None:
    template = parse_path(f"/{{int:{low}-{low + width}}}")
    assert template.expand(lambda: 0.0) == f"/{low}"
    assert template.expand(lambda: 1.0 - 2**-53) == f"/{low + width}"


def test_placeholders_expand_inside_a_path() -> None:
    template = parse_path("/a/{choice:x|y}/{hex:3}?q={int:7-7}")
    draws = iter((0.6, 0.0, 0.5, 0.99, 0.3))
    assert template.expand(lambda: next(draws)) == "/a/y/08f?q=7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item", "the path 'item' does not start with '/'"),
        ("/{int:5}", "{int:5} is not a placeholder; expected {int:1-500}, {choice:a|b|c} or "),
        ("/{int:5-1}", "{int:5-1} is not a placeholder"),
        ("/{hex:0}", "{hex:0} is not a placeholder"),
        ("/{choice:}", "{choice:} is not a placeholder"),
        ("/{name}", "{name} is not a placeholder"),
        ("/{int:1-2", "the path '/{int:1-2' has a brace without its partner"),
        ("/a b", "the path '/a b' has a character that a request line cannot carry"),
        ("/中", "the path '/中' has a character that a request line cannot carry"),
    ],
)
def test_a_bad_path_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        parse_path(text)
    assert str(caught.value).startswith(message)
