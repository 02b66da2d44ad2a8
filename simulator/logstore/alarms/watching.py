"""Keeps alarm policies, evaluates them on the clock, and remembers the alarms they raised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError
from simulator.logstore.alarms.assessment import Finding, Group, assess
from simulator.logstore.alarms.conditions import Row
from simulator.logstore.alarms.executions import AlarmExecution, ExecutionMaker, Executions
from simulator.logstore.alarms.policies import (
    MAX_POLICIES,
    AlarmContent,
    AlarmLevel,
    AlarmPolicy,
    AlarmWatch,
    StoreName,
    check_policy,
)
from simulator.logstore.catalog import Catalog, make_uuid
from simulator.logstore.database import Database, Transaction
from simulator.logstore.downloads import Query
from simulator.logstore.resources import ResourceTable, check_room
from simulator.logstore.upkeep import IsStopped, never
from simulator.logstore.values import Paging, Selection
from simulator.logstore.watchdog import QueryHandle

MAX_CATCH_UP: Final = 100
"""Evaluations of a policy when the clock passes many at once: the newest; others are left out."""
KEPT_S: Final = 30 * 86_400
"""Of alarms and executions. Source: doc of the API's schema (lists go back 30 days)."""
MAX_SHOWN: Final = 100
"""Executions that an alarm is described with, the newest. Source: assumed."""


class AlarmState(StrEnum):
    """What an alarm is at."""

    ALERT = "ALERT"
    OK = "OK"
    """It has passed."""
    CLOSED = "CLOSED"
    """Its policy was disabled, changed or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a policy noticed: a condition that held in one LogStore and one group."""

    id: str
    policy: AlarmPolicy
    """As it was then, without its watches."""
    store: StoreName
    group: Group
    trigger: int
    """Position of the condition in the policy."""
    state: AlarmState
    began_at: float
    ended_at: float | None = None
    """None while it goes on."""

    @property
    def level(self) -> AlarmLevel:
        """How bad it is."""
        return self.policy.content.triggers[self.trigger].level

    @property
    def group_id(self) -> str:
        """One for all alarms of a group, empty without groups. Source: assumed."""
        return make_uuid(f"alarm-group/{self.policy.id}/{self.group}") if self.group else ""


