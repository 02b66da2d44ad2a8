"""``blbsim up``: serve a scenario in the foreground until told to stop."""

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop

from simulator.cli.tables import PlainConsole, print_screen
from simulator.clock import ClockMode
from simulator.model import AuthMode
from simulator.rng import access_token
from simulator.scenario import Scenario
from simulator.world import WorldOptions, load_for, running_world


def up(
    path: Path,
    *,
    data_dir: Path | None,
    clock_mode: ClockMode | None,
    rate: float | None,
    seed: int | None,
    free_ports: bool,
    host: str,
    admin_token: str | None,
    traffic: bool,
    auth: AuthMode | None,
    as_json: bool,
) -> int:
    """Bring ``path`` up and serve until SIGINT or SIGTERM; returns the exit code."""
    scenario = load_for(path, data_dir=data_dir, seed=seed)
    if auth is not None:
        scenario = replace(scenario, account=replace(scenario.account, auth=auth))
    notes = []
    mode = clock_mode or scenario.clock.mode
    if clock_mode is None and mode is ClockMode.AUTO:
        # Somebody is watching: jumping ahead while they type would hide the delay from them.
        mode = ClockMode.REAL
        notes.append(
            "clock     the scenario's `auto` jumps in `blbsim run` only; --clock auto insists"
        )
    token = admin_token
    if host not in ("127.0.0.1", "::1", "localhost"):
        notes.append(f"reachable from outside on {host}; the S3 door asks nobody who they are")
        if token is None:
            token = access_token()
            notes.append(f"token     {token}  (BLBSIM_ADMIN_TOKEN for the other verbs)")
    options = WorldOptions(
        data_dir=data_dir,
        clock_mode=mode,
        clock_rate=rate,
        host=host,
        admin_token=token,
        free_ports=free_ports,
    )
    return uvloop.run(_serve(scenario, options, traffic=traffic, notes=notes, as_json=as_json))


async def _serve(
    scenario: Scenario,
    options: WorldOptions,
    *,
    traffic: bool,
    notes: list[str],
    as_json: bool,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with running_world(scenario, options) as world:
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(world.endpoints()) + b"\n")
            sys.stdout.flush()
        else:
            out = PlainConsole()
            print_screen(out, world.status(), world.endpoints(), notes=notes)
            out.file.flush()
        if traffic:
            world.start_traffic()
        await stop.wait()
    return 0
