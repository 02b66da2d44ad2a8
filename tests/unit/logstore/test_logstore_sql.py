"""The SQL part: what it answers, and everything it refuses."""
# ruff: noqa: E501  # one case a line, statement beside answer

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType, Selection

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)


@pytest.fixture(scope="module")
def shop(store_to_read):
    store_to_read.push(
        {
            "host": "a.example",
            "status": 200,
            "cost": 0.5,
            "mixed": 0.25,
            "Host": "other",
            "ok": True,
        },
        {"host": "b.example", "status": 200, "cost": 1.5, "mixed": "0.5, 0.75"},
        {"host": "b.example", "status": 503, "cost": 4, "mixed": "-", "ok": False},
        "plain text",
    )
    return store_to_read


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select count(*)", [(4,)]),
        ("select count(1), count(host), count(distinct host)", [(4, 3, 2)]),
        ("select sum(status), min(cost), max(cost), avg(cost)", [(903, 0.5, 4.0, 2.0)]),
        ("select min(host), max(host), max(mixed), sum(mixed)", [("a.example", "b.example", 0.25, 0.25)]),
        (
            "select host, count(*) as n where host is not null group by host order by n desc",
            [("b.example", 2), ("a.example", 1)],
        ),
        ("select status, count(*) group by 1 having count(*) > 1", [(200, 2)]),
        ("select status as s, count(*) as c group by s having c = 1 order by s", [(None, 1), (503, 1)]),
        ("select cost where status >= 500 or cost < 1 order by cost desc", [(4.0,), (0.5,)]),
        ("select host where status = '503'", [("b.example",)]),
        ("select `Host` where `Host` is not null", [("other",)]),
        ("select mixed where status is not null", [("0.25",), ("0.5, 0.75",), ("-",)]),
        ("select count(*) where mixed > 0.1", [(1,)]),
        ("select ok, status where ok is true", [(True, 200)]),
        ("select status where host like '%.example' and not host like \"a%\" order by 1", [(200,), (503,)]),
        ("select count(*) where status in (503, 404)", [(1,)]),
        ("select count(*) where host not in ('a.example')", [(2,)]),
        ("select count(*) where cost between 0.5 and 1.5", [(2,)]),
        ("select count(*) where host > 5", [(0,)]),
        ("select distinct status where status > 0 order by status", [(200,), (503,)]),
        ("select host where host is not null limit 1, 1", [("b.example",)]),
        ("select host where host is not null limit 1 offset 1", [("b.example",)]),
        ("select count(*) where @timestamp >= 1772323200002", [(2,)]),
        ("select count(*) where `@raw` like 'plain%'", [(1,)]),
        ("select json_extract_scalar(`@raw`, '$.host') where status = 503", [("b.example",)]),
        ("select json_extract_scalar('{\"a\":[1,{\"b c\":2}]}', '$.a[1][\"b c\"]') limit 1", [("2",)]),
        ("select json_extract_scalar('{\"a\":{}}', '$.a'), json_extract_scalar('no', '$.a') limit 1", [(None, None)]),
        ("select if(status >= 500, 'bad', 'good') as x, count(*) group by x order by x", [("bad", 1), ("good", 3)]),
        ("select case status when 200 then 1 else 0.5 end where status > 0 order by 1", [(0.5,), (1.0,), (1.0,)]),
        ("select coalesce(host, 'none') as h order by h limit 1", [("a.example",)]),
        ("select nullif(status, 200) where status > 0 order by 1", [(None,), (None,), (503,)]),
        ("select cast('12' as bigint), cast('x' as bigint), cast(1 as varchar), cast('1.5' as decimal) limit 1", [(12, None, "1", 1.5)]),
        ("select cast(0 as timestamp), cast('2026-03-01T08:00:00+08:00' as timestamp), cast('x' as timestamp) limit 1", [("1970-01-01T00:00:00Z", "2026-03-01T00:00:00Z", None)]),
        ("select from_unixtime(0) limit 1", [("1970-01-01 08:00:00",)]),
        ("select date_trunc('hour', cast(`@timestamp` as timestamp)) limit 1", [("2026-03-01T08:00:00",)]),
        ("select histogram(cast(`@timestamp` as timestamp), interval 1 hour) as hour, count(*) as cnt group by hour order by hour", [("2026-03-01T00:00:00Z", 4)]),
        ("select cost where cost > 0 order by cast('x' as varchar) desc, cast(null as varchar), unix_timestamp(), cost limit 2", [(0.5,), (1.5,)]),
        ("select count(*) group by cast('x' as varchar), upper('x'), unix_timestamp()", [(4,)]),
        ("select histogram(@timestamp, interval 1 week) as w, count(*) group by w", [("2026-02-23T00:00:00Z", 4)]),
        ("select upper('aé'), lower('ÀB'), length('中文'), reverse('ab'), trim(' a '), ltrim(' a'), rtrim('a ') limit 1", [("AÉ", "àb", 2, "ba", "a", "a", "a")]),
        ("select substr('hello', 2, 3), substring('hello', -3), substr('hello', 0), strpos('hello', 'l'), replace('aba', 'a', 'c'), concat('a', 1, 'b') limit 1", [("ell", "llo", "", 3, "cbc", "a1b")]),
        ("select 7 / 2, 7 % 4, 1 / 0, -3 + 1, 2 * 3.5, round(2.345, 2), round(5) limit 1", [(3.5, 3, None, -2, 7.0, 2.35, 5)]),
        ("select approx_percentile(cost, 0.5)", [(1.5,)]),
        ("select 'it''s' as x, \"say 'hi'\" as y limit 1", [("it's", "say 'hi'")]),
        ("select sum(cost), avg(cost), count(*) where host = 'nobody'", [(None, None, 0)]),
        ("match status:503 | select host", [("b.example",)]),
        ("* | select count(*)", [(4,)]),
        ("status >= 500 | SELECT COUNT(*)", [(1,)]),
    ],
)  # fmt: skip
def test_rows(shop, query: str, rows: list[tuple[object, ...]]) -> None:
    assert shop.select(query) == rows


