"""Faults as people write them, key by key, for scenarios, the API and the command alike."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from typing import Final, TypeVar

from simulator.model.fault_catalogue import CATALOGUE, FaultSpec, FaultStage
from simulator.model.faults import (
    FAULT_KEYS,
    Condition,
    DestinationKind,
    Fault,
    FaultKind,
    KnobValue,
    recorded,
)
from simulator.model.units import format_share, parse_duration, parse_share

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_CONDITION: Final = re.compile(r"\s*(>=|<=|!=|=|<|>)?\s*(.*?)\s*", re.DOTALL)
_LAYER_4_ONLY: Final = "F-SKIP"
_ON_THE_WAY_KEYS: Final = ("where", "flow_log", "node", "to")
"""Keys that only faults on the way of records have."""
_OFF_THE_WAY: Final = (FaultStage.LOG_STORE, FaultStage.READ)


def parse_kind(text: str) -> FaultKind:
    """The kind that ``text`` names, in capitals or not.

    Raises:
        ValueError: with the closest that there is.
    """
    wanted = text.strip().upper()
    if wanted == _LAYER_4_ONLY:
        raise ValueError("F-SKIP is of layer-4 records, which are not simulated yet")
    known = [kind.value for kind in FaultKind]
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
        raise ValueError(f"there is no fault {text!r}; {hint}")
    return FaultKind(wanted)


def keys_of(spec: FaultSpec) -> tuple[str, ...]:
    """Every key that a fault of this kind can be given."""
    common: tuple[str, ...] = FAULT_KEYS
    if spec.stage in _OFF_THE_WAY:
        # What a LogStore holds, and a pipeline reads, is of every flow log and node.
        common = tuple(key for key in FAULT_KEYS if key not in _ON_THE_WAY_KEYS)
    return (*common, *(knob.name for knob in spec.knobs))


def parse_fault_name(text: str) -> str:
    """A name for a fault.

    Raises:
        ValueError: it has other characters, or does not begin with a letter.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a name; expected at most 64 letters, digits and `_` `.` `-`, "
            "beginning with a letter"
        )
    return text


def free_name(kind: FaultKind, taken: Collection[str]) -> str:
    """A name for a fault that was given none: ``f-late``, ``f-late-2``."""
    name, number = kind.value.lower(), 1
    while name in taken:
        number += 1
        name = f"{kind.value.lower()}-{number}"
    return name


def parse_condition(field: str, text: str, fields: Collection[str]) -> Condition:
    """One entry of ``where``: ``status: ">= 500"``, ``host: "shop*"``.

    Args:
        field: of the record.
        text: an operator, ``=`` if there is none, and a value.
        fields: that records have.

    Raises:
        ValueError: no record has the field, or a comparison of size has no number.
    """
    if field not in fields:
        close = difflib.get_close_matches(field, list(fields), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"a record has no field {field!r}{hint}")
    found = _CONDITION.fullmatch(text)
    assert found is not None  # it matches anything
    operator, value = found[1] or "=", found[2]
    if operator not in ("=", "!="):
        try:
            float(value)
        except ValueError as error:
            raise ValueError(
                f"{text!r} compares with no number; expected one such as '{operator} 500'"
            ) from error
    return Condition(field=field, operator=operator, value=value)


def parse_for(text: str) -> float:
    """Seconds of ``for``, above 0.

    Raises:
        ValueError: it is not a duration, or 0s.
    """
    seconds = parse_duration(text)
    if seconds <= 0.0:
        raise ValueError(f"{text} is no time at all; expected more than 0s")
    return seconds


def check_knob(spec: FaultSpec, name: str, text: str, fields: Collection[str]) -> KnobValue:
    """The value of a knob of this kind.

    Raises:
        ValueError: with what was expected.
    """
    knob = next(knob for knob in spec.knobs if knob.name == name)
    value = knob.parse(text)
    if name == "field" and value != knob.default and value not in fields:
        close = difflib.get_close_matches(text, list(fields), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"a record has no field {text!r}{hint}")
    return value


