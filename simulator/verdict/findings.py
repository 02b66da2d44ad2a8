"""What a comparison found: counts per flow log, and a few examples of each kind. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """How a record of one side stands to the other side."""

    MATCHED = "matched"
    MISSING = "missing"
    """Visible long enough, and not kept."""
    DUPLICATED = "duplicated"
    """Kept more often than it was visible."""
    ALTERED = "altered"
    """Kept, but with other content: a missing and an unexpected record that are close."""
    UNEXPECTED = "unexpected"
    """Kept, and never visible."""
    NOT_DUE = "not_due"
    """Not visible yet, or not for longer than the grace; nobody can be blamed."""

    @property
    def is_wrong(self) -> bool:
        """Whether it makes the verdict a bad one."""
        return self not in (Finding.MATCHED, Finding.NOT_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """One field that a pipeline changed."""

    field: str
    delivered: str
    """As JSON; empty if there was no such field."""
    kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One record, or several equal ones, that a finding is about."""

    finding: Finding
    count: int
    """How many equal records it stands for."""
    flow_log: str | None = None
    """None for an unexpected record."""
    ledger_id: str | None = None
    place: str | None = None
    """Where a pipeline could have read it."""
    visible_at: float | None = None
    kept_at: tuple[int, ...] = ()
    """1-based numbers of the lines among what the pipeline kept; the first of many."""
    delivered: str | None = None
    kept: str | None = None
    differences: tuple[FieldDifference, ...] = ()
    """The changed fields of an altered record."""

    @property
    def reproduce(self) -> str | None:
        """The command that tells the record's life."""
        return None if self.ledger_id is None else f"blbsim explain '{self.ledger_id}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogFindings:
    """The counts of one flow log; what is unexpected belongs to none."""

    flow_log: str
    destination: str
    visible: int
    """Records it had made visible."""
    matched: int
    missing: int
    duplicated: int
    altered: int
    not_due: int
    """Visible within the grace only, or not visible yet."""
    set_aside: int
    """Broken records, or copies, that are missing where that is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a pipeline kept against what it could have seen."""

    as_of: float
    """Unix seconds of the simulated clock."""
    grace_s: float
    kept: int
    """Records compared; empty lines are none."""
    flow_logs: tuple[FlowLogFindings, ...]
    unexpected: int
    altered_fields: Mapping[str, int]
    """How many altered records each field differs in; most first."""
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()
    """What the numbers do not cover."""

    @property
    def is_right(self) -> bool:
        """Whether the pipeline kept exactly what it could have seen."""
        return not any(self.count(finding) for finding in Finding if finding.is_wrong)

    def count(self, finding: Finding) -> int:
        """The sum over all flow logs."""
        match finding:
            case Finding.UNEXPECTED:
                return self.unexpected
            case Finding.MATCHED:
                return sum(log.matched for log in self.flow_logs)
            case Finding.MISSING:
                return sum(log.missing for log in self.flow_logs)
            case Finding.DUPLICATED:
                return sum(log.duplicated for log in self.flow_logs)
            case Finding.ALTERED:
                return sum(log.altered for log in self.flow_logs)
            case Finding.NOT_DUE:
                return sum(log.not_due for log in self.flow_logs)
