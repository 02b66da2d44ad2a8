"""Delivery of what a spool can hold: thousands of tiny segments, batches of many sizes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.clock import ManualClock
from simulator.errors import SinkError
from simulator.logstore import LogStoreEngine, LogStoreSettings, Selection, loader

NOW_S = 1_772_323_200
EVERYTHING = Selection(start_ms=0, end_ms=2**53)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LogStoreEngine]:
    engine = open_engine(tmp_path)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    yield engine
    engine.close()


def open_engine(base: Path, at: float = NOW_S) -> LogStoreEngine:
    (base / "spool").mkdir(exist_ok=True)
    return LogStoreEngine(
        base / "logs.db", ManualClock(at), memory_limit="96MB", load_from=[base / "spool"]
    )


def write_segments(base: Path, *records: object) -> list[Path]:
    """One segment for each record, a millisecond apart."""
    paths = []
    for index, record in enumerate(records):
        path = base / "spool" / f"{index:08d}.seg"
        path.write_text(f"{NOW_S * 1000 + index}\t{json.dumps(record)}\n")
        paths.append(path)
    return paths


def deliver(engine: LogStoreEngine, paths: list[Path], position: int = 1) -> int:
    return engine.deliveries.deliver_segments(
        project="default",
        log_store="demo",
        stream="s",
        paths=paths,
        cursor="flow",
        position=position,
    )


def rows(engine: LogStoreEngine, query: str) -> list[tuple[object, ...]]:
    return list(engine.query("default", "demo", EVERYTHING, query).rows)


def test_ten_thousand_segments_of_one_line_are_one_load(
    engine: LogStoreEngine, tmp_path: Path
) -> None:
    paths = write_segments(tmp_path, *({"n": n, "odd": "yes"} for n in range(10_000)))
    assert deliver(engine, paths) == 10_000
    (row,) = rows(
        engine,
        "select count(*), count(distinct n), sum(n), max(`@seq`) - min(`@seq`) where odd = 'yes'",
    )
    assert [int(str(value)) for value in row] == [10_000, 10_000, 9999 * 5000, 9999]
    page = engine.pull("default", "demo", EVERYTHING, limit=1000)
    assert [json.loads(record.message)["n"] for record in page.records] == list(range(1000))
    assert sorted((tmp_path / "spool").iterdir()) == paths, "nothing is left beside them"


@pytest.mark.parametrize("many_files", [0, 3, 100])
def test_a_load_in_several_statements_numbers_records_on(
    engine: LogStoreEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many_files: int
) -> None:
    monkeypatch.setattr(loader, "SLICE_BYTES", 200)
    monkeypatch.setattr(loader, "MANY_FILES", many_files)
    records = [{"n": n} | ({"late": "here"} if n >= 25 else {}) for n in range(30)]
    paths = write_segments(tmp_path, *records)
    assert deliver(engine, paths) == 30
    assert deliver(engine, paths[:3], position=2) == 3
    found = sorted(rows(engine, "select `@seq`, n"), key=lambda row: int(str(row[0])))
    assert [int(str(n)) for _, n in found] == [*range(30), *range(3)]
    seqs = [int(str(seq)) for seq, _ in found]
    assert seqs == list(range(seqs[0], seqs[0] + 33))
    assert rows(engine, "select count(*) where late = 'here'")[0][0] == 5


def test_a_load_that_fails_in_its_last_statement_leaves_nothing(
    engine: LogStoreEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "SLICE_BYTES", 200)
    monkeypatch.setattr(loader, "MANY_FILES", 3)
    paths = write_segments(tmp_path, *({"n": n} for n in range(30)))
    good = paths[-1].read_text()
    paths[-1].write_text("not a segment\n")
    with pytest.raises(SinkError) as caught:
        deliver(engine, paths)
    assert not caught.value.retryable
    assert rows(engine, "select count(*)")[0][0] == 0
    assert engine.deliveries.read_cursors() == {}
    assert sorted((tmp_path / "spool").iterdir()) == paths
    paths[-1].write_text(good)
    assert deliver(engine, paths) == 30


def test_the_instant_of_the_newest_delivery_outlives_the_process(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, NOW_S + 0.123_456_789)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    deliver(engine, write_segments(tmp_path, {"n": 1}))
    assert engine.newest_at() == NOW_S + 0.123_456_789
    engine.close()

    again = open_engine(tmp_path, NOW_S - 100.0)
    kept = again.newest_at()
    assert 0 <= kept - (NOW_S + 0.123_456_789) < 0.000_002
    again.deliveries.commit_cursor("flow", 9)
    assert again.newest_at() == kept, "an earlier instant is not newer"
    store = again.create_log_store("default", "other", LogStoreSettings(retention_days=-1))
    again.close()

    third = open_engine(tmp_path, NOW_S + 50.0)
    third.deliveries.commit_cursor("bucket", 1)
    assert third.newest_at() == NOW_S + 50
    assert third.describe_log_store("default", "other") == store
    assert third.create_project("next").uuid != third.describe_project("default").uuid
    third.close()
