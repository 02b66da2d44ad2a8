"""Several LogStores in one call of the Elasticsearch-compatible search."""

import json
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, NOW_S

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    CapabilityRequest,
    IndexField,
    IndexOptions,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    RecordType,
)
from simulator.logstore.elastic.indices import MAX_INDICES, select_indices

KNOWN = ("access", "access-2", "error", "shop$access", "-odd")
KEPT = LogStoreSettings(retention_days=-1)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("access", ["access"]),
        ("error,access", ["access", "error"]),
        ("access,access", ["access"]),
        ("default$access", ["access"]),
        ("shop$access", ["shop$access"]),
        ("*", ["-odd", "access", "access-2", "error", "shop$access"]),
        ("_all", ["-odd", "access", "access-2", "error", "shop$access"]),
        ("acc*", ["access", "access-2"]),
        ("shop$*", ["shop$access"]),
        ("*access", ["access", "shop$access"]),
        ("acc*,-access", ["access-2"]),
        ("*,-*access*", ["-odd", "error"]),
        ("acc*,-access,access", ["access", "access-2"]),
        ("-odd", ["-odd"]),
        ("none", ["none"]),
        ("none*", []),
        ("none*,error", ["error"]),
        ("[a]ccess*", []),
        ("acces?*", []),
    ],
)
def test_what_an_expression_stands_for(expression: str, expected: list[str]) -> None:
    assert list(select_indices(expression, KNOWN, IndexOptions())) == expected


def test_what_stands_for_nothing() -> None:
    passed = IndexOptions(ignore_unavailable=True)
    assert list(select_indices("none,error", KNOWN, passed)) == ["error"]
    strict = IndexOptions(allow_no_indices=False)
    with pytest.raises(ControlError, match="none"):
        select_indices("error,none*", KNOWN, strict)
    plain = IndexOptions(expand=False)
    assert select_indices("acc*", KNOWN, plain) == {"acc*": True}


def test_an_expression_stands_for_so_many_at_most() -> None:
    many = [f"a{number}" for number in range(MAX_INDICES + 1)]
    with pytest.raises(ControlError, match="at most 200"):
        select_indices("*", many, IndexOptions())
    assert len(select_indices("*", many, IndexOptions(), most=None)) == MAX_INDICES + 1


class Stores:
    """LogStores ``a``, ``b`` and ``web$c`` whose records differ in their fields."""

    def __init__(self, engine: LogStoreEngine) -> None:
        self.engine = engine

    def push(self, name: str, *records: object, at_ms: int = NOW_MS) -> None:
        project, _, name = f"default${name}".rpartition("$")
        self.engine.push(
            project.rpartition("$")[2],
            name,
            [NewRecord(message=json.dumps(one), timestamp_ms=at_ms) for one in records],
            record_type=RecordType.JSON,
        )

    def hits(self, index: str = "*", **body: object) -> list[dict[str, object]]:
        return self.engine.elastic.search(index, body)["response"]["hits"]["hits"]

    def shown(self, index: str = "*", **body: object) -> list[tuple[object, object]]:
        return [(hit["_index"], hit["fields"]["n"][0]) for hit in self.hits(index, **body)]

    def aggregate(self, aggs: object, index: str = "*", **body: object) -> object:
        answer = self.engine.elastic.search(index, {"size": 0, "aggs": {"a": aggs}, **body})
        return answer["response"]["aggregations"]["a"]


@pytest.fixture
def stores() -> Iterator[Stores]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_project("web")
    for project, name in (("default", "a"), ("default", "b"), ("web", "c")):
        engine.create_log_store(project, name, KEPT)
    found = Stores(engine)
    found.push("a", {"n": 1, "cost": 1, "host": "x"}, at_ms=NOW_MS - 3000)
    found.push("b", {"n": 2, "cost": 2.5, "host": "y"}, at_ms=NOW_MS - 2000)
    found.push("web$c", {"n": 3, "user": "u", "host": "x"}, at_ms=NOW_MS - 1000)
    found.push("a", {"n": 4, "cost": 4, "host": "y"}, at_ms=NOW_MS)
    yield found
    engine.close()