class Alarms:
    """Every policy, and the job that evaluates them.

    Source: doc https://cloud.baidu.com/doc/BLS/s/Amhybht24-en (2025-11) for an alarm by LogStore,
    group and condition. That one passes with the first evaluation in which its condition does not
    hold, and stays as it is while a statement fails, is assumed.
    """

    def __init__(self, database: Database, catalog: Catalog, clock: Clock, query: Query) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._query = query
        self._policies = ResourceTable(database, "alarm_policies", AlarmPolicy)
        self._alarms = ResourceTable(database, "alarm_records", Alarm)
        self._executions = Executions(database)

    def create(self, name: str, content: AlarmContent) -> str:
        """Make a policy; its id.

        Raises:
            ControlError: AlarmPolicyAlreadyExist, LogStoreNotFound, ResourceOverflow,
                InvalidParameter.
        """
        check_policy(name, content, self._catalog)
        with self._database.writing() as transaction:
            self._refuse_taken(name)
            check_room("alarm policies", len(self._policies.items), MAX_POLICIES)
            now = self._clock.time()
            id_ = make_uuid(f"alarm-policy/{self._catalog.next_number(transaction)}/{name}")
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

    def update(self, name: str, content: AlarmContent, *, id_: str = "") -> None:
        """Replace a policy's content; its open alarms are closed.

        Args:
            name: of the policy, or the one it is to have.
            content: all that its owner chooses.
            id_: of the policy; empty: its name says which it is.

        Raises:
            ControlError: AlarmPolicyNotFound, AlarmPolicyAlreadyExist, LogStoreNotFound,
                InvalidParameter.
        """
        check_policy(name, content, self._catalog)
        with self._database.writing() as transaction:
            before = self._with_id(id_) if id_ else self.describe(name)
            if before.name != name:
                self._refuse_taken(name)
                self._policies.remove(transaction, before.name)
            self._begin_anew(transaction, replace(before, name=name), content)

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
                policy = self.describe(name)
                self._close(transaction, policy.watches, AlarmState.CLOSED, self._clock.time())
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

    def executions_of(self, alarm: Alarm) -> list[AlarmExecution]:
        """The evaluations from which an alarm began to the one it passed with, newest first."""
        span = (alarm.began_at, math.inf if alarm.ended_at is None else alarm.ended_at)
        return self._executions.newest(alarm.policy.id, alarm.store, alarm.group, span, MAX_SHOWN)

    def list_executions(self, since: float, until: float) -> list[AlarmExecution]:
        """Every evaluation at or after ``since`` and before ``until``, oldest first."""
        return self._executions.between(since, until)

    def newest_errors(self, handle: QueryHandle) -> Mapping[str, tuple[float, str]]:
        """See ``Executions.newest_errors``."""
        return self._executions.newest_errors(handle)

    # The job

    def next_at(self) -> float | None:
        """When the first policy is to be evaluated."""
        return min(
            (one.content.schedule.next_after(one.evaluated_at) for one in self._enabled()),
            default=None,
        )

    def run(self, now: float, is_stopped: IsStopped = never) -> None:
        """Evaluate what is due."""
        for policy in self._enabled():
            schedule = policy.content.schedule
            for at in schedule.between(policy.evaluated_at, now, MAX_CATCH_UP):
                found: dict[StoreName, list[Finding] | ControlError] = {}
                for store in policy.content.watched:
                    if is_stopped():
                        return
                    found[store] = self._evaluate(policy.content, store, at)
                if is_stopped():
                    return  # that interrupts statements, and what they then say is no finding
                if not self._keep(policy, at, found):
                    break

    def _enabled(self) -> list[AlarmPolicy]:
        return [one for one in self._policies.items.values() if one.content.is_enabled]

    def _evaluate(
        self, content: AlarmContent, watched: StoreName, at: float
    ) -> list[Finding] | ControlError:
        """What was found in each group, or what went wrong; asked as of the instant ``at``, since
        the clock may have passed it long ago."""
        results: list[list[Row]] = []
        try:
            for target in content.targets:
                store = target.store or watched
                selection = Selection(
                    start_ms=int(at + target.start_offset_min * 60) * 1000,
                    end_ms=int(at + target.end_offset_min * 60) * 1000,
                    as_of=at,
                )
                found = self._query(
                    store.project, store.log_store, selection, target.query, Paging()
                )
                results.append([dict(zip(found.columns, row, strict=True)) for row in found.rows])
            return assess(content, results)
        except ControlError as error:
            return error

    def _keep(
        self, policy: AlarmPolicy, at: float, found: dict[StoreName, list[Finding] | ControlError]
    ) -> bool:
        """Keep what an evaluation found; False when the policy is another one by now."""
        with self._database.writing() as transaction:
            current = self._policies.items.get(policy.name)
            if current is None or current.content is not policy.content:
                return False
            watches: list[AlarmWatch] = []
            for store, outcome in found.items():
                before = [one for one in current.watches if one.store == store]
                made = ExecutionMaker(current, store, at)
                if isinstance(outcome, ControlError):
                    watches += before
                    self._executions.add(transaction, [made.failed(outcome)])
                    continue
                after = [
                    self._watched(transaction, current, store, finding.group, trigger, at)
                    for finding in outcome
                    for trigger in finding.held
                ]
                going_on = {(one.group, one.trigger) for one in after}
                passed = [one for one in before if (one.group, one.trigger) not in going_on]
                self._close(transaction, passed, AlarmState.OK, at)
                self._executions.add(transaction, list(made.all_of(outcome, after)))
                watches += after
            self._executions.forget(transaction, at - KEPT_S)
            after_it = replace(current, evaluated_at=at, watches=tuple(watches))
            self._policies.put(transaction, policy.name, after_it)
            self._forget(transaction, at - KEPT_S)
        return True

    def _watched(
        self,
        transaction: Transaction,
        policy: AlarmPolicy,
        store: StoreName,
        group: Group,
        trigger: int,
        at: float,
    ) -> AlarmWatch:
        """A condition that holds, with its alarm once it has held often enough."""
        new = AlarmWatch(store=store, group=group, trigger=trigger, pending=0)
        before = next(
            (
                one
                for one in policy.watches
                if (one.store, one.group, one.trigger) == (store, group, trigger)
            ),
            new,
        )
        pending = before.pending + 1
        content = policy.content
        if pending < content.pending_count:
            return replace(before, pending=pending)
        alarm_id = before.alarm_id
        if not alarm_id:
            alarm_id = make_uuid(f"alarm/{policy.id}/{store}/{group}/{trigger}/{at}")
            alarm = Alarm(
                id=alarm_id,
                policy=replace(policy, watches=()),
                store=store,
                group=group,
                trigger=trigger,
                state=AlarmState.ALERT,
                began_at=at,
            )
            self._alarms.put(transaction, alarm_id, alarm)
        repeat_s = content.repeat_interval_min * 60
        is_told = not before.told_at or 0 < repeat_s <= at - before.told_at
        told_at = at if is_told else before.told_at
        return replace(before, pending=pending, alarm_id=alarm_id, told_at=told_at)

    def _close(
        self,
        transaction: Transaction,
        watches: Sequence[AlarmWatch],
        state: AlarmState,
        at: float,
    ) -> None:
        for watch in watches:
            alarm = self._alarms.items.get(watch.alarm_id)
            if alarm is not None:
                self._alarms.put(transaction, alarm.id, replace(alarm, state=state, ended_at=at))

    def _forget(self, transaction: Transaction, before: float) -> None:
        for alarm in self._alarms.items.values():
            if alarm.ended_at is not None and alarm.ended_at < before:
                self._alarms.remove(transaction, alarm.id)

    def _begin_anew(
        self, transaction: Transaction, policy: AlarmPolicy, content: AlarmContent
    ) -> None:
        now = self._clock.time()
        self._close(transaction, policy.watches, AlarmState.CLOSED, now)
        after = replace(policy, content=content, updated_at=now, evaluated_at=now, watches=())
        self._policies.put(transaction, policy.name, after)

    def _refuse_taken(self, name: str) -> None:
        if name in self._policies.items:
            raise ControlError(
                "AlarmPolicyAlreadyExist", 409, f"AlarmPolicy [{name}] already exists"
            )

    def _with_id(self, id_: str) -> AlarmPolicy:
        for policy in self._policies.items.values():
            if policy.id == id_:
                return policy
        raise ControlError("AlarmPolicyNotFound", 404, f"AlarmPolicy [{id_}] not found")
