"""What several service nodes take on together, beside one: CPU of each node, and who got how much.

Where client and backend server share the cores with the nodes, the rate says little. So capacity is
computed: with a core for each node, the busiest node's CPU per request of all bounds the rate.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import nginx
from benchmarks.load import apply_highest
from benchmarks.mixes import MIXES, Mix
from benchmarks.processes import Process, cpu_s, free_port
from simulator.dataplane.certificates import Authority
from simulator.model.tls import CertificateFiles

NODE_MIXES: Final = tuple(mix for mix in MIXES if mix.keep_alive and not mix.body_bytes)
_CONNECTIONS: Final = 64
"""Enough for the kernel to spread them about evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesRun:
    """One mix against so many nodes: medians of the rounds."""

    mix: str
    nodes: int
    cpu_us: float
    """User and system time of all nodes per request."""
    own_us: float
    """The same of the process that leads them; 0 where it is the node."""
    busiest: float
    """Share of the requests that went to the busiest node."""
    capacity: float
    """Requests per second with a core for each node: 1 / the busiest node's CPU per request of
    all."""
    rate: float
    """As measured, client and backend server on the same cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesComparison:
    """All runs, and what they come to."""

    runs: tuple[NodesRun, ...]
    factors: dict[str, float]
    """By mix: capacity of the most nodes over that of one; the median over rounds that were
    neighbours."""


class _Cluster:
    """The process under test."""

    def __init__(self, process: subprocess.Popen[str], ports: tuple[int, int]) -> None:
        self.process = process
        self.ports = ports

    def counts(self) -> list[tuple[int, int]]:
        """Process id and requests of every node."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        found: list[tuple[int, int]] = json.loads(self.process.stdout.readline())
        return found

    def measure(self, mix: Mix, nodes: int, seconds: float, directory: Path) -> NodesRun:
        """One round."""
        before = self.counts()
        spent = [cpu_s(pid) for pid, _ in before]
        own = cpu_s(self.process.pid)
        result = apply_highest(
            mix,
            self.ports[mix.tls],
            connections=_CONNECTIONS,
            seconds=seconds,
            directory=directory,
        )
        after = self.counts()
        requests = [new - old for (_, new), (_, old) in zip(after, before, strict=True)]
        total = sum(requests)
        if not total:
            raise RuntimeError(f"{nodes} nodes answered nothing: {mix.name}")
        used = [cpu_s(pid) - begun for (pid, _), begun in zip(after, spent, strict=True)]
        is_leader = all(pid != self.process.pid for pid, _ in after)
        return NodesRun(
            mix=mix.name,
            nodes=nodes,
            cpu_us=sum(used) / total * 1e6,
            own_us=(cpu_s(self.process.pid) - own) / total * 1e6 if is_leader else 0.0,
            busiest=max(requests) / total,
            capacity=total / max(used),
            rate=result.rate,
        )


def compare_nodes(
    mixes: tuple[Mix, ...], *, node_counts: tuple[int, ...], rounds: int, seconds: float
) -> NodesComparison:
    """Measure every mix against every number of nodes, turn and turn about."""
    program = nginx.find_nginx()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blbsim-bench-")))
        certificate = Authority(directory / "tls").issue(("shop.example.com",))
        backend_port = free_port()
        sizes = {mix.path.strip("/"): mix.response_bytes for mix in mixes}
        backend = (
            Process(
                "backend",
                [sys.executable, "-m", "benchmarks.backend_process", str(backend_port)],
                backend_port,
            )
            if program is None
            else nginx.backend(program, directory / "backend", backend_port, sizes)
        )
        stack.enter_context(backend)
        clusters = {
            count: stack.enter_context(_cluster(count, directory, backend_port, certificate))
            for count in node_counts
        }
        runs: list[NodesRun] = []
        factors: dict[str, float] = {}
        for mix in mixes:
            seen: dict[int, list[NodesRun]] = {count: [] for count in node_counts}
            for _ in range(rounds):
                for count, cluster in clusters.items():
                    seen[count].append(cluster.measure(mix, count, seconds, directory))
            runs += [_median(each) for each in seen.values()]
            first, last = seen[node_counts[0]], seen[node_counts[-1]]
            factors[mix.name] = statistics.median(
                many.capacity / one.capacity for one, many in zip(first, last, strict=True)
            )
    return NodesComparison(runs=tuple(runs), factors=factors)


def _median(rounds: list[NodesRun]) -> NodesRun:
    medians = {
        name: statistics.median(getattr(run, name) for run in rounds)
        for name in ("cpu_us", "own_us", "busiest", "capacity", "rate")
    }
    return NodesRun(mix=rounds[0].mix, nodes=rounds[0].nodes, **medians)


@contextmanager
def _cluster(
    count: int, directory: Path, backend_port: int, certificate: CertificateFiles
) -> Iterator[_Cluster]:
    ports = free_port(), free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.nodes_process"),
            *map(str, (count, *ports, backend_port, directory / f"spool-{count}")),
            *map(str, (certificate.certificate, certificate.key)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        cluster = _Cluster(process, ports)
        cluster.counts()  # it answers when it serves
        yield cluster
        assert process.stdin is not None
        process.stdin.close()


def print_nodes(console: Console, found: NodesComparison) -> None:
    """A line per mix and number of nodes."""
    table = Table("mix", title="Service nodes", title_justify="left")
    for name in ("nodes", "CPU µs", "leader µs", "busiest", "capacity/s", "req/s here"):
        table.add_column(name, justify="right")
    for run in found.runs:
        table.add_row(
            run.mix,
            str(run.nodes),
            f"{run.cpu_us:.1f}",
            f"{run.own_us:.1f}" if run.own_us else "-",
            f"{run.busiest:.0%}",
            f"{run.capacity:,.0f}",
            f"{run.rate:,.0f}",
        )
    console.print(table)
    for mix, factor in found.factors.items():
        console.print(f"  {factor:.2f} x the capacity of one: {mix}")
    console.print(
        "  capacity is computed from CPU per request, for a core to each node: here client and\n"
        "  backend server share the cores",
        style="dim",
    )


def nodes_as_json(found: NodesComparison) -> dict[str, object]:
    """For the file of results."""
    return asdict(found)
