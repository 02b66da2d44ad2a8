"""Alarm policies, and the alarms that they really raise on the clock."""

import json

import pytest
from bls_served import Served

from simulator.logstore import (
    LogStoreSettings,
    NewRecord,
    RecordType,
)

POLICY = "/v1/alarm/policy"
DONE = (200, {"success": True, "code": "OK", "message": ""})
TARGET = {
    "query": "match status >= 500 | select count(*) as bad, max(status) as worst",
    "startTimeOffsetMinute": -5,
    "endTimeOffsetMinute": 0,
    "object": {"project": "", "logStoreName": "access"},
}
BODY = {
    "name": "errors",
    "targets": [TARGET],
    "triggerConditions": [
        {"level": "WARN", "condition": "$1.bad > 0"},
        {"level": "CRITICAL", "condition": "$1.bad >= 3 && $1.worst == 503"},
    ],
    "schedule": {"intervalMinute": 5},
    "notices": [{"name": "n", "methods": ["EMAIL"], "callbacks": []}],
    "noticeState": "ENABLED",
    "repeatIntervalMinute": 10,
}


def push(served: Served, *statuses: int) -> None:
    records = [NewRecord(message=f'{{"status":{status}}}') for status in statuses]
    served.engine.push("default", "access", records, record_type=RecordType.JSON)


async def alarms(served: Served, **asked: object) -> list[dict[str, object]]:
    _, answer = await served.go("POST", "/v1/alarm/record/list", asked)
    return answer["result"]["alarms"]


async def executions(served: Served, **asked: object) -> list[dict[str, object]]:
    _, answer = await served.go("POST", "/v1/alarm/execution/list", {"order": "asc", **asked})
    return answer["result"]["executions"]


async def test_a_policy_is_made_described_listed_and_deleted(served: Served) -> None:
    assert (await served.go("POST", POLICY, BODY)) == DONE
    status, answer = await served.go("POST", POLICY, BODY)
    assert (status, answer["code"]) == (409, "AlarmPolicyAlreadyExist")
    _, found = await served.go("GET", f"{POLICY}?PolicyName=errors")
    policy = found["policy"]
    id_ = policy.pop("id")
    assert policy == {
        **BODY,
        "objects": [],
        "targets": [{**TARGET, "object": {"project": "default", "logStoreName": "access"}}],
        "groups": [],
        "pendingCount": 1,
        "recoverWithoutNotice": False,
        "recoverAlarmNotice": True,
        "state": "ENABLED",
        "noticeRawLogs": [],
        "noticeRawConfigs": [],
        "noticeWithRawLog": False,
        "createdTime": "2026-03-01T00:10:00Z",
        "updatedTime": "2026-03-01T00:10:00Z",
    }
    await served.advance(1)
    daily = {**BODY, "schedule": {"fixTimeMinute": 30, "dayOfWeek": 1}, "state": "DISABLED"}
    assert (await served.go("PUT", POLICY, daily)) == DONE
    _, found = await served.go("GET", f"{POLICY}?name=errors")
    assert found["policy"]["schedule"] == {"fixTimeMinute": 30, "dayOfWeek": 1}
    assert found["policy"]["updatedTime"] == "2026-03-01T00:10:01Z"

    async def count(**asked: object) -> int:
        _, answer = await served.go("POST", f"{POLICY}/list", asked)
        assert len(answer["result"]["policies"]) == answer["result"]["totalCount"]
        return int(answer["result"]["totalCount"])

    assert await count(policyNamePattern="err", policyIdPattern=id_[3:9], pageSize=100) == 1
    assert await count(logStoreNamePattern="acc", state="DISABLED", noticeState="ENABLED") == 1
    assert await count(logStoreNamePattern="x") == 0
    assert await count(state="ENABLED") == 0
    assert await count(noticeState="DISABLED") == 0
    assert (await served.go("POST", f"{POLICY}/enable", {"names": ["errors"]})) == DONE
    assert await count(state="ENABLED") == 1
    assert await count(state="ENABLE") == 1
    status, answer = await served.go("POST", f"{POLICY}/disable", {"names": ["errors", "gone"]})
    assert (status, answer["code"]) == (404, "AlarmPolicyNotFound")
    assert await count(state="ENABLED") == 1
    assert (await served.go("DELETE", POLICY, {"names": ["errors"]})) == DONE
    for method, target, body in (
        ("GET", f"{POLICY}?PolicyName=errors", None),
        ("PUT", POLICY, BODY),
        ("PUT", POLICY, {**BODY, "id": id_}),
        ("DELETE", POLICY, {"names": ["errors"]}),
    ):
        status, answer = await served.go(method, target, body)
        assert (status, answer["code"]) == (404, "AlarmPolicyNotFound")
    for name in ("alarmId", "id"):
        _, answer = await served.go("GET", f"/v1/alarm/record?{name}=x")
        assert answer["message"] == "Alarm [x] not found"


