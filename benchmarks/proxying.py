"""The proxied path beside nginx: same run, same requests, turn and turn about."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import nginx
from benchmarks.load import LoadResult, apply_highest, apply_rate
from benchmarks.mixes import MIXES, Mix
from benchmarks.processes import Process, free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it."""

    rounds: int
    seconds: float
    """Of each run."""
    connections: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender under one load: medians of the rounds."""

    mix: str
    load: str
    """``highest``, or the fixed rate."""
    contender: str
    rate: float
    cpu_us: float
    """User and system time per request."""
    p50_ms: float
    p99_ms: float
    errors: int
    rounds: tuple[tuple[float, float], ...]
    """CPU per request and p99 of every round, in order."""


def compare(plan: Plan, say: Callable[[str], None]) -> Iterator[Run]:
    """Measure every mix; nginx is left out, and said to be, where it is not installed."""
    program = nginx.find_nginx()
    if program is None:
        say("nginx is not installed: measuring without it")
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="blbsim-bench-")
        directory = Path(stack.enter_context(temporary))
        backend = stack.enter_context(_backend(program, directory))
        contenders = [stack.enter_context(_blbsim(directory, backend.port))]
        if program is not None:
            proxy = nginx.proxy(program, directory / "proxy", free_port(), backend.port)
            contenders.append(stack.enter_context(proxy))
        for mix in MIXES:
            say(mix.name)

            def highest(port: int, seconds: float, mix: Mix = mix) -> LoadResult:
                return apply_highest(
                    mix, port, connections=plan.connections, seconds=seconds, directory=directory
                )

            def moderate(port: int, seconds: float, mix: Mix = mix) -> LoadResult:
                return apply_rate(mix, port, connections=plan.connections, seconds=seconds)

            yield from _rounds(plan, mix, "highest", contenders, highest)
            yield from _rounds(plan, mix, f"{mix.rate}/s", contenders, moderate)


def _rounds(
    plan: Plan,
    mix: Mix,
    load: str,
    contenders: list[Process],
    apply: Callable[[int, float], LoadResult],
) -> Iterator[Run]:
    seen: dict[str, list[tuple[LoadResult, float]]] = {it.name: [] for it in contenders}
    for _ in range(plan.rounds):
        for contender in contenders:
            before = contender.cpu_s()
            result = apply(contender.port, plan.seconds)
            spent_us = (contender.cpu_s() - before) * 1e6
            if not result.requests:
                raise RuntimeError(f"{contender.name} answered nothing: {mix.name}")
            seen[contender.name].append((result, spent_us / result.requests))
    for name, results in seen.items():
        yield Run(
            mix=mix.name,
            load=load,
            contender=name,
            rate=statistics.median(result.rate for result, _ in results),
            cpu_us=statistics.median(cpu for _, cpu in results),
            p50_ms=statistics.median(result.p50_ms for result, _ in results),
            p99_ms=statistics.median(result.p99_ms for result, _ in results),
            errors=sum(result.errors for result, _ in results),
            rounds=tuple((cpu, result.p99_ms) for result, cpu in results),
        )


def ratios(runs: list[Run]) -> list[dict[str, object]]:
    """What CPU and p99 cost over nginx's: the median of the ratios of neighbouring rounds.

    Neighbours share what else the machine was doing, which the medians of each side need not.
    """
    yardsticks = {(run.mix, run.load): run for run in runs if run.contender == "nginx"}
    found: list[dict[str, object]] = []
    for run in runs:
        yardstick = yardsticks.get((run.mix, run.load))
        if run.contender == "nginx" or yardstick is None:
            continue
        pairs = list(zip(run.rounds, yardstick.rounds, strict=True))
        cpu, p99 = (
            statistics.median(
                ours[at] / theirs[at] if theirs[at] else 0.0 for ours, theirs in pairs
            )
            for at in (0, 1)
        )
        found.append({"mix": run.mix, "load": run.load, "cpu": cpu, "p99": p99})
    return found


def as_json(runs: list[Run]) -> dict[str, object]:
    """For the file of results."""
    return {"runs": [asdict(run) for run in runs], "ratios": ratios(runs)}


def _backend(program: str | None, directory: Path) -> Process:
    port = free_port()
    if program is not None:
        sizes = {mix.path.strip("/"): mix.response_bytes for mix in MIXES}
        return nginx.backend(program, directory / "backend", port, sizes)
    command = [sys.executable, "-m", "benchmarks.backend_process", str(port)]
    return Process("backend", command, port)


def _blbsim(directory: Path, backend_port: int) -> Process:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.proxy_process", str(port), str(backend_port)]
    return Process("blbsim", [*command, str(directory / "spool")], port)
