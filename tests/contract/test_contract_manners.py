"""How the command behaves when something is in its way: signals, pipes, odd names, a second one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from command import PATIENCE_S, QUICKSTART, blbsim, variant

from simulator.clock import ClockMode
from simulator.errors import ControlError, StartupError
from simulator.logstore import Page, Selection
from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world


def start(*arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_run_stopped_by_a_signal_says_so_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int
):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = start(
        *("run", QUICKSTART, "--free-ports", "--clock", "real"),
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    while "listener" not in process.stdout.readline():
        pass
    assert list(temporary.glob("blbsim-*"))
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    said = f"blbsim: {number.name} before the end; no expectation was judged\n"
    assert (process.returncode, errors) == (code, said)
    assert not list(temporary.glob("blbsim-*"))


@pytest.mark.parametrize("module", ["simulator.cli", "simulator.cli.tables", "duckdb"])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(module: str):
    interrupted = f"""
import sys
from simulator.__main__ import main

class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", interrupted, "up", QUICKSTART, "--free-ports"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path):
    path = variant(tmp_path, ("for: 10s", "for: 1s"))
    done = subprocess.run(
        f"'{sys.executable}' -m simulator run '{path}' --free-ports | head -1; "
        'echo "${PIPESTATUS[0]}"',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "0", done.stderr
    assert done.stderr == ""


def test_names_and_requests_are_text_and_no_markup(tmp_path: Path):
    path = variant(
        tmp_path,
        ("name: quickstart", "name: 'a[/]b[bold]'"),
        ("for: 10s", "for: 1s"),
        ("/item/{int:1-500}", "/item[/b]/{int:1-500}"),
    )
    done = blbsim("run", path, "--free-ports")
    assert done.returncode == 0, done.stderr
    assert "a[/]b[bold]  seed 7" in done.stdout


def test_an_endpoint_that_is_none_is_one_line():
    done = blbsim("status", "--endpoint", "nonsense")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "nonsense" in done.stderr


def test_a_second_one_on_the_same_data_directory_is_refused(tmp_path: Path):
    options = ("--free-ports", "--no-traffic", "--json", "--data-dir", tmp_path / "data")
    first = start("up", QUICKSTART, *options)
    try:
        assert first.stdout is not None
        json.loads(first.stdout.readline())
        second = blbsim("up", QUICKSTART, *options)
        assert second.returncode == 3
        assert second.stderr == (
            f"blbsim: data directory {tmp_path / 'data'} is in use by another simulator; stop it "
            "or give this one another --data-dir\n"
        )
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0


async def test_advances_at_the_same_time_add_up_and_each_has_its_own_receipt(tmp_path: Path):
    path = variant(tmp_path, ("mode: auto", "mode: manual"))
    async with running_world(load_scenario(path), WorldOptions(free_ports=True)) as sim:
        before = sim.clock.time()
        [listener] = sim.endpoints().listeners

        def ask() -> None:
            for n in range(5):
                # The quickstart's servers fail now and then.
                with suppress(urllib.error.HTTPError):
                    urllib.request.urlopen(f"{listener.url}/{n}").close()

        await asyncio.to_thread(ask)
        async with asyncio.TaskGroup() as tasks:
            advances = [tasks.create_task(sim.advance(180)) for _ in range(3)]
        assert sim.clock.time() == before + 540
        receipts = [task.result() for task in advances]
        assert sum(receipt.records for receipt in receipts) == 10
        assert [receipt.advanced_s for receipt in receipts] == [180, 180, 180]
        for _ in range(69):
            await sim.advance(36500 * 86400)
        with pytest.raises(ControlError, match="as far as 9000"):
            await sim.advance(36500 * 86400)
        sim.status()


async def test_a_real_clock_catches_up_with_the_time_it_was_down(tmp_path: Path):
    path = variant(tmp_path, ('{mode: auto, start: "2026-03-01T08:00:00+08:00"}', "{mode: real}"))
    options = WorldOptions(free_ports=True, data_dir=tmp_path / "data")
    async with running_world(load_scenario(path), options) as sim:
        now = sim.clock.time()
    state = tmp_path / "data" / "state.json"
    saved = json.loads(state.read_text())
    assert saved["clock_at"] >= now
    state.write_text(json.dumps(saved | {"clock_at": now - 3600}))
    async with running_world(load_scenario(path), options) as sim:
        assert sim.clock.time() >= now


async def test_a_start_that_fails_keeps_when_the_first_run_began(tmp_path: Path):
    path = variant(tmp_path)
    options = WorldOptions(free_ports=True, data_dir=tmp_path / "data")
    async with running_world(load_scenario(path), options) as sim:
        await sim.advance(60)
    state, log_stores = tmp_path / "data" / "state.json", tmp_path / "data" / "log_stores.db"
    began_at = json.loads(state.read_text())["began_at"]
    log_stores.write_bytes(b"no database" * 1000)
    with pytest.raises(StartupError):
        async with running_world(load_scenario(path), options):
            pass
    assert json.loads(state.read_text())["began_at"] == began_at


async def test_a_data_directory_that_another_scenario_filled_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    options = WorldOptions(free_ports=True, data_dir=tmp_path / "data", clock_mode=ClockMode.MANUAL)

    async def warnings_of(*replacements: tuple[str, str], asks: bool = False) -> list[str]:
        """What is said when the quickstart, so changed, goes on; in the end with two records."""
        caplog.clear()
        path = variant(tmp_path, *replacements)
        async with running_world(load_scenario(path), options) as sim:
            if asks:
                [listener] = sim.endpoints().listeners
                for _ in range(2):
                    with suppress(urllib.error.HTTPError):
                        await asyncio.to_thread(urllib.request.urlopen, listener.url)
            else:
                await sim.advance(600)
            counts.append(sim.engine.pull("default", "access", Selection(start_ms=0, end_ms=2**60)))
        return [record.getMessage() for record in caplog.records]

    counts: list[Page] = []
    names = ("name: shop", "name: front"), ("balancer: shop", "balancer: front")
    other = (("name: quickstart", "name: night"), *names, ("shop:80", "front:80"))
    assert await warnings_of(asks=True) == []
    text, left = await warnings_of(*other)
    assert text.startswith(
        f"data directory {options.data_dir} was filled by scenario quickstart (load balancers: "
        "shop) and is now used by scenario night (load balancers: front): "
    )
    assert left.endswith("wait: no flow log takes them")
    assert await warnings_of(*other) == [left]
    [text] = await warnings_of()
    assert "filled by scenario night (load balancers: front) and is now used by" in text
    assert await warnings_of(("rate: 50/s", "rate: 5/s")) == []
    assert [len(page.records) for page in counts] == [0, 0, 0, 2, 2]
