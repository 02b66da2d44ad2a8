"""Aggregations of the Elasticsearch-compatible search, with their values."""

import json
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, NOW_S, Store

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType
from simulator.logstore.elastic import groups
from simulator.logstore.elastic.terms import MAX_TERM_BYTES

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
        ({"field": "method", "include": "P.*"}, [("POST", 4)], 0),
        ({"field": "method", "include": "G"}, [], None),
        ({"field": "status", "exclude": "[45]\\d+"}, [(200, 3)], 0),
        ({"field": "user", "include": "u.", "exclude": ["u1"]}, [("u0", 1), ("u2", 1)], 0),
        ({"field": "cost", "include": [0, 0.5, "1", "x"]}, [(0.0, 1), (0.5, 1), (1.0, 1)], 0),
        ({"field": "ok", "include": [True]}, [(1, 4)], 0),
        ({"field": "status", "missing": 0}, [(200, 3), (404, 3), (502, 2)], 0),
        ({"field": "status", "missing": "x"}, [("200", 3), ("404", 3), ("502", 2)], 0),
        ({"field": "none", "missing": 7}, [(7, 8)], 0),
        ({"field": "none", "missing": 0.5}, [(0.5, 8)], 0),
        ({"field": "none", "missing": True}, [(1, 8)], 0),
        ({"field": "none", "missing": "x"}, [("x", 8)], 0),
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


def test_the_error_of_a_count_is_shown_when_asked_for(shop: Store) -> None:
    found = aggregate(shop, terms={"field": "method", "show_term_doc_count_error": True})
    assert found["buckets"] == [
        {"key": key, "doc_count": 4, "doc_count_error_upper_bound": 0} for key in ("GET", "POST")
    ]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"h": "desc"}, ["POST", "GET"]),
        ({"h.doc_count": "asc"}, ["GET", "POST"]),
        ({"h>_count": "desc"}, ["POST", "GET"]),
        ({"f>c": "desc"}, ["POST", "GET"]),
        ({"f>p.50": "desc"}, ["POST", "GET"]),
        ({"f>g>c.value": "desc"}, ["POST", "GET"]),
        ({"f>n": "asc", "_key": "desc"}, ["POST", "GET"]),
    ],
    ids=json.dumps,
)
def test_terms_in_the_order_of_what_is_in_a_filter(
    shop: Store, order: object, expected: list[str]
) -> None:
    metrics = {
        "c": {"avg": {"field": "cost"}},
        "p": {"percentiles": {"field": "cost", "percents": [50]}},
        "n": {"max": {"field": "none"}},
    }
    deeper = {"g": {"filter": {"range": {"cost": {"gte": 3}}}, "aggs": metrics}}
    inner = {
        "f": {"filter": {"range": {"cost": {"gte": 2}}}, "aggs": metrics | deeper},
        "h": {"filter": {"range": {"cost": {"gte": 0.5}}}},
    }
    found = aggregate(shop, terms={"field": "method", "order": order}, aggs=inner)
    assert [one["key"] for one in found["buckets"]] == expected


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


def test_an_hour_that_comes_twice_is_two_buckets(store: Store) -> None:
    # In Berlin the clock shows 02:30 twice on 2025-10-26.
    minute_ms = 60_000
    first_ms = 1_761_438_600_000  # 2025-10-26T02:30:00+02:00
    for number, minutes in enumerate((0, 20, 60, 61, 62)):
        store.push({"n": number, "host": "ab"[number % 2]}, at_ms=first_ms + minutes * minute_ms)
    inner = {"hosts": {"terms": {"field": "host"}}, "n": {"max": {"field": "n"}}}
    for interval in ({"calendar_interval": "1h"}, {"fixed_interval": "60m"}):
        body = {"field": "@timestamp", "time_zone": "Europe/Berlin", **interval}
        found = aggregate(store, date_histogram=body, aggs=inner)["buckets"]
        assert [(one["key_as_string"], one["doc_count"], one["n"]["value"]) for one in found] == [
            ("2025-10-26T02:00:00.000+02:00", 2, 1.0),
            ("2025-10-26T02:00:00.000+01:00", 3, 4.0),
        ]
        assert keys_and_counts(found[1]["hosts"]) == [("a", 2), ("b", 1)]
    half = {"field": "@timestamp", "time_zone": "Europe/Berlin", "fixed_interval": "12h"}
    assert len(aggregate(store, date_histogram=half)["buckets"]) == 1
    empty = {**half, "fixed_interval": "30m", "extended_bounds": {"max": first_ms + 3 * 3_600_000}}
    counts = [one["doc_count"] for one in aggregate(store, date_histogram=empty)["buckets"]]
    assert counts == [2, 0, 3, 0, 0, 0, 0]


