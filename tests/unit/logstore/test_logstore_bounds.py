"""Numbers and instants at their bounds: NULL, never a failure and never a wrong number."""

import pytest

MOST, LEAST = 2**63 - 1, -(2**63)
RECORDS = ({"n": MOST, "one": 1, "s": "x"}, {"n": LEAST, "one": 1}, {"n": 7, "one": 1, "ok": True})
VALUES = {
    "n + 1": (None, LEAST + 1, 8),
    "n - 1": (MOST - 1, None, 6),
    "n * 2": (None, None, 14),
    "n * n": (None, None, 49),
    "- n": (-MOST, None, -7),
    "abs(n)": (MOST, None, 7),
    "n + 1 - 1": (None, LEAST, 7),
    "n % -1": (0, 0, 0),
    "n % 0": (None, None, None),
    "n / 0": (None, None, None),
    "one / (n - 7)": (1 / (MOST - 7), None, None),
    "round(n, -3)": (None, None, 0),
    "ok + n": (None, None, 8),
    "n * 0.5": (MOST / 2, LEAST / 2, 3.5),
    "now() * n": (None, None, 1_772_323_200_000 * 7),
    "cast(n * 1.0 as bigint)": (MOST, LEAST, 7),
    "cast(concat(n, '0') as bigint)": (None, None, 70),
    "cast(s as bigint)": (None, None, None),
    "cast(s as decimal)": (None, None, None),
    "cast(s as timestamp)": (None, None, None),
    "cast(n as timestamp)": (None, None, "1970-01-01T00:00:00Z"),
    "coalesce(n + 1, 0)": (0, LEAST + 1, 8),
    "case when n + 1 > 0 then 'more' else 'less' end": ("less", "less", "more"),
    "sqrt(n)": (3_037_000_499.97605, None, 2.6457513110645907),
    "pow(n, 99)": (None, None, 7.0**99),
    "ln(n - 7)": (43.66827237527655, None, None),
    "substr('abc', n)": (None, None, ""),
    "json_array_get('[1, 2]', n)": (None, None, None),
    "array[1, 2][n]": (None, None, None),
    "chr(n)": (None, None, "\x07"),
    "date_add('second', n, now())": (None, None, "2026-03-01 08:00:07.000"),
    "from_unixtime(n)": (None, None, "1970-01-01 08:00:07"),
}
ONCE = {
    "sum(n)": 6,
    "sum(n) * 2": 12,
    "sum(n + 1)": LEAST + 9,
    "max(n) + 1": None,
    "count(*) % 0": None,
    "sum(one) / 0": None,
    "avg(s)": None,
    "group_array(n + 1)": f"[{LEAST + 1},8]",
    "date_trunc('hour', max('9999-12-31T23:00:00Z'))": None,
    "max(date_trunc('hour', '9999-12-31T23:00:00Z'))": None,
    "max(date_trunc('year', '0001-01-02'))": None,
    "max(cast('0001-01-02' as timestamp))": "0001-01-01T16:00:00Z",
    "max(cast('0001-01-01' as timestamp))": None,
    "max(cast('infinity' as timestamp))": None,
    "max(str_to_date('0001', '%Y'))": None,
}


@pytest.fixture(scope="module")
def extremes(store_to_read):
    store_to_read.push(*RECORDS)
    return store_to_read


@pytest.mark.parametrize("expression", VALUES)
def test_each_row(extremes, expression: str) -> None:
    found = [row[0] for row in extremes.select(f"select {expression}")]
    assert found == list(VALUES[expression])


@pytest.mark.parametrize("expression", ONCE)
def test_all_rows(extremes, expression: str) -> None:
    assert extremes.select(f"select {expression}") == [(ONCE[expression],)]


def test_a_sum_beyond_64_bits_is_shown_but_not_counted_with(extremes) -> None:
    query = "select sum(n) as s, sum(n) + 0 as t where n > 100 or one = 1 and n > 0"
    assert extremes.select(query) == [(float(2**63 + 6), None)]


def test_a_row_that_overflows_spoils_no_other(extremes) -> None:
    assert extremes.select("select n where n * 2 > 0") == [(7,)]
    assert extremes.select("select n order by n * 2 desc, n limit 2") == [(7,), (LEAST,)]
    query = "select n + 1 as x, count(*) group by x having sum(one) * 9223372036854775807 > 0"
    assert extremes.select(f"{query} order by x") == [(None, 1), (LEAST + 1, 1), (8, 1)]
