"""What is highlighted in the hits of the Elasticsearch-compatible search."""

import json
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, NOW_S, Store

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    RecordType,
)
from simulator.logstore.elastic.highlights import HighlightSettings
from simulator.logstore.elastic.marking import cut

RECORD = {
    "path": "/item/10?q=Cart",
    "msg": "the cart service is not available: Cart=10",
    "tags": ["cart", "item cart", 7],
    "status": 404,
    "method": "GET",
    "code": "7",
    "flag": "True",
    "slash": "/",
}
CARTS = {"msg": ["the <cart> service is not available: <Cart>=10"]}
NOT = {"msg": ["the cart service is <not> available: Cart=10"]}
ITEM, TEN = {"path": ["/<item>/10?q=Cart"]}, {"path": ["/item/<10>?q=Cart"]}
WHOLE = {"path": ["</item/10?q=Cart>"]}


@pytest.fixture(scope="module")
def shop() -> Iterator[Store]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    store = Store(engine)
    store.push(RECORD)
    yield store
    engine.close()


def highlighted(store: Store, query: object, index: str = "demo", **more: object) -> object:
    """What is highlighted in the one hit, by default in ``<`` and ``>``, but in the raw text."""
    body = {"pre_tags": ["<"], "post_tags": [">"], "number_of_fragments": 0, **more}
    answer = store.engine.elastic.search(index, {"query": query, "highlight": body})
    (hit,) = answer["response"]["hits"]["hits"]
    return {name: one for name, one in hit.get("highlight", {}).items() if name != "@raw"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"match": {"msg": "cart"}}, CARTS),
        (
            {"match": {"msg": "service cart none"}},
            {"msg": ["the <cart> <service> is not available: <Cart>=10"]},
        ),
        ({"match": {"path": "item cart"}}, {"path": ["/<item>/10?q=<Cart>"]}),
        ({"match": {"msg": "sevrice"}}, None),
        (
            {"match": {"msg": {"query": "servce not", "fuzziness": 1}}},
            {"msg": ["the cart <service> is <not> available: Cart=10"]},
        ),
        (
            {"match_phrase": {"msg": "cart service"}},
            {"msg": ["the <cart> <service> is not available: Cart=10"]},
        ),
        (
            {"match_phrase": {"msg": {"query": "cart not", "slop": 2}}},
            {"msg": ["the <cart> service is <not> available: Cart=10"]},
        ),
        ({"match": {"tags": "cart"}}, {"tags": ["<cart>", "item <cart>"]}),
        ({"match_phrase": {"tags": "item cart"}}, {"tags": ["<item> <cart>"]}),
        ({"term": {"method": "GET"}}, {"method": ["<GET>"]}),
        ({"terms": {"method": [True, 1, "GET"]}}, {"method": ["<GET>"]}),
        ({"match": {"code": 7}}, {"code": ["<7>"]}),
        ({"match": {"flag": True}}, {"flag": ["<True>"]}),
        ({"match": {"slash": "/"}}, {"slash": ["</>"]}),
        (
            {"query_string": {"query": 'msg:"cart service" msg:"service is"'}},
            {"msg": ["the <cart> <service> <is> not available: Cart=10"]},
        ),
        ({"term": {"method": {"value": "get", "case_insensitive": True}}}, {"method": ["<GET>"]}),
        ({"terms": {"method": ["PUT", "GET"]}}, {"method": ["<GET>"]}),
        ({"prefix": {"path": "/it"}}, WHOLE),
        ({"wildcard": {"path": "*Cart"}}, WHOLE),
        ({"query_string": {"query": "path:it*"}}, ITEM),
        ({"query_string": {"query": "path:*art"}}, {"path": ["/item/10?q=<Cart>"]}),
        ({"query_string": {"query": "path:\\/it*"}}, WHOLE),
        (
            {"query_string": {"query": "msg:/[ct]art/"}},
            CARTS,
        ),
        ({"query_string": {"query": "path:/\\/item.*/"}}, WHOLE),
        (
            {"query_string": {"query": "msg:carx~1"}},
            CARTS,
        ),
        # Words without a field are looked for in the raw text, which every field is part of.
        (
            {"multi_match": {"query": "10", "lenient": True}},
            TEN | {"msg": ["the cart service is not available: Cart=<10>"]},
        ),
        (
            {"simple_query_string": {"query": "ite*"}},
            ITEM | {"tags": ["<item> cart"]},
        ),
        (
            {"query_string": {"query": "path:item AND msg:not"}},
            ITEM | NOT,
        ),
        # What must not be found, and what is no word, is not highlighted.
        (
            {
                "bool": {
                    "must_not": [{"match": {"msg": "none"}}],
                    "filter": [{"match": {"path": "10"}}],
                }
            },
            TEN,
        ),
        (
            {"bool": {"should": [{"match": {"msg": "not"}}, {"term": {"status": 404}}]}},
            NOT,
        ),
        (
            {"query_string": {"query": "msg:cart AND NOT msg:gone"}},
            CARTS,
        ),
        ({"range": {"status": {"gte": 400}}}, {}),
        ({"exists": {"field": "msg"}}, {}),
        ({"term": {"status": 404}}, {}),
        ({"match_all": {}}, {}),
    ],
    ids=json.dumps,
)
def test_what_a_query_has_found_is_highlighted(
    shop: Store, query: object, expected: object
) -> None:
    if expected is None:
        found = shop.engine.elastic.search("demo", {"query": query, "highlight": {}})
        assert found["response"]["hits"]["hits"] == []
    else:
        assert highlighted(shop, query) == expected


