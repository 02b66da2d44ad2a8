"""Spellings of standard SQL, Presto and MySQL: what is taken, and what the others are told."""

import pytest

from simulator.errors import ControlError
from simulator.logstore import Selection

NOW_MS = 1_772_323_200_000
RECORDS = (
    {"host": "a", "status": 200, "ok": True, "s": "  hello world ", "p": "5%"},
    {"host": "b", "status": 404, "ok": False, "s": "x", "p": "57"},
    {"host": "a", "status": 500, "s": None},
)
VALUES = {
    "extract(hour from @timestamp)": "8",
    "extract(hour, @timestamp)": "8",
    "extract('hour' from @timestamp)": "8",
    "extract(YEAR FROM now())": "2026",
    "date_trunc(hour, '2026-03-01T00:30:00Z')": "2026-03-01T08:00:00",
    "date_diff(minute, now(), now() + interval 61 seconds)": 1,
    "date_add(day, 1, now())": "2026-03-02 08:00:00.000",
    "date_add(now(), interval 1 day)": "2026-03-02 08:00:00.000",
    "date_add(now(), interval -1 quarter)": "2025-12-01 08:00:00.000",
    "substring('abcdef' from 2 for 3)": "bcd",
    "substring('abcdef' from -2)": "ef",
    "substring('abcdef' for 2)": "ab",
    "substr('abcdef' from 2 for 1)": "b",
    "substring('abcdef', 2, 3)": "bcd",
    "position('c' in 'abc')": 3,
    "position('x', 'abc')": 0,
    "trim(both 'xy' from 'xyabyx')": "ab",
    "trim(leading 'x' from 'xxax')": "ax",
    "trim(trailing 'x' from 'xaxx')": "xa",
    "trim('x' from 'xax')": "a",
    "trim(both from '  a ')": "a",
    "trim(trailing from ' a ')": " a",
    "trim(' a ')": "a",
    "rtrim('axx', 'x')": "a",
    "now() + interval '1' hour": "2026-03-01T01:00:00Z",
    "now() + interval 1 hours": "2026-03-01T01:00:00Z",
    "now() + interval '2 days'": "2026-03-03T00:00:00Z",
    "now() - interval '-1' minutes": "2026-03-01T00:01:00Z",
    "interval 1 week + now()": "2026-03-08T00:00:00Z",
    "now() + interval -1 day": "2026-02-28T00:00:00Z",
    "histogram(now(), interval '5' minutes)": "2026-03-01T00:00:00Z",
    "'a' || 1 || 'b'": "a1b",
    "'a' || null": None,
    "'a' || 'b' = 'ab'": True,
    "'abc' regexp '^a.c$'": True,
    "'abc' rlike '^b'": False,
    "'abc' not regexp '^b'": True,
    "'5%' like '_!%' escape '!'": True,
    "'57' like '_!%' escape '!'": False,
    "'57' not like '_!%' escape '!'": True,
    "'a!' like 'a!!' escape '!'": True,
    "'a\\\\b' like 'a\\\\b'": True,
    "'a%' like 'a\\\\%'": False,
    "timestamp '2026-03-01 08:00:00'": "2026-03-01T00:00:00Z",
    "'7'::bigint + 1": 8,
}


@pytest.fixture(scope="module")
def shop(store_to_read):
    store_to_read.push(*RECORDS, at_ms=NOW_MS)
    return store_to_read


@pytest.mark.parametrize("spelling", VALUES)
def test_a_spelling_means_what_its_function_means(shop, spelling: str) -> None:
    assert shop.select(f"select {spelling} limit 1") == [(VALUES[spelling],)]


