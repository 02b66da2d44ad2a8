"""Health checks and limits that a scenario asks for, in a whole simulation."""

import asyncio
import textwrap
from pathlib import Path

import pytest

from simulator.clock import ClockMode
from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
clock: {{mode: {mode}, start: "2026-03-01T08:00:00+08:00"}}
ports: {{api: 0, s3: 0}}
backends:
  up: {{count: 1}}
  web: {{addresses: [{addresses}]}}
load_balancers:
  - name: shop
    id: lb-0d29a3f6
    limits: {{{limits}}}
    listeners:
      - {{protocol: HTTP, port: 80, to: web, health_check: {{{check}}}}}
      - {{protocol: HTTP, port: 81, to: up}}
log_stores: [{{name: access}}]
flow_logs: [{{name: l7, load_balancer: shop, to: {{log_store: access}}}}]
traffic: [{{to: "shop:{port}", rate: 20/s, for: 10s, requests: [{{get: /}}]}}]
"""
NOWHERE = "127.0.0.1:1"
REFUSED = '"127.0.0.1:1", "127.0.0.1:2"'


def world(tmp_path: Path, **parts: str):
    defaults = {"mode": "auto", "limits": "", "check": "", "port": "80", "addresses": REFUSED}
    path = tmp_path / "scenario.yaml"
    path.write_text(textwrap.dedent(SCENARIO).format(**(defaults | parts)), encoding="utf-8")
    return running_world(load_scenario(path), WorldOptions(free_ports=True))


@pytest.mark.parametrize("mode", [ClockMode.AUTO, ClockMode.MANUAL])
async def test_a_run_with_dead_servers_ends_and_its_records_name_the_group(
    tmp_path: Path, mode: ClockMode
):
    async with world(tmp_path, mode=mode.value) as sim:
        await sim.run_to_the_end()
        assert dict(sim.senders[0].counters.by_status) == {502: 200}
        records = [view.record for view in sim.records(1000, pending=False)]
    assert {record["upstream_addr"] for record in records} == {records[0]["vdum_ups_id"]}
    assert {record["request"] for record in records} == {"GET / HTTP/1.1"}


async def test_servers_are_known_to_be_alive_before_the_first_request_and_leave_no_record(
    tmp_path: Path,
):
    probes = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal probes
        while head := await reader.readline():
            probes += head == b"HEAD /up HTTP/1.0\r\n"
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with world(tmp_path, addresses=f'"{host}:{port}", "{NOWHERE}"', check="uri: /up") as sim:
        await sim.run_to_the_end()
        assert dict(sim.senders[0].counters.by_status) == {200: 200}
        records = [view.record for view in sim.records(1000, pending=False)]
    server.close()
    assert {record["upstream_addr"] for record in records} == {f"{host}:{port}"}
    assert len(records) == 200
    # Every three seconds of ten, and then one for each jump to a delivery.
    assert 4 <= probes < 40


async def test_all_listeners_of_a_load_balancer_share_its_limits(tmp_path: Path):
    async with world(tmp_path, mode="manual", limits="qps: 3", port="81") as sim:
        statuses = []
        for listener in sim.endpoints().listeners * 3:
            host, port = listener.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            statuses.append((listener.port, int((await reader.read()).split()[1])))
            writer.close()
        marks = [view.record["extension_log"] for view in sim.records(10, pending=False)]
    assert statuses == [(80, 502), (81, 200), (80, 502), (81, 503), (80, 503), (81, 503)]
    assert marks == ["lb-0d29a3f6&0&0&0"] * 3 + [f"lb-0d29a3f6&1&{n}&0" for n in (4, 5, 6)]
