"""Statements that want much memory: a process that runs them stays within its setting."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_store import NOW_MS

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    QueryHandle,
    RecordType,
    Selection,
)
from simulator.logstore.footprint import MAX_BYTES, MAX_COLLECTED_BYTES
from simulator.logstore.patterns import pattern_size
from simulator.logstore.results import KeptRows

EVERYTHING = Selection(start_ms=0, end_ms=2**53)
RECORDS = 40_000
SETTING_MB, OVERHEAD_MB = 128, 300


def many(item: str, count: int) -> str:
    """So many different ones."""
    return "select " + ", ".join(item.replace("#", str(number)) for number in range(count))


NASTY = {
    "long fillings": many("max(length(lpad(s, 6000#, 'x')))", 10),
    "the longest of each group": "select n, max(lpad(s, 60000, 'x')) group by n",
    "texts joined": "select max(length(concat(" + ", ".join(
        f"lpad(s, {60_000 - n}, 'x')" for n in range(15)) + ")))",
    "replacements in replacements": "select max(length(" + "replace(" * 6 + "s"
        + ", 'a', 'bbbbbbbbbbbbbbbbaaaa')" * 6 + "))",
    "base64 of base64": "select max(length(" + "to_utf8(" * 25 + "s" + ")" * 25 + "))",
    "letters": "select sum(cardinality(regexp_extract_all(lpad(s, 30000, 'x'), '.')))",
    "words": "select max(length(capitalize(lpad(s, 30000, 'a '))))",
    "all records in an array": "select group_array(concat(`@raw`, `@raw`, `@raw`, `@raw`))",
    "all records in a map": "select map_agg(u, concat(`@raw`, `@raw`))",
    "all records counted": "select cardinality(histogram(concat(`@raw`, u)))",
    "arrays of arrays": "select cardinality(array_distinct(group_array(array[`@raw`, `@raw`])))",
    "many numbers": many("max(abs(n + #) * 2 - pow(n, 3))", 300),
    "many patterns": many("count_if(regexp_like(s, 'a.*b.*c#'))", 300),
    "many words": "match " + " or ".join(f"w{n}" for n in range(300)),
    "wide rows": many("concat(`@raw`, '#')", 60),
    "long texts sorted": "select lpad(s, 9000, 'x') as x order by x limit 5000",
    "long texts of a subquery": "select max(length(concat(x, x))) from"
        " (select lpad(s, 20000, 'x') as x, n order by n)",
}  # fmt: skip

_CHILD = f"""
import json, sys, threading
from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import *

def peak_mb(reset=False):
    if reset:
        open("/proc/self/clear_refs", "w").write("5")
    lines = open("/proc/self/status").read().splitlines()
    return max(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

engine = LogStoreEngine(
    None, ManualClock({NOW_MS / 1000}), memory_limit="{SETTING_MB}MB", query_limit_s=3.0
)
engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
for first in range(0, {RECORDS}, 1000):
    engine.push("default", "demo", [
        NewRecord(
            message=json.dumps({{"n": n, "u": f"u-{{n * 7919}}", "s": f"abcab {{n % 97}} " * 20}}),
            timestamp_ms={NOW_MS},
        )
        for n in range(first, first + 1000)
    ], record_type=RecordType.JSON)
for name, statement in json.load(sys.stdin).items():
    before = peak_mb(reset=True)
    try:
        engine.query("default", "demo", Selection(start_ms=0, end_ms=2**53), statement)
        ended = "rows"
    except ControlError as error:
        ended = f"{{error.status}} {{error.message}}"
    print(json.dumps([name, peak_mb() - before, ended]), flush=True)
print(json.dumps(engine.query(
    "default", "demo", Selection(start_ms=0, end_ms=2**53), "select count(*)"
).rows))
engine.close()
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="tells memory on Linux only")
def test_no_statement_takes_more_than_the_setting_and_a_bit() -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(NASTY),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=100,
    )
    *found, last = [json.loads(line) for line in child.stdout.splitlines()]
    assert [name for name, _, _ in found] == list(NASTY)
    for name, grown_mb, ended in found:
        assert grown_mb < SETTING_MB + OVERHEAD_MB, (name, ended)
        assert ended == "rows" or ended.startswith(("400 ", "408 ")), name
    assert last == [[RECORDS]]


@pytest.fixture(scope="module")
def engine() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=2, memory_limit="256MB")
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    for first in range(0, 3000, 1000):
        records = [
            NewRecord(message=json.dumps({"n": n, "s": "abc" * 30}), timestamp_ms=NOW_MS)
            for n in range(first, first + 1000)
        ]
        engine.push("default", "demo", records, record_type=RecordType.JSON)
    yield engine
    engine.close()


def refusal(engine: LogStoreEngine, statement: str) -> str:
    with pytest.raises(ControlError) as caught:
        engine.query("default", "demo", EVERYTHING, statement)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert engine.query("default", "demo", EVERYTHING, "select count(*)").rows == ((3000,),)
    return caught.value.message


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("select lpad(s, 65537, 'x')", ("lpad", "65536")),
        ("select length(lpad(s, n * 1000, 'x'))", ("lpad", "32768")),
        ("select length(rpad(s, 99999, n))", ("rpad", "65536")),
        ("select length(replace(s, 'a', lpad('', 2000, 'x')))", ("replace", "32768")),
        ("select length(replace(s, lower('A'), lpad('', 2000, 'x')))", ("replace", "32768")),
        ("select levenshtein_distance(lpad(s, 600, 'x'), rpad(s, 600, 'y'))",
         ("levenshtein_distance", "250000")),
        ("select regexp_like(s, concat('(x{', n, '})'))", ("regexp_like", "200")),
        ("select regexp_like(s, '(.{300}a){3}.{200}')", ("regexp_like", "1103 parts")),
        ("select group_array(lpad(s, 9000, 'x'))", ("group_array", "16 MiB")),
        ("select histogram(lpad(n, 9000, 'x'))", ("histogram", "16 MiB")),
        ("select n, histogram(lpad(n, 9000, 'x')) group by n", ("histogram", "16 MiB")),
        ("select map_agg(n, lpad(s, 9000, 'x'))", ("map_agg", "16 MiB")),
        (many("max(lpad(s, 6000#, 'x'))", 10), ("lpad", "256 MiB")),
        ("select upper(x) from (select lpad(s, 60000, 'x') as x) group by 1", ("upper", "256 MiB")),
        (many("max(abs(n + #) * 2 - pow(n, 3))", 380), ("too many parts", "256 MiB")),
    ],
)  # fmt: skip
def test_refusal_names_the_function_and_its_bound(
    engine: LogStoreEngine, statement: str, named: tuple[str, ...]
) -> None:
    message = refusal(engine, statement)
    for text in named:
        assert text in message


