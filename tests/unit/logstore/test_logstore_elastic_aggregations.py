"""Aggregations of the Elasticsearch-compatible search, with their values."""

import json
from collections.abc import Iterator

import pytest
from conftest import NOW_MS, NOW_S, Store

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType

MINUTE_MS = 60_000
RECORDS = tuple(
    {
        "status": (200, 404, 502)[index % 3],
        "method": ("GET", "POST")[index % 2],
        "cost": index / 2,
        "ok": index % 2 == 0,
        **({"user": f"u{index}"} if index < 3 else {}),
    }
    for index in range(8)
)
"""One each minute, the first one now and the others before."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Store]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    store = Store(engine)
    for index, record in enumerate(RECORDS):
        store.push(record, at_ms=NOW_MS - index * MINUTE_MS)
    yield store
    engine.close()


def aggregate(store: Store, **body: object) -> object:
    """The result of the aggregation ``a``, in what is otherwise ``body``."""
    one = {key: body.pop(key) for key in list(body) if key not in {"query", "aggs"}}
    inner = {"aggs": body.pop("aggs")} if "aggs" in body else {}
    answer = store.engine.elastic.search("demo", {"size": 0, "aggs": {"a": one | inner}, **body})
    assert answer["response"]["hits"]["hits"] == []
    return answer["response"]["aggregations"]["a"]


NOTHING = {"term": {"status": 1}}
ALL_STATS = {"count": 8, "min": 0.0, "max": 3.5, "avg": 1.75, "sum": 14.0}


@pytest.mark.parametrize(
    ("type_", "body", "expected", "empty"),
    [
        ("value_count", {"field": "user"}, {"value": 3}, {"value": 0}),
        ("value_count", {"field": "@timestamp"}, {"value": 8}, {"value": 0}),
        ("cardinality", {"field": "status"}, {"value": 3}, {"value": 0}),
        ("cardinality", {"field": "user"}, {"value": 3}, {"value": 0}),
        ("max", {"field": "cost"}, {"value": 3.5}, {"value": None}),
        ("min", {"field": "status"}, {"value": 200.0}, {"value": None}),
        ("sum", {"field": "cost"}, {"value": 14.0}, {"value": 0.0}),
        ("avg", {"field": "cost"}, {"value": 1.75}, {"value": None}),
        ("avg", {"field": "user", "missing": 4}, {"value": 4.0}, {"value": None}),
        ("sum", {"field": "method"}, {"value": 0.0}, {"value": 0.0}),
        (
            "max",
            {"field": "@timestamp"},
            {"value": float(NOW_MS), "value_as_string": "2026-03-01T00:00:00.000Z"},
            {"value": None},
        ),
        (
            "stats",
            {"field": "cost"},
            ALL_STATS,
            {"count": 0, "min": None, "max": None, "avg": None, "sum": 0.0},
        ),
        (
            "percentiles",
            {"field": "cost", "percents": [0, 50, 100]},
            {"values": {"0.0": 0.0, "50.0": 1.75, "100.0": 3.5}},
            {"values": {"0.0": None, "50.0": None, "100.0": None}},
        ),
        (
            "percentiles",
            {"field": "cost", "percents": [50], "keyed": False},
            {"values": [{"key": 50.0, "value": 1.75}]},
            {"values": [{"key": 50.0, "value": None}]},
        ),
    ],
)
def test_a_number_of_all_records(
    shop: Store, type_: str, body: dict[str, object], expected: object, empty: object
) -> None:
    assert aggregate(shop, **{type_: body}) == expected
    assert aggregate(shop, **{type_: body}, query=NOTHING) == empty


def test_text_that_spells_no_number_is_no_value(store: Store) -> None:
    store.push(*({"w": value} for value in ("1", "nan", "inf", "-inf", "x", "3")))
    assert aggregate(store, avg={"field": "w"}) == {"value": 2.0}
    found = aggregate(store, histogram={"field": "w", "interval": 1})
    assert [one["key"] for one in found["buckets"]] == [1.0, 2.0, 3.0]


def test_default_percentiles(shop: Store) -> None:
    values = aggregate(shop, percentiles={"field": "cost"})["values"]
    assert list(values) == ["1.0", "5.0", "25.0", "50.0", "75.0", "95.0", "99.0"]


def keys_and_counts(found: object) -> list[tuple[object, int]]:
    return [(one["key"], one["doc_count"]) for one in found["buckets"]]


@pytest.mark.parametrize(
    ("body", "expected", "others"),
    [
        ({"field": "status"}, [(200, 3), (404, 3), (502, 2)], 0),
        ({"field": "status", "size": 1}, [(200, 3)], 5),
        ({"field": "status", "order": {"_count": "asc"}}, [(502, 2), (200, 3), (404, 3)], 0),
        ({"field": "status", "order": {"_key": "desc"}}, [(502, 2), (404, 3), (200, 3)], 0),
        ({"field": "status", "min_doc_count": 3}, [(200, 3), (404, 3)], 0),
        ({"field": "ok"}, [(0, 4), (1, 4)], 0),
        ({"field": "method", "include": ["GET", "PUT"]}, [("GET", 4)], 0),
        ({"field": "status", "exclude": [200, "404"]}, [(502, 2)], 0),
        ({"field": "user", "size": 2}, [("u0", 1), ("u1", 1)], 1),
        ({"field": "user", "missing": "none", "size": 1}, [("none", 5)], 3),
        ({"field": "none"}, [], None),
    ],
    ids=json.dumps,
)
def test_terms(
    shop: Store, body: dict[str, object], expected: list[object], others: int | None
) -> None:
    found = aggregate(shop, terms=body)
    assert keys_and_counts(found) == expected
    assert found["doc_count_error_upper_bound"] == 0
    assert found["sum_other_doc_count"] == (others or 0)


def test_a_term_that_is_no_text_is_written_out(shop: Store) -> None:
    found = aggregate(shop, terms={"field": "ok"})["buckets"]
    assert [one["key_as_string"] for one in found] == ["false", "true"]
    newest = aggregate(shop, terms={"field": "@timestamp", "order": {"_key": "desc"}, "size": 1})
    assert newest["buckets"] == [
        {"key": NOW_MS, "key_as_string": "2026-03-01T00:00:00.000Z", "doc_count": 1}
    ]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"c": "desc"}, ["POST", "GET"]),
        ({"c.value": "asc"}, ["GET", "POST"]),
        ({"s.max": "desc"}, ["POST", "GET"]),
        ({"s.sum": "asc"}, ["GET", "POST"]),
        ({"p.50": "desc"}, ["POST", "GET"]),
        ([{"_count": "asc"}, {"_key": "desc"}], ["POST", "GET"]),
    ],
    ids=json.dumps,
)
def test_terms_in_the_order_of_what_is_in_them(
    shop: Store, order: object, expected: list[str]
) -> None:
    inner = {
        "c": {"avg": {"field": "cost"}},
        "s": {"stats": {"field": "cost"}},
        "p": {"percentiles": {"field": "cost", "percents": [50]}},
    }
    found = aggregate(shop, terms={"field": "method", "order": order}, aggs=inner)
    assert [one["key"] for one in found["buckets"]] == expected


def test_dates_of_a_fixed_length(shop: Store) -> None:
    body = {"field": "@timestamp", "fixed_interval": "5m"}
    found = aggregate(shop, date_histogram=body)
    assert found["buckets"] == [
        {"key_as_string": "2026-02-28T23:50:00.000Z", "key": NOW_MS - 600_000, "doc_count": 2},
        {"key_as_string": "2026-02-28T23:55:00.000Z", "key": NOW_MS - 300_000, "doc_count": 5},
        {"key_as_string": "2026-03-01T00:00:00.000Z", "key": NOW_MS, "doc_count": 1},
    ]
    assert aggregate(shop, date_histogram=body, query=NOTHING) == {"buckets": []}


def test_empty_buckets_of_dates(shop: Store) -> None:
    ends = {"bool": {"should": [{"term": {"cost": 0}}, {"term": {"cost": 3}}]}}
    body = {"field": "@timestamp", "fixed_interval": "2m", "format": "epoch_second"}
    inner = {"m": {"max": {"field": "cost"}}, "t": {"terms": {"field": "method"}}}
    found = aggregate(shop, date_histogram=body, query=ends, aggs=inner)["buckets"]
    assert [one["doc_count"] for one in found] == [1, 0, 0, 1]
    assert [one["m"]["value"] for one in found] == [3.0, None, None, 0.0]
    assert found[1]["t"]["buckets"] == []
    assert found[3]["key_as_string"] == str(NOW_MS // 1000)
    few = aggregate(shop, date_histogram=body | {"min_doc_count": 1}, query=ends)["buckets"]
    assert [one["doc_count"] for one in few] == [1, 1]
    bounds = {"extended_bounds": {"min": "now-4m", "max": "now+2m"}}
    wide = aggregate(shop, date_histogram=body | bounds, query=NOTHING)["buckets"]
    assert [one["key"] - NOW_MS for one in wide] == [-240_000, -120_000, 0, 120_000]
    hard = {"hard_bounds": {"min": "now-3m", "max": "now-1m"}}
    kept = aggregate(shop, date_histogram=body | hard)["buckets"]
    assert sum(one["doc_count"] for one in kept) == 3
    keyed = aggregate(shop, date_histogram=body | {"keyed": True}, query={"term": {"cost": 0}})
    assert keyed["buckets"] == {
        str(NOW_MS // 1000): {
            "key_as_string": str(NOW_MS // 1000),
            "key": NOW_MS,
            "doc_count": 1,
        }
    }


@pytest.mark.parametrize(
    ("interval", "zone", "expected"),
    [
        ({"calendar_interval": "1d"}, None, {"2026-02-28T00:00:00.000Z": 7}),
        ({"calendar_interval": "month"}, None, {"2026-02-01T00:00:00.000Z": 7}),
        ({"calendar_interval": "quarter"}, None, {"2026-01-01T00:00:00.000Z": 8}),
        ({"calendar_interval": "year"}, None, {"2026-01-01T00:00:00.000Z": 8}),
        ({"calendar_interval": "week"}, None, {"2026-02-23T00:00:00.000Z": 8}),
        ({"calendar_interval": "day"}, "+08:00", {"2026-03-01T00:00:00.000+08:00": 8}),
        ({"calendar_interval": "day"}, "Asia/Shanghai", {"2026-03-01T00:00:00.000+08:00": 8}),
        ({"calendar_interval": "1M"}, "America/New_York", {"2026-02-01T00:00:00.000-05:00": 8}),
        ({"fixed_interval": "1d"}, "-05:30", {"2026-02-28T00:00:00.000-05:30": 8}),
        ({"fixed_interval": "12h"}, "Asia/Shanghai", {"2026-03-01T00:00:00.000+08:00": 8}),
    ],
    ids=str,
)
def test_dates_by_the_calendar_of_a_zone(
    shop: Store, interval: dict[str, str], zone: str | None, expected: dict[str, int]
) -> None:
    body = {"field": "@timestamp", **interval} | ({"time_zone": zone} if zone else {})
    first = aggregate(shop, date_histogram=body)["buckets"][0]
    assert {first["key_as_string"]: first["doc_count"]} == expected


def test_days_with_a_change_of_the_clock(store: Store) -> None:
    # In Berlin 2025-03-30 has 23 hours.
    hour_ms = 3_600_000
    first_ms = 1_743_202_800_000  # 2025-03-29T00:00:00+01:00
    for hours in (0, 47, 70):
        store.push({"n": 1}, at_ms=first_ms + hours * hour_ms)
    body = {
        "field": "@timestamp",
        "calendar_interval": "1d",
        "time_zone": "Europe/Berlin",
    }
    found = aggregate(store, date_histogram=body)["buckets"]
    assert [(one["key"] - first_ms, one["doc_count"]) for one in found] == [
        (0, 1),
        (24 * hour_ms, 0),
        (47 * hour_ms, 2),
    ]
    assert found[2]["key_as_string"] == "2025-03-31T00:00:00.000+02:00"


def test_numbers(shop: Store) -> None:
    found = aggregate(shop, histogram={"field": "status", "interval": 100})
    assert keys_and_counts(found) == [(200.0, 3), (300.0, 0), (400.0, 3), (500.0, 2)]
    body = {"field": "cost", "interval": 1, "offset": 0.5, "min_doc_count": 2}
    assert keys_and_counts(aggregate(shop, histogram=body)) == [(0.5, 2), (1.5, 2), (2.5, 2)]
    wide = {"field": "cost", "interval": 2, "extended_bounds": {"min": -1, "max": 5}}
    found = aggregate(shop, histogram=wide)
    assert keys_and_counts(found) == [(-2.0, 0), (0.0, 4), (2.0, 4), (4.0, 0)]
    hard = {"field": "cost", "interval": 2, "hard_bounds": {"max": 2}, "keyed": True}
    assert aggregate(shop, histogram=hard)["buckets"] == {
        "0.0": {"key": 0.0, "doc_count": 4},
        "2.0": {"key": 2.0, "doc_count": 1},
    }


def test_samples(shop: Store) -> None:
    inner = {"m": {"max": {"field": "cost"}}}
    # The newest records are looked at.
    assert aggregate(shop, sampler={"shard_size": 3}, aggs=inner) == {
        "doc_count": 3,
        "m": {"value": 1.0},
    }
    within = {"s": {"sampler": {"shard_size": 1}, "aggs": inner}}
    found = aggregate(shop, terms={"field": "method"}, aggs=within)["buckets"]
    assert [one["s"] for one in found] == [
        {"doc_count": 1, "m": {"value": 0.0}},
        {"doc_count": 1, "m": {"value": 0.5}},
    ]


def test_a_random_sample_is_scaled_up(store: Store) -> None:
    records = [NewRecord(message='{"n":2}')] * 1000
    for _ in range(2):
        store.engine.push("default", "demo", records, record_type=RecordType.JSON)
    inner = {
        "v": {"value_count": {"field": "n"}},
        "s": {"sum": {"field": "n"}},
        "t": {"terms": {"field": "n"}},
        "a": {"avg": {"field": "n"}},
    }
    drawn = [
        aggregate(store, random_sampler={"probability": 0.1, "seed": seed}, aggs=inner)
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    for one in drawn:
        count = one["doc_count"]
        assert 1000 < count < 3000
        assert one["v"]["value"] == one["t"]["buckets"][0]["doc_count"] == count
        assert one["s"]["value"] == pytest.approx(2 * count)
        assert one["a"]["value"] == 2.0
    whole = aggregate(store, random_sampler={"probability": 1}, aggs=inner)
    assert (whole["doc_count"], whole["seed"], whole["probability"]) == (2000, 0, 1)


def test_filters(shop: Store) -> None:
    inner = {"s": {"sum": {"field": "cost"}}}
    ok, bad = {"term": {"status": 200}}, {"range": {"status": {"gte": 500}}}
    assert aggregate(shop, filter=ok, aggs=inner) == {"doc_count": 3, "s": {"value": 4.5}}
    found = aggregate(shop, filters={"filters": {"ok": ok, "bad": bad}}, aggs=inner)
    assert found["buckets"] == {
        "ok": {"doc_count": 3, "s": {"value": 4.5}},
        "bad": {"doc_count": 2, "s": {"value": 3.5}},
    }
    listed = aggregate(shop, filters={"filters": [ok, NOTHING], "other_bucket_key": "rest"})
    assert listed["buckets"] == [{"doc_count": 3}, {"doc_count": 0}, {"doc_count": 5}]
    other = aggregate(shop, filters={"filters": {"ok": ok}, "other_bucket": True})
    assert other["buckets"] == {"ok": {"doc_count": 3}, "_other_": {"doc_count": 5}}


def test_aggregations_within_each_other(shop: Store) -> None:
    inner = {
        "m": {
            "terms": {"field": "method", "size": 1},
            "aggs": {
                "s": {"sum": {"field": "cost"}},
                "f": {"filter": {"range": {"cost": {"gt": 1}}}},
                "h": {"histogram": {"field": "status", "interval": 100, "min_doc_count": 1}},
            },
        },
        "c": {"cardinality": {"field": "method"}},
    }
    found = aggregate(shop, terms={"field": "status", "size": 2}, aggs=inner)
    assert found["sum_other_doc_count"] == 2
    assert found["buckets"] == [
        {
            "key": 200,
            "doc_count": 3,
            "m": {
                "doc_count_error_upper_bound": 0,
                "sum_other_doc_count": 1,
                "buckets": [
                    {
                        "key": "GET",
                        "doc_count": 2,
                        "s": {"value": 3.0},
                        "f": {"doc_count": 1},
                        "h": {"buckets": [{"key": 200.0, "doc_count": 2}]},
                    }
                ],
            },
            "c": {"value": 2},
        },
        {
            "key": 404,
            "doc_count": 3,
            "m": {
                "doc_count_error_upper_bound": 0,
                "sum_other_doc_count": 1,
                "buckets": [
                    {
                        "key": "POST",
                        "doc_count": 2,
                        "s": {"value": 4.0},
                        "f": {"doc_count": 1},
                        "h": {"buckets": [{"key": 400.0, "doc_count": 2}]},
                    }
                ],
            },
            "c": {"value": 2},
        },
    ]


def test_what_is_attached_to_an_aggregation_comes_back(shop: Store) -> None:
    found = aggregate(shop, sum={"field": "cost"}, meta={"panel": 1})
    assert found == {"meta": {"panel": 1}, "value": 14.0}


@pytest.mark.parametrize(
    ("one", "place"),
    [
        ({}, "[body.aggs.a]"),
        ({"sum": {"field": "cost"}, "max": {"field": "cost"}}, "[body.aggs.a]"),
        ({"top_hits": {}}, "[body.aggs.a.top_hits]"),
        ({"sum": {}}, "[body.aggs.a.sum]"),
        ({"sum": {"script": "1"}}, "[body.aggs.a.sum.script]"),
        ({"sum": {"field": "cost"}, "aggs": {"b": {"sum": {"field": "cost"}}}}, "[body.aggs.a]"),
        ({"date_histogram": {"field": "cost", "fixed_interval": "1m"}}, "date_histogram]"),
        ({"date_histogram": {"field": "@timestamp"}}, "[body.aggs.a.date_histogram]"),
        ({"date_histogram": {"field": "@timestamp", "fixed_interval": "1M"}}, "fixed_interval]"),
        (
            {"date_histogram": {"field": "@timestamp", "calendar_interval": "2d"}},
            "calendar_interval]",
        ),
        (
            {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": "1d",
                    "time_zone": "Atlantis/Harbour",
                }
            },
            "time_zone]",
        ),
        ({"histogram": {"field": "cost", "interval": 0}}, "interval]"),
        ({"terms": {"field": "status", "size": 0}}, "size]"),
        ({"terms": {"field": "status", "include": "4.*"}}, "include]"),
        ({"terms": {"field": "status", "order": {"x": "asc"}}}, "[body.aggs.a.terms]"),
        ({"percentiles": {"field": "cost", "percents": [101]}}, "percentiles]"),
        ({"random_sampler": {"probability": 0.7}}, "probability]"),
        ({"filter": {"none": {}}}, "[body.aggs.a.filter]"),
        ({"filters": {"filters": []}}, "[body.aggs.a.filters.filters]"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_is_said_with_its_place(
    shop: Store, one: dict[str, object], place: str
) -> None:
    with pytest.raises(ControlError) as caught:
        aggregate(shop, **one)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert place in caught.value.message


def test_buckets_are_bounded(shop: Store) -> None:
    fine = {"field": "@timestamp", "fixed_interval": "5ms"}
    for one in (
        {"date_histogram": fine},
        {"histogram": {"field": "cost", "interval": 0.00001}},
        {
            "date_histogram": fine
            | {"fixed_interval": "1s", "extended_bounds": {"min": "0001", "max": "9999"}}
        },
    ):
        with pytest.raises(ControlError, match="more than 65536 buckets"):
            aggregate(shop, **one)
    percents = {"percentiles": {"field": "cost", "percents": list(range(50))}}
    minutes = {"field": "@timestamp", "fixed_interval": "1m"}
    long = minutes | {"extended_bounds": {"min": "now-20d", "max": "now"}}
    with pytest.raises(ControlError, match="more than 500000 values"):
        aggregate(shop, date_histogram=long, aggs={"p": percents})
    deep: dict[str, object] = {"sum": {"field": "cost"}}
    for _ in range(9):
        deep = {"filter": {"match_all": {}}, "aggs": {"a": deep}}
    with pytest.raises(ControlError, match="levels"):
        aggregate(shop, **deep)
