"""What the results of a policy's statements amount to: which conditions hold, group by group.

Pure: knows neither LogStores nor the clock.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final, TypeAlias

from simulator.logstore.alarms.conditions import COUNT, Condition, Row, parse_condition
from simulator.logstore.alarms.policies import AlarmContent
from simulator.logstore.values import Value

MAX_COUNT: Final = 100
"""What ``__QUERYCOUNT__`` is at most. Source: doc https://cloud.baidu.com/doc/BLS/s/5lutqah59
(2024-09); that the count is meant there, and not the number of the statement, is assumed."""
MAX_TRIES: Final = 1000
"""Combinations of the statements' results that a condition is tried with, and groups of them.
Source: assumed, as in the service of another vendor that has this language."""

Group: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values of the columns that results were grouped by; empty without groups."""

_GROUP: Final = re.compile(r"\[?\$(\d{1,3})\.([^\]]+)\]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found in one group."""

    group: Group
    held: Mapping[int, Mapping[str, Value]]
    """By the position of each condition that holds, what it was true of."""


def assess(content: AlarmContent, results: Sequence[Sequence[Row]]) -> list[Finding]:
    """Try the conditions of a policy.

    Source: doc https://cloud.baidu.com/doc/BLS/s/Amhybht24-en (2025-11): each condition that holds
    raises an alarm of its level, and each group is assessed by itself. That the first statement
    with a column to group by makes the groups, and that of the other statements those results
    belong to a group which have the same values, is assumed.

    Args:
        content: of the policy.
        results: of each statement.

    Raises:
        ControlError: InvalidParameter for a condition that is not understood any more.
    """
    conditions = [parse_condition(trigger.condition) for trigger in content.triggers]
    return [
        Finding(
            group=group,
            held={
                position: values
                for position, condition in enumerate(conditions)
                if (values := _values(condition, rows)) is not None
            },
        )
        for group, rows in _grouped(content.groups, results)
    ]


def _values(condition: Condition, results: Sequence[Sequence[Row]]) -> Mapping[str, Value] | None:
    """What a condition is true of; None when it is true of nothing."""
    asked = {one.statement for one in condition.references if not one.is_count}
    candidates = [
        _counted(rows if position in asked else (), len(rows))
        for position, rows in enumerate(results, start=1)
    ]
    for rows in islice(product(*candidates), MAX_TRIES):
        if condition.holds(rows):
            return {str(one): one.of(rows) for one in condition.references}
    return None


def _counted(rows: Sequence[Row], count: int) -> list[Row]:
    """The first results, or one without columns, each with how many there are."""
    number = {COUNT: min(count, MAX_COUNT)}
    return [{**row, **number} for row in rows[:MAX_TRIES]] or [number]


def _grouped(
    names: Sequence[str], results: Sequence[Sequence[Row]]
) -> Iterator[tuple[Group, Sequence[Sequence[Row]]]]:
    if not names:
        yield (), results
        return
    columns = [_columns(names, position, rows) for position, rows in enumerate(results, start=1)]
    lead = next((position for position, found in enumerate(columns) if found), None)
    if lead is None:
        return
    keys = dict.fromkeys(_key(row, columns[lead]) for row in results[lead])
    for key in islice(keys, MAX_TRIES):
        wanted = dict(key)
        yield (
            key,
            [
                [
                    row
                    for row in rows
                    if all(wanted.get(name, text) == text for name, text in _key(row, found))
                ]
                for rows, found in zip(results, columns, strict=True)
            ],
        )


def _columns(names: Sequence[str], position: int, rows: Sequence[Row]) -> Mapping[str, str]:
    """The columns of a statement's results that are grouped by, and the names they go by."""
    found: dict[str, str] = {}
    for name in names:
        numbered = _GROUP.fullmatch(name)
        if numbered is not None and int(numbered[1]) != position:
            continue
        column = name if numbered is None else numbered[2]
        if rows and column in rows[0]:
            found[name] = column
    return found


def _key(row: Row, columns: Mapping[str, str]) -> Group:
    return tuple((name, _text(row[column])) for name, column in columns.items())


def _text(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