def test_columns_are_named_by_their_text_and_typed(shop) -> None:
    result = shop.engine.query(
        "default",
        "demo",
        EVERYTHING,
        "select  count(*),avg( cost ) , `host`, host h, max(status) as `最大`, true, 1.5 group by host",
    )
    assert result.columns == ("count(*)", "avg( cost )", "host", "h", "最大", "true", "1.5")
    assert result.column_types == ("int", "float", "string", "string", "int", "bool", "float")


def test_star_is_properties_then_fields_by_name(shop) -> None:
    result = shop.engine.query("default", "demo", EVERYTHING, "select * limit 1")
    assert result.columns == (
        "@timestamp", "@stream", "@raw", "Host", "cost", "host", "mixed", "ok", "status",
    )  # fmt: skip
    assert result.rows[0][3:] == ("other", 0.5, "a.example", "0.25", True, 200)


def test_rows_beyond_the_cap_are_cut_and_told(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.logstore.selects.MAX_ROWS", 2)
    store.push("a", "b", "c")
    result = store.engine.query("default", "demo", EVERYTHING, "select `@raw`")
    assert result.rows == (("a",), ("b",))
    assert result.truncated_reason
    assert result.next_marker is None
    assert not store.engine.query(
        "default", "demo", EVERYTHING, "select 1 limit 2"
    ).truncated_reason


REFUSED = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from logs.main.records_2",
    "select * from records_2",
    "select * from duckdb_settings()",
    "select * from information_schema.tables",
    "select (select count(*) from logs.main.projects)",
    "select 1 where exists (select 1)",
    "select 1 where 1 in (select 1)",
    "select 1; drop table logs.main.records_2",
    "select 1; select 2",
    "select 1 union select 2",
    "select 1 union all select * from projects",
    "select read_text('/etc/passwd')",
    "select getenv('HOME')",
    "select current_setting('threads')",
    "select query('select 1')",
    "select query_table('projects')",
    "select pg_sleep(1)",
    "select load_extension('httpfs')",
    "select json_execute_serialized_sql('x')",
    "select count(*) over ()",
    "select count(*) filter (where 1 = 1)",
    "select 1 into outfile '/tmp/x'",
    "select 1 into @x",
    "select @@version",
    "select @x := 1",
    "select x'41'",
    "select host collate utf8_bin",
    "select * except (a)",
    "select t.* ",
    "select a[1]",
    "select {'a': 1}",
    "select x -> x + 1",
    "select cast(1 as struct(a int))",
    "select cast(1 as json)",
    "select cast('x' as blob)",
    "select 1 for update",
    "select 1 limit (select 1)",
    "select 1 limit -1",
    "select 1 limit 1000000",
    "select 1 limit all",
    "select 1 group by rollup(a)",
    "select a group by a with rollup",
    "select 1 order by (select 1)",
    "select host, count(*)",
    "select max(count(*))",
    "select 1 where count(*) > 1",
    "select count(host, status)",
    "select approx_percentile(cost, 2)",
    "select approx_percentile(cost, host)",
    "select histogram(@timestamp, 5)",
    "select histogram(@timestamp, interval 0 minute)",
    "select histogram(@timestamp, interval 5 year)",
    "select histogram(@timestamp, interval '1'' day' day)",
    "select date_trunc('eon', @timestamp)",
    "select date_trunc(host, @timestamp)",
    "select json_extract_scalar(`@raw`, '$..a')",
    "select json_extract_scalar(`@raw`, host)",
    "select interval 1 hour",
    "select order by 5",
    "select 1 order by 5",
    'select cost order by "@timestamp"',
    "select cost order by ('x') desc, cost",
    "select count(*) group by 'x'",
    "select cost order by null",
    "select",
    "select ,",
    "select a,,b",
    "select count(*) where host = 'a' or",
    "select 'open",
    "select 1e999",
    "select ?",
    "select :a",
    "select #1",
    "select 1 --' or 1=1\n; attach 'x' as y",
    "select with x as (select 1) select 1",
    "select 1 from dual",
    "select 1 join t",
    "select /*+ hint */ 1 qualify 1",
    "select \x00",
    "match a | drop table x",
    "match * | select 1 | select 2",
    "match * | copy x to '/tmp/y'",
    "attach '/tmp/x.db'",
    "set threads = 1",
    "pragma version",
    "with x as (select 1) select * from x",
    "explain select 1",
]


