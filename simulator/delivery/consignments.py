"""What a sink is to deliver at once, and what it says of it to the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simulator.delivery.batching import Batch
from simulator.delivery.image import Item
from simulator.delivery.manifest import encode_manifest
from simulator.delivery.object_plan import ObjectPlan
from simulator.logstore import LedgerChange, LedgerEntry, LedgerException


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Batches of one series that are to become visible together."""

    flow_log_id: str
    series_key: str
    cursor: str
    """Name of the cursor it moves."""
    batches: tuple[Batch, ...]
    at: float
    """The instant they become visible."""
    tries: int
    """1 for the first."""

    @property
    def position(self) -> int:
        """Where the cursor is after it."""
        return self.batches[-1].last_seq

    def entry(
        self, batch: Batch, *, destination: str, name: str, lost_because: str = ""
    ) -> LedgerEntry:
        """What the ledger says of one of its batches."""
        return LedgerEntry(
            flow_log_id=self.flow_log_id,
            series_key=self.series_key,
            piece="",
            first_seq=batch.segments[0].seq,
            last_seq=batch.last_seq,
            record_count=batch.record_count,
            byte_count=batch.byte_count,
            first_at=batch.first_at,
            last_at=batch.last_at,
            due_at=batch.due_at,
            done_at=self.at,
            outcome="lost" if lost_because else "visible",
            reason=lost_because,
            destination=destination,
            name=name,
            first_place=1,
            tries=self.tries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines in memory that are to become visible together: what faults left of a batch, or a
    piece that they held back."""

    flow_log_id: str
    series_key: str
    piece: str
    """Empty for what is left of a batch."""
    first_seq: int
    last_seq: int
    items: Sequence[Item]
    due_at: float
    at: float
    """The instant they become visible."""
    tries: int
    plan: ObjectPlan
    key: str
    """Of the object they become first, in a bucket."""
    cursor: str | None
    """Name of the cursor it moves, to ``last_seq``."""
    change: LedgerChange
    """What else is entered."""

    def entered(self, *entries: LedgerEntry, cut: Sequence[LedgerException] = ()) -> LedgerChange:
        """Everything that is entered."""
        return replace(
            self.change,
            entries=[*self.change.entries, *entries],
            exceptions=[*self.change.exceptions, *cut],
        )

    def entry(
        self,
        items: Sequence[Item],
        *,
        destination: str,
        name: str,
        torn: tuple[Item, bytes] | None = None,
        lost_because: str = "",
    ) -> LedgerEntry:
        """What the ledger says of some of them, and of what is left of one behind them."""
        known, lag = items or self.items, self.plan.lag(self.at) if self.key else None
        count = sum(1 + item.line.count(b"\n") for item in items) if self.key else len(items)
        places = [(item.seq, item.number) for item in items]
        if torn is not None:
            count += 1 + torn[1].count(b"\n")
            places.append((torn[0].seq, torn[0].number))
        return LedgerEntry(
            flow_log_id=self.flow_log_id,
            series_key=self.series_key,
            piece=self.piece,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            record_count=count,
            byte_count=sum(len(item.line) + 1 for item in items),
            first_at=min(item.logged_at for item in known),
            last_at=max(item.logged_at for item in known),
            due_at=self.due_at,
            done_at=self.at if lag is None or lost_because else max(lag.listed_at, lag.readable_at),
            outcome="lost" if lost_because else "visible",
            reason=lost_because,
            destination=destination,
            name=name,
            first_place=1,
            tries=self.tries,
            manifest=encode_manifest(places, b"" if torn is None else torn[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a sink did with lines."""

    objects: tuple[str, ...] = ()
    """``<bucket>/<key>`` of those written."""
    cut_count: int = 0
    """Lines that cannot be read back, because an object ends before them."""
