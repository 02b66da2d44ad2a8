"""What is in the spool and owed to somebody: values taken on the loop, read from any thread."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isinf

from simulator.delivery.batching import Lane
from simulator.delivery.status import PendingLine
from simulator.logstore import HeldPiece
from simulator.spool import SegmentInfo, read_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A batch, waiting or being filled, or a piece of one held back, that one flow log has not
    delivered."""

    flow_log_id: str
    series_key: str
    segments: tuple[SegmentInfo, ...]
    """In sequence; the last may still be written to."""
    due_at: float | None
    """When it becomes visible; None while it is being filled, or until a fault ends."""
    held: HeldPiece | None = None

    @classmethod
    def of_piece(cls, piece: HeldPiece) -> "Owed":
        """What is owed of a piece held back."""
        return cls(
            flow_log_id=piece.flow_log_id,
            series_key=piece.series_key,
            segments=(),
            due_at=None if isinf(piece.due_at) else piece.due_at,
            held=piece,
        )

    @property
    def first_at(self) -> float:
        """When its earliest record was written."""
        if self.held is not None:
            return self.held.first_at
        return min(segment.first_at for segment in self.segments)

    @property
    def last_at(self) -> float:
        """When its latest record was written."""
        if self.held is not None:
            return self.held.last_at
        return max(segment.last_at for segment in self.segments)

    @property
    def record_count(self) -> int:
        """Its lines."""
        if self.held is not None:
            return self.held.record_count
        return sum(segment.record_count for segment in self.segments)


def owed_by(flow_log_id: str, lane: Lane, open_segment: SegmentInfo | None) -> Iterator[Owed]:
    """Everything one flow log owes of one series, in sequence.

    Args:
        flow_log_id: whose lane it is.
        lane: what it has been offered.
        open_segment: what the spool is writing for the series.
    """
    for segments, due_at in lane.owed():
        yield Owed(
            flow_log_id=flow_log_id, series_key=lane.series_key, segments=segments, due_at=due_at
        )
    if open_segment is not None:
        yield Owed(
            flow_log_id=flow_log_id,
            series_key=lane.series_key,
            segments=(open_segment,),
            due_at=None,
        )


def newest_lines(
    series: Iterable[tuple[Sequence[SegmentInfo], Sequence[Lane]]], limit: int
) -> tuple[PendingLine, ...]:
    """The newest ``limit`` records that some lane owes, newest first.

    Args:
        series: for each, all segments in its spool, in sequence, and the lanes it is offered to.
        limit: how many at most.

    Raises:
        OSError: the spool cannot be read.
    """
    found: list[PendingLine] = []
    for segments, lanes in series:
        wanted = limit
        for segment in reversed(segments):
            owing = [lane for lane in lanes if lane.cursor < segment.seq]
            if wanted <= 0 or not owing:
                break
            dues = [due for lane in owing if (due := lane.due_of(segment.seq)) is not None]
            tail = read_tail(segment.path, wanted)
            wanted -= len(tail)
            found.extend(
                PendingLine(
                    load_balancer_id=segment.load_balancer_id,
                    node_address=segment.node_address,
                    logged_at=logged_at,
                    line=record,
                    due_at=min(dues, default=None),
                )
                for logged_at, record in tail
            )
    return tuple(heapq.nlargest(limit, found, key=lambda line: line.logged_at))
