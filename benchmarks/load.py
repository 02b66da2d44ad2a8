"""Applies load to a port: wrk for the highest load where it is installed, else our own."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.mixes import Mix

_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What the clients saw."""

    requests: int
    errors: int
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float | None
    """None where the generator does not tell."""
    generator_busy: float | None = None
    """Its share of a core; near 1 it is what is measured."""


def find_wrk() -> str | None:
    """The wrk of this machine."""
    return shutil.which("wrk")


def apply_highest(
    mix: Mix, port: int, *, connections: int, seconds: float, directory: Path
) -> LoadResult:
    """Ask as fast as answers come."""
    program = find_wrk()
    if program is None:
        return _own(mix, port, connections=connections, seconds=seconds, rate=0)
    script = directory / "mix.lua"
    script.write_text(mix.lua())
    command = [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--latency"]
    command += ["-s", str(script), f"{mix.scheme}://127.0.0.1:{port}{mix.path}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests = int(_find(r"(\d+) requests in", out) or 0)
    socket_errors = _find(r"Socket errors: (.*)", out) or ""
    errors = sum(int(number) for number in re.findall(r"\d+", socket_errors))
    errors += int(_find(r"Non-2xx or 3xx responses: (\d+)", out) or 0)
    return LoadResult(
        requests=requests,
        errors=errors,
        rate=float(_find(r"Requests/sec: +([\d.]+)", out) or 0),
        p50_ms=_milliseconds(_find(r" 50% +(\S+)", out)),
        p99_ms=_milliseconds(_find(r" 99% +(\S+)", out)),
        p999_ms=None,
    )


def apply_rate(mix: Mix, port: int, *, connections: int, seconds: float, rate: float) -> LoadResult:
    """Ask at a fixed rate, whatever the answers do."""
    return _own(mix, port, connections=connections, seconds=seconds, rate=rate)


def _own(mix: Mix, port: int, *, connections: int, seconds: float, rate: float) -> LoadResult:
    command = [sys.executable, "-m", "benchmarks.load_process", mix.name, str(port)]
    command += [f"--connections={connections}", f"--seconds={seconds}", f"--rate={rate}"]
    out = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return LoadResult(**out)


def _find(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return None if match is None else match[1]


def _milliseconds(text: str | None) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text or "")
    return 0.0 if match is None else float(match[1]) * _UNITS_MS[match[2]]
