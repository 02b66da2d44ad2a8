"""Keeps alarm policies, evaluates them on the clock, and remembers the alarms they raised."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError
from simulator.logstore.alarm_conditions import Row, parse_condition
from simulator.logstore.alarm_policies import (
    MAX_POLICIES,
    AlarmContent,
    AlarmLevel,
    AlarmPolicy,
    check_policy,
)
from simulator.logstore.catalog import Catalog, make_uuid
from simulator.logstore.database import SCHEMA, Database, Transaction
from simulator.logstore.downloads import Query
from simulator.logstore.resources import ResourceTable
from simulator.logstore.values import Paging, Selection

MAX_CATCH_UP: Final = 100
"""Evaluations of a policy when the clock passes many at once: the newest; others are left out."""
KEPT_S: Final = 30 * 86_400
"""Of alarms and executions. Source: doc of the API's schema (lists go back 30 days)."""

_EXECUTIONS: Final = f"{SCHEMA}.alarm_executions"


class AlarmState(StrEnum):
    """What an alarm is at."""

    ALERT = "ALERT"
    OK = "OK"
    """It has passed."""
    CLOSED = "CLOSED"
    """Its policy was disabled, changed or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a policy noticed."""

    id: str
    policy_id: str
    policy_name: str
    level: AlarmLevel
    condition: str
    state: AlarmState
    triggered_count: int
    began_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmExecution:
    """One evaluation of a policy."""

    policy_id: str
    policy_name: str
    at: float
    level: str
    """Of what triggered; empty when nothing did."""
    error: str
    """Why it could not be evaluated."""


