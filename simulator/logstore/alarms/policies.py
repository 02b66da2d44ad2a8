"""Alarm policies: what is watched, when, and what raises an alarm."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.errors import invalid, within
from simulator.logstore.alarms.conditions import parse_condition
from simulator.logstore.catalog import Catalog, check_name
from simulator.logstore.dialect import parse_sql
from simulator.logstore.search import parse_search
from simulator.logstore.statement import parse_statement
from simulator.logstore.typed import LOCAL_AHEAD

MAX_POLICIES: Final = 100
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""
MAX_TARGETS: Final = 3
"""Source: doc https://cloud.baidu.com/doc/BLS/s/Amhybht24-en (2025-11)."""
MAX_ALARM_STORES: Final = 10
"""That share the statements.
Source: doc https://cloud.baidu.com/doc/BLS/s/Amhybht24-en (2025-11)."""
MAX_ALARM_TRIGGERS: Final = 10
MAX_GROUPS: Final = 10
"""Names of columns that are grouped by. Source: assumed, as is the number of conditions."""
MAX_OPAQUE_LENGTH: Final = 65_536
"""Of what is kept as it was sent. Source: assumed (a bound against abuse)."""

_DAY_MIN: Final = 1440
_MINUTE_S: Final = 60


class AlarmLevel(StrEnum):
    """How bad it is, the worst last."""

    INFO = "INFO"
    WARN = "WARN"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreName:
    """A LogStore that a policy watches."""

    project: str
    log_store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTarget:
    """A statement that is run, over a range that ends before the instant it is run at."""

    query: str
    start_offset_min: int
    """-1440 to -1."""
    end_offset_min: int
    """Up to 0."""
    store: StoreName | None = None
    """None: it is run in each LogStore that the statements share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTrigger:
    """What raises an alarm, and how bad it then is."""

    level: AlarmLevel
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSchedule:
    """When a policy is evaluated: at every interval, or once a day or week.

    Source: doc of the API's schema for the values; that intervals are counted from the full hour
    UTC, the fixed time by the service's clock, and that 1 is Monday and 0 every day, is assumed.
    """

    interval_min: int = 0
    """1 to 1440; 0: at the fixed time."""
    fix_time_min: int = 0
    """Minute of the day at +08:00."""
    day_of_week: int = 0
    """1 to 7; 0 for every day."""

    def next_after(self, at: float) -> float:
        """The first instant after ``at``."""
        if self.interval_min:
            period_s = self.interval_min * _MINUTE_S
            return (math.floor(at / period_s) + 1) * period_s
        day_s, ahead_s = _DAY_MIN * _MINUTE_S, LOCAL_AHEAD.total_seconds()
        day = math.floor((at + ahead_s) / day_s)
        while True:
            # 1970-01-01 was a Thursday, the fourth day of its week.
            is_day = self.day_of_week in {0, (day + 3) % 7 + 1}
            due_at = day * day_s - ahead_s + self.fix_time_min * _MINUTE_S
            if is_day and due_at > at:
                return due_at
            day += 1

    def between(self, after: float, until: float, most: int) -> Iterator[float]:
        """The newest ``most`` instants after ``after``, up to ``until``."""
        days = 7 if self.day_of_week else 1
        period_min = self.interval_min or days * _DAY_MIN
        after = max(after, until - most * period_min * _MINUTE_S)
        due_at = self.next_after(after)
        while due_at <= until:
            yield due_at
            due_at = self.next_after(due_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmContent:
    """The part of a policy its owner chooses."""

    targets: tuple[AlarmTarget, ...]
    triggers: tuple[AlarmTrigger, ...]
    schedule: AlarmSchedule
    stores: tuple[StoreName, ...] = ()
    """Those that the statements share; each is watched by itself."""
    groups: tuple[str, ...] = ()
    """Columns of results; each combination of their values is watched by itself."""
    pending_count: int = 1
    """Evaluations in a row that must trigger before there is an alarm."""
    repeat_interval_min: int = 0
    """After which an alarm that goes on would be told again; 0 for never."""
    is_enabled: bool = True
    is_noticed: bool = True
    """Whether notices are sent, if any were. Nobody is ever notified."""
    opaque: str = "{}"
    """JSON of what is only kept: notices and the like."""

    @property
    def watched(self) -> tuple[StoreName, ...]:
        """What is watched one by one: the shared LogStores, or the first statement's own.

        Source: doc https://cloud.baidu.com/doc/BLS/s/8mf52nbfk (2025-09) for the shared ones.
        """
        own = tuple(target.store for target in self.targets if target.store is not None)
        return self.stores or own[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmWatch:
    """How a condition stands in one LogStore and one group; kept while it holds."""

    store: StoreName
    group: tuple[tuple[str, str], ...]
    trigger: int
    """Position of its condition in the policy."""
    pending: int
    """Evaluations in a row that triggered."""
    alarm_id: str = ""
    """The alarm that is open; empty for none."""
    told_at: float = 0.0
    """When its alarm would have been told last, Unix seconds."""


class PolicyState(StrEnum):
    """How a policy stands; the simulator's own words."""

    OK = "ok"
    PENDING = "pending"
    """A condition holds, and has not held often enough."""
    ALERT = "alert"
    """An alarm is open."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPolicy:
    """A policy and how far it has come."""

    id: str
    name: str
    content: AlarmContent
    created_at: float
    updated_at: float
    evaluated_at: float
    """The newest instant that is done with."""
    watches: tuple[AlarmWatch, ...] = ()

    @property
    def state(self) -> PolicyState:
        """How it stands."""
        if not self.content.is_enabled:
            return PolicyState.DISABLED
        if any(watch.alarm_id for watch in self.watches):
            return PolicyState.ALERT
        return PolicyState.PENDING if self.watches else PolicyState.OK


def check_policy(name: str, content: AlarmContent, catalog: Catalog) -> None:
    """Refuse what the service refuses.

    Raises:
        ControlError: InvalidParameter naming the parameter; LogStoreNotFound.
    """
    check_name("name", name)
    if not 1 <= len(content.targets) <= MAX_TARGETS:
        raise invalid("targets", f"expected 1 to {MAX_TARGETS}, not {len(content.targets)}")
    if not 1 <= len(content.triggers) <= MAX_ALARM_TRIGGERS:
        raise invalid(
            "triggerConditions", f"expected 1 to {MAX_ALARM_TRIGGERS}, not {len(content.triggers)}"
        )
    if len(content.stores) > MAX_ALARM_STORES:
        raise invalid("objects", f"expected at most {MAX_ALARM_STORES}, not {len(content.stores)}")
    if len(content.groups) > MAX_GROUPS:
        raise invalid("groups", f"expected at most {MAX_GROUPS}, not {len(content.groups)}")
    if "" in content.groups:
        raise invalid(f"groups[{content.groups.index('')}]", "expected the name of a column", "")
    for number, target in enumerate(content.targets):
        with within(f"targets[{number}]"):
            _check_target(target, content.stores, catalog)
    for store in content.stores:
        catalog.store(store.project, store.log_store)
    for number, trigger in enumerate(content.triggers):
        with within(f"triggerConditions[{number}]"):
            for reference in parse_condition(trigger.condition).references:
                if reference.statement > len(content.targets):
                    expected = f"expected statements from 1 to {len(content.targets)}"
                    raise invalid("condition", expected, str(reference))
    with within("schedule"):
        _check_schedule(content.schedule)
    if not 1 <= content.pending_count <= 1000:
        raise invalid("pendingCount", "expected 1 to 1000", content.pending_count)
    if content.repeat_interval_min < 0:
        raise invalid("repeatIntervalMinute", "expected 0 or more", content.repeat_interval_min)
    if len(content.opaque) > MAX_OPAQUE_LENGTH:
        expected = f"expected at most {MAX_OPAQUE_LENGTH} bytes of notices and raw logs in all"
        raise invalid("notices", f"{expected}, not {len(content.opaque)}")


def _check_schedule(schedule: AlarmSchedule) -> None:
    if not 0 <= schedule.interval_min <= _DAY_MIN:
        raise invalid("intervalMinute", "expected 1 to 1440", schedule.interval_min)
    if not 0 <= schedule.fix_time_min < _DAY_MIN:
        raise invalid("fixTimeMinute", "expected 0 to 1439", schedule.fix_time_min)
    if not 0 <= schedule.day_of_week <= 7:
        raise invalid("dayOfWeek", "expected 0 to 7", schedule.day_of_week)


def _check_target(target: AlarmTarget, shared: tuple[StoreName, ...], catalog: Catalog) -> None:
    if not -_DAY_MIN <= target.start_offset_min < 0:
        raise invalid("startTimeOffsetMinute", "expected -1440 to -1", target.start_offset_min)
    if not target.start_offset_min < target.end_offset_min <= 0:
        expected = f"expected {target.start_offset_min + 1} to 0, after the start"
        raise invalid("endTimeOffsetMinute", expected, target.end_offset_min)
    statement = parse_statement(target.query)
    if statement.search is not None:
        parse_search(statement.search.text, statement.search.at)
    if statement.sql is not None:
        parse_sql(statement.sql)
    if target.store is not None:
        catalog.store(target.store.project, target.store.log_store)
    elif not shared:
        raise invalid("object", "expected a LogStore, or `objects` that the statements share")