@pytest.mark.parametrize("query", REFUSED)
def test_refused_as_the_callers_fault(shop, query: str) -> None:
    with pytest.raises(ControlError) as caught:
        shop.select(query)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    for hidden in ("logs.main", "records_", "duckdb", "sqlglot", "class "):
        assert hidden not in caught.value.message.lower().replace(query.lower(), "")


HOSTILE = [
    "x'); drop table records_1; --",
    "x\"; attach '/tmp/x.db' as y; --",
    "'||(select 1)||'",
    "$t0",
    "$paths",
    "?",
    "a\\' or 1=1 --",
    "{0}",
    "%(x)s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_data_wherever_it_stands(store, text: str) -> None:
    store.push({text: text, "plain": 1})
    name = "`" + text.replace("`", "") + "`"
    literal = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    assert store.select(f"select {name} as v where {name} = {literal}") == [(text,)]
    assert store.select(f"select count(*) as {name} group by plain order by {name}") == [(1,)]
    assert store.select("select plain") == [(1,)]
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    if text != "?":  # a wildcard cannot stand alone
        assert len(store.find(f'match {name}:"{quoted}"')) == 1


def test_a_query_sees_its_own_log_store_only(store) -> None:
    store.engine.create_log_store("default", "secret", LogStoreSettings(retention_days=7))
    store.engine.push("default", "secret", [NewRecord(message="hidden", timestamp_ms=NOW_MS)])
    store.push("shown")
    assert store.find("match *") == ["shown"]
    assert store.select("select count(*)") == [(1,)]
    with pytest.raises(ControlError):
        store.select("select * from secret")


def test_the_connection_itself_reads_no_file_beyond_the_spool(tmp_path: Path) -> None:
    spool, outside = tmp_path / "spool", tmp_path / "outside.tsv"
    spool.mkdir()
    line = f'{NOW_MS}\t{{"a":1}}\n'
    (spool / "1.tsv").write_text(line)
    outside.write_text(line)
    engine = LogStoreEngine(tmp_path / "logs.db", ManualClock(NOW_MS / 1000), load_from=[spool])
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=7))
    where = {"project": "default", "log_store": "demo", "stream": "s", "cursor": "c"}
    assert engine.deliveries.deliver_segments(**where, paths=[spool / "1.tsv"], position=1) == 1
    with engine._database.reading() as cursor:
        for statement in (
            f"SELECT * FROM read_text('{outside}')",
            "SET threads = 4",
            "SET enable_external_access = true",
            f"ATTACH '{tmp_path}/x.db' AS x",
            f"COPY (SELECT 1) TO '{tmp_path}/y'",
            "INSTALL httpfs",
            "LOAD httpfs",
        ):
            cursor.execute("ROLLBACK")
            with pytest.raises(Exception, match=r"(?i)disabled|locked|not allowed|permission"):
                cursor.execute(statement)
            cursor.execute("BEGIN TRANSACTION")
    engine.close()


