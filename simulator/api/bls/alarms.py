"""The operations on alarm policies, alarms and executions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aiohttp import web

from simulator.api.bls.alarm_bodies import (
    DISABLED,
    AlarmListBody,
    ConditionBody,
    NamesBody,
    PolicyBody,
    StatementBody,
    from_alarm,
    from_execution,
    from_policy,
    from_store,
    state_of,
    store_name,
    to_content,
)
from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    json_response,
    list_page,
    parse_instant,
    parse_query,
    read_body,
)
from simulator.errors import ControlError, invalid
from simulator.logstore import (
    MAX_ALARM_STORES,
    MAX_ALARM_TRIGGERS,
    AlarmExecution,
    AlarmPolicy,
    Paging,
    QueryHandle,
    Reference,
    Selection,
    StoreName,
    parse_condition,
)

MAX_PAGE: Final = 100
MONTH_S: Final = 30 * 86_400


class Alarms(Service):
    """Handlers of the operations on alarms.

    Source: doc https://cloud.baidu.com/doc/BLS (2025-09) and of the API's schema (2026-08) for
    parameters and fields; that filters with ``Pattern`` in their name, and a policy's name, find a
    part, and that the others are exact, is assumed, as are the names of errors.
    """

    async def create(self, request: web.Request) -> web.Response:
        """CreateAlarmPolicy."""
        body = await read_body(request, PolicyBody)
        return await self.confirm(self.engine.alarms.create, body.name or "", to_content(body))

    async def update(self, request: web.Request) -> web.Response:
        """UpdateAlarmPolicy: the whole policy is replaced; an ``id`` lets its name be another.

        Source: doc https://cloud.baidu.com/doc/BLS/s/Zmf501o23 (2025-09) has the ``id``, which the
        API's schema does not; without one the name says which policy it is.
        """
        body = await read_body(request, PolicyBody)
        update, name, id_ = self.engine.alarms.update, body.name or "", body.id or ""
        return await self.confirm(update, name, to_content(body), id_=id_)

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeAlarmPolicy.

        Source: doc of the API's schema for ``PolicyName``, https://cloud.baidu.com/doc/BLS/s/Smf50c6el
        (2025-09) for ``name``.
        """
        name = _parameter(request, "PolicyName", "policyName", "name")
        policy = from_policy(self.engine.alarms.describe(name))
        return json_response({"message": "", "policy": policy})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteAlarmPolicy: a DELETE with a body."""
        names = await _names(request)
        return await self.confirm(self.engine.alarms.delete, names)

    async def enable(self, request: web.Request) -> web.Response:
        """EnableAlarmPolicy."""
        names = await _names(request)
        return await self.confirm(self.engine.alarms.set_enabled, names, is_enabled=True)

    async def disable(self, request: web.Request) -> web.Response:
        """DisableAlarmPolicy."""
        names = await _names(request)
        return await self.confirm(self.engine.alarms.set_enabled, names, is_enabled=False)

    async def list_policies(self, request: web.Request) -> web.Response:
        """ListAlarmPolicy."""
        asked = await read_body(request, AlarmListBody)
        page, wrapper = list_page(
            [one for one in self.engine.alarms.list_policies() if _is_listed(one, asked)],
            {
                "updatedTime": lambda one: one.updated_at,
                "createdTime": lambda one: one.created_at,
            },
            asked,
            most=MAX_PAGE,
        )
        policies = [from_policy(one) for one in page]
        return json_response({"message": "", "result": {**wrapper, "policies": policies}})

    async def describe_alarm(self, request: web.Request) -> web.Response:
        """DescribeAlarmRecord, with the newest of its executions.

        Source: doc of the API's schema for ``alarmId``, https://cloud.baidu.com/doc/BLS/s/8mf52nbfk
        (2025-09) for ``id``.
        """
        alarm = self.engine.alarms.describe_alarm(_parameter(request, "alarmId", "id"))
        executions = await self.call(self.engine.alarms.executions_of, alarm)
        return json_response({"message": "", "alarm": from_alarm(alarm, executions)})

    async def list_alarms(self, request: web.Request) -> web.Response:
        """ListAlarmRecord."""
        asked = await read_body(request, AlarmListBody)
        since, until = self._range(asked)
        found = [
            one
            for one in self.engine.alarms.list_alarms()
            if (asked.policy_name_pattern or "") in one.policy.name
            and (asked.policy_id_pattern or "") in one.policy.id
            and (asked.log_store_name_pattern or "") in one.store.log_store
            and (asked.level or "") in {"", one.level}
            and (asked.state or "") in {"", one.state}
            and since <= one.began_at < until
        ]
        keys = {
            "startTime": lambda one: one.began_at,
            "endTime": lambda one: float("inf") if one.ended_at is None else one.ended_at,
        }
        page, wrapper = list_page(found, keys, asked, most=MAX_PAGE)
        alarms = [from_alarm(one) for one in page]
        return json_response({"message": "", "result": {**wrapper, "alarms": alarms}})

    async def list_executions(self, request: web.Request) -> web.Response:
        """ListAlarmExecutions."""
        asked = await read_body(request, AlarmListBody)
        found = [
            one
            for one in await self._executions(asked)
            if (asked.state or "") in {"", one.state}
            and (not asked.notice_states or one.notice in asked.notice_states)
        ]
        page, wrapper = list_page(found, {"@timestamp": lambda one: one.at}, asked, most=MAX_PAGE)
        executions = [from_execution(one) for one in page]
        return json_response({"message": "", "result": {**wrapper, "executions": executions}})

    async def list_stats(self, request: web.Request) -> web.Response:
        """ListAlarmExecutionStats: counts for each policy, of deleted ones too (assumed)."""
        asked = await read_body(request, AlarmListBody)
        policies = {one.id: one for one in self.engine.alarms.list_policies()}
        by_policy: dict[str, list[AlarmExecution]] = {}
        for one in await self._executions(asked):
            if not asked.states or one.state in asked.states:
                by_policy.setdefault(one.policy_id, []).append(one)
        stats = [_stats(found, policies.get(id_)) for id_, found in by_policy.items()]
        page, wrapper = list_page(stats, _by_count(), asked, most=MAX_PAGE)
        return json_response({"message": "", "result": {**wrapper, "executionStats": page}})

    async def validate_condition(self, request: web.Request) -> web.Response:
        """ValidateAlarmCondition: where columns are given, in each LogStore, others are refused."""
        body = await read_body(request, ConditionBody)
        _check_count("conditions", body.conditions, MAX_ALARM_TRIGGERS)
        _check_count("fieldTypes", body.field_types, MAX_ALARM_STORES)
        message = ""
        try:
            for text in body.conditions or [""]:
                condition = parse_condition(text)
                for statements in body.field_types or ():
                    for one in condition.references:
                        _check_known(one, statements)
        except ControlError as error:
            message = error.message
        return json_response({"message": "", "result": {"valid": not message, "message": message}})

    async def validate_statement(self, request: web.Request) -> web.Response:
        """ValidateAlarmPolicySQL: the statement is run over a minute of each LogStore."""
        body = await read_body(request, StatementBody)
        if not body.log_stores:
            raise invalid("logStores", "is required")
        _check_count("logStores", body.log_stores, MAX_ALARM_STORES)
        now_ms = int(self.clock.time() * 1000)
        minute = Selection(start_ms=now_ms - 60_000, end_ms=now_ms)
        result: dict[str, object] = {"valid": True, "reason": "", "columns": [], "columnTypes": []}
        for store in map(store_name, body.log_stores):
            result["logStore"] = from_store(store)
            try:
                handle = QueryHandle()
                found = await self.query(
                    request,
                    handle,
                    self.engine.query,
                    store.project,
                    store.log_store,
                    minute,
                    body.query or "",
                    Paging(),
                    handle,
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
        return json_response({"message": "", "result": result})

    async def _executions(self, asked: AlarmListBody) -> list[AlarmExecution]:
        found = await self.call(self.engine.alarms.list_executions, *self._range(asked))
        return [
            one
            for one in found
            if (asked.policy_id or "") in {"", one.policy_id}
            and (asked.policy_name or "") in one.policy_name
            and (asked.log_store_name or "") in {"", one.store.log_store}
        ]

    def _range(self, asked: AlarmListBody) -> tuple[float, float]:
        """The last 30 days, unless the body says otherwise."""
        until = self.clock.time() + 1.0
        if asked.end_date_time:
            until = parse_instant("endDateTime", asked.end_date_time) / 1000
        since = until - MONTH_S
        if asked.start_date_time:
            since = parse_instant("startDateTime", asked.start_date_time) / 1000
        return since, until


def _parameter(request: web.Request, *names: str) -> str:
    """The first of some parameters that has a value."""
    parameters = parse_query(request)
    return next((parameters[name] for name in names if parameters.get(name)), "")


async def _names(request: web.Request) -> tuple[str, ...]:
    body = await read_body(request, NamesBody)
    if not body.names:
        raise invalid("names", "is required")
    return tuple(body.names)


def _is_listed(one: AlarmPolicy, asked: AlarmListBody) -> bool:
    """Whether a policy passes the filters.

    Source: doc https://cloud.baidu.com/doc/BLS/s/Mmf50tii4 (2025-09) writes ``ENABLE`` here.
    """
    content = one.content
    return (
        (asked.policy_name_pattern or "") in one.name
        and (asked.policy_id_pattern or "") in one.id
        and any((asked.log_store_name_pattern or "") in name for name in _store_names(one))
        and _is_state(asked.state, is_on=content.is_enabled)
        and _is_state(asked.notice_state, is_on=content.is_noticed)
    )


def _is_state(asked: str | None, *, is_on: bool) -> bool:
    return not asked or (asked == DISABLED) is (state_of(is_on=is_on) == DISABLED)


def _stores(one: AlarmPolicy) -> Iterable[StoreName]:
    own = (target.store for target in one.content.targets if target.store is not None)
    return dict.fromkeys((*one.content.stores, *own))


def _store_names(one: AlarmPolicy) -> list[str]:
    return [store.log_store for store in _stores(one)]


def _check_count(parameter: str, items: Sequence[object] | None, most: int) -> None:
    """Refuse more than a policy can have. Source: assumed."""
    if items and len(items) > most:
        raise invalid(parameter, f"expected at most {most}, not {len(items)}")


def _check_known(one: Reference, statements: Sequence[dict[str, str]]) -> None:
    if one.statement > len(statements):
        raise invalid("condition", f"{one}: there are {len(statements)} statements")
    if not one.is_count and one.name not in statements[one.statement - 1]:
        raise invalid("condition", f"{one}: the statement has no column {one.name}")


def _stats(found: Sequence[AlarmExecution], policy: AlarmPolicy | None) -> dict[str, object]:
    """The counts of one policy; nobody is ever notified.

    Source: doc https://cloud.baidu.com/doc/BLS/s/bmf547sjw (2025-09).
    """
    newest = found[-1]
    described = {} if policy is None else from_policy(policy)
    stores = dict.fromkeys(one.store for one in found) if policy is None else _stores(policy)
    return {
        "policyId": newest.policy_id,
        "policyName": newest.policy_name,
        "objects": [from_store(store) for store in stores],
        "pendingCount": described.get("pendingCount", 1),
        "repeatIntervalMinute": described.get("repeatIntervalMinute", 0),
        "notices": described.get("notices", []),
        "totalCount": len(found),
        "failCount": sum(bool(one.error) for one in found),
        "noticeTotalCount": 0,
        "noticeFailCount": 0,
    }


def _by_count() -> dict[str, Callable[[dict[str, Any]], Any]]:  # Any: counts
    return {
        "totalCount": lambda one: one["totalCount"],
        "failCount": lambda one: one["failCount"],
        "noticeTotalCount": lambda one: one["noticeTotalCount"],
        "noticeFailCount": lambda one: one["noticeFailCount"],
    }
