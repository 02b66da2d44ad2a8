"""The admin API in front of a simulation that is not there."""

from types import SimpleNamespace

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


class Up:
    """One that is up, and is asked nothing that it could answer."""

    ready = True
    verdicts = SimpleNamespace(compare=None)


UNREADABLE = (b"", b"null", b"[]", b"7", b"{", b'{"a":"\xc3"}', b"[" * 100_000)
UNREADABLE_BY = {
    "faults": UNREADABLE,
    "explain": (*UNREADABLE, b'{"record":1}'),
    "clock/advance": (*UNREADABLE, b'{"by":5}'),
}


@pytest.mark.parametrize(
    ("path", "body"), [(path, body) for path, bodies in UNREADABLE_BY.items() for body in bodies]
)
async def test_a_body_that_cannot_be_read_is_the_clients_fault(path, body):
    app = web.Application(middlewares=[error_middleware()])
    add_admin_routes(app, Up(), token=None)
    async with (
        TestClient(TestServer(app)) as client,
        client.post(f"/_sim/v1/{path}", data=body) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize("examples", ["-1", "x", "1001", "9" * 5000])
async def test_a_number_of_examples_is_bounded(examples):
    app = web.Application(middlewares=[error_middleware()])
    add_admin_routes(app, Up(), token=None)
    async with (
        TestClient(TestServer(app)) as client,
        client.post(f"/_sim/v1/reconcile?examples={examples}") as answer,
    ):
        assert answer.status == 400