def test_the_raw_text_is_highlighted_too(shop: Store) -> None:
    body = {"query": {"multi_match": {"query": "GET 404"}}, "highlight": {"number_of_fragments": 0}}
    (hit,) = shop.engine.elastic.search("demo", body)["response"]["hits"]["hits"]
    tag, end = "@kibana-highlighted-field@", "@/kibana-highlighted-field@"
    raw = json.dumps(RECORD).replace("404", f"{tag}404{end}").replace("GET", f"{tag}GET{end}")
    assert hit["highlight"] == {"@raw": [raw], "method": [f"{tag}GET{end}"]}


def test_which_fields_are_highlighted(shop: Store) -> None:
    query = {"query_string": {"query": "path:cart OR msg:service"}}
    both = {"path": ["/item/10?q=<Cart>"], "msg": ["the cart <service> is not available: Cart=10"]}
    assert highlighted(shop, query, fields={"*": {}}) == both
    assert highlighted(shop, query, fields={"pa*": {}}) == {"path": both["path"]}
    assert highlighted(shop, query, fields=[{"msg": {}}, {"none": {}}]) == {"msg": both["msg"]}
    assert highlighted(shop, query, fields={}) == {}
    other = {"m*": {"pre_tags": ["["], "post_tags": ["]"]}, "*": {}}
    assert highlighted(shop, query, fields=other) == both | {
        "msg": ["the cart [service] is not available: Cart=10"]
    }


def test_what_is_looked_for_in_other_fields(shop: Store) -> None:
    query = {"match": {"path": "cart"}}
    assert list(highlighted(shop, query)) == ["path"]
    every = highlighted(shop, query, require_field_match=False)
    assert every == {
        "path": ["/item/10?q=<Cart>"],
        "msg": ["the <cart> service is not available: <Cart>=10"],
        "tags": ["<cart>", "item <cart>"],
    }
    one = highlighted(shop, query, fields={"msg": {"require_field_match": False}, "path": {}})
    assert list(one) == ["path", "msg"]


def test_another_query_can_be_highlighted(shop: Store) -> None:
    other = {"match": {"msg": "not"}}
    found = highlighted(shop, {"match": {"path": "item"}}, highlight_query=other)
    assert found == NOT
    both = {"msg": {"highlight_query": other}, "path": {}}
    assert list(highlighted(shop, {"match": {"path": "item"}}, fields=both)) == ["path", "msg"]


def test_what_kibana_sends_highlights_whole_values(shop: Store) -> None:
    body = {
        "query": {"match": {"msg": "service"}},
        "highlight": {
            "pre_tags": ["@kibana-highlighted-field@"],
            "post_tags": ["@/kibana-highlighted-field@"],
            "fields": {"*": {}},
            "fragment_size": 2147483647,
        },
    }
    (hit,) = shop.engine.elastic.search("demo", body)["response"]["hits"]["hits"]
    marked = RECORD["msg"].replace(
        "service", "@kibana-highlighted-field@service@/kibana-highlighted-field@"
    )
    assert hit["highlight"] == {"msg": [marked]}


def test_the_separators_of_the_log_store_count(store: Store) -> None:
    index = IndexSettings(
        fulltext=True,
        separators=" ",
        fields=(
            IndexField(name="a", type=IndexType.TEXT, separators="-", case_sensitive=True),
            IndexField(name="b", type=IndexType.TEXT, include_chinese=True),
        ),
    )
    store.engine.indexes.create("default", "demo", index)
    store.push({"a": "Cart-cart_1-cart", "b": "你好 cart"})
    assert highlighted(store, {"match": {"a": "cart"}}) == {"a": ["Cart-cart_1-<cart>"]}
    assert highlighted(store, {"match": {"b": "好"}}) == {"b": ["你<好> cart"]}
    assert highlighted(store, {"match_phrase": {"b": "你好"}}) == {"b": ["<你><好> cart"]}
    raw = store.engine.elastic.search(
        "demo",
        {
            "query": {"match": {"@raw": 'cart"}'}},
            "highlight": {"pre_tags": ["<"], "post_tags": [">"]},
        },
    )
    (hit,) = raw["response"]["hits"]["hits"]
    assert hit["highlight"]["@raw"] == ['{"a": "Cart-cart_1-cart", "b": "你好 <cart"}>']


