"""The clock beside the calls of clients: it can be moved while they are at work."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from bls_served import Served

RECORDS = "/v1/logstore/access/logrecord"


async def test_an_advance_does_not_wait_for_calls(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    push: Callable[..., int] = served.engine.push

    def slow_push(*args: object, **kwargs: object) -> int:
        begun.set()
        go_on.wait()
        return push(*args, **kwargs)

    monkeypatch.setattr(served.engine, "push", slow_push)
    before = served.clock.time()
    try:
        async with asyncio.TaskGroup() as tasks:
            body = {"logRecords": [{"message": "hello"}]}
            pushed = tasks.create_task(served.go("POST", RECORDS, body))
            await asyncio.to_thread(begun.wait)
            await asyncio.wait_for(served.advance(3600), timeout=60)
            assert served.clock.time() == before + 3600
            assert not pushed.done()
            go_on.set()
    finally:
        go_on.set()
    assert pushed.result()[0] == 200
