"""Token buckets against exact arithmetic, and what an instance's limits refuse."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model import LIMITS_BY_LEVEL, InstanceLimits, PerformanceLevel
from simulator.routing.limits import InstanceLimiter, TokenBucket, make_limiter

T = 1_772_323_200.0

RATES = st.integers(1, 100_000)
SHARES = st.integers(1, 7)
GAPS_US = st.lists(
    st.one_of(st.just(0), st.integers(0, 200), st.integers(0, 3_000_000)), min_size=1, max_size=200
)


def instants(gaps_us: list[int]) -> list[int]:
    at, found = round(T * 1e6), []
    for gap in gaps_us:
        at += gap
        found.append(at)
    return found


@given(rate=RATES, shares=SHARES, gaps_us=GAPS_US)
def test_a_bucket_is_exactly_its_definition(rate: int, shares: int, gaps_us: list[int]):
    bucket = TokenBucket(rate, shares=shares)
    gain = Fraction(rate, shares * 1_000_000)
    capacity = max(Fraction(rate, shares), Fraction(1))
    level, last = capacity, None
    for at in instants(gaps_us):
        if last is not None:
            level = min(capacity, level + (at - last) * gain)
        last = at
        expected = level >= 1
        level -= expected
        assert bucket.take(at / 1e6) is expected
        assert bucket.tokens == int(level)


@given(rate=RATES, shares=SHARES, gaps_us=GAPS_US)
def test_no_span_of_time_ever_lets_through_more_than_its_rate_and_one_burst(
    rate: int, shares: int, gaps_us: list[int]
):
    bucket = TokenBucket(rate, shares=shares)
    taken = [at for at in instants(gaps_us) if bucket.take(at / 1e6)]
    burst = max(Fraction(rate, shares), Fraction(1))
    for first in range(0, len(taken), 7):
        for last in range(first, len(taken)):
            span_s = Fraction(taken[last] - taken[first], 1_000_000)
            assert last - first + 1 <= Fraction(rate, shares) * span_s + burst


@given(rate=RATES, shares=SHARES, gaps_us=GAPS_US)
def test_whoever_waits_long_enough_is_let_through(rate: int, shares: int, gaps_us: list[int]):
    bucket = TokenBucket(rate, shares=shares)
    at = round(T * 1e6)
    for at in instants(gaps_us):
        bucket.take(at / 1e6)
    enough_us = -(-1_000_000 * shares // rate)
    assert bucket.take((at + enough_us) / 1e6)


def test_an_eager_crowd_gets_the_rate_for_an_hour_without_drift():
    bucket = TokenBucket(3)
    admitted = sum(bucket.take(T + step / 10) for step in range(36_001))
    assert admitted == 3 + 3 * 3600


def test_the_next_token_comes_exactly_when_it_is_due():
    bucket = TokenBucket(10)
    assert [bucket.take(T) for _ in range(11)] == [True] * 10 + [False]
    assert not bucket.take(T + 0.099999)
    assert bucket.take(T + 0.1)
    assert not bucket.take(T + 0.1)
    assert bucket.take(T + 0.2)


def test_a_bucket_holds_no_more_than_a_second_of_rest():
    bucket = TokenBucket(5)
    bucket.take(T)
    assert sum(bucket.take(T + 3600) for _ in range(20)) == 5


def test_a_share_below_one_a_second_still_lets_one_through():
    bucket = TokenBucket(1, shares=4)
    assert [bucket.take(T + second) for second in range(9)] == [
        second % 4 == 0 for second in range(9)
    ]


def test_time_that_stands_or_goes_back_brings_nothing():
    bucket = TokenBucket(1)
    assert bucket.take(T)
    assert not bucket.take(T - 100)
    assert not bucket.take(T)
    assert bucket.take(T + 1)


def test_a_refused_request_is_told_how_many_came_and_what_is_left():
    limiter = InstanceLimiter(InstanceLimits(qps=3))
    assert [limiter.admit_request(T + 0.5) for _ in range(5)] == [None, None, None, (4, 0), (5, 0)]
    # Half a second later half of three tokens are there, and a new second has begun.
    assert [limiter.admit_request(T + 1.0) for _ in range(2)] == [None, (2, 0)]
    assert limiter.limited_request_count == 3


def test_nodes_share_a_limit_evenly():
    limits = InstanceLimits(qps=10, new_connections=6, connections=9)
    nodes = [InstanceLimiter(limits, node_count=2) for _ in range(2)]
    for node in nodes:
        assert [node.admit_request(T) for _ in range(6)] == [None] * 5 + [(6, 0)]
        assert sum(node.admit_connection(T, 0) for _ in range(10)) == 3
        assert not node.admit_connection(T + 60, 4)
        assert node.admit_connection(T + 60, 3)


def test_a_node_has_room_for_one_connection_however_many_nodes_there_are():
    limiter = InstanceLimiter(InstanceLimits(connections=2), node_count=5)
    assert limiter.admit_connection(T, 0)
    assert not limiter.admit_connection(T, 1)


def test_a_connection_refused_for_want_of_room_takes_no_token():
    limiter = InstanceLimiter(InstanceLimits(connections=2, new_connections=2))
    assert limiter.admit_connection(T, 0)
    assert not limiter.admit_connection(T, 2)
    assert limiter.admit_connection(T, 1)
    assert not limiter.admit_connection(T, 1)
    assert limiter.dropped_connection_count == 2


def test_limits_that_are_not_set_refuse_nothing():
    limiter = InstanceLimiter(InstanceLimits(qps=1))
    assert all(limiter.admit_connection(T, 1_000_000) for _ in range(1000))
    limiter = InstanceLimiter(InstanceLimits(connections=1))
    assert [limiter.admit_request(T) for _ in range(1000)] == [None] * 1000


def test_there_is_no_limiter_where_nothing_is_limited():
    assert make_limiter(LIMITS_BY_LEVEL[PerformanceLevel.UNLIMITED]) is None
    assert make_limiter(InstanceLimits(connections=1)) is not None


def test_a_change_of_configuration_keeps_the_tokens_unless_the_limits_change():
    limits = InstanceLimits(qps=2)
    limiter = make_limiter(limits)
    assert limiter is not None
    assert [limiter.admit_request(T) for _ in range(3)] == [None, None, (3, 0)]
    assert make_limiter(InstanceLimits(qps=2), previous=limiter) is limiter
    other = make_limiter(InstanceLimits(qps=3), previous=limiter)
    assert other is not None
    assert other.admit_request(T) is None
    assert other.limited_request_count == 1
    assert make_limiter(limits, node_count=2, previous=limiter) is not limiter
    assert make_limiter(InstanceLimits(), previous=limiter) is None


@pytest.mark.parametrize("level", PerformanceLevel)
def test_every_level_has_limits(level: PerformanceLevel):
    assert LIMITS_BY_LEVEL[level].unlimited is (level is PerformanceLevel.UNLIMITED)
