"""``blbsim run``: a scenario from start to verdict."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simulator.api.simulation import FaultView, SimulationStatus
from simulator.cli.fault import fault_table
from simulator.cli.tables import PlainConsole, flow_log_table, print_outcomes, print_record
from simulator.clock import ClockMode
from simulator.scenario import Scenario
from simulator.verdict import Outcome, evaluate
from simulator.world import ReadBack, World, WorldOptions, load_for, running_world

_PROGRESS_S: Final = 0.1


def run(
    path: Path,
    *,
    data_dir: Path | None,
    clock_mode: ClockMode | None,
    rate: float | None,
    seed: int | None,
    free_ports: bool,
    as_json: bool,
) -> int:
    """Run ``path`` to its end; returns 0, or 1 if an expectation does not hold."""
    scenario = load_for(path, data_dir=data_dir, seed=seed)
    options = WorldOptions(
        data_dir=data_dir, clock_mode=clock_mode, clock_rate=rate, free_ports=free_ports
    )
    received: list[int] = []
    try:
        return uvloop.run(_run(scenario, options, as_json=as_json, received=received))
    except asyncio.CancelledError:
        name = signal.Signals(received[0]).name
        print(f"blbsim: {name} before the end; no expectation was judged", file=sys.stderr)
        return 128 + received[0]


async def _run(
    scenario: Scenario, options: WorldOptions, *, as_json: bool, received: list[int]
) -> int:
    _stop_on_signals(received)
    # Standard output is the JSON document's alone; people watch standard error then.
    out = PlainConsole(stderr=as_json)
    async with running_world(scenario, options) as world:
        out.print(
            f"{scenario.name}  seed {scenario.seed}  clock {world.clock.mode.value}, "
            f"starting at {world.clock_status().time}",
            style="bold",
        )
        for listener in world.endpoints().listeners:
            out.print(f"listener {listener.url} is {listener.load_balancer}:{listener.port}")
        await _drive(world, out)
        await world.refresh()
        status = world.status()
        outcomes = evaluate(scenario.expectations, world.metrics())
        read_back = await world.read_back()
        faults = world.faults.views()
    failed = [outcome for outcome in outcomes if not outcome.holds]
    if as_json:
        print(_document(status, faults, outcomes, read_back))
    else:
        _report(out, status, faults, outcomes, read_back)
    return 1 if failed else 0


def _stop_on_signals(received: list[int]) -> None:
    """Cancel this task at the first signal; later ones would only cut the stopping short."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None

    def stop(number: int) -> None:
        received.append(number)
        if len(received) == 1:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)


async def _drive(world: World, out: Console) -> None:
    """Traffic, then deliveries, with a bar for each."""
    planned = sum(profile.request_count for profile in world.scenario.traffic)
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=out) as progress:
        requests = progress.add_task("requests", total=planned)
        deliveries = progress.add_task("delivered", total=None)
        loop = asyncio.get_running_loop()

        def show() -> None:
            done = sum(
                sender.counters.completed + sender.counters.failed + sender.counters.overflowed
                for sender in world.senders
            )
            # A storm sends more than was planned.
            progress.update(requests, completed=done, total=max(planned, done))
            flow_logs = world.delivery.status()
            written = sum(log.written + log.copied for log in flow_logs)
            progress.update(
                deliveries,
                completed=sum(log.written + log.copied - log.pending for log in flow_logs),
                total=written or None,
            )

        with _repeating(loop, show):
            await world.run_to_the_end()
        show()


@contextmanager
def _repeating(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> Iterator[None]:
    """Call ``action`` now and then, in real time, inside the block."""
    handle: asyncio.TimerHandle

    def again() -> None:
        nonlocal handle
        action()
        handle = loop.call_later(_PROGRESS_S, again)

    again()
    try:
        yield
    finally:
        handle.cancel()


def _report(
    out: Console,
    status: SimulationStatus,
    faults: tuple[FaultView, ...],
    outcomes: tuple[Outcome, ...],
    read_back: ReadBack,
) -> None:
    for traffic in status.traffic:
        by_status = ", ".join(f"{count} x {code}" for code, count in traffic.by_status.items())
        out.print(
            f"\ntraffic to {traffic.name}: {traffic.completed} of "
            f"{traffic.sent + traffic.overflowed} requests answered ({by_status})"
        )
        if traffic.overflowed:
            out.print(f"{traffic.overflowed} were never sent: every client was busy when due")
    if status.flow_logs:
        out.print(flow_log_table(status.flow_logs))
    if faults:
        out.print("\nFaults")
        views = [msgspec.to_builtins(fault) for fault in faults]
        out.print(fault_table(views, status.clock.time))
    for line in read_back.lines:
        out.print(line)
    if read_back.sample is not None:
        print_record(out, read_back.sample)
    print_outcomes(out, outcomes)
    holding = sum(outcome.holds for outcome in outcomes)
    if outcomes:
        out.print(f"{holding} of {len(outcomes)} expectations hold.")


def _document(
    status: SimulationStatus,
    faults: tuple[FaultView, ...],
    outcomes: tuple[Outcome, ...],
    read_back: ReadBack,
) -> str:
    document: Mapping[str, Any] = {
        "status": status,
        "faults": faults,
        "expectations": [
            {
                "that": outcome.expectation.text,
                "holds": outcome.holds,
                "measured": outcome.measured,
            }
            for outcome in outcomes
        ],
        "read_back": read_back,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
