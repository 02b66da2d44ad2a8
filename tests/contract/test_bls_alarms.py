"""Alarm policies, and the alarms that they really raise on the clock."""

from pathlib import Path

import pytest
from bls_served import START_S, Served

from simulator.clock import ManualClock
from simulator.logstore import (
    AlarmContent,
    AlarmLevel,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    LogStoreEngine,
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
        {"level": "WARN", "condition": "bad > 0"},
        {"level": "CRITICAL", "condition": "bad >= 3 and worst = 503"},
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


async def test_a_policy_is_made_described_listed_and_deleted(served: Served) -> None:
    assert (await served.go("POST", POLICY, BODY)) == DONE
    status, answer = await served.go("POST", POLICY, BODY)
    assert (status, answer["code"]) == (409, "AlarmPolicyAlreadyExist")
    _, found = await served.go("GET", f"{POLICY}?PolicyName=errors")
    policy = found["policy"]
    id_ = policy.pop("id")
    assert policy == {
        **BODY,
        "targets": [{**TARGET, "object": {"project": "default", "logStoreName": "access"}}],
        "pendingCount": 1,
        "state": "ENABLED",
        "createdTime": "2026-03-01T00:10:00Z",
        "updatedTime": "2026-03-01T00:10:00Z",
    }
    await served.advance(1)
    daily = {**BODY, "schedule": {"fixTimeMinute": 30, "dayOfWeek": 1}, "state": "DISABLED"}
    assert (await served.go("PUT", POLICY, daily)) == DONE
    _, found = await served.go("GET", f"{POLICY}?policyName=errors")
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
    status, answer = await served.go("POST", f"{POLICY}/disable", {"names": ["errors", "gone"]})
    assert (status, answer["code"]) == (404, "AlarmPolicyNotFound")
    assert await count(state="ENABLED") == 1
    assert (await served.go("DELETE", POLICY, {"names": ["errors"]})) == DONE
    for method, target, body in (
        ("GET", f"{POLICY}?PolicyName=errors", None),
        ("PUT", POLICY, BODY),
        ("DELETE", POLICY, {"names": ["errors"]}),
    ):
        status, answer = await served.go(method, target, body)
        assert (status, answer["code"]) == (404, "AlarmPolicyNotFound")
    assert (await served.go("GET", "/v1/alarm/record?alarmId=x"))[1]["code"] == "AlarmNotFound"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": ""}, 400),
        ({"targets": []}, 400),
        ({"targets": [{**TARGET, "startTimeOffsetMinute": -1441}]}, 400),
        ({"targets": [{**TARGET, "startTimeOffsetMinute": 0}]}, 400),
        ({"targets": [{**TARGET, "endTimeOffsetMinute": -5}]}, 400),
        ({"targets": [{**TARGET, "query": "match *"}]}, 400),
        ({"targets": [{**TARGET, "object": {"logStoreName": "gone"}}]}, 404),
        ({"triggerConditions": []}, 400),
        ({"triggerConditions": [{"level": "FATAL", "condition": "a > 1"}]}, 400),
        ({"triggerConditions": [{"level": "INFO", "condition": "a >"}]}, 400),
        ({"schedule": {}}, 400),
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


async def test_an_alarm_is_raised_grows_and_passes(served: Served) -> None:
    await served.go("POST", POLICY, BODY)
    push(served, 200, 500)
    await served.advance(299)
    assert await alarms(served) == []
    await served.advance(1)  # 00:15, over 00:10 to 00:15
    (alarm,) = await alarms(served)
    assert {key: value for key, value in alarm.items() if "d" not in key[-2:].lower()} == {
        "policyName": "errors",
        "level": "WARN",
        "condition": "bad > 0",
        "state": "ALERT",
        "startTime": "2026-03-01T00:15:00Z",
        "updatedTime": "2026-03-01T00:15:00Z",
        "triggeredCount": 1,
    }
    push(served, 503, 503, 502)
    await served.advance(300)
    (alarm,) = await alarms(served, state="ALERT", level="CRITICAL", policyNamePattern="err")
    assert (alarm["triggeredCount"], alarm["startTime"]) == (2, "2026-03-01T00:15:00Z")
    assert (await served.go("GET", f"/v1/alarm/record?alarmId={alarm['id']}"))[1]["alarm"] == alarm
    await served.advance(300)
    (alarm,) = await alarms(served)
    assert (alarm["state"], alarm["updatedTime"]) == ("OK", "2026-03-01T00:25:00Z")
    assert await alarms(served, endDateTime="2026-03-01T00:15:00Z") == []
    _, answer = await served.go("POST", "/v1/alarm/execution/list", {"order": "asc"})
    assert [
        (one["executionTime"], one["state"], one["triggered"], one["level"])
        for one in answer["result"]["executions"]
    ] == [
        ("2026-03-01T00:15:00Z", "SUCCESS", True, "WARN"),
        ("2026-03-01T00:20:00Z", "SUCCESS", True, "CRITICAL"),
        ("2026-03-01T00:25:00Z", "SUCCESS", False, ""),
    ]
    _, answer = await served.go("POST", "/v1/alarm/execution/stats", {})
    (stats,) = answer["result"]["executionStats"]
    assert (stats["total"], stats["failed"], stats["triggered"]) == (3, 0, 2)


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
    await served.go("POST", f"{POLICY}/disable", {"names": ["errors"]})
    assert [one["state"] for one in await alarms(served)] == ["CLOSED"]
    push(served, 500)
    await served.advance(3600)
    assert served.engine.alarms.list_executions(0, 2**40) == [
        one for one in served.engine.alarms.list_executions(0, 2**40) if one.at <= START_S + 1200
    ]


async def test_a_policy_that_cannot_be_evaluated_says_so(served: Served) -> None:
    await served.go("POST", POLICY, BODY)
    await served.go("DELETE", "/v1/logstore/access?project")
    await served.advance(300)
    _, answer = await served.go("POST", "/v1/alarm/execution/list", {})
    (execution,) = answer["result"]["executions"]
    assert (execution["state"], execution["message"]) == ("FAILED", "LogStore not found")


@pytest.mark.parametrize(
    ("condition", "valid"),
    [
        ("cnt > 1", True),
        ("cnt > 1.5 && (name = 'x' || not ok = true)", True),
        ('t1.cnt <= -3 and `a b` <> "y"', True),
        ("cnt", False),
        ("cnt + 1 > 2", False),
        ("count(*) > 1", False),
        ("cnt > (select 1)", False),
        ("cnt > 1; drop table x", False),
        ("cnt > 1 limit 5", False),
        ("cnt > 1 union select 1", False),
        ("x.cnt > 1", False),
        ("cnt > null", False),
        ("", False),
        ("cnt > 1 and " * 200, False),
        ("(" * 900 + "a > 1", False),
    ],
)
async def test_conditions_are_validated(served: Served, condition: str, valid: bool) -> None:
    status, answer = await served.go(
        "POST", "/v1/alarm/condition/validate", {"conditions": [condition]}
    )
    assert (status, answer["result"]["valid"]) == (200, valid)
    assert bool(answer["result"]["message"]) is not valid


async def test_conditions_may_only_name_columns_that_are_there(served: Served) -> None:
    body = {"fieldTypes": {"cnt": "int"}, "conditions": ["cnt > 1", "other > 1"]}
    _, answer = await served.go("POST", "/v1/alarm/condition/validate", body)
    assert answer["result"]["valid"] is False
    assert "there is no column other" in answer["result"]["message"]


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


def test_schedules_give_their_instants() -> None:
    sunday = START_S  # 2026-03-01 08:00 at +08:00
    hourly = AlarmSchedule(interval_min=60)
    assert list(hourly.between(sunday, sunday + 7200.0, 10)) == [sunday + 3600, sunday + 7200]
    assert list(hourly.between(0.0, float(sunday), 2)) == [sunday - 3600, sunday]
    daily = AlarmSchedule(fix_time_min=8 * 60)
    assert daily.next_after(sunday - 1) == sunday
    assert daily.next_after(sunday) == sunday + 86_400
    monday = AlarmSchedule(fix_time_min=9 * 60, day_of_week=1)
    assert monday.next_after(sunday) == sunday + 86_400 + 3600
    assert AlarmSchedule(fix_time_min=9 * 60, day_of_week=7).next_after(sunday) == sunday + 3600


def test_policies_outlive_the_process(tmp_path: Path) -> None:
    clock = ManualClock(float(START_S))
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    target = AlarmTarget(
        query="select count(*) as n",
        start_offset_min=-5,
        end_offset_min=0,
        project="default",
        log_store="access",
    )
    content = AlarmContent(
        targets=(target,),
        triggers=(AlarmTrigger(level=AlarmLevel.INFO, condition="n = 0"),),
        schedule=AlarmSchedule(interval_min=1),
    )
    engine.alarms.create("quiet", content)
    engine.alarms.run(START_S + 86_400.0)  # passes 1440 instants, evaluates the newest 100
    assert len(engine.alarms.list_executions(0, 2**40)) == 100
    before = (engine.alarms.list_policies(), engine.alarms.list_alarms())
    engine.close()
    again = LogStoreEngine(tmp_path / "db", clock)
    assert (again.alarms.list_policies(), again.alarms.list_alarms()) == before
    (alarm,) = again.alarms.list_alarms()
    assert alarm.triggered_count == 100
    assert again.alarms.next_at() == START_S + 86_400 + 60
    again.close()
