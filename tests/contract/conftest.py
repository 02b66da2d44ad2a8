"""What several contract tests stand on."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from bls_served import AK, SK, START_S, Served

from simulator.api import Authenticator, make_api_app
from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clock = ManualClock(START_S + 600.0)
    engine = LogStoreEngine(None, clock)
    changes: list[str] = []
    app = make_api_app(
        engine=engine, clock=clock, auth=Authenticator({AK: SK}), on_change=changes.append
    )
    app.router.add_get("/_sim/live", _ok)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    yield Served(port, engine, changes, runner, clock)
    await runner.cleanup()
    engine.close()


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
