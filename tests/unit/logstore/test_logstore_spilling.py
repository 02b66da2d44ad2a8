"""What statements spill to the disk: as much as is allowed, and nothing of a killed process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from demo_store import EVERYTHING, NOW_MS

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord
from simulator.logstore.spilling import clean_directory

EVERY_TEXT = "select count(distinct `@raw`)"


def opened(path: Path, spill_limit: str) -> LogStoreEngine:
    return LogStoreEngine(
        path, ManualClock(NOW_MS / 1000), threads=1, memory_limit="64MB", spill_limit=spill_limit
    )


def fill(path: Path) -> None:
    engine = opened(path, "1GiB")
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    for first in range(0, 6000, 1000):
        engine.push(
            "default",
            "demo",
            [
                NewRecord(message=os.urandom(4000).hex(), timestamp_ms=NOW_MS + first + n)
                for n in range(1000)
            ],
        )
    engine.close()


def test_statement_that_would_spill_more_than_allowed_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "logs.db")
    engine = opened(tmp_path / "logs.db", "8MiB")
    with pytest.raises(ControlError) as caught:
        engine.query("default", "demo", EVERYTHING, EVERY_TEXT)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert "log_service.spill" in caught.value.message
    assert engine.query("default", "demo", EVERYTHING, "select count(*)").rows == ((6000,),)
    engine.close()
    again = opened(tmp_path / "logs.db", "1GiB")
    assert again.query("default", "demo", EVERYTHING, EVERY_TEXT).rows == ((6000,),)
    again.close()


def test_what_a_killed_process_spilled_is_removed(tmp_path: Path) -> None:
    directory = clean_directory(tmp_path / "logs.db")
    directory.mkdir()
    left, other = directory / "duckdb_temp_storage_S32K-0.tmp", directory / "notes.txt"
    for file in (left, other):
        file.write_text("x")
    LogStoreEngine(tmp_path / "logs.db", ManualClock(NOW_MS / 1000)).close()
    assert (left.exists(), other.exists()) == (False, True)


def test_in_memory_only_those_of_processes_that_are_gone_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    gone, mine = (tmp_path / f"blbsim-logs-{pid}-0.tmp" for pid in (child.pid, os.getpid()))
    for directory in (gone, mine):
        directory.mkdir()
        (directory / "duckdb_temp_block-1.block").write_text("x")
    new = clean_directory(None)
    assert new.parent == tmp_path
    assert new not in {gone, clean_directory(None)}
    assert not gone.exists()
    assert list(mine.iterdir())
