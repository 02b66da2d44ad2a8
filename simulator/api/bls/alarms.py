"""Alarms: their wire form, and the operations on policies, alarms and evaluations."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    ListBody,
    date_time,
    invalid,
    json_response,
    list_page,
    parse_instant,
    parse_query,
    project_of,
    read_body,
)
from simulator.errors import ControlError
from simulator.logstore import (
    Alarm,
    AlarmContent,
    AlarmLevel,
    AlarmPolicy,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    Paging,
    Selection,
    parse_condition,
)

MAX_PAGE: Final = 100
MONTH_S: Final = 30 * 86_400
_ENABLED, _DISABLED = "ENABLED", "DISABLED"


class ObjectBody(msgspec.Struct, rename="camel"):
    """A LogStore that is named somewhere."""

    project: str | None = None
    log_store_name: str | None = None


class TargetBody(msgspec.Struct, rename="camel"):
    """A statement that a policy runs."""

    query: str = ""
    start_time_offset_minute: int = 0
    end_time_offset_minute: int | None = None
    object: ObjectBody | None = None


class TriggerBody(msgspec.Struct, rename="camel"):
    """What raises an alarm."""

    level: str = ""
    condition: str = ""


class ScheduleBody(msgspec.Struct, rename="camel"):
    """When a policy is evaluated."""

    interval_minute: int | None = None
    fix_time_minute: int | None = None
    day_of_week: int | None = None


class KeptBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """The part of a policy that is given back as it was sent, and has no effect."""

    objects: list[Any] | None = None  # Any: never looked into, as are the others
    groups: list[Any] | None = None
    repeat_interval_minute: int | None = None
    recover_without_notice: bool | None = None
    notice_state: str | None = None
    notices: list[Any] | None = None
    notice_raw_logs: list[Any] | None = None


class PolicyBody(KeptBody, rename="camel", omit_defaults=True):
    """Body of CreateAlarmPolicy and UpdateAlarmPolicy."""

    name: str | None = None
    targets: list[TargetBody] | None = None
    trigger_conditions: list[TriggerBody] | None = None
    schedule: ScheduleBody | None = None
    pending_count: int | None = None
    state: str | None = None


class NamesBody(msgspec.Struct):
    """Body of the operations on several policies."""

    names: list[str] | None = None


class AlarmListBody(ListBody, rename="camel"):
    """Body of every list of this file."""

    policy_name_pattern: str | None = None
    policy_id_pattern: str | None = None
    log_store_name_pattern: str | None = None
    state: str | None = None
    notice_state: str | None = None
    level: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None


class ConditionBody(msgspec.Struct, rename="camel"):
    """Body of ValidateAlarmCondition."""

    field_types: dict[str, Any] | None = None  # Any: only the names matter
    conditions: list[str] | None = None


class StatementBody(msgspec.Struct, rename="camel"):
    """Body of ValidateAlarmPolicySQL."""

    log_stores: list[ObjectBody] | None = None
    query: str | None = None


class Alarms(Service):
    """Handlers of the operations on alarms.

    Source: doc of the API's schema for paths and parameters; fields of alarms, executions and
    their statistics are assumed, as are the names of errors.
    """

    async def create(self, request: web.Request) -> web.Response:
        """CreateAlarmPolicy."""
        body = await read_body(request, PolicyBody)
        create = self.engine.alarms.create
        await self.change("CreateAlarmPolicy", create, body.name or "", _content(body))
        return json_response({"message": ""})

    async def update(self, request: web.Request) -> web.Response:
        """UpdateAlarmPolicy: the whole policy is replaced, but for its name (assumed)."""
        body = await read_body(request, PolicyBody)
        update = self.engine.alarms.update
        await self.change("UpdateAlarmPolicy", update, body.name or "", _content(body))
        return json_response({"message": ""})

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeAlarmPolicy: the parameter begins with a capital; another spelling does too."""
        parameters = parse_query(request)
        name = parameters.get("PolicyName") or parameters.get("policyName") or ""
        return json_response({"policy": _from_policy(self.engine.alarms.describe(name))})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteAlarmPolicy: a DELETE with a body."""
        names = await _names(request)
        await self.change("DeleteAlarmPolicy", self.engine.alarms.delete, names)
        return json_response({"message": ""})

    async def enable(self, request: web.Request) -> web.Response:
        """EnableAlarmPolicy."""
        names = await _names(request)
        switch = self.engine.alarms.set_enabled
        await self.change("EnableAlarmPolicy", switch, names, is_enabled=True)
        return json_response({"message": ""})

    async def disable(self, request: web.Request) -> web.Response:
        """DisableAlarmPolicy."""
        names = await _names(request)
        switch = self.engine.alarms.set_enabled
        await self.change("DisableAlarmPolicy", switch, names, is_enabled=False)
        return json_response({"message": ""})

    async def list_policies(self, request: web.Request) -> web.Response:
        """ListAlarmPolicy."""
        asked = await read_body(request, AlarmListBody)
        page, wrapper = list_page(
            [one for one in self.engine.alarms.list_policies() if _is_listed(one, asked)],
            {
                "createdTime": lambda one: one.created_at,
                "updatedTime": lambda one: one.updated_at,
            },
            asked,
            most=MAX_PAGE,
        )
        policies = [_from_policy(one) for one in page]
        return json_response({"result": {**wrapper, "policies": policies}})

    async def describe_alarm(self, request: web.Request) -> web.Response:
        """DescribeAlarmRecord."""
        id_ = parse_query(request).get("alarmId", "")
        return json_response({"alarm": _from_alarm(self.engine.alarms.describe_alarm(id_))})

    async def list_alarms(self, request: web.Request) -> web.Response:
        """ListAlarmRecord."""
        asked = await read_body(request, AlarmListBody)
        since, until = self._range(asked)
        found = [
            one
            for one in self.engine.alarms.list_alarms()
            if (asked.policy_name_pattern or "") in one.policy_name
            and (asked.policy_id_pattern or "") in one.policy_id
            and (asked.level or "") in {"", one.level}
            and (asked.state or "") in {"", one.state}
            and since <= one.began_at < until
        ]
        page, wrapper = list_page(
            found, {"startTime": lambda one: one.began_at}, asked, most=MAX_PAGE
        )
        return json_response({"result": {**wrapper, "alarms": [_from_alarm(one) for one in page]}})

    async def list_executions(self, request: web.Request) -> web.Response:
        """ListAlarmExecutions."""
        asked = await read_body(request, AlarmListBody)
        found = [
            one
            for one in await self.call(self.engine.alarms.list_executions, *self._range(asked))
            if (asked.policy_name_pattern or "") in one.policy_name
            and (asked.policy_id_pattern or "") in one.policy_id
        ]
        page, wrapper = list_page(
            found, {"executionTime": lambda one: one.at}, asked, most=MAX_PAGE
        )
        executions = [
            {
                "policyId": one.policy_id,
                "policyName": one.policy_name,
                "executionTime": date_time(one.at),
                "state": "FAILED" if one.error else "SUCCESS",
                "triggered": bool(one.level),
                "level": one.level,
                "message": one.error,
            }
            for one in page
        ]
        return json_response({"result": {**wrapper, "executions": executions}})

    async def list_stats(self, request: web.Request) -> web.Response:
        """ListAlarmExecutionStats: counts for each policy."""
        asked = await read_body(request, AlarmListBody)
        counts: dict[tuple[str, str], Counter[str]] = {}
        for one in await self.call(self.engine.alarms.list_executions, *self._range(asked)):
            if (asked.policy_name_pattern or "") in one.policy_name:
                count = counts.setdefault((one.policy_id, one.policy_name), Counter())
                count["total"] += 1
                count["failed"] += bool(one.error)
                count["triggered"] += bool(one.level)
        stats = [
            {
                "policyId": id_,
                "policyName": name,
                **{key: count[key] for key in ("total", "failed", "triggered")},
            }
            for (id_, name), count in counts.items()
        ]
        return json_response({"result": {"executionStats": stats}})

    async def validate_condition(self, request: web.Request) -> web.Response:
        """ValidateAlarmCondition."""
        body = await read_body(request, ConditionBody)
        message = ""
        try:
            for text in body.conditions or [""]:
                asked = parse_condition(text).columns
                missing = [
                    name for name in asked if body.field_types and name not in body.field_types
                ]
                if missing:
                    raise invalid("condition", f"there is no column {missing[0]}")
        except ControlError as error:
            message = error.message
        return json_response({"result": {"valid": not message, "message": message}})

    async def validate_statement(self, request: web.Request) -> web.Response:
        """ValidateAlarmPolicySQL: the statement is run over a minute of each LogStore."""
        body = await read_body(request, StatementBody)
        if not body.log_stores:
            raise invalid("logStores", "is required")
        now_ms = int(self.clock.time() * 1000)
        minute = Selection(start_ms=now_ms - 60_000, end_ms=now_ms)
        result: dict[str, object] = {"valid": True, "reason": "", "columns": [], "columnTypes": []}
        for store in body.log_stores:
            project, name = project_of(store.project), store.log_store_name or ""
            result["logStore"] = {"project": project, "logStoreName": name}
            try:
                found = await self.call(
                    self.engine.query, project, name, minute, body.query or "", Paging()
                )
            except ControlError as error:
                result |= {
                    "valid": False,
                    "reason": error.message,
                    "columns": [],
                    "columnTypes": [],
                }
                break
            result |= {"columns": found.columns, "columnTypes": found.column_types}
        return json_response({"result": result})

    def _range(self, asked: AlarmListBody) -> tuple[float, float]:
        """The last 30 days, unless the body says otherwise."""
        until = self.clock.time() + 1.0
        if asked.end_date_time:
            until = parse_instant("endDateTime", asked.end_date_time) / 1000
        since = until - MONTH_S
        if asked.start_date_time:
            since = parse_instant("startDateTime", asked.start_date_time) / 1000
        return since, until


async def _names(request: web.Request) -> tuple[str, ...]:
    body = await read_body(request, NamesBody)
    if not body.names:
        raise invalid("names", "is required")
    return tuple(body.names)


def _content(body: PolicyBody) -> AlarmContent:
    schedule = body.schedule
    if schedule is None or (schedule.interval_minute is None and schedule.fix_time_minute is None):
        raise invalid("schedule", "expected intervalMinute or fixTimeMinute")
    if (body.state or _ENABLED) not in {_ENABLED, _DISABLED}:
        raise invalid("state", f"expected {_ENABLED} or {_DISABLED}")
    kept = {name: getattr(body, name) for name in KeptBody.__struct_fields__}
    return AlarmContent(
        targets=tuple(_target(one) for one in body.targets or ()),
        triggers=tuple(_trigger(one) for one in body.trigger_conditions or ()),
        schedule=AlarmSchedule(
            interval_min=schedule.interval_minute or 0,
            fix_time_min=schedule.fix_time_minute or 0,
            day_of_week=schedule.day_of_week or 0,
        ),
        pending_count=body.pending_count or 1,
        is_enabled=body.state != _DISABLED,
        opaque=msgspec.json.encode(KeptBody(**kept)).decode(),
    )


def _target(body: TargetBody) -> AlarmTarget:
    store = body.object or ObjectBody()
    return AlarmTarget(
        query=body.query,
        start_offset_min=body.start_time_offset_minute,
        end_offset_min=body.end_time_offset_minute or 0,
        project=project_of(store.project),
        log_store=store.log_store_name or "",
    )


def _trigger(body: TriggerBody) -> AlarmTrigger:
    try:
        level = AlarmLevel(body.level)
    except ValueError as error:
        raise invalid("level", f"expected one of {', '.join(AlarmLevel)}") from error
    return AlarmTrigger(level=level, condition=body.condition)


def _is_listed(one: AlarmPolicy, asked: AlarmListBody) -> bool:
    state = _ENABLED if one.content.is_enabled else _DISABLED
    pattern = asked.log_store_name_pattern or ""
    return (
        (asked.policy_name_pattern or "") in one.name
        and (asked.policy_id_pattern or "") in one.id
        and any(pattern in target.log_store for target in one.content.targets)
        and (asked.state or "") in {"", state}
        and (asked.notice_state or "") in {"", _kept(one).get("noticeState", "")}
    )


def _kept(one: AlarmPolicy) -> Mapping[str, Any]:  # Any: whatever was sent
    return msgspec.json.decode(one.content.opaque, type=dict[str, Any])


def _from_policy(one: AlarmPolicy) -> dict[str, object]:
    content = one.content
    schedule = content.schedule
    when = (
        {"intervalMinute": schedule.interval_min}
        if schedule.interval_min
        else {"fixTimeMinute": schedule.fix_time_min, "dayOfWeek": schedule.day_of_week}
    )
    return {
        "id": one.id,
        "name": one.name,
        "targets": [
            {
                "query": target.query,
                "startTimeOffsetMinute": target.start_offset_min,
                "endTimeOffsetMinute": target.end_offset_min,
                "object": {"project": target.project, "logStoreName": target.log_store},
            }
            for target in content.targets
        ],
        "triggerConditions": [
            {"level": trigger.level, "condition": trigger.condition} for trigger in content.triggers
        ],
        "schedule": when,
        "pendingCount": content.pending_count,
        "state": _ENABLED if content.is_enabled else _DISABLED,
        **_kept(one),
        "createdTime": date_time(one.created_at),
        "updatedTime": date_time(one.updated_at),
    }


def _from_alarm(one: Alarm) -> dict[str, object]:
    return {
        "id": one.id,
        "policyId": one.policy_id,
        "policyName": one.policy_name,
        "level": one.level,
        "condition": one.condition,
        "state": one.state,
        "triggeredCount": one.triggered_count,
        "startTime": date_time(one.began_at),
        "updatedTime": date_time(one.updated_at),
    }
