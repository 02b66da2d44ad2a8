"""That a first user of the log service sees what docs/bls.md shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

from processes import SimulatorProcess

from simulator.cli.remote import environment

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"## In a minute\n.*?```python\n(.*?)```.*?```console\n\$.*?\n(.*?)```", re.S)


def test_push_and_query_in_a_minute(tmp_path: Path) -> None:
    found = SECTION.search((ROOT / "docs" / "bls.md").read_text())
    assert found is not None
    snippet, shown = found.groups()
    with SimulatorProcess(tmp_path, (ROOT / "scenarios" / "log_service.yaml").read_text()) as one:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", snippet],
            env=os.environ | environment(one.endpoints),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert without_instants(done.stdout) == without_instants(shown)


def without_instants(text: str) -> str:
    return re.sub(r"\d{13,}", "N", text)
