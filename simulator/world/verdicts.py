"""Answers questions about deliveries: watermarks, the life of a record, advice, reconciliation."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from simulator.api.verdicts import (
    AdviceView,
    DestinationWatermarkView,
    ExampleView,
    ExplainView,
    HitView,
    LifeView,
    NodeWatermarkView,
    PassageView,
    ReconciliationView,
    SightingView,
    WatermarksView,
    WatermarkView,
)
from simulator.clock import Clock
from simulator.delivery import Delivery, Ledger, Passage, RecordLife
from simulator.errors import ControlError
from simulator.model import FlowLog
from simulator.verdict import (
    Example,
    Finding,
    Reconciler,
    Reconciliation,
    RecordMapping,
    choose_flow_logs,
)
from simulator.verdict.canonical import Canonical
from simulator.verdict.delivered import destination_of
from simulator.verdict.lookback import advise
from simulator.world.ledger import KnownFlowLog, LedgerView, Span, describe_place, is_bucket
from simulator.world.views import Calendar

_T = TypeVar("_T")

_LEDGER_ID: Final = re.compile(r"\S+_\S+/[0-9]+/[0-9]+")
_EXPLAINED: Final = 10
"""Equal records shown."""


class WorldVerdicts:
    """See ``Verdicts``.

    Args:
        delivery: has the ledger.
        flow_logs: all there are, when called.
        names: of the load balancers, by id.
        calendar: writes instants.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        clock: Clock,
        flow_logs: Callable[[], tuple[FlowLog, ...]],
        names: Callable[[str], str],
        calendar: Calendar,
    ) -> None:
        self._delivery = delivery
        self._ledger: Ledger = delivery.ledger
        self._clock = clock
        self._flow_logs = flow_logs
        self._name_of = names
        self._calendar = calendar

    # -- watermarks

    def watermarks(self) -> WatermarksView:
        """How far everything is."""
        now = self._clock.time()
        pending = {log.flow_log_id: log.pending for log in self._delivery.status()}
        slowest: dict[str, float] = {}
        rows = []
        for mark in self._ledger.watermarks():
            slowest[mark.destination] = min(mark.at, slowest.get(mark.destination, mark.at))
            rows.append(
                WatermarkView(
                    flow_log=mark.flow_log,
                    destination=mark.destination,
                    visible_until=self._calendar.iso(mark.at),
                    behind_s=round(max(0.0, now - mark.at), 3),
                    pending=pending.get(mark.flow_log_id, 0),
                    nodes=tuple(self._node(series_key, at) for series_key, at in mark.by_series),
                )
            )
        return WatermarksView(
            time=self._calendar.iso(now),
            flow_logs=tuple(rows),
            destinations=tuple(
                DestinationWatermarkView(
                    destination=destination, visible_until=self._calendar.iso(at)
                )
                for destination, at in slowest.items()
            ),
        )

    def _node(self, series_key: str, at: float) -> NodeWatermarkView:
        load_balancer_id, _, node = series_key.rpartition("_")
        return NodeWatermarkView(
            load_balancer_id=load_balancer_id, node=node, visible_until=self._calendar.iso(at)
        )

    # -- explain

    async def explain(self, asked: str) -> ExplainView:
        """See ``Verdicts.explain``."""
        asked = asked.strip()
        if _LEDGER_ID.fullmatch(asked):
            return ExplainView(records=(self._life(self._ledger.life(asked)),), more=False)
        found = await asyncio.to_thread(self._find, asked)
        if not found:
            # Altered on the way, or spelled anew by whoever kept it.
            found = await asyncio.to_thread(self._find_delivered, asked.encode(), self._view())
        if not found:
            raise ControlError(
                "LedgerRecordNotFound",
                404,
                "no record like this was written or delivered; expected a ledger id, or the whole "
                "record as JSON",
            )
        return ExplainView(
            records=tuple(self._life(self._ledger.life(one)) for one in found[:_EXPLAINED]),
            more=len(found) > _EXPLAINED,
        )

    def _find(self, text: str) -> Sequence[str]:
        limit = _EXPLAINED + 1
        if found := self._ledger.find(text.encode(), limit=limit):
            return found
        try:
            record = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return ()
        match record:
            case str():
                return self._find(record)
            case dict():
                return self._ledger.find_record(record, limit=limit)
            case _:
                return ()

    def _find_delivered(self, line: bytes, view: LedgerView) -> Sequence[str]:
        """Records that are visible somewhere and equal to ``line``, the way verdicts compare."""
        canonical = Canonical()
        wanted = canonical.kept(line)
        found: dict[str, None] = {}
        for batch in view.visible([log.flow_log_id for log in view.flow_logs()]):
            for index, delivered in enumerate(batch.lines()):
                if canonical.delivered(delivered) == wanted:
                    found[batch.ledger_id(index)] = None
                    if len(found) > _EXPLAINED:
                        return tuple(found)
        return tuple(found)

    def _life(self, life: RecordLife) -> LifeView:
        return LifeView(
            ledger_id=life.ledger_id,
            logged_at=self._calendar.iso(life.logged_at),
            load_balancer=self._name_of(life.load_balancer_id),
            load_balancer_id=life.load_balancer_id,
            node=life.node_address,
            record=life.line.decode("utf-8", "replace"),
            passages=tuple(self._passage(life, passage) for passage in life.passages),
        )

    def _passage(self, life: RecordLife, passage: Passage) -> PassageView:
        return PassageView(
            flow_log=passage.flow_log,
            state=passage.state.value,
            due_at=self._iso(passage.due_at),
            reason=passage.reason,
            tries=passage.tries,
            hits=tuple(
                HitView(
                    fault=hit.fault,
                    kind=hit.kind,
                    action=hit.action,
                    until=self._iso(hit.until_at or None),
                    detail=hit.detail,
                )
                for hit in passage.exceptions
            ),
            sightings=tuple(
                SightingView(
                    visible_at=self._calendar.iso(sighting.visible_at),
                    delay_s=round(sighting.visible_at - life.logged_at, 3),
                    place=describe_place(sighting.place),
                )
                for sighting in passage.sightings
            ),
        )

    # -- advice

    async def advice(self, interval_s: float) -> tuple[AdviceView, ...]:
        """See ``Verdicts.advice``."""
        flow_logs = self._view().flow_logs()
        return await asyncio.to_thread(
            lambda: tuple(self._advice(log, interval_s) for log in flow_logs)
        )

    def _advice(self, flow_log: KnownFlowLog, interval_s: float) -> AdviceView:
        return AdviceView(
            flow_log=flow_log.name,
            destination=destination_of(flow_log),
            advice=advise(self._spans(flow_log.flow_log_id), interval_s),
        )

    def _spans(self, flow_log_id: str) -> list[Span]:
        return [
            Span(
                record_count=entry.record_count,
                first_at=entry.first_at,
                last_at=entry.last_at,
                visible_at=entry.done_at,
                object_key=entry.name if is_bucket(entry.destination) else None,
            )
            for entry in self._ledger.deliveries(flow_log_id)
            if entry.outcome == "visible"
        ]

    # -- reconcile

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
    ) -> "WorldComparison":
        """See ``Verdicts.compare``."""
        view = self._view()
        try:
            chosen = choose_flow_logs(view, flow_logs, destination)
        except ValueError as error:
            raise ControlError("InvalidParameter", 400, str(error)) from error
        reconciler = Reconciler(
            view,
            chosen,
            as_of=self._clock.time(),
            mapping=mapping,
            grace_s=grace_s,
            examples=examples,
            allow_broken=allow_broken,
            allow_deduped=allow_deduped,
        )
        return WorldComparison(reconciler, self._calendar)

    def _view(self) -> LedgerView:
        loop = asyncio.get_running_loop()

        def on_loop(call: Callable[[], _T]) -> _T:
            async def run() -> _T:
                return call()

            return asyncio.run_coroutine_threadsafe(run(), loop).result()

        return LedgerView(
            self._ledger, self._flow_logs(), pending_count=self._pending_count, on_loop=on_loop
        )

    def _pending_count(self, flow_log_id: str) -> int:
        return next(
            (log.pending for log in self._delivery.status() if log.flow_log_id == flow_log_id), 0
        )

    def _iso(self, at: float | None) -> str | None:
        return None if at is None else self._calendar.iso(at)


