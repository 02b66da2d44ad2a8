"""What the admin API and the command show of the parts of a world. It reads, it changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from simulator.api.simulation import FlowLogView, RecordView, TrafficView
from simulator.delivery import FlowLogStatus, PendingLine, describe_destination
from simulator.model import FlowLog
from simulator.nodes import RecentRecord
from simulator.verdict import (
    DelaySummary,
    FlowLogMeasures,
    HttpMeasures,
    LoadBalancerMeasures,
)
from simulator.workload import TrafficSender


class Calendar:
    """Writes instants in the zone of the records."""

    def __init__(self, zone_offset_s: int) -> None:
        self._zone = timezone(timedelta(seconds=zone_offset_s))

    def iso(self, at: float) -> str:
        """``at`` (Unix seconds) to the millisecond."""
        moment = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        return moment.isoformat(timespec="milliseconds")


def reachable_url(host: str, port: int, scheme: str = "http") -> str:
    """Where a client on this machine reaches a socket bound to ``host``."""
    found = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # any address is no address
    return f"{scheme}://{f'[{found}]' if ':' in found else found}:{port}"


def traffic_views(senders: Sequence[TrafficSender]) -> tuple[TrafficView, ...]:
    """The counts of every traffic entry that was started."""
    return tuple(
        TrafficView(
            name=sender.profile.name,
            sent=sender.counters.sent,
            completed=sender.counters.completed,
            failed=sender.counters.failed,
            overflowed=sender.counters.overflowed,
            by_status={str(k): v for k, v in sorted(sender.counters.by_status.items())},
        )
        for sender in senders
    )


def flow_log_views(
    statuses: Sequence[FlowLogStatus], flow_logs: Sequence[FlowLog]
) -> tuple[FlowLogView, ...]:
    """The counts of every flow log."""
    destinations = {str(log.flow_log_id): describe_destination(log) for log in flow_logs}
    return tuple(
        FlowLogView(
            name=status.name,
            flow_log_id=status.flow_log_id,
            destination=destinations[status.flow_log_id],
            status=status.status.value,
            written=status.written,
            delivered=status.delivered,
            pending=status.pending,
            lost=status.lost,
            dropped=status.dropped,
            copied=status.copied,
            held=status.held,
            objects=status.objects,
            delay_min_s=_milliseconds(status.delay_min_s),
            delay_median_s=_milliseconds(status.delay_median_s),
            delay_max_s=_milliseconds(status.delay_max_s),
        )
        for status in statuses
    )


def pending_views(lines: Sequence[PendingLine], calendar: Calendar) -> tuple[RecordView, ...]:
    """Records not yet visible; ``lines`` come newest first."""
    return tuple(
        RecordView(
            logged_at=calendar.iso(line.logged_at),
            load_balancer_id=line.load_balancer_id,
            due_at=None if line.due_at is None else calendar.iso(line.due_at),
            record=msgspec.json.decode(line.line),
        )
        for line in reversed(lines)
    )


def recent_views(records: Sequence[RecentRecord], calendar: Calendar) -> tuple[RecordView, ...]:
    """The newest records, wherever they are on their way."""
    return tuple(
        RecordView(
            logged_at=calendar.iso(record.logged_at),
            load_balancer_id=record.load_balancer_id,
            due_at=None,
            record=msgspec.json.decode(record.line),
        )
        for record in records
    )


def measure(
    senders: Sequence[TrafficSender],
    statuses: Sequence[FlowLogStatus],
    balancers: Mapping[str, LoadBalancerMeasures],
) -> dict[str, float]:
    """Everything an expectation can compare, by name."""
    by_status: Counter[int] = Counter()
    for sender in senders:
        by_status.update(sender.counters.by_status)
    measured = HttpMeasures(
        sent=sum(sender.counters.sent for sender in senders),
        failed=sum(sender.counters.failed for sender in senders),
        overflowed=sum(sender.counters.overflowed for sender in senders),
        by_status=by_status,
    ).metrics()
    for log in statuses:
        measured |= FlowLogMeasures(
            written=log.written,
            delivered=log.delivered,
            pending=log.pending,
            lost=log.lost,
            dropped=log.dropped,
            copied=log.copied,
            held=log.held,
            objects=log.objects,
            delay=_delays(log),
        ).metrics(log.name)
    for name, balancer in balancers.items():
        measured |= balancer.metrics(name)
    return measured


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _delays(log: FlowLogStatus) -> DelaySummary | None:
    if log.delay_min_s is None or log.delay_median_s is None or log.delay_max_s is None:
        return None
    return DelaySummary(min_s=log.delay_min_s, median_s=log.delay_median_s, max_s=log.delay_max_s)
