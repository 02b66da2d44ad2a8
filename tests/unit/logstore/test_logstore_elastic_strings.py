"""Query strings of the Elasticsearch-compatible search, and what they have of their own."""

import json
import re
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, NOW_S, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.minimum import parse_minimum
from simulator.logstore.elastic.regexes import RegexError, translate_regex

RECORDS = (
    {"n": 0, "status": 200, "path": "/item/10", "msg": "service available", "host": "alpha"},
    {"n": 1, "status": 404, "path": "/item/11?a=b", "msg": "service is not available"},
    {"n": 2, "status": 502, "path": "/cart", "msg": "available again: the service", "host": "beta"},
    {"n": 3, "status": 200, "path": "/CART/x*y", "msg": "sevrice", "cost": 0.5, "host": "gamma"},
)


@pytest.fixture(scope="module")
def shop() -> Iterator[Store]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    store = Store(engine)
    for record in RECORDS:
        store.push(record, at_ms=NOW_MS - 60_000 * record["n"])
    yield store
    engine.close()


def found(store: Store, query: object) -> list[int]:
    answer = store.engine.elastic.search("demo", {"query": query, "fields": ["n"]})
    return sorted(hit["fields"]["n"][0] for hit in answer["response"]["hits"]["hits"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cart^2", [2, 3]),
        ("path:cart^2.5 OR status:404^3", [1, 2, 3]),
        ("(cart service)^2", [0, 1, 2, 3]),
        ('"service available"^4', [0]),
        ("status:[200 TO 300]^2", [0, 3]),
        # Wildcards: of a word, or of the whole value.
        ("path:*art*", [2, 3]),
        ("path:\\/item\\/*", [0, 1]),
        ("path:\\/item\\/1?", [0]),
        ("path:it*", [0, 1]),
        ("path:?tem", [0, 1]),
        ("path:*", [0, 1, 2, 3]),
        ("path:**", [0, 1, 2, 3]),
        ("path:x\\*y", [3]),
        ("path:x\\?y", []),
        ("path:x?y", [3]),
        ("*vailabl*", [0, 1, 2]),
        ("s*e", [0, 1, 2, 3]),
        ("status:4*", [1]),
        ("NOT path:*art*", [0, 1]),
        # Fuzziness.
        ("msg:service~", [0, 1, 2, 3]),
        ("msg:service~1", [0, 1, 2, 3]),
        ("msg:sevrice~1", [0, 1, 2, 3]),
        ("msg:servce~1", [0, 1, 2]),
        ("msg:serv~1", []),
        ("msg:srvce~2", [0, 1, 2]),
        ("msg:is~", [1]),
        ("msg:it~", []),
        ("msg:it~1", [1]),
        ("sirvice~1", [0, 1, 2]),
        # Phrases whose words may be apart.
        ('msg:"service available"~1', [0]),
        ('msg:"service available"~2', [0, 1]),
        ('msg:"available service"~2', [0, 2]),
        ('msg:"available service"~3', [0, 2]),
        ('msg:"available service"~4', [0, 1, 2]),
        ('"not service"~3', [1]),
        # Regular expressions: of a word, or of the whole value.
        ("path:/it.m/", [0, 1]),
        ("path:/\\/item\\/[0-9]+/", [0]),
        ("path:/1[0-1]/", [0, 1]),
        ("path:/(cart|10)/", [0, 2, 3]),
        ("path:/tem/", []),
        ("msg:/s[er]{2}vice/", [0, 1, 2]),
        ("/sev?rice/", [3]),
        ("status:/[45]\\d\\d/", [1, 2]),
        ("path:/x\\*y/", [3]),
        ('path:/x"*"y/', [3]),
        # Ranges of texts and numbers, and fields by patterns.
        ("host:[alpha TO beta]", [0, 2]),
        ("host:{alpha TO *}", [2, 3]),
        ("host:>=beta", [2, 3]),
        ('host:<"beta"', [0]),
        ("status:>=404 AND status:<502", [1]),
        ("ho*:beta", [2]),
        ("ho\\*:beta", [2]),
        ("_exists_:ho*", [0, 2, 3]),
        ("_exists_:none*", []),
        ("none*:x", []),
        ("*:*", [0, 1, 2, 3]),
        ("*:cart", [2, 3]),
        ('@timestamp:["2026-02-28T23:58" TO "2026-02-28T23:59"]', [1, 2]),
        ("@timestamp:>now-1m", [0]),
        # What is escaped is itself.
        ("path:\\/cart", [2, 3]),
        ("a\\=b", [1]),
        ('@timestamp:"2026-03-01"', [0]),
    ],
)
def test_a_query_string_finds(shop: Store, text: str, expected: list[int]) -> None:
    assert found(shop, {"query_string": {"query": text}}) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"query": "cart 404", "fields": ["path^2", "status"]}, [1, 2, 3]),
        ({"query": "404", "fields": ["s*"]}, [1]),
        ({"query": "404", "fields": ["none*"]}, []),
        ({"query": "404", "fields": []}, [1]),
        ({"query": "404", "fields": ["*"]}, [1]),
        ({"query": "404", "default_field": "*"}, [1]),
        ({"query": "beta", "default_field": "h*"}, [2]),
        ({"query": "cart available", "default_operator": "AND"}, [2]),
        ({"query": "cart available", "minimum_should_match": "100%"}, [2]),
        ({"query": "cart available item", "minimum_should_match": 2}, [0, 1, 2]),
        ({"query": "+service cart item", "minimum_should_match": 1}, [0, 1, 2]),
        ({"query": '"service available"', "phrase_slop": 2}, [0, 1]),
        ({"query": "msg:servce~", "fuzziness": 1}, [0, 1, 2]),
        ({"query": "cost:>b", "lenient": True}, []),
        ({"query": "@timestamp:soon OR status:404", "lenient": True}, [1]),
        ({"query": "@timestamp:>=soon", "lenient": True}, []),
        ({"query": "@timestamp:>2026-03-01T07:59", "time_zone": "+08:00"}, [0]),
        ({"query": "cart*", "analyze_wildcard": True, "boost": 2, "rewrite": "x"}, [2, 3]),
    ],
    ids=json.dumps,
)
def test_the_parameters_of_a_query_string(
    shop: Store, parameters: dict[str, object], expected: list[int]
) -> None:
    assert found(shop, {"query_string": parameters}) == expected


