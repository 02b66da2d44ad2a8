"""Turns what is left over of both sides into findings: counts, examples, differing fields."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.verdict.canonical import Canonical
from simulator.verdict.delivered import Delivered, DeliveredRecord, destination_of
from simulator.verdict.findings import (
    Example,
    Finding,
    FlowLogFindings,
    Reconciliation,
)
from simulator.verdict.ledger import LedgerFlowLog
from simulator.verdict.nearest import Nearest

_PAIRED: Final = 20_000
"""Missing and unexpected records that are looked at for being one altered record, of each side."""
_PAIRED_BYTES: Final = 64 << 20
"""And so many bytes of them."""
_NAMED_LINES: Final = 10
"""Line numbers an example names."""
_SHOWN: Final = 4096
"""Characters of a record in an example."""


class Surplus:
    """Kept lines without a partner. Holds the text of the first ones only."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.hashes = array("q")
        self._lines: list[bytes] = []
        self._byte_count = 0

    def add(self, number: int, content: int, line: bytes | None) -> None:
        """Take one, with the hash of its content."""
        room = len(self._lines) < _PAIRED and self._byte_count < _PAIRED_BYTES
        if line is not None and room and len(self._lines) == len(self.numbers):
            self._lines.append(line)
            self._byte_count += len(line)
        self.numbers.append(number)
        self.hashes.append(content)

    def __len__(self) -> int:
        return len(self.numbers)

    def line(self, index: int) -> bytes | None:
        """The text of one; None if it came too late to be held."""
        return self._lines[index] if index < len(self._lines) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared and how."""

    delivered: Delivered
    hashes: Sequence[int]
    """Of every delivered record: of its content if there is any surplus."""
    canonical: Canonical
    flow_logs: Sequence[LedgerFlowLog]
    awaited: Mapping[str, int]
    """Records not visible yet, by flow log id."""
    kept_count: int
    as_of: float
    grace_s: float
    example_count: int
    allow_broken: bool
    allow_deduped: bool
    complete_since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A missing record, and the unexpected one that it was turned into."""

    missing: DeliveredRecord
    number: int
    line: bytes


def summarize(comparison: Comparison, unkept: Sequence[int], surplus: Surplus) -> Reconciliation:
    """The verdict.

    Args:
        comparison: both sides.
        unkept: numbers of delivered records that nothing kept equals, ascending.
        surplus: kept lines that no delivered record is left for.

    Raises:
        LookupError: the ledger has let go of records in the meantime.
    """
    return _Summary(comparison).make(unkept, surplus)


