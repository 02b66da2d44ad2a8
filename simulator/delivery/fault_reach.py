"""Which faults may meet a batch: cheap to ask, so that one that none meets takes the short way."""

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.delivery.batching import Batch
from simulator.delivery.fault_board import FaultBoard
from simulator.errors import SinkError
from simulator.model import BucketDestination, FlowLog
from simulator.model.fault_catalogue import CATALOGUE, FaultStage
from simulator.model.faults import DestinationKind, Fault, FaultKind

_STAGES = (FaultStage.RECORD, FaultStage.DELIVERY, FaultStage.OBJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Of whom a batch is, and the faults that may meet it, in the order they compose."""

    flow_log_id: str
    cursor_id: str
    """What the delivery cursors of this version of the flow log are named after."""
    series_key: str
    node: str
    window_s: float
    """Of the flow log; a batch's window begins at its number times this."""
    gzip: bool
    faults: tuple[Fault, ...]


def concerns(fault: Fault, flow_log: FlowLog, node: str) -> bool:
    """Whether a fault is meant for this flow log and node, whatever the time."""
    bucket = isinstance(flow_log.destination, BucketDestination)
    destination = DestinationKind.BUCKET if bucket else DestinationKind.LOG_STORE
    return (
        fault.share > 0.0
        and fault.flow_log in ("", flow_log.name)
        and fault.node in ("", node)
        and fault.destination in (None, destination)
        and CATALOGUE[fault.kind].destination in (None, destination)
    )


def find_faults(
    board: FaultBoard, flow_log: FlowLog, batch: Batch, window_s: float
) -> tuple[Fault, ...]:
    """The faults that may meet a batch, in the order they compose."""
    node = batch.segments[0].node_address
    begun_at = min(batch.first_at, batch.window * window_s) if window_s else batch.first_at
    return tuple(
        fault
        for stage in _STAGES
        for fault in board.faults(stage)
        if fault.from_at <= batch.last_at
        and fault.until_at > begun_at
        and concerns(fault, flow_log, node)
    )


def storm_factor(board: FaultBoard, flow_logs: Iterable[FlowLog], at: float) -> int:
    """How many times the traffic there is at an instant to what ``flow_logs`` record."""
    factor = 1
    for fault in board.faults(FaultStage.DELIVERY):
        if (
            fault.kind is FaultKind.STORM
            and fault.is_active(at)
            and any(
                concerns(fault, flow_log, fault.node)
                and board.hits(fault, str(flow_log.flow_log_id))
                for flow_log in flow_logs
            )
        ):
            factor *= int(fault.number("factor"))
    return factor


def _takes_away(board: FaultBoard, fault: Fault, flow_log: FlowLog) -> bool:
    subject = (str(flow_log.flow_log_id),)
    hits = board.hits(fault, *subject)
    board.count_once(fault.name, subject, int(hits))
    return hits


def destination_gone(
    board: FaultBoard, flow_log: FlowLog, node: str, at: float
) -> SinkError | None:
    """How a destination answers that a fault takes away at an instant; None if none does."""
    for fault in board.faults(FaultStage.MANAGEMENT):
        if (
            fault.kind is FaultKind.DESTGONE
            and fault.is_active(at)
            and concerns(fault, flow_log, node)
            and _takes_away(board, fault, flow_log)
        ):
            bucket = isinstance(flow_log.destination, BucketDestination)
            form = fault.text("form")
            code = {
                "removed": "NoSuchBucket" if bucket else "LogStoreNotFound",
                "readonly": "AccessDenied",
                "throttled": "SlowDown" if bucket else "RequestLimited",
            }[form]
            text = f"{code}: the destination is {form} by fault {fault.name}"
            return SinkError(text, retryable=form == "throttled")
    return None
