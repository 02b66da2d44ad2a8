"""Alarm policies, alarms and executions by the vendor's generated SDK."""

from baiducloud_python_sdk_bls.models import (
    CreateAlarmPolicyRequest,
    CustomTarget,
    DeleteAlarmPolicyRequest,
    DescribeAlarmPolicyRequest,
    DescribeAlarmRecordRequest,
    DisableAlarmPolicyRequest,
    DisableTime,
    EnableAlarmPolicyRequest,
    ListAlarmExecutionsRequest,
    ListAlarmExecutionStatsRequest,
    ListAlarmPolicyRequest,
    ListAlarmRecordRequest,
    LogStore,
    Notice,
    NoticeRawLog,
    Schedule,
    Target,
    TriggerCondition,
    UpdateAlarmPolicyRequest,
    ValidateAlarmConditionRequest,
    ValidateAlarmPolicySQLRequest,
)
from bls_served import Served
from generated_sdk import GeneratedSdk, refusal

from simulator.logstore import NewRecord, RecordType

BORN, RAISED, OVER = "2026-03-01T00:10:00Z", "2026-03-01T00:15:00Z", "2026-03-01T00:20:00Z"
ACCESS = LogStore(project="default", log_store_name="access")
QUERY = "match status >= 500 | select host, count(*) as bad group by host"
CONDITION = "$1.bad > 1"
NOTICE = Notice(
    id="n-1",
    name="team",
    members=["m"],
    methods=["EMAIL"],
    callbacks=["http://127.0.0.1/"],
    disable_times=[DisableTime(bls_from="00:00:00", to="06:00:00")],
)


def policy(**changes: object) -> dict[str, object]:
    target = Target(
        query=QUERY, start_time_offset_minute=-5, end_time_offset_minute=0, object=ACCESS
    )
    return {
        "name": "errors",
        "targets": [target],
        "trigger_conditions": [TriggerCondition(level="CRITICAL", condition=CONDITION)],
        "schedule": Schedule(interval_minute=5),
        "pending_count": 1,
        "notices": [NOTICE],
        "groups": ["host"],
        "repeat_interval_minute": 30,
        "recover_without_notice": True,
        "state": "ENABLED",
        "notice_state": "ENABLED",
        **changes,
    }


def push(served: Served, *hosts: str) -> None:
    records = [NewRecord(message=f'{{"status":500,"host":"{host}"}}') for host in hosts]
    served.engine.push("default", "access", records, record_type=RecordType.JSON)


