"""Faults: what can go wrong with records on their way, on purpose.

A fault is a value: what it does, to which share of which subjects, from when until when. It decides
nothing; the rooms that carry records do, and ``catalogue`` says what each kind can be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from math import floor, inf
from typing import Final, TypeAlias


class FaultKind(StrEnum):
    """Every fault there is, by id."""

    LATE = "F-LATE"
    GAP = "F-GAP"
    DUP = "F-DUP"
    REORDER = "F-REORDER"
    SAMPLE = "F-SAMPLE"
    STORM = "F-STORM"
    STALL = "F-STALL"
    THROTTLE = "F-THROTTLE"
    LATEOBJ = "F-LATEOBJ"
    MULTI = "F-MULTI"
    EMPTY = "F-EMPTY"
    GZMULTI = "F-GZMULTI"
    TRUNC = "F-TRUNC"
    LAGLIST = "F-LAGLIST"
    CONFLAG = "F-CONFLAG"
    DESTGONE = "F-DESTGONE"
    OVERSIZE = "F-OVERSIZE"
    CUTFIELD = "F-CUTFIELD"
    ENC = "F-ENC"
    BADESC = "F-BADESC"
    BADJSON = "F-BADJSON"
    TYPE = "F-TYPE"
    INJECT = "F-INJECT"
    SPOOF = "F-SPOOF"
    NEWFIELD = "F-NEWFIELD"
    OLDSCHEMA = "F-OLDSCHEMA"
    SKEW = "F-SKEW"
    TZ = "F-TZ"
    EPOCH = "F-EPOCH"
    CIPOFF = "F-CIPOFF"
    NOGROUP = "F-NOGROUP"
    LONG = "F-LONG"
    STORE_STOPPED = "STORE-STOPPED"
    STORE_NOTREADY = "STORE-NOTREADY"
    STORE_LIMIT = "STORE-LIMIT"
    READ_THROTTLE = "READ-THROTTLE"
    READ_ERROR = "READ-ERROR"
    READ_SLOW = "READ-SLOW"
    READ_RESET = "READ-RESET"
    READ_TRUNC = "READ-TRUNC"
    READ_EXPIRED = "READ-EXPIRED"


class DestinationKind(StrEnum):
    """What a flow log delivers to."""

    LOG_STORE = "log_store"
    BUCKET = "bucket"


class ReadApi(StrEnum):
    """What a pipeline reads from."""

    BLS = "bls"
    S3 = "s3"


KnobValue: TypeAlias = str | int | float | bool | tuple[float, float]
"""A duration in seconds, a range of them, a share from 0 to 1, a size in bytes, or as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison with a field of the record, as it was written by the load balancer."""

    field: str
    operator: str
    """``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``."""
    value: str
    """A number, or for ``=`` and ``!=`` text in which ``*`` stands for any run of characters."""

    def matches(self, record: Mapping[str, object]) -> bool:
        """Whether ``record`` meets it; one without the field never does."""
        if self.field not in record:
            return False
        found = record[self.field]
        if self.operator in ("=", "!="):
            return fnmatchcase(str(found), self.value) == (self.operator == "=")
        try:
            left, right = float(str(found)), float(self.value)
        except ValueError:
            return False
        match self.operator:
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
            case _:
                return left >= right


def recorded(at: float) -> float:
    """The instant that a record written at ``at`` has: records keep whole milliseconds.

    A fault in force from the very instant at which a clock stands still is to reach them.
    """
    return floor(at * 1000) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, ready to be decided on. Instants are of the simulated clock."""

    name: str
    """Unique; seeds its decisions, so that adding another fault changes none of them."""
    kind: FaultKind
    from_at: float = -inf
    """Records written, windows begun and requests made from here on, Unix seconds."""
    until_at: float = inf
    """And before here."""
    share: float = 1.0
    """Of the subjects in its reach, 0 to 1; exactly none and exactly all at the ends."""
    where: tuple[Condition, ...] = ()
    """All must hold for a record to be in its reach."""
    flow_log: str = ""
    """Name of the only flow log in its reach; empty: all."""
    node: str = ""
    """Address of the only service node in its reach; empty: all."""
    destination: DestinationKind | None = None
    """The only kind of destination in its reach; None: both."""
    knobs: tuple[tuple[str, KnobValue], ...] = ()
    """Every knob of its kind, those not given at their default."""

    def is_active(self, at: float) -> bool:
        """Whether ``at`` lies in its time."""
        return self.from_at <= at < self.until_at

    def shifted(self, began_at: float) -> "Fault":
        """The same with its time moved; for one whose instants counted from a beginning."""
        begin = recorded(began_at)
        return replace(self, from_at=self.from_at + begin, until_at=self.until_at + begin)

    def matches(self, record: Mapping[str, object]) -> bool:
        """Whether ``record`` meets all conditions."""
        return all(condition.matches(record) for condition in self.where)

    def number(self, knob: str) -> float:
        """A knob that counts: seconds, bytes, a share, a plain number."""
        value = self._knob(knob)
        if isinstance(value, tuple | str):
            raise KeyError(knob)
        return value

    def text(self, knob: str) -> str:
        """A knob that names something."""
        return str(self._knob(knob))

    def flag(self, knob: str) -> bool:
        """A knob that is on or off."""
        return bool(self._knob(knob))

    def range(self, knob: str) -> tuple[float, float]:
        """Lowest and highest value of a knob that is a range, seconds."""
        value = self._knob(knob)
        if not isinstance(value, tuple):
            raise KeyError(knob)
        return value

    def _knob(self, name: str) -> KnobValue:
        for known, value in self.knobs:
            if known == name:
                return value
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEffect:
    """What one request of a pipeline meets."""

    fault: str
    """Name of the fault that did it."""
    kind: FaultKind
    """One of those that begin with READ."""
    delay_s: float = 0.0
    """Real seconds that a slow answer takes longer."""
    status: int = 0
    """Of an error."""
    keep: float = 1.0
    """Of the body of a truncated answer, 0 to 1."""


FAULT_KEYS: Final = ("fault", "name", "at", "for", "share", "where", "flow_log", "node", "to")
"""What every fault can be told, beside the knobs of its kind."""
