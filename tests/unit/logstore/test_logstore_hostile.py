"""Nothing a caller writes reads a file, another LogStore or the engine, or changes anything."""
# ruff: noqa: E501  # lists of texts, many a line

from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from statements import searches, statements

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    RecordType,
    Selection,
    ViewStore,
)
from simulator.logstore.functions import FUNCTIONS

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
TARGETS = (("demo", LogStoreType.LOGSTORE), ("view", LogStoreType.LOGSTORE_VIEW))
"""A LogStore, and a view over it and another one; neither is over ``other``."""
SPELLED_OUT = {"cast", "if"}
"""Allowed names that are no functions of the table."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("hostile")
    (directory / "secret.csv").write_text("secret\n1\n")
    engine = LogStoreEngine(
        directory / "logs.db", ManualClock(NOW_MS / 1000), threads=1, load_from=(directory,)
    )
    for name in ("demo", "other"):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
    messages = (
        '{"host":"a","status":200,"cost":0.5,"ok":true,"n":{"d":1}}',
        '{"host":"b","status":503,"cost":"x","n":{"d":"q"}}',
    )
    records = [NewRecord(message=message, timestamp_ms=NOW_MS) for message in messages]
    engine.push("default", "demo", records, record_type=RecordType.JSON)
    engine.push("default", "demo", [NewRecord(message="plain text", timestamp_ms=NOW_MS)])
    engine.push("default", "other", [NewRecord(message="hidden", timestamp_ms=NOW_MS)])
    engine.create_log_store("default", "more", LogStoreSettings(retention_days=-1))
    engine.push("default", "more", records, record_type=RecordType.JSON)
    stores = [ViewStore(project="default", name=name) for name in ("demo", "more")]
    engine.views.create("default", "view", stores)
    yield engine
    engine.close()


@pytest.fixture
def refused(engine: LogStoreEngine, tmp_path_factory: pytest.TempPathFactory):
    """Asks statements that all have to be refused, and looks at what they left."""
    directory = tmp_path_factory.getbasetemp() / "hostile0"
    files = {path.name for path in directory.iterdir()}
    tables = _tables(engine)

    def refuse(*statements: str, targets: Sequence[tuple[str, LogStoreType]] = TARGETS) -> None:
        for statement in statements:
            for name, type_ in targets:
                with pytest.raises(ControlError) as caught:
                    engine.query("default", name, EVERYTHING, statement, log_store_type=type_)
                found = (caught.value.code, caught.value.status)
                assert found == ("InvalidParameter", 400), statement

    yield refuse
    assert {path.name for path in directory.iterdir()} == files
    assert _tables(engine) == tables


def _tables(engine: LogStoreEngine) -> list[tuple[object, ...]]:
    with engine._database.reading() as cursor:
        return cursor.execute(
            "SELECT database_name, table_name, estimated_size FROM duckdb_tables() ORDER BY ALL"
        ).fetchall()


def _functions(kinds: str) -> list[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions()"
            f" WHERE function_type IN ({kinds}) AND function_name SIMILAR TO '\\w+' ORDER BY 1"
        ).fetchall()
    return [row[0] for row in rows]


def test_no_table_function_or_pragma_of_the_engine_can_be_named(refused) -> None:
    names = _functions("'table', 'table_macro', 'pragma'")
    assert {"read_csv", "read_text", "duckdb_settings", "glob"} <= set(names)
    for name, target in zip(names, cycle(TARGETS), strict=False):
        refused(
            f"select * from {name}('secret.csv')",
            f"select * from (select * from {name}('secret.csv'))",
            f"select `{name}`('secret.csv', 1, 2, 3, 4)",
            f"pragma {name}",
            f"call {name}('x')",
            targets=[target],
        )
        if name not in FUNCTIONS:
            refused(
                f"select {name}('secret.csv')",
                f"match * | SELECT {name.upper()} ( 'x' )",
                targets=[target],
            )


def test_no_function_beyond_the_list_can_be_called(refused) -> None:
    names = _functions("'scalar', 'aggregate', 'macro'")
    assert {"getenv", "current_setting", "nextval"} & set(names)
    for name, target in zip(names, cycle(TARGETS), strict=False):
        if name not in FUNCTIONS and name not in SPELLED_OUT:
            refused(f"select {name}(1)", targets=[target])


@pytest.mark.parametrize(
    "table",
    [
        "logs.main.records_2", "records_1", "main.records_1", "logs.records_1", "projects", "cursors",
        "information_schema.tables", "pg_catalog.pg_class", "sqlite_master", "duckdb_tables",
        "system.information_schema.columns", "'secret.csv'", '"secret.csv"', "`secret.csv`",
        "'https://example.com/x.parquet'", "'s3://bucket/x'", "demo", "other", "default.other",
        "default$other", "q0", "@x", "unnest([1])", "range(10)", "(values (1))", "(table records_1)",
        "(from records_1)", "(show tables)", "(describe records_1)", "(pragma version)",
        "(select * from records_1)", "(select 1) a, records_1", "(select 1) join records_1 on true",
        "(select 1) natural join records_1", "lateral (select 1)", "(select 1 union select 2)",
        "(select * from (select * from records_1))", "(with x as (select 1) select 1)",
    ],
)  # fmt: skip
def test_no_table_can_be_named(refused, table: str) -> None:
    refused(
        f"select * from {table}",
        f"SELECT\n*\tFROM/**/{table}",
        f"match * | select count(*) from {table}",
        f"select 1 where exists (select 1 from {table})",
        f"select (select max(seq) from {table})",
        f"select 1 where 1 in (select 1 from {table})",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "attach 'x.db' as x", "attach if not exists 'x.db'", "detach logs", "use logs",
        "copy (select 1) to 'x.csv'", "copy records_1 from 'x.csv'", "export database 'x'",
        "import database 'x'", "install httpfs", "force install httpfs", "load httpfs",
        "pragma database_list", "set threads = 1", "set global memory_limit = '1TB'", "reset threads",
        "call pragma_version()", "create table x (a int)", "create or replace table x as select 1",
        "create macro m(a) as a", "create secret s (type s3)", "create view v as select 1",
        "drop table records_1", "drop schema main cascade", "alter table records_1 add column x int",
        "insert into records_1 values (1)", "update records_1 set seq = 1", "delete from records_1",
        "truncate records_1", "vacuum", "checkpoint", "force checkpoint", "explain select 1",
        "explain analyze select 1", "describe records_1", "show tables", "summarize records_1",
        "prepare p as select 1", "execute p", "deallocate p", "begin", "commit", "rollback", "abort",
        "with x as (select 1) select * from x", "values (1)", "table records_1", "from records_1",
        "pivot records_1 on seq", "unpivot records_1 on seq", "comment on table records_1 is 'x'",
        "merge into records_1 using (select 1) on true when matched then delete",
    ],
)  # fmt: skip
def test_no_other_statement_gets_through(refused, statement: str) -> None:
    refused(
        statement,
        statement.upper(),
        f"/* */ {statement}",
        f"-- \n{statement}",
        f"({statement})",
        f"select 1; {statement}",
        f"select 1;{statement};",
        f"select 1\n;\n{statement}",
        f"match * | {statement}",
        f"match * | select 1; {statement}",
        f"select * from ({statement})",
    )


def test_what_cannot_be_read_is_not_logged(refused, caplog: pytest.LogCaptureFixture) -> None:
    refused("select 1; drop \x1b[2J it", "select 1; call it")
    assert not caplog.records


@pytest.mark.parametrize(
    "item",
    [
        "@@version", "@@global.threads", "?", ":a", "x'41'", "b'1'", "_utf8'x'",
        "cast(1 as json)", "cast(1 as blob)", "cast(1 as int[])", "cast(1 as regclass)",
        "try_cast(1 as int)", "convert(1, char)", "row(1, 2)", "{'a': 1}", "struct_pack(a := 1)",
        "lambda x: x", "x -> x", "count(*) over ()", "count(*) filter (where true)", "any(select 1)",
        "columns(*)", "columns('.*')", "* exclude (host)", "* replace (1 as host)", "* like 'a%'",
        "host collate nocase", "host at time zone 'UTC'", "1 as a, (select 1) as b", "exists(select 1)",
        "case when exists(select 1) then 1 end", "if((select 1), 1, 2)", "concat((select 1))",
        "grouping(host)", "1 group by cube(host)", "1 group by grouping sets ((host))",
        "1 group by all", "1 qualify true", "1 window w as ()", "1 limit 10%",
        "1 using sample 10", "1 tablesample 10", "1 for update", "1 into outfile 'x'", "1 into @a",
        "@a := 1", "1 procedure analyse()", "match(host) against ('x')", "host sounds like 'x'",
        "position('a' in (select 'a'))", "user()", "database()", "version()",
    ],
)  # fmt: skip
def test_no_other_syntax_gets_through(refused, item: str) -> None:
    refused(f"select {item}", f"match * | select host, {item}")


@pytest.mark.parametrize(
    "name", ["$1", "$t0", "$paths", "current_user", "seq", "message", "store", "v0", "place"]
)
def test_names_of_the_engine_are_fields_that_no_record_has(
    engine: LogStoreEngine, name: str
) -> None:
    for target, type_ in TARGETS:
        statement = f"select {name} limit 1"
        found = engine.query("default", target, EVERYTHING, statement, log_store_type=type_)
        assert found.rows == ((None,),)


def test_another_log_store_is_never_seen(engine: LogStoreEngine) -> None:
    for name, type_ in TARGETS:
        for query in ("match hidden", "match @stream:other", "match `@raw`:hidden"):
            found = engine.query("default", name, EVERYTHING, query, log_store_type=type_)
            assert found.rows == ()
        for query in (
            "select count(*) where `@raw` like '%hidden%'",
            "select count_if(other = 'x')",
        ):
            found = engine.query("default", name, EVERYTHING, query, log_store_type=type_)
            assert found.rows == ((0,),)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements())
def test_random_statements_give_rows_or_a_refusal(engine: LogStoreEngine, statement: str) -> None:
    with suppress(ControlError):
        engine.query("default", "demo", EVERYTHING, statement)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(searches())
def test_random_searches_give_rows_or_a_refusal(engine: LogStoreEngine, search: str) -> None:
    with suppress(ControlError):
        engine.query("default", "demo", EVERYTHING, f"match {search}")


BOMBS = {
    "nested functions that repeat their argument": "select " + "nullif(" * 40 + "1" + ", 2)" * 40,
    "nested subnets": "select " + "ip_subnet_min(" * 20 + "'1.2.3.4/8'" + ")" * 20,
    "texts that grow": "select length("
    + "replace(" * 12
    + "'aaaaaaaaaaaaaaaa'"
    + ", 'a', 'aaaaaaaaaaaaaaaa')" * 12
    + ")",
    "arrays in arrays, of which sqlglot tries two readings each": "select " + "array[" * 40 + "1" + "]" * 40,
    "types in types": "select cast(1 as " + "decimal(" * 40 + "1" + ")" * 41,
    "a long filling": "select lpad('a', 999999999999, 'x')",
    "a long list": "select 1 where status in (" + ", ".join(map(str, range(6000))) + ")",
    "a long search": "match " + "a or " * 400 + "b",
    "a deep search": "match " + "(" * 2000 + "a" + ")" * 2000,
    "a pattern that backtracks": "select regexp_like(replace('a', 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'), '(a*)*b')",
    "a pattern that is huge": "select regexp_like('a', '((a{100}){100}){100}')",
    "comparisons in comparisons": "select compare(x, 1, 2, 3, 4, 5, 6, 7, 8, 9) from (" * 7
    + "select count(*) as x"
    + ")" * 7,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_what_grows_without_bound_ends(engine: LogStoreEngine, name: str) -> None:
    with suppress(ControlError):
        result = engine.query("default", "demo", EVERYTHING, BOMBS[name])
        assert all(len(str(cell)) <= 1_048_576 for row in result.rows for cell in row)


_GROWN = "select group_array(concat(`@raw`, `@raw`, `@raw`, `@raw`))"


def test_memory_is_bounded_by_the_setting(tmp_path: Path) -> None:
    engine = LogStoreEngine(
        tmp_path / "logs.db", ManualClock(NOW_MS / 1000), threads=1, memory_limit="256MB"
    )
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    big = [NewRecord(message="x" * 100_000, timestamp_ms=NOW_MS + n) for n in range(50)]
    for _ in range(20):
        engine.push("default", "demo", big)
    assert engine.query("default", "demo", EVERYTHING, "select count(*)").rows == ((1000,),)
    with pytest.raises(ControlError) as caught:
        engine.query("default", "demo", EVERYTHING, _GROWN)
    assert caught.value.status == 400
    assert engine.query("default", "demo", EVERYTHING, "select count(*)").rows == ((1000,),)
    engine.close()


def test_maps_and_arrays_of_many_elements_take_no_square_of_them(tmp_path: Path) -> None:
    engine = LogStoreEngine(
        tmp_path / "logs.db", ManualClock(NOW_MS / 1000), threads=1, memory_limit="128MB"
    )
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    for first in range(0, 20_000, 1000):
        records = [
            NewRecord(message=f'{{"n":{n},"pad":"{"x" * 200}"}}', timestamp_ms=NOW_MS)
            for n in range(first, first + 1000)
        ]
        engine.push("default", "demo", records, record_type=RecordType.JSON)
    for made in (
        "map_agg(n, `@raw`)",
        "array_distinct(group_array(`@raw`))",
        "map(group_array(n), group_array(`@raw`))",
    ):
        found = engine.query("default", "demo", EVERYTHING, f"select cardinality({made})")
        assert found.rows == ((20_000,),)
    weighted = "select approx_percentile(n, 2, 0.5), approx_percentile(n, n, array[0.25])"
    assert engine.query("default", "demo", EVERYTHING, weighted).rows == ((9999.0, "[10000.0]"),)
    engine.close()


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("times", [499, 500, 980, 5000, 100_000])
def test_records_that_nest_deeply_are_refused(
    engine: LogStoreEngine, opening: str, times: int
) -> None:
    closing = "}" if opening.startswith("{") else "]"
    message = f'{{"deep":{opening * times}1{closing * times}}}'
    records = [NewRecord(message=message, timestamp_ms=1000)]
    if times < 500:
        assert engine.push("default", "other", records, record_type=RecordType.JSON) == 1
        return
    with pytest.raises(ControlError) as caught:
        engine.push("default", "other", records, record_type=RecordType.JSON)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)


def test_brackets_in_a_text_are_not_nesting(engine: LogStoreEngine) -> None:
    records = [NewRecord(message=f'{{"a":"{"[" * 5000}"}}', timestamp_ms=1000)]
    assert engine.push("default", "other", records, record_type=RecordType.JSON) == 1