class _Summary:
    def __init__(self, comparison: Comparison) -> None:
        self._of = comparison
        self._names = {log.flow_log_id: log.name for log in comparison.flow_logs}
        self._counts: dict[str, Counter[Finding]] = {
            log.flow_log_id: Counter() for log in comparison.flow_logs
        }
        self._set_aside: Counter[str] = Counter()
        self._fresh = array("q")
        """Records that nobody need have kept yet; one that was kept may be altered all the same."""
        self._examples: list[Example] = []
        self._notes: list[str] = []

    def make(self, unkept: Sequence[int], surplus: Surplus) -> Reconciliation:
        missing = self._demanded(unkept)
        unexpected = self._duplicated(surplus)
        pairs, missing, unexpected = self._paired(missing, unexpected, surplus)
        fields = self._altered(pairs)
        self._missing(missing)
        self._unexpected(unexpected, surplus)
        since = self._of.complete_since
        if since is not None:
            self._notes.append(
                "the ledger has let go of its oldest records: of what was written before "
                f"{since:.3f} (Unix seconds) some is not compared; kept, it is unexpected"
            )
        return Reconciliation(
            as_of=self._of.as_of,
            grace_s=self._of.grace_s,
            kept=self._of.kept_count,
            flow_logs=tuple(map(self._flow_log, self._of.flow_logs)),
            unexpected=len(unexpected),
            altered_fields=dict(fields.most_common()),
            examples=tuple(self._examples),
            notes=tuple(self._notes),
        )

    def _demanded(self, unkept: Sequence[int]) -> "array[int]":
        """The records that the pipeline had time to see and had to keep."""
        deadline = self._of.as_of - self._of.grace_s
        found = array("q")
        for position in unkept:
            batch = self._of.delivered.batch_of(position)
            if batch.visible_at > deadline:
                self._counts[batch.flow_log_id][Finding.NOT_DUE] += 1
                self._fresh.append(position)
            else:
                found.append(position)
        if self._of.allow_deduped:
            found = self._without_copies(found)
        if not self._of.allow_broken:
            return found
        whole = array("q")
        for record in self._of.delivered.records(found):
            if self._of.canonical.is_whole(record.line):
                whole.append(record.position)
            else:
                self._set_aside[record.batch.flow_log_id] += 1
        return whole

    def _without_copies(self, missing: "array[int]") -> "array[int]":
        """Those of which not even one copy of the same written record was kept."""
        hashes = self._of.hashes
        wanted = {hashes[position] for position in missing}
        equal = array("q", (at for at, one in enumerate(hashes) if one in wanted))
        spare = Counter(hashes[position] for position in equal)
        written: set[tuple[int, str, str]] = set()
        for record in self._of.delivered.records(equal):
            one, flow_log_id = hashes[record.position], record.batch.flow_log_id
            name = (one, flow_log_id, record.batch.ledger_id(record.index))
            if name not in written:
                written.add(name)
                spare[one] -= 1
        left = array("q")
        for position in missing:
            if spare[hashes[position]]:
                spare[hashes[position]] -= 1
                self._set_aside[self._of.delivered.batch_of(position).flow_log_id] += 1
            else:
                left.append(position)
        return left

    def _duplicated(self, surplus: Surplus) -> list[int]:
        """Count the lines that equal a delivered record; the indices of the others."""
        wanted = set(surplus.hashes)
        twins: dict[int, int] = {}
        if wanted:
            for position, one in enumerate(self._of.hashes):
                if one in wanted:
                    twins.setdefault(one, position)
        unexpected = []
        shown: dict[int, list[int]] = {}
        for index, one in enumerate(surplus.hashes):
            if one not in twins:
                unexpected.append(index)
                continue
            twin = twins[one]
            flow_log_id = self._of.delivered.batch_of(twin).flow_log_id
            self._counts[flow_log_id][Finding.DUPLICATED] += 1
            if twin in shown or len(shown) < self._of.example_count:
                shown.setdefault(twin, []).append(surplus.numbers[index])
        for record in self._of.delivered.records(sorted(shown)):
            numbers = shown[record.position]
            self._example(
                Finding.DUPLICATED, record, count=len(numbers), kept_at=numbers[:_NAMED_LINES]
            )
        return unexpected

    def _paired(
        self, missing: "array[int]", unexpected: list[int], surplus: Surplus
    ) -> tuple[list[_Pair], "array[int]", list[int]]:
        """Take out what is missing on one side and unexpected on the other, but close."""
        unkept = array("q", sorted([*missing, *self._fresh])) if self._fresh else missing
        if not unkept or not unexpected:
            return [], missing, unexpected
        if max(len(unkept), len(unexpected)) > _PAIRED:
            self._notes.append(
                f"more than {_PAIRED} records differ; of those beyond, altered ones are counted as "
                "missing and unexpected"
            )
        nearest, canonical = Nearest(), self._of.canonical
        candidates = list(self._within_bounds(unkept))
        for record in candidates:
            nearest.add_missing(
                canonical.delivered_fields(record.line), canonical.text(record.line)
            )
        pairs, unpaired = [], []
        for index in unexpected:
            line = surplus.line(index)
            number = None
            if line is not None:
                number = nearest.pair(canonical.kept_fields(line), canonical.text(line))
            if line is None or number is None:
                unpaired.append(index)
                continue
            pairs.append(
                _Pair(missing=candidates[number], number=surplus.numbers[index], line=line)
            )
        taken = {pair.missing.position: pair for pair in pairs}
        for position in self._fresh:
            if position in taken:
                self._counts[taken[position].missing.batch.flow_log_id][Finding.NOT_DUE] -= 1
        return pairs, array("q", (one for one in missing if one not in taken)), unpaired

    def _within_bounds(self, unkept: "array[int]") -> Iterator[DeliveredRecord]:
        byte_count = 0
        for record in self._of.delivered.records(unkept[:_PAIRED]):
            yield record
            byte_count += len(record.line)
            if byte_count > _PAIRED_BYTES:
                return

    def _altered(self, pairs: Sequence[_Pair]) -> Counter[str]:
        """Count the altered records; how often each field differs."""
        fields: Counter[str] = Counter()
        shown = 0
        for pair in pairs:
            self._counts[pair.missing.batch.flow_log_id][Finding.ALTERED] += 1
            differences = self._of.canonical.differences(pair.missing.line, pair.line)
            fields.update(difference.field for difference in differences)
            if shown < self._of.example_count:
                shown += 1
                self._examples.append(
                    Example(
                        finding=Finding.ALTERED,
                        count=1,
                        flow_log=self._names[pair.missing.batch.flow_log_id],
                        ledger_id=pair.missing.batch.ledger_id(pair.missing.index),
                        place=pair.missing.batch.place(pair.missing.index),
                        visible_at=pair.missing.batch.visible_at,
                        kept_at=(pair.number,),
                        delivered=_shown(pair.missing.line),
                        kept=_shown(pair.line),
                        differences=differences,
                    )
                )
        return fields

    def _missing(self, missing: Sequence[int]) -> None:
        for position in missing:
            batch = self._of.delivered.batch_of(position)
            self._counts[batch.flow_log_id][Finding.MISSING] += 1
        shown = {
            self._of.hashes[one]: one for one in reversed(_spread(missing, self._of.example_count))
        }
        counts = Counter(self._of.hashes[one] for one in missing if self._of.hashes[one] in shown)
        for record in self._of.delivered.records(sorted(shown.values())):
            count = counts[self._of.hashes[record.position]]
            self._example(Finding.MISSING, record, count=count)

    def _unexpected(self, unexpected: Sequence[int], surplus: Surplus) -> None:
        places: dict[int, list[int]] = {}
        first: dict[int, int] = {}
        for index in unexpected:
            one = surplus.hashes[index]
            if one in first or len(first) < self._of.example_count:
                first.setdefault(one, index)
                places.setdefault(one, []).append(surplus.numbers[index])
        for one, index in first.items():
            line = surplus.line(index)
            self._examples.append(
                Example(
                    finding=Finding.UNEXPECTED,
                    count=len(places[one]),
                    kept_at=tuple(places[one][:_NAMED_LINES]),
                    kept=None if line is None else _shown(line),
                )
            )

    def _example(
        self, finding: Finding, record: DeliveredRecord, *, count: int, kept_at: Sequence[int] = ()
    ) -> None:
        self._examples.append(
            Example(
                finding=finding,
                count=count,
                flow_log=self._names[record.batch.flow_log_id],
                ledger_id=record.batch.ledger_id(record.index),
                place=record.batch.place(record.index),
                visible_at=record.batch.visible_at,
                kept_at=tuple(kept_at),
                delivered=_shown(record.line),
            )
        )

    def _flow_log(self, log: LedgerFlowLog) -> FlowLogFindings:
        counts, set_aside = self._counts[log.flow_log_id], self._set_aside[log.flow_log_id]
        visible = self._of.delivered.count_of(log.flow_log_id)
        not_kept = (
            counts[Finding.MISSING] + counts[Finding.ALTERED] + counts[Finding.NOT_DUE] + set_aside
        )
        return FlowLogFindings(
            flow_log=log.name,
            destination=destination_of(log),
            visible=visible,
            matched=visible - not_kept,
            missing=counts[Finding.MISSING],
            duplicated=counts[Finding.DUPLICATED],
            altered=counts[Finding.ALTERED],
            not_due=counts[Finding.NOT_DUE] + max(0, self._of.awaited.get(log.flow_log_id, 0)),
            set_aside=set_aside,
        )


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode("utf-8", "replace")


def _spread(found: Sequence[int], count: int) -> list[int]:
    """The first, the last and some between: what is missing often has one place."""
    if len(found) <= count:
        return list(found)
    if count <= 1:
        return list(found[:count])
    return [found[round(step * (len(found) - 1) / (count - 1))] for step in range(count)]
