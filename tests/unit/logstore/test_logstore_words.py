"""What an index does to searches and statements, sampling, and the histogram."""

import pytest

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    Selection,
)
from simulator.rng import Rng

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)


def refusal(store, query: str) -> str:
    with pytest.raises(ControlError) as caught:
        store.find(query)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    return caught.value.message


def test_separators_of_the_full_text_index(store) -> None:
    store.push("a.b-c d", "b")
    assert store.find("match b") == ["b"]
    store.index(IndexSettings(fulltext=True, separators=".-]^"))
    assert store.find("match b") == ["a.b-c d", "b"]
    assert store.find("match 'c d'") == ["a.b-c d"]
    assert store.find("match 'a c'") == []
    assert store.find("match d") == []


def test_case_of_the_full_text_index(store) -> None:
    store.push("Error 5", "error 5")
    store.index(IndexSettings(fulltext=True, case_sensitive=True))
    assert store.find("match Error") == ["Error 5"]
    assert store.find("match err*") == ["error 5"]
    assert store.find("match 'error 5'") == ["error 5"]


def test_chinese_characters_as_words(store) -> None:
    store.push("用户登录ok成功", "登 录")
    assert store.find("match 登录") == []
    store.index(IndexSettings(fulltext=True, include_chinese=True))
    assert store.find("match 登录") == ["用户登录ok成功", "登 录"]
    assert store.find("match '登录'") == ["用户登录ok成功", "登 录"]
    assert store.find("match '录登'") == []
    assert store.find("match ok") == ["用户登录ok成功"]
    assert store.find("match '录ok成'") == ["用户登录ok成功"]
    assert store.find("match o") == []


def test_wildcard_behind_a_chinese_character_adds_nothing_to_it(store) -> None:
    store.push("用户登录ok成功", "登")
    store.index(IndexSettings(fulltext=True, include_chinese=True))
    assert store.find("match 登录*") == ["用户登录ok成功"]
    assert store.find("match 登*") == ["用户登录ok成功", "登"]
    assert "cannot begin a word" in refusal(store, "match 登?")


def test_index_of_a_field_says_how_it_is_split_and_what_it_is(store) -> None:
    store.push({"path": "/A/b.c", "code": "007", "n": {"d": "5"}, "ok": "true"})
    assert store.find("match path:b") == []
    assert store.select("select code, code + 1") == [("007", 8.0)]
    store.index(
        IndexSettings(
            fields=(
                IndexField(name="path", type=IndexType.TEXT, separators="/.", case_sensitive=True),
                IndexField(name="code", type=IndexType.LONG),
                IndexField(name="ok", type=IndexType.BOOL),
                IndexField(
                    name="n",
                    type=IndexType.JSON,
                    fields=(IndexField(name="d", type=IndexType.FLOAT),),
                ),
            )
        ),
    )
    assert len(store.find("match path:b and path:A")) == 1
    assert store.find("match path:a") == []
    assert len(store.find("match code:7 and code >= 7 and n.d in [5 6) and ok:true")) == 1
    assert store.select("select code, n.d, ok is true, path") == [(7, 5.0, True, "/A/b.c")]


def test_strict_search_names_the_index_that_is_missing(store) -> None:
    store.push({"level": "error", "status": 500}, tags={"env": "prod"})
    store.index(None, strict=True)
    assert len(store.find("match *")) == 1
    assert "at character 7: the LogStore has no full-text index" in refusal(store, "match error")
    assert "the field level has no index" in refusal(store, "match level:error")
    assert "the field env has no index" in refusal(store, "match env:prod")
    assert "at character 13: the field status has no index" in refusal(
        store, "match * and status > 1"
    )
    assert store.select("select level, status") == [("error", 500)]
    assert len(store.find("match `@stream`:x or *")) == 1
    fields = (
        IndexField(name="level", type=IndexType.TEXT),
        IndexField(name="status", type=IndexType.LONG),
    )
    store.index(IndexSettings(fields=fields), strict=True)
    assert len(store.find("match level:error and status in [500 501)")) == 1
    assert "full-text" in refusal(store, "match error")
    assert "is of type text, expected float or long" in refusal(store, "match level > 1")
    store.index(IndexSettings(fields=fields))
    assert len(store.find("match error and level:error")) == 1


