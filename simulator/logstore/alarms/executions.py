"""The evaluations of alarm policies: a table of what each found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from simulator.errors import ControlError
from simulator.logstore.alarms.assessment import Finding, Group
from simulator.logstore.alarms.policies import AlarmLevel, AlarmPolicy, AlarmWatch, StoreName
from simulator.logstore.database import SCHEMA, Database, Row, Transaction
from simulator.logstore.values import Value
from simulator.logstore.watchdog import QueryHandle

_TABLE: Final = f"{SCHEMA}.alarm_evaluations"


class ExecutionState(StrEnum):
    """What an evaluation ended in.

    Source: doc https://cloud.baidu.com/doc/BLS/s/omf53ssct (2025-09) for the first two.
    """

    OK = "OK"
    ALERT = "ALERT"
    FAIL = "FAIL"
    """A statement could not be run. Source: assumed (the name)."""


class NoticeState(StrEnum):
    """Why an evaluation told nobody.

    Source: doc https://cloud.baidu.com/doc/BLS/s/omf53ssct (2025-09) for the names. ``SENT``,
    ``FAIL`` and ``BLOCK_BY_FREQUENCY`` do not occur, since nobody is ever notified.
    """

    NOT_SENT = "NOT_SENT"
    PENDING = "BLOCK_BY_PENDING_COUNT"
    """Too few evaluations in a row have triggered."""
    REPEATED = "BLOCK_BY_REPEAT_INTERVAL"
    """The alarm was told already, and is not to be told again yet."""
    DISABLED = "BLOCK_BY_NOTICE_DISABLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmExecution:
    """One evaluation of a policy in one LogStore and one group."""

    policy_id: str
    policy_name: str
    at: float
    store: StoreName
    group: Group = ()
    held: tuple[int, ...] = ()
    """Positions of the conditions that held."""
    values: Mapping[str, Value]
    """What the worst of them was true of."""
    notice: NoticeState
    error: str = ""
    """Why it could not be evaluated."""

    @property
    def state(self) -> ExecutionState:
        """What it ended in."""
        if self.error:
            return ExecutionState.FAIL
        return ExecutionState.ALERT if self.held else ExecutionState.OK


@dataclass(frozen=True, slots=True)
class ExecutionMaker:
    """Makes the records of one evaluation in one LogStore."""

    policy: AlarmPolicy
    store: StoreName
    at: float
    """Of the evaluation, Unix seconds."""

    def failed(self, error: ControlError) -> AlarmExecution:
        """The one of an evaluation that was not possible."""
        return self._made((), None, NoticeState.NOT_SENT, error.message)

    def all_of(
        self, findings: Sequence[Finding], watches: Sequence[AlarmWatch]
    ) -> Iterator[AlarmExecution]:
        """One for each group; where there is no group, one that says so.

        Args:
            findings: of each group.
            watches: of what holds, once this evaluation counts.
        """
        for finding in findings or [Finding(group=(), held={})]:
            own = [one for one in watches if one.group == finding.group]
            yield self._made(finding.group, finding, self._notice(own), "")

    def _notice(self, watches: Sequence[AlarmWatch]) -> NoticeState:
        """Why nobody is told of a group: in the end because nobody ever is."""
        content = self.policy.content
        raised = [one for one in watches if one.alarm_id]
        if watches and not raised:
            return NoticeState.PENDING
        if raised and not content.is_noticed:
            return NoticeState.DISABLED
        if raised and all(one.told_at < self.at for one in raised):
            return NoticeState.REPEATED
        return NoticeState.NOT_SENT

    def _made(
        self, group: Group, finding: Finding | None, notice: NoticeState, error: str
    ) -> AlarmExecution:
        held = () if finding is None else tuple(finding.held)
        levels = list(AlarmLevel)
        triggers = self.policy.content.triggers
        worst = max(held, key=lambda one: levels.index(triggers[one].level), default=None)
        return AlarmExecution(
            policy_id=self.policy.id,
            policy_name=self.policy.name,
            at=self.at,
            store=self.store,
            group=group,
            held=held,
            values={} if finding is None or worst is None else finding.held[worst],
            notice=notice,
            error=error,
        )


class Executions:
    """Every evaluation that is kept.

    Args:
        database: holds the table.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as transaction:
            transaction.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE}(policy_id VARCHAR, policy_name VARCHAR,"
                " ran_at DOUBLE, project VARCHAR, log_store VARCHAR, grouped VARCHAR,"
                " held VARCHAR, found VARCHAR, notice VARCHAR, error VARCHAR)"
            )

    def add(self, transaction: Transaction, executions: Sequence[AlarmExecution]) -> None:
        """Keep evaluations."""
        for one in executions:
            transaction.cursor.execute(
                f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    one.policy_id,
                    one.policy_name,
                    one.at,
                    one.store.project,
                    one.store.log_store,
                    _json(one.group),
                    _json(one.held),
                    _json(one.values),
                    one.notice,
                    one.error,
                ],
            )

    def forget(self, transaction: Transaction, before: float) -> None:
        """Keep none that is older than ``before``."""
        transaction.cursor.execute(f"DELETE FROM {_TABLE} WHERE ran_at < ?", [before])

    def between(self, since: float, until: float) -> list[AlarmExecution]:
        """All at or after ``since`` and before ``until``, oldest first."""
        return self._find("ran_at >= ? AND ran_at < ? ORDER BY ran_at, policy_name", since, until)

    def newest(
        self, policy_id: str, store: StoreName, group: Group, span: tuple[float, float], most: int
    ) -> list[AlarmExecution]:
        """The newest ``most`` of one LogStore and group within ``span``, its ends included."""
        return self._find(
            "policy_id = ? AND project = ? AND log_store = ? AND grouped = ?"
            " AND ran_at BETWEEN ? AND ? ORDER BY ran_at DESC LIMIT ?",
            *(policy_id, store.project, store.log_store, _json(group), *span, most),
        )

    def newest_errors(self, handle: QueryHandle) -> Mapping[str, tuple[float, str]]:
        """When an evaluation of a policy failed last, and why, by the policy's id.

        Raises:
            ControlError: ExecutionTimeout.
        """
        with self._database.reading(handle) as cursor:
            sql = (
                f"SELECT policy_id, max(ran_at), arg_max(error, ran_at) FROM {_TABLE}"
                " WHERE error <> '' GROUP BY policy_id"
            )
            return {row[0]: (row[1], row[2]) for row in cursor.execute(sql).fetchall()}

    def _find(self, where: str, *values: object) -> list[AlarmExecution]:
        with self._database.reading() as cursor:
            sql = f"SELECT * FROM {_TABLE} WHERE {where}"
            return [_from_row(row) for row in cursor.execute(sql, list(values)).fetchall()]


def _from_row(row: Row) -> AlarmExecution:
    return AlarmExecution(
        policy_id=row[0],
        policy_name=row[1],
        at=row[2],
        store=StoreName(project=row[3], log_store=row[4]),
        group=msgspec.json.decode(row[5], type=tuple[tuple[str, str], ...]),
        held=msgspec.json.decode(row[6], type=tuple[int, ...]),
        values=msgspec.json.decode(row[7], type=dict[str, Value]),
        notice=NoticeState(row[8]),
        error=row[9],
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
