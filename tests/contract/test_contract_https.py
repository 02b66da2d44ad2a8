"""An HTTPS listener from the scenario to the record, trusted by the authority it offers."""

import asyncio
import json
import ssl
import urllib.request
from pathlib import Path

from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
backends: {web: {count: 1}}
load_balancers:
  - name: shop
    kind: application
    listeners:
      - {protocol: HTTP, port: 80, redirect_port: 443}
      - {protocol: HTTPS, port: 443, to: web, tls: {domains: [127.0.0.1]}}
log_stores: [{name: access}]
flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access}}]
"""


def fetch(url: str, authority: bytes | None = None) -> bytes:
    context = ssl.create_default_context(cadata=authority.decode()) if authority else None
    with urllib.request.urlopen(url, context=context) as response:
        return response.read()


async def test_a_client_that_trusts_the_authority_is_served_and_recorded(tmp_path: Path):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    data = tmp_path / "data"
    options = WorldOptions(free_ports=True, data_dir=data)
    async with running_world(load_scenario(path), options) as sim:
        endpoints = sim.endpoints()
        plain, secure = endpoints.listeners
        assert secure.url.startswith("https://127.0.0.1:")
        pem = await asyncio.to_thread(fetch, f"{endpoints.api}/_sim/v1/authority.pem")
        assert Path(endpoints.authority).read_bytes() == pem  # noqa: ASYNC240  a small file
        body = await asyncio.to_thread(fetch, f"{secure.url}/cart", pem)
        assert json.loads(body)["path"] == "/cart"
        [view] = sim.records(10, pending=True)
        assert (view.record["scheme"], view.record["vport"]) == ("https", 443)
        assert view.record["ssl_session_reused"] == "."
        assert plain.url.startswith("http://")
    async with running_world(load_scenario(path), options) as sim:
        # The authority is kept: what trusted it goes on working.
        assert sim.authority_pem() == pem
        await asyncio.to_thread(fetch, f"{sim.endpoints().listeners[1].url}/again", pem)