async def test_an_id_lets_a_policy_have_another_name(served: Served) -> None:
    for name in ("errors", "other"):
        await served.go("POST", POLICY, {**BODY, "name": name})
    _, found = await served.go("GET", f"{POLICY}?name=errors")
    id_ = found["policy"]["id"]
    status, answer = await served.go("PUT", POLICY, {**BODY, "id": id_, "name": "other"})
    assert (status, answer["code"]) == (409, "AlarmPolicyAlreadyExist")
    assert (await served.go("PUT", POLICY, {**BODY, "id": id_, "name": "new"})) == DONE
    assert [one.name for one in served.engine.alarms.list_policies()] == ["other", "new"]
    assert (await served.go("GET", f"{POLICY}?name=new"))[1]["policy"]["id"] == id_


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": ""}, 400),
        ({"targets": []}, 400),
        ({"targets": [{**TARGET, "startTimeOffsetMinute": -1441}]}, 400),
        ({"targets": [{**TARGET, "startTimeOffsetMinute": 0}]}, 400),
        ({"targets": [{**TARGET, "endTimeOffsetMinute": -5}]}, 400),
        ({"targets": [TARGET] * 4}, 400),
        ({"targets": [{**TARGET, "query": "drop table x"}]}, 400),
        ({"targets": [{**TARGET, "object": None}]}, 400),
        ({"objects": [{"logStoreName": "access"}] * 11}, 400),
        ({"objects": [{"logStoreName": "gone"}]}, 404),
        ({"groups": [""]}, 400),
        ({"repeatIntervalMinute": -1}, 400),
        ({"noticeState": "ON"}, 400),
        ({"targets": [{**TARGET, "object": {"logStoreName": "gone"}}]}, 404),
        ({"triggerConditions": []}, 400),
        ({"triggerConditions": [{"level": "FATAL", "condition": "$1.a > 1"}]}, 400),
        ({"triggerConditions": [{"level": "INFO", "condition": "$1.a >"}]}, 400),
        ({"triggerConditions": [{"level": "INFO", "condition": "$2.a > 1"}]}, 400),
        ({"schedule": {}}, 400),
        ({"schedule": {"intervalMinute": 0}}, 400),
        ({"notices": [{"name": "n", "methods": ["FAX"]}]}, 400),
        ({"notices": ["n"]}, 400),
        ({"noticeRawLogs": [{"type": "REF", "limit": 6}]}, 400),
        ({"noticeRawLogs": [{"type": "ALL"}]}, 400),
        ({"schedule": {"intervalMinute": 1441}}, 400),
        ({"schedule": {"fixTimeMinute": 1440}}, 400),
        ({"schedule": {"fixTimeMinute": 1, "dayOfWeek": 8}}, 400),
        ({"pendingCount": 1001}, 400),
        ({"state": "ON"}, 400),
    ],
)
async def test_refused_policies(served: Served, changes: dict[str, object], status: int) -> None:
    got, answer = await served.go("POST", POLICY, BODY | changes)
    assert (got, answer["code"]) == (
        status,
        "InvalidParameter" if status == 400 else "LogStoreNotFound",
    )
    assert served.engine.alarms.list_policies() == []