@pytest.mark.parametrize(
    "statement",
    [
        "select max(length(lpad(s, 60000, 'x')))",
        "select n, lpad(s, 5000, 'x') as x order by n limit 10",
        "select cardinality(group_array(s)), cardinality(map_agg(n, s))",
        "select cardinality(histogram(lpad(n % 3, 9000, 'x')))",
        "select length(replace(s, 'a', lpad('', 100, 'x'))) group by 1",
        "select count_if(regexp_like(s, '[a-z]{1,64}@[a-z]{1,255}'))",
        "select count_if(s in ('a', 1, 2.5, null, 'b')) or true",
        many("concat(s, '#')", 100),
    ],
)
def test_what_is_not_too_much_is_answered(engine: LogStoreEngine, statement: str) -> None:
    assert engine.query("default", "demo", EVERYTHING, f"{statement}").rows


def test_fields_are_measured_where_the_largest_record_would_refuse(tmp_path: Path) -> None:
    engine = LogStoreEngine(tmp_path / "logs.db", ManualClock(NOW_MS / 1000), threads=2)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    for message in ('{"s":"abc"}', json.dumps({"t": "x" * 500_000})):
        engine.push(
            "default",
            "demo",
            [NewRecord(message=message, timestamp_ms=NOW_MS)],
            record_type=RecordType.JSON,
        )
    items = ", ".join(f"upper(concat(x, '{n}'))" for n in range(50))
    found = engine.query(
        "default", "demo", EVERYTHING, f"select {items} from (select s as x) where x is not null"
    )
    assert found.rows == (tuple(f"ABC{n}" for n in range(50)),)
    wide = ", ".join(f"upper(concat(x, '{n}'))" for n in range(500))
    with pytest.raises(ControlError) as caught:
        engine.query(
            "default", "demo", EVERYTHING, f"select {wide} from (select t as x order by x)"
        )
    assert "MiB" in caught.value.message
    engine.close()


def test_values_of_all_queries_at_work_share_their_room(engine: LogStoreEngine) -> None:
    database, handle = engine._database, QueryHandle()
    admission = database._admission

    def give_up() -> None:
        with admission._changed:
            assert admission._changed.wait_for(lambda: bool(admission._bytes.waiting), 30)
        handle.cancel()

    thread = threading.Thread(target=give_up)
    thread.start()
    statement = "select max(length(lpad(s, 60000, 'x')))"
    with database.room(MAX_BYTES):
        with pytest.raises(ControlError) as caught:
            engine.query("default", "demo", EVERYTHING, statement, Paging(), handle)
        thread.join()
        assert engine.query("default", "demo", EVERYTHING, "select max(n)").rows == ((2999,),)
    assert caught.value.code == "ExecutionTimeout"
    assert engine.query("default", "demo", EVERYTHING, statement).rows == ((60_000,),)


def test_rows_that_are_kept_end_before_they_are_too_many(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptRows, "most_bytes", 2 << 20)
    found = engine.query(
        "default",
        "demo",
        EVERYTHING,
        "select lpad(s, 9000, 'x')",
    )
    assert len(found.rows) == (2 << 20) // 9000
    assert "2 MiB" in found.truncated_reason


def test_bound_of_what_is_collected_is_of_all_groups_together(engine: LogStoreEngine) -> None:
    per_record = MAX_COLLECTED_BYTES // 3000
    fits, does_not = per_record - 100, per_record + 100
    statement = "select n % 10 as g, cardinality(group_array(lpad(s, {}, 'x'))) group by g"
    rows = engine.query("default", "demo", EVERYTHING, statement.format(fits)).rows
    assert rows == tuple((g, 300) for g in range(10))
    assert "group_array" in refusal(engine, statement.format(does_not))


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("abc", 0), ("a|b|(cd)?", 0), ("a*", 1), ("a{3}", 3), ("a{2,5}b", 6), ("a{2,}", 3),
        ("(ab){4}", 8), ("((ab){4}c){10}", 90), ("[a-z0-9]{7}", 7), ("[]x]{2}", 2), (r"\d{9}", 9),
        (r"a\{9\}b*", 5), (r"\Qa{9}\Eb*", 2), ("(?i)ab{3}", 4), ("(?:ab){3}", 6),
        ("(?P<name>ab){3}", 6), (r"\p{L}{4}", 4), (r"\x{4e00}{4}", 4), ("[[:alpha:]{9}]{2}", 2),
        ("x{1000}{1000}", 1_000_000), ("((((", 0), ("a{9", 0), (")*", 0),
    ],
)  # fmt: skip
def test_parts_of_a_pattern_are_counted_with_their_repetitions(pattern: str, size: int) -> None:
    assert pattern_size(pattern) == size
