"""``faults: [...]``."""

from collections.abc import Collection
from functools import partial
from math import inf
from typing import Final

from simulator.accesslog import FIELDS
from simulator.model.fault_catalogue import CATALOGUE
from simulator.model.fault_text import (
    check_knob,
    free_name,
    keys_of,
    parse_condition,
    parse_fault_name,
    parse_for,
    parse_kind,
    with_defaults,
)
from simulator.model.faults import FAULT_KEYS, Condition, DestinationKind, Fault, KnobValue
from simulator.model.units import parse_duration, parse_share
from simulator.scenario.document import Entry, Value, suggest
from simulator.scenario.names import UniqueNames

_FIELD_NAMES: Final = tuple(field.name for field in FIELDS)


def read_faults(value: Value | None, flow_logs: Collection[str]) -> tuple[Fault, ...]:
    """The faults of a scenario; their time counts from its beginning.

    Args:
        value: the list, if there is one.
        flow_logs: names of all flow logs.
    """
    names = UniqueNames("fault")
    taken: set[str] = set()
    faults: list[Fault] = []
    for entry_value in [] if value is None else value.items():
        fault = _read_fault(entry_value, flow_logs, names, taken)
        if fault is not None:
            faults.append(fault)
            taken.add(fault.name)
    return tuple(faults)


def _read_fault(
    value: Value, flow_logs: Collection[str], names: UniqueNames, taken: set[str]
) -> Fault | None:
    given = dict(value.entries())
    if "fault" not in given:
        value.mapping(FAULT_KEYS, required=("fault",))
        return None
    kind = given["fault"][1].parsed(parse_kind, None)
    if kind is None:
        return None
    spec = CATALOGUE[kind]
    entry = value.mapping(keys_of(spec), required=("fault",))
    name = entry.parsed("name", parse_fault_name, "") or free_name(kind, taken)
    named = entry.get("name")
    if named is not None:
        names.add(name, named)
    flow_log = entry.get("flow_log")
    begin = entry.parsed("at", parse_duration, 0.0)
    knobs: dict[str, KnobValue] = {}
    for knob in spec.knobs:
        text = entry.get(knob.name)
        if text is not None:
            knobs[knob.name] = text.parsed(
                partial(check_knob, spec, knob.name, fields=_FIELD_NAMES),
                knob.parse(knob.default),
            )
    return Fault(
        name=name,
        kind=kind,
        from_at=begin,
        until_at=begin + entry.parsed("for", parse_for, inf),
        share=entry.parsed("share", parse_share, 1.0),
        where=_read_where(entry),
        flow_log="" if flow_log is None else flow_log.reference("flow log", flow_logs) or "",
        node=entry.parsed("node", str, ""),
        destination=entry.choice("to", DestinationKind, DestinationKind.BUCKET)
        if "to" in entry
        else None,
        knobs=with_defaults(spec, knobs),
    )


def _read_where(entry: Entry) -> tuple[Condition, ...]:
    """``where: {response_status: ">= 500"}``."""
    where = entry.get("where")
    read: list[Condition] = []
    for field, (key, text) in [] if where is None else where.entries():
        if field not in _FIELD_NAMES:
            key.problem(f"a record has no field {field!r}; {suggest(field, _FIELD_NAMES)}")
            continue
        condition = text.parsed(partial(parse_condition, field, fields=_FIELD_NAMES), None)
        if condition is not None:
            read.append(condition)
    return tuple(read)