@pytest.mark.parametrize(
    ("text", "every", "expected"),
    [
        ("cart item", False, [0, 1, 2, 3]),
        ("cart available", True, [2]),
        ("cart + available", False, [2]),
        ("cart | available + again", False, [2]),  # from left to right
        ("available + (cart | 404)", False, [1, 2]),
        ("available -cart", True, [0, 1]),
        ("available + -cart", False, [0, 1]),
        ("cart -service", False, [2, 3]),  # or not the service
        ("--cart", True, [2, 3]),
        ('"service available"', False, [0]),
        ('"service available"~2', False, [0, 1]),
        ('"service available', True, [0, 1, 2]),
        ("avail*", False, [0, 1, 2]),
        ("servce~1", False, [0, 1, 2]),
        ("servce~", False, [0, 1, 2, 3]),
        ("(cart", False, [2, 3]),
        ("cart)", False, [2, 3]),
        ("| cart", False, [2, 3]),
        ("+ + cart", False, [2, 3]),
        ("((cart) | (404))", False, [1, 2, 3]),
        ("a\\=b", False, [1]),
        ("*", False, [0, 1, 2, 3]),
        ("", False, []),
        ("+ | -", False, []),
        ('"the\\" service"', False, [2]),
        ("(cart\\) + 404)", False, []),
    ],
)
def test_a_simple_query_string_finds(
    shop: Store, text: str, every: bool, expected: list[int]
) -> None:
    query = {"query": text, "default_operator": "and" if every else "or"}
    assert found(shop, {"simple_query_string": query}) == expected


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        ("cart | item", "OR|WHITESPACE", [0, 1, 2, 3]),
        ("cart|404", "AND", []),
        ("cart|404", "OR", [1, 2, 3]),
        ("cart + available", "NONE", []),
        ("avail*", "ALL", [0, 1, 2]),
        ("avail*", "OR", []),
        ("servce~1", "OR", []),
        ("available -cart", "NOT|WHITESPACE", [0, 1]),
        ("(cart | 404) + again", "AND|OR|PRECEDENCE|WHITESPACE", [2]),
        ('"available service"~5', "PHRASE|WHITESPACE", []),
        ('"available service"~5', "PHRASE|SLOP|WHITESPACE", [0, 1, 2]),
    ],
)
def test_the_operators_of_a_simple_query_string_can_be_off(
    shop: Store, text: str, flags: str, expected: list[int]
) -> None:
    query = {"query": text, "flags": flags, "default_operator": "and"}
    assert found(shop, {"simple_query_string": query}) == expected


