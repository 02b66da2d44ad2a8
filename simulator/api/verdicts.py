"""What the admin API tells of deliveries, and of what a pipeline made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from simulator.verdict import FieldDifference, FlowLogFindings, RecordMapping
from simulator.verdict.lookback import Advice


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWatermarkView:
    """How far a flow log is with the records of one node. Times are ISO 8601."""

    load_balancer_id: str
    node: str
    visible_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkView:
    """How far a flow log is complete."""

    flow_log: str
    destination: str
    visible_until: str
    """Every record written before this instant that will ever be visible is."""
    behind_s: float
    """How long ago that is."""
    pending: int
    nodes: tuple[NodeWatermarkView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationWatermarkView:
    """How far a destination is complete: as far as the slowest of its flow logs."""

    destination: str
    visible_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarksView:
    """How far everything is."""

    time: str
    flow_logs: tuple[WatermarkView, ...]
    destinations: tuple[DestinationWatermarkView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitView:
    """What a fault did to a record."""

    fault: str
    kind: str
    action: str
    until: str | None
    """Until when it was held back."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SightingView:
    """One place where a record became visible."""

    visible_at: str
    delay_s: float
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageView:
    """A record on its way to one flow log."""

    flow_log: str
    state: str
    """``waiting``, ``held``, ``visible``, ``lost``, ``dropped`` or ``skipped``."""
    due_at: str | None
    reason: str
    tries: int
    hits: tuple[HitView, ...]
    sightings: tuple[SightingView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeView:
    """A record from its writing on."""

    ledger_id: str
    logged_at: str
    load_balancer: str
    load_balancer_id: str
    node: str
    record: str
    """The line as it was written."""
    passages: tuple[PassageView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainView:
    """Every record that is the one asked for; equal ones cannot be told apart."""

    records: tuple[LifeView, ...]
    more: bool
    """Whether there are further equal records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceView:
    """Advice for pollers of one flow log."""

    flow_log: str
    destination: str
    advice: Advice


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """See ``Example``."""

    finding: str
    count: int
    flow_log: str | None
    ledger_id: str | None
    place: str | None
    visible_at: str | None
    kept_at: tuple[int, ...]
    delivered: str | None
    kept: str | None
    differences: tuple[FieldDifference, ...]
    reproduce: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationView:
    """See ``Reconciliation``."""

    right: bool
    as_of: str
    grace_s: float
    kept: int
    totals: dict[str, int]
    flow_logs: tuple[FlowLogFindings, ...]
    altered_fields: dict[str, int]
    examples: tuple[ExampleView, ...]
    notes: tuple[str, ...]


class Comparison(Protocol):
    """A comparison under way. Every call blocks; make them one after the other, off the loop."""

    def begin(self) -> None:
        """Read what was delivered."""
        ...

    def keep(self, number: int, line: bytes) -> None:
        """Take one line of what a pipeline kept."""
        ...

    def finish(self) -> ReconciliationView:
        """The verdict."""
        ...


class Verdicts(Protocol):
    """A running simulation, as it is questioned about deliveries."""

    def watermarks(self) -> WatermarksView:
        """How far everything is."""
        ...

    async def explain(self, asked: str) -> ExplainView:
        """The life of a record, by its ledger id or its text.

        Raises:
            ControlError: there is no such record.
        """
        ...

    async def advice(self, interval_s: float) -> tuple[AdviceView, ...]:
        """Advice for pollers, flow log by flow log."""
        ...

    def compare(
        self,
        *,
        flow_logs: Sequence[str],
        destination: str | None,
        mapping: RecordMapping,
        grace_s: float,
        examples: int,
        allow_broken: bool,
        allow_deduped: bool,
    ) -> Comparison:
        """A comparison as of now.

        Raises:
            ControlError: InvalidParameter: it is not clear which flow logs are meant.
        """
        ...
