"""Views: what they are over, aliases, indexes of their LogStores, what is refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    DownloadRequest,
    FastQueryContent,
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    Paging,
    RecordType,
    Selection,
    ViewColumn,
    ViewStore,
)
from simulator.logstore import queries as queries_module

NOW_S = 1_772_323_200
NOW_MS = NOW_S * 1000
DAY_MS = 86_400_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
VIEW = LogStoreType.LOGSTORE_VIEW
KEPT = LogStoreSettings(retention_days=-1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(float(NOW_S))


@pytest.fixture
def engine(clock: ManualClock) -> Iterator[LogStoreEngine]:
    """With the LogStores ``web`` and ``app``."""
    engine = LogStoreEngine(None, clock, threads=1)
    for name in ("web", "app"):
        engine.create_log_store("default", name, KEPT)
    yield engine
    engine.close()


def push(engine: LogStoreEngine, name: str, *records: object, at_ms: int = NOW_MS) -> None:
    """Texts go in as TEXT, anything else as JSON; all of the same time."""
    for record in records:
        text = isinstance(record, str)
        message = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        engine.push(
            "default",
            name,
            [NewRecord(message=message, timestamp_ms=at_ms)],
            record_type=RecordType.TEXT if text else RecordType.JSON,
        )


def store(name: str, project: str = "default", **aliases: str) -> ViewStore:
    """``alias="column"``."""
    columns = tuple(ViewColumn(column=column, alias=alias) for alias, column in aliases.items())
    return ViewStore(project=project, name=name, columns=columns)


def create(engine: LogStoreEngine, *stores: ViewStore, name: str = "v") -> None:
    engine.views.create("default", name, stores)


def rows(engine: LogStoreEngine, query: str, name: str = "v") -> list[tuple[object, ...]]:
    return list(engine.query("default", name, EVERYTHING, query, log_store_type=VIEW).rows)


def found(engine: LogStoreEngine, search: str) -> list[str]:
    """Raw texts of the hits, sorted."""
    return sorted(str(row[3]) for row in rows(engine, f"match {search}"))


def refusal(call: Callable[[], object]) -> tuple[str, int, str]:
    with pytest.raises(ControlError) as caught:
        call()
    return caught.value.code, caught.value.status, caught.value.message


# Fields


def test_an_alias_is_searched_and_selected_as_its_column(engine: LogStoreEngine) -> None:
    push(engine, "web", {"status": 500, "path": "/a b", "n": {"d": 1}})
    push(engine, "app", {"code": 500, "url": "/a"}, {"code": 200, "status": 7})
    create(engine, store("web", code="status", url="path", inner="n"), store("app"))
    assert len(rows(engine, "match code >= 500")) == 2
    assert [json.loads(one)["path"] for one in found(engine, "url:b")] == ["/a b"]
    assert rows(engine, "select code, count(*) as n group by code order by code") == [
        (200, 1),
        (500, 2),
    ]
    assert rows(engine, "select url where url is not null order by url") == [("/a",), ("/a b",)]
    assert rows(engine, "select `inner.d`, `inner` where `inner.d` = 1") == [("1", '{"d":1}')]
    # The column keeps its own name, and names of other LogStores are theirs.
    assert rows(engine, "select status where status is not null order by status") == [(7,), (500,)]


def test_aliases_can_change_places_and_hide(engine: LogStoreEngine) -> None:
    push(engine, "web", {"a": 1, "b": 2, "c": 3})
    create(engine, store("web", a="b", b="a", c="a"))
    assert rows(engine, "select a, b, c") == [(2, 1, 1)]
    assert rows(engine, "match a=2 and b=1 and c=1 | select count(*)") == [(1,)]


def test_star_shows_aliases_in_place_of_columns(engine: LogStoreEngine) -> None:
    push(engine, "web", {"status": 500, "host": "a"})
    push(engine, "app", {"code": 200, "user": "u"})
    create(engine, store("web", code="status"), store("app"))
    result = engine.query("default", "v", EVERYTHING, "select *", log_store_type=VIEW)
    assert result.columns == ("@timestamp", "@stream", "@raw", "code", "host", "user")
    assert [row[3:] for row in result.rows] == [(500, "a", None), (200, None, "u")]


def test_a_property_of_every_record_can_have_an_alias(engine: LogStoreEngine) -> None:
    push(engine, "web", "text")
    create(engine, store("web", at="@timestamp", line="@raw"), store("app"))
    assert rows(engine, "select at, line, length(line)") == [(NOW_MS, "text", 4)]
    assert found(engine, "line:text") == ["text"]


def test_an_alias_is_never_part_of_a_statement(engine: LogStoreEngine) -> None:
    push(engine, "web", {"x": 1})
    push(engine, "app", {"secret": 1})
    for number, name in enumerate(('"; drop table records_1; --', "a'b", "$t0", "records_2", "ts")):
        create(engine, store("web", **{name: "x"}), store("app"), name=f"v{number}")
        assert rows(engine, f"select `{name}` order by 1 desc", f"v{number}") == [(1,), (None,)]
        assert len(rows(engine, f"match `{name}`=1", f"v{number}")) == 1
    create(engine, store("web", x="') or 1=1 --"), name="odd")
    assert rows(engine, "select x", "odd") == [(None,)]


def test_values_are_of_the_kind_that_holds_those_of_all(engine: LogStoreEngine) -> None:
    push(engine, "web", {"i": 1, "f": 1, "t": 1, "b": True, "nil": None, "bt": True})
    push(engine, "app", {"i": 2, "f": 0.5, "t": "x", "b": False, "nil": 3, "bt": "x"})
    create(engine, store("web"), store("app"))
    result = engine.query(
        "default", "v", EVERYTHING, "select i, f, t, b, nil, bt, gone", log_store_type=VIEW
    )
    assert result.column_types == ("int", "float", "string", "bool", "int", "string", "string")
    assert result.rows == (
        (1, 1.0, "1", True, None, "true", None),
        (2, 0.5, "x", False, 3, "x", None),
    )
    assert rows(engine, "select sum(i), sum(f), sum(t), max(nil), count(gone)") == [
        (3, 1.5, 1.0, 3, 0)
    ]


def test_a_null_that_turns_out_to_be_text_is_text(engine: LogStoreEngine) -> None:
    push(engine, "web", {"x": None})
    push(engine, "app", {"x": 3})
    create(engine, store("web"), store("app"))
    assert rows(engine, "select sum(x)") == [(3,)]
    push(engine, "web", {"x": "late"})
    assert rows(engine, "select x where x is not null order by x") == [("3",), ("late",)]


def test_a_tag_is_named_by_its_key(engine: LogStoreEngine) -> None:
    record = NewRecord(message="tagged", timestamp_ms=NOW_MS)
    engine.push("default", "web", [record], tags={"rack": "r1"})
    push(engine, "app", {"rack": "r2"})
    create(engine, store("web", place="rack"), store("app", place="rack"))
    assert rows(engine, "select place, rack order by place") == [("r1", "r1"), ("r2", "r2")]
    assert found(engine, "place:r1") == ["tagged"]
    result = engine.query("default", "v", EVERYTHING, "match *", log_store_type=VIEW)
    assert result.tags == ({}, {"rack": "r1"})


def test_fields_beyond_those_remembered_are_found(engine: LogStoreEngine) -> None:
    many = {f"k{number}": number for number in range(1100)}
    long = "n" * 300
    push(engine, "web", many | {long: "l"}, {"n": {"d": 5}, "a.b": 6})
    push(engine, "app", {"x": 1})
    create(engine, store("web"), store("app"))
    assert rows(engine, f"select k1099, `{long}` where `{long}` = 'l'") == [("1099", "l")]
    assert rows(engine, "select max(n.d), max(`a.b`), max(x)") == [(5, 6, 1)]
    assert len(found(engine, f"k1099=1099 or `{long}`:l")) == 1


def test_a_field_with_a_name_too_long_to_be_remembered_is_found(engine: LogStoreEngine) -> None:
    long = "n" * 257
    push(engine, "web", {long: "l", "x": 1})
    create(engine, store("web"), store("app"))
    assert rows(engine, f"select x where `{long}` = 'l'") == [(1,)]


def test_records_alike_are_in_the_order_their_log_stores_were_made(engine: LogStoreEngine) -> None:
    create(engine, store("app"), store("web"))
    for name in ("app", "web"):
        push(engine, name, name)  # of one time, and the first of its LogStore: of one `@seq`
    assert [row[3] for row in rows(engine, "match *")] == ["app", "web"]  # the newest first
    assert rows(engine, "select `@raw`") == [("web",), ("app",)]
    assert rows(engine, "select first(`@raw`), last(`@raw`), group_array(`@raw`)") == [
        ("web", "app", '["web","app"]')
    ]


# Indexes


def index(name: str, type_: IndexType = IndexType.TEXT, **options: object) -> IndexSettings:
    field = IndexField(name=name, type=type_, **options)
    return IndexSettings(fulltext=True, fields=(field,), **options)


def test_each_log_store_is_searched_by_its_own_index(engine: LogStoreEngine) -> None:
    engine.indexes.create("default", "web", index("x", case_sensitive=True, separators="-"))
    push(engine, "web", {"x": "Big-one"}, {"x": "big two"})
    push(engine, "app", {"x": "BIG-ONE"}, {"x": "big two"})
    create(engine, store("web", y="x"), store("app", y="x"))
    assert found(engine, "y:Big") == ['{"x": "Big-one"}', '{"x": "big two"}']
    # In web `big two` is one word, in app two; `BIG-ONE` is one word in app.
    assert found(engine, "y:two") == ['{"x": "big two"}']
    assert found(engine, "y:one") == ['{"x": "Big-one"}']


def test_each_log_stores_index_gives_its_values_their_type(engine: LogStoreEngine) -> None:
    engine.indexes.create("default", "web", index("x", IndexType.LONG))
    push(engine, "web", {"x": "12"}, {"x": "none"})
    push(engine, "app", {"x": 30})
    create(engine, store("web", y="x"), store("app", y="x"))
    assert rows(engine, "select sum(y), count(y)") == [(42, 2)]
    assert rows(engine, "match y > 5 | select count(*)") == [(2,)]
    engine.indexes.create("default", "app", index("x", IndexType.TEXT))
    result = engine.query(
        "default", "v", EVERYTHING, "select y order by y desc limit 2", log_store_type=VIEW
    )
    assert (result.column_types, result.rows) == (("string",), (("30",), ("12",)))


def test_an_indexed_field_that_no_record_has_has_its_type(engine: LogStoreEngine) -> None:
    engine.indexes.create("default", "web", index("x", IndexType.LONG))
    push(engine, "app", "no field")
    create(engine, store("web"), store("app"))
    result = engine.query("default", "v", EVERYTHING, "select x", log_store_type=VIEW)
    assert (result.column_types, result.rows) == (("int",), ((None,),))


def test_a_log_store_that_insists_on_an_index_says_so(engine: LogStoreEngine) -> None:
    strict = LogStoreSettings(retention_days=-1, strict_search=True)
    engine.create_log_store("default", "strict", strict)
    create(engine, store("web"), store("strict", y="x"))
    within = Selection(start_ms=NOW_MS, end_ms=NOW_MS + 1000)
    for call in (
        lambda: rows(engine, "match y:1"),
        lambda: rows(engine, "match word | select count(*)"),
        lambda: engine.histogram("default", "v", within, "match *", log_store_type=VIEW),
    ):
        code, status, message = refusal(call)
        assert (code, status) == ("InvalidParameter", 400)
        assert message.endswith("(LogStore strict of the view v)")
    engine.indexes.create("default", "strict", index("x"))
    assert rows(engine, "match y:1 and word") == []


# What a view is over


def test_what_a_view_is_not_over_is_never_seen(engine: LogStoreEngine) -> None:
    push(engine, "web", {"x": 1})
    push(engine, "app", {"y": "hidden", "x": 2})
    create(engine, store("web"), name="one")
    create(engine, store("web"), name="v")
    for query in ("match hidden", "match y:*", "select y where y is not null"):
        assert rows(engine, query) == []
    engine.views.update("default", "v", [store("app")])
    assert rows(engine, "select y, x") == [("hidden", 2)]
    assert rows(engine, "select y, x", "one") == [(None, 1)]


def test_log_stores_of_other_projects_are_reached_by_theirs(engine: LogStoreEngine) -> None:
    engine.create_project("shop")
    engine.create_log_store("shop", "web", KEPT)
    engine.push("shop", "web", [NewRecord(message="of shop", timestamp_ms=NOW_MS)])
    push(engine, "web", "of default")
    create(engine, store("web", "shop"), store("web"))
    assert found(engine, "*") == ["of default", "of shop"]


def test_each_log_store_keeps_records_as_long_as_it_does(
    engine: LogStoreEngine, clock: ManualClock
) -> None:
    engine.create_log_store("default", "short", LogStoreSettings(retention_days=1))
    create(engine, store("web"), store("short"))
    for name in ("web", "short"):
        push(engine, name, f"old {name}", at_ms=NOW_MS - 2 * DAY_MS)
        push(engine, name, f"new {name}")
    assert found(engine, "*") == ["new short", "new web", "old web"]
    assert rows(engine, "select count(*)") == [(3,)]
    # What is compared with is an earlier range, of which retention has taken the same.
    earlier = "select compare(n, 172800) from (select count(*) as n)"
    within = Selection(start_ms=NOW_MS - 1000, end_ms=NOW_MS + 1000)
    result = engine.query("default", "v", within, earlier, log_store_type=VIEW)
    assert result.rows == (("[2.0,1.0,2.0]",),)


def test_a_log_store_deleted_meanwhile_is_named(engine: LogStoreEngine) -> None:
    create(engine, store("web"), store("app"))
    engine.delete_log_store("default", "app")
    within = Selection(start_ms=NOW_MS, end_ms=NOW_MS + 1000)
    for call in (
        lambda: rows(engine, "match *"),
        lambda: rows(engine, "select count(*)"),
        lambda: engine.pull("default", "v", within, log_store_type=VIEW),
        lambda: engine.histogram("default", "v", within, "match *", log_store_type=VIEW),
    ):
        assert refusal(call) == (
            "LogStoreNotFound",
            404,
            "LogStore [app] of the view [v] not exists",
        )
    engine.create_log_store("default", "app", KEPT)
    push(engine, "app", "anew")
    assert found(engine, "*") == ["anew"]


def test_a_log_store_deleted_while_it_is_read_is_named(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(engine, store("web"), store("app"))
    member = engine._origins._member

    def delete_then(*arguments: object) -> object:
        if engine.has_log_store("default", "app"):
            engine.delete_log_store("default", "app")
        return member(*arguments)

    monkeypatch.setattr(engine._origins, "_member", delete_then)
    view = engine.views.describe("default", "v")
    states = {one.name: engine._origins._state_of(view, one) for one in view.stores}
    monkeypatch.setattr(engine._origins, "_state_of", lambda _view, one: states[one.name])
    assert refusal(lambda: rows(engine, "match *"))[2] == (
        "LogStore [app] of the view [v] not exists"
    )


def test_records_pushed_while_a_view_is_read_are_not_half_there(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(engine, "web", {"x": 1})
    push(engine, "app", {"x": 2})
    create(engine, store("web"), store("app"))
    scan = queries_module._scan_size

    def push_after(*arguments: object) -> tuple[int, int]:
        size = scan(*arguments)
        push(engine, "app", {"x": 3, "new": 1})
        return size

    monkeypatch.setattr(queries_module, "_scan_size", push_after)
    assert rows(engine, "select x, new") == [(1, None), (2, None)]


def test_a_log_store_that_is_not_ready_is_named(engine: LogStoreEngine, clock: ManualClock) -> None:
    engine.ready_after_s = 5.0
    engine.create_log_store("default", "slow", KEPT)
    create(engine, store("web"), store("slow"))
    assert refusal(lambda: rows(engine, "match *")) == (
        "LogStoreNotReady",
        409,
        "LogStore [slow] of the view [v] not ready",
    )


# Making and changing


@pytest.mark.parametrize(
    ("stores", "code", "words"),
    [
        ([], "InvalidParameter", "expected 1 to 200"),
        ([store("gone")], "LogStoreNotFound", "LogStore [gone] not exists"),
        ([store("web", "gone")], "LogStoreNotFound", "LogStore [web] not exists"),
        (
            [store("web"), store("web", a="b")],
            "InvalidParameter",
            "[logstores[1].name] expected each",
        ),
        (
            [store("web", **{"@raw": "x"})],
            "InvalidParameter",
            "[logstores[0].extends[0].alias] expected",
        ),
        ([store("web", **{"": "x"})], "InvalidParameter", "logstores[0].extends"),
        ([store("web", a="")], "InvalidParameter", "logstores[0].extends"),
        ([store("app"), store("web", a="x" * 257)], "InvalidParameter", "logstores[1].extends"),
        (
            [
                ViewStore(
                    project="default",
                    name="web",
                    columns=(
                        ViewColumn(column="a", alias="c"),
                        ViewColumn(column="b", alias="c"),
                    ),
                )
            ],
            "InvalidParameter",
            "[logstores[0].extends[1].alias] expected",
        ),
        ([store(f"s{number}") for number in range(201)], "InvalidParameter", "expected 1 to 200"),
    ],
)
def test_refused_views(
    engine: LogStoreEngine, stores: list[ViewStore], code: str, words: str
) -> None:
    create(engine, store("web"), name="there")
    for call in (
        lambda: create(engine, *stores),
        lambda: engine.views.update("default", "there", stores),
    ):
        found_code, _, message = refusal(call)
        assert found_code == code
        assert words in message
    assert engine.views.describe("default", "there").stores == (store("web"),)
    assert len(engine.views.list_all()) == 1


def test_names_of_views_are_unique_in_their_project(engine: LogStoreEngine) -> None:
    create(engine, store("web"))
    assert refusal(lambda: create(engine, store("app")))[:2] == ("LogStoreViewAlreadyExist", 409)
    engine.create_project("shop")
    engine.views.create("shop", "v", [store("web")])
    assert refusal(lambda: engine.views.create("gone", "v", [store("web")]))[:2] == (
        "ProjectNotFound",
        404,
    )
    assert refusal(lambda: create(engine, store("web"), name="a b"))[:2] == (
        "InvalidParameter",
        400,
    )
    engine.views.delete("default", "v")
    assert [view.project for view in engine.views.list_all()] == ["shop"]
    for call in (
        lambda: engine.views.delete("default", "v"),
        lambda: engine.views.update("default", "v", [store("web")]),
        lambda: engine.views.describe("default", "v"),
        lambda: rows(engine, "match *"),
    ):
        assert refusal(call) == ("LogStoreViewNotFound", 404, "LogStoreView [v] not exists")


def test_a_log_store_may_have_the_name_of_a_view(engine: LogStoreEngine) -> None:
    create(engine, store("app"), name="web")
    push(engine, "app", "of the view")
    push(engine, "web", "of the LogStore")
    assert [row[3] for row in rows(engine, "match *", "web")] == ["of the view"]
    own = engine.query("default", "web", EVERYTHING, "match *").rows
    assert [row[3] for row in own] == ["of the LogStore"]


def test_a_project_with_views_stays(engine: LogStoreEngine) -> None:
    engine.create_project("shop")
    engine.views.create("shop", "v", [store("web")])
    assert refusal(lambda: engine.delete_project("shop"))[:2] == ("ProjectLogStoreNotEmpty", 409)
    engine.views.delete("shop", "v")
    engine.delete_project("shop")


def test_as_many_views_as_log_stores_fit_in_a_project(engine: LogStoreEngine) -> None:
    for number in range(200):
        create(engine, store("web"), name=f"v{number}")
    assert refusal(lambda: create(engine, store("web")))[:2] == ("ResourceOverflow", 403)


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: push(engine, "v", "x"),
        lambda engine: engine.query("default", "v", EVERYTHING, "match *"),
        lambda engine: engine.pull("default", "v", EVERYTHING),
        lambda engine: engine.indexes.create("default", "v", IndexSettings(fulltext=True)),
        lambda engine: engine.describe_log_store("default", "v"),
        lambda engine: engine.list_streams("default", "v"),
        lambda engine: create(engine, store("v"), name="of-a-view"),
    ],
)
def test_a_view_is_no_log_store_and_that_is_said(
    engine: LogStoreEngine, call: Callable[[LogStoreEngine], object]
) -> None:
    create(engine, store("web"))
    code, status, message = refusal(lambda: call(engine))
    assert (code, status) == ("LogStoreNotFound", 404)
    assert "it is a view" in message


def test_views_and_what_names_them_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    clock = ManualClock(float(NOW_S))
    engine = LogStoreEngine(path, clock, downloads=tmp_path / "files")
    for name in ("web", "app"):
        engine.create_log_store("default", name, KEPT)
        push(engine, name, {"status": len(name), "of": name})
    push(engine, "app", {"code": 9})
    create(engine, store("app", code="status"), store("web"))
    content = FastQueryContent(
        query="match *", project="default", log_store="v", log_store_type=VIEW
    )
    engine.fast_queries.create("q", content)
    uuid = engine.downloads.create(download("match *"))
    views = engine.views.list_all()
    engine.close()
    engine = LogStoreEngine(path, clock, downloads=tmp_path / "files")
    assert engine.views.list_all() == views
    assert engine.fast_queries.describe("q").content == content
    assert engine.downloads.describe(uuid).request.log_store_type is VIEW
    assert engine.downloads.describe(uuid).written_rows == 3
    assert rows(engine, "select code, count(*) group by code") == [(3, 1), (None, 2)]
    engine.close()


def download(query: str, name: str = "v") -> DownloadRequest:
    return DownloadRequest(
        name="",
        project="",
        log_store=name,
        stream="",
        query=query,
        start="",
        end="",
        start_ms=0,
        end_ms=2**53,
        format="json",
        limit=0,
        order="asc",
        file_dir="",
        log_store_type=VIEW,
    )


def test_a_download_of_a_view_has_all_its_pages(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.logstore.downloads.PAGE_ROWS", 3)
    create(engine, store("app"), store("web"))
    for name in ("web", "app"):
        push(engine, name, *(f"{name}{number}" for number in range(5)))
    task = engine.downloads.describe(engine.downloads.create(download("match *")))
    lines = engine.downloads.find_file(task.token).read_text().splitlines()
    names = [json.loads(line)["@raw"] for line in lines]
    assert names[0] == "web0"  # its LogStore was made first, and all are of one time
    assert sorted(names) == sorted(f"{n}{k}" for n in ("web", "app") for k in range(5))
    assert refusal(lambda: engine.downloads.create(download("match *", "web")))[0] == (
        "LogStoreViewNotFound"
    )


def test_a_large_search_over_many_log_stores_is_refused_or_answered(
    engine: LogStoreEngine,
) -> None:
    names = [f"m{number}" for number in range(40)]
    for name in names:
        engine.create_log_store("default", name, KEPT)
        push(engine, name, {"x": name})
    create(engine, *(store(name) for name in names))
    assert rows(engine, "match x:m7 or x:m9 | select count(*), count(distinct x)") == [(2, 2)]
    page = engine.query(
        "default", "v", EVERYTHING, "match *", Paging(limit=30), log_store_type=VIEW
    )
    assert (len(page.rows), page.scan_count) == (30, 40)
    long = " or ".join(f"field{number}:w{number}" for number in range(290))
    assert refusal(lambda: rows(engine, f"match {long}"))[:2] == ("InvalidParameter", 400)
