"""Resources, records, delivery, and what survives."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.accesslog import FIELDS
from simulator.clock import ManualClock
from simulator.errors import ControlError, SinkError, StartupError
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    RecordType,
    Selection,
    Sort,
)
from simulator.logstore.fields import MAX_COLUMNS
from simulator.logstore.marker import Marker, encode_marker, parse_marker

NOW_S = 1_772_323_200
NOW_MS = NOW_S * 1000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
WEEK = LogStoreSettings(retention_days=7)
MakeSegment = Callable[[Path, int], list[tuple[int, str]]]


def deliver(engine: LogStoreEngine, paths: list[Path], position: int, name: str = "demo") -> int:
    return engine.deliveries.deliver_segments(
        project="default",
        log_store=name,
        stream="flow/lb-1",
        paths=paths,
        cursor="flow",
        position=position,
    )


def test_delivered_records_come_back_as_they_were(
    store, tmp_path: Path, make_segment: MakeSegment
) -> None:
    written = make_segment(tmp_path / "1.tsv", 300)
    make_segment(tmp_path / "empty.tsv", 0)
    assert deliver(store.engine, [tmp_path / "1.tsv", tmp_path / "empty.tsv"], 300) == 300
    page = store.engine.pull("default", "demo", EVERYTHING, limit=1000)
    assert [(r.timestamp_ms, r.message) for r in page.records] == written
    assert store.engine.deliveries.read_cursors() == {"flow": 300}
    assert [s.name for s in store.engine.list_streams("default", "demo")] == ["flow/lb-1"]
    names = [f.name for f in FIELDS]
    result = store.engine.query("default", "demo", EVERYTHING, "select * limit 1")
    assert sorted(result.columns[3:]) == sorted(names)


def test_aggregates_over_access_records_are_numeric_where_the_field_is(
    store, tmp_path: Path, make_segment: MakeSegment
) -> None:
    make_segment(tmp_path / "1.tsv", 300)
    deliver(store.engine, [tmp_path / "1.tsv"], 1)
    assert store.select(
        "select response_status, count(*) as n, max(request_time) group by response_status"
        " order by response_status desc"
    ) == [(502, 100, 0.299), (404, 100, 0.298), (200, 100, 0.297)]
    # The list fields of retried requests lie outside the sample that types were guessed from.
    mixed = store.engine.query(
        "default", "demo", EVERYTHING, "select upstream_response_time where cip = '203.0.113.99'"
    )
    assert mixed.rows == (("0.099, 0.099",),)
    assert mixed.column_types == ("string",)
    assert store.select("select count(*) where upstream_response_time >= 0.29") == [(9,)]
    assert len(store.find("match response_status >= 500 and http_user_agent:quote")) == 100


def test_seq_is_ingest_time_and_counter_unique_and_rising(store, clock, tmp_path, make_segment):
    make_segment(tmp_path / "1.tsv", 20_000)
    deliver(store.engine, [tmp_path / "1.tsv"], 1)
    store.push("later", at_ms=NOW_MS + 60_000)
    rows = store.select("select `@seq`, `@raw` order by `@seq`")
    seqs = [row[0] for row in rows]
    assert seqs == list(range(NOW_MS << 14, (NOW_MS << 14) + 20_001))
    assert rows[-1][1] == "later"


def test_missing_log_store_is_a_sink_error_that_retrying_cannot_cure(
    store, tmp_path, make_segment
) -> None:
    make_segment(tmp_path / "1.tsv", 1)
    with pytest.raises(SinkError) as caught:
        deliver(store.engine, [tmp_path / "1.tsv"], 1, name="nowhere")
    assert caught.value.retryable is False
    assert store.engine.deliveries.read_cursors() == {}


def test_failed_delivery_leaves_nothing_behind(store, tmp_path, make_segment) -> None:
    good, bad = tmp_path / "good.tsv", tmp_path / "bad.tsv"
    make_segment(good, 10)
    bad.write_text('not a time\t{"x":1}\n')
    with pytest.raises(SinkError) as caught:
        deliver(store.engine, [good, bad], 1)
    assert caught.value.retryable is False
    with pytest.raises(SinkError) as caught:
        deliver(store.engine, [good, tmp_path / "missing.tsv"], 1)
    assert caught.value.retryable is True
    assert store.select("select count(*)") == [(0,)]
    assert store.engine.query("default", "demo", EVERYTHING, "select *").columns[3:] == ()
    assert store.engine.deliveries.read_cursors() == {}
    assert deliver(store.engine, [good], 1) == 10


def test_delivery_without_files_moves_the_cursor_only(store) -> None:
    assert deliver(store.engine, [], 7) == 0
    store.engine.deliveries.commit_cursor("flow", 9)
    store.engine.deliveries.commit_cursor("other", 1)
    assert store.engine.deliveries.read_cursors() == {"flow": 9, "other": 1}


def test_line_that_is_not_json_is_kept_without_fields(store, tmp_path: Path) -> None:
    (tmp_path / "1.tsv").write_text(f'{NOW_MS}\t{{"a":1}}\n{NOW_MS + 1}\t{{"a":\\x22}}\n')
    assert deliver(store.engine, [tmp_path / "1.tsv"], 1) == 2
    assert store.select("select a, `@raw`") == [(1, '{"a":1}'), (None, '{"a":\\x22}')]
    assert store.select("select count(*) where b = 1") == [(0,)]


def test_fields_discovered_later_are_read_from_older_records_too(store, tmp_path: Path) -> None:
    # Only some lines of a segment are sampled, so `rare` is not found in the first delivery.
    lines = [f'{NOW_MS + i}\t{{"a":{i}}}\n' for i in range(200)]
    lines[101] = f'{NOW_MS + 101}\t{{"a":101,"rare":"x"}}\n'
    (tmp_path / "1.tsv").write_text("".join(lines))
    deliver(store.engine, [tmp_path / "1.tsv"], 1)
    assert store.select("select a, rare where rare is not null") == [(101, "x")]
    store.push({"rare": "y"}, at_ms=NOW_MS + 5000)
    assert store.select("select a, rare where rare is not null") == [(101, "x"), (None, "y")]


def test_more_fields_than_columns(store) -> None:
    wide = {f"k{i}": i for i in range(MAX_COLUMNS + 5)}
    store.push(wide, {"k0": 1, f"k{MAX_COLUMNS + 2}": 7})
    last = f"k{MAX_COLUMNS + 2}"
    found = store.select(
        f"select {last}, sum({last}), count({last}), sum(k0) group by 1 order by 1"
    )
    assert found == [(7, 7, 1, 1), (MAX_COLUMNS + 2, MAX_COLUMNS + 2, 1, 0)]
    store.push({last: "text"})
    assert store.select(f"select {last} order by 1 limit 1") == [("7",)]
    assert len(store.engine.query("default", "demo", EVERYTHING, "select *").columns) == 3 + len(
        wide
    )


def test_field_that_changes_its_type_stays_readable(store) -> None:
    store.push({"v": 1}, {"v": 2})
    assert store.select("select sum(v), max(v)") == [(3, 2)]
    store.push({"v": 0.5}, at_ms=NOW_MS + 10)
    assert store.select("select sum(v)") == [(3.5,)]
    store.push({"v": "text"}, {"v": [1]}, {"v": True}, at_ms=NOW_MS + 20)
    assert store.select("select v") == [("1",), ("2",), ("0.5",), ("text",), ("[1]",), ("true",)]
    assert store.select("select sum(v)") == [(3.5,)]


def test_pages_walk_every_record_once_in_both_directions(store) -> None:
    for batch in range(5):
        store.push(*[f"{batch}-{i}" for i in range(5)], at_ms=NOW_MS)
    for sort in Sort:
        seen: list[str] = []
        marker = None
        while True:
            page = store.engine.query(
                "default", "demo", EVERYTHING, "match *", Paging(limit=4, sort=sort, marker=marker)
            )
            seen += [str(row[3]) for row in page.rows]
            marker = page.next_marker
            if marker is None:
                break
        expected = [f"{batch}-{i}" for i in range(5) for batch in range(5)]
        assert seen == (expected if sort is Sort.ASC else expected[::-1])
    second = store.engine.query("default", "demo", EVERYTHING, "match *", Paging(limit=4, offset=4))
    assert [row[3] for row in second.rows] == ["0-4", "4-3", "3-3", "2-3"]


def test_limit_of_zero_gives_no_rows(store) -> None:
    store.push("a")
    result = store.engine.query("default", "demo", EVERYTHING, "match *", Paging(limit=0))
    assert (result.rows, result.next_marker) == ((), None)


def test_markers_of_the_service_can_be_read() -> None:
    found = Marker(time_ms=1742223841946, seq=28544595449446492)
    assert parse_marker("CJq1iKXaMhDcgJbAiKXaMhgK") == found
    assert encode_marker(found) == "CJq1iKXaMhDcgJbAiKXaMg=="
    found = Marker(time_ms=1752681638749, seq=28733778825691386)
    assert parse_marker("CN3W3Z-BMxD6gde_g6eFMyAD") == found
    for marker in (Marker(time_ms=-5, seq=2**62), Marker(time_ms=5, seq=0, store=1200)):
        assert parse_marker(encode_marker(marker)) == marker
    for bad in ("", "?", "AAAA", "CJq1", "é", "a" * 5, "CAEQ" + "_" * 40):
        with pytest.raises(ControlError):
            parse_marker(bad)


def test_range_is_half_open_and_streams_select(store) -> None:
    store.push("a", "b", "c", stream="s/1")
    store.push("d", stream="s/2", at_ms=NOW_MS + 1)
    some = Selection(start_ms=NOW_MS + 1, end_ms=NOW_MS + 2)
    page = store.engine.pull("default", "demo", some)
    assert [r.message for r in page.records] == ["b", "d"]
    one = Selection(start_ms=0, end_ms=NOW_MS * 2, stream="s/2")
    assert [r.message for r in store.engine.pull("default", "demo", one).records] == ["d"]


async def test_retention_follows_the_clock(store, clock: ManualClock) -> None:
    engine = store.engine
    engine.create_log_store("default", "short", LogStoreSettings(retention_days=1))
    engine.push("default", "short", [NewRecord(message="old", timestamp_ms=NOW_MS)])
    await clock.advance(86_400)
    assert len(engine.pull("default", "short", EVERYTHING).records) == 1
    await clock.advance(1)
    assert engine.pull("default", "short", EVERYTHING).records == ()
    assert engine.query("default", "short", EVERYTHING, "select count(*)").rows == ((0,),)
    engine.update_log_store("default", "short", lambda s: replace(s, retention_days=2))
    assert len(engine.pull("default", "short", EVERYTHING).records) == 1


@pytest.mark.parametrize(
    ("records", "options"),
    [
        ([], {}),
        ([NewRecord(message="x")] * 1001, {}),
        ([NewRecord(message="x" * (512 * 1024 + 1))], {}),
        ([NewRecord(message="x", timestamp_ms=NOW_MS * 100)], {}),
        ([NewRecord(message="x", timestamp_ms=-(10**14))], {}),
        ([NewRecord(message="x")], {"stream": "a b"}),
        ([NewRecord(message="x")], {"stream": "a" * 193}),
        ([NewRecord(message="{}"), NewRecord(message="{")], {"record_type": RecordType.JSON}),
    ],
)
def test_push_is_refused_as_a_whole(store, records, options) -> None:
    with pytest.raises(ControlError) as caught:
        store.engine.push("default", "demo", records, **options)
    assert caught.value.code == "InvalidParameter"
    assert store.select("select count(*)") == [(0,)]


def test_record_without_a_time_gets_that_of_receipt(store) -> None:
    store.engine.push("default", "demo", [NewRecord(message="x")])
    assert store.engine.pull("default", "demo", EVERYTHING).records[0].timestamp_ms == NOW_MS


@pytest.mark.parametrize(
    "settings",
    [
        LogStoreSettings(retention_days=0),
        LogStoreSettings(retention_days=3651),
        LogStoreSettings(retention_days=7, enable_hot_retention=True, hot_retention_days=3),
        LogStoreSettings(retention_days=10, enable_hot_retention=True, hot_retention_days=10),
        LogStoreSettings(retention_days=7, shard_count=51),
        LogStoreSettings(retention_days=7, tags=(("", "x"),)),
        LogStoreSettings(retention_days=7, tags=(("k", "<>"),)),
    ],
)
def test_settings_out_of_bounds(store, settings: LogStoreSettings) -> None:
    with pytest.raises(ControlError) as caught:
        store.engine.create_log_store("default", "other", settings)
    assert caught.value.code == "InvalidParameter"


def test_deleted_log_store_comes_back_empty(store) -> None:
    store.push({"a": 1}, stream="s", tags={"k": "v"})
    store.engine.delete_log_store("default", "demo")
    with pytest.raises(ControlError):
        store.find("match *")
    store.engine.create_log_store("default", "demo", WEEK)
    assert store.find("match *") == []
    assert store.engine.list_streams("default", "demo") == []
    assert store.engine.query("default", "demo", EVERYTHING, "select *").columns[3:] == ()


def test_default_project_is_always_there_with_the_same_uuid(store) -> None:
    (default,) = store.engine.list_projects()
    other = LogStoreEngine(None, ManualClock(0.0))
    assert other.list_projects()[0].uuid == default.uuid
    other.close()
    with pytest.raises(ControlError):
        store.engine.delete_project("default")


def test_projects_keep_their_order_over_a_restart(tmp_path: Path) -> None:
    engine = LogStoreEngine(tmp_path / "db", ManualClock(1000.0))
    made = [engine.create_project(name) for name in ("a", "b", "c")]
    engine.update_project(made[0].uuid, description="first", top=True)
    before = engine.list_projects()
    engine.close()
    engine = LogStoreEngine(tmp_path / "db", ManualClock(1000.0))
    assert engine.list_projects() == before
    assert [project.name for project in before] == ["default", "a", "b", "c"]
    engine.close()


def test_uuid_goes_before_a_name() -> None:
    def uuid_of_other(name: str) -> str:
        """Makes a project called ``name``, then another; uuids follow from their number."""
        engine = LogStoreEngine(None, ManualClock(1000.0))
        engine.create_project(name)
        other = engine.create_project("other")
        assert engine.describe_project(other.uuid) == other
        engine.close()
        return other.uuid

    known = uuid_of_other("first")
    assert uuid_of_other(known) == known


def test_everything_is_there_after_closing_and_opening(tmp_path: Path, make_segment) -> None:
    path, clock = tmp_path / "data" / "logs.db", ManualClock(float(NOW_S))
    make_segment(tmp_path / "1.tsv", 50)
    engine = LogStoreEngine(path, clock)
    project = engine.create_project("shop", "d")
    log_store = engine.create_log_store("shop", "demo", WEEK)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    deliver(engine, [tmp_path / "1.tsv"], 50)
    engine.push("default", "demo", [NewRecord(message="x")], stream="p", tags={"k": "v"})
    engine.close()
    engine.close()

    again = LogStoreEngine(path, clock)
    assert again.describe_project(project.uuid) == project
    assert again.describe_log_store("shop", "demo") == log_store
    assert again.deliveries.read_cursors() == {"flow": 50}
    assert [s.name for s in again.list_streams("default", "demo")] == ["flow/lb-1", "p"]
    again.push("default", "demo", [NewRecord(message="y")])
    seqs = again.query("default", "demo", EVERYTHING, "select count(distinct `@seq`), count(*)")
    assert seqs.rows == ((52, 52),)
    rows = again.query("default", "demo", EVERYTHING, "select sum(request_length), count(k)").rows
    assert rows == ((0, 1),)
    assert again.create_project("next").uuid not in {project.uuid}
    again.close()


CHILD = """
    import sys
    from pathlib import Path
    from simulator.clock import ManualClock
    from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord

    base = Path(sys.argv[1])
    engine = LogStoreEngine(base / "logs.db", ManualClock({now}.0))
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=7))
    for position in range(1, 1000):
        engine.deliveries.deliver_segments(
            project="default", log_store="demo", stream="s",
            paths=[base / "1.tsv"], cursor="flow", position=position,
        )
        engine.push("default", "demo", [NewRecord(message="pushed")])
        print(position, flush=True)
