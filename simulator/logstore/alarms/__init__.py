"""Alarm policies of LogStores, their evaluation on the clock, and the alarms they raise."""

from simulator.logstore.alarms.conditions import Reference, parse_condition
from simulator.logstore.alarms.executions import AlarmExecution, ExecutionState, NoticeState
from simulator.logstore.alarms.policies import (
    MAX_ALARM_STORES,
    MAX_ALARM_TRIGGERS,
    AlarmContent,
    AlarmLevel,
    AlarmPolicy,
    AlarmSchedule,
    AlarmTarget,
    AlarmTrigger,
    StoreName,
)
from simulator.logstore.alarms.watching import Alarm, Alarms

__all__ = [
    "MAX_ALARM_STORES",
    "MAX_ALARM_TRIGGERS",
    "Alarm",
    "AlarmContent",
    "AlarmExecution",
    "AlarmLevel",
    "AlarmPolicy",
    "AlarmSchedule",
    "AlarmTarget",
    "AlarmTrigger",
    "Alarms",
    "ExecutionState",
    "NoticeState",
    "Reference",
    "StoreName",
    "parse_condition",
]