def test_the_fields_of_a_simple_query_string(shop: Store) -> None:
    def simple(text: str, *fields: str) -> list[int]:
        return found(shop, {"simple_query_string": {"query": text, "fields": list(fields)}})

    assert simple("cart | 404", "path^3", "status") == [1, 2, 3]
    assert simple("2026-02-28", "@timestamp") == [1, 2, 3]
    assert simple("soon", "@timestamp") == []
    assert simple("20*", "@timestamp") == []
    least = {"query": "cart available item", "minimum_should_match": "2"}
    assert found(shop, {"simple_query_string": least}) == [0, 1, 2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"match": {"msg": {"query": "service not again", "minimum_should_match": 2}}}, [1, 2]),
        ({"match": {"msg": {"query": "service not", "minimum_should_match": "-50%"}}}, [0, 1, 2]),
        ({"match": {"msg": {"query": "service not again", "minimum_should_match": "2<2"}}}, [1, 2]),
        ({"match": {"msg": {"query": "service not", "minimum_should_match": "2<2"}}}, [1]),
        ({"match": {"msg": {"query": "again", "minimum_should_match": 3}}}, [2]),
        ({"match": {"msg": {"query": "servce", "fuzziness": "AUTO"}}}, [0, 1, 2, 3]),
        ({"match": {"msg": {"query": "servce", "fuzziness": 0}}}, []),
        ({"match_phrase": {"msg": {"query": "service available", "slop": 2}}}, [0, 1]),
        (
            {
                "multi_match": {
                    "query": "service not",
                    "fields": ["msg", "path"],
                    "minimum_should_match": "100%",
                }
            },
            [1],
        ),
        ({"multi_match": {"query": "beta", "fields": ["h*", "n"], "lenient": True}}, [2]),
        ({"multi_match": {"query": "x", "fields": ["none*"]}}, []),
        ({"exists": {"field": "c*"}}, [3]),
        ({"range": {"host": {"gte": "b", "lt": "c"}}}, [2]),
        ({"range": {"host": {"gt": "1", "lt": "b"}}}, [0]),
        ({"range": {"status": {"gte": "404"}}}, [1, 2]),
        ({"bool": {"must_not": [{"term": {"n": 0}}], "should": [{"term": {"n": 1}}]}}, [1]),
        (
            {
                "bool": {
                    "filter": [{"exists": {"field": "n"}}],
                    "should": [{"term": {"n": 1}}],
                    "minimum_should_match": 0,
                }
            },
            [0, 1, 2, 3],
        ),
    ],
    ids=json.dumps,
)
def test_what_queries_have_of_it_too(shop: Store, query: object, expected: list[int]) -> None:
    assert found(shop, query) == expected


@pytest.mark.parametrize(
    ("spelling", "counts"),
    [
        (2, {1: 2, 3: 2}),
        ("-1", {1: 0, 4: 3}),
        ("75%", {1: 0, 3: 2, 4: 3, 5: 3}),
        ("-25%", {3: 3, 4: 3, 5: 4, 8: 6}),
        ("3<90%", {1: 1, 3: 3, 4: 3, 10: 9}),
        ("2<-25% 9<-3", {2: 2, 3: 3, 4: 3, 9: 7, 10: 7}),
        ("9<-3  2 < -25%", {2: 2, 4: 3, 10: 7}),
        ("-200%", {3: 0}),
    ],
)
def test_how_many_are_the_least(spelling: object, counts: dict[int, int]) -> None:
    minimum = parse_minimum(Node(spelling, "x"))
    assert {count: minimum.of(count) for count in counts} == counts


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("a.c", ["abc", "a\nc"], ["ac"]),
        ("ab?c*d+", ["acd", "abccdd"], ["ab"]),
        ("(ab|c){2}", ["abab", "abc", "cc"], ["ab"]),
        ("a{2,}", ["aa", "aaa"], ["a"]),
        ("a{1,2}", ["a", "aa"], ["aaa", ""]),
        ("[a-c^]x", ["ax", "^x"], ["dx"]),
        ("[^a-c]", ["d", "]"], ["a"]),
        ("[\\]\\-x]", ["]", "-", "x"], ["a"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[a-]", ["-", "a"], ["b"]),
        ("[\\d.]+", ["1.2"], ["a"]),
        ("\\.\\*", [".*"], ["ab"]),
        ("^a$", ["^a$"], ["a"]),
        ("a@", ["a", "abc"], ["b"]),
        ('"a.b"', ["a.b"], ["axb"]),
        ("a**", ["", "aa"], ["b"]),
        ("(a|)", ["a", ""], ["b"]),
        ("é\\u", ["éu"], ["e"]),
        ("a:b", ["a:b"], []),
    ],
)
def test_a_regular_expression(store: Store, text: str, yes: list[str], no: list[str]) -> None:
    pattern = f"(?:{translate_regex(text)})"
    rows = store.engine._database._connection.execute(
        "SELECT regexp_full_match(t, $p) FROM (SELECT unnest($texts) AS t)",
        {"p": pattern, "texts": yes + no},
    ).fetchall()
    assert [row[0] for row in rows] == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        *(("a)", 1), ("(a", 2), ("[a", 2), ("[]", 0), ("*a", 0), ("a|+", 2), ("(?i)a", 1)),
        *(("a{", 1), ("a{x}", 1), ("a{3,2}", 1), ("a{1001}", 1), ("(a{40}){40}", 7)),
        *(("a~b", 1), ("a&b", 1), ("#", 0), ("<1-5>", 0), ("a\\", 2), ('"a', 2), ("[a\\", 3)),
        *(("a" * 1001, 0), ("(" * 60, 51), ("[b-a]", 1), ("[\\d-a]", 1), ("[a-\\d]", 1)),
    ],
)
def test_a_regular_expression_that_cannot_be_used(text: str, at: int) -> None:
    with pytest.raises(RegexError) as caught:
        translate_regex(text)
    assert caught.value.at == at


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet='ab.*+?|()[]{}12,^$\\-"@', max_size=12))
def test_any_expression_is_translated_or_refused(fuzzed: LogStoreEngine, text: str) -> None:
    try:
        pattern = translate_regex(text)
    except RegexError:
        return
    connection = fuzzed._database._connection
    connection.execute("SELECT regexp_full_match('aab', $p)", {"p": f"(?:{pattern})"}).fetchall()