class Alarms:
    """Every policy, and the job that evaluates them.

    Source: assumed: a condition is tried with each row of the first target and the first row of
    the others, and an alarm passes with the first evaluation that does not trigger.
    """

    def __init__(self, database: Database, catalog: Catalog, clock: Clock, query: Query) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._query = query
        self._policies = ResourceTable(database, "alarm_policies", AlarmPolicy)
        self._alarms = ResourceTable(database, "alarms", Alarm)
        with database.writing() as transaction:
            transaction.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_EXECUTIONS}"
                "(policy_id VARCHAR, policy_name VARCHAR, ran_at DOUBLE,"
                " level VARCHAR, error VARCHAR)"
            )

    def create(self, name: str, content: AlarmContent) -> str:
        """Make a policy; its id.

        Raises:
            ControlError: AlarmPolicyAlreadyExist, LogStoreNotFound, ResourceOverflow,
                InvalidParameter.
        """
        check_policy(name, content, self._catalog)
        with self._database.writing() as transaction:
            if name in self._policies.items:
                raise ControlError(
                    "AlarmPolicyAlreadyExist", 409, f"AlarmPolicy [{name}] already exists"
                )
            if len(self._policies.items) >= MAX_POLICIES:
                raise ControlError(
                    "ResourceOverflow", 403, "The number of alarm policies reaches the limit"
                )
            now = self._clock.time()
            id_ = make_uuid(f"alarm-policy/{self._catalog.count(transaction)}/{name}")
            made = AlarmPolicy(
                id=id_,
                name=name,
                content=content,
                created_at=now,
                updated_at=now,
                evaluated_at=now,
            )
            self._policies.put(transaction, name, made)
        return id_

    def update(self, name: str, content: AlarmContent) -> None:
        """Replace a policy's content; its open alarm is closed.

        Raises:
            ControlError: AlarmPolicyNotFound, LogStoreNotFound, InvalidParameter.
        """
        check_policy(name, content, self._catalog)
        with self._database.writing() as transaction:
            self._begin_anew(transaction, self.describe(name), content)

    def set_enabled(self, names: Sequence[str], *, is_enabled: bool) -> None:
        """Let policies be evaluated, or not; all or none.

        Raises:
            ControlError: AlarmPolicyNotFound.
        """
        with self._database.writing() as transaction:
            for name in dict.fromkeys(names):
                policy = self.describe(name)
                if policy.content.is_enabled != is_enabled:
                    content = replace(policy.content, is_enabled=is_enabled)
                    self._begin_anew(transaction, policy, content)

    def describe(self, name: str) -> AlarmPolicy:
        """The policy called ``name``.

        Raises:
            ControlError: AlarmPolicyNotFound.
        """
        found = self._policies.items.get(name)
        if found is None:
            raise ControlError("AlarmPolicyNotFound", 404, f"AlarmPolicy [{name}] not found")
        return found

    def delete(self, names: Sequence[str]) -> None:
        """Forget policies, all or none; their alarms stay.

        Raises:
            ControlError: AlarmPolicyNotFound.
        """
        with self._database.writing() as transaction:
            for name in dict.fromkeys(names):
                self._close(transaction, self.describe(name), AlarmState.CLOSED)
                self._policies.remove(transaction, name)

    def list_policies(self) -> list[AlarmPolicy]:
        """Every policy, in the order made."""
        return list(self._policies.items.values())

    def describe_alarm(self, id_: str) -> Alarm:
        """One alarm.

        Raises:
            ControlError: AlarmNotFound.
        """
        found = self._alarms.items.get(id_)
        if found is None:
            raise ControlError("AlarmNotFound", 404, f"Alarm [{id_}] not found")
        return found

    def list_alarms(self) -> list[Alarm]:
        """Every alarm of the last 30 days, in the order raised."""
        return list(self._alarms.items.values())

    def list_executions(self, since: float, until: float) -> list[AlarmExecution]:
        """Every evaluation at or after ``since`` and before ``until``, oldest first."""
        with self._database.reading() as cursor:
            rows = cursor.execute(
                f"SELECT policy_id, policy_name, ran_at, level, error FROM {_EXECUTIONS}"
                " WHERE ran_at >= $since AND ran_at < $until ORDER BY ran_at, policy_name",
                {"since": since, "until": until},
            ).fetchall()
        return [
            AlarmExecution(
                policy_id=row[0], policy_name=row[1], at=row[2], level=row[3], error=row[4]
            )
            for row in rows
        ]

    # The job

    def next_at(self) -> float | None:
        """When the first policy is to be evaluated."""
        return min(
            (one.content.schedule.next_after(one.evaluated_at) for one in self._enabled()),
            default=None,
        )

    def run(self, now: float) -> None:
        """Evaluate what is due."""
        for policy in self._enabled():
            schedule = policy.content.schedule
            for at in schedule.between(policy.evaluated_at, now, MAX_CATCH_UP):
                level, condition, error = self._evaluate(policy, at)
                if not self._keep(policy, at, level, condition, error):
                    break

    def _enabled(self) -> list[AlarmPolicy]:
        return [one for one in self._policies.items.values() if one.content.is_enabled]

    def _evaluate(self, policy: AlarmPolicy, at: float) -> tuple[AlarmLevel | None, str, str]:
        """The worst level that triggers, its condition, and what went wrong."""
        try:
            results = [
                self._rows(target.project, target.log_store, target.query, selection)
                for target in policy.content.targets
                for selection in [
                    Selection(
                        start_ms=int(at + target.start_offset_min * 60) * 1000,
                        end_ms=int(at + target.end_offset_min * 60) * 1000,
                    )
                ]
            ]
        except ControlError as error:
            return None, "", error.message
        others = [rows[0] if rows else {} for rows in results[1:]]
        tried = [(row, *others) for row in results[0] or [{}]]
        worst_first = sorted(
            policy.content.triggers, key=lambda one: list(AlarmLevel).index(one.level), reverse=True
        )
        for trigger in worst_first:
            condition = parse_condition(trigger.condition)
            if any(condition.holds(rows) for rows in tried):
                return trigger.level, trigger.condition, ""
        return None, "", ""

    def _rows(self, project: str, log_store: str, query: str, selection: Selection) -> list[Row]:
        found = self._query(project, log_store, selection, query, Paging())
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    def _keep(
        self, policy: AlarmPolicy, at: float, level: AlarmLevel | None, condition: str, error: str
    ) -> bool:
        """Keep what an evaluation found; False when the policy is another one by now."""
        with self._database.writing() as transaction:
            current = self._policies.items.get(policy.name)
            if current is None or current.content is not policy.content:
                return False
            cursor = transaction.cursor
            cursor.execute(f"DELETE FROM {_EXECUTIONS} WHERE ran_at < ?", [at - KEPT_S])
            cursor.execute(
                f"INSERT INTO {_EXECUTIONS} VALUES (?, ?, ?, ?, ?)",
                [policy.id, policy.name, at, level or "", error],
            )
            pending = current.pending if error else current.pending + 1 if level else 0
            alarm_id = current.alarm_id
            if level is None and not error:
                self._close(transaction, current, AlarmState.OK)
                alarm_id = ""
            elif level is not None and (alarm_id or pending >= policy.content.pending_count):
                alarm_id = self._raise(transaction, current, at, level, condition)
            after = replace(current, evaluated_at=at, pending=pending, alarm_id=alarm_id)
            self._policies.put(transaction, policy.name, after)
            self._forget(transaction, at - KEPT_S)
        return True

    def _raise(
        self,
        transaction: Transaction,
        policy: AlarmPolicy,
        at: float,
        level: AlarmLevel,
        condition: str,
    ) -> str:
        """Open an alarm, or go on with the one that is open; its id."""
        alarm = self._alarms.items.get(policy.alarm_id)
        if alarm is None:
            alarm = Alarm(
                id=make_uuid(f"alarm/{policy.id}/{at}"),
                policy_id=policy.id,
                policy_name=policy.name,
                level=level,
                condition=condition,
                state=AlarmState.ALERT,
                triggered_count=0,
                began_at=at,
                updated_at=at,
            )
        after = replace(
            alarm,
            level=level,
            condition=condition,
            triggered_count=alarm.triggered_count + 1,
            updated_at=at,
        )
        self._alarms.put(transaction, after.id, after)
        return after.id

    def _close(self, transaction: Transaction, policy: AlarmPolicy, state: AlarmState) -> None:
        alarm = self._alarms.items.get(policy.alarm_id)
        if alarm is not None:
            after = replace(alarm, state=state, updated_at=self._clock.time())
            self._alarms.put(transaction, alarm.id, after)

    def _forget(self, transaction: Transaction, before: float) -> None:
        for alarm in self._alarms.items.values():
            if alarm.updated_at < before and alarm.state is not AlarmState.ALERT:
                self._alarms.remove(transaction, alarm.id)

    def _begin_anew(
        self, transaction: Transaction, policy: AlarmPolicy, content: AlarmContent
    ) -> None:
        self._close(transaction, policy, AlarmState.CLOSED)
        now = self._clock.time()
        after = replace(
            policy, content=content, updated_at=now, evaluated_at=now, pending=0, alarm_id=""
        )
        self._policies.put(transaction, policy.name, after)