def with_defaults(
    spec: FaultSpec, given: Mapping[str, KnobValue]
) -> tuple[tuple[str, KnobValue], ...]:
    """Every knob of the kind, those not in ``given`` at their default."""
    return tuple((knob.name, given.get(knob.name, knob.parse(knob.default))) for knob in spec.knobs)


def parse_fault(
    given: Mapping[str, str | Mapping[str, str]],
    *,
    now: float,
    fields: Collection[str],
    flow_logs: Collection[str],
    taken: Collection[str],
) -> Fault:
    """A fault from its keys, as an API or a command is given them.

    Args:
        given: texts by key; ``where`` is a mapping of its own.
        now: that ``at`` counts from, Unix seconds; without ``at`` the fault begins there.
        fields: that records have.
        flow_logs: names of those there are.
        taken: names of the faults there are.

    Raises:
        ValueError: with everything that is wrong, a line each.
    """
    texts = _Texts(given)
    kind = parse_kind(str(given.get("fault", "")))
    spec = CATALOGUE[kind]
    allowed = keys_of(spec)
    for key in given:
        if key not in allowed:
            texts.problem(key, f"{kind} has no such key; expected {', '.join(allowed)}")
    begin = recorded(now) + texts.parsed("at", parse_duration, 0.0)
    where = given.get("where", {})
    conditions = [
        texts.parsed(f"where.{field}", partial(parse_condition, field, fields=fields), None, text)
        for field, text in (where.items() if isinstance(where, Mapping) else ())
    ]
    knobs = {
        knob.name: texts.parsed(
            knob.name,
            partial(check_knob, spec, knob.name, fields=fields),
            knob.parse(knob.default),
        )
        for knob in spec.knobs
    }
    fault = Fault(
        name=texts.parsed("name", partial(_free, taken=taken), free_name(kind, taken)),
        kind=kind,
        from_at=begin,
        until_at=begin + texts.parsed("for", parse_for, inf),
        share=texts.parsed("share", parse_share, 1.0),
        where=tuple(condition for condition in conditions if condition is not None),
        flow_log=texts.parsed("flow_log", partial(_known, flow_logs=flow_logs), ""),
        node=texts.parsed("node", str, ""),
        destination=texts.parsed("to", _destination, None),
        knobs=with_defaults(spec, knobs),
    )
    if texts.problems:
        raise ValueError("\n".join(texts.problems))
    return fault


def show_fault(fault: Fault) -> dict[str, str]:
    """Its settings as they would be written, but for its time."""
    spec = CATALOGUE[fault.kind]
    shown = {"share": format_share(fault.share)}
    shown |= {
        key: value
        for key, value in (
            ("flow_log", fault.flow_log),
            ("node", fault.node),
            ("to", fault.destination.value if fault.destination else ""),
        )
        if value
    }
    shown |= {
        f"where.{condition.field}": f"{condition.operator} {condition.value}"
        for condition in fault.where
    }
    values = dict(fault.knobs)
    return shown | {knob.name: knob.show(values[knob.name]) for knob in spec.knobs}


class _Texts:
    """What was given, read key by key; what is wrong is gathered."""

    def __init__(self, given: Mapping[str, str | Mapping[str, str]]) -> None:
        self.problems: list[str] = []
        self._given = given

    def problem(self, key: str, message: str) -> None:
        self.problems.append(f"{key}: {message}")

    def parsed(self, key: str, parse: Callable[[str], T], default: T, text: str | None = None) -> T:
        """What ``parse`` makes of ``text``, or of what was given for ``key``."""
        found = self._given.get(key) if text is None else text
        if found is None:
            return default
        try:
            return parse(str(found))
        except ValueError as error:
            self.problem(key, str(error))
            return default


def _destination(text: str) -> DestinationKind:
    if text not in [kind.value for kind in DestinationKind]:
        raise ValueError(f"{text!r} is unknown; expected log_store or bucket")
    return DestinationKind(text)


def _free(text: str, taken: Collection[str]) -> str:
    if text in taken:
        raise ValueError(f"there is a fault {text!r} already; expected another name")
    return parse_fault_name(text)


def _known(text: str, flow_logs: Collection[str]) -> str:
    if text not in flow_logs:
        known = ", ".join(flow_logs) or "none"
        raise ValueError(f"there is no flow log {text!r}; there is {known}")
    return text