async def test_policies(served: Served, sdk: GeneratedSdk) -> None:
    raw = NoticeRawLog(
        type="CUSTOM",
        custom_target=CustomTarget(
            query="match *", start_time_offset_minute=-5, end_time_offset_minute=0, object=ACCESS
        ),
        columns=["status"],
        limit=5,
    )
    create = CreateAlarmPolicyRequest(**policy(objects=[ACCESS], notice_raw_logs=[raw]))
    made = await sdk.create_alarm_policy(create)
    assert (made.success, made.code) == (True, "OK")
    assert await refusal(sdk.create_alarm_policy(create)) == (409, "AlarmPolicyAlreadyExist")
    describe = DescribeAlarmPolicyRequest(policy_name="errors")
    answer = await sdk.describe_alarm_policy(describe)
    assert (answer.success, answer.code, answer.message) == (True, "OK", "")
    found = answer.policy
    assert (found.name, len(found.id)) == ("errors", 36)
    assert (found.state, found.notice_state) == ("ENABLED", "ENABLED")
    assert (found.created_time, found.updated_time) == (BORN, BORN)
    assert [one.log_store_name for one in found.objects] == ["access"]
    (target,) = found.targets
    assert (target.query, target.object.project, target.object.log_store_name) == (
        QUERY,
        "default",
        "access",
    )
    assert (target.start_time_offset_minute, target.end_time_offset_minute) == (-5, 0)
    (trigger,) = found.trigger_conditions
    assert (trigger.level, trigger.condition) == ("CRITICAL", CONDITION)
    assert (found.groups, found.pending_count, found.repeat_interval_minute) == (["host"], 1, 30)
    assert found.schedule.interval_minute == 5
    assert found.recover_alarm_notice is False
    (notice,) = found.notices
    assert (notice.id, notice.name, notice.members, notice.methods, notice.callbacks) == (
        "n-1",
        "team",
        ["m"],
        ["EMAIL"],
        ["http://127.0.0.1/"],
    )
    assert (notice.disable_times[0].bls_from, notice.disable_times[0].to) == (
        "00:00:00",
        "06:00:00",
    )
    assert found.notice_with_raw_log is True
    (raw_log,) = found.notice_raw_configs
    assert (raw_log.type, raw_log.columns, raw_log.limit) == ("CUSTOM", ["status"], 5)
    assert raw_log.custom_target.object.log_store_name == "access"
    await served.advance(1)
    daily = Schedule(fix_time_minute=30, day_of_week=1)
    update = UpdateAlarmPolicyRequest(**policy(schedule=daily, notice_state="DISABLED"))
    assert (await sdk.update_alarm_policy(update)).code == "OK"
    found = (await sdk.describe_alarm_policy(describe)).policy
    assert (found.schedule.fix_time_minute, found.schedule.day_of_week) == (30, 1)
    assert (found.notice_state, found.updated_time) == ("DISABLED", "2026-03-01T00:10:01Z")
    names = {"names": ["errors"]}
    assert (await sdk.disable_alarm_policy(DisableAlarmPolicyRequest(**names))).success is True
    asked = ListAlarmPolicyRequest(
        page_no=1,
        page_size=5,
        policy_name_pattern="err",
        policy_id_pattern=found.id[:8],
        log_store_name_pattern="acc",
        state="DISABLED",
        notice_state="DISABLED",
        order_by="createdTime",
        order="asc",
    )
    listed = await sdk.list_alarm_policy(asked)
    assert (listed.success, listed.code, listed.message) == (True, "OK", "")
    page = listed.result
    assert (page.page_no, page.page_size, page.total_count) == (1, 5, 1)
    assert [(one.name, one.state) for one in page.policies] == [("errors", "DISABLED")]
    assert (await sdk.enable_alarm_policy(EnableAlarmPolicyRequest(**names))).success is True
    assert (await sdk.list_alarm_policy(asked)).result.total_count == 0
    delete = DeleteAlarmPolicyRequest(**names)
    assert (await sdk.delete_alarm_policy(delete)).success is True
    missing = (404, "AlarmPolicyNotFound")
    assert await refusal(sdk.delete_alarm_policy(delete)) == missing
    assert await refusal(sdk.describe_alarm_policy(describe)) == missing
    assert await refusal(sdk.update_alarm_policy(update)) == missing
    assert await refusal(sdk.enable_alarm_policy(EnableAlarmPolicyRequest(**names))) == missing
    assert await refusal(sdk.disable_alarm_policy(DisableAlarmPolicyRequest(**names))) == missing
    nobody = DeleteAlarmPolicyRequest(names=[])
    assert await refusal(sdk.delete_alarm_policy(nobody)) == (400, "InvalidParameter")
    wrong = TriggerCondition(level="CRITICAL", condition="bad > 1")
    create.trigger_conditions = [wrong]
    assert await refusal(sdk.create_alarm_policy(create)) == (400, "InvalidParameter")


