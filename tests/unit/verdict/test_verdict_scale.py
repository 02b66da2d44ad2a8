"""Memory by the record, and findings among many; the million is in ``benchmarks``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECORDS = 20_000


@pytest.mark.parametrize(("kept", "missing", "altered"), [("bytes", 0, 0), ("faults", 100, 100)])
def test_memory_is_some_hundred_bytes_a_record(kept: str, missing: int, altered: int):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reconcile_process", str(RECORDS), kept],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout)
    assert (found["missing"], found["altered"]) == (missing, altered)
    assert found["matched"] == RECORDS - missing - altered
    assert found["right"] == (kept != "faults")
    # One batch of ten thousand lines is in memory at a time; the lines of all are 16 MB.
    assert found["grown_mb"] < 40
