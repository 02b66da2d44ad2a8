"""kill -9 with the real spool, LogStore and object store."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from delivery_victim import Stand
from delivery_world import START

from simulator.logstore import Selection

VICTIM = Path(__file__).with_name("delivery_victim.py")


def run_and_kill(directory: Path, run: str, at: float, records: int) -> tuple[list[str], float]:
    """The names of the records known to be spooled, and the instant reached."""
    process = subprocess.Popen(
        [sys.executable, str(VICTIM), str(directory), run, str(at)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = "".join(process.stdout.readline() for _ in range(records))
    process.kill()
    printed += process.stdout.read()
    process.stdout.close()
    process.wait()
    lines = [line.split() for line in printed[: printed.rindex("\n")].split("\n")]
    return [name for name, _ in lines], float(lines[-1][1])


def in_bucket(stand: Stand) -> list[str]:
    return [
        json.loads(line)["request"]
        for key in stand.objects.list_keys("shop-logs")
        for line in gzip.decompress(stand.objects.get_object("shop-logs", key)).splitlines()
    ]


def in_log_store(stand: Stand) -> list[str]:
    found: list[str] = []
    marker: str | None = None
    everything = Selection(start_ms=0, end_ms=int(START + 10**6) * 1000)
    while marker != "":
        page = stand.engine.pull("default", "access", everything, limit=1000, marker=marker)
        found += [json.loads(record.message)["request"] for record in page.records]
        marker = page.next_marker
    return found


async def test_all_arrive_and_none_twice(tmp_path: Path) -> None:
    spooled: list[str] = []
    at = START
    runs = {"first": 900, "second": 1, "third": 1333}
    for run, records in runs.items():
        names, at = run_and_kill(tmp_path, run, at, records)
        spooled += names

    stand = Stand(tmp_path, at)
    assert all(status.pending > 0 for status in stand.delivery.status())
    await stand.clock.advance(300)
    assert all(status.pending == 0 for status in stand.delivery.status())
    for delivered in (in_bucket(stand), in_log_store(stand)):
        counts = Counter(delivered)
        assert set(counts.values()) == {1}
        assert set(spooled) <= set(counts)
        # One record per run may be spooled with the process dead before it could say so.
        assert len(counts) <= len(spooled) + len(runs)
    await stand.stop()
