"""A spool that is full, in a whole simulation: requests wait, and every record arrives once."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from simulator.clock import ClockMode
from simulator.logstore import Selection
from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world
from simulator.world.world import World
from tests.wire.conftest import read_head, until

SCENARIO = """\
version: 1
seed: 7
clock: {{mode: {mode}, start: "2026-03-01T08:00:00+08:00"}}
ports: {{api: 0, s3: 0}}
spool: {{max: 10000B, when_full: {when_full}}}
shared_cluster: {{nodes: {nodes}}}
backends:
  web: {{count: 1}}
load_balancers:
  - name: shop
    id: lb-0d29a3f6
    listeners: [{{protocol: HTTP, port: 80, to: web}}]
log_stores: [{{name: access}}]
flow_logs: [{{name: l7, load_balancer: shop, to: {{log_store: access}}}}]
traffic: [{{to: "shop:80", rate: 20/s, for: 10s, clients: {{count: 4}}, requests: [{{get: /}}]}}]
"""


def world(tmp_path: Path, mode: ClockMode, when_full: str = "block", nodes: int = 1):
    path = tmp_path / "scenario.yaml"
    text = SCENARIO.format(mode=mode.value, when_full=when_full, nodes=nodes)
    path.write_text(text, encoding="utf-8")
    options = WorldOptions(free_ports=True, data_dir=tmp_path / "data")
    return running_world(load_scenario(path), options)


class Clients:
    """So many that ask again as soon as they are answered."""

    def __init__(self, sim: World) -> None:
        host, port = sim.endpoints().listeners[0].url.removeprefix("http://").split(":")
        self._address = host, int(port)
        self.answered = 0
        self.stopped = False
        self.running = 0

    async def answered_when_all_wait(self) -> int:
        """How many were answered, once no answer comes any more; never if answers go on."""
        before = -1
        while before != self.answered:
            before = self.answered
            await asyncio.sleep(0.05)
        return before

    async def run(self, index: int) -> None:
        reader, writer = await asyncio.open_connection(*self._address)
        self.running += 1
        number = 0
        try:
            while not self.stopped:
                writer.write(b"GET /%d/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (index, number))
                head = await read_head(reader)
                assert head.startswith(b"HTTP/1.1 200")
                await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
                number += 1
                self.answered += 1
        finally:
            self.running -= 1
            writer.close()


def requests_in_log_store(sim: World) -> list[str]:
    selection = Selection(start_ms=0, end_ms=1 << 52)
    rows = sim.engine.query("default", "access", selection, "select request limit 10000").rows
    return [str(row[0]) for row in rows]


@pytest.mark.parametrize("nodes", [1, 3])
async def test_clients_wait_until_the_clock_is_moved_and_every_record_arrives_once(
    tmp_path: Path, nodes: int
):
    async with world(tmp_path, ClockMode.MANUAL, nodes=nodes) as sim, asyncio.TaskGroup() as tasks:
        clients = Clients(sim)
        for index in range(12):
            tasks.create_task(clients.run(index))
        answered = 0
        for _ in range(3):
            await until(lambda: sim.status().spool.full_since)
            spool = sim.status().spool
            assert spool.max_bytes == 10_000
            # What was under way when it became full is beyond the bound, and no more. A segment
            # that was delivered meanwhile does not open it again while it is over nine tenths.
            assert 9_000 < spool.used_bytes < 10_000 + 12 * 1000
            assert spool.advice is not None
            assert "advance" in spool.advice
            assert clients.answered > answered
            answered = await clients.answered_when_all_wait()
            await sim.advance(400)
        await until(lambda: clients.answered > answered)
        assert sim.status().spool.blocked_count >= 3
        # Three times at least as long as it takes to see that no answer comes.
        assert sim.status().spool.blocked_s >= 0.1
        # Those that wait are served once more.
        clients.stopped = True
        # Those that are let go may fill it again.
        while clients.running or sim.status().flow_logs[0].pending:
            await asyncio.sleep(0.01)
            await sim.advance(400)
        await sim.advance(400)
        status = sim.status()
        assert status.dropped_records == 0
        assert status.spool.used_bytes == 0
        assert status.flow_logs[0].delivered == clients.answered
        asked = requests_in_log_store(sim)
        assert len(asked) == len(set(asked)) == clients.answered


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("mode", [ClockMode.AUTO, ClockMode.MANUAL])
async def test_built_in_traffic_that_waits_does_not_hold_the_clock(
    tmp_path: Path, mode: ClockMode, nodes: int
):
    async with world(tmp_path, mode, nodes=nodes) as sim:
        await sim.run_to_the_end()
        status = sim.status()
        assert status.spool.blocked_count > 1
        assert status.dropped_records == 0
        assert status.traffic[0].completed == 200
        assert status.flow_logs[0].delivered == 200
        await until(lambda: sim.clock._holds == 0)


async def test_a_run_that_begins_with_a_full_spool_waits_at_once(tmp_path: Path):
    async with world(tmp_path, ClockMode.MANUAL) as sim, asyncio.TaskGroup() as tasks:
        clients = Clients(sim)
        client = tasks.create_task(clients.run(0))
        await until(lambda: sim.status().spool.full_since)
        client.cancel()
    async with world(tmp_path, ClockMode.MANUAL) as sim, asyncio.TaskGroup() as tasks:
        assert sim.status().spool.full_since
        again = Clients(sim)
        tasks.create_task(again.run(0))
        await asyncio.sleep(0.05)
        assert again.answered == 0
        again.stopped = True
        await sim.advance(400)
        await until(lambda: again.answered == 1)


async def test_a_node_that_starts_again_waits_with_the_others(tmp_path: Path):
    async with world(tmp_path, ClockMode.MANUAL, nodes=2) as sim:
        clients = Clients(sim)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(clients.run(index)) for index in range(4)]
            await until(lambda: sim.status().spool.full_since)
            for client in running:
                client.cancel()
        before = sim.status().spool.used_bytes
        os.kill(sim.status().nodes[1].pid, signal.SIGKILL)
        await until(lambda: sim.status().nodes[1].restarts == 1 and sim.status().nodes[1].pid)
        # What the dead one had spooled is still counted, and what was under way in it is lost.
        assert before <= sim.status().spool.used_bytes < before + 4 * 1000
        answered = clients.answered
        async with asyncio.TaskGroup() as tasks:
            for index in range(12):
                tasks.create_task(clients.run(100 + index))
            await asyncio.sleep(0.1)
            assert clients.answered == answered
            clients.stopped = True
            while clients.running or sim.status().flow_logs[0].pending:
                await asyncio.sleep(0.01)
                await sim.advance(400)
        await sim.advance(400)
        assert clients.answered == answered + 12
        assert sim.status().spool.used_bytes == 0


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_spool_that_drops_makes_nobody_wait(tmp_path: Path, nodes: int):
    async with world(tmp_path, ClockMode.AUTO, "drop", nodes) as sim:
        await sim.run_to_the_end()
        status = sim.status()
        assert status.traffic[0].completed == 200
        assert status.dropped_records > 0
        assert status.flow_logs[0].delivered == 200 - status.dropped_records
        assert (status.spool.when_full, status.spool.blocked_count) == ("drop", 0)