def test_dates_with_an_offset(shop: Store) -> None:
    body = {"field": "@timestamp", "calendar_interval": "day", "offset": "-2m"}
    assert [one["doc_count"] for one in aggregate(shop, date_histogram=body)["buckets"]] == [5, 3]
    body = {"field": "@timestamp", "fixed_interval": "5m", "offset": "+1m"}
    found = aggregate(shop, date_histogram=body)["buckets"]
    assert [(one["key"] - NOW_MS, one["doc_count"]) for one in found] == [
        (-9 * MINUTE_MS, 3),
        (-4 * MINUTE_MS, 5),
    ]
    later = {"field": "@timestamp", "fixed_interval": "1d", "offset": 3_600_000}
    assert aggregate(shop, date_histogram=later)["buckets"][0]["key"] == NOW_MS - 23 * 3_600_000


def test_one_end_of_the_bounds_is_enough(shop: Store) -> None:
    body = {"field": "@timestamp", "fixed_interval": "1m", "format": "HH:mm"}
    early = aggregate(shop, date_histogram=body | {"extended_bounds": {"min": "now-9m"}})
    assert [one["key_as_string"] for one in early["buckets"]][:2] == ["23:51", "23:52"]
    assert len(early["buckets"]) == 10
    late = aggregate(shop, date_histogram=body | {"extended_bounds": {"max": NOW_MS + MINUTE_MS}})
    assert [one["doc_count"] for one in late["buckets"]][-2:] == [1, 0]
    alone = aggregate(
        shop, date_histogram=body | {"extended_bounds": {"max": "now"}}, query=NOTHING
    )
    assert [one["key"] for one in alone["buckets"]] == [NOW_MS]
    numbers = {"field": "cost", "interval": 1, "extended_bounds": {"max": 5}}
    found = aggregate(shop, histogram=numbers, query=NOTHING)
    assert keys_and_counts(found) == [(5.0, 0)]


def test_histograms_in_another_order(shop: Store) -> None:
    body = {"field": "@timestamp", "fixed_interval": "5m"}
    down = aggregate(shop, date_histogram=body | {"order": {"_key": "desc"}})
    assert [one["doc_count"] for one in down["buckets"]] == [1, 5, 2]
    common = aggregate(shop, date_histogram=body | {"order": [{"_count": "desc"}]})
    assert [one["doc_count"] for one in common["buckets"]] == [5, 2, 1]
    by_time = aggregate(shop, date_histogram=body | {"order": {"_time": "asc"}})
    assert [one["doc_count"] for one in by_time["buckets"]] == [2, 5, 1]
    numbers = {"field": "status", "interval": 100, "order": {"_count": "asc", "_key": "desc"}}
    found = aggregate(shop, histogram=numbers | {"keyed": True})["buckets"]
    assert list(found) == ["300.0", "500.0", "400.0", "200.0"]


@pytest.mark.parametrize(
    ("format_", "title"),
    [
        ("yyyy-MM-dd", "2026-03-01"),
        ("dd.MM.uuuu 'at' HH:mm:ss", "01.03.2026 at 00:00:00"),
        ("d/M/yyyy H:m:s.SSS", "1/3/2026 0:0:0.000"),
        ("basic_date", "20260301"),
        ("strict_date_hour_minute", "2026-03-01T00:00"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "2026-03-01T00:00:00Z"),
        ("HH''mm xx", "00'00 +0000"),
        ("epoch_second", str(NOW_S)),
    ],
)
def test_dates_in_other_formats(shop: Store, format_: str, title: str) -> None:
    latest = {"term": {"cost": 0}}
    body = {"field": "@timestamp", "fixed_interval": "1m", "format": format_}
    found = aggregate(shop, date_histogram=body, query=latest)["buckets"]
    assert [one["key_as_string"] for one in found] == [title]
    newest = aggregate(shop, max={"field": "@timestamp", "format": format_})
    assert newest == {"value": float(NOW_MS), "value_as_string": title}


def test_numbers_of_times_are_written_out(shop: Store) -> None:
    stats = aggregate(shop, stats={"field": "@timestamp", "format": "HH:mm"})
    assert (stats["min_as_string"], stats["max_as_string"]) == ("23:53", "00:00")
    assert "sum_as_string" not in stats
    both = {"field": "@timestamp", "percents": [0, 100]}
    found = aggregate(shop, percentiles=both)["values"]
    assert found["100.0_as_string"] == "2026-03-01T00:00:00.000Z"
    listed = aggregate(shop, percentiles=both | {"keyed": False, "format": "HH:mm"})["values"]
    assert [one["value_as_string"] for one in listed] == ["23:53", "00:00"]
    assert aggregate(shop, stats={"field": "@timestamp"}, query=NOTHING)["min"] is None


def test_what_has_no_value_can_be_counted(shop: Store) -> None:
    assert aggregate(shop, value_count={"field": "user", "missing": "none"}) == {"value": 8}
    assert aggregate(shop, cardinality={"field": "user", "missing": "none"}) == {"value": 4}
    assert aggregate(shop, cardinality={"field": "user", "missing": "u0"}) == {"value": 3}


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
    as_list = aggregate(shop, filters={"filters": {"ok": ok, "bad": bad}, "keyed": False})
    assert as_list["buckets"] == [{"key": "ok", "doc_count": 3}, {"key": "bad", "doc_count": 2}]
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