async def test_each_condition_that_holds_has_an_alarm_until_it_does_not(served: Served) -> None:
    await served.go("POST", POLICY, BODY)
    push(served, 200, 500)
    await served.advance(299)
    assert await alarms(served) == []
    await served.advance(1)  # 00:15, over 00:10 to 00:15
    (alarm,) = await alarms(served)
    policy = alarm.pop("policy")
    assert (policy["name"], policy["notices"]) == ("errors", BODY["notices"])
    id_ = alarm.pop("id")
    assert alarm == {
        "groupId": "",
        "startTime": "2026-03-01T00:15:00Z",
        "endTime": "",
        "state": "ALERT",
        "closeReason": "",
        "object": {"project": "default", "logStoreName": "access"},
        "triggerCondition": {"level": "WARN", "condition": "$1.bad > 0"},
        "groups": {},
    }
    push(served, 503, 503, 502)
    await served.advance(300)
    newest, oldest = await alarms(served)
    assert (newest["triggerCondition"]["level"], newest["startTime"]) == (
        "CRITICAL",
        "2026-03-01T00:20:00Z",
    )
    assert oldest["id"] == id_
    assert len(await alarms(served, level="WARN", logStoreNamePattern="acc")) == 1
    assert await alarms(served, logStoreNamePattern="x") == []
    push(served, 500)
    await served.advance(300)
    assert [one["state"] for one in await alarms(served, orderBy="endTime")] == ["ALERT", "OK"]
    await served.advance(300)
    newest, oldest = await alarms(served)
    assert [(one["state"], one["endTime"]) for one in (newest, oldest)] == [
        ("OK", "2026-03-01T00:25:00Z"),
        ("OK", "2026-03-01T00:30:00Z"),
    ]
    assert await alarms(served, endDateTime="2026-03-01T00:15:00Z") == []
    _, answer = await served.go("GET", f"/v1/alarm/record?alarmId={newest['id']}")
    assert [
        (one["time"], one["state"], one["values"]) for one in answer["alarm"].pop("executions")
    ] == [
        ("2026-03-01T00:25:00Z", "ALERT", {"$1.bad": 1}),
        ("2026-03-01T00:20:00Z", "ALERT", {"$1.bad": 3, "$1.worst": 503}),
    ]
    assert answer["alarm"] == newest
    found = await executions(served)
    assert [(one["time"], one["state"], one["noticeState"]) for one in found] == [
        ("2026-03-01T00:15:00Z", "ALERT", "NOT_SENT"),
        ("2026-03-01T00:20:00Z", "ALERT", "NOT_SENT"),  # the critical one is new
        ("2026-03-01T00:25:00Z", "ALERT", "NOT_SENT"),  # the warning is ten minutes old
        ("2026-03-01T00:30:00Z", "OK", "NOT_SENT"),
    ]
    assert (found[0]["policyName"], found[0]["reason"], found[0]["notices"]) == ("errors", "", [])
    assert [len(await executions(served, state=one)) for one in ("ALERT", "OK", "FAIL")] == [
        3,
        1,
        0,
    ]
    _, answer = await served.go("POST", "/v1/alarm/execution/stats", {"policyName": "err"})
    assert answer["result"]["totalCount"] == 1
    (stats,) = answer["result"]["executionStats"]
    assert stats == {
        "policyId": policy["id"],
        "policyName": "errors",
        "objects": [{"project": "default", "logStoreName": "access"}],
        "pendingCount": 1,
        "repeatIntervalMinute": 10,
        "notices": BODY["notices"],
        "totalCount": 4,
        "failCount": 0,
        "noticeTotalCount": 0,
        "noticeFailCount": 0,
    }
    _, answer = await served.go("POST", "/v1/alarm/execution/stats", {"states": ["OK"]})
    assert answer["result"]["executionStats"][0]["totalCount"] == 1
    _, answer = await served.go("POST", "/v1/alarm/execution/stats", {"policyId": "x"})
    assert answer["result"]["executionStats"] == []


async def test_an_alarm_waits_for_its_pending_count_and_closes_with_its_policy(
    served: Served,
) -> None:
    await served.go("POST", POLICY, {**BODY, "pendingCount": 2})
    push(served, 500)
    await served.advance(300)
    assert await alarms(served) == []
    push(served, 500)
    await served.advance(300)
    assert len(await alarms(served)) == 1
    push(served, 500)
    await served.advance(300)
    await served.go("POST", f"{POLICY}/disable", {"names": ["errors"]})
    (alarm,) = await alarms(served)
    assert (alarm["state"], alarm["closeReason"]) == ("CLOSED", "POLICY_MODIFIED")
    push(served, 500)
    await served.advance(3600)
    assert [one["noticeState"] for one in await executions(served)] == [
        "BLOCK_BY_PENDING_COUNT",
        "NOT_SENT",
        "BLOCK_BY_REPEAT_INTERVAL",
    ]
    asked = ["BLOCK_BY_REPEAT_INTERVAL"]
    (repeated,) = await executions(served, noticeStates=asked, logStoreName="access")
    assert repeated["time"] == "2026-03-01T00:25:00Z"
    assert await executions(served, logStoreName="acc") == []