def test_a_column_is_named_by_the_spelling(shop) -> None:
    query = "select trim(both 'x' from s), extract(day from now())"
    everything = Selection(start_ms=0, end_ms=NOW_MS * 2)
    result = shop.engine.query("default", "demo", everything, query)
    assert result.columns == ("trim(both 'x' from s)", "extract(day from now())")


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select distinct host order by host", [("a",), ("b",)]),
        (
            "select distinct host, ok order by host, ok nulls last",
            [("a", True), ("a", None), ("b", False)],
        ),
        ("select count(distinct host), count(distinct host, status)", [(2, 3)]),
        ("select count(distinct host, ok), count(distinct nothing, host)", [(2, 0)]),
        ("select count(*) from (select distinct host, ok)", [(3,)]),
        ("select p order by p", [(None,), ("5%",), ("57",)]),
        ("select p order by p desc", [("57",), ("5%",), (None,)]),
        ("select p order by p nulls last", [("5%",), ("57",), (None,)]),
        ("select p order by p desc nulls first", [(None,), ("57",), ("5%",)]),
        ("select p where p like '_!%' escape '!'", [("5%",)]),
        ("select leading, both where host = 'b'", [(None, None)]),
        ("select date_trunc(day, t) from (select now() as t) limit 1", [("2026-03-01T00:00:00",)]),
        (
            "select date_add(t, interval 1 day) from (select now() as t) limit 1",
            [("2026-03-02 08:00:00.000",)],
        ),
        (
            "select histogram(@timestamp, interval 2 days) as d, count(*) group by d",
            [("2026-02-28T00:00:00Z", 3)],
        ),
        (
            "match a or b | select host || '!' as h, count(*) group by h order by h",
            [("a!", 2), ("b!", 1)],
        ),
    ],
)
def test_statements(shop, query: str, rows: list[tuple[object, ...]]) -> None:
    assert shop.select(query) == rows


REFUSED = {
    "ifnull(s, 'x')": "the function ifnull is not simulated; use coalesce",
    "convert(s using utf8)": "the function convert is not simulated; use cast(x as type)",
    "group_concat(host order by host separator ',')": "use group_array",
    "overlay(s placing 'x' from 1 for 2)": "use concat and substr",
    "try_cast(s as bigint)": "use cast, which gives NULL",
    "date_sub(now(), interval 1 day)": "use date_add(unit, -n, t) or t - interval n unit",
    "timestampdiff(second, now(), now())": "use date_diff(unit, a, b)",
    "cast(s as date)": "not to DATE; date(t) gives the date as text",
    "date '2026-03-01'": "timestamp '2020-01-31' an instant",
    "cast(s as boolean)": "a cast goes to BIGINT, DECIMAL, VARCHAR or TIMESTAMP, not to BOOLEAN",
    "cast(s as smallint)": "use BIGINT",
    "status div 3": "use floor(a / b)",
    "status & 1": "there are no operators on bits",
    "status ^ 2": "pow(x, p)",
    "ok xor ok": "use (a or b) and not (a and b)",
    "host <=> 'a'": "use a = b or (a is null and b is null)",
    "host is distinct from 'a'": "is null",
    "host ilike 'A'": "use lower(s) like pattern",
    "host in (select host)": "a subquery can stand after `from` only",
    "(select 1)": "a subquery can stand after `from` only",
    "exists(select 1)": "a subquery can stand after `from` only",
    "sum(status) over ()": "there are no window functions",
    "sum(status) filter (where ok)": "use count_if(condition)",
    "group_array(host order by status)": "group_array, first and last go by time",
    "now() at time zone 'UTC'": "from_unixtime(unix_timestamp(t))",
    "current_time": "use localtime; a field of that name stands in back-quotes",
    "interval 1 day": "histogram(t, interval n unit)",
    "now() + interval 1 fortnight": "second, minute, hour, day, month, year, week, quarter",
    "now() + interval 1.5 day": "a whole number",
    "ok || (status > 1)": "expected `or` between conditions",
    "host like 'a' escape 'ab'": "escape 'c', with one character",
    "host like p escape '!'": "escape 'c', with one character",
    "host like 'a!' escape '!'": "must not end with the character that escapes",
    "count(host, status)": "only `distinct` can be counted",
    "count(distinct *)": "expressions",
    "extract(now())": "extract(hour from t)",
    "extract(week from now())": "must be one of second, minute, hour, day, month, year",
    "trim(leading 'x', s)": "trim([both|leading|trailing] [characters] from s)",
    "trim(s, 'x', 'y')": "trim([both|leading|trailing] [characters] from s)",
    "position('a')": "position(sub in s)",
    "date_add(now(), 2)": "date_add(t, interval n unit)",
    "0x10": "numbers are decimal",
    "convert(": "use cast(x as type)",
}


@pytest.mark.parametrize("spelling", REFUSED)
def test_other_spellings_are_told_what_serves(shop, spelling: str) -> None:
    with pytest.raises(ControlError) as caught:
        shop.select(f"select {spelling}")
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert REFUSED[spelling] in caught.value.message


def test_a_limit_is_not_fetched(shop) -> None:
    with pytest.raises(ControlError, match="there is no `fetch`: use limit n"):
        shop.select("select host fetch first 5 rows only")


def test_an_error_points_at_what_stands_first(shop) -> None:
    with pytest.raises(ControlError, match="at character 15: there is no `div`"):
        shop.select("select 1 + 2, status div 3")
