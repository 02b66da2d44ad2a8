"""Subqueries, and comparisons with earlier ranges of time."""

import json

import pytest

from simulator.errors import ControlError
from simulator.logstore import LogStoreSettings, NewRecord, RecordType, Selection

NOW_MS = 1_772_323_200_000
HOUR_MS = 3_600_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
THIS_HOUR = Selection(start_ms=NOW_MS, end_ms=NOW_MS + HOUR_MS)


@pytest.fixture(scope="module")
def shop(store_to_read):
    store_to_read.push(
        {"host": "a", "cost": 1}, {"host": "b", "cost": 2}, {"host": "b", "cost": 6}, "plain text"
    )
    return store_to_read


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select * from (select host, count(*) as n group by host) where n > 1", [("b", 2)]),
        ("select max(n) from (select host, count(*) as n group by host) t", [(2,)]),
        ("select t.n as m from (select sum(cost) as n) as t", [(9,)]),
        ("select `count(*)` from (select count(*))", [(4,)]),
        ("select n, count(*) from (select host, count(*) as n group by host) group by n order by n",
         [(1, 2), (2, 1)]),
        ("select host from (select host, cost where cost > 1 order by cost desc limit 1)",
         [("b",)]),
        ("select host from (select host, cost where cost > 1 order by cost desc limit 1, 1)",
         [("b",)]),
        ("select cost from (select host, cost order by cost desc) where host is not null",
         [(6,), (2,), (1,)]),
        ("select cost from (select cost) where cost > 0", [(1,), (2,), (6,)]),
        ("select first(c), last(c) from (select cost as c where cost > 0)", [(1, 6)]),
        ("select first(c), last(c) from (select cost as c where cost > 0 order by cost desc)",
         [(6, 1)]),
        ("select count(*) from (select distinct host)", [(3,)]),
        ("select a + 1 from (select b as a from (select cost as b where cost = 2))", [(3,)]),
        ("select `@timestamp` = 1772323200000 from (select `@timestamp` limit 1)", [(True,)]),
        ("select count(*) from (select * )", [(4,)]),
        ("match host:b | select count(*) from (select host)", [(2,)]),
        ("select x['b'] from (select histogram(host) as x)", [(2,)]),
        ("select a.x from (select host as x where cost = 1) a", [("a",)]),
    ],
)  # fmt: skip
def test_rows(shop, query: str, rows: list[tuple[object, ...]]) -> None:
    assert shop.select(query) == rows


@pytest.mark.parametrize(
    "query",
    [
        "select host from (select cost)",
        "select * from (select 1 union select 2)",
        "select * from (select 1), (select 2)",
        "select * from (select 1) join (select 2)",
        "select * from (select 1) t(a)",
        "select * from (select 1) tablesample (1)",
        "select * from (values (1))",
        "select * from (select * from records_1)",
        "select * from ((select 1))",
        "select * from (select 1) limit 1 offset (select 1)",
        "select * from (select 1; select 2)",
        "select (select 1)",
        "select c0 from (select 1)",
        "select n from (select 1)",
        "select ts from (select cost)",
        "select x from (select approx_set(host) as x)",
        "select " + "a from (select " * 9 + "1 as a" + ")" * 9,
    ],
)
def test_refused(shop, query: str) -> None:
    with pytest.raises(ControlError) as caught:
        shop.select(query)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert "q0" not in caught.value.message


def test_fields_outside_of_the_subquery_are_not_seen(shop) -> None:
    with pytest.raises(ControlError, match="at character 18: the subquery has no column host"):
        shop.select("select cost + 1, host from (select cost)")


@pytest.fixture
def hours(store):
    """Hour by hour: now two of ``a`` and one of ``b``, an hour ago one of ``a``, before none."""
    for ago, records in ((0, "aab"), (1, "a")):
        store.engine.push(
            "default",
            "demo",
            [
                NewRecord(
                    message=json.dumps({"host": host, "cost": 2 - ago}),
                    timestamp_ms=NOW_MS - ago * HOUR_MS + 60_000,
                )
                for host in records
            ],
            record_type=RecordType.JSON,
        )

    def select(query: str) -> list[list[object]]:
        rows = store.engine.query("default", "demo", THIS_HOUR, query).rows
        return [[json.loads(c) if str(c).startswith("[") else c for c in row] for row in rows]

    return select


def test_compare_gives_now_then_and_their_ratio(hours) -> None:
    assert hours("select compare(n, 3600) from (select count(*) as n)") == [[[3.0, 1.0, 3.0]]]
    assert hours("select compare(n, 3600, 7200) from (select count(*) as n)") == [
        [[3.0, 1.0, 0.0, 3.0, None]]
    ]
    assert hours("match host:a | select compare(n, 3600) from (select count(*) as n)") == [
        [[2.0, 1.0, 2.0]]
    ]


def test_compare_finds_the_group_of_the_same_name(hours) -> None:
    inner = "from (select host, count(*) as n group by host)"
    expected = [["a", [2.0, 1.0, 2.0]], ["b", [1.0, None, None]]]
    assert hours(f"select host, compare(n, 3600) {inner} order by host") == expected
    assert hours(f"select host, compare(n, 3600) as c {inner} group by host") == expected
    assert hours(f"select c[3] as r from (select host, compare(n, 3600) as c {inner})") == [
        [2.0],
        [None],
    ]


def test_ts_compare_moves_the_time_of_earlier_groups_up_to_now(hours) -> None:
    inner = "from (select date_trunc('hour', `@timestamp`) as t, count(*) as n group by t)"
    assert hours(f"select t, ts_compare(n, 3600) {inner}") == [
        ["2026-03-01T08:00:00", [3.0, 1.0, 3.0]]
    ]
    assert hours(f"select t, compare(n, 3600) {inner}") == [
        ["2026-03-01T08:00:00", [3.0, None, None]]
    ]


def test_earlier_ranges_end_where_retention_does(store, hours) -> None:
    one_day = LogStoreSettings(retention_days=1)
    store.engine.update_log_store("default", "demo", lambda _before: one_day)
    store.engine.push("default", "demo", [NewRecord(message="x", timestamp_ms=NOW_MS - 90_000_000)])
    assert hours("select compare(n, 90060) from (select count(*) as n)") == [[[3.0, 0.0, None]]]


@pytest.mark.parametrize(
    "query",
    [
        "select compare(1, 60)",
        "select compare(n, 0) from (select count(*) as n)",
        "select compare(n, '60') from (select count(*) as n)",
        "select compare(n + 1, 60) from (select count(*) as n)",
        "select compare(m, 60) from (select count(*) as n)",
        "select sum(compare(n, 60)) from (select count(*) as n)",
    ],
)
def test_comparison_is_refused(hours, query: str) -> None:
    with pytest.raises(ControlError) as caught:
        hours(query)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
