"""The proxied path beside nginx: same run, same requests, turn and turn about."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks import nginx
from benchmarks.bulk import LARGE, Download, Idle, download, keep_idle, raise_descriptor_limit
from benchmarks.load import LoadResult, apply_highest, apply_rate, find_wrk
from benchmarks.mixes import MIXES, Mix
from benchmarks.processes import Process, free_port
from simulator.dataplane.certificates import Authority
from simulator.model.tls import CertificateFiles

_SHARES: Final = (0.5, 0.8)
"""Of the highest load that blbsim takes: what both get for the latencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it."""

    rounds: int
    """Of each mix at the highest load."""
    rate_rounds: int
    """At each of the fixed rates."""
    download_bytes: int
    idle_count: int
    seconds: float = 1.0
    """Of each run."""
    connections: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender under one load: medians of the rounds."""

    mix: str
    load: str
    """``highest``, or a share of the highest load of blbsim."""
    contender: str
    rate: float
    cpu_us: float
    """User and system time per request."""
    p50_ms: float
    p99_ms: float
    p999_ms: float | None
    """None where the generator does not tell."""
    errors: int
    generator_busy: float | None
    """Share of a core that the load generator took, if it is our own."""
    rounds: tuple[tuple[float, float], ...]
    """CPU per request and p99 of every round, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that was measured."""

    runs: tuple[Run, ...]
    downloads: tuple[Download, ...]
    download_bytes: int
    idle: tuple[Idle, ...]


def compare(plan: Plan, say: Callable[[str], None]) -> Comparison:
    """Measure everything; nginx is left out, and said to be, where it is not installed."""
    program = nginx.find_nginx()
    if program is None:
        say("nginx is not installed: measuring without it, and no download")
    if find_wrk() is None:
        say("wrk is not installed: the highest load is that of our own generator")
    idle_count = min(plan.idle_count, raise_descriptor_limit() - 1_000)
    if idle_count < plan.idle_count:
        say(f"descriptors are too few for {plan.idle_count} idle connections: {idle_count}")
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="blbsim-bench-")
        directory = Path(stack.enter_context(temporary))
        certificate = Authority(directory / "tls").issue(("shop.example.com",))
        backend = stack.enter_context(_backend(program, directory, plan.download_bytes))
        contenders = [stack.enter_context(_blbsim(directory, backend.port, certificate))]
        if program is not None:
            ports = free_port(), free_port()
            proxy = nginx.proxy(program, directory / "proxy", ports, backend.port, certificate)
            contenders.append(stack.enter_context(proxy))
        runs: list[Run] = []
        for mix in MIXES:
            say(mix.name)
            runs += _mix(plan, mix, contenders, directory)
        say("idle connections")
        idle = keep_idle(contenders, idle_count)
        downloads: list[Download] = []
        if program is not None:
            say("a large download")
            downloads = download(contenders, plan.download_bytes, plan.rate_rounds)
        return Comparison(
            runs=tuple(runs),
            downloads=tuple(downloads),
            download_bytes=plan.download_bytes,
            idle=tuple(idle),
        )


def _mix(plan: Plan, mix: Mix, contenders: list[Process], directory: Path) -> Iterator[Run]:
    """The highest load of each, then both at shares of the highest load of the first."""

    def highest(port: int) -> LoadResult:
        return apply_highest(
            mix,
            port,
            connections=plan.connections,
            seconds=plan.seconds,
            directory=directory,
        )

    runs = _rounds(plan.rounds, mix, "highest", contenders, highest)
    yield from runs
    for share in _SHARES:
        rate = share * runs[0].rate

        def at_rate(port: int, rate: float = rate) -> LoadResult:
            return apply_rate(
                mix, port, connections=plan.connections, seconds=plan.seconds, rate=rate
            )

        yield from _rounds(plan.rate_rounds, mix, f"{share:.0%}", contenders, at_rate)


def _rounds(
    count: int,
    mix: Mix,
    load: str,
    contenders: list[Process],
    apply: Callable[[int], LoadResult],
) -> list[Run]:
    seen: dict[str, list[tuple[LoadResult, float]]] = {it.name: [] for it in contenders}
    for _ in range(count):
        for contender in contenders:
            before = contender.cpu_s()
            result = apply(contender.tls_port if mix.tls else contender.port)
            spent_us = (contender.cpu_s() - before) * 1e6
            if not result.requests:
                raise RuntimeError(f"{contender.name} answered nothing: {mix.name}")
            seen[contender.name].append((result, spent_us / result.requests))
    return [_run(mix, load, name, results) for name, results in seen.items()]


def _run(mix: Mix, load: str, contender: str, results: list[tuple[LoadResult, float]]) -> Run:
    tails = [result.p999_ms for result, _ in results if result.p999_ms is not None]
    busy = [result.generator_busy for result, _ in results if result.generator_busy is not None]
    return Run(
        mix=mix.name,
        load=load,
        contender=contender,
        rate=statistics.median(result.rate for result, _ in results),
        cpu_us=statistics.median(cpu for _, cpu in results),
        p50_ms=statistics.median(result.p50_ms for result, _ in results),
        p99_ms=statistics.median(result.p99_ms for result, _ in results),
        p999_ms=statistics.median(tails) if tails else None,
        errors=sum(result.errors for result, _ in results),
        generator_busy=statistics.median(busy) if busy else None,
        rounds=tuple((cpu, result.p99_ms) for result, cpu in results),
    )


def ratios(runs: Sequence[Run]) -> list[dict[str, object]]:
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


def download_ratio(downloads: Sequence[Download]) -> float | None:
    """Throughput over nginx's: the median of the ratios of neighbouring rounds."""
    rounds = {it.contender: it.rounds for it in downloads}
    if len(rounds) < 2:
        return None
    ours, theirs = rounds["blbsim"], rounds["nginx"]
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def as_json(found: Comparison) -> dict[str, object]:
    """For the file of results."""
    return {
        **asdict(found),
        "ratios": ratios(found.runs),
        "download_ratio": download_ratio(found.downloads),
    }


def _backend(program: str | None, directory: Path, download_bytes: int) -> Process:
    port = free_port()
    if program is not None:
        sizes = {mix.path.strip("/"): mix.response_bytes for mix in MIXES}
        return nginx.backend(program, directory / "backend", port, {**sizes, LARGE: download_bytes})
    command = [sys.executable, "-m", "benchmarks.backend_process", str(port)]
    return Process("backend", command, port)


def _blbsim(directory: Path, backend_port: int, certificate: CertificateFiles) -> Process:
    port, tls_port = free_port(), free_port()
    command = [sys.executable, "-m", "benchmarks.proxy_process", str(port), str(tls_port)]
    command += [str(backend_port), str(directory / "spool")]
    command += [str(certificate.certificate), str(certificate.key)]
    return Process("blbsim", command, port, tls_port=tls_port)
