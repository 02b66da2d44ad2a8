"""HTTPS from end to end: the shipped scenario, and clients with certificates."""

from collections import Counter
from pathlib import Path

import pytest

from simulator.dataplane.certificates import Authority
from simulator.scenario import load_scenario
from simulator.world import WorldOptions, running_world

ROOT = Path(__file__).parents[2]


async def records_of(path: Path) -> tuple[dict, list[dict]]:
    """Run the traffic to its end: statuses by number, and all records."""
    async with running_world(load_scenario(path), WorldOptions(free_ports=True)) as sim:
        await sim.run_to_the_end()
        [sender] = sim.senders
        assert (sender.counters.failed, sender.counters.overflowed) == (0, 0)
        records = [view.record for view in sim.records(1000, pending=False)]
        return dict(sender.counters.by_status), records


async def test_the_shipped_scenario_shows_tls_on_both_sides():
    statuses, records = await records_of(ROOT / "scenarios" / "https.yaml")
    assert statuses == {200: 200}
    assert {(r["scheme"], r["vdum_rs_proto"], r["host"]) for r in records} == {
        ("https", "https", "shop.example.com")
    }
    assert all(r["remote_addr"] != "127.0.0.1" for r in records)
    assert all(r["ssl_handshake_time"] >= 0 for r in records)
    connections = {(r["cip"], r["cport"]): r["ssl_session_reused"] for r in records}
    # About half of the responses end a connection; of those that follow about half resume.
    assert 70 < len(connections) < 140
    assert set(Counter(connections.values())) == {".", "r"}
    assert sum(r["upstream_connect_time"] == 0.0 for r in records) > 100


SCENARIO = """\
version: 1
seed: 7
clock: {{mode: auto, start: "2026-03-01T08:00:00+08:00"}}
backends: {{web: {{}}}}
load_balancers:
  - name: shop
    listeners:
      - {{protocol: HTTPS, port: 443, to: web{asking}}}
log_stores: [{{name: access}}]
flow_logs: [{{name: l7, load_balancer: shop, to: {{log_store: access}}}}]
traffic: [{{to: "shop:443", rate: 10/s, for: 2s, clients: {{count: 2, keep: {keep}}}, tls: {tls}}}]
"""


@pytest.mark.parametrize(("resume", "reused"), [("true", {".": 2, "r": 18}), ("false", {".": 20})])
async def test_sessions_are_resumed_as_often_as_is_said(
    tmp_path: Path, resume: str, reused: dict[str, int]
):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.format(asking="", keep="0%", tls=f"{{resume: {resume}}}"))
    statuses, records = await records_of(path)
    assert statuses == {200: 20}
    assert Counter(record["ssl_session_reused"] for record in records) == reused


@pytest.mark.parametrize("has_one", [True, False])
async def test_clients_show_the_certificate_they_are_given(tmp_path: Path, has_one: bool):
    # The authority stands for a client: it trusts itself, and its certificate is for any use.
    Authority(tmp_path / "certificates")
    files = "certificate: certificates/authority.pem, key: certificates/authority.key"
    path = tmp_path / "scenario.yaml"
    path.write_text(
        SCENARIO.format(
            asking=", tls: {client_authority: certificates/authority.pem}",
            keep="100%",
            tls=f"{{{files if has_one else ''}}}",
        )
    )
    statuses, _ = await records_of(path)
    assert statuses == {200 if has_one else 400: 20}
