"""What a pipeline could have seen, as numbered records that lie in batches of the ledger."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from simulator.verdict.ledger import LedgerBatch, LedgerFlowLog


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredRecord:
    """One record with the batch it came in."""

    position: int
    batch: LedgerBatch
    index: int
    """Of its line in the batch."""
    line: bytes


class Delivered:
    """Numbers the records of batches, in the order they are added. Holds no record itself."""

    def __init__(self) -> None:
        self.batches: list[LedgerBatch] = []
        self._starts = array("q")
        self._count = 0
        self._counts: Counter[str] = Counter()

    def add(self, batch: LedgerBatch) -> Sequence[bytes]:
        """Take a batch; its records as a reader finds them.

        Raises:
            LookupError: the ledger has let go of them.
        """
        lines = self.lines(batch)
        self.batches.append(batch)
        self._starts.append(self._count)
        self._count += len(lines)
        self._counts[batch.flow_log_id] += len(lines)
        return lines

    def lines(self, batch: LedgerBatch) -> Sequence[bytes]:
        """The records of a batch as a reader finds them: an object is read line by line.

        Raises:
            LookupError: the ledger has let go of them.
        """
        lines = batch.lines()
        if not batch.is_object or not any(b"\n" in line or not line for line in lines):
            return lines
        return [part for _, part in _parts(lines)]

    def count_of(self, flow_log_id: str) -> int:
        """How many records of one flow log there are."""
        return self._counts[flow_log_id]

    def batch_of(self, position: int) -> LedgerBatch:
        """The batch a record is in."""
        return self.batches[bisect_right(self._starts, position) - 1]

    def records(self, positions: Iterable[int]) -> Iterator[DeliveredRecord]:
        """The records at ``positions``, which ascend; reads each batch once.

        Raises:
            LookupError: the ledger has let go of them.
        """
        number = -1
        parts: list[tuple[int, bytes]] = []
        for position in positions:
            found = bisect_right(self._starts, position) - 1
            if found != number:
                number = found
                lines = self.batches[found].lines()
                by_line = self.batches[found].is_object
                parts = list(_parts(lines) if by_line else enumerate(lines))
            index, line = parts[position - self._starts[found]]
            yield DeliveredRecord(
                position=position, batch=self.batches[found], index=index, line=line
            )


def destination_of(flow_log: LedgerFlowLog) -> str:
    """``default/access`` for a LogStore, the name for a bucket."""
    return "/".join(filter(None, (flow_log.project, flow_log.container)))


def _parts(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each piece of a line that holds line feeds, with the number of the line."""
    for index, line in enumerate(lines):
        for part in line.split(b"\n"):
            if part:
                yield index, part