def test_hits_are_merged_by_their_time(stores: Stores) -> None:
    assert stores.shown() == [("a", 4), ("web$c", 3), ("b", 2), ("a", 1)]
    ascending = {"sort": [{"@timestamp": "asc"}]}
    assert stores.shown(**ascending) == [("a", 1), ("b", 2), ("web$c", 3), ("a", 4)]
    assert stores.shown(size=2) == [("a", 4), ("web$c", 3)]
    assert stores.shown("a,b") == [("a", 4), ("b", 2), ("a", 1)]
    assert stores.shown(query={"term": {"host": "x"}}) == [("web$c", 3), ("a", 1)]
    assert stores.shown(query={"term": {"user": "u"}}) == [("web$c", 3)]
    assert stores.shown(query={"terms": {"_index": ["b", "web$c"]}}) == [("web$c", 3), ("b", 2)]
    assert stores.shown(query={"prefix": {"_index": "web"}}) == [("web$c", 3)]
    id_ = stores.hits("b")[0]["_id"]
    assert stores.shown(query={"ids": {"values": [id_]}}) == [("b", 2)]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("tie", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_records_of_one_instant_lose_none(
    stores: Stores, direction: str, tie: str, size: int
) -> None:
    # In one millisecond of receipt, so that records of different LogStores share their @seq.
    for name in ("a", "b", "web$c"):
        stores.push(name, *({"n": 10 + number} for number in range(3)))
    body = {"sort": [{"@timestamp": direction}, {"_doc": tie}]}
    whole = stores.shown(**body)
    assert len(whole) == len(set(whole)) == 13
    paged: list[object] = []
    after: dict[str, object] = {}
    while page := stores.hits(size=size, **body, **after):
        paged += [(hit["_index"], hit["fields"]["n"][0]) for hit in page]
        after = {"search_after": page[-1]["sort"]}
    assert paged == whole


def test_what_is_not_there(stores: Stores) -> None:
    search = stores.engine.elastic.search
    with pytest.raises(ControlError) as caught:
        search("a,none", {})
    assert (caught.value.code, caught.value.status) == ("LogStoreNotFound", 404)
    ignoring = IndexOptions(ignore_unavailable=True)
    found = search("a,none", {}, options=ignoring)["response"]["hits"]["hits"]
    assert len(found) == 2
    aggs = {"a": {"terms": {"field": "host"}}, "m": {"max": {"field": "cost"}}}
    nothing = search("none*", {"aggs": aggs})["response"]
    assert nothing["hits"] == {"hits": []}
    assert nothing["aggregations"]["a"]["buckets"] == []
    assert nothing["aggregations"]["m"] == {"value": None}
    with pytest.raises(ControlError):
        search("none*", {}, options=IndexOptions(allow_no_indices=False))


def test_a_log_store_that_is_not_ready_is_passed_over_by_patterns(stores: Stores) -> None:
    stores.engine.ready_after_s = 60
    stores.engine.create_log_store("default", "new", KEPT)
    assert len(stores.shown("*")) == 4
    with pytest.raises(ControlError) as caught:
        stores.hits("a,new")
    assert caught.value.code == "LogStoreNotReady"


def test_aggregations_are_over_the_union(stores: Stores) -> None:
    assert stores.aggregate({"sum": {"field": "cost"}}) == {"value": 7.5}
    assert stores.aggregate({"value_count": {"field": "host"}}) == {"value": 4}
    assert stores.aggregate({"cardinality": {"field": "host"}}) == {"value": 2}
    inner = {"m": {"max": {"field": "n"}}, "i": {"terms": {"field": "_index"}}}
    by_host = stores.aggregate({"terms": {"field": "host"}, "aggs": inner})
    assert [
        (one["key"], one["doc_count"], one["m"]["value"], [i["key"] for i in one["i"]["buckets"]])
        for one in by_host["buckets"]
    ] == [("x", 2, 3.0, ["a", "web$c"]), ("y", 2, 4.0, ["a", "b"])]
    # A whole number in one and a floating one in the other is a floating one.
    costs = stores.aggregate({"terms": {"field": "cost"}})
    assert [one["key"] for one in costs["buckets"]] == [1.0, 2.5, 4.0]
    time = {"date_histogram": {"field": "@timestamp", "fixed_interval": "2s"}}
    assert [one["doc_count"] for one in stores.aggregate(time)["buckets"]] == [1, 2, 1]
    newest = stores.aggregate({"sampler": {"shard_size": 2}, "aggs": inner})
    assert (newest["doc_count"], newest["m"]) == (2, {"value": 4.0})
    filters = {
        "filters": {
            "filters": {"x": {"match": {"host": "X"}}, "u": {"exists": {"field": "user"}}},
            "other_bucket": True,
        },
        "aggs": {"n": {"sum": {"field": "n"}}},
    }
    assert stores.aggregate(filters)["buckets"] == {
        "x": {"doc_count": 2, "n": {"value": 4.0}},
        "u": {"doc_count": 1, "n": {"value": 3.0}},
        "_other_": {"doc_count": 2, "n": {"value": 6.0}},
    }
    assert stores.aggregate({"sum": {"field": "n"}}, query={"range": {"cost": {"gt": 2}}}) == {
        "value": 6.0
    }


def test_what_differs_in_kind_is_text(stores: Stores) -> None:
    stores.push("web$c", {"n": 5, "cost": "free"})
    costs = stores.aggregate({"terms": {"field": "cost"}})
    assert [one["key"] for one in costs["buckets"]] == ["1", "2.5", "4", "free"]
    assert stores.aggregate({"max": {"field": "cost"}}) == {"value": 4.0}


def test_each_log_store_has_its_own_words(stores: Stores) -> None:
    index = IndexSettings(
        fields=(IndexField(name="path", type=IndexType.TEXT, separators=".", case_sensitive=True),)
    )
    stores.engine.indexes.create("default", "b", index)
    for name in ("a", "b"):
        stores.push(name, {"n": 7, "path": "/Item/1"})
    assert stores.shown(query={"match": {"path": "item"}}) == [("a", 7)]
    assert stores.shown(query={"match": {"path": "/Item/1"}}) == [("a", 7), ("b", 7)]
    counts = stores.aggregate({"filter": {"match": {"path": "item"}}})
    assert counts == {"doc_count": 1}


def test_an_index_that_is_insisted_on_counts_in_its_log_store(stores: Stores) -> None:
    strict = LogStoreSettings(
        retention_days=-1,
        index=IndexSettings(fields=(IndexField(name="n", type=IndexType.LONG),)),
        strict_search=True,
    )
    stores.engine.create_log_store("default", "d", strict)
    stores.push("d", {"n": 9, "host": "x"})
    assert stores.shown(query={"term": {"n": 9}}) == [("d", 9)]
    with pytest.raises(ControlError, match="index"):
        stores.hits(query={"term": {"host": "x"}})
    assert stores.aggregate({"max": {"field": "n"}}) == {"value": 9.0}


def caps(stores: Stores, index: str = "*", **request: object) -> dict[str, object]:
    answer = stores.engine.elastic.field_caps(
        index, {}, request=CapabilityRequest(**{"patterns": ("*",), **request})
    )
    return answer["fields"]


def test_fields_of_several_are_merged(stores: Stores) -> None:
    fields = caps(stores)
    usable = {"searchable": True, "aggregatable": True, "metadata_field": False}
    assert fields["host"] == {"keyword": {"type": "keyword", **usable}}
    assert fields["cost"] == {
        "long": {"type": "long", **usable, "indices": ["a"]},
        "double": {"type": "double", **usable, "indices": ["b"]},
    }
    assert fields["user"] == {"keyword": {"type": "keyword", **usable}}
    unmapped = caps(stores, patterns=("user", "host"), include_unmapped=True)
    assert unmapped["user"] == {
        "keyword": {"type": "keyword", **usable, "indices": ["web$c"]},
        "unmapped": {
            "type": "unmapped",
            "searchable": False,
            "aggregatable": False,
            "metadata_field": False,
            "indices": ["a", "b"],
        },
    }
    assert list(unmapped["host"]) == ["keyword"]
    assert list(caps(stores, types=frozenset({"double"}))) == ["cost"]
    assert set(caps(stores, metadata=True)) == {"_id", "_index"}
    assert not {"_id", "_index"} & set(caps(stores, metadata=False))


def test_what_can_be_searched_in_some_says_in_which_not(stores: Stores) -> None:
    strict = LogStoreSettings(
        retention_days=-1,
        index=IndexSettings(
            fields=(
                IndexField(name="n", type=IndexType.LONG),
                IndexField(name="late", type=IndexType.LONG),
            )
        ),
        strict_search=True,
    )
    stores.engine.create_log_store("default", "d", strict)
    stores.push("d", {"n": 9, "host": "x"})
    host = caps(stores, patterns=("host",))["host"]["keyword"]
    assert (host["searchable"], host["non_searchable_indices"]) == (False, ["d"])
    assert (host["aggregatable"], host["non_aggregatable_indices"]) == (False, ["d"])
    assert list(caps(stores, "d", patterns=("late",))) == ["late"]
    assert caps(stores, "d", patterns=("late",), include_empty=False) == {}


def test_fields_of_those_in_which_something_is_found(stores: Stores) -> None:
    body = {"fields": ["host", "user,n"], "index_filter": {"range": {"cost": {"gte": 0}}}}
    answer = stores.engine.elastic.field_caps("*", body)
    assert answer["indices"] == ["a", "b"]
    assert list(answer["fields"]) == ["host", "n"]
    old = {"index_filter": {"range": {"@timestamp": {"lt": NOW_MS - 2500}}}}
    assert stores.engine.elastic.field_caps("*", old)["indices"] == ["a"]
    with pytest.raises(ControlError, match="runtime_mappings"):
        stores.engine.elastic.field_caps("*", {"runtime_mappings": {"x": {"type": "long"}}})


def test_terms_of_several(stores: Stores) -> None:
    def terms(index: str, **body: object) -> tuple[list[str], bool]:
        answer = stores.engine.elastic.terms_enum(index, body)
        return answer["terms"], answer["complete"]

    assert terms("*", field="host") == (["x", "y"], True)
    assert terms("*", field="n", size=3) == (["1", "2", "3"], False)
    assert terms("*", field="n", search_after="3") == (["4"], True)
    assert terms("*", field="n", size=1, search_after="1") == (["2"], False)
    assert terms("a,b", field="host", index_filter={"term": {"n": 2}}) == (["y"], True)
    assert terms("*", field="_index", string="w") == (["web$c"], True)
    assert terms("none*", field="host") == ([], True)


def test_a_statement_is_bounded(stores: Stores) -> None:
    for number in range(60):
        stores.engine.create_log_store("default", f"many-{number}", KEPT)
    several = [{"match": {f"field-{number}": "x y z"}} for number in range(90)]
    assert stores.hits("a", query={"bool": {"should": several}}) == []
    for body in ({"size": 10}, {"size": 0, "aggs": {"m": {"max": {"field": "n"}}}}):
        with pytest.raises(ControlError, match="so many conditions on so many LogStores"):
            stores.hits("*", query={"bool": {"should": several}}, **body)