def test_names_with_their_types(shop: Store) -> None:
    metrics = {
        kind: {kind: {"field": "cost"}}
        for kind in (
            "value_count",
            "cardinality",
            "max",
            "min",
            "sum",
            "avg",
            "stats",
            "percentiles",
        )
    }
    aggs = {
        **{
            field: {"terms": {"field": field}}
            for field in ("status", "cost", "ok", "method", "none", "@timestamp", "_index")
        },
        "d": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}, "aggs": metrics},
        "h": {"histogram": {"field": "cost", "interval": 1}},
        "s": {"sampler": {"shard_size": 2}, "aggs": {"t": {"terms": {"field": "method"}}}},
        "r": {"random_sampler": {"probability": 1}},
        "f": {"filter": {"match_all": {}}},
        "fs": {"filters": {"filters": {"all": {"match_all": {}}}}, "aggs": {"m": metrics["max"]}},
    }
    found = shop.engine.elastic.search("demo", {"size": 0, "aggs": aggs}, typed_keys=True)
    results = found["response"]["aggregations"]
    assert set(results) == {
        *("lterms#status", "dterms#cost", "lterms#ok", "sterms#method", "umterms#none"),
        *("lterms#@timestamp", "sterms#_index", "date_histogram#d", "histogram#h", "sampler#s"),
        *("random_sampler#r", "filter#f", "filters#fs"),
    }
    assert set(results["date_histogram#d"]["buckets"][0]) - {
        "key",
        "key_as_string",
        "doc_count",
    } == {
        *("value_count#value_count", "cardinality#cardinality", "max#max", "min#min", "sum#sum"),
        *("avg#avg", "stats#stats", "tdigest_percentiles#percentiles"),
    }
    assert keys_and_counts(results["sampler#s"]["sterms#t"]) == [("GET", 1), ("POST", 1)]
    assert results["filters#fs"]["buckets"]["all"]["max#m"] == {"value": 3.5}
    nothing = shop.engine.elastic.search("no*", {"aggs": aggs}, typed_keys=True)
    assert "umterms#status" in nothing["response"]["aggregations"]


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
        ({"histogram": {"field": "cost"}}, "interval is required"),
        ({"histogram": {"field": "cost", "interval": 1, "offset": 1e19}}, "offset]"),
        (
            {"histogram": {"field": "cost", "interval": 1, "extended_bounds": {"min": 1e19}}},
            "extended_bounds.min]",
        ),
        (
            {
                "histogram": {
                    "field": "cost",
                    "interval": 1,
                    "hard_bounds": {"min": 2, "max": 1},
                }
            },
            "hard_bounds]: expected min",
        ),
        ({"random_sampler": {}}, "probability is required"),
        ({"filters": {}}, "filters is required"),
        ({"terms": {"field": "status", "size": 0}}, "size]"),
        ({"terms": {"field": "status", "include": "4(.*"}}, "include] at character 5: expected"),
        ({"terms": {"field": "status", "include": {"partition": 0}}}, "include]"),
        ({"terms": {"field": "status", "order": {"f>c": "asc"}}}, "'f' is no filter within"),
        ({"terms": {"field": "status", "order": [{"_count": "up"}]}}, "order"),
        ({"sum": {"field": "cost", "missing": "x"}}, "missing]"),
        ({"max": {"field": "@timestamp", "format": "QQ"}}, "max.format]: found 'QQ'"),
        (
            {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "offset": "+-1h"}},
            "offset]",
        ),
        (
            {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "offset": "1M"}},
            "offset]",
        ),
        (
            {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": "1d",
                    "order": {"m": "asc"},
                }
            },
            "order]: only _key and _count",
        ),
        ({"histogram": {"field": "cost", "interval": 1, "order": "_key"}}, "order]"),
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


def test_text_that_is_too_long_is_no_term(store: Store) -> None:
    longest = "x" * MAX_TERM_BYTES
    store.push(*({"a": one, "n": 1} for one in ("short", longest, longest + "x")))
    kept = [("short", 1), (longest, 1)]
    for choice in ({}, {"include": "(short|x+)"}, {"include": ["short", longest, longest + "x"]}):
        found = aggregate(store, terms={"field": "a", **choice})
        assert (keys_and_counts(found), found["sum_other_doc_count"]) == (kept, 0)
    assert store.engine.elastic.terms_enum("demo", {"field": "a"})["terms"] == ["short", longest]


def test_keys_of_buckets_are_bounded_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MAX_KEY_BYTES", 2 << 20)
    store.push(*({"a": f"{number:0>9000}", "n": number} for number in range(300)))
    found = aggregate(store, terms={"field": "a", "size": 200})["buckets"]
    assert len(found) == 200
    for sizes in ({"size": 300}, {"size": 200, "aggs": {"n": {"terms": {"field": "n"}}}}):
        inner = {"aggs": sizes.pop("aggs")} if "aggs" in sizes else {}
        with pytest.raises(ControlError, match="more than 2 MiB of texts"):
            aggregate(store, terms={"field": "a", **sizes}, **inner)


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