async def test_alarms_and_executions(served: Served, sdk: GeneratedSdk) -> None:
    await sdk.create_alarm_policy(CreateAlarmPolicyRequest(**policy()))
    push(served, "a", "a", "b")
    await served.advance(300)
    asked = ListAlarmRecordRequest(
        page_no=1,
        page_size=5,
        policy_name_pattern="err",
        policy_id_pattern="-",
        log_store_name_pattern="acc",
        level="CRITICAL",
        state="ALERT",
        start_date_time=BORN,
        end_date_time=OVER,
        order_by="startTime",
        order="asc",
    )
    listed = await sdk.list_alarm_record(asked)
    assert (listed.success, listed.code, listed.message) == (True, "OK", "")
    page = listed.result
    assert (page.page_no, page.page_size, page.total_count) == (1, 5, 1)
    (alarm,) = page.alarms
    assert (alarm.start_time, alarm.end_time, alarm.state) == (RAISED, "", "ALERT")
    assert (alarm.close_reason, len(alarm.id), len(alarm.group_id)) == ("", 36, 36)
    assert (alarm.policy.name, alarm.policy.pending_count) == ("errors", 1)
    assert alarm.policy.notices[0].name == "team"
    assert (alarm.object.project, alarm.object.log_store_name) == ("default", "access")
    assert (alarm.trigger_condition.level, alarm.trigger_condition.condition) == (
        "CRITICAL",
        CONDITION,
    )
    assert alarm.groups == {"host": "a"}
    push(served, "b")
    await served.advance(300)
    assert (await sdk.list_alarm_record(asked)).result.alarms == []
    described = await sdk.describe_alarm_record(DescribeAlarmRecordRequest(alarm_id=alarm.id))
    assert (described.success, described.code, described.message) == (True, "OK", "")
    assert (described.alarm.state, described.alarm.end_time) == ("OK", OVER)
    (execution,) = described.alarm.executions
    assert (execution.time, execution.state, execution.notice_state) == (
        RAISED,
        "ALERT",
        "NOT_SENT",
    )
    assert (execution.reason, execution.values) == ("", {"$1.bad": 2})
    assert (execution.notices, execution.raw_logs) == ([], [])
    runs = ListAlarmExecutionsRequest(
        page_no=1,
        page_size=5,
        policy_id=alarm.policy.id,
        log_store_name="access",
        state="OK",
        notice_states=["NOT_SENT"],
        start_date_time=BORN,
        end_date_time="2026-03-01T01:00:00Z",
        order_by="@timestamp",
        order="asc",
    )
    answer = await sdk.list_alarm_executions(runs)
    assert (answer.success, answer.code, answer.message) == (True, "OK", "")
    page = answer.result
    assert (page.page_no, page.page_size, page.total_count) == (1, 5, 2)
    assert [(one.time, one.state, one.values) for one in page.executions] == [
        (RAISED, "OK", {}),
        (OVER, "OK", {}),
    ]
    counted = await sdk.list_alarm_execution_stats(
        ListAlarmExecutionStatsRequest(
            page_no=1,
            page_size=5,
            policy_id=alarm.policy.id,
            policy_name="errors",
            log_store_name="access",
            states=["OK", "ALERT"],
            start_date_time=BORN,
            end_date_time="2026-03-01T01:00:00Z",
            order_by="totalCount",
            order="desc",
        )
    )
    assert (counted.success, counted.code, counted.message) == (True, "OK", "")
    page = counted.result
    assert (page.page_no, page.page_size, page.total_count) == (1, 5, 1)
    (stats,) = page.execution_stats
    assert (stats.policy_id, stats.policy_name) == (alarm.policy.id, "errors")
    assert [one.log_store_name for one in stats.objects] == ["access"]
    assert (stats.pending_count, stats.repeat_interval_minute) == (1, 30)
    assert [one.name for one in stats.notices] == ["team"]
    assert (stats.total_count, stats.fail_count) == (3, 0)
    assert (stats.notice_total_count, stats.notice_fail_count) == (0, 0)
    unknown = DescribeAlarmRecordRequest(alarm_id="unknown")
    assert await refusal(sdk.describe_alarm_record(unknown)) == (404, "AlarmNotFound")
    for method, request in (
        (sdk.list_alarm_record, ListAlarmRecordRequest(page_no=1, page_size=101)),
        (sdk.list_alarm_executions, ListAlarmExecutionsRequest(page_no=1, page_size=101)),
        (sdk.list_alarm_execution_stats, ListAlarmExecutionStatsRequest(page_no=1, page_size=101)),
        (sdk.list_alarm_policy, ListAlarmPolicyRequest(page_no=1, page_size=101)),
    ):
        assert await refusal(method(request)) == (400, "InvalidParameter")


async def test_validation(sdk: GeneratedSdk) -> None:
    condition = ValidateAlarmConditionRequest(
        field_types=[[{"bad": "int"}]], conditions=[CONDITION, "$1.__QUERYCOUNT__ > 0"]
    )
    answer = await sdk.validate_alarm_condition(condition)
    assert (answer.success, answer.code, answer.message) == (True, "OK", "")
    assert (answer.result.valid, answer.result.message) == (True, "")
    condition.conditions = ["$1.worse > 1"]
    result = (await sdk.validate_alarm_condition(condition)).result
    assert result.valid is False
    assert "the statement has no column worse" in result.message
    # The SDK says that these are texts, which nothing makes sense of.
    condition.field_types = ["bad"]
    assert await refusal(sdk.validate_alarm_condition(condition)) == (400, "InvalidParameter")
    statement = ValidateAlarmPolicySQLRequest(log_stores=[ACCESS], query=QUERY)
    answer = await sdk.validate_alarm_policy_sql(statement)
    assert (answer.success, answer.code, answer.message) == (True, "OK", "")
    result = answer.result
    assert (result.valid, result.reason) == (True, "")
    assert (result.columns, result.column_types) == (["host", "bad"], ["string", "int"])
    assert (result.log_store.project, result.log_store.log_store_name) == ("default", "access")
    statement.query = "select ("
    result = (await sdk.validate_alarm_policy_sql(statement)).result
    assert (result.valid, "at character" in result.reason) == (False, True)
    assert (result.columns, result.column_types) == ([], [])
    nothing = ValidateAlarmPolicySQLRequest(log_stores=[], query=QUERY)
    assert await refusal(sdk.validate_alarm_policy_sql(nothing)) == (400, "InvalidParameter")
