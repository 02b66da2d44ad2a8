"""A search finds the same whichever way it is asked for: counted, paged, downloaded, in a view ...

On records, indexes and searches at random; with ``ORACLE_EXAMPLES=2000`` on more.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
from demo_store import (
    EVERYTHING,
    NOW_MS,
    NOW_S,
    deliver_lines,
    deliver_segment,
    push_lines,
)
from oracle_run import EXAMPLES
from oracle_search import Both, Compare, Either, Everything, Not, Record, Search, Words
from oracle_searches import make_index, make_records, make_search, write_search

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    DownloadRequest,
    IndexSettings,
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    Paging,
    RecordType,
    ShipperSettings,
    Sort,
    ViewStore,
)

SEARCHES = 4
"""Of each example."""
VIEW = LogStoreType.LOGSTORE_VIEW
FILLERS = 96
"""Fields that leave no column for others."""
OTHERS = 300
"""Records between those of an example, which are then some among many."""


class Case:
    """An engine with the records of an example in the LogStore ``demo``, and searches for it."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = Random(seed)
        self.path = path / f"{seed}.duckdb"
        self.clock = ManualClock(float(NOW_S))
        self.engine = LogStoreEngine(self.path, self.clock, threads=1)
        self.records = make_records(self.random)
        self.index = make_index(self.random)
        self.make("demo")
        searches = [make_search(self.random, self.records) for _ in range(SEARCHES)]
        self.searches = [
            one for one in [Everything(), *searches] if isinstance(self.hits(self.write(one)), list)
        ]

    def make(self, name: str, index: IndexSettings | None = None) -> None:
        settings = LogStoreSettings(retention_days=-1, index=index or self.index)
        self.engine.create_log_store("default", name, settings)
        for (stream, tags, is_text), batch in groupby(self.records, _batch):
            self.push(name, [*batch], stream=stream, tags=dict(tags), is_text=is_text)

    def push(
        self,
        name: str,
        records: Sequence[Record],
        *,
        stream: str = "",
        tags: dict[str, str] | None = None,
        is_text: bool = False,
    ) -> None:
        self.engine.push(
            "default",
            name,
            [NewRecord(message=one.raw, timestamp_ms=one.at_ms) for one in records],
            stream=stream,
            tags=tags,
            record_type=RecordType.TEXT if is_text else RecordType.JSON,
        )

    def write(self, search: Search) -> str:
        return f"match {write_search(self.random, search)}"

    def hits(
        self, query: str, name: str = "demo", type_: LogStoreType = LogStoreType.LOGSTORE
    ) -> list[tuple[object, ...]] | str:
        """Time, stream and text of the hits, or why there can be none."""
        paging = Paging(limit=1000, sort=Sort.ASC)
        try:
            found = self.engine.query(
                "default", name, EVERYTHING, query, paging, log_store_type=type_
            )
        except ControlError as error:
            return error.code
        return [(row[0], row[2], row[3]) for row in found.rows]

    def all_hits(self, name: str = "demo") -> list[object]:
        return [self.hits(self.write(one), name) for one in self.searches]

    def rows(self, name: str) -> object:
        """All values of all fields, with the types of these."""
        found = self.engine.query("default", name, EVERYTHING, "select * order by `@timestamp`")
        return found.columns, found.column_types, found.rows


def _batch(record: Record) -> tuple[str, tuple[tuple[str, str], ...], bool]:
    return record.stream, tuple(record.tags.items()), record.fields is None


@pytest.fixture(scope="module", params=range(EXAMPLES or 3))
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("case"), request.param)
    yield case
    case.engine.close()


def test_a_count_a_histogram_and_a_select_have_all_hits(case: Case) -> None:
    for search in case.searches:
        query = case.write(search)
        hits = case.hits(query)
        count = case.engine.query("default", "demo", EVERYTHING, f"{query} | select count(*)")
        assert count.rows[0][0] == len(hits), query
        assert case.engine.histogram("default", "demo", EVERYTHING, query).hits == len(hits), query
        columns = "`@timestamp`, `@stream`, `@raw`"
        rows = case.engine.query("default", "demo", EVERYTHING, f"{query} | select {columns}").rows
        assert list(rows) == hits, query


def test_pages_have_all_hits_in_either_order(case: Case) -> None:
    for search in case.searches:
        query = case.write(search)
        hits = case.hits(query)
        limit = case.random.randrange(1, 4)
        for sort in Sort:
            expected = hits if sort is Sort.ASC else hits[::-1]
            for pages in (_by_marker, _by_number, _by_pull):
                assert pages(case.engine, query, limit, sort) == expected, (query, pages)
    pulled = case.engine.pull("default", "demo", EVERYTHING, limit=1000).records
    assert [(one.timestamp_ms, one.message) for one in pulled] == [
        (one.at_ms, one.raw) for one in case.records
    ]


