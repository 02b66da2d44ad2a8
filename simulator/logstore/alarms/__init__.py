"""Alarm policies of LogStores, their evaluation on the clock, and the alarms they raise."""

from simulator.logstore.alarms.conditions import Reference, parse_condition
from simulator.logstore.alarms.executions import AlarmExecution, ExecutionState, NoticeState
from simulator.logstore.alarms.policies import (
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
