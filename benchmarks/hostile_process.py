"""``python -m benchmarks.hostile_process SHAPE``: what harm statements do, a JSON object a line.

Each statement and search of ``benchmarks.hostile`` and ``benchmarks.hostile_searches`` runs alone
on one LogStore in this process: of many records (``narrow``) or of large ones (``wide``). A line
says how it ended, how many seconds it took, and by how many MB the process had grown at most over
what it was before there were records.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.hostile import every_function, selects
from benchmarks.hostile_searches import bodies, statements
from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType, Selection

NOW_MS: Final = 1_772_323_200_000
_EVERYTHING: Final = Selection(start_ms=0, end_ms=2**53)
_STATUS: Final = Path("/proc/self/status")
Case = tuple[str, Callable[[LogStoreEngine], object]]


def peak_mb() -> int:
    """The most memory that this process had since it was asked to forget it."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    raise RuntimeError("no VmHWM")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def record(number: int, long_bytes: int) -> str:
    """One record."""
    nested: object = number
    for _ in range(8):
        nested = [nested, {"a": number, "b": "x"}]
    return json.dumps(
        {
            "n": number,
            "u": f"u-{number * 7919}",
            "s": f"abcab {number % 97} ",
            "l": (f"abcab {number} " * (long_bytes // 8 + 1))[:long_bytes],
            "ip": f"10.{number % 7}.{number // 256 % 256}.{number % 256}",
            "j": json.dumps(nested),
        }
    )


def fill(engine: LogStoreEngine, count: int, long_bytes: int) -> None:
    """Make the LogStore ``default/demo`` and push ``count`` records."""
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    at_once = max(1, min(1000, (8 << 20) // max(1, long_bytes)))
    for first in range(0, count, at_once):
        engine.push(
            "default",
            "demo",
            [
                NewRecord(message=record(number, long_bytes), timestamp_ms=NOW_MS + number)
                for number in range(first, min(count, first + at_once))
            ],
            record_type=RecordType.JSON,
        )


def cases() -> Iterator[Case]:
    """Names, and what runs them."""

    def asks(statement: str) -> Callable[[LogStoreEngine], object]:
        return lambda engine: engine.query("default", "demo", _EVERYTHING, statement)

    for group, name, function in every_function():
        for number, statement in enumerate(selects(name, function)):
            yield f"{group}: {name} {number}: {statement[:200]}", asks(statement)
    for name, statement in statements():
        yield f"clause: {name}: {statement[:200]}", asks(statement)
    for name, body in bodies():
        yield f"body: {name}", _searches(body)


def _searches(body: object) -> Callable[[LogStoreEngine], object]:
    return lambda engine: engine.elastic.search("demo", body)


def run(
    *, count: int, long_bytes: int, memory_mb: int, limit_s: float, part: int, of: int, only: str
) -> None:
    """Run the cases, and print how each ended."""
    with tempfile.TemporaryDirectory(prefix="blbsim-bench-") as temporary:
        _forget_peak()
        base_mb = peak_mb()
        engine = LogStoreEngine(
            Path(temporary) / "stores.db",
            ManualClock(NOW_MS / 1000),
            memory_limit=f"{memory_mb}MB",
            query_limit_s=limit_s,
        )
        fill(engine, count, long_bytes)
        print(json.dumps({"name": "fill", "grown_mb": peak_mb() - base_mb}), flush=True)
        for number, (name, ask) in enumerate(cases()):
            if number % of != part or only not in name:
                continue
            print(name, file=sys.stderr, flush=True)
            _forget_peak()
            before_mb = peak_mb()
            began = time.perf_counter()
            try:
                ask(engine)
                ended = "rows"
            except ControlError as error:
                ended = f"{error.status} {error.message}"
            found = {
                "name": name,
                "seconds": round(time.perf_counter() - began, 2),
                "grown_mb": peak_mb() - base_mb,
                "own_mb": peak_mb() - before_mb,
                "ended": ended[:300],
            }
            print(json.dumps(found), flush=True)
        engine.close()


def main() -> None:
    """Read the arguments, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=("narrow", "wide"))
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--limit-s", type=float, default=5.0)
    parser.add_argument("--part", default="0/1", help="one of so many parts of the cases")
    parser.add_argument("--only", default="", help="cases whose names have this")
    arguments = parser.parse_args()
    part, _, of = arguments.part.partition("/")
    wide = arguments.shape == "wide"
    run(
        count=arguments.count or (400 if wide else 1_000_000),
        long_bytes=490_000 if wide else 24,
        memory_mb=arguments.memory_mb,
        limit_s=arguments.limit_s,
        part=int(part),
        of=int(of),
        only=arguments.only,
    )


if __name__ == "__main__":
    main()