def _by_marker(
    engine: LogStoreEngine, query: str, limit: int, sort: Sort
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    paging = Paging(limit=limit, sort=sort)
    while True:
        page = engine.query("default", "demo", EVERYTHING, query, paging)
        rows += [(row[0], row[2], row[3]) for row in page.rows]
        if page.next_marker is None:
            return rows
        paging = replace(paging, marker=page.next_marker)


def _by_number(
    engine: LogStoreEngine, query: str, limit: int, sort: Sort
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    while True:
        paging = Paging(limit=limit, offset=len(rows), sort=sort)
        page = engine.query("default", "demo", EVERYTHING, query, paging)
        rows += [(row[0], row[2], row[3]) for row in page.rows]
        if len(page.rows) < limit:
            return rows


def _by_pull(
    engine: LogStoreEngine, query: str, limit: int, sort: Sort
) -> list[tuple[object, ...]]:
    """By v3, which has no streams: they are looked up."""
    times: list[object] = []
    paging = Paging(limit=limit, sort=sort)
    while True:
        page = engine.pull_matching("default", "demo", EVERYTHING, query, paging)
        times += [record.timestamp_ms for record in page.records]
        if not page.next_marker:
            break
        paging = replace(paging, marker=page.next_marker)
    everything = engine.query("default", "demo", EVERYTHING, "match *", Paging(limit=1000)).rows
    by_time = {row[0]: (row[0], row[2], row[3]) for row in everything}
    return [by_time[at] for at in times]  # type: ignore[index]  # times of records


def test_searches_are_sets(case: Case) -> None:
    everything = case.hits("match *")
    for one, other in zip(case.searches, case.searches[1:], strict=False):
        ours, others = (set(case.hits(case.write(each))) for each in (one, other))
        assert set(case.hits(case.write(Both(one, other)))) == ours & others
        assert set(case.hits(case.write(Either(one, other)))) == ours | others
        assert set(case.hits(case.write(Not(one)))) == set(everything) - ours
        assert case.hits(case.write(Both(one, Not(one)))) == []


def test_a_download_has_all_hits(case: Case) -> None:
    for search in case.searches:
        query = case.write(search)
        uuid = case.engine.downloads.create(
            DownloadRequest(
                name="", project="default", log_store="demo", stream="", query=query, start="",
                end="", start_ms=0, end_ms=2 * NOW_MS, format="json", limit=0, order="asc",
                file_dir="",
            )
        )  # fmt: skip
        task = case.engine.downloads.describe(uuid)
        lines = case.engine.downloads.find_file(task.token).read_text("utf-8").split("\n")[:-1]
        rows = [json.loads(line) for line in lines]
        found = [(row["@timestamp"], row["@stream"], row["@raw"]) for row in rows]
        assert found == case.hits(query), query


def test_a_shipper_ships_all_records(case: Case) -> None:
    objects: dict[str, bytes] = {}

    class Buckets:
        def has_bucket(self, bucket: str) -> bool:
            return bucket == "logs"

        def put_object(self, _b: str, key: str, body: bytes, _t: str, **_more: object) -> None:
            objects[key] = body

        def delete_object(self, _bucket: str, key: str) -> None:
            objects.pop(key, None)

    case.engine.use_buckets(Buckets())
    case.engine.shippers.create(
        name="s",
        project="default",
        log_store="demo",
        start="",
        start_ms=NOW_MS - 60_000,
        settings=ShipperSettings(path="logs/x/"),
    )
    shipping = case.engine.jobs[0]
    shipping.run(NOW_S + 3600.0, lambda: False)
    shipped = b"".join(body for _, body in sorted(objects.items())).decode()
    assert shipped == "".join(f"{one.raw}\n" for one in case.records)


def test_a_view_finds_what_its_logstores_do(case: Case) -> None:
    settings = LogStoreSettings(retention_days=-1, index=case.index)
    case.engine.create_log_store("default", "empty", settings)
    for number, names in enumerate((["demo"], ["empty", "demo"])):
        stores = [ViewStore(project="default", name=name) for name in names]
        case.engine.views.create("default", f"view{number}", stores)
        for search in case.searches:
            query = case.write(search)
            assert case.hits(query, f"view{number}", VIEW) == case.hits(query), query


def test_elasticsearch_counts_the_same(case: Case) -> None:
    for search in [*case.searches, *_simple(case)]:
        text, hits = _query_string(search), case.hits(case.write(search))
        if text is None or isinstance(hits, str):
            continue
        body = {"query": {"query_string": {"query": text}}, "size": 1000}
        answer = case.engine.elastic.search("demo", body)
        assert len(answer["response"]["hits"]["hits"]) == len(hits), text


def _simple(case: Case) -> list[Search]:
    words: list[Search] = [
        Words(field, word)
        for field in (None, "m", "n", "k", "M")
        for word in ("get", "err", "a", "b", "登", "登录", "7", "200", "true", "é", "ERR")
    ]
    words += [
        Compare(field, operator, number)
        for field in "mn"
        for operator in (">=", "<")
        for number in (0, 7)
    ]
    pairs = [(case.random.choice(words), case.random.choice(words)) for _ in range(10)]
    return [
        *words,
        *(Both(*pair) for pair in pairs),
        *(Either(*pair) for pair in pairs),
        *map(Not, words[:9]),
    ]


def _query_string(search: Search) -> str | None:
    """The search for Elasticsearch, as far as it means the same there."""
    match search:
        case Everything():
            return "*"
        case Words(field, text) if (
            text.isalnum() and (field or "x").isalnum() and text not in {"Or", "and", "not"}
        ):
            return text if field is None else f"{field}:{text}"
        case Compare(field, operator, number) if operator != "=" and field.isalnum():
            return f"{field}:{operator}{number}"
        case Not(one) if (text := _query_string(one)) is not None:
            return f"(NOT {text})"
        case Both(one, other) | Either(one, other):
            texts = _query_string(one), _query_string(other)
            word = "AND" if isinstance(search, Both) else "OR"
            return None if None in texts else f"({texts[0]} {word} {texts[1]})"
    return None


def test_hits_are_the_same_after_a_restart(case: Case) -> None:
    before = case.all_hits()
    case.engine.close()
    case.engine = LogStoreEngine(case.path, case.clock, threads=1)
    assert case.all_hits() == before


def test_hits_are_the_same_once_an_index_is_what_it_was(case: Case) -> None:
    before = case.all_hits()
    settings = LogStoreSettings(retention_days=-1, index=case.index)
    for index in (make_index(case.random), None, make_index(case.random)):
        case.engine.update_log_store(
            "default", "demo", lambda _, i=index: replace(settings, index=i)
        )
        case.all_hits()
    case.engine.update_log_store("default", "demo", lambda _: settings)
    assert case.all_hits() == before


def test_hits_are_the_same_however_records_come(case: Case) -> None:
    before = case.all_hits()
    case.engine.create_log_store(
        "default", "apart", LogStoreSettings(retention_days=-1, index=case.index)
    )
    for record in case.records[::-1]:
        stream, tags, is_text = _batch(record)
        case.push("apart", [record], stream=stream, tags=dict(tags), is_text=is_text)
    assert case.all_hits("apart") == before


def test_hits_are_the_same_for_records_that_are_delivered(case: Case) -> None:
    texts = [one.raw for one in case.records if one.fields is not None]
    texts += [json.dumps({"other": number}) for number in range(OTHERS)]
    case.random.shuffle(texts)
    lines = [(NOW_MS + at, text) for at, text in enumerate(texts)]
    settings = LogStoreSettings(retention_days=-1, index=case.index)
    for name in ("pushed", "pieces", "segments"):
        case.engine.create_log_store("default", name, settings)
    push_lines(case.engine, "pushed", lines, "s")
    half = len(lines) // 2
    for number, part in enumerate((lines[:half], lines[half:])):
        deliver_lines(case.engine, "pieces", part, "s")
        deliver_segment(case.engine, "segments", case.path.with_name(f"{number}.seg"), part, "s")
    expected = case.all_hits("pushed"), case.rows("pushed")
    for name in ("pieces", "segments"):
        assert (case.all_hits(name), case.rows(name)) == expected, name


def test_hits_are_the_same_for_fields_without_a_column(case: Case) -> None:
    before = case.all_hits()
    fillers = json.dumps({f"filler {number}": number for number in range(FILLERS)})
    case.engine.create_log_store(
        "default", "wide", LogStoreSettings(retention_days=1, index=case.index)
    )
    old = NewRecord(message=fillers, timestamp_ms=NOW_MS - 2 * 86_400_000)
    case.engine.push("default", "wide", [old], record_type=RecordType.JSON)
    for record in case.records:
        stream, tags, is_text = _batch(record)
        case.push("wide", [record], stream=stream, tags=dict(tags), is_text=is_text)
    assert case.all_hits("wide") == before
    types = [
        case.engine.query("default", name, EVERYTHING, "select m, n, k, ok, `u/v~w`").column_types
        for name in ("demo", "wide")
    ]
    assert types[0] == types[1]


def test_hits_are_the_same_once_other_records_have_expired(case: Case) -> None:
    before = case.all_hits()
    settings = LogStoreSettings(retention_days=1, index=case.index)
    case.engine.create_log_store("default", "old", settings)
    old = [replace(one, at_ms=NOW_MS - 2 * 86_400_000 + at) for at, one in enumerate(case.records)]
    for record in (*old, *case.records):
        stream, tags, is_text = _batch(record)
        case.push("old", [record], stream=stream, tags=dict(tags), is_text=is_text)
    assert case.all_hits("old") == before
    retention = case.engine.jobs[2]
    retention.run(float(NOW_S), lambda: False)
    assert case.all_hits("old") == before