TOKENS = st.sampled_from(
    [
        "select",
        "count(*)",
        ",",
        "(",
        ")",
        "host",
        "status",
        "+",
        "-",
        "*",
        "/",
        "=",
        "<",
        "'x'",
        '"y"',
        "`z`",
        "where",
        "group",
        "by",
        "order",
        "having",
        "limit",
        "1",
        "2.5",
        "and",
        "or",
        "not",
        "in",
        "between",
        "like",
        "is",
        "null",
        "true",
        "case",
        "when",
        "then",
        "else",
        "end",
        "if(",
        "cast(",
        "as",
        "bigint",
        "histogram(",
        "interval",
        "hour",
        "@timestamp",
        "@",
        ".",
        ";",
        "--",
        "/*",
        "*/",
        "distinct",
        "from",
        "join",
        "union",
        "over",
        "[",
        "]",
        "{",
        "}",
        ":",
        "?",
        "$",
        "->",
        "中",
        "\\",
        "|",
        "||",
        "&&",
        "!",
        "^",
        "~",
        ":=",
        "nosuch(",
        "sum(",
        "max(",
        "avg(",
    ]
)


@pytest.fixture(scope="module")
def noise_engine():
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    message = '{"host":"a","status":200}'
    record = NewRecord(message=message, timestamp_ms=NOW_MS)
    engine.push("default", "demo", [record], record_type=RecordType.JSON)
    yield engine
    engine.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.lists(TOKENS, max_size=25).map(" ".join), st.text(max_size=60)))
def test_noise_gives_rows_or_a_control_error(noise_engine: LogStoreEngine, text: str) -> None:
    for query in ("select " + text, "match * | select host, " + text):
        with suppress(ControlError):
            noise_engine.query("default", "demo", EVERYTHING, query)


@pytest.mark.parametrize(
    "text",
    ["(" * 3000 + "1" + ")" * 3000, "-" * 3000 + "1", "1" + "+1" * 3000, "not " * 3000 + "true"],
)
def test_depth_is_bounded(store, text: str) -> None:
    with pytest.raises(ControlError):
        store.select("select " + text)


def test_a_long_chain_of_conditions_is_one_level(store) -> None:
    store.push({"a": 1})
    assert store.select("select 1 where a = 1" + " or a = 2" * 200) == [(1,)]


def test_field_with_numbers_and_texts_is_a_text_of_which_some_functions_see_the_numbers(
    store,
) -> None:
    store.push({"n": 9}, {"n": 10}, {"n": "x"})
    assert store.select("select n order by n") == [("10",), ("9",), ("x",)]
    assert store.select("select max(n), min(n), sum(n), count(n)") == [(10.0, 9.0, 19.0, 3)]
    assert store.select("select n where n > 9") == [("10",)]
    found = "json_extract_scalar(`@raw`, '$.n')"
    assert store.select(f"select max({found}), max(concat({found}, ''))") == [(10.0, "x")]
