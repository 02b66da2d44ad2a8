"""Every function of the SQL part, by its value. Examples of the vendor's doc are among them."""
# ruff: noqa: E501  # one case a line, call beside value

import json
import re

import pytest

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType, Selection
from simulator.logstore.functions import FUNCTIONS

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
RECORDS = (
    {"level": "info", "n": 1, "w": 1, "x": 0.5, "ok": True, "ip": "203.0.113.7"},
    {"level": "warn", "n": 2, "w": 1, "x": 1.5, "ok": True, "ip": "10.0.0.1"},
    {"level": "info", "n": 7, "w": 8, "x": 2.5, "ok": False, "ip": "-"},
)
SCALARS: list[tuple[str, object]] = [
    # conversion
    ("cast('123' as bigint)", 123),
    ("cast('9007199254740993' as bigint)", 9007199254740993),
    ("cast(x * 1 as bigint)", 1),
    ("cast(json_size('[1]') as timestamp)", "1970-01-01T00:00:00Z"),
    ("cast(1234 as timestamp)", "1970-01-01T00:00:01Z"),
    ("cast(9223372036854775807 as timestamp)", None),
    ("cast('1.5' as decimal)", 1.5),
    ("cast(1.5 as varchar)", "1.5"),
    # text
    ("reverse('hello')", "olleh"),
    ("lower('fOoBaR')", "foobar"),
    ("upper('fOoBaR')", "FOOBAR"),
    ("capitalize('fOoBaR bar')", "FOoBaR Bar"),
    ("substring('fOoBaR', 2, 4)", "OoBa"),
    ("substr('fOoBaR', -3, 2)", "Ba"),
    ("substr('fOoBaR', 0)", ""),
    ("substr('fOoBaR', -7)", ""),
    ("substr('fOoBaR', 2, -1)", ""),
    ("substr(null, 0)", None),
    ("replace('abcdef', 'abc', 'cba')", "cbadef"),
    ("replace('aba', 'a', 'xyz')", "xyzbxyz"),
    ("length('中文')", 2),
    ("chr(99)", "c"),
    ("chr(-1)", None),
    ("chr(55296)", None),
    ("codepoint('c')", 99),
    ("codepoint('')", None),
    ("levenshtein_distance('cg', 'cdefg')", 3),
    ("lpad('qqq', 10, 'p')", "pppppppqqq"),
    ("rpad('qqq', 10, 'p')", "qqqppppppp"),
    ("lpad('abc', 2, 'x')", "ab"),
    ("lpad('abc', 5, '')", None),
    ("ltrim(' dhsk')", "dhsk"),
    ("rtrim('dhsk ')", "dhsk"),
    ("trim(' dhsk ')", "dhsk"),
    ("length(normalize('schön'))", 5),
    ("strpos('china news', 'news')", 7),
    ("strpos('china', 'x')", 0),
    ("to_utf8('info')", "aW5mbw=="),
    ("to_utf8('é')", "w6k="),
    ("locate('.', '3.14')", 2),
    ("position('.', '3.14')", 2),
    ("concat('foo', 'bar')", "foobar"),
    ("concat('foo', null)", None),
    ("regexp_like('abc', '[a-z]+')", True),
    ("regexp_extract('12abc3d', '[a-z]+')", "abc"),
    ("regexp_extract('12', '[a-z]+')", None),
    ("regexp_extract_all('abc22abc', '[a-z]+')", '["abc","abc"]'),
    # mathematics
    ("abs(-2)", 2),
    ("abs(-2.5)", 2.5),
    ("sqrt(100)", 10.0),
    ("sqrt(-1)", None),
    ("coalesce(sqrt(x - 9), ln(0), log(n - 1), pow(-1, 0.5), 7)", 7.0),
    ("greatest(1, 3.14, -5)", 3.14),
    ("least(1, 3.14, -5)", -5.0),
    ("greatest(1, null)", None),
    ("greatest('a', 'b')", "b"),
    ("rand() between 0 and 1", True),
    ("ceil(3.14)", 4),
    ("floor(-3.14)", -4),
    ("log(32)", 5.0),
    ("round(ln(100), 4)", 4.6052),
    ("pow(2, 5)", 32.0),
    ("round(200.3333, 2)", 200.33),
    ("round(1234, -2)", 1200),
    # date and time
    ("now()", "2026-03-01T00:00:00Z"),
    ("current_timestamp", "2026-03-01T00:00:00Z"),
    ("current_timestamp()", "2026-03-01T00:00:00Z"),
    ("current_date", "2026-03-01"),
    ("localtime()", "08:00:00"),
    ("current_timezone()", "Asia/Shanghai"),
    ("unix_timestamp()", NOW_MS // 1000),
    ("unix_timestamp('2019-11-11T11:11:11Z')", 1573470671),
    ("unix_timestamp('2019-11-11 11:11:11', '%Y-%m-%d %H:%i:%s')", 1573441871),
    ("unix_timestamp('1970-01-01 08:00:00')", 0),
    ("from_unixtime(0)", "1970-01-01 08:00:00"),
    ("from_unixtime(unix_timestamp('2019-11-11T11:11:11+08:00'))", "2019-11-11 11:11:11"),
    ("from_unixtime(0, '%D %b %Y, %k %p %W %j%%')", "1st Jan 1970, 8 AM Thursday 001%"),
    ("from_unixtime(1e17)", None),
    ("str_to_date('2019-11-11 11:11:11', '%Y-%m-%d %H:%i:%s')", "2019-11-11T03:11:11Z"),
    ("str_to_date('01/Mar/2026:08:00:00', '%d/%b/%Y:%T')", "2026-03-01T00:00:00Z"),
    ("str_to_date('nonsense', '%Y')", None),
    ("year('2019-11-07T09:09:16+08:00')", 2019),
    ("quarter('2019-11-07T09:09:16+08:00')", 4),
    ("month('2019-11-07T09:09:16+08:00')", 11),
    ("day('2019-11-07T09:09:16+08:00')", 7),
    ("dayofmonth('2019-11-07T09:09:16+08:00')", 7),
    ("hour('2019-11-07T09:09:16+08:00')", 9),
    ("hour('2019-11-07 09:09:16')", 9),
    ("minute('2019-11-07T09:09:16+08:00')", 9),
    ("second('2019-11-07T09:09:16+08:00')", 16),
    ("weekday('2019-11-07T09:09:16+08:00')", 3),
    ("dayofweek('2019-11-07T09:09:16+08:00')", 5),
    ("dayofyear('2019-11-07T09:09:16+08:00')", 311),
    ("hour('nonsense')", None),
    ("extract('day', '2019-11-07T09:09:16+08:00')", "7"),
    ("date_trunc('day', '2019-11-07T09:09:16+08:00')", "2019-11-07T00:00:00"),
    ("date_trunc('week', '2019-11-07T09:09:16+08:00')", "2019-11-04T00:00:00"),
    ("date_diff('day', '2019-11-05T09:09:16+08:00', '2019-11-07T09:09:16+08:00')", 2),
    ("date_diff('hour', '2019-11-05T09:59:59+08:00', '2019-11-05T11:00:00+08:00')", 1),
    ("date_diff('month', '2019-10-31T09:00:00+08:00', '2019-11-01T09:00:00+08:00')", 1),
    ("date_diff('year', '2019-12-31T09:00:00+08:00', '2018-01-01T09:00:00+08:00')", -1),
    ("date_add('day', 2, cast('2025-08-15T19:28:42+08:00' as timestamp))", "2025-08-17 19:28:42.000"),
    ("date_add('month', -1, cast('2026-03-31T00:00:00+08:00' as timestamp))", "2026-02-28 00:00:00.000"),
    ("date_add('year', 9000, now())", None),
    ("now() - interval 90 second", "2026-02-28T23:58:30Z"),
    ("now() + interval 1 month", "2026-04-01T00:00:00Z"),
    ("@timestamp + interval 1 week > now()", True),
    ("localtime", "08:00:00"),
    ("date('2019-11-05T09:09:16+08:00')", "2019-11-05"),
    ("from_iso8601_timestamp('2019-11-05T09:09:16+08:00')", "2019-11-05 09:09:16 Asia/Shanghai"),
    ("from_iso8601_date('2019-11-05T09:09:16+08:00')", "2019-11-05"),
    ("histogram(cast('2020-08-19T03:18:29.000Z' as timestamp), interval 5 minute)", "2020-08-19T03:15:00Z"),
    ("histogram(cast('2020-08-19T03:18:29Z' as timestamp) - interval 8 hour, interval 1 day)", "2020-08-18T00:00:00Z"),
    # conditions
    ("if(2 > 1, 1, 0)", 1),
    ("nullif(1, 1)", None),
    ("nullif(2, 1)", 2),
    ("coalesce(null, 0, 1)", 0),
    ("case substring('abc', 1, 1) when 'a' then 'a' when 'b' then 'b' else 'c' end", "a"),
    ("case when substring('abc', 1, 1) = 'b' then 'a' when 2 > 1 then 'b' else 'c' end", "b"),
    # maps and arrays
    ("map()", "{}"),
    ("map(array[1,2], array[3,4])", '{"1":3,"2":4}'),
    ("map(array['a','a'], array[3,4])", '{"a":3}'),
    ("map(array['a','b'], array[3,4])['b']", 4),
    ("map(array['a','b'], array[3,4])['z']", None),
    ("map_keys(map(array['a','b'], array[3,4]))", '["a","b"]'),
    ("map_values(map(array['a','b'], array[3,4]))", "[3,4]"),
    ("map_filter(map(array[1,2], array[1,2]), (x, y) -> x > 1)", '{"2":2}'),
    ("map_filter(map(array['a','b'], array[1,2]), (k, v) -> k like 'a%' and v = 1)", '{"a":1}'),
    ("cardinality(map(array[1,2], array[1,2]))", 2),
    ("cardinality(array[1,2,2])", 3),
    ("array_distinct(array[1,2,2])", "[1,2]"),
    ("array_distinct(array['b','a','b','c','a'])", '["b","a","c"]'),
    ("array_distinct(array[3,null,1,null,3])", "[3,null,1]"),
    ("map(array['b','a','b'], array[1,2,3])", '{"b":1,"a":2}'),
    ("map(array['b','a'], array[1])", '{"b":1,"a":null}'),
    ("map(array['b'], array[1,2])", '{"b":1}'),
    ("array[1, 2.5]", "[1.0,2.5]"),
    ("array['a', 'b'][2]", "b"),
    ("array[]", "[]"),
    # JSON
    ("""json_extract('{"a": "a1", "b": [1, {"c": 2}]}', '$.a')""", "a1"),
    ("""json_extract('{"a": "a1", "b": [1, {"c": 2}]}', '$.b[1]')""", '{"c":2}'),
    ("""json_extract_scalar('{"a": "a1", "b": {}}', '$.a')""", "a1"),
    ("""json_extract_scalar('{"a": "a1", "b": {}}', '$.b')""", None),
    ("""json_extract('nonsense', '$.a')""", None),
    ("""json_parse('["a", "b"]')""", '["a", "b"]'),
    ("""json_parse('nonsense')""", None),
    ("""json_format('["a", "b"]')""", '["a", "b"]'),
    ("""json_size('{"a": "a1", "b": "b1"}')""", 2),
    ("""json_size('{"a": [1,2,3]}', '$.a')""", 3),
    ("""json_size('1')""", 0),
    ("""json_array_contains('["a", "b"]', 'a')""", True),
    ("""json_array_contains('[1, 2]', 3)""", False),
    ("""json_array_get('["a", "b"]', 0)""", "a"),
    ("""json_array_get('["a", "b"]', -1)""", "b"),
    ("""json_array_get('["a", "b"]', 5)""", None),
    ("""json_array_length('["a", "b"]')""", 2),
    ("""json_array_length('{}')""", None),
    # IPv4
    ("ip_prefix('192.168.1.1', 20)", "192.168.0.0/20"),
    ("is_prefix_subnet_of('192.168.0.1/24', '192.169.1.1/24')", False),
    ("is_prefix_subnet_of('192.168.0.1/16', '192.168.1.1/24')", True),
    ("is_prefix_subnet_of('192.168.0.1/24', '192.168.0.1/16')", False),
    ("is_subnet_of('192.168.0.1/24', '192.168.0.24')", True),
    ("is_subnet_of('0.0.0.0/0', '255.255.255.255')", True),
    ("ip_subnet_max('127.0.0.1/24')", "127.0.0.255"),
    ("ip_subnet_min('127.0.0.1/24')", "127.0.0.0"),
    ("ip_subnet_range('127.0.0.1/24')", '["127.0.0.0","127.0.0.255"]'),
    ("ip_subnet_range('127.0.0.1')", None),
    ("is_subnet_of('10.0.0.0/8', '10.0.0.256')", None),
    ("ip_to_city('192.168.0.1')", None),
    ("ip_to_city('not an address')", None),
    ("ip_to_city('114.114.114.114') = ip_to_city('114.114.0.1')", True),
    ("length(ip_to_city('114.114.114.114')) > 1", True),
]  # fmt: skip

AGGREGATES: list[tuple[str, object]] = [
    ("count(*)", 3),
    ("count(distinct level)", 2),
    ("count_if(n > 1)", 2),
    ("count_if(level)", 0),
    ("sum(n)", 10),
    ("avg(x)", 1.5),
    ("max(level)", "warn"),
    ("min(x)", 0.5),
    ("first(level)", "info"),
    ("last(n)", 7),
    ("arbitrary(level) in ('info', 'warn')", True),
    ("bitwise_and_agg(n)", 0),
    ("bitwise_or_agg(n)", 7),
    ("bool_and(ok)", False),
    ("bool_or(ok)", True),
    ("bool_and(n > 0)", True),
    ("length(checksum(n))", 12),
    ("max_by(level, x)", "info"),
    ("min_by(n, x)", 1),
    ("percentile_rank(n, 2)", 2 / 3),
    ("percentile_rank(n, 0, 7)", "[0.0,1.0]"),
    ("percentile(n, 0, 1)", "[1.0,7.0]"),
    ("cardinality(approx_set(level))", 2),
    ("approx_percentile(x, 0.5)", 1.5),
    ("approx_percentile(x, array[0, 1])", "[0.5,2.5]"),
    ("approx_percentile(n, w, 0.5)", 7.0),
    ("approx_percentile(n, w, array[0.05, 0.15, 0.9])", "[1.0,2.0,7.0]"),
    ("histogram(level)", '{"info":2,"warn":1}'),
    ("histogram(level)['info']", 2),
    ("cardinality(histogram(level))", 2),
    ("map_keys(histogram(level))", '["info","warn"]'),
    ("map_filter(histogram(level), (k, v) -> v > 1)", '{"info":2}'),
    ("map_agg(level, n)", '{"info":1,"warn":2}'),
    ("group_array(level)", '["info","warn","info"]'),
    ("array_distinct(group_array(level))", '["info","warn"]'),
    ("cardinality(group_array(n))", 3),
    ("sum(if(ok, 1, 0))", 2),
    ("json_extract(max(`@raw`), '$.level')", "warn"),
    ("from_unixtime(max(`@timestamp`) / 1000)", "2026-03-01 08:00:00"),
]  # fmt: skip


@pytest.fixture(scope="module")
def query():
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    records = [
        NewRecord(message=json.dumps(record), timestamp_ms=NOW_MS + index)
        for index, record in enumerate(RECORDS)
    ]
    engine.push("default", "demo", records, record_type=RecordType.JSON)

    def query(text: str) -> list[tuple[object, ...]]:
        return list(engine.query("default", "demo", EVERYTHING, text).rows)

    yield query
    engine.close()


@pytest.fixture(scope="module")
def select(query):
    return lambda text: query(f"select {text} as v limit 1")[0][0]


@pytest.mark.parametrize(("call", "value"), SCALARS)
def test_value(select, call: str, value: object) -> None:
    found = select(call)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("call", "value"), AGGREGATES)
