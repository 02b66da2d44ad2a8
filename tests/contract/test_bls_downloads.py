"""Download tasks, as the Go SDK's own tests ask for them, and the files behind their links."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bls_served import START_MS, START_S, Served

from simulator.clock import ManualClock
from simulator.logstore import (
    DownloadFormat,
    DownloadRequest,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    QueryResult,
    RecordType,
    Sort,
)
from simulator.logstore import downloads as downloads_module

TASK = "/v2/logstore/download"
DAY = 86_400.0
RANGE = {"queryStartTime": "2026-03-01T00:00:00Z", "queryEndTime": "2026-03-01T01:00:00Z"}
GO_BODY = {
    "name": "",
    "project": "",
    "logStoreName": "access",
    "logStreamName": "",
    "query": "",
    "format": "",
    "limit": 0,
    "order": "",
    "fileDir": "",
    **RANGE,
}
TEXTS = ['{"status": 200, "x": "a,\\"b\\""}', '{"status": 404}', '{"status": 500}']


def push(engine: LogStoreEngine) -> None:
    records = [
        NewRecord(message=text, timestamp_ms=START_MS + n * 1000) for n, text in enumerate(TEXTS)
    ]
    engine.push("default", "access", records, stream="web", record_type=RecordType.JSON)


async def create(served: Served, **changes: object) -> str:
    status, answer = await served.go("POST", TASK, GO_BODY | changes)
    assert status == 200, answer
    return str(answer["result"]["uuid"])


async def fetch(link: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(link) as response:
        return response.status, await response.text()


async def test_a_task_lives_as_the_sdk_tests_say(served: Served) -> None:
    push(served.engine)
    uuid = await create(
        served, name="test", query="match status >= 404", format="json", limit=50, order="asc"
    )
    _, listed = await served.go(
        "POST", f"{TASK}/list", {"project": "default", "logStoreName": "cc"}
    )
    assert (listed["result"]["total"], len(listed["result"]["tasks"])) == (1, 1)
    _, described = await served.go("GET", f"{TASK}/{uuid}")
    task = described["result"]["task"]
    assert listed["result"]["tasks"] == [task]
    name = task.pop("fileName")
    assert name.startswith("test_json_20260301081000_")
    assert name.endswith(".json")
    assert task == {
        "uuid": uuid,
        "name": "test",
        "project": "",
        "logStoreName": "access",
        "logStreamName": "",
        "query": "match status >= 404",
        **RANGE,
        "format": "json",
        "limit": 50,
        "orderBy": "@timestamp",
        "order": "asc",
        "state": "SUCCESS",
        "failedCode": "",
        "failedMessage": "",
        "retry": 0,
        "writtenRows": 2,
        "fileDir": "",
        "execStartTime": "2026-03-01T00:10:00Z",
        "execEndTime": "2026-03-01T00:10:00Z",
        "createdTime": "2026-03-01T00:10:00Z",
        "updatedTime": "2026-03-01T00:10:00Z",
    }
    _, linked = await served.go("GET", f"{TASK}/link/{uuid}")
    assert (linked["result"]["fileDir"], linked["result"]["fileName"]) == ("", name)
    status, text = await fetch(linked["result"]["link"])
    assert status == 200
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["@timestamp"], row["@stream"], row["@raw"]) for row in rows] == [
        (START_MS + 1000, "web", TEXTS[1]),
        (START_MS + 2000, "web", TEXTS[2]),
    ]
    assert (await served.go("DELETE", f"{TASK}/{uuid}"))[0] == 200
    assert (await fetch(linked["result"]["link"]))[0] == 404
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/link")):
        status, answer = await served.go(method, f"{TASK}{path}/{uuid}")
        assert (status, answer["code"]) == (404, "DownloadTaskNotFound")
        assert answer["message"] == "Download task not found"


async def test_defaults_and_csv(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads_module, "PAGE_ROWS", 2)
    push(served.engine)
    uuid = await create(served)
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert {key: task[key] for key in GO_BODY} == GO_BODY, "echoed as it was sent"
    assert (task["writtenRows"], task["fileName"][:14]) == (3, "download_json_")
    link = (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"]
    _, text = await fetch(link)
    assert [json.loads(line)["@raw"] for line in text.splitlines()] == TEXTS[::-1]

    uuid = await create(served, format="csv", order="asc", limit=3, name="a b")
    link = (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"]
    _, text = await fetch(link)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["@timestamp", "@seq", "@stream", "@raw"]
    assert [row[3] for row in rows[1:]] == TEXTS

    sql = "select status, count(*) as n group by status order by status desc"
    uuid = await create(served, format="csv", query=sql, limit=2)
    link = (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"]
    assert (await fetch(link))[1] == "status,n\n500,1\n404,1\n"
    uuid = await create(served, format="csv", query="match nothing")
    link = (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"]
    assert (await fetch(link))[1] == "@timestamp,@seq,@stream,@raw\n"


async def test_what_is_not_sent_is_described_with_its_default(served: Served) -> None:
    push(served.engine)
    _, made = await served.go("POST", TASK, {"logStoreName": "access", **RANGE})
    uuid = made["result"]["uuid"]
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert {key: task[key] for key in GO_BODY} == GO_BODY | {
        "project": "default",
        "query": "match *",
        "format": "json",
        "limit": 1_000_000,
        "order": "desc",
    }
    assert task["writtenRows"] == 3
    _, listed = await served.go("POST", f"{TASK}/list", {"project": "default"})
    assert [one["uuid"] for one in listed["result"]["tasks"]] == [uuid]


async def test_an_empty_project_is_listed_as_the_default_one(served: Served) -> None:
    uuid = await create(served, project="")
    for project, found in (("default", [uuid]), ("", [uuid]), ("other", [])):
        _, listed = await served.go("POST", f"{TASK}/list", {"project": project})
        assert [one["uuid"] for one in listed["result"]["tasks"]] == found


async def test_a_directory_of_a_bucket_gets_the_file(served: Served) -> None:
    push(served.engine)
    uuid = await create(served, name="n", fileDir="logs/a/b/", limit=1)
    _, linked = await served.go("GET", f"{TASK}/link/{uuid}")
    result = linked["result"]
    assert result["fileDir"] == "logs/a/b/"
    key = f"a/b/{result['fileName']}"
    assert result["link"] == f"http://objects/logs/{key}"
    assert json.loads(served.buckets.objects["logs"][key])["@raw"] == TEXTS[2]
    await served.advance(30 * DAY)
    assert (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]["state"] == "SUCCESS"


async def test_a_statement_that_fails_makes_a_failed_task(served: Served) -> None:
    uuid = await create(served, query="select nonsense(")
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert (task["state"], task["failedCode"], task["writtenRows"]) == (
        "FAILED",
        "InvalidParameter",
        0,
    )
    assert "at character" in task["failedMessage"]
    assert (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"] == ""


async def test_a_disk_that_refuses_makes_a_failed_task(served: Served) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    served.buckets.put_object = refuse
    uuid = await create(served, fileDir="logs/a/")
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert (task["state"], task["failedCode"]) == ("FAILED", "InternalError")
    assert "No space left" in task["failedMessage"]


async def test_a_logstore_that_is_made_anew_is_not_in_the_file_of_the_old(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads_module, "PAGE_ROWS", 2)
    engine = served.engine
    push(engine)
    query = engine.query
    pages = 0

    def query_then_replace(*args: Any, **kwargs: Any) -> QueryResult:
        nonlocal pages
        found = query(*args, **kwargs)
        pages += 1
        if pages == 1:
            engine.delete_log_store("default", "access")
            engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
            push(engine)
        return found

    monkeypatch.setattr(engine.downloads, "_query", query_then_replace)
    uuid = await create(served, fileDir="logs/a/")
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert (task["state"], task["failedCode"]) == ("FAILED", "LogStoreNotFound")
    assert served.buckets.objects["logs"] == {}


async def test_files_expire_on_the_clock(served: Served) -> None:
    uuid = await create(served)
    link = (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"]
    await served.advance(7 * DAY - 1)
    assert (await fetch(link))[0] == 200
    await served.advance(1)
    assert (await fetch(link))[0] == 404
    task = (await served.go("GET", f"{TASK}/{uuid}"))[1]["result"]["task"]
    assert task["state"] == "EXPIRED"
    assert (await served.go("GET", f"{TASK}/link/{uuid}"))[1]["result"]["link"] == ""


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"logStoreName": "gone"}, 404, "LogStoreNotFound"),
        ({"logStoreName": ""}, 400, "InvalidParameter"),
        ({"queryStartTime": ""}, 400, "InvalidParameter"),
        ({"queryEndTime": "2026-03-01T00:00:00Z"}, 400, "InvalidParameter"),
        ({"format": "xml"}, 400, "InvalidParameter"),
        ({"order": "up"}, 400, "InvalidParameter"),
        ({"limit": 1_000_001}, 400, "InvalidParameter"),
        ({"limit": -1}, 400, "InvalidParameter"),
        ({"fileDir": "missing/dir/"}, 400, "InvalidParameter"),
        ({"fileDir": "../etc"}, 400, "InvalidParameter"),
        ({"fileDir": "logs/a\nb/"}, 400, "InvalidParameter"),
        ({"fileDir": "logs/" + "d" * 252}, 400, "InvalidParameter"),
        ({"name": "../../etc/passwd"}, 400, "InvalidParameter"),
        ({"name": "n" * 129}, 400, "InvalidParameter"),
    ],
)
async def test_refused_tasks(
    served: Served, changes: dict[str, object], status: int, code: str
) -> None:
    got, answer = await served.go("POST", TASK, GO_BODY | changes)
    assert (got, answer["code"]) == (status, code)
    assert served.engine.downloads.list_all() == []


async def test_a_link_cannot_be_guessed(served: Served) -> None:
    base = f"http://127.0.0.1:{served.port}/_sim/downloads"
    for path in ("", "/x", "/x/y.json", "/..%2F..%2Fetc/passwd"):
        assert (await fetch(base + path))[0] in {404, 405}


def test_files_and_tasks_outlive_the_process(tmp_path: Path) -> None:
    clock = ManualClock(float(START_S))
    files = tmp_path / "downloads"

    def opened() -> LogStoreEngine:
        return LogStoreEngine(tmp_path / "db", clock, downloads=files)

    engine = opened()
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    push(engine)
    uuid = engine.downloads.create(
        DownloadRequest(
            name="",
            project="default",
            log_store="access",
            stream="",
            query="match *",
            start="",
            end="",
            start_ms=0,
            end_ms=2**50,
            format=DownloadFormat.JSON,
            limit=10,
            order=Sort.ASC,
            file_dir="",
        )
    )
    task = engine.downloads.describe(uuid)
    (files / "of-a-task-that-was-killed").write_text("half")
    engine.close()
    again = opened()
    assert again.downloads.list_all() == [task]
    assert len(again.downloads.find_file(task.token).read_text().splitlines()) == 3
    assert [file.name for file in files.iterdir()] == [uuid]
    again.close()
