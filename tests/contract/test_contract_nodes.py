"""Clusters with several nodes: processes that share the ports, the clock and the spool."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from command import PATIENCE_S

from simulator.logstore import Paging, Selection
from simulator.scenario import load_scenario
from simulator.world import World, WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
shared_cluster: {nodes: 2}
account: {auth: "off"}
backends: {web: {count: 2}}
load_balancers:
  - name: shop
    listeners:
      - {protocol: HTTP, port: 80, to: web}
      - {protocol: HTTPS, port: 443, to: web, tls: {domains: [localhost]}}
  - name: small
    limits: {qps: 2}
    listeners: [{protocol: HTTP, port: 80, to: web}]
log_stores: [{name: access}]
flow_logs:
  - {name: l7, load_balancer: shop, to: {log_store: access}, delay: 90s}
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nodes") / "scenario.yaml"
    path.write_text(SCENARIO)
    return path


def running(scenario: Path, **options) -> "asyncio.AbstractAsyncContextManager[World]":
    return running_world(load_scenario(scenario), WorldOptions(free_ports=True, **options))


def port_of(sim: World, name: str, port: int) -> int:
    [url] = [
        listener.url
        for listener in sim.endpoints().listeners
        if (listener.load_balancer, listener.port) == (name, port)
    ]
    return int(url.rpartition(":")[2])


class Client:
    """A connection that sends one request after another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> int:
        """The status; OSError or EOFError if the connection was lost."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().splitlines()
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            return int(head.split()[1])
        except (OSError, EOFError):
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def get_anew(port: int, path: str) -> int:
    """One request over a connection of its own."""
    client = Client(port)
    try:
        return await client.get(path)
    finally:
        client.close()


async def until(fact: Callable[[], object]) -> None:
    """Wait for something that nobody announces."""
    while not fact():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


async def records_of(sim: World) -> list[dict]:
    await sim.refresh(1000)
    return [view.record for view in sim.records(1000, pending=False)]


async def until_restarted(sim: World, restarts: int) -> None:
    await until(
        lambda: (
            sum(node.restarts for node in sim.status().nodes) >= restarts
            and all(node.pid for node in sim.status().nodes)
        )
    )


def delivered_paths(sim: World) -> Counter[str]:
    """What a pipeline finds in the LogStore, by path."""
    always = Selection(start_ms=0, end_ms=1 << 52)
    found = sim.engine.query("default", "access", always, "match *", Paging(limit=10000))
    return Counter(json.loads(str(row[3]))["request"].split()[1] for row in found.rows)


async def test_requests_are_spread_over_the_nodes_and_delivered_when_due(scenario: Path):
    async with running(scenario) as sim:
        port = port_of(sim, "shop", 80)
        for index in range(40):
            assert await get_anew(port, f"/{index}") == 200
        status = sim.status()
        addresses = {node.address for node in status.nodes}
        records = await records_of(sim)
        by_node = Counter(record["upstream_local_addr"] for record in records)
        status = sim.status()
        assert len(addresses) == 2
        assert set(by_node) == addresses
        assert {node.address: node.requests for node in status.nodes} == dict(by_node)
        assert len({node.pid for node in status.nodes} | {os.getpid()}) == 3
        [flow_log] = status.flow_logs
        assert (flow_log.written, flow_log.pending, flow_log.delivered) == (40, 40, 0)
        [shop, _] = status.load_balancers
        assert shop.listeners[0].requests == 40
        assert shop.listeners[0].new_connections == 40
        # All were logged at the first instant of a still clock; 90 s later they are due.
        assert sim.clock_status().next_delivery == "2026-03-01T08:01:30.000+08:00"
        assert (await sim.advance(89.9)).records == 0
        assert (await sim.advance(0.2)).records == 40
        assert delivered_paths(sim) == Counter({f"/{index}": 1 for index in range(40)})


async def test_a_request_is_known_to_an_advance_that_comes_right_after_its_response(
    scenario: Path,
):
    async with running(scenario) as sim:
        client = Client(port_of(sim, "shop", 80))
        for index in range(50):
            await client.get(f"/{index}")
            # A record that came late would be dated after the advance.
            await sim.advance(1)
        client.close()
        await sim.advance(100)
        records = await records_of(sim)
        assert [record["time_local"][-14:-6] for record in records] == [
            f"08:00:{index:02d}" for index in range(50)
        ]
        assert sim.status().flow_logs[0].delivered == 50


async def test_a_killed_node_loses_what_is_in_its_hands_and_nothing_else(scenario: Path):
    async with running(scenario) as sim:
        port = port_of(sim, "shop", 80)
        answered: list[str] = []
        lost: Counter[int] = Counter()
        killed = asyncio.Event()
        restarted = asyncio.Event()

        async def load(number: int) -> None:
            client = Client(port)
            index = after = 0
            while after < 20:
                index += 1
                after += restarted.is_set()
                path = f"/{number}/{index}"
                try:
                    assert await client.get(path) == 200
                    answered.append(path)
                except (OSError, EOFError):
                    assert killed.is_set()
                    lost[number] += 1
            client.close()

        async with asyncio.TaskGroup() as tasks:
            # The kernel spreads connections as it likes: until each node has some.
            clients = 0
            while clients < 8 or not all(node.connections for node in sim.status().nodes):
                tasks.create_task(load(clients))
                clients += 1
                await until(lambda: len(answered) >= 12 * clients)  # noqa: B023  awaited here
                await sim.refresh()
            await sim.advance(1)  # some segments are closed, others open
            victim, other = sim.status().nodes
            killed.set()
            os.kill(victim.pid, signal.SIGKILL)
            await until_restarted(sim, 1)
            restarted.set()
        # A connection has one request in flight at most, and lost it once at most.
        assert set(lost.values()) <= {1}
        assert 1 <= len(lost) < clients
        again, untouched = sim.status().nodes
        assert again.pid not in (victim.pid, None)
        assert (untouched.pid, untouched.restarts) == (other.pid, 0)
        # The port is served by both again.
        while ("/after", victim.address) not in [
            (record["request"].split()[1], record["upstream_local_addr"])
            for record in await records_of(sim)
        ]:
            await get_anew(port, "/after")
        await sim.advance(200)
        found = delivered_paths(sim)
        after = found.pop("/after")
        assert after == sum(" /after " in r["request"] for r in await records_of(sim))
        assert max(found.values()) == 1
        # Of one request at most the node had sent the response and not yet written the record.
        assert len(set(answered) - set(found)) <= 1
        assert len(found) <= len(answered) + len(lost)
        assert sim.status().flow_logs[0].pending == 0


async def test_a_session_resumes_on_the_other_node_and_after_a_restart(scenario: Path):
    async with running(scenario) as sim:
        port = port_of(sim, "shop", 443)
        context = ssl.create_default_context(cafile=sim.endpoints().authority)
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        def get(session: ssl.SSLSession | None) -> ssl.SSLSession:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
                context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
            ):
                tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                while tls.recv(65536):
                    pass
                assert tls.session is not None
                return tls.session

        session = await asyncio.to_thread(get, None)
        for _ in range(24):
            await asyncio.to_thread(get, session)
        records = await records_of(sim)
        assert Counter(record["ssl_session_reused"] for record in records) == {".": 1, "r": 24}
        assert len({record["upstream_local_addr"] for record in records}) == 2
        for node in sim.status().nodes:
            os.kill(node.pid, signal.SIGKILL)
        await until_restarted(sim, 2)
        # Both are new processes, and what old ones kept of records is gone with them.
        await asyncio.to_thread(get, session)
        assert [record["ssl_session_reused"] for record in await records_of(sim)] == ["r"]


async def test_a_flow_log_made_while_they_run_takes_what_comes_after_it(scenario: Path):
    async with running(scenario) as sim:
        port = port_of(sim, "small", 80)
        for index in range(2):
            await get_anew(port, f"/before/{index}")
        [balancer_id] = {
            listener.load_balancer_id
            for listener in sim.endpoints().listeners
            if listener.load_balancer == "small"
        }
        body = {
            "name": "late",
            "resourceId": balancer_id,
            "destType": "BLS",
            "destConfig": {"logStore": "access"},
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{sim.endpoints().api}/v1/flowlog", json=body) as answer,
        ):
            assert answer.status == 200
        for index in range(10):
            await get_anew(port, f"/after/{index}")
        [mark] = [m for m in sim.verdicts.watermarks().flow_logs if m.flow_log == "late"]
        assert mark.visible_until == "2026-03-01T08:00:00.000+08:00"
        await sim.advance(300)
        await sim.refresh()
        [mark] = [m for m in sim.verdicts.watermarks().flow_logs if m.flow_log == "late"]
        assert mark.visible_until == "2026-03-01T08:05:00.000+08:00"
        assert len(mark.nodes) == 2
        assert delivered_paths(sim) == Counter({f"/after/{index}": 1 for index in range(10)})


async def test_each_node_has_its_own_tokens(scenario: Path):
    async with running(scenario) as sim:
        port = port_of(sim, "small", 80)
        statuses = Counter()
        for _ in range(30):
            statuses[await get_anew(port, "/")] += 1
        records = await records_of(sim)
        by_node = {
            address: Counter(
                record["response_status"]
                for record in records
                if record["upstream_local_addr"] in (address, "-")
            )
            for address in {r["upstream_local_addr"] for r in records} - {"-"}
        }
        # Two a second, so one for each node; on a still clock no more come.
        assert statuses == {200: 2, 503: 28}
        assert [found[200] for found in by_node.values()] == [1, 1]


def test_a_killed_simulator_leaves_no_process_and_its_successor_delivers_all(
    scenario: Path, tmp_path: Path
):
    command = [
        *(sys.executable, "-m", "simulator", "up", str(scenario), "--json", "--free-ports"),
        *("--data-dir", str(tmp_path / "data")),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    endpoints = json.loads(process.stdout.readline())
    url = endpoints["listeners"][0]["url"]
    for index in range(30):
        with urllib.request.urlopen(f"{url}/{index}") as response:
            response.read()
    with urllib.request.urlopen(f"{endpoints['api']}/_sim/v1/status") as response:
        nodes = json.load(response)["nodes"]
    pids = [node["pid"] for node in nodes]
    pids.append(parent_of(pids[0]))
    assert process.pid not in pids
    process.kill()
    process.wait(timeout=PATIENCE_S)
    process.stdout.close()
    # At once: it waits for nodes that still hold the directory.
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    endpoints = json.loads(process.stdout.readline())
    assert not any(is_alive(pid) for pid in pids)
    request = urllib.request.Request(
        f"{endpoints['api']}/_sim/v1/clock/advance", json.dumps({"by": "2m"}).encode()
    )
    with urllib.request.urlopen(request) as response:
        assert json.load(response)["records"] == 30
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_S) == 0
    process.stdout.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("clock", ["auto", "scaled"])
async def test_a_run_ends_in_seconds_with_every_record_in_time(tmp_path: Path, clock: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(
        SCENARIO.replace("delay: 90s", "delay: 2m..3m").replace(
            "mode: manual", "mode: scaled, rate: 120" if clock == "scaled" else "mode: auto"
        )
        + "traffic: [{to: 'shop:80', rate: 20/s, for: 5s, clients: {count: 20}}]\n"
    )
    async with running(path) as sim:
        await sim.run_to_the_end()
        await sim.refresh()
        status = sim.status()
    [flow_log] = status.flow_logs
    assert (flow_log.written, flow_log.delivered, flow_log.pending) == (100, 100, 0)
    assert flow_log.delay_min_s >= 120
    if clock == "auto":
        assert flow_log.delay_max_s <= 180
    assert all(node.requests for node in status.nodes)
