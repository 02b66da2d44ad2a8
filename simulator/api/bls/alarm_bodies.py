"""The wire form of alarms: policies in, and policies, alarms and executions out."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from simulator.api.bls.body_errors import body_error
from simulator.api.bls.wire import ListBody, NamedStore, date_time, project_of
from simulator.errors import invalid, within
from simulator.logstore import (
    Alarm,
    AlarmContent,
    AlarmExecution,
    AlarmLevel,
    AlarmPolicy,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    StoreName,
)

ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"


class NoticeMethod(StrEnum):
    """How somebody would be notified. Source: doc of the API's schema, as the next."""

    EMAIL = "EMAIL"
    SMS = "SMS"
    PHONE = "PHONE"


class RawLogType(StrEnum):
    """Which records would go along."""

    REF = "REF"
    CUSTOM = "CUSTOM"


class TargetBody(msgspec.Struct, rename="camel"):
    """A statement that a policy runs."""

    query: str = ""
    start_time_offset_minute: int = 0
    end_time_offset_minute: int | None = None
    object: NamedStore | None = None


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

    recover_without_notice: bool | None = None
    notices: list[Any] | None = None  # Any: whatever was sent, as the next
    notice_raw_logs: list[Any] | None = None


class NoticeBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is looked at of an entry of ``notices``."""

    methods: list[NoticeMethod] | None = None


class RawTargetBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is looked at of a ``customTarget``."""

    start_time_offset_minute: int | None = None
    end_time_offset_minute: int | None = None


class RawLogBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is looked at of an entry of ``noticeRawLogs``."""

    type: RawLogType | None = None
    ref_target: int | None = None
    custom_target: RawTargetBody | None = None
    limit: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None


class PolicyBody(KeptBody, rename="camel", omit_defaults=True):
    """Body of CreateAlarmPolicy and UpdateAlarmPolicy."""

    id: str | None = None
    name: str | None = None
    objects: list[NamedStore] | None = None
    targets: list[TargetBody] | None = None
    trigger_conditions: list[TriggerBody] | None = None
    groups: list[str] | None = None
    schedule: ScheduleBody | None = None
    pending_count: int | None = None
    repeat_interval_minute: int | None = None
    state: str | None = None
    notice_state: str | None = None


class NamesBody(msgspec.Struct):
    """Body of the operations on several policies."""

    names: list[str] | None = None


class AlarmListBody(ListBody, rename="camel"):
    """Body of every list of alarms, of policies and of executions."""

    policy_name_pattern: str | None = None
    policy_id_pattern: str | None = None
    log_store_name_pattern: str | None = None
    policy_id: str | None = None
    policy_name: str | None = None
    log_store_name: str | None = None
    state: str | None = None
    states: list[str] | None = None
    notice_state: str | None = None
    notice_states: list[str] | None = None
    level: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None


class ConditionBody(msgspec.Struct, rename="camel"):
    """Body of ValidateAlarmCondition.

    Source: doc https://cloud.baidu.com/doc/BLS/s/jmf51udpa (2025-09): types by column, of each
    statement, of each LogStore.
    """

    field_types: list[list[dict[str, str]]] | None = None
    conditions: list[str] | None = None


class StatementBody(msgspec.Struct, rename="camel"):
    """Body of ValidateAlarmPolicySQL."""

    log_stores: list[NamedStore] | None = None
    query: str | None = None


def to_content(body: PolicyBody) -> AlarmContent:
    """The part of a policy that its owner chooses.

    Raises:
        ControlError: InvalidParameter.
    """
    schedule = body.schedule
    if schedule is None or not (schedule.interval_minute or schedule.fix_time_minute is not None):
        raise invalid("schedule.intervalMinute", "is required, or fixTimeMinute")
    kept = KeptBody(
        recover_without_notice=body.recover_without_notice,
        notices=_read_entries("notices", body.notices, NoticeBody),
        notice_raw_logs=_read_entries("noticeRawLogs", body.notice_raw_logs, RawLogBody),
    )
    return AlarmContent(
        targets=tuple(_to_target(one) for one in body.targets or ()),
        triggers=tuple(
            _to_trigger(f"triggerConditions[{number}]", one)
            for number, one in enumerate(body.trigger_conditions or ())
        ),
        schedule=AlarmSchedule(
            interval_min=schedule.interval_minute or 0,
            fix_time_min=schedule.fix_time_minute or 0,
            day_of_week=schedule.day_of_week or 0,
        ),
        stores=tuple(store_name(one) for one in body.objects or ()),
        groups=tuple(body.groups or ()),
        pending_count=body.pending_count or 1,
        repeat_interval_min=body.repeat_interval_minute or 0,
        is_enabled=_is_on("state", body.state),
        is_noticed=_is_on("noticeState", body.notice_state),
        opaque=msgspec.json.encode(kept).decode(),
    )


def _read_entries(
    where: str, entries: Sequence[object] | None, kind: type[msgspec.Struct]
) -> list[object] | None:
    """Entries that are only kept; refuse those that the service would refuse."""
    if entries is None:
        return None
    read: list[object] = []
    for number, entry in enumerate(entries):
        try:
            looked_at = msgspec.convert(entry, kind, strict=False)
        except msgspec.ValidationError as error:
            with within(f"{where}[{number}]"):
                raise body_error(error, entry, kind) from error
        read.append(_merged(entry, msgspec.to_builtins(looked_at)))
    return read


def _merged(given: object, read: object) -> object:
    """What was given, with the members that were read in their types."""
    if not isinstance(given, dict) or not isinstance(read, dict):
        return read
    return given | {name: _merged(given[name], value) for name, value in read.items()}


def store_name(body: NamedStore) -> StoreName:
    """The LogStore that a body names."""
    return StoreName(project=project_of(body.project), log_store=body.log_store_name or "")


def state_of(*, is_on: bool) -> str:
    """ENABLED or DISABLED."""
    return ENABLED if is_on else DISABLED


def from_policy(one: AlarmPolicy) -> dict[str, object]:
    """A policy as described.

    Source: doc https://cloud.baidu.com/doc/BLS/s/Smf50c6el (2025-09) for ``recoverWithoutNotice``
    and ``noticeRawLogs``, as policies are made with; doc of the API's schema (2026-08) for the
    three names that it has instead. All are sent. Values of what was not given are assumed.
    """
    content = one.content
    schedule = content.schedule
    when = (
        {"intervalMinute": schedule.interval_min}
        if schedule.interval_min
        else {"fixTimeMinute": schedule.fix_time_min, "dayOfWeek": schedule.day_of_week}
    )
    kept = msgspec.json.decode(content.opaque, type=dict[str, Any])  # Any: whatever was sent
    silent = kept.get("recoverWithoutNotice") is True
    raw_logs = kept.get("noticeRawLogs") or []
    return {
        "id": one.id,
        "name": one.name,
        "objects": [from_store(store) for store in content.stores],
        "targets": [_from_target(target) for target in content.targets],
        "triggerConditions": [_from_trigger(trigger) for trigger in content.triggers],
        "groups": content.groups,
        "schedule": when,
        "pendingCount": content.pending_count,
        "repeatIntervalMinute": content.repeat_interval_min,
        "recoverWithoutNotice": silent,
        "recoverAlarmNotice": not silent,
        "state": state_of(is_on=content.is_enabled),
        "noticeState": state_of(is_on=content.is_noticed),
        "notices": kept.get("notices") or [],
        "noticeRawLogs": raw_logs,
        "noticeRawConfigs": raw_logs,
        "noticeWithRawLog": bool(raw_logs),
        "createdTime": date_time(one.created_at),
        "updatedTime": date_time(one.updated_at),
    }


def from_alarm(one: Alarm, executions: Sequence[AlarmExecution] | None = None) -> dict[str, object]:
    """An alarm as described; in lists without its executions (assumed).

    Source: doc https://cloud.baidu.com/doc/BLS/s/8mf52nbfk (2025-09).
    """
    body: dict[str, object] = {
        "id": one.id,
        "groupId": one.group_id,
        "startTime": date_time(one.began_at),
        "endTime": "" if one.ended_at is None else date_time(one.ended_at),
        "state": one.state,
        "closeReason": "POLICY_MODIFIED" if one.state == "CLOSED" else "",
        "policy": from_policy(one.policy),
        "object": from_store(one.store),
        "triggerCondition": _from_trigger(one.policy.content.triggers[one.trigger]),
        "groups": dict(one.group),
    }
    if executions is not None:
        body["executions"] = [from_execution(execution) for execution in executions]
    return body


def from_execution(one: AlarmExecution) -> dict[str, object]:
    """An execution as listed, with nobody that was notified.

    Source: doc of the API's schema (2026-08); who the execution belongs to is ours beside it.
    """
    return {
        "time": date_time(one.at),
        "state": one.state,
        "noticeState": one.notice,
        "reason": one.error,
        "values": one.values,
        "notices": [],
        "rawLogs": [],
        "policyId": one.policy_id,
        "policyName": one.policy_name,
        "object": from_store(one.store),
        "groups": dict(one.group),
    }


def from_store(store: StoreName) -> dict[str, object]:
    """A LogStore that is named somewhere."""
    return {"project": store.project, "logStoreName": store.log_store}


def _is_on(parameter: str, state: str | None) -> bool:
    if state not in {None, "", ENABLED, DISABLED}:
        raise invalid(parameter, f"expected {ENABLED} or {DISABLED}", state)
    return state != DISABLED


def _to_target(body: TargetBody) -> AlarmTarget:
    own = body.object is not None and body.object.log_store_name
    return AlarmTarget(
        query=body.query,
        start_offset_min=body.start_time_offset_minute,
        end_offset_min=body.end_time_offset_minute or 0,
        store=store_name(body.object) if body.object is not None and own else None,
    )


def _to_trigger(place: str, body: TriggerBody) -> AlarmTrigger:
    try:
        level = AlarmLevel(body.level)
    except ValueError as error:
        expected = f"expected one of {', '.join(AlarmLevel)}"
        raise invalid(f"{place}.level", expected, body.level) from error
    return AlarmTrigger(level=level, condition=body.condition)


def _from_target(target: AlarmTarget) -> Mapping[str, object]:
    body: dict[str, object] = {
        "query": target.query,
        "startTimeOffsetMinute": target.start_offset_min,
        "endTimeOffsetMinute": target.end_offset_min,
    }
    if target.store is not None:
        body["object"] = from_store(target.store)
    return body


def _from_trigger(trigger: AlarmTrigger) -> Mapping[str, object]:
    return {"level": trigger.level, "condition": trigger.condition}
