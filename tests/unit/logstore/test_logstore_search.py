"""The search language: the tree it gives, and what it finds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import ControlError
from simulator.logstore import IndexField, IndexSettings, IndexType
from simulator.logstore.search import (
    All,
    AnyOf,
    Compare,
    Everything,
    Not,
    Operator,
    Phrase,
    Within,
    Words,
    parse_search,
)
from simulator.logstore.statement import parse_statement
from simulator.logstore.values import Selection

EVERYTHING = Selection(start_ms=0, end_ms=2**53)
A, B, C = Words(None, "a", 0), Words(None, "b", 0), Words(None, "c", 0)


def parse_query(query: str) -> None:
    statement = parse_statement(query)
    if statement.search is not None:
        parse_search(statement.search.text, statement.search.at)


def shape(tree: object) -> object:
    """The tree without positions."""
    match tree:
        case Words(field, text, _):
            return Words(field, text, 0)
        case Phrase(field, text, _):
            return Phrase(field, text, 0)
        case Not(operand):
            return Not(shape(operand))
        case All(operands):
            return All(tuple(shape(one) for one in operands))
        case AnyOf(operands):
            return AnyOf(tuple(shape(one) for one in operands))
        case _:
            return tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("*", Everything()),
        ("a", A),
        ("a b", All((A, B))),
        ("a AND b", All((A, B))),
        ("a or b c", AnyOf((A, All((B, C))))),
        ("a b Or c", AnyOf((All((A, B)), C))),
        ("(a or b) c", All((AnyOf((A, B)), C))),
        ("not a b", All((Not(A), B))),
        ("a not b", All((A, Not(B)))),
        ("not not a", Not(Not(A))),
        ("android or orange", AnyOf((Words(None, "android", 0), Words(None, "orange", 0)))),
        ("level:error", Words("level", "error", 0)),
        ("and:not", Words("and", "not", 0)),
        ("`x y`:a", Words("x y", "a", 0)),
        ("addr:10.0.0.1:80", Words("addr", "10.0.0.1:80", 0)),
        ('m:"a \\"b"', Words("m", 'a "b', 0)),
        ("m:'a and b'", Phrase("m", "a and b", 0)),
        ("'a b'", Phrase(None, "a b", 0)),
        ("s=200", Compare("s", Operator.EQ, 200)),
        ("s >= -1.5e3", Compare("s", Operator.GE, -1500.0)),
        ("s = word", Words("s", "word", 0)),
        ("t in [1 2.5)", Within("t", 1, True, 2.5, False)),
        ("t in (1 2]", Within("t", 1, False, 2, True)),
        ("a in b", All((A, Words(None, "in", 0), B))),
    ],
)
def test_tree(text: str, tree: object) -> None:
    assert shape(parse_search(text)) == tree


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("match a and", 12),
        ("match (a", 9),
        ("match a)", 8),
        ("match x>abc", 9),
        ("match x!=3", 8),
        ("match", 6),
        ("match 'open", 7),
        ("  foo", 3),
        ("match a | count", 11),
        ("match x in [1 2", 16),
    ],
)
def test_error_says_where_in_the_query_it_stands(query: str, position: int) -> None:
    with pytest.raises(ControlError) as caught:
        parse_query(query)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert f"at character {position}:" in caught.value.message


WORDS = "a match and or not in ( ) [ ] : = >= \" ' ` * ? | select 1 - \\ é ! a:b"
PIECES = st.sampled_from([*WORDS.split(" "), " ", "\n", "\x00", "x in [1 2]"])


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=30).map("".join)))
def test_noise_gives_a_tree_or_a_control_error(text: str) -> None:
    with suppress(ControlError):
        parse_query("match " + text)


@pytest.mark.parametrize("text", ["(" * 5000 + "a" + ")" * 5000, "not " * 5000 + "a", "a " * 5000])
def test_depth_and_length_are_bounded(store, text: str) -> None:
    with pytest.raises(ControlError):
        store.find("match " + text)


def test_words_are_tokens_of_the_raw_text_in_any_case(store) -> None:
    store.push("GET /cart?id=7", "get-cart", "POST /CART/item")
    assert store.find("match cart") == ["GET /cart?id=7", "POST /CART/item"]
    assert store.find("match GET cart") == ["GET /cart?id=7"]
    assert store.find('match "cart get"') == ["GET /cart?id=7"]
    assert store.find("match 'cart id'") == ["GET /cart?id=7"]
    assert store.find("match 'id cart'") == []
    assert store.find("match c?rt") == ["GET /cart?id=7", "POST /CART/item"]
    assert store.find("match get*") == ["GET /cart?id=7", "get-cart"]
    assert store.find("match ge*rt") == ["get-cart"]
    assert store.find("match /cart?id") == ["GET /cart?id=7"]
    assert store.find("match 'cart?id'") == ["GET /cart?id=7"]
    assert store.find("match 'ge*'") == []


def test_regular_expression_characters_mean_themselves(store) -> None:
    store.push("a.b", "axb", "c+d $1 ^ [x]")
    assert store.find("match a.b") == ["a.b"]
    assert store.find("match c+d") == ["c+d $1 ^ [x]"]
    assert store.find("match '$1 ^'") == ["c+d $1 ^ [x]"]
    assert store.find("match .*") == []


def test_words_beyond_ascii(store) -> None:
    store.push("用户 登录 成功", "CAFÉ open")
    assert store.find("match 登录") == ["用户 登录 成功"]
    assert store.find("match café") == ["CAFÉ open"]


@pytest.mark.parametrize("word", ["*a", "?a", "x:*a", '"b *a"', "/*a"])
def test_leading_wildcard_is_refused(store, word: str) -> None:
    with pytest.raises(ControlError):
        store.find(f"match {word}")


def test_fields_of_json_records(store) -> None:
    records = [
        {"level": "error", "status": 500, "cost": 0.25, "ok": False, "n": {"d": "deep"}},
        {"level": "info message", "status": 200, "cost": 1.5, "ok": True, "n": None},
        {"level": "warn", "status": 404, "cost": 100},
    ]
    store.push(*records)

    def levels(query: str) -> list[str]:
        import json

        return [json.loads(text)["level"] for text in store.find(query)]

    assert levels("match level:INFO") == ["info message"]
    assert levels('match level:"message info"') == ["info message"]
    assert levels("match level:err*") == ["error"]
    assert levels("match status:404") == ["warn"]
    assert levels("match status=200 or status >= 500") == ["error", "info message"]
    assert levels("match cost in [0.25 100)") == ["error", "info message"]
    assert levels("match cost in (0.25 100]") == ["info message", "warn"]
    assert levels("match ok:true") == ["info message"]
    assert levels("match not ok:true") == ["error", "warn"]
    assert levels("match ok:*") == ["error", "info message"]
    assert levels("match n.d:deep") == ["error"]
    assert levels("match nothing:here") == []
    assert levels("match not nothing:here") == ["error", "info message", "warn"]
    assert levels("match status:40?") == ["warn"]


def test_question_mark_is_a_character_of_a_word_or_itself(store) -> None:
    store.push("err: 5", "err1 x", "err? y", "err")
    assert store.find("match err?") == ["err1 x", "err? y"]


def test_path_finds_what_is_within_beside_fields_with_a_dot_in_their_name(store) -> None:
    store.push({"a": {"b": 1}, "m": 1}, {"a.b": 2, "m": 2}, {"a": "x", "m": 3})
    assert len(store.find("match a.b:*")) == 2
    assert len(store.find("match a.b <= 2")) == 2
    assert store.select("select m where a.b = 1") == [(1,)]


def test_number_is_compared_as_such_whatever_other_records_have(store) -> None:
    store.push({"n": 7.0}, {"n": "seven"}, {"n": "7.0"}, {"n": True}, {"o": {"d": 7.0}})
    assert store.find("match n:7") == ['{"n": 7.0}']
    assert store.find("match o.d:7") == ['{"o": {"d": 7.0}}']
    assert store.find("match n >= 1") == ['{"n": 7.0}', '{"n": "7.0"}']


def test_boolean_is_no_number(store) -> None:
    store.push({"ok": True}, {"ok": False})
    assert store.find("match ok >= 0") == []
    assert store.find("match not ok in [0 1]") == ['{"ok": true}', '{"ok": false}']


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1_000", "0x1f", "7 apples"])
def test_text_that_is_no_number(store, text: str) -> None:
    store.push({"n": text})
    assert store.find("match n > 1 or n <= 1") == []
    assert store.select("select n + 1, cast(n as bigint)") == [(None, None)]
    assert store.select("select sum(n), max(n + 0)") == [(None, None)]
    store.index(IndexSettings(fields=(IndexField(name="n", type=IndexType.LONG),)))
    assert store.select("select n") == [(None,)]


def test_underscore_is_no_part_of_a_number(store) -> None:
    store.push({"n": 1000}, {"n": 5})
    assert store.find("match n:1_000") == []
    with pytest.raises(ControlError):
        store.find("match n > 1_000")


def test_wildcards_in_single_quotes_are_themselves(store) -> None:
    store.push({"n": "a * b"}, {"n": "a b"})
    assert store.find("match n:'*'") == ['{"n": "a * b"}']


def test_tag_is_addressed_by_its_key_where_no_field_has_the_name(store) -> None:
    store.push("tagged", tags={"env": "prod"})
    store.push({"env": "test"}, tags={"env": "prod"})
    store.push("plain")
    assert store.find("match env:prod") == ["tagged"]
    assert store.find("match prod") == []
    assert store.select("select env, count(*) group by env order by env") == [
        (None, 1),
        ("prod", 1),
        ("test", 1),
    ]
    result = store.engine.query("default", "demo", EVERYTHING, "match tagged")
    assert result.tags == ({"env": "prod"},)
