"""The admin API in front of a simulation that is not there."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulator.api.admin import add_admin_routes
from simulator.api.errors import error_middleware


class Starting:
    """A simulation that is not up yet."""

    ready = False


@pytest.fixture
async def client():
    app = web.Application(middlewares=[error_middleware()])
    simulation = Starting()
    add_admin_routes(app, simulation, token="secret")
    async with TestClient(TestServer(app)) as client:
        client.simulation = simulation
        yield client


async def test_ready_is_503_until_everything_is_up(client):
    async with client.get("/_sim/ready") as response:
        assert (response.status, await response.json()) == (503, {"status": "starting"})
    client.simulation.ready = True
    async with client.get("/_sim/ready") as response:
        assert (response.status, await response.json()) == (200, {"status": "ready"})


async def test_live_is_200_at_once(client):
    async with client.get("/_sim/live") as response:
        assert response.status == 200


@pytest.mark.parametrize("headers", [{}, {"x-blbsim-token": "guess"}])
async def test_everything_else_wants_the_token(client, headers):
    for path in ("endpoints", "clock", "status", "records", "watermarks", "advice"):
        async with client.get(f"/_sim/v1/{path}", headers=headers) as response:
            assert response.status == 401
            body = await response.json()
            assert body["code"] == "Unauthorized"
            assert "x-blbsim-token" in body["message"]
    for path in ("clock/advance", "explain", "reconcile"):
        async with client.post(f"/_sim/v1/{path}", json={"by": "1s"}, headers=headers) as answer:
            assert answer.status == 401
