"""That a first user of the log service sees what docs/bls.md shows."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from processes import SimulatorProcess
from worlds import up

from simulator.cli.endpoint import DEFAULT_ENDPOINT
from simulator.cli.remote import environment
from simulator.cli.tables import PlainConsole, print_screen

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"## In a minute\n.*?```python\n(.*?)```.*?```console\n\$.*?\n(.*?)```", re.S)


SCREEN = re.compile(r"\$ blbsim up scenarios/log_service.yaml\n(.*?)```", re.S)
SCENARIO = (ROOT / "scenarios" / "log_service.yaml").read_text()


async def test_the_screen_says_what_clients_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with up(tmp_path, SCENARIO) as world:
        endpoints = world.endpoints()
        print_screen(PlainConsole(), world.status(), endpoints, notes=())
        usual = replace(endpoints, api=DEFAULT_ENDPOINT)
        print_screen(PlainConsole(), world.status(), usual, notes=())
    elsewhere, screen = capsys.readouterr().out.split("Ready. Stop with Ctrl-C.\n")[:2]
    assert f'eval "$(blbsim env --endpoint {endpoints.api})"' in elsewhere
    shown = SCREEN.search((ROOT / "docs" / "bls.md").read_text())
    assert shown is not None
    clock = re.compile("^clock .*$", re.M)
    expected = clock.sub("", shown[1]).removesuffix("Ready. Stop with Ctrl-C.\n")
    assert clock.sub("", screen) == expected


def test_push_and_query_in_a_minute(tmp_path: Path) -> None:
    found = SECTION.search((ROOT / "docs" / "bls.md").read_text())
    assert found is not None
    snippet, shown = found.groups()
    with SimulatorProcess(tmp_path, SCENARIO) as one:
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
