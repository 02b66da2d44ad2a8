"""Texts of records in lower case, asked for more often than there is memory for."""

from collections.abc import Iterator

import pytest

from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType, Selection
from simulator.logstore.folds import Folds

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
