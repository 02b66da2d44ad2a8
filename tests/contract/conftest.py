"""What several contract tests stand on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aiohttp import web
from bls_served import AK, SK, START_S, MemoryBuckets, Served
from generated_sdk import GeneratedSdk

from simulator.api import Authenticator, make_api_app, make_runner
from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, Upkeep


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clock = ManualClock(START_S + 600.0)
    engine = LogStoreEngine(None, clock)
    buckets = MemoryBuckets()
    engine.use_buckets(buckets)
    changes: list[float] = []
    app_changed: list[Callable[[], None]] = []

    def changed() -> None:
        changes.append(clock.time())
        for look in app_changed:
            look()

    app = make_api_app(
        engine=engine,
        clock=clock,
        auth=Authenticator({AK: SK}),
        on_change=changed,
        object_url=lambda bucket, key: f"http://objects/{bucket}/{key}",
    )
    app.router.add_get("/_sim/live", _ok)
    runner = make_runner(app, shutdown_s=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    async with asyncio.TaskGroup() as tasks:
        upkeep = Upkeep(engine.jobs, clock, lambda work, name: tasks.create_task(work, name=name))
        app_changed.append(upkeep.look)
        clock.start()
        upkeep.start()
        yield Served(port, engine, changes, runner, clock, buckets)
        await upkeep.aclose()
    await runner.cleanup()
    engine.close()


@pytest.fixture
def sdk(served: Served) -> Iterator[GeneratedSdk]:
    """The generated SDK; nothing that a test does with it may set off a retry."""
    client = GeneratedSdk(f"http://127.0.0.1:{served.port}")
    yield client
    assert client.retries.count == 0


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
