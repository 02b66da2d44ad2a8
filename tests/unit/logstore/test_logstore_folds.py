"""Texts of records in lower case, asked for more often than there is memory for."""

from collections.abc import Iterator
from itertools import count
from typing import cast

import duckdb
import pytest

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType, Selection
from simulator.logstore.folds import Folds
from simulator.logstore.typed import Bindings
from simulator.logstore.widths import of

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
MANY = " or ".join(f"w{number}" for number in range(100))


def test_a_text_that_is_asked_for_too_often_is_folded_once() -> None:
    folds = Folds(2)
    asked = [folds.of("message") for _ in range(5)]
    assert asked == ["lower(message)", "lower(message)", *["folded1"] * 3]
    assert folds.around("c") == "list_transform([lower(message)], lambda folded1: c)[1]"
    assert folds.around("c") == "c"


def test_few_texts_are_folded_around_conditions() -> None:
    folds = Folds(0)
    asked = [folds.of(text) for text in ("a", "b", "c", "a")]
    assert asked == ["folded1", "folded0", None, "folded1"]
    assert folds.around("c").count("lower(") == 2
    assert folds.of("a") is None


@pytest.fixture(scope="module")
def engine() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    words = ("W7 alpha", "w7x ALPHA", "xw7 Beta", "beta, W99", "W990")
    records = [
        NewRecord(message=f'{{"n": {number}, "l": "{text}, {"pad " * 4000}"}}', timestamp_ms=NOW_MS)
        for number, text in enumerate(words)
    ]
    engine.push("default", "demo", records, record_type=RecordType.JSON)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (MANY, [0, 3]),
        (f"({MANY}) and alpha", [0]),
        (f"not ({MANY}) and not beta", [1, 4]),
        (f"({MANY}) and l:BETA and l:pad", [3]),
        (MANY.replace("w", "l:w"), [0, 3]),
        ("(" + MANY.replace("w", "l:w") + f") and ({MANY}) and w7", [0]),
    ],
)
def test_it_finds_the_same(engine: LogStoreEngine, search: str, expected: list[int]) -> None:
    statement = f"match {search} | select n order by n"
    found = engine.query("default", "demo", EVERYTHING, statement)
    assert [row[0] for row in found.rows] == expected


def test_it_finds_the_same_in_elasticsearch(engine: LogStoreEngine) -> None:
    words = " ".join(f"w{number}" for number in range(200))
    body = {"query": {"bool": {"must": [{"match": {"l": words}}, {"match": {"@raw": "BETA"}}]}}}
    hits = engine.elastic.search("demo", body)["response"]["hits"]["hits"]
    assert len(hits) == 1


def test_patterns_that_nothing_could_stop_are_tried_before(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = " or ".join(f"p*d*{number}" for number in range(200))
    statement = f"match {many} | select n"
    assert engine.query("default", "demo", EVERYTHING, statement).rows == ()
    monkeypatch.setattr("simulator.logstore.folds.MAX_MATCHING_S", 0.0)
    # What is tried later takes longer.
    times = (number * number for number in count())
    monkeypatch.setattr("simulator.logstore.footprint.monotonic", lambda: next(times))
    with pytest.raises(ControlError, match="matching 2048 records with its patterns would take"):
        engine.query("default", "demo", EVERYTHING, statement)
    body = {"query": {"query_string": {"query": "/(p|pa|ad)*(p|pad)*c/", "fields": ["l"]}}}
    with pytest.raises(ControlError, match="matching 2048 records with its patterns would take"):
        engine.elastic.search("demo", body)


def test_as_much_work_as_there_are_patterns_is_expected() -> None:
    folds = Folds(1)
    asked: list[str] = []

    class Cursor:
        def execute(self, sql: str, values: object) -> None:
            asked.append(sql)
            raise NotImplementedError

    def check() -> None:
        folds.check(cast("duckdb.DuckDBPyConnection", Cursor()), Bindings(), "t", of(8000.0))

    for _ in range(40):
        folds.add_match("m", "p")
    check()
    assert not asked
    folds.add_match("m", "(a{1,100}){1,10}", 1000)
    with pytest.raises(NotImplementedError):
        check()
