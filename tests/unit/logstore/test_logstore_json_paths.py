"""Paths into JSON texts: what they find, and what a path that cannot be taken is told."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.errors import ControlError
from simulator.logstore.json_paths import parse_json_path

DOCUMENT = {
    "a": [1, 2, {"name": "p"}],
    "a b": 5,
    "x": {"name": "q", "y": {"name": "r", "a b": [1]}},
    "name": "top",
    'q"x': 1,
    "x'y": 4,
    "b\\s": 3,
    "d.e": 2,
    "e": [],
    "0": "zero",
    "": 7,
    "n": None,
}
ONE = {
    "$.name": "top",
    "$.x.y.name": "r",
    "$.a[1]": 2,
    "$.a[-1]": {"name": "p"},
    "$.a[-3]": 1,
    "$.a[-4]": None,
    "$.a[9]": None,
    "$['a b']": 5,
    '$["a b"]': 5,
    '$."a b"': 5,
    "$[ 'a b' ]": 5,
    "$['d.e']": 2,
    "$.d.e": None,
    "$['q\"x']": 1,
    "$['x\\'y']": 4,
    "$['b\\\\s']": 3,
    "$['']": 7,
    "$[0]": None,
    "$.0": "zero",
    "$.n": None,
    "$": DOCUMENT,
}
MANY = {
    "$.a[*]": [1, 2, {"name": "p"}],
    "$.a[*].name": ["p"],
    "$.x.*": ["q", {"name": "r", "a b": [1]}],
    "$..name": ["top", "q", "p", "r"],
    "$**.name": ["top", "q", "p", "r"],
    "$.x..name": ["q", "r"],
    "$..['a b']": [5, [1]],
    "$..[0]": [1, 1],
    "$**[0]": [1, 1],
    "$[*]": None,
    "$.a.*": None,
    "$.e[*]": None,
    "$.nothing[*]": None,
    "$..nothing": None,
}
REFUSED = (
    "a.b", "", "$a", "$.", "$..", "$ .a", "$.a b", "$.['a']", "$[0,1]", "$['a','b']", "$[0:2]",
    "$[last]", "$[?(@.a)]", "$.a[1.5]", "$[-9999999999]", "$..a..b",
    "$['a]", "$[*", "$..['']", "$[''][0]",
)  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.fixture(scope="module")
def extract(store_to_read):
    """What a statement's ``json_extract`` finds in the one record, as JSON."""

    def extract(path: str) -> object:
        ((found,),) = store_to_read.select(f"select json_extract(`@raw`, {quoted(path)})")
        return found

    store_to_read.push(json.dumps(DOCUMENT, ensure_ascii=False))
    return extract


@pytest.mark.parametrize("path", ONE)
def test_one_place(extract, path: str) -> None:
    wanted = ONE[path]
    found = extract(path)
    assert (json.loads(found) if isinstance(wanted, dict) else found) == (
        wanted if wanted is None or isinstance(wanted, dict) else str(wanted)
    )


@pytest.mark.parametrize("path", MANY)
def test_several_places_are_an_array(extract, path: str) -> None:
    found = extract(path)
    assert (found and json.loads(found)) == MANY[path]


@pytest.mark.parametrize("path", REFUSED)
def test_what_no_path_says_is_told_what_one_may_hold(extract, path: str) -> None:
    with pytest.raises(ControlError) as caught:
        extract(path)
    assert caught.value.status == 400
    for form in ("`.key`", "`['a key']`", "`[0]`", "`[-1]`", "`[*]`", "`..key`"):
        assert form in caught.value.message


@pytest.mark.parametrize("name", ["json_extract_scalar", "json_size"])
def test_a_scalar_and_a_size_are_of_one_place(store, name: str) -> None:
    for path in ("$..a", "$.a[*]", "$.*"):
        with pytest.raises(ControlError, match="expected a path to one place"):
            store.select(f"select {name}(`@raw`, '{path}')")


def test_an_arrow_takes_the_same_paths_also_within_a_call(store) -> None:
    store.push({"j": {"a": [1, 2], "n": 3}}, {"j": {"a": [5], "n": 4}})
    assert store.select("select max(j->'$.n'), count_if(j->>'$.a[-1]' > 2)") == [(4.0, 1)]
    assert store.select("select j->'$.a[*]' as x order by x") == [("[1,2]",), ("[5]",)]
    with pytest.raises(ControlError, match="expected `\\$` with steps"):
        store.select("select j->'$.a[0,1]'")


def test_all_levels_of_a_long_nested_text_are_too_much(store) -> None:
    deep = 490
    store.push(json.dumps({"pad": "x" * 100_000, "a": 1}), at_ms=1_772_323_100_000)
    assert store.select("select json_extract(last(`@raw`), '$..a')") == [("[1]",)]
    store.push('{"a":' * deep + '"' + "x" * 100_000 + '"' + "}" * deep)
    with pytest.raises(ControlError) as caught:
        store.select("select json_extract(last(`@raw`), '$..a')")
    assert "json_extract" in caught.value.message
    assert store.select("select length(json_extract(last(`@raw`), '$.a.*'))")[0][0] > 100_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "a'b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a b", 'q"', "0"]), inner, max_size=3)
    ),
    max_leaves=10,
)
STEPS = st.lists(
    st.sampled_from(
        [".a", ".b", "['a b']", "['q\"']", "[0]", "[1]", "[-1]", "[-2]", "[*]", ".*", ".0"]
    ),
    max_size=4,
)


def walked(places: list[object], step: str) -> Iterator[object]:
    """What a step leads to from some places, as the docs have it."""
    for place in places:
        if step in {"[*]", ".*"}:
            if isinstance(place, list) and step == "[*]":
                yield from place
            elif isinstance(place, dict) and step == ".*":
                yield from place.values()
        elif step[1] in "-0123456789" and step[0] == "[":
            index = int(step[1:-1])
            if isinstance(place, list) and -len(place) <= index < len(place):
                yield place[index]
        elif isinstance(place, dict):
            key = step[2:-2] if step[0] == "[" else step[1:]
            if key in place:
                yield place[key]


@pytest.fixture
def one_record(store):
    """A LogStore that a statement without fields has one row from."""
    store.push("any")
    return store


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=JSON, steps=STEPS)
def test_a_path_finds_what_walking_finds(one_record, document: object, steps: list[str]) -> None:
    places = [document]
    for step in steps:
        places = list(walked(places, step))
    path = f"${''.join(steps)}"
    text = quoted(json.dumps(document))
    ((found,),) = one_record.select(f"select json_extract({text}, {quoted(path)})")
    if parse_json_path(path).is_many:
        assert (found and json.loads(found)) == (places or None)
    elif not places or places[0] is None:
        assert found is None
    elif isinstance(places[0], str):
        assert found == places[0]
    else:
        assert json.loads(found) == places[0]
