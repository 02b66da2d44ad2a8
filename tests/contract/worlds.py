"""A scenario that is up in this process, on a clock that stands still, and calls of its APIs."""

import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp

from simulator.clock import ClockMode
from simulator.scenario import load_scenario
from simulator.world import World, WorldOptions, running_world


def up(directory: Path, scenario: str) -> AbstractAsyncContextManager[World]:
    """The text of a scenario, up; again in the same directory it goes on with its data."""
    path = directory / "scenario.yaml"
    path.write_text(scenario, encoding="utf-8")
    options = WorldOptions(
        data_dir=directory / "data", clock_mode=ClockMode.MANUAL, free_ports=True
    )
    return running_world(load_scenario(path), options)


async def call(
    world: World, method: str, path: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer; nothing is signed."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, world.endpoints().api + path, json=body) as answer,
    ):
        return answer.status, json.loads(await answer.read() or b"{}")
