"""The verdict on many records, in a process of its own so that its memory can be read.

Prints one JSON object. Both sides are files, as they are in a ledger and behind a pipeline.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.sinks_process import SERVED_BY, make_record
from simulator.accesslog import RecordEncoder
from simulator.verdict import Reconciler

_START_AT: Final = 1_772_323_200.0
_BATCH: Final = 10_000
_FLOW_LOG_ID: Final = "fl-00000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLog:
    """The flow log."""

    flow_log_id: str = _FLOW_LOG_ID
    name: str = "l7"
    project: str = "default"
    container: str = "access"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBatch:
    """Delivered records in a file."""

    path: Path
    flow_log_id: str = _FLOW_LOG_ID
    series_key: str = "lb-1_100.64.0.1"
    visible_at: float = _START_AT + 150
    is_object: bool = False

    def lines(self) -> Sequence[bytes]:
        """Read from the file each time, as from a ledger."""
        return self.path.read_bytes().splitlines()

    def ledger_id(self, index: int) -> str:
        """The file and the line."""
        return f"{self.series_key}/{self.path.stem}/{index + 1}"

    def place(self, index: int) -> str:
        """The same."""
        return self.ledger_id(index)


class FileLedger:
    """What was delivered, in files."""

    def __init__(self, batches: Sequence[FileBatch]) -> None:
        self._batches = batches

    def flow_logs(self) -> Sequence[FileLog]:
        """One."""
        return (FileLog(),)

    def complete_since(self) -> float | None:
        """It has all."""
        return None

    def visible(self, flow_log_ids: Sequence[str]) -> Iterator[FileBatch]:
        """Everything."""
        return iter(self._batches)

    def awaited_count(self, flow_log_id: str) -> int:
        """Nothing."""
        return 0


def write_delivered(directory: Path, count: int) -> FileLedger:
    """Different records, with a new second for every thousand."""
    encoder = RecordEncoder(SERVED_BY)
    batches = []
    for start in range(0, count, _BATCH):
        path = directory / f"{start:09d}.log"
        size = min(_BATCH, count - start)
        with path.open("wb") as file:
            for number in range(start, start + size):
                record = make_record(number)
                record.logged_at = _START_AT + number / 1000
                file.write(encoder.encode(record) + b"\n")
        batches.append(FileBatch(path=path))
    return FileLedger(batches)


def write_kept(directory: Path, name: str) -> Path:
    """What a pipeline made of it: ``bytes``, ``respelled``, or respelled with ``faults``."""
    kept = directory / f"{name}.jsonl"
    with kept.open("wb") as file:
        for path in sorted(directory.glob("*.log")):
            if name == "bytes":
                file.write(path.read_bytes())
                continue
            for number, line in enumerate(path.read_bytes().splitlines()):
                record = json.loads(line)
                if name == "faults" and number % 100 == 0:
                    if number % 200 == 0:
                        continue
                    record["host"] = "elsewhere.example.com"
                file.write(json.dumps(record).encode() + b"\n")
    return kept


def measure(ledger: FileLedger, kept: Path) -> dict[str, object]:
    """One comparison."""
    before_mb = _peak_mb()
    started_at, cpu_at = time.perf_counter(), time.process_time()
    reconciler = Reconciler(ledger, ledger.flow_logs(), as_of=_START_AT + 10_000)
    reconciler.read_delivered()
    with kept.open("rb") as file:
        for number, line in enumerate(file, 1):
            reconciler.keep(number, line.rstrip(b"\n"))
    found = reconciler.finish()
    return {
        "seconds": round(time.perf_counter() - started_at, 2),
        "cpu_seconds": round(time.process_time() - cpu_at, 2),
        "right": found.is_right,
        "matched": found.flow_logs[0].matched,
        "missing": found.flow_logs[0].missing,
        "altered": found.flow_logs[0].altered,
        "peak_mb": _peak_mb(),
        "grown_mb": _peak_mb() - before_mb,
    }


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Prepare in a child, so that its memory does not count; compare; print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int)
    parser.add_argument("kept", choices=("bytes", "respelled", "faults"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="blbsim-reconcile-") as name:
        directory = Path(name)
        child = os.fork()
        if child == 0:
            write_delivered(directory, arguments.records)
            write_kept(directory, arguments.kept)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit("the records could not be written")
        batches = [FileBatch(path=path) for path in sorted(directory.glob("*.log"))]
        kept = directory / f"{arguments.kept}.jsonl"
        print(json.dumps(measure(FileLedger(batches), kept)))


if __name__ == "__main__":
    main()
