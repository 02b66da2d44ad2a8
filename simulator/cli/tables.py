"""Tables and screens for people."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.api.simulation import (
    Endpoints,
    FlowLogView,
    LoadBalancerView,
    LogServiceView,
    LogStoreStatus,
    NodeView,
    ShipperView,
    SimulationStatus,
    SpoolView,
)
from simulator.cli.endpoint import DEFAULT_ENDPOINT
from simulator.verdict import Outcome, format_duration

_COUNTS: Final = ("written", "delivered", "pending", "lost", "objects")
_BY_FAULTS: Final = ("copied", "dropped")
"""Counts that are shown when there are any."""
_PIPED_WIDTH: Final = 200
"""Columns of what is no terminal: a number cut short is worth nothing."""


class PlainConsole(Console):
    """Prints text as it is: names and requests of a scenario are no markup.

    Args:
        stderr: standard error instead of standard output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _PIPED_WIDTH

    def on_broken_pipe(self) -> None:
        """Whoever read our output has seen enough: ``main`` knows what to do."""
        raise BrokenPipeError


def flow_log_table(flow_logs: Sequence[FlowLogView]) -> Table:
    """One row for each flow log."""
    table = plain_table("Flow logs and their delays")
    table.add_column("flow log", no_wrap=True)
    # written + copied = delivered + pending + lost + dropped; the two are rare.
    counts = (
        *_COUNTS,
        *(name for name in _BY_FAULTS if any(getattr(log, name) for log in flow_logs)),
    )
    for name in (*counts, "min", "median", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for log in flow_logs:
        table.add_row(
            Text(log.name if log.status == "running" else f"{log.name} ({log.status})"),
            *(str(getattr(log, name)) for name in counts),
            *map(_delay, (log.delay_min_s, log.delay_median_s, log.delay_max_s)),
        )
    return table


def _node_table(nodes: Sequence[NodeView]) -> Table:
    """One row for each service node."""
    table = plain_table("Service nodes")
    for name in ("cluster", "address", "pid", "up since"):
        table.add_column(name, no_wrap=True)
    for name in ("restarts", "open", "requests"):
        table.add_column(name, justify="right", no_wrap=True)
    for node in nodes:
        table.add_row(
            Text(node.cluster),
            node.address,
            "starting" if node.pid is None else str(node.pid),
            node.started_at[:16],  # to the minute: it has to fit
            *(str(count) for count in (node.restarts, node.connections, node.requests)),
        )
    return table


def plain_table(title: str) -> Table:
    """A table without frames: it fits 80 columns and survives being piped."""
    return Table(
        title=Text(f"\n{title}"),
        title_justify="left",
        title_style="bold",
        header_style="",
        box=None,
        padding=(0, 2, 0, 0),
    )


def _delay(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(round(seconds))


def print_status(found: Mapping[str, Any]) -> None:
    """The answer of ``/_sim/v1/status`` for people."""
    status = msgspec.convert(found, SimulationStatus)
    out = PlainConsole()
    clock = status.clock
    out.print(f"{status.scenario}  seed {status.seed}  blbsim {status.version}")
    line = f"clock {clock.mode}  {clock.time}"
    if clock.next_delivery is not None:
        line += f"  next delivery {clock.next_delivery}"
    out.print(line)
    if status.load_balancers:
        out.print(f"{status.connections} client connections open")
    for balancer in status.load_balancers:
        _print_load_balancer(out, balancer)
    if len(status.nodes) > 1:
        out.print(_node_table(status.nodes))
    for traffic in status.traffic:
        by_status = ", ".join(f"{code}: {count}" for code, count in traffic.by_status.items())
        out.print(
            f"traffic {traffic.name}: {traffic.sent} sent, {traffic.completed} completed, "
            f"{traffic.failed} failed, {traffic.overflowed} never sent "
            f"({by_status or 'no response yet'})"
        )
    if status.dropped_records:
        bound = "the disk" if status.spool is None else "the disk or the bound of the spool"
        out.print(f"{status.dropped_records} records dropped: {bound} did not take them")
    if status.spool is not None:
        _print_spool(out, status.spool)
    for log in status.flow_logs:
        out.print(f"flow log {log.name} -> {log.destination}")
    if status.flow_logs:
        out.print(flow_log_table(status.flow_logs))
    print_log_service(out, status.log_service)


def print_log_service(out: Console, service: LogServiceView) -> None:
    """LogStores, log shippers and alarm policies."""
    if service.log_stores:
        out.print(_log_store_table(service.log_stores))
    if service.shippers:
        out.print(_shipper_table(service.shippers))
    for shipper in service.shippers:
        if shipper.error:
            out.print(f"log shipper {shipper.name}: {shipper.error}", style="bold red")
    for policy in service.alarm_policies:
        alarms = f", {policy.alarms} open alarm{'s' * (policy.alarms > 1)}" if policy.alarms else ""
        out.print(
            f"alarm policy {policy.name}: {policy.state}{alarms}, "
            f"evaluated {_to_the_second(policy.evaluated_at)}"
            + (f", in vain: {policy.error}" if policy.error else ""),
            style="bold red" if policy.alarms or policy.error else "",
        )


def _log_store_table(log_stores: Sequence[LogStoreStatus]) -> Table:
    """One row for each LogStore."""
    table = plain_table("LogStores and the timestamps of their records")
    table.add_column("LogStore")
    table.add_column("records", justify="right", no_wrap=True)
    for name in ("oldest", "newest", "index"):
        table.add_column(name, no_wrap=True)
    for one in log_stores:
        name = f"{one.project}/{one.name}"
        table.add_row(
            Text(name if one.state == "ready" else f"{name} ({one.state})"),
            _known(one.records),
            *map(_to_the_second, (one.oldest, one.newest)),
            one.index,
        )
    return table


def _shipper_table(shippers: Sequence[ShipperView]) -> Table:
    """One row for each log shipper."""
    table = plain_table("Log shippers")
    table.add_column("log shipper")
    table.add_column("from, to")
    for name in ("status", "last run"):
        table.add_column(name, no_wrap=True)
    table.add_column("records", justify="right", no_wrap=True)
    for one in shippers:
        table.add_row(
            one.name,
            Text(f"{one.project}/{one.log_store}, {one.bucket}"),
            one.status,
            _to_the_second(one.last_run_at),
            _known(one.records),
        )
    return table


def _known(count: int | None) -> str:
    """A count; a question mark for one that was not to be had in time."""
    return "?" if count is None else str(count)


def _to_the_second(at: str | None) -> str:
    """An instant without its zone, so that two of them fit."""
    return "-" if at is None else at[:19]


def _print_spool(out: Console, spool: SpoolView) -> None:
    used = f"spool: {spool.used_bytes} of {spool.max_bytes} bytes used"
    if spool.blocked_count:
        used += f", was full {spool.blocked_count} times for {spool.blocked_s:.1f} s in all"
    out.print(used)
    if spool.full_since is not None:
        advice = "" if spool.advice is None else f"; {spool.advice}"
        out.print(f"full since {spool.full_since}: new requests wait{advice}", style="bold red")


def _print_load_balancer(out: Console, balancer: LoadBalancerView) -> None:
    for listener in balancer.listeners:
        by_status = ", ".join(f"{code}: {count}" for code, count in listener.by_status.items())
        out.print(
            f"{listener.protocol} {balancer.name}:{listener.port}: {listener.requests} requests"
            + (f" ({by_status})" if by_status else "")
            + (f", {listener.limited_requests} over the limit" if listener.limited_requests else "")
            + f", {listener.new_connections} connections, {listener.open_connections} of them open"
        )
    if balancer.dropped_connections:
        out.print(
            f"{balancer.dropped_connections} connections to {balancer.name} dropped by its limits"
        )
    for server in balancer.servers:
        if server.since is not None:
            out.print(
                f"server {server.server} {server.state} since {server.since}: "
                f"{server.detail or 'not probed yet'} ({server.scope})",
                style="bold red" if server.state == "Dead" else "",
            )


def print_outcomes(out: Console, outcomes: Sequence[Outcome]) -> None:
    """Each expectation with what was measured."""
    if not outcomes:
        return
    table = plain_table("Expectations")
    table.add_column("")
    table.add_column("expected", no_wrap=True)
    table.add_column("measured", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            Text("holds", "green") if outcome.holds else Text("FAILS", "bold red"),
            Text(outcome.expectation.text),
            Text(outcome.measured),
        )
    out.print(table)


def print_record(out: Console, record: Mapping[str, Any]) -> None:
    """One record, a field a line."""
    table = plain_table(f"One record, {len(record)} fields")
    table.show_header = False
    for name, value in record.items():
        table.add_row(name, Text(msgspec.json.encode(value).decode()))
    out.print(table)


def print_screen(
    out: Console, status: SimulationStatus, endpoints: Endpoints, *, notes: Sequence[str]
) -> None:
    """What ``blbsim up`` shows: one screen."""
    out.print(f"blbsim {status.version}  {status.scenario}  seed {status.seed}", style="bold")
    out.print(f"clock     {status.clock.mode}, now {status.clock.time}")
    out.print(f"APIs      {endpoints.api}")
    if endpoints.s3 is not None:
        out.print(f"S3        {endpoints.s3}  buckets: {', '.join(endpoints.buckets)}")
    for listener in endpoints.listeners:
        out.print(f"listener  {listener.url}  is {listener.load_balancer}:{listener.port}")
    for project, name in endpoints.log_stores:
        out.print(f"LogStore  {project}/{name}")
    for log in status.flow_logs:
        out.print(f"flow log  {log.name} -> {log.destination}")
    for note in notes:
        out.print(note)
    where = "" if endpoints.api == DEFAULT_ENDPOINT else f" --endpoint {endpoints.api}"
    out.print(f'clients   eval "$(blbsim env{where})"')
    out.print("Ready. Stop with Ctrl-C.")
