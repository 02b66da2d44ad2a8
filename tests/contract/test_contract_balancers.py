"""What a simulation shows of its load balancers: status, metrics and expectations agree."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest

from simulator.clock import ClockMode
from simulator.scenario import load_scenario
from simulator.verdict import evaluate
from simulator.world import WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
backends: {web: {count: 2}, gone: {address: "127.0.0.1:1"}}
load_balancers:
  - name: shop
    limits: {qps: 3, new_connections: 4}
    listeners:
      - {protocol: HTTP, port: 80, to: web, health_check: {}}
      - {protocol: HTTP, port: 81, to: gone, health_check: {type: TCP}}
      - {protocol: HTTP, port: 82, to: web}
  - name: idle
    listeners: [{protocol: HTTP, port: 80, to: web}]
log_stores: [{name: access}]
flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access}}]
expect:
  - {that: "load_balancer.shop.requests == 5"}
  - {that: "load_balancer.shop.status.200 == 2"}
  - {that: "load_balancer.shop.status.5xx == 3"}
  - {that: "load_balancer.shop.status.5xx > load_balancer.shop.status.503"}
  - {that: "load_balancer.shop.status.404 == load_balancer.shop.status.4xx"}
  - {that: "load_balancer.shop.limited_requests == 2"}
  - {that: "load_balancer.shop.new_connections == 4"}
  - {that: "load_balancer.shop.dropped_connections == 2"}
  - {that: "load_balancer.shop.alive_servers == 2"}
  - {that: "load_balancer.shop.dead_servers == 1"}
  - {that: "load_balancer.idle.requests == 0"}
"""
SAMPLE = re.compile(r'blbsim_(\w+)\{load_balancer="(\w+)"(?:,port="(\d+)")?(.*)\} ([0-9.e+-]+)')


async def ask(port: int) -> tuple[str, asyncio.StreamWriter | None]:
    """Send one request on a connection of its own that stays open; ``dropped`` if it is reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        return (await reader.readuntil(b"\r\n"))[9:12].decode(), writer
    except (ConnectionError, asyncio.IncompleteReadError):
        return "dropped", None


async def test_status_metrics_and_expectations_tell_of_every_request(tmp_path: Path):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    scenario = load_scenario(path)
    options = WorldOptions(clock_mode=ClockMode.MANUAL, free_ports=True)
    async with running_world(scenario, options) as world:
        endpoints = world.endpoints()
        ports = [int(listener.url.rpartition(":")[2]) for listener in endpoints.listeners]
        answers = [await ask(ports[0]), await ask(ports[1]), await ask(ports[2])]
        answers += [await ask(ports[0]) for _ in range(3)]
        _, writer = answers[0]
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{endpoints.api}/_sim/v1/status") as response:
                    status = json.loads(await response.read())
                shop, idle = status["load_balancers"]
                if sum(listener["requests"] for listener in shop["listeners"]) == 5:
                    break
            async with session.get(f"{endpoints.api}/_sim/metrics") as response:
                assert (
                    response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                )
                text = await response.text()
        outcomes = evaluate(scenario.expectations, world.metrics())
        for _, writer in answers:
            if writer is not None:
                writer.close()

    assert [answer for answer, _ in answers] == ["200", "502", "200", "503", *["dropped"] * 2]
    assert [outcome.measured for outcome in outcomes if not outcome.holds] == []
    first, second, third = shop["listeners"]
    assert (first["port"], first["protocol"]) == (80, "HTTP")
    assert first["by_status"] == {"200": 1, "503": 2}
    assert (first["limited_requests"], first["forwarded_requests"]) == (2, 1)
    assert (first["open_connections"], first["new_connections"]) == (2, 2)
    assert second["by_status"] == {"502": 1}
    assert third["by_status"] == {"200": 1}
    assert first["request_bytes"] == 3 * len(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert shop["dropped_connections"] == 2
    checked = [(s["scope"], s["state"], s["detail"]) for s in shop["servers"]]
    assert checked[0] == checked[1] == ("sg-bb62bbb1:8080 for HTTP:80", "Alive", "status 200")
    assert checked[2][1:] == ("Dead", "connection refused")
    assert {(state, detail) for _, state, detail in checked[3:]} == {("Unknown", "not checked")}
    assert [server["since"] is None for server in shop["servers"]] == [False] * 3 + [True] * 2
    assert idle["dropped_connections"] == 0

    samples = {found[:4]: float(found[4]) for found in SAMPLE.findall(text)}
    assert samples["requests_total", "shop", "80", ""] == 3
    assert samples["responses_total", "shop", "80", ',class="5xx"'] == 2
    assert samples["responses_total", "shop", "82", ',class="2xx"'] == 1
    assert samples["active_connections", "shop", "81", ""] == 1
    assert samples["dropped_connections_total", "shop", "", ""] == 2
    assert samples["limited_requests_total", "shop", "80", ""] == 2
    assert samples["servers", "shop", "", ',state="Dead"'] == 1
    assert samples["requests_total", "idle", "80", ""] == 0
    seconds = samples["request_seconds_total", "shop", "80", ""]
    assert 0 <= samples["upstream_seconds_total", "shop", "80", ""] <= seconds + 0.002 < 10
    assert 'blbsim_records{flow_log="l7",state="pending"} 5' in text.splitlines()


@pytest.mark.parametrize(
    ("that", "problem"),
    [
        ("load_balancer.shp.requests > 0", "no load balancer is named 'shp'; did you mean 'shop'?"),
        (
            "load_balancer.shop.request > 0",
            "unknown metric 'load_balancer.shop.request'; did you mean "
            "'load_balancer.shop.requests'?",
        ),
    ],
)
def test_a_metric_of_a_load_balancer_has_to_name_one(tmp_path: Path, that: str, problem: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO + f'  - {{that: "{that}"}}\n')
    with pytest.raises(Exception, match=r"expect\[11\]") as caught:
        load_scenario(path)
    assert str(caught.value).endswith(problem)
