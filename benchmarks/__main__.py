"""``python -m benchmarks [--quick]``: tables on the terminal, JSON under ``results/``."""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import nginx
from benchmarks.load import find_wrk
from benchmarks.nodes import NODE_MIXES, compare_nodes, nodes_as_json, print_nodes
from benchmarks.proxying import Plan, as_json, compare
from benchmarks.report import print_proxying, print_queries, print_sinks, print_verdict

_RESULTS = Path(__file__).parent / "results"
_WHOLE = Plan(rounds=5, rate_rounds=3, download_bytes=1 << 30, idle_count=10_000)
_QUICK = Plan(rounds=1, rate_rounds=1, download_bytes=1 << 28, idle_count=2_000)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, and rougher")
    parts = ("proxy", "nodes", "sinks", "queries", "verdict")
    parser.add_argument("--only", choices=parts, help="one part of it")
    arguments = parser.parse_args()
    console = Console()
    plan = _QUICK if arguments.quick else _WHOLE
    results: dict[str, object] = {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "nginx": nginx.find_nginx() is not None,
            "load": "wrk" if find_wrk() else "own generator",
        }
    }
    if arguments.only in (None, "proxy"):
        found = compare(plan, lambda line: console.print(f"  {line}", style="dim"))
        print_proxying(console, found)
        results["proxy"] = as_json(found)
    if arguments.only in (None, "nodes"):
        console.print("  service nodes", style="dim")
        nodes = compare_nodes(NODE_MIXES, node_counts=(1, 2), rounds=plan.rounds, seconds=2.0)
        print_nodes(console, nodes)
        results["nodes"] = nodes_as_json(nodes)
    count = 100_000 if arguments.quick else 1_000_000
    if arguments.only in (None, "sinks"):
        console.print("  the log side", style="dim")
        command = [sys.executable, "-m", "benchmarks.sinks_process", str(count)]
        sinks = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print_sinks(console, sinks)
        results["sinks"] = sinks
    if arguments.only in (None, "queries"):
        console.print("  the log service", style="dim")
        command = [sys.executable, "-m", "benchmarks.queries_process", str(count)]
        queries = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print_queries(console, queries)
        results["queries"] = queries
    if arguments.only in (None, "verdict"):
        console.print("  the verdict", style="dim")
        results["verdict"] = verdict = {}
        for kept in ("bytes", "respelled", "faults"):
            command = [sys.executable, "-m", "benchmarks.reconcile_process", str(count), kept]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            verdict[kept] = json.loads(done.stdout)
        print_verdict(console, count, verdict)
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"  kept in {path}", style="dim")


if __name__ == "__main__":
    main()