class WorldComparison:
    """See ``Comparison``."""

    def __init__(self, reconciler: Reconciler, calendar: Calendar) -> None:
        self._reconciler = reconciler
        self._calendar = calendar
        self.keep = reconciler.keep

    def begin(self) -> None:
        """See ``Comparison.begin``."""
        try:
            self._reconciler.read_delivered()
        except LookupError as error:
            raise _gone(error) from error

    def finish(self) -> ReconciliationView:
        """See ``Comparison.finish``."""
        try:
            return self._show(self._reconciler.finish())
        except LookupError as error:
            raise _gone(error) from error

    def _show(self, found: Reconciliation) -> ReconciliationView:
        return ReconciliationView(
            right=found.is_right,
            as_of=self._calendar.iso(found.as_of),
            grace_s=found.grace_s,
            kept=found.kept,
            totals={finding.value: found.count(finding) for finding in Finding},
            flow_logs=found.flow_logs,
            altered_fields=dict(found.altered_fields),
            examples=tuple(map(self._example, found.examples)),
            notes=found.notes,
        )

    def _example(self, example: Example) -> ExampleView:
        at = example.visible_at
        return ExampleView(
            finding=example.finding.value,
            count=example.count,
            flow_log=example.flow_log,
            ledger_id=example.ledger_id,
            place=example.place,
            visible_at=None if at is None else self._calendar.iso(at),
            kept_at=example.kept_at,
            delivered=example.delivered,
            kept=example.kept,
            differences=example.differences,
            reproduce=example.reproduce,
        )


def _gone(error: LookupError) -> ControlError:
    return ControlError("LedgerRecordNotFound", 409, str(error.args[0]))