def test_index_that_is_off_is_no_index(store) -> None:
    store.push("a.b")
    off = LogStoreSettings(
        retention_days=-1,
        index=IndexSettings(fulltext=True, separators="."),
        index_enabled=False,
    )
    store.engine.update_log_store("default", "demo", lambda _before: off)
    assert store.find("match b") == []


def test_sample_is_the_same_for_the_same_seed_and_pages_through(store) -> None:
    store.push(*[f"r{number}" for number in range(200)])

    def sample(seed: int, percentage: float = 30.0, **more: object) -> list[object]:
        paging = Paging(limit=1000, sample_percentage=percentage, sample_seed=seed)
        result = store.engine.query("default", "demo", EVERYTHING, "match *", paging)
        return [row[3] for row in result.rows]

    one = sample(1)
    assert 20 < len(one) < 100
    assert sample(1) == one
    assert sample(2) != one
    assert set(one) <= set(sample(1, 60.0))
    assert len(sample(1, 100.0)) == 200
    paged: list[object] = []
    marker = None
    while marker is not None or not paged:
        paging = Paging(limit=7, sample_percentage=30.0, sample_seed=1, marker=marker)
        result = store.engine.query("default", "demo", EVERYTHING, "match *", paging)
        paged += [row[3] for row in result.rows]
        marker = result.next_marker
    assert paged == one


def test_samples_without_a_seed_differ_and_follow_from_the_scenarios_seed() -> None:
    def samples(seed: int) -> list[list[object]]:
        engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1, rng=Rng(seed))
        engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
        engine.push("default", "demo", [NewRecord(message=f"r{number}") for number in range(200)])
        paging = Paging(limit=1000, sample_percentage=30.0)
        query = [
            [row[3] for row in engine.query("default", "demo", EVERYTHING, "match *", paging).rows]
            for _ in range(2)
        ]
        page = engine.pull_matching("default", "demo", EVERYTHING, "match *", paging)
        engine.close()
        return [*query, [record.message for record in page.records]]

    found = samples(7)
    assert all(20 < len(one) < 100 for one in found)
    assert len({tuple(one) for one in found}) == 3
    assert samples(7) == found
    assert samples(8)[0] != found[0]


@pytest.mark.parametrize(
    ("length_s", "interval_s", "count"),
    [(1, 1, 1), (60, 1, 60), (61, 5, 13), (3600, 60, 60), (86_400, 1800, 48),
     (60 * 86_400, 86_400, 60), (600 * 86_400, 11 * 86_400, 55),
     (20 * 366 * 86_400, 24 * 86_400, 305), (65 * 366 * 86_400, 24 * 86_400, 992)],
)  # fmt: skip
def test_interval_of_a_histogram(store, length_s: int, interval_s: int, count: int) -> None:
    selection = Selection(start_ms=NOW_MS, end_ms=NOW_MS + length_s * 1000)
    found = store.engine.histogram("default", "demo", selection, "match *")
    assert found.interval_ms == interval_s * 1000
    assert len(found.buckets) in {count, count + 1}
    assert found.buckets[0].start_ms <= NOW_MS < found.buckets[0].end_ms
    assert found.buckets[-1].end_ms >= selection.end_ms


def test_histogram_counts_hits_and_for_sql_everything(store) -> None:
    store.push("a", "b", "a", at_ms=NOW_MS)
    store.push("a", at_ms=NOW_MS + 90_000)
    selection = Selection(start_ms=NOW_MS, end_ms=NOW_MS + 120_000)

    def counts(query: str) -> tuple[str, list[int], int]:
        found = store.engine.histogram("default", "demo", selection, query)
        return (
            found.query_type,
            [bucket.count for bucket in found.buckets if bucket.count],
            found.hits,
        )

    assert counts("match a") == ("match", [2, 1], 3)
    assert counts("select count(*)") == ("sql", [3, 1], 4)
    assert counts("match b | select 1") == ("match_and_sql", [1], 1)
    with pytest.raises(ControlError):
        counts("match (")
