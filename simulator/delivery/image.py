"""A batch as the faults leave it: what arrives at its instant, what later, what never. Pure.

A fault meets a record once, in the order of the catalogue: first what changes records, then what
drops, holds, copies and reorders them, then what concerns the object they become.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import msgspec

from simulator.delivery.batching import Batch
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.fault_reach import Reach
from simulator.delivery.object_plan import ObjectPlan, plan_object
from simulator.delivery.record_faults import WrittenRecord, alter
from simulator.logstore import HeldPiece, LedgerException
from simulator.model.fault_catalogue import CATALOGUE, FaultStage, Subject
from simulator.model.faults import Fault, FaultKind

_GROUPS: Final = 8
"""What one fault holds back of one batch comes back in so many groups at most: a timer, a row and
a file each."""
_LONGEST_THROTTLE: Final = 3600
"""Groups that a throttled batch is cut into at most."""


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """One line on its way; a copy is an item of its own."""

    seq: int
    number: int
    """1-based line in its segment."""
    logged_at: float
    """When it was really written."""
    logged_ms: int
    """When it says it was."""
    line: bytes
    original: bytes
    due_at: float
    """Its batch's instant, or later."""
    waits_for: str = ""
    """The fault whose end it waits for."""
    is_copy: bool = False
    altering: int = -1
    """Index of the newest exception that altered it."""

    @property
    def record(self) -> Mapping[str, object]:
        """What was written, decoded; empty if it is no JSON object."""
        try:
            return msgspec.json.decode(self.original, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one subject, or about many of a kind."""

    fault: str
    subject: tuple[str | int, ...] | None
    """Of one that several batches ask about, to count it once; None: these are no others'."""
    subject_count: int
    hit_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldItems:
    """Items that arrive together, later than their batch."""

    piece: HeldPiece
    items: tuple[Item, ...]
    plan: ObjectPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What becomes of a batch."""

    items: tuple[Item, ...]
    """What arrives at its instant, in order."""
    plan: ObjectPlan
    """What they become in a bucket."""
    held: tuple[HeldItems, ...]
    exceptions: tuple[LedgerException, ...]
    decisions: tuple[Decision, ...]
    dropped_count: int
    """Records of which nothing arrives."""
    copied_count: int
    """Lines beyond one for each record."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Draft:
    """An image in the making."""

    board: FaultBoard
    reach: Reach
    batch: Batch
    items: list[Item]
    exceptions: list[LedgerException] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    dropped_count: int = 0
    copied_count: int = 0

    @property
    def key(self) -> tuple[str | int, ...]:
        """What names the batch of this flow log, for draws."""
        batch = self.batch
        return (self.reach.flow_log_id, self.reach.series_key, batch.window, batch.part)

    def by_record(self, item: Item) -> tuple[str | int, ...]:
        """What names a record on its way to this flow log."""
        return (self.reach.flow_log_id, *self.written(item))

    def written(self, item: Item) -> tuple[str | int, ...]:
        """What names a record, whoever takes it."""
        return (self.reach.series_key, item.seq, item.number)

    def in_reach(self, fault: Fault) -> list[Item]:
        """The items that a fault may meet."""
        return [
            item
            for item in self.items
            if fault.is_active(item.logged_at) and (not fault.where or fault.matches(item.record))
        ]

    def hit(self, fault: Fault, by: str) -> list[Item]:
        """The items that a fault hits, once decided by ``record``, ``batch`` or ``node``."""
        items = self.in_reach(fault)
        if not items:
            return []
        if by == "record":
            hit = [item for item in items if self.board.hits(fault, *self.by_record(item))]
            self.count(fault, None, len(items), len(hit))
            return hit
        subject = self.key if by == "batch" else (self.reach.node,)
        hits = self.board.hits(fault, *subject)
        self.count(fault, None if by == "batch" else subject, 1, int(hits))
        return items if hits else []

    def count(
        self, fault: Fault, subject: tuple[str | int, ...] | None, subjects: int, hits: int
    ) -> None:
        self.decisions.append(
            Decision(fault=fault.name, subject=subject, subject_count=subjects, hit_count=hits)
        )

    def note(
        self,
        fault: Fault,
        action: str,
        item: Item | None = None,
        *,
        until_at: float = 0.0,
        detail: str = "",
        altered: bytes | None = None,
    ) -> None:
        """Make an exception of one record, or of the whole batch."""
        self.exceptions.append(
            LedgerException(
                flow_log_id=self.reach.flow_log_id,
                series_key=self.reach.series_key,
                seq=self.batch.segments[0].seq if item is None else item.seq,
                line=0 if item is None else item.number,
                fault=fault.name,
                kind=fault.kind.value,
                action=action,
                until_at=until_at,
                detail=detail,
                altered=altered,
            )
        )

    def drop(self, fault: Fault, items: list[Item]) -> None:
        """Let items never arrive."""
        gone = {id(item) for item in items}
        for item in items:
            self.note(fault, "dropped", item)
            self.copied_count -= item.is_copy
            self.dropped_count += not item.is_copy
        self.items = [item for item in self.items if id(item) not in gone]

    def hold(self, fault: Fault, item: Item, due_at: float) -> None:
        """Let an item arrive at ``due_at`` and not before."""
        if due_at > item.due_at:
            item.due_at = due_at
            self.note(fault, "held", item, until_at=due_at)


def make_image(board: FaultBoard, reach: Reach, batch: Batch, items: list[Item]) -> Image:
    """What the faults in reach make of a batch.

    Args:
        board: decides.
        reach: of whom the batch is, and the faults that may meet it.
        batch: the batch.
        items: its lines, in order.
    """
    draft = _Draft(board=board, reach=reach, batch=batch, items=items)
    for fault in _at(reach, FaultStage.RECORD):
        _alter(draft, fault)
    for fault in _at(reach, FaultStage.DELIVERY):
        _ON_DELIVERY[fault.kind](draft, fault)
    return _finish(draft)


def _at(reach: Reach, stage: FaultStage) -> tuple[Fault, ...]:
    return tuple(fault for fault in reach.faults if CATALOGUE[fault.kind].stage is stage)


def _alter(draft: _Draft, fault: Fault) -> None:
    by_node = CATALOGUE[fault.kind].subject is Subject.NODE
    subjects = hits = 0
    for item in draft.in_reach(fault):
        written = draft.written(item)
        subject = (draft.reach.node,) if by_node else written
        if not draft.board.hits(fault, *subject):
            subjects += 1
            continue
        record = WrittenRecord(line=item.line, logged_ms=item.logged_ms, subject=written)
        altered = alter(draft.board, fault, record)
        if altered is None:
            continue
        subjects += 1
        hits += 1
        item.line, item.logged_ms = altered.line, altered.logged_ms
        item.altering = len(draft.exceptions)
        draft.note(fault, "altered", item)
    if by_node and subjects:
        draft.count(fault, (draft.reach.node,), 1, int(hits > 0))
    elif subjects:
        draft.count(fault, None, subjects, hits)


def _sample(draft: _Draft, fault: Fault) -> None:
    """Decided where the record is written: every flow log lacks the same ones."""
    items = draft.in_reach(fault)
    hit = [item for item in items if draft.board.hits(fault, *draft.written(item))]
    draft.count(fault, None, len(items), len(hit))
    draft.drop(fault, hit)


def _gap(draft: _Draft, fault: Fault) -> None:
    draft.drop(fault, draft.hit(fault, fault.text("by")))


def _late(draft: _Draft, fault: Fault) -> None:
    by = fault.text("by")
    for item in draft.hit(fault, by):
        extra_s = _extra(draft, fault, "extra", draft.by_record(item) if by == "record" else ())
        draft.hold(fault, item, item.due_at + extra_s)


def _stall(draft: _Draft, fault: Fault) -> None:
    """What the node writes down late takes the usual time from then on."""
    items = draft.hit(fault, "node")
    if not fault.flag("replay"):
        draft.drop(fault, items)
        return
    due_at = fault.until_at + max(0.0, draft.batch.due_at - draft.batch.last_at)
    for item in items:
        if due_at == float("inf"):
            item.waits_for = fault.name
        draft.hold(fault, item, due_at)


def _throttle(draft: _Draft, fault: Fault) -> None:
    """A LogStore takes so much of a batch each second."""
    rate, second = fault.number("rate"), 0
    taken = 0
    step = 1
    items = draft.hit(fault, "batch")
    total = sum(len(item.line) for item in items)
    if total > rate * _LONGEST_THROTTLE:
        step = int(total / (rate * _LONGEST_THROTTLE)) + 1
    excess = []
    for item in items:
        taken += len(item.line)
        if taken > rate * step and taken > len(item.line):
            second, taken = second + step, len(item.line)
        if second:
            excess.append((item, second))
    if fault.text("excess") == "drop":
        draft.drop(fault, [item for item, _ in excess])
        return
    for item, late_s in excess:
        draft.hold(fault, item, item.due_at + late_s)


def _duplicate(draft: _Draft, fault: Fault) -> None:
    by = fault.text("by")
    copies = []
    for item in draft.hit(fault, by):
        for number in range(1, int(fault.number("copies")) + 1):
            subject = (*(draft.by_record(item) if by == "record" else draft.key), number)
            due_at = item.due_at + _extra(draft, fault, "after", subject)
            copies.append(replace(item, due_at=due_at, is_copy=True))
            draft.note(fault, "copied", item, until_at=due_at)
    draft.copied_count += len(copies)
    draft.items.extend(copies)


def _reorder(draft: _Draft, fault: Fault) -> None:
    """A record falls behind those up to ``window`` younger, also those of the next batches."""
    window_s = fault.number("window")
    step_s = window_s / _GROUPS
    places: dict[int, float] = {}
    for item in draft.hit(fault, "record"):
        behind_s = draft.board.fraction(fault, *draft.by_record(item)) * window_s
        place = item.logged_at + behind_s
        places[id(item)] = place
        draft.note(fault, "moved", item, detail=f"{behind_s:.3f} s back")
        if place > draft.batch.last_at and step_s > 0.0:
            groups = int((place - draft.batch.last_at) / step_s)
            draft.hold(fault, item, item.due_at + groups * step_s)
    draft.items.sort(key=lambda item: places.get(id(item), item.logged_at))


def _storm(draft: _Draft, fault: Fault) -> None:
    items = draft.in_reach(fault)
    if not items:
        return
    subject = (draft.reach.flow_log_id,)
    hits = draft.board.hits(fault, *subject)
    draft.count(fault, subject, 1, int(hits))
    for item in items if hits else ():
        draft.hold(fault, item, item.due_at + _extra(draft, fault, "extra", ()))


def _extra(draft: _Draft, fault: Fault, knob: str, subject: tuple[str | int, ...]) -> float:
    """What a batch, or a record of it, gets of a range; records get one of a few values."""
    if not subject:
        return draft.board.draw(fault, knob, *draft.key)
    low, high = fault.range(knob)
    group = draft.board.choose(fault, _GROUPS, knob, *subject)
    return low + (high - low) * group / (_GROUPS - 1)


_ON_DELIVERY: Final[Mapping[FaultKind, Callable[[_Draft, Fault], None]]] = MappingProxyType(
    {
        FaultKind.SAMPLE: _sample,
        FaultKind.GAP: _gap,
        FaultKind.LATE: _late,
        FaultKind.STALL: _stall,
        FaultKind.THROTTLE: _throttle,
        FaultKind.DUP: _duplicate,
        FaultKind.REORDER: _reorder,
        FaultKind.STORM: _storm,
    }
)


def _plan(draft: _Draft, items: list[Item], due_at: float, piece: str = "") -> ObjectPlan:
    """What the faults make of an object, that of a batch or of a piece held back."""
    plan = ObjectPlan()
    if items:
        key = (*draft.key, piece) if piece else draft.key
        for fault in _at(draft.reach, FaultStage.OBJECT):
            plan = _on_object(draft, fault, plan, items, due_at, key)
    return plan


def _on_object(
    draft: _Draft,
    fault: Fault,
    plan: ObjectPlan,
    items: list[Item],
    due_at: float,
    key: tuple[str | int, ...],
) -> ObjectPlan:
    """The plan of an object that is due at ``due_at``, with what one fault makes of it."""
    if not fault.is_active(draft.batch.window * draft.reach.window_s):
        return plan
    if fault.where and not any(fault.matches(item.record) for item in items):
        return plan
    if fault.kind is FaultKind.GZMULTI and not draft.reach.gzip:
        return plan
    hits = draft.board.hits(fault, *key)
    draft.count(fault, None, 1, int(hits))
    if not hits:
        return plan
    # For each record, unless the whole batch is in this object.
    noted: list[Item] | list[None] = [None] if len(items) == len(draft.items) else items
    if fault.kind is FaultKind.LATEOBJ:
        until_at = due_at + draft.board.draw(fault, "lag", *key)
        for item in noted:
            draft.note(fault, "object late", item, until_at=until_at)
        return msgspec.structs.replace(plan, late_until_at=max(until_at, plan.late_until_at))
    if fault.kind is FaultKind.LAGLIST:
        lag_s, form = draft.board.draw(fault, "lag", *key), fault.text("form")
        appears_at = max(due_at, plan.late_until_at)
        for item in noted:
            draft.note(fault, f"object {form}", item, until_at=appears_at + lag_s)
        if form == "unlisted":
            return msgspec.structs.replace(plan, unlisted_s=max(lag_s, plan.unlisted_s))
        return msgspec.structs.replace(plan, unreadable_s=max(lag_s, plan.unreadable_s))
    planned, detail = plan_object(draft.board, fault, plan, key)
    for item in noted:
        draft.note(fault, "object changed", item, detail=detail)
    return planned


def _finish(draft: _Draft) -> Image:
    for item in draft.items:
        if item.altering >= 0:
            newest = draft.exceptions[item.altering]
            draft.exceptions[item.altering] = replace(newest, altered=item.line)
    now: list[Item] = []
    later: dict[tuple[float, str], list[Item]] = {}
    for item in draft.items:
        if item.due_at <= draft.batch.due_at:
            now.append(item)
        else:
            due_at = round(item.due_at, 3)
            later.setdefault((due_at, item.waits_for), []).append(item)
    plan = _plan(draft, now, draft.batch.due_at)
    held = []
    for index, ((due_at, fault), items) in enumerate(sorted(later.items()), start=1):
        name = f"h{index}"
        own = _plan(draft, items, due_at, name)
        at = max(due_at, own.late_until_at)
        held.append(_hold_piece(draft, name, at, fault, items, own))
    if now and plan.late_until_at:
        held.append(_hold_piece(draft, "late", plan.late_until_at, "", now, plan))
        now = []
    return Image(
        items=tuple(now),
        plan=plan,
        held=tuple(held),
        exceptions=tuple(draft.exceptions),
        decisions=tuple(draft.decisions),
        dropped_count=draft.dropped_count,
        copied_count=draft.copied_count,
    )


def _hold_piece(
    draft: _Draft, name: str, due_at: float, fault: str, items: list[Item], plan: ObjectPlan
) -> HeldItems:
    batch = draft.batch
    piece = HeldPiece(
        flow_log_id=draft.reach.flow_log_id,
        cursor_id=draft.reach.cursor_id,
        series_key=draft.reach.series_key,
        piece=name,
        first_seq=batch.segments[0].seq,
        last_seq=batch.last_seq,
        record_count=len(items),
        byte_count=sum(len(item.line) + 1 for item in items),
        first_at=min(item.logged_at for item in items),
        last_at=max(item.logged_at for item in items),
        due_at=due_at,
        fault=fault,
    )
    return HeldItems(piece=piece, items=tuple(items), plan=plan)
