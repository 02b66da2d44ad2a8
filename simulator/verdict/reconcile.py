"""Compares what a pipeline kept with what it could have seen. Pure: time comes as an argument.

No record has a unique id, so both sides are multisets: equal records are counted, not matched one
to one. As long as lines were kept byte for byte each costs one hash; once too many are not, both
sides are parsed and compared by content. Memory is some hundred bytes for each delivered record,
and the text of those that differ, up to a bound.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from simulator.verdict.canonical import Canonical
from simulator.verdict.delivered import Delivered, destination_of
from simulator.verdict.findings import Reconciliation
from simulator.verdict.ledger import Ledger, LedgerBatch, LedgerFlowLog
from simulator.verdict.mapping import RecordMapping
from simulator.verdict.summary import Comparison, Surplus, summarize

_PATIENCE: Final = 1000
"""Lines that no delivered one equals byte for byte, until contents are compared instead."""


def choose_flow_logs(
    ledger: Ledger, names: Sequence[str] = (), destination: str | None = None
) -> tuple[LedgerFlowLog, ...]:
    """The flow logs whose records a pipeline reads.

    Args:
        ledger: knows them all.
        names: of flow logs; none: all of the destination, or the only one there is.
        destination: a LogStore (``access``, ``default/access``) or a bucket.

    Raises:
        ValueError: a name that is none, or no choice where there is one; the message lists them.
    """
    known = tuple(ledger.flow_logs())
    listed = ", ".join(log.name for log in known) or "none"
    by_name = {log.name: log for log in known}
    for name in names:
        if name not in by_name:
            raise ValueError(f"no flow log is called {name!r}; there are {listed}")
    if names:
        return tuple(by_name[name] for name in dict.fromkeys(names))
    if destination is not None:
        chosen = tuple(log for log in known if destination in (log.container, destination_of(log)))
        if not chosen:
            places = ", ".join(dict.fromkeys(destination_of(log) for log in known)) or "nothing"
            raise ValueError(f"no flow log delivers to {destination!r}; they deliver to {places}")
        return chosen
    if len(known) != 1:
        raise ValueError(
            f"which flow log does the pipeline read? There are {listed}, each with its own copy of "
            "the records. Name one or several, or the LogStore or bucket"
            if known
            else "there is no flow log, so there is nothing to compare with"
        )
    return known


class Reconciler:
    """One comparison: ``read_delivered``, then ``keep`` line by line, then ``finish``.

    Args:
        ledger: what was delivered.
        flow_logs: those the pipeline reads.
        mapping: what the pipeline does to records.
        as_of: Unix seconds; what became visible later than ``grace_s`` before is not demanded.
        grace_s: how long after a record became visible the pipeline may still lack it.
        examples: of each kind of finding.
        allow_broken: records that are no whole JSON objects may be missing: cut and spoilt lines,
            which a pipeline does right to set aside.
        allow_deduped: of the copies of one written record, which faults add, all but one may be
            missing.
    """

    def __init__(
        self,
        ledger: Ledger,
        flow_logs: Sequence[LedgerFlowLog],
        *,
        as_of: float,
        mapping: RecordMapping | None = None,
        grace_s: float = 0.0,
        examples: int = 3,
        allow_broken: bool = False,
        allow_deduped: bool = False,
    ) -> None:
        self._ledger = ledger
        self._flow_logs = tuple(flow_logs)
        self._canonical = Canonical(mapping)
        self._as_of = as_of
        self._grace_s = grace_s
        self._examples = examples
        self._allow_broken = allow_broken
        self._allow_deduped = allow_deduped
        self._delivered = Delivered()
        self._hashes = array("q")
        """One for every delivered record: of its bytes first, of its content later."""
        self._by_content = False
        self._is_open = bytearray()
        """By content only: 0 for a record that was kept byte for byte before."""
        self._counts: dict[int, int] = {}
        """How often each hash is still without a partner."""
        self._others: list[tuple[int, bytes]] = []
        """By bytes only: kept lines, with their numbers, that are no delivered one."""
        self._surplus = Surplus()
        self._kept_count = 0
        self._awaited: Counter[str] = Counter()

    def read_delivered(self) -> None:
        """Read what the pipeline could have seen. Blocks for seconds if it is a million.

        Raises:
            LookupError: the ledger has let go of records.
        """
        ids = [log.flow_log_id for log in self._flow_logs]
        # First, or what becomes visible in between would be in neither.
        for flow_log_id in ids:
            self._awaited[flow_log_id] = self._ledger.awaited_count(flow_log_id)
        for batch in self._ledger.visible(ids):
            self._count(map(hash, self._add(batch)))

    def keep(self, number: int, line: bytes) -> None:
        """Take one line of what the pipeline kept; without its line end.

        Args:
            number: 1-based; examples name it.
            line: the record. An empty line is none.
        """
        if not self._by_content:
            one = hash(line)
            left = self._counts.get(one, 0)
            if left:
                self._counts[one] = left - 1
                self._kept_count += 1
            elif line and not line.isspace():
                self._others.append((number, line))
                if len(self._others) > _PATIENCE:
                    self._turn_to_content()
        elif line and not line.isspace():
            self._keep_content(number, line)

    def finish(self) -> Reconciliation:
        """The verdict.

        Raises:
            LookupError: the ledger has let go of records in the meantime.
        """
        if self._others:
            self._turn_to_content()
        if self._surplus:
            self._look_again()
        return summarize(
            Comparison(
                delivered=self._delivered,
                hashes=self._hashes,
                canonical=self._canonical,
                flow_logs=self._flow_logs,
                awaited=self._awaited,
                kept_count=self._kept_count,
                as_of=self._as_of,
                grace_s=self._grace_s,
                example_count=self._examples,
                allow_broken=self._allow_broken,
                allow_deduped=self._allow_deduped,
                complete_since=self._ledger.complete_since(),
            ),
            self._open_positions(),
            self._surplus,
        )

    def _add(self, batch: LedgerBatch) -> Sequence[bytes]:
        lines = self._delivered.add(batch)
        if self._is_late(batch):
            self._awaited[batch.flow_log_id] -= len(lines)  # when that was counted, they were
        return lines

    def _count(self, hashes: Iterable[int]) -> None:
        counts = self._counts
        found = array("q", hashes)
        self._hashes.extend(found)
        for one in found:
            counts[one] = counts.get(one, 0) + 1

    def _look_again(self) -> None:
        """Match what the pipeline kept of what has become visible since ``read_delivered``."""
        ids = [log.flow_log_id for log in self._flow_logs]
        known = {_name(batch) for batch in self._delivered.batches if self._is_late(batch)}
        late = [
            batch
            for batch in self._ledger.visible(ids)
            if self._is_late(batch) and _name(batch) not in known
        ]
        for batch in late:
            lines = self._add(batch)
            self._count(map(self._canonical.delivered, lines))
            self._is_open.extend(bytes([1]) * len(lines))
        if late:
            surplus, self._surplus = self._surplus, Surplus()
            for index, one in enumerate(surplus.hashes):
                left = self._counts.get(one, 0)
                if left:
                    self._counts[one] = left - 1
                else:
                    self._surplus.add(surplus.numbers[index], one, surplus.line(index))

    def _is_late(self, batch: LedgerBatch) -> bool:
        return batch.visible_at > self._as_of

    def _keep_content(self, number: int, line: bytes) -> None:
        self._kept_count += 1
        one = self._canonical.kept(line)
        left = self._counts.get(one, 0)
        if left:
            self._counts[one] = left - 1
        else:
            self._surplus.add(number, one, line)

    def _turn_to_content(self) -> None:
        """From here on contents are compared; what was matched by bytes stays matched."""
        self._is_open = bytearray(len(self._hashes))
        for position in self._open_positions():
            self._is_open[position] = 1
        self._by_content = True
        self._counts.clear()
        counts = self._counts
        self._hashes = array("q", self._content_hashes())
        for is_open, one in zip(self._is_open, self._hashes, strict=True):
            if is_open:
                counts[one] = counts.get(one, 0) + 1
        others, self._others = self._others, []
        for number, line in others:
            self._keep_content(number, line)

    def _content_hashes(self) -> Iterator[int]:
        for batch in self._delivered.batches:
            yield from map(self._canonical.delivered, self._delivered.lines(batch))

    def _open_positions(self) -> "array[int]":
        """Delivered records without a partner; of equal ones the latest. Uses up the counts."""
        found = array("q")
        counts = self._counts
        for position in range(len(self._hashes) - 1, -1, -1):
            if self._by_content and not self._is_open[position]:
                continue
            left = counts.get(self._hashes[position], 0)
            if left:
                counts[self._hashes[position]] = left - 1
                found.append(position)
        found.reverse()
        return found


def _name(batch: LedgerBatch) -> tuple[str, str, str]:
    return batch.flow_log_id, batch.ledger_id(0), batch.place(0)