def test_an_expression_that_others_take_for_ever_over_is_quick(shop: Store) -> None:
    shop.push({"n": 9, "long": "a" * 5000})
    evil = {"query_string": {"query": "long:/(a+)+b/ OR long:/(a|a)*c/ OR long:/(.*.*.*)*d/"}}
    assert found(shop, evil) == []


WORDS = st.lists(st.sampled_from(["ab", "ba", "abc", "a", "cab", "bca"]), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    texts = [" ".join(words) for words in (("ab", "cab"), ("a", "ba", "abc"), ("bca", "ab", "ab"))]
    texts += ["abc", "cab, bca; a", "ba ba ab"]
    store = Store(engine)
    for number, text in enumerate(texts):
        store.push({"n": number, "t": text})
    engine.texts = texts  # type: ignore[attr-defined]
    yield engine
    engine.close()


def words_of(text: str) -> list[str]:
    return re.findall(r"[^ ,;]+", text)


def is_near(text: str, phrase: list[str], slop: int) -> bool:
    """Where the phrase would begin, by each of its words, may be ``slop`` apart."""
    words = words_of(text)
    begins = [
        [place - number for place, word in enumerate(words) if word == wanted]
        for number, wanted in enumerate(phrase)
    ]
    return any(
        all(any(start <= one <= start + slop for one in each) for each in begins)
        for start in {one for each in begins for one in each}
    )


@settings(max_examples=60, deadline=None)
@given(
    phrase=st.lists(st.sampled_from(["ab", "ba", "a"]), min_size=2, max_size=3),
    slop=st.integers(1, 4),
)
def test_a_phrase_with_a_slop_is_found_where_its_words_are_near(
    fuzzed: LogStoreEngine, phrase: list[str], slop: int
) -> None:
    query = {"match_phrase": {"t": {"query": " ".join(phrase), "slop": slop}}}
    expected = [n for n, text in enumerate(fuzzed.texts) if is_near(text, phrase, slop)]
    assert found(Store(fuzzed), query) == expected


def within(word: str, most: int) -> set[str]:
    """What so many characters added, taken away, changed or swapped make of a word at most."""
    reached = {word}
    for _ in range(most):
        reached |= {edited for one in reached for edited in edited_once(one)}
    return reached


def edited_once(word: str) -> Iterator[str]:
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        yield from (head + letter + tail for letter in "abc")
        yield head + tail[1:]
        yield from (head + letter + tail[1:] for letter in "abc")
        yield head + tail[1:2] + tail[:1] + tail[2:]


@settings(max_examples=60, deadline=None)
@given(word=st.text(alphabet="abc", min_size=2, max_size=5), most=st.integers(1, 2))
def test_a_fuzzy_word_is_found_where_few_edits_make_it(
    fuzzed: LogStoreEngine, word: str, most: int
) -> None:
    alike = within(word, most)
    expected = [n for n, text in enumerate(fuzzed.texts) if alike & set(words_of(text))]
    assert found(Store(fuzzed), {"match": {"t": {"query": word, "fuzziness": most}}}) == expected


def test_what_a_strict_index_does_not_cover(clock: ManualClock) -> None:
    engine = LogStoreEngine(None, clock, threads=1)
    settings_ = LogStoreSettings(retention_days=-1, strict_search=True)
    engine.create_log_store("default", "demo", settings_)
    for text in ("a*", "/a/", "a~1", '"a b"~2', "x:a*", "x:/a/", "x:a~1", 'x:"a b"~2', "x:>b"):
        with pytest.raises(ControlError, match="index"):
            engine.elastic.search("demo", {"query": {"query_string": {"query": text}}})
    engine.close()
