"""Conditions of alarms, and what results amount to."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import ControlError
from simulator.logstore import AlarmContent, AlarmLevel, AlarmSchedule, AlarmTrigger
from simulator.logstore.alarms import parse_condition
from simulator.logstore.alarms.assessment import MAX_TRIES, Finding, assess

ROWS = (
    {
        "a": 10,
        "b": 3,
        "c": 0.5,
        "s": 'it"s',
        "ok": True,
        "no": None,
        "big": 10**400,
        "count(*)": 2,
        "中": 1,
        "__QUERYCOUNT__": 7,
    },
    {"a": "ten"},
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("$1.a == 10", True),
        ("$1.a != 10", False),
        ("$1.a >= 10 && $1.a <= 10", True),
        ("$1.a > 10 || $1.a < 10", False),
        ("$1.a == 10.0", True),
        ("$1.a - 7 - 2 == 1", True),
        ("$1.a-7>2", True),
        ("$1.a - (7 - 2) == 5", True),
        ("$1.a + $1.b * 2 == 16", True),
        ("($1.a + $1.b) * 2 == 26", True),
        ("$1.a / 4 == 2.5", True),
        ("$1.a % 4 == 2", True),
        ("-$1.a % 4 == -2", True),
        ("-$1.a < .5e1", True),
        ("$1.a == 10 || $1.b == 0 && $1.b == 1", True),
        ("($1.a == 10 || $1.b == 0) && $1.b == 1", False),
        ('$1.s == "it\\"s"', True),
        ("$1.s == 'it\"s'", True),
        ('$1.s > "a"', True),
        ('$2.a == "ten"', True),
        ("$1.ok == true", True),
        ("$1.ok != false", True),
        ("[$1.count(*)] == 2", True),
        ("$1.中 == 1", True),
        ("$1.__QUERYCOUNT__ > 6", True),
        # What is missing, of another kind or without a result compares to false.
        ("$1.missing != 1", False),
        ("$3.a != 1", False),
        ("$1.no == 0", False),
        ("$1.a == $2.a", False),
        ("$1.a != $2.a", False),
        ("$1.ok == 1", False),
        ("$1.ok > false", False),
        ("$1.ok + 1 == 2", False),
        ("$1.s + 1 > 0", False),
        ("$1.a / 0 > 0", False),
        ("$1.a % 0 == 0", False),
        ("$1.big * 0.5 > 0", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    assert parse_condition(text).holds(ROWS) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 1 to 1000 characters"),
        ("$1.a > " + "1" * 1000, "expected 1 to 1000 characters"),
        ("$1.a", "expected a comparison, which is true or not"),
        ("$1.a + 1", "expected a comparison, which is true or not"),
        ("true", "expected a comparison"),
        ("$1.a && $1.b", "expected a comparison on either side of &&"),
        ("$1.a > 1 || 1", "expected a comparison on either side of ||"),
        ("($1.a > 1) + 1 > 1", "expected a value on either side of +"),
        ("($1.a > 1) == true", "expected a value on either side of =="),
        ("-($1.a > 1) > 1", "expected a value on either side of -"),
        ("$1.a > 1 > 2", "at character 10: found '>'"),
        ("$1.a = 1", "at character 6: found '='"),
        ("a > 1", "at character 1: found 'a', expected $1.name"),
        ("t1.a > 1", "at character 1"),
        ("$1.a > 1; drop table x", "at character 9"),
        ("$1.a > (select 1)", "at character 9"),
        ("$1.a >", "at character 7: found the end"),
        ("$1.a > 'x", "at character 8"),
        ("$0.a > 1", "statements are counted from 1"),
        ("$1.a > 1e999", "the number 1e999 is too large"),
        ("(" * 60 + "$1.a > 1", "found the end, expected `)`"),
        ("(1+" * 60 + "1" + ")" * 60 + "> 1", "nested too deeply"),
    ],
)
def test_conditions_that_are_not_understood_say_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ControlError) as caught:
        parse_condition(text)
    assert caught.value.code == "InvalidParameter"
    assert "[condition]" in caught.value.message
    assert message in caught.value.message


def test_a_condition_names_what_it_asks_for() -> None:
    found = parse_condition("$1.a + [$2.b c] > $1.a && $1.__QUERYCOUNT__ > 0").references
    assert list(map(str, found)) == ["$1.a", "[$2.b c]", "$1.__QUERYCOUNT__"]
    assert [one.is_count for one in found] == [False, False, True]


@given(st.text(alphabet='$12.ab_[]()"&|=<>!+-*/% e0', max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(ControlError):
        assert parse_condition(text).holds(ROWS) in {True, False}


def content(*conditions: str, groups: tuple[str, ...] = ()) -> AlarmContent:
    triggers = tuple(AlarmTrigger(level=AlarmLevel.WARN, condition=one) for one in conditions)
    schedule = AlarmSchedule(interval_min=1)
    return AlarmContent(targets=(), triggers=triggers, schedule=schedule, groups=groups)


def test_any_combination_of_results_may_hold() -> None:
    results = [[{"a": 1}, {"a": 2}], [{"b": 10}, {"b": 20}], [{"c": 0}]]
    asked = content("$1.a + $2.b == 22", "$1.a + $2.b == 23", "$3.__QUERYCOUNT__ == 1")
    (found,) = assess(asked, results)
    assert found == Finding(
        group=(), held={0: {"$1.a": 2, "$2.b": 20}, 2: {"$3.__QUERYCOUNT__": 1}}
    )


def test_results_are_counted_up_to_a_hundred() -> None:
    rows = [{"a": number} for number in range(150)]
    asked = content("$1.__QUERYCOUNT__ == 100", "$1.__QUERYCOUNT__ > 100", "$1.a == 149")
    (found,) = assess(asked, [rows])
    assert found.held == {0: {"$1.__QUERYCOUNT__": 100}, 2: {"$1.a": 149}}


def test_no_results_can_only_be_counted() -> None:
    asked = content("$1.a != 1", "$1.__QUERYCOUNT__ == 0", "$1.a == 0 || $1.__QUERYCOUNT__ < 1")
    (found,) = assess(asked, [[]])
    assert found.held == {1: {"$1.__QUERYCOUNT__": 0}, 2: {"$1.a": None, "$1.__QUERYCOUNT__": 0}}


def test_combinations_are_tried_up_to_a_bound() -> None:
    rows = [{"a": number} for number in range(MAX_TRIES + 1)]
    (found,) = assess(content(f"$1.a == {MAX_TRIES - 1}", f"$1.a == {MAX_TRIES}"), [rows])
    assert list(found.held) == [0]
    (found,) = assess(content("$1.a == 1 && $2.a == 0", "$1.a == 0 && $2.a == 999"), [rows, rows])
    assert list(found.held) == [1]


def test_results_are_grouped_by_columns_of_any_statement() -> None:
    hosts = [{"host": "a", "ok": True, "n": 1}, {"host": "b", "ok": None, "n": 2}]
    bad = [{"host": "b", "bad": 5}, {"host": "a", "bad": 7}, {"host": "c", "bad": 9}]
    total = [{"all": 100}]
    condition = "$1.n > 0 && $2.bad > 0 && $3.all > 0 && $2.__QUERYCOUNT__ == 1"
    found = assess(content(condition, groups=("host", "[$1.ok]")), [hosts, bad, total])
    assert [dict(one.group) for one in found] == [
        {"host": "a", "[$1.ok]": "true"},
        {"host": "b", "[$1.ok]": ""},
    ]
    assert [one.held[0]["$2.bad"] for one in found] == [7, 5]
    numbered = assess(content(condition, groups=("$2.host",)), [hosts, bad, total])
    assert [dict(one.group) for one in numbered] == [{"$2.host": host} for host in "bac"]
    assert assess(content(condition, groups=("elsewhere",)), [hosts, bad, total]) == []
