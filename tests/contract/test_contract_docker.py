"""The commands inside the Dockerfile and the compose file, run without an engine.

The image's install line runs in a virtual environment that has what is required and no more, its
command as it stands but for ports and paths, its health check against it.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import time
import tomllib
import urllib.request
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dockerfile() -> dict[str, list[str]]:
    """Its instructions, continued lines joined, by keyword."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    instructions: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            keyword, _, rest = line.partition(" ")
            instructions.setdefault(keyword, []).append(rest.strip())
    return instructions


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["blbsim"]


def test_the_image_runs_as_an_ordinary_user_from_a_slim_python(dockerfile):
    assert dockerfile["FROM"] == ["python:3.11-slim"]
    assert dockerfile["USER"] == ["blbsim"]
    assert dockerfile["EXPOSE"] == ["7400 7401 7402 18080"]


def test_compose_says_what_the_image_says(dockerfile, compose):
    command = json.loads(dockerfile["CMD"][0])
    assert compose["command"] == command
    check = json.loads(re.search(r"CMD (\[.*\])", dockerfile["HEALTHCHECK"][0])[1])
    assert compose["healthcheck"]["test"] == ["CMD", *check]
    assert "./scenarios:/scenarios:ro" in compose["volumes"]
    ports = [binding.rpartition(":")[2] for binding in compose["ports"]]
    assert ports == dockerfile["EXPOSE"][0].split()
    assert all(binding.startswith("127.0.0.1:") for binding in compose["ports"])


def link_requirements(text: str, site: Path, linked: set[str]) -> None:
    """Put what a requirement asks for into ``site``, as it is installed here."""
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    for extra in requirement.extras or {""}:
        if f"{name}[{extra}]" in linked:
            continue
        linked.add(f"{name}[{extra}]")
        found = distribution(name)
        for file in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
            if not (site / file).exists():
                (site / file).symlink_to(Path(found.locate_file(file)))
        for needed in map(Requirement, found.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                link_requirements(str(needed), site, linked)


def test_the_commands_work_in_a_clean_environment(dockerfile, compose, tmp_path: Path):
    # The image's own layout: only what its COPY lines name, installed by its install line. What
    # it requires is not fetched and unpacked again: as it is here, and nothing else, is enough.
    source = tmp_path / "source"
    source.mkdir()
    for line in dockerfile["COPY"][:2]:
        *names, _ = line.split()
        for name in names:
            subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    linked: set[str] = set()
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]:
        link_requirements(requirement, site, linked)
    install = next(line for line in dockerfile["RUN"] if "pip install" in line)
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for words in ([*shlex.split(install)[1:], "--no-deps"], ["-m", "pip", "check"]):
        done = subprocess.run(
            [binaries / "python", *words],
            cwd=source,
            check=False,
            capture_output=True,
            text=True,
            env=clean,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    scenarios = next(line for line in dockerfile["COPY"] if "scenarios" in line).split()[0]
    replaced = {
        "/scenarios/quickstart.yaml": str(ROOT / scenarios / "quickstart.yaml"),
        "/home/blbsim/data": str(tmp_path / "data"),
        # Loopback stands for the container's own network.
        "0.0.0.0": "127.0.0.1",
    }
    command = [replaced.get(word, word) for word in compose["command"]]
    began = time.monotonic()
    process = subprocess.Popen(
        [binaries / "blbsim", *command, "--free-ports", "--json", "--no-traffic"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        endpoints = json.loads(process.stdout.readline())
        starting_s = time.monotonic() - began
        check = compose["healthcheck"]["test"][1:]
        done = subprocess.run(
            [binaries / check[0], *check[1:]],
            env=os.environ | {"BLBSIM_ENDPOINT": endpoints["api"]},
            check=False,
        )
        assert done.returncode == 0
        with urllib.request.urlopen(endpoints["listeners"][0]["url"] + "/hello") as response:
            assert response.status == 200
    finally:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        # The engine kills what has not ended by then.
        assert process.wait(timeout=10) == 0
        process.stdout.close()
    # At once: that it takes less than a start allows for the speed of the machine.
    assert time.monotonic() - began < max(2.0, starting_s)