async def test_notices_can_be_switched_off(served: Served) -> None:
    await served.go("POST", POLICY, {**BODY, "noticeState": "DISABLED"})
    push(served, 500)
    await served.advance(300)
    (execution,) = await executions(served)
    assert execution["noticeState"] == "BLOCK_BY_NOTICE_DISABLED"
    _, answer = await served.go("POST", f"{POLICY}/list", {"noticeState": "DISABLED"})
    assert answer["result"]["totalCount"] == 1


async def test_a_policy_that_cannot_be_evaluated_says_so_and_leaves_its_alarm(
    served: Served,
) -> None:
    await served.go("POST", POLICY, BODY)
    push(served, 500)
    await served.advance(300)
    await served.go("DELETE", "/v1/logstore/access?project")
    await served.advance(300)
    (execution,) = await executions(served, state="FAIL")
    assert (execution["reason"], execution["values"]) == ("LogStore not found", {})
    assert [one["state"] for one in await alarms(served)] == ["ALERT"]
    _, answer = await served.go("POST", "/v1/alarm/execution/stats", {})
    assert answer["result"]["executionStats"][0]["failCount"] == 1


async def test_a_search_is_counted(served: Served) -> None:
    search = {**TARGET, "query": "match status >= 500"}
    triggers = [
        {"level": "INFO", "condition": "$1.__QUERYCOUNT__ == 0"},
        {"level": "WARN", "condition": "$1.__QUERYCOUNT__ > 1"},
        {"level": "CRITICAL", "condition": "$1.__QUERYCOUNT__ >= 100"},
    ]
    await served.go("POST", POLICY, {**BODY, "targets": [search], "triggerConditions": triggers})

    async def raised() -> list[object]:
        await served.advance(300)
        found = await alarms(served, state="ALERT")
        return sorted(one["triggerCondition"]["level"] for one in found)

    assert await raised() == ["INFO"]
    push(served, 500, 500)
    assert await raised() == ["WARN"]
    push(served, *[500] * 120)
    assert await raised() == ["CRITICAL", "WARN"]
    (newest, *_) = await executions(served, order="desc")
    assert newest["values"] == {"$1.__QUERYCOUNT__": 100}  # of 120: it goes no further


async def test_log_stores_that_share_statements_are_watched_one_by_one(served: Served) -> None:
    served.engine.create_project("shop")
    served.engine.create_log_store("shop", "orders", LogStoreSettings(retention_days=7))
    stores = [
        {"project": "default", "logStoreName": "access"},
        {"project": "shop", "logStoreName": "orders"},
    ]
    target = {key: value for key, value in TARGET.items() if key != "object"}
    body = {**BODY, "objects": stores, "targets": [target]}
    assert (await served.go("POST", POLICY, body)) == DONE
    _, found = await served.go("GET", f"{POLICY}?name=errors")
    assert (found["policy"]["objects"], found["policy"]["targets"]) == (stores, [target])
    record = NewRecord(message='{"status":500}')
    served.engine.push("shop", "orders", [record], record_type=RecordType.JSON)
    await served.advance(300)
    (alarm,) = await alarms(served)
    assert alarm["object"] == stores[1]
    assert [(one["object"], one["state"]) for one in await executions(served)] == [
        (stores[0], "OK"),
        (stores[1], "ALERT"),
    ]
    push(served, 500)
    await served.advance(300)
    assert [(one["object"], one["state"]) for one in await alarms(served)] == [
        (stores[0], "ALERT"),
        (stores[1], "OK"),
    ]


async def test_groups_are_watched_one_by_one(served: Served) -> None:
    def hit(*hosts: str) -> None:
        records = [NewRecord(message=json.dumps({"host": host, "ok": True})) for host in hosts]
        served.engine.push("default", "access", records, record_type=RecordType.JSON)

    bad = {**TARGET, "query": "select host, count(*) as bad group by host order by host"}
    total = {**TARGET, "query": "select count(*) as n"}
    body = {
        **BODY,
        "targets": [bad, total],
        "groups": ["host"],
        "triggerConditions": [
            {"level": "WARN", "condition": "$1.bad / $2.n >= 0.5 && $1.__QUERYCOUNT__ == 1"}
        ],
    }
    assert (await served.go("POST", POLICY, body)) == DONE
    hit("a", "a", "b", "c")
    await served.advance(300)
    (alarm,) = await alarms(served)
    assert alarm["groups"] == {"host": "a"}
    assert len(alarm["groupId"]) == 36
    found = await executions(served)
    assert [(one["groups"], one["state"]) for one in found] == [
        ({"host": "a"}, "ALERT"),
        ({"host": "b"}, "OK"),
        ({"host": "c"}, "OK"),
    ]
    assert found[0]["values"] == {"$1.bad": 2, "$2.n": 4, "$1.__QUERYCOUNT__": 1}
    hit("b", "a")
    await served.advance(300)
    assert [(one["groups"]["host"], one["state"]) for one in await alarms(served)] == [
        ("b", "ALERT"),
        ("a", "ALERT"),
    ]
    hit("b")
    await served.advance(300)  # a has no results any more
    assert [(one["groups"]["host"], one["state"]) for one in await alarms(served)] == [
        ("b", "ALERT"),
        ("a", "OK"),
    ]
    await served.advance(300)
    (newest, *_) = await executions(served, order="desc")
    assert (newest["groups"], newest["state"]) == ({}, "OK")
    assert [one["state"] for one in await alarms(served)] == ["OK", "OK"]