def test_each_log_store_is_highlighted_by_its_own_separators(store: Store) -> None:
    index = IndexSettings(fields=(IndexField(name="a", type=IndexType.TEXT, separators="."),))
    other = LogStoreSettings(retention_days=-1, index=index)
    store.engine.create_log_store("default", "other", other)
    store.push({"a": "x/y.z"})
    store.engine.push(
        "default",
        "other",
        [NewRecord(message='{"a": "x/y.z"}', timestamp_ms=NOW_MS + 1)],
        record_type=RecordType.JSON,
    )
    body = {
        "query": {"query_string": {"query": "a:z OR a:x"}},
        "highlight": {"pre_tags": ["<"], "post_tags": [">"]},
    }
    found = store.engine.elastic.search("*", body)["response"]["hits"]["hits"]
    assert [(hit["_index"], hit["highlight"]["a"]) for hit in found] == [
        ("other", ["x/y.<z>"]),
        ("demo", ["<x>/y.z"]),
    ]


TEXT = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"


def fragments(*words: str, **settings: object) -> list[str]:
    spans = [(TEXT.index(word), TEXT.index(word) + len(word)) for word in words]
    made = HighlightSettings(**{"pre_tag": "<", "post_tag": ">", **settings})
    return [fragment for _, fragment in cut(TEXT, sorted(spans), made)]


def test_texts_are_cut_into_fragments() -> None:
    assert fragments("gamma", fragment_chars=1000) == [TEXT.replace("gamma", "<gamma>")]
    assert fragments("gamma", fragment_chars=16) == ["beta <gamma> delta"]
    assert fragments("gamma", fragment_chars=14) == ["<gamma> delta"]
    assert fragments("gamma", fragment_chars=1) == ["<gamma>"]
    assert fragments("gamma", "delta", fragment_chars=18) == ["beta <gamma> <delta>"]
    assert fragments("beta", "lambda", fragment_chars=20) == [
        "alpha <beta> gamma",
        "iota kappa <lambda> mu",
    ]
    assert fragments("beta", "iota", "mu", fragment_chars=4, fragment_count=2) == [
        "<beta>",
        "<iota>",
    ]
    assert fragments("mu", fragment_chars=12) == ["lambda <mu>"]
    assert fragments("beta", "mu", fragment_count=0) == [
        TEXT.replace("beta", "<beta>").replace("mu", "<mu>")
    ]
    assert fragments() == []


def test_the_fragments_of_a_hit(store: Store) -> None:
    store.push({"t": "one two " * 20 + "x x", "u": ["x", "y", "x x", "x"]})
    query = {"query_string": {"query": "t:x OR u:x"}}
    found = highlighted(store, query, number_of_fragments=2, fragment_size=10)
    assert found == {"t": ["two <x> <x>"], "u": ["<x>", "<x> <x>"]}
    best = highlighted(store, query, number_of_fragments=1, order="score")
    assert best["u"] == ["<x> <x>"]
    nothing = {"query_string": {"query": "u:x"}}
    shown = highlighted(store, nothing, no_match_size=10, number_of_fragments=1)
    assert shown == {"t": ["one two"], "u": ["<x>"]}
    html = {"match": {"h": "b"}}
    store.push({"h": "a<b>&c"}, at_ms=NOW_MS + 5)
    assert highlighted(store, html, encoder="html") == {"h": ["a&lt;<b>&gt;&amp;c"]}
    assert highlighted(store, html) == {"h": ["a<<b>>&c"]}


@pytest.mark.parametrize(
    ("highlight", "place"),
    [
        ({"fields": {"a": {"matched_fields": ["b"]}}}, "fields.a.matched_fields]"),
        ({"pre_tags": [1]}, "highlight.pre_tags[0]]"),
        ({"pre_tags": ["x" * 101]}, "highlight.pre_tags]"),
        ({"fragment_size": -1}, "highlight.fragment_size]"),
        ({"tags_schema": "styled"}, "highlight.tags_schema]"),
        ({"fields": ["a"]}, "highlight.fields[0]]"),
        ({"fields": [{f"f{number}": {}} for number in range(101)]}, "at most 100 fields"),
        ({"highlight_query": {"x": {}}}, "highlight.highlight_query]"),
        ({"order": "best"}, "highlight.order]"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_is_said_with_its_place(shop: Store, highlight: object, place: str) -> None:
    with pytest.raises(ControlError) as caught:
        shop.engine.elastic.search("demo", {"highlight": highlight})
    assert place in caught.value.message


def test_an_expression_that_others_take_for_ever_over_is_quick(store: Store) -> None:
    store.push({"t": "a" * 5000 + "b"})
    query = {"query_string": {"query": "t:/(a+)+b/ OR t:/(a|a)*c/"}}
    assert highlighted(store, query) == {"t": ["<" + "a" * 5000 + "b>"]}


def test_a_word_that_a_text_is_full_of_is_quick(store: Store) -> None:
    store.push({"t": "x y " * 20_000})
    query = {"match_phrase": {"t": {"query": "x y", "slop": 3}}}
    assert highlighted(store, query) == {"t": ["<x> <y> " * 20_000]}
