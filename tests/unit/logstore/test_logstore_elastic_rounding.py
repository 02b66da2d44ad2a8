"""Where buckets of time begin when a clock is changed."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.logstore.elastic.dates import ZONE_UTC, Zone
from simulator.logstore.elastic.rounding import Rounding

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # by half an hour
    "America/Sao_Paulo",  # at midnight, until 2019
    "Africa/Casablanca",  # for a month, and the other way round
    "Asia/Kathmandu",  # 5 h 45 min ahead
    "Pacific/Apia",  # a day was left out in 2011
)
FIRST, LAST = 1_293_840_000_000, 1_767_225_600_000
"""The years 2011 to 2025."""


def zone(name: str) -> Zone:
    return Zone(name, ZoneInfo(name)) if name else ZONE_UTC


def ms(text: str, name: str) -> int:
    """An instant from what a clock shows; ``*`` behind it is the second time that it does."""
    moment = datetime.fromisoformat(text.rstrip("*")).replace(fold=text.endswith("*"))
    return round(moment.replace(tzinfo=ZoneInfo(name)).timestamp() * 1000)


def rounding(name: str, *, step_ms: int = 0, unit: str = "", offset_ms: int = 0) -> Rounding:
    return Rounding(
        zone(name), step_ms=step_ms, unit=unit, offset_ms=offset_ms, low_ms=FIRST, high_ms=LAST
    )


@pytest.mark.parametrize(
    ("name", "width", "begins"),
    [
        # The hour that comes twice is two buckets.
        (
            "Europe/Berlin",
            {"unit": "hour"},
            ["2025-10-26 01:00", "2025-10-26 02:00", "2025-10-26 02:00*", "2025-10-26 03:00"],
        ),
        (
            "Europe/Berlin",
            {"step_ms": HOUR_MS // 2},
            [
                *("2025-10-26 02:00", "2025-10-26 02:30", "2025-10-26 02:00*"),
                *("2025-10-26 02:30*", "2025-10-26 03:00"),
            ],
        ),
        # The hour that is left out is none.
        (
            "Europe/Berlin",
            {"unit": "hour"},
            ["2025-03-30 01:00", "2025-03-30 03:00", "2025-03-30 04:00"],
        ),
        # What has begun before the change goes on behind it.
        (
            "Europe/Berlin",
            {"step_ms": 12 * HOUR_MS},
            ["2025-10-25 12:00", "2025-10-26 00:00", "2025-10-26 12:00", "2025-10-27 00:00"],
        ),
        ("Europe/Berlin", {"step_ms": DAY_MS}, ["2025-10-26", "2025-10-27", "2025-10-28"]),
        ("Europe/Berlin", {"unit": "day"}, ["2025-03-29", "2025-03-30", "2025-03-31"]),
        ("Europe/Berlin", {"unit": "week"}, ["2025-03-24", "2025-03-31", "2025-04-07"]),
        ("Europe/Berlin", {"unit": "month"}, ["2025-03-01", "2025-04-01", "2025-05-01"]),
        ("Europe/Berlin", {"unit": "quarter"}, ["2025-01-01", "2025-04-01", "2025-07-01"]),
        ("Europe/Berlin", {"unit": "year"}, ["2023-01-01", "2024-01-01", "2025-01-01"]),
        # A bucket whose beginning the clock jumps over begins with the jump, or not at all.
        (
            "Europe/Berlin",
            {"step_ms": 2 * HOUR_MS},
            ["2025-03-30 00:00", "2025-03-30 03:00", "2025-03-30 04:00"],
        ),
        (
            "Australia/Lord_Howe",
            {"unit": "hour"},
            ["2025-10-05 01:00", "2025-10-05 03:00", "2025-10-05 04:00"],
        ),
        (
            "Australia/Lord_Howe",
            {"unit": "hour"},
            ["2025-04-06 00:00", "2025-04-06 01:00", "2025-04-06 02:00"],
        ),
        # The day without midnight begins at one.
        ("America/Sao_Paulo", {"unit": "day"}, ["2018-11-03", "2018-11-04 01:00", "2018-11-05"]),
        ("Pacific/Apia", {"unit": "day"}, ["2011-12-28", "2011-12-29", "2011-12-31"]),
        ("Asia/Kathmandu", {"unit": "hour"}, ["2025-01-01 00:00", "2025-01-01 01:00"]),
    ],
)
def test_buckets_follow_each_other(name: str, width: dict[str, Any], begins: list[str]) -> None:
    buckets = rounding(name, **width)
    instants = [ms(text, name) for text in begins]
    for begin, following in pairwise(instants):
        assert buckets.floor(begin) == begin
        assert buckets.floor(following - 1) == begin
        assert buckets.following(begin) == following


def test_buckets_begin_later_by_an_offset() -> None:
    six = rounding("", step_ms=DAY_MS, offset_ms=6 * HOUR_MS)
    assert six.floor(ms("2025-01-02 05:59", "UTC")) == ms("2025-01-01 06:00", "UTC")
    assert six.following(ms("2025-01-01 06:00", "UTC")) == ms("2025-01-02 06:00", "UTC")
    early = rounding("Europe/Berlin", unit="month", offset_ms=-DAY_MS)
    assert early.floor(ms("2025-03-31 12:00", "Europe/Berlin")) == ms("2025-03-31", "Europe/Berlin")


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(["", *ZONES]),
    width=st.one_of(
        st.sampled_from(["minute", "hour", "day", "week", "month", "quarter", "year"]),
        st.sampled_from([1, 7, 15, 60, 90, 120, 250, 720, 1440, 10_080]),
    ),
    offset=st.sampled_from([0, 0, 1, -45, 360]),
    near=st.sampled_from(
        [
            "2025-10-26T01:00",
            "2025-03-30T01:00",
            "2018-11-04T03:00",
            "2011-12-30T10:00",
            "2020-05-24",
        ]
    ),
    minutes=st.integers(-3000, 3000),
)
def test_what_a_statement_puts_into_a_bucket_is_in_it(
    name: str, width: str | int, offset: int, near: str, minutes: int
) -> None:
    at = datetime.fromisoformat(near) + timedelta(minutes=minutes)
    at_ms = ms(at.isoformat(), "UTC")
    buckets = rounding(
        name,
        step_ms=width * 60_000 if isinstance(width, int) else 0,
        unit="" if isinstance(width, int) else width,
        offset_ms=offset * 60_000,
    )
    begin = buckets.floor(at_ms)
    assert begin <= at_ms < buckets.following(begin)
    assert buckets.floor(begin) == begin
    assert buckets.floor(buckets.following(begin) - 1) == begin
    sql = f"SELECT {buckets.sql} FROM (SELECT unnest($times) AS ts)"
    times = [at_ms, begin, buckets.following(begin) - 1]
    keys = duckdb.execute(sql, {"times": times}).fetchall()
    assert {buckets.begin(key) for (key,) in keys} == {begin}
