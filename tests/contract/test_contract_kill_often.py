"""``kill -9`` again and again, anywhere: every record that was spooled arrives once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 70


@pytest.mark.timeout(500)  # half a minute of work, more on a busy machine
def test_many_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    program = Path(__file__).with_name("kill_process.py")
    done = subprocess.run(
        [sys.executable, program, tmp_path, str(ROUNDS), "7"],
        capture_output=True,
        text=True,
        check=False,
        timeout=450,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    acknowledged = {int(line) for line in (tmp_path / "acknowledged").read_text().split()}
    # A record written by the very last system call may have no acknowledgement.
    possible = (
        acknowledged
        | {number + 1 for number in acknowledged}
        | {number * 1_000_000 for number in range(ROUNDS)}
    )
    assert len(acknowledged) > 2 * ROUNDS
    assert told["pending"] == [0, 0]
    for destination in ("log_store", "bucket"):
        seen = dict(told[destination])
        assert {number: count for number, count in seen.items() if count != 1} == {}
        assert acknowledged - set(seen) == set()
        assert set(seen) - possible == set()
    assert told["left_bytes"] == 0
    assert told["held_files"] == []