"""


def test_kill_loses_nothing_acknowledged_and_doubles_nothing(
    tmp_path: Path, make_segment: MakeSegment
) -> None:
    make_segment(tmp_path / "1.tsv", 500)
    script = textwrap.dedent(CHILD).replace("{now}", str(NOW_S))
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = 0
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged == 5:
            os.kill(child.pid, signal.SIGKILL)
            break
    rest = child.stdout.read().split()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    acknowledged = int(rest[-1]) if rest else acknowledged

    engine = LogStoreEngine(tmp_path / "logs.db", ManualClock(float(NOW_S)))
    position = engine.deliveries.read_cursors()["flow"]
    assert position in {acknowledged, acknowledged + 1}
    ((delivered,),) = engine.query(
        "default", "demo", EVERYTHING, "select count(*) where `@stream` = 's'"
    ).rows
    ((pushed, seqs, total),) = engine.query(
        "default",
        "demo",
        EVERYTHING,
        "select count(if(`@stream` = '', 1, null)), count(distinct `@seq`), count(*)",
    ).rows
    assert delivered == position * 500
    assert acknowledged <= pushed <= position
    assert seqs == total
    engine.close()


def test_a_file_in_use_is_a_startup_error(tmp_path: Path) -> None:
    (tmp_path / "logs.db").write_text("this is no database, however long it is" * 200)
    with pytest.raises(StartupError):
        LogStoreEngine(tmp_path / "logs.db", ManualClock(0.0))


def test_threads_push_and_query_at_the_same_time(store) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                store.push({"thread": number, f"own{number}": i})
                store.select("select thread, count(*) group by thread")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.select("select thread, count(*), sum(own2) group by thread order by 1") == [
        (0, 10, None), (1, 10, None), (2, 10, 45), (3, 10, None),
    ]  # fmt: skip
    assert store.select("select count(distinct `@seq`)") == [(40,)]
