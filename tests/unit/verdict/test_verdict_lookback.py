"""How far back pollers must read."""

from dataclasses import dataclass

import pytest

from simulator.verdict.lookback import advise


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSpan:
    record_count: int = 10
    first_at: float = 1000.0
    last_at: float = 1010.0
    visible_at: float = 1130.0
    object_key: str | None = None


def test_the_lookback_is_the_longest_delay_an_interval_and_a_second():
    found = advise([FakeSpan(), FakeSpan(first_at=2000, last_at=2000, visible_at=2060.5)], 30)
    assert (found.delay_min_s, found.delay_max_s) == (60.5, 130)
    assert found.lookback_s == 161
    assert found.record_count == 20


def test_shorter_lookbacks_lose_what_was_visible_too_late():
    found = advise([FakeSpan(), FakeSpan(first_at=2000, last_at=2000, visible_at=2060)], 30)
    losses = {loss.lookback_s: (loss.certain, loss.possible) for loss in found.losses}
    # Ten records came after 120 to 130 s, ten after 60 s.
    assert losses == {0: (20, 20), 30: (20, 20), 60: (10, 20), 120: (9, 10)}
    assert advise([FakeSpan()], 0).losses[-1].certain == 9


def test_a_batch_is_spread_between_its_ends():
    found = advise([FakeSpan(record_count=1000, first_at=1000, last_at=1100, visible_at=1200)], 0)
    assert found.delay_p50_s == pytest.approx(150, abs=8)
    assert found.delay_p99_s == 200
    losses = {loss.lookback_s: loss.certain for loss in found.losses}
    assert losses[120] == 800
    assert losses[180] == 200


def test_one_record_has_one_delay():
    found = advise([FakeSpan(record_count=1, first_at=5, last_at=5, visible_at=6)], 0)
    assert {found.delay_min_s, found.delay_p50_s, found.delay_p99_s, found.delay_max_s} == {1}
    assert [(loss.lookback_s, loss.certain) for loss in found.losses] == [(0, 1)]


def test_nothing_visible_gives_no_advice():
    found = advise([FakeSpan(record_count=0)], 60)
    assert (found.record_count, found.lookback_s, found.losses, found.listing) == (
        0,
        None,
        (),
        None,
    )


def test_objects_in_order_make_a_listing_cursor_safe():
    spans = [FakeSpan(object_key=f"k{n}", visible_at=2000 + n) for n in range(3)]
    listing = advise(spans, 60).listing
    assert (listing.object_count, listing.late_object_count, listing.safe_after_s) == (3, 0, 0)
    assert listing.examples == ()


def test_an_object_behind_a_later_key_makes_it_unsafe():
    spans = [
        FakeSpan(object_key="k2", visible_at=2000),
        FakeSpan(object_key="k4", visible_at=2010),
        FakeSpan(object_key="k3", visible_at=2015, record_count=3),
        FakeSpan(object_key="k1", visible_at=2050, record_count=4),
        FakeSpan(object_key="k5", visible_at=2060),
    ]
    listing = advise(spans, 60).listing
    assert (listing.late_object_count, listing.late_record_count) == (2, 7)
    assert listing.safe_after_s == 50
    assert [(late.key, late.lag_s) for late in listing.examples] == [("k1", 50), ("k3", 5)]


def test_several_spans_of_one_object_are_one_object():
    spans = [FakeSpan(object_key="k1", visible_at=2000), FakeSpan(object_key="k1", visible_at=2000)]
    listing = advise(spans, 60).listing
    assert (listing.object_count, listing.late_object_count) == (1, 0)
