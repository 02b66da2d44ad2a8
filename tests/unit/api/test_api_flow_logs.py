"""What the API of flow logs does by itself."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulator.api.flow_log_values import (
    DestinationType,
    FlowLogInfo,
    FlowLogRequest,
    FlowLogTarget,
)
from simulator.api.flow_logs import flow_log_operations
from simulator.api.operations import add_routes
from simulator.clock import ManualClock

BODY = {
    "name": "l7",
    "resourceId": "lb-1",
    "destType": "BLS",
    "destConfig": {"logStore": "access"},
}


@dataclass
class Slow:
    """Flow logs that are made when ``go_on`` is set."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    made: int = 0

    async def create(self, request: FlowLogRequest) -> FlowLogInfo:
        self.begun.set()
        await self.go_on.wait()
        self.made += 1
        return FlowLogInfo(
            flow_log_id=f"fl-{self.made}",
            name=request.name,
            description="",
            resource_type="blb",
            resource_id=request.resource_id,
            layer=7,
            target=FlowLogTarget(type=DestinationType.BLS),
            status="running",
            created_at=0.0,
        )


async def test_a_call_that_is_sent_again_while_it_is_at_work_is_done_once() -> None:
    slow, app = Slow(), web.Application()
    add_routes(app, flow_log_operations(slow, ManualClock()))

    async def create(client: TestClient) -> tuple[int, dict[str, str]]:
        async with client.post("/v1/flowlog?clientToken=t", json=BODY) as answer:
            return answer.status, await answer.json()

    async with TestClient(TestServer(app)) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(create(client)) for _ in range(3)]
        await slow.begun.wait()
        slow.go_on.set()
    assert [one.result() for one in calls] == [(200, {"flowLogId": "fl-1"})] * 3
