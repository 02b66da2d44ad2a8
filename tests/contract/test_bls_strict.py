"""LogStores that insist on an index, wherever a search may come from."""

from pathlib import Path

import pytest
from bls_served import FROM, START_MS, TO, Served
from worlds import call, up

RANGE = f"startDateTime={FROM}&endDateTime={TO}"
STORE = "/v1/logstore/demo"
RECORDS = f"{STORE}/logrecord?{RANGE}"
HISTOGRAM = f"/v2/logstore/demo/loghistogram?{RANGE}"
PULL_V3 = f"/v3/logstore/demo/logrecord/pull?{RANGE}"
WORD, NUMBER, EVERYTHING = "match%20boom", "match%20status%20%3E%3D%20500", "match%20%2A"
INDEX = {"fulltext": True, "fields": {"status": {"type": "long"}}}
TASK = {"logStoreName": "demo", "queryStartTime": FROM, "queryEndTime": TO}
NO_WORDS = "the LogStore has no full-text index, which a word needs"
NO_FIELD = "the field status has no index"
SCENARIO = """\
version: 1
clock: {mode: manual, start: "2026-03-01T08:10:00+08:00"}
account: {auth: off}
log_service: {search: strict}
log_stores: [{name: theirs}, {name: free, search: lenient}]
"""


@pytest.fixture
async def strict(served: Served) -> Served:
    served.engine.strict_search = True
    body = {"logStoreName": "demo", "retention": 7}
    assert (await served.go("POST", "/v1/logstore", body))[0] == 200
    records = [
        {"message": '{"status": 500, "text": "boom"}', "timestamp": START_MS},
        {"message": '{"status": 200, "text": "fine"}', "timestamp": START_MS + 1000},
    ]
    pushed = {"type": "JSON", "logRecords": records}
    assert (await served.go("POST", f"{STORE}/logrecord", pushed))[0] == 200
    return served


async def refusal(served: Served, target: str) -> str:
    status, answer = await served.go("GET", target)
    assert (status, answer["code"]) == (400, "InvalidParameter"), answer
    return str(answer["message"]).rpartition(": ")[2]


async def download(served: Served, query: str) -> dict[str, object]:
    _, made = await served.go("POST", "/v2/logstore/download", TASK | {"query": query})
    _, found = await served.go("GET", f"/v2/logstore/download/{made['result']['uuid']}")
    task: dict[str, object] = found["result"]["task"]
    return task


async def validated(served: Served, query: str) -> tuple[object, object]:
    body = {"logStores": [{"logStoreName": "demo"}], "query": query}
    _, answer = await served.go("POST", "/v1/logstore/validate", body)
    return answer["result"]["valid"], answer["result"]["reason"]


@pytest.mark.parametrize("path", [RECORDS, PULL_V3, HISTOGRAM])
async def test_a_search_needs_its_index(strict: Served, path: str) -> None:
    missing = "the LogStore has no index, which a histogram needs"
    is_histogram = path == HISTOGRAM
    assert await refusal(strict, f"{path}&query={WORD}") == (missing if is_histogram else NO_WORDS)
    assert await refusal(strict, f"{path}&query={NUMBER}") == (
        missing if is_histogram else NO_FIELD
    )
    assert (await strict.go("POST", f"{STORE}/index", {"fulltext": True}))[0] == 200
    assert (await strict.go("GET", f"{path}&query={WORD}"))[0] == 200
    assert await refusal(strict, f"{path}&query={NUMBER}") == NO_FIELD
    assert (await strict.go("PUT", f"{STORE}/index", INDEX))[0] == 200
    assert (await strict.go("GET", f"{path}&query={NUMBER}"))[0] == 200


async def test_everything_and_sql_need_none(strict: Served) -> None:
    for query in (EVERYTHING, "select%20status%20where%20status%20%3E%3D%20500"):
        _, answer = await strict.go("GET", f"{RECORDS}&query={query}")
        assert len(answer["resultSet"]["rows"]) == (2 if query == EVERYTHING else 1)
    _, page = await strict.go("GET", f"{PULL_V3}&query={EVERYTHING}")
    assert len(page["result"]) == 2
    assert (await strict.go("GET", RECORDS))[0] == 200


async def test_a_histogram_of_everything_needs_some_index(strict: Served) -> None:
    for query in (EVERYTHING, "select%20count(%2A)"):
        assert (await refusal(strict, f"{HISTOGRAM}&query={query}")).startswith("the LogStore has")
    await strict.go("POST", f"{STORE}/index", {"fields": {"other": {"type": "text"}}})
    _, answer = await strict.go("GET", f"{HISTOGRAM}&query={EVERYTHING}")
    assert answer["searchInfo"]["hits"] == 2


async def test_downloads_need_it_too(strict: Served) -> None:
    task = await download(strict, "match status >= 500")
    assert (task["state"], task["failedCode"]) == ("FAILED", "InvalidParameter")
    assert str(task["failedMessage"]).endswith(NO_FIELD)
    await strict.go("POST", f"{STORE}/index", INDEX)
    task = await download(strict, "match status >= 500")
    assert (task["state"], task["writtenRows"]) == ("SUCCESS", 1)


async def test_alarms_need_it_too(strict: Served) -> None:
    query = "match boom | select count(*) as n"
    valid, reason = await validated(strict, query)
    assert valid is False
    assert str(reason).endswith(NO_WORDS)
    target = {"query": query, "startTimeOffsetMinute": -60, "object": {"logStoreName": "demo"}}
    policy = {
        "name": "booms",
        "targets": [target],
        "triggerConditions": [{"level": "WARN", "condition": "$1.n > 0"}],
        "schedule": {"intervalMinute": 5},
    }
    assert (await strict.go("POST", "/v1/alarm/policy", policy))[0] == 200
    await strict.advance(300)
    assert await ran(strict) == ["FAIL"]
    await strict.go("POST", f"{STORE}/index", INDEX)
    assert (await validated(strict, query))[0] is True
    await strict.advance(300)
    assert await ran(strict) == ["ALERT", "FAIL"]


async def ran(served: Served) -> list[str]:
    _, answer = await served.go("POST", "/v1/alarm/execution/list", {})
    return [one["state"] for one in answer["result"]["executions"]]


async def test_an_index_from_a_template_serves(served: Served) -> None:
    served.engine.strict_search = True
    template = {
        "name": "t",
        "projectPatterns": ["*"],
        "logstorePatterns": ["de*"],
        "priority": 1,
        "template": {"retention": 3, "index": INDEX},
    }
    made = await served.go("POST", "/v3/bls?action=CreateLogStoreTemplate", template)
    assert made[0] == 200
    assert (await served.go("POST", "/v1/logstore", {"logStoreName": "demo"}))[0] == 200
    assert (await served.go("GET", f"{RECORDS}&query={NUMBER}"))[0] == 200
    assert await refusal(served, f"{RECORDS}&query=match%20x%3Ay") == "the field x has no index"


async def test_a_scenario_says_it_for_all_that_do_not(tmp_path: Path) -> None:
    async with up(tmp_path, SCENARIO) as world:
        made = {"logStoreName": "mine", "retention": 1}
        assert (await call(world, "POST", "/v1/logstore", made))[0] == 200
        statuses = {}
        for name in ("theirs", "free", "mine"):
            target = f"/v1/logstore/{name}/logrecord?{RANGE}&query=match%20boom"
            statuses[name], _ = await call(world, "GET", target)
    assert statuses == {"theirs": 400, "free": 200, "mine": 400}
