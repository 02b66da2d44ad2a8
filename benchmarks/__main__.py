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
from benchmarks.proxying import Plan, as_json, compare
from benchmarks.report import print_proxying, print_sinks

_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 40 s, and rougher")
    parser.add_argument("--only", choices=("proxy", "sinks"), help="one half of it")
    arguments = parser.parse_args()
    console = Console()
    plan = Plan(rounds=1, seconds=1.0) if arguments.quick else Plan(rounds=5, seconds=1.0)
    results: dict[str, object] = {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "nginx": nginx.find_nginx() is not None,
            "load": "wrk" if find_wrk() else "own generator",
        }
    }
    if arguments.only != "sinks":
        runs = list(compare(plan, lambda line: console.print(f"  {line}", style="dim")))
        print_proxying(console, runs)
        results["proxy"] = as_json(runs)
    if arguments.only != "proxy":
        console.print("  the log side", style="dim")
        count = 100_000 if arguments.quick else 1_000_000
        command = [sys.executable, "-m", "benchmarks.sinks_process", str(count)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print_sinks(console, found)
        results["sinks"] = found
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"  kept in {path}", style="dim")


if __name__ == "__main__":
    main()
