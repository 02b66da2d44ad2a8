"""That the statements which the docs show find, and are told, what the docs show."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from worlds import call, up

from simulator.world import World

ROOT = Path(__file__).parents[2]
QUICKSTART = (ROOT / "scenarios" / "quickstart.yaml").read_text()
PAGE = (ROOT / "docs" / "queries.md").read_text()
RANGE = "startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-03-01T01:00:00Z"


def shown(name: str) -> list[tuple[str, str]]:
    """Statements of a block, each with what stands behind it on its line."""
    found = re.search(rf"<!-- tested: {name} -->\n```console\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    pairs = [re.split(r"  +", line, maxsplit=1) for line in found[1].splitlines()]
    assert len(pairs) > 3
    return [(statement, answer) for statement, answer in pairs]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with up(tmp_path, QUICKSTART.replace("region: bj", "account: {auth: off}")) as world:
        url = world.endpoints().listeners[0].url
        async with aiohttp.ClientSession() as session:
            for path in ("/order/1", "/order/2", "/order/3", "/item/7"):
                async with session.get(url + path) as answer:
                    await answer.read()
        await world.advance(180.0)
        yield world


async def test_statements(world: World) -> None:
    for statement, rows in shown("statements"):
        path = f"/v1/logstore/access/logrecord?{RANGE}&query={quote(statement)}"
        status, answer = await call(world, "GET", path)
        assert status == 200, answer
        assert answer["resultSet"]["rows"] == json.loads(rows), statement


async def test_refusals(world: World) -> None:
    for statement, message in shown("refusals"):
        path = f"/v1/logstore/access/logrecord?{RANGE}&query={quote(statement)}"
        status, answer = await call(world, "GET", path)
        assert (status, answer["message"]) == (400, message), statement