TYPES = [[{"cnt": "int"}, {"p99": "float"}], [{"cnt": "int"}, {"p99": "float"}]]


@pytest.mark.parametrize(
    ("conditions", "types", "wrong"),
    [
        (["$1.cnt > 1", "$2.p99 >= 0.5 || $1.__QUERYCOUNT__ == 0"], TYPES, ""),
        (["$1.anything > 1"], None, ""),
        (["$1.anything > 1"], [], ""),
        (["$1.cnt > 1", "$1.other > 1"], TYPES, "$1.other: the statement has no column other"),
        (["$3.cnt > 1"], TYPES, "$3.cnt: there are 2 statements"),
        (["$1.cnt > 1"], [TYPES[0], [{}]], "$1.cnt: the statement has no column cnt"),
        (["$1.cnt >"], None, "at character 9: found the end, expected"),
        ([], None, "expected 1 to 1000 characters"),
    ],
)
async def test_conditions_are_validated(
    served: Served, conditions: list[str], types: object, wrong: str
) -> None:
    body = {"fieldTypes": types, "conditions": conditions}
    status, answer = await served.go("POST", "/v1/alarm/condition/validate", body)
    assert (status, answer["result"]["valid"]) == (200, not wrong)
    assert wrong in answer["result"]["message"]
    assert bool(answer["result"]["message"]) is bool(wrong)


async def test_statements_are_validated(served: Served) -> None:
    stores = [{"project": "", "logStoreName": "access"}]
    body = {"logStores": stores, "query": TARGET["query"]}
    _, answer = await served.go("POST", "/v1/logstore/validate", body)
    assert answer["result"]["valid"] is True
    assert answer["result"]["columns"] == ["bad", "worst"]
    assert answer["result"]["logStore"] == {"project": "default", "logStoreName": "access"}
    _, answer = await served.go("POST", "/v1/logstore/validate", {**body, "query": "select ("})
    assert answer["result"]["valid"] is False
    assert "at character" in answer["result"]["reason"]
    assert (await served.go("POST", "/v1/logstore/validate", {"query": "select 1"}))[0] == 400


@pytest.mark.parametrize(
    ("target", "body", "name"),
    [
        ("/v1/alarm/condition/validate", {"conditions": ["$1.a > 1"] * 11}, "conditions"),
        ("/v1/alarm/condition/validate", {"fieldTypes": [[{"a": "int"}]] * 11}, "fieldTypes"),
        ("/v1/logstore/validate", {"logStores": [{"logStoreName": "access"}] * 11}, "logStores"),
    ],
)
async def test_no_more_is_validated_than_a_policy_has(
    served: Served, target: str, body: dict[str, object], name: str
) -> None:
    whole = {"conditions": ["$1.a > 1"], "query": "match *", **body}
    status, answer = await served.go("POST", target, whole)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert f"[{name}] expected at most 10, not 11" in answer["message"]


async def test_a_clock_that_jumps_past_retention_is_watched_first(served: Served) -> None:
    schedule = {"fixTimeMinute": 8 * 60 + 12, "dayOfWeek": 0}
    assert (await served.go("POST", POLICY, {**BODY, "schedule": schedule})) == DONE
    push(served, 500)
    await served.advance(20 * 86_400)
    _, answer = await served.go(
        "POST", "/v1/alarm/record/list", {"startDateTime": "2026-03-01T00:00:00Z"}
    )
    (alarm,) = answer["result"]["alarms"]
    assert (alarm["startTime"], alarm["endTime"]) == (
        "2026-03-01T00:12:00Z",
        "2026-03-02T00:12:00Z",
    )
