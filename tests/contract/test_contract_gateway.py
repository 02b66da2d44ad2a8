"""``cip_forward: false``: the record shows the gateway as the peer, and the client beside it."""

import asyncio
import socket
from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
backends: {web: {count: 1}}
load_balancers:
  - {name: shop, kind: application, GATEWAY, listeners: [{protocol: HTTP, port: 80, to: web}]}
"""


def scenario(tmp_path: Path, gateway: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.replace("GATEWAY", gateway))
    return load_scenario(path)


async def test_remote_addr_is_one_of_the_gateways_and_cip_the_client(tmp_path: Path):
    bips = ["100.64.0.17", "100.64.0.18"]
    loaded = scenario(tmp_path, f"cip_forward: false, bips: {bips}")
    async with running_world(loaded, WorldOptions(free_ports=True)) as sim:
        host, _, port = sim.endpoints().listeners[0].url.removeprefix("http://").partition(":")

        def ask(client: int) -> None:
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"PROXY TCP4 198.51.100.%d 10.0.0.1 4711 80\r\n" % client)
                for _ in range(2):
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert connection.recv(65536).startswith(b"HTTP/1.1 200")

        for client in range(1, 21):
            await asyncio.to_thread(ask, client)
        records = [view.record for view in sim.records(100, pending=False)]
    assert [r["cip"] for r in records] == [f"198.51.100.{n}" for n in range(1, 21) for _ in (1, 2)]
    assert {r["remote_addr"] for r in records} == set(bips)
    pairs = zip(records[::2], records[1::2], strict=True)
    assert all(first["remote_addr"] == second["remote_addr"] for first, second in pairs)


def test_addresses_without_their_switch_are_refused(tmp_path: Path):
    with pytest.raises(ScenarioError, match="cip_forward: off only"):
        scenario(tmp_path, "bips: [100.64.0.17]")
    with pytest.raises(ScenarioError, match="expected at least one address"):
        scenario(tmp_path, "cip_forward: false, bips: []")