def test_aggregate(select, call: str, value: object) -> None:
    found = select(call)
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


def test_every_function_is_tested_here() -> None:
    called = set(re.findall(r"(\w+)(?=\()", " ".join(call for call, _ in SCALARS + AGGREGATES)))
    apart = {"compare", "ts_compare"}  # need a subquery, tested with those
    assert set(FUNCTIONS) - called - apart - {"current_date"} == set()


@pytest.mark.parametrize(
    "call",
    [
        "approx_set(level)", "approx_percentile(x, 1.5)", "approx_percentile(x, array[])",
        "approx_percentile(x, array['a'])", "percentile(x, level)", "cardinality(level)",
        "map(1)", "map('a', 'b')", "map_filter(level, (k, v) -> true)",
        "map_filter(map(), (k) -> true)", "map_filter(map(), (k, k) -> true)",
        "map_filter(map(), (k, v) -> 1)", "map_filter(map(), 1)", "map_keys(array[1])",
        "array_distinct(map())", "level['a']", "date_trunc('eon', now())", "date_add(1, 1, now())",
        "date_diff('week', now(), now())", "extract(week, now())", "from_unixtime(0, '%Q')",
        "str_to_date('1', '%D')", "regexp_like('a', '(')", "json_extract(level, level)",
        "json_extract(level, '$[0,1]')", "json_size(level, '$..a')", "level->n", "now() + interval 1 eon",
        "now() + interval level day", "compare(n, 60)", "round(1, n)", "length()", "length('a', 'b')",
    ],
)  # fmt: skip
def test_refused_with_the_name_of_what_is_wrong(select, call: str) -> None:
    with pytest.raises(ControlError) as caught:
        select(call)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)


def test_arrow_is_json_extract(select) -> None:
    assert select("""`@raw`->"$.level" """) == "info"
    assert select("""`@raw`->'$.n' + 1""") == 2
    assert select("""`@raw`->'$.level' = 'info'""") is True
    assert select("""`@raw`->'$.no[0]' is null""") is True


def test_what_is_made_of_no_array_is_null(select) -> None:
    assert select("array_distinct(group_array(none))") is None
    assert select("map(group_array(none), group_array(none))") is None


@pytest.mark.parametrize("constant", ["'x'", "null", "true", "2", '"level"'])
def test_constant_groups_and_orders_nothing(query, constant: str) -> None:
    found = "select count(*) as v, {0} as k, array_distinct(group_array(n)) group by k order by k"
    assert query(found.format(constant)) == [(3, *query(f"select {constant}")[0], "[1,2,7]")]


def test_condition_on_instants_can_be_grouped_by(query) -> None:
    when = "if(ok, cast(0 as timestamp), cast(n - n as timestamp))"
    assert query(f"select {when} as t, count(*) group by t") == [("1970-01-01T00:00:00Z", 3)]


def test_random_numbers_differ_by_row(select) -> None:
    assert select("cardinality(array_distinct(group_array(rand())))") == 3
