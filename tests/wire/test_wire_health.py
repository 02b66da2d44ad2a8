"""Probes on real sockets, and servers that get traffic or not by what the probes find."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from simulator.clock import ClockMode, ManualClock, SimulatedClock
from simulator.dataplane.health import HealthChecks
from simulator.dataplane.prober import HealthProber
from simulator.dataplane.probes import Probe
from simulator.model import (
    BackendServer,
    BackendServerId,
    HealthCheck,
    HealthCheckMethod,
    HealthCheckType,
    Policy,
    PolicyId,
    Rule,
    RuleKey,
    ServerGroupId,
)
from simulator.routing.health import (
    CheckedPool,
    HealthBoard,
    HealthChange,
    ProbeResult,
    ProbeTarget,
)
from tests.wire.conftest import Sim

T = 1_772_323_200.0
NOWHERE = ("127.0.0.1", 1)
TCP = HealthCheck(type=HealthCheckType.TCP)
GET = HealthCheck(method=HealthCheckMethod.GET, uri="/up?x=1", host="shop.example.com")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


class Bench:
    """Scripted servers, and tasks for probes."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.tasks = asyncio.TaskGroup()
        self._stop = asyncio.Event()
        self._runner: asyncio.Task | None = None

    async def start(self) -> None:
        ready = asyncio.Event()
        self._runner = asyncio.create_task(self._run(ready))
        await ready.wait()

    async def _run(self, ready: asyncio.Event) -> None:
        async with self.tasks:
            ready.set()
            await self._stop.wait()

    async def aclose(self) -> None:
        await self.stack.aclose()
        self._stop.set()
        assert self._runner is not None
        await self._runner

    async def server(self, handler: Handler) -> tuple[str, int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.stack.callback(server.close)
        return server.sockets[0].getsockname()[:2]

    async def probe(self, address: tuple[str, int], check: HealthCheck) -> ProbeResult:
        found: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()
        target = ProbeTarget(scope="test", server=backend(address), check=check)
        self.stack.callback(Probe(target, tasks=self.tasks, done=found.set_result).abort)
        return await found

    def prober(self, clock: SimulatedClock, board: HealthBoard) -> HealthProber:
        prober = HealthProber(clock=clock, tasks=self.tasks, board=board)
        self.stack.callback(prober.aclose)
        return prober


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.start()
    yield bench
    await bench.aclose()


def backend(address: tuple[str, int], name: str = "i-0") -> BackendServer:
    return BackendServer(
        backend_server_id=BackendServerId(name),
        address="10.0.2.11:8080",
        connect_host=address[0],
        connect_port=address[1],
    )


class Pool:
    def __init__(self, *servers: BackendServer) -> None:
        self.servers = servers
        self.dead: set[str] = set()

    def mark_dead(self, server_id: str) -> None:
        self.dead.add(server_id)

    def mark_alive(self, server_id: str) -> None:
        self.dead.discard(server_id)


class Switch:
    """A server that is up or down as the test says, and counts."""

    def __init__(self) -> None:
        self.up = True
        self.seen: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.0 %d X\r\n\r\n" % (200 if self.up else 500))


def checked(pool: Pool, check: HealthCheck) -> CheckedPool:
    return CheckedPool(scope="listener 80", pool=pool, check=check)


def answering(response: bytes) -> Handler:
    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()

    return handler


# -- one probe ----------------------------------------------------------------------------


async def test_an_http_probe_asks_for_the_root_with_head_and_an_empty_host(bench: Bench):
    server = Switch()
    result = await bench.probe(await bench.server(server), HealthCheck())
    assert result == ProbeResult(ok=True, detail="status 200")
    assert server.seen == [b"HEAD / HTTP/1.0\r\nHost:\r\n\r\n"]


async def test_an_http_probe_asks_as_it_is_told(bench: Bench):
    server = Switch()
    await bench.probe(await bench.server(server), GET)
    assert server.seen == [b"GET /up?x=1 HTTP/1.0\r\nHost: shop.example.com\r\n\r\n"]


@pytest.mark.parametrize(
    ("line", "ok", "detail"),
    [
        (b"HTTP/1.1 204 No Content", True, "status 204"),
        (b"HTTP/1.0 302 Found", True, "status 302"),
        (b"HTTP/1.1 399", True, "status 399"),
        (b"HTTP/1.1 404 Not Found", False, "status 404"),
        (b"HTTP/1.1 503 Busy", False, "status 503"),
        (b"HTTP/1.1 100 Continue", False, "status 100"),
        (b"HTTP/1.1 2000 No", False, "not an HTTP response"),
        (b"ICY 200 OK", False, "not an HTTP response"),
        (b"x" * 5000, False, "not an HTTP response"),
    ],
)
@pytest.mark.parametrize("check", [HealthCheck(), GET], ids=["HEAD", "GET"])
async def test_the_class_of_the_status_decides(
    bench: Bench, check: HealthCheck, line: bytes, ok: bool, detail: str
):
    address = await bench.server(answering(line + b"\r\nServer: x\r\n\r\n"))
    assert await bench.probe(address, check) == ProbeResult(ok=ok, detail=detail)


async def test_any_class_of_statuses_can_be_normal(bench: Bench):
    address = await bench.server(answering(b"HTTP/1.1 404 Not Found\r\n\r\n"))
    check = HealthCheck(normal_status=frozenset({4}))
    assert (await bench.probe(address, check)).ok


async def test_a_status_line_in_pieces_is_put_together(bench: Bench):
    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\n\r\n":
            writer.write(bytes((byte,)))
            await writer.drain()

    assert (await bench.probe(await bench.server(handler), HealthCheck())).ok


async def test_the_server_can_finish_an_answer_that_is_long(bench: Bench):
    whole = asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000)
        await writer.drain()
        writer.write_eof()
        assert await reader.read() == b""
        whole.set()

    assert (await bench.probe(await bench.server(handler), GET)).ok
    await whole.wait()


async def test_a_server_that_keeps_the_connection_is_left_after_the_head(bench: Bench):
    left = asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        assert await reader.read() == b""
        left.set()

    assert (await bench.probe(await bench.server(handler), HealthCheck())).ok
    await left.wait()


async def hang_up(reader, writer):
    await reader.readuntil(b"\r\n\r\n")


async def hang_up_halfway(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 O")


async def never_answer(reader, writer):
    await reader.read()


@pytest.mark.parametrize(
    ("handler", "detail"),
    [
        (hang_up, "closed without an answer"),
        (hang_up_halfway, "not an HTTP response"),
        (never_answer, "no answer within 0.05s"),
    ],
)
async def test_no_answer_is_a_failure(bench: Bench, handler: Handler, detail: str):
    address = await bench.server(handler)
    check = HealthCheck(timeout_s=0.05 if handler is never_answer else 3.0)
    assert await bench.probe(address, check) == ProbeResult(ok=False, detail=detail)


@pytest.mark.parametrize("check", [HealthCheck(), TCP], ids=["HTTP", "TCP"])
async def test_a_server_that_is_not_there_is_a_failure(bench: Bench, check: HealthCheck):
    assert await bench.probe(NOWHERE, check) == ProbeResult(ok=False, detail="connection refused")


async def test_a_tcp_probe_connects_and_resets(bench: Bench):
    end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(reader, writer):
        try:
            end.set_result(f"read {await reader.read()!r}")
        except ConnectionResetError:
            end.set_result("reset")

    assert await bench.probe(await bench.server(handler), TCP) == ProbeResult(
        ok=True, detail="connected"
    )
    assert await end == "reset"


async def test_a_check_may_have_a_port_of_its_own(bench: Bench):
    _, port = await bench.server(Switch())
    check = HealthCheck(type=HealthCheckType.TCP, port=port)
    assert (await bench.probe(NOWHERE, check)).ok


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"?", ProbeResult(ok=True, detail="answered")),
        (b"", ProbeResult(ok=True, detail="answered")),
        (None, ProbeResult(ok=False, detail="no answer within 0.05s")),
    ],
)
async def test_a_udp_probe_takes_any_answer(
    bench: Bench, answer: bytes | None, expected: ProbeResult
):
    seen = []

    def answer_one() -> None:
        data, address = server.recvfrom(2048)
        seen.append(data)
        if answer is not None:
            server.sendto(answer, address)

    # A plain socket: the loop's own datagram transport sends nothing for an empty datagram.
    server = bench.stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    server.setblocking(False)
    server.bind(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    loop.add_reader(server, answer_one)
    bench.stack.callback(loop.remove_reader, server)
    check = HealthCheck(
        type=HealthCheckType.UDP, payload=b"\0ping", timeout_s=0.05 if answer is None else 3.0
    )
    assert await bench.probe(server.getsockname(), check) == expected
    assert seen == [b"\0ping"]


async def test_a_udp_probe_to_a_port_that_is_closed_fails_at_once(bench: Bench):
    check = HealthCheck(type=HealthCheckType.UDP, payload=b"ping")
    assert await bench.probe(NOWHERE, check) == ProbeResult(ok=False, detail="connection refused")


# -- the schedule -------------------------------------------------------------------------


async def watched(
    bench: Bench, server: Switch, check: HealthCheck | None = None
) -> tuple[ManualClock, Pool, HealthProber, list[tuple[float, str]]]:
    """A server under checks, alive, and the changes of its state from now on."""
    clock = ManualClock(T)
    clock.start()
    pool = Pool(backend(await bench.server(server)))
    changes: list[tuple[float, str]] = []

    def note(change: HealthChange) -> None:
        changes.append((change.after.changed_at - T, change.after.state.value))

    board = HealthBoard(note)
    board.apply([checked(pool, check or HealthCheck())], clock.time())
    assert pool.dead == {"i-0"}
    prober = bench.prober(clock, board)
    prober.apply()
    await prober.wait_first()
    assert pool.dead == set()
    assert changes == [(0.0, "Alive")]
    changes.clear()
    return clock, pool, prober, changes


async def test_a_server_that_fails_three_times_gets_no_traffic_until_it_answers_three_times(
    bench: Bench,
):
    server = Switch()
    clock, pool, prober, changes = await watched(bench, server)
    server.up = False
    await clock.advance(8.9)
    assert pool.dead == set()
    assert prober.probe_count == 3
    await clock.advance(0.1)
    assert pool.dead == {"i-0"}
    server.up = True
    await clock.advance(8)
    assert pool.dead == {"i-0"}
    await clock.advance(1)
    assert pool.dead == set()
    assert changes == [(9.0, "Dead"), (18.0, "Alive")]


async def test_an_advance_over_many_intervals_costs_a_server_that_is_as_it_was_one_probe(
    bench: Bench,
):
    server = Switch()
    clock, pool, prober, changes = await watched(bench, server)
    await clock.advance(3 * 3600)
    assert prober.probe_count == 2
    server.up = False
    await clock.advance(3 * 3600)
    assert pool.dead == {"i-0"}
    assert prober.probe_count == 5
    assert changes == [(3 * 3600 + 9.0, "Dead")]
    await clock.advance(3 * 3600)
    assert prober.probe_count == 6


async def test_probes_come_before_the_timers_of_the_instant_at_which_the_clock_stops(bench: Bench):
    server = Switch()
    clock, pool, _, _ = await watched(bench, server)
    server.up = False
    seen = []
    for when in (8, 9):
        clock.call_at(T + when, lambda: seen.append(set(pool.dead)))
    await clock.advance(60)
    assert seen == [set(), {"i-0"}]


async def test_thresholds_and_interval_are_the_checks_own(bench: Bench):
    server = Switch()
    check = HealthCheck(interval_s=1.0, unhealthy_threshold=2, healthy_threshold=5)
    clock, _, _, changes = await watched(bench, server, check)
    server.up = False
    await clock.advance(30)
    server.up = True
    await clock.advance(30)
    assert changes == [(2.0, "Dead"), (35.0, "Alive")]


async def test_a_server_whose_first_probe_fails_is_dead_at_once(bench: Bench):
    clock = ManualClock(T)
    clock.start()
    pool, board = Pool(backend(NOWHERE)), HealthBoard()
    board.apply([checked(pool, TCP)], clock.time())
    prober = bench.prober(clock, board)
    prober.apply()
    await prober.wait_first()
    [status] = board.statuses()
    assert (status.state.value, status.detail) == ("Dead", "connection refused")


async def test_a_server_that_never_answers_is_found_dead_and_holds_nobody_up_for_ever(
    bench: Bench,
):
    clock = ManualClock(T)
    clock.start()
    pool, board = Pool(backend(await bench.server(never_answer))), HealthBoard()
    board.apply([checked(pool, HealthCheck(timeout_s=0.02))], clock.time())
    prober = bench.prober(clock, board)
    prober.apply()
    await clock.advance(3600)
    assert [status.state.value for status in board.statuses()] == ["Dead"]
    assert prober.probe_count == 2


async def test_servers_that_come_are_probed_at_once_and_servers_that_go_no_more(bench: Bench):
    first, second = Switch(), Switch()
    one = backend(await bench.server(first), "i-0")
    two = backend(await bench.server(second), "i-1")
    clock = ManualClock(T)
    clock.start()
    board = HealthBoard()
    board.apply([checked(Pool(one), HealthCheck())], clock.time())
    prober = bench.prober(clock, board)
    prober.apply()
    await clock.advance(6)
    pool = Pool(one, two)
    board.apply([checked(pool, HealthCheck())], clock.time())
    assert pool.dead == {"i-1"}
    prober.apply()
    await prober.wait_first()
    assert pool.dead == set()
    counts = len(first.seen), len(second.seen)
    board.apply([checked(Pool(two), HealthCheck())], clock.time())
    prober.apply()
    await clock.advance(3)
    assert (len(first.seen), len(second.seen)) == (counts[0], counts[1] + 1)
    prober.aclose()
    prober.aclose()
    await clock.advance(60)
    assert len(second.seen) == counts[1] + 1


async def test_an_auto_clock_runs_to_its_end_under_checks_and_they_keep_up(bench: Bench):
    server = Switch()
    clock = SimulatedClock(ClockMode.AUTO, start_at=T)
    pool, board = Pool(backend(await bench.server(server))), HealthBoard()
    board.apply([checked(pool, HealthCheck())], clock.time())
    prober = bench.prober(clock, board)
    prober.apply()
    await prober.wait_first()
    clock.start()
    done = asyncio.Event()
    for hour in range(1, 24):
        clock.call_at(T + hour * 3600, lambda: None)
    clock.call_at(T + 86400, done.set)
    await done.wait()
    assert 20 <= prober.probe_count <= 30
    server.up = False
    dead = asyncio.Event()
    clock.call_at(clock.time() + 60, lambda: clock.call_at(clock.time() + 1, dead.set))
    await dead.wait()
    assert pool.dead == {"i-0"}
    clock.stop()


async def test_probes_under_way_are_dropped_at_the_end(bench: Bench):
    clock = ManualClock(T)
    clock.start()
    board = HealthBoard()
    board.apply([checked(Pool(backend(await bench.server(never_answer))), TCP)], clock.time())
    prober = bench.prober(clock, board)
    prober.apply()
    prober.aclose()
    await prober.wait_first()
    await clock.advance(10)
    assert [status.state.value for status in board.statuses()] == ["Unknown"]


# -- traffic ------------------------------------------------------------------------------

GET_ROOT = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Backend:
    """Answers requests with its name, and probes as the test says."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.up = True
        self.probes = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"HEAD "):
                self.probes += 1
                writer.write(b"HTTP/1.0 %d X\r\n\r\n" % (200 if self.up else 503))
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + self.name)


async def checks_of(sim: Sim) -> HealthChecks:
    sim.clock.start()
    checks = HealthChecks(clock=sim.clock, tasks=sim._tasks)
    sim._stack.callback(checks.aclose)
    checks.apply([sim.route])
    await checks.wait_first()
    return checks


async def served_by(sim: Sim, count: int) -> str:
    return "".join([(await sim.exchange(GET_ROOT))[-1:].decode() for _ in range(count)])


async def test_traffic_leaves_a_dead_server_and_comes_back_and_probes_leave_no_record(sim: Sim):
    a, b = Backend("a"), Backend("b")
    await sim.start([a, b], health_check=HealthCheck())
    await checks_of(sim)
    assert await served_by(sim, 4) == "abab"
    a.up = False
    await sim.clock.advance(60)
    assert await served_by(sim, 3) == "bbb"
    a.up = True
    await sim.clock.advance(60)
    assert sorted(await served_by(sim, 4)) == ["a", "a", "b", "b"]
    assert a.probes == 7
    records = await sim.fields(11)
    assert {record["request"] for record in records} == {"GET / HTTP/1.1"}


async def test_when_all_servers_are_dead_the_answer_is_502_and_the_record_names_the_group(
    sim: Sim,
):
    await sim.start([NOWHERE, NOWHERE], health_check=TCP)
    checks = await checks_of(sim)
    assert (await sim.exchange(GET_ROOT)).startswith(b"HTTP/1.1 502 ")
    [record] = await sim.fields()
    assert [record[key] for key in ("upstream_addr", "upstream_status")] == ["sg-11bd8054", "502"]
    assert [status.state.value for status in checks.statuses(sim.balancer.load_balancer_id)] == [
        "Dead",
        "Dead",
    ]


async def test_without_a_check_a_server_that_is_not_there_is_tried(sim: Sim):
    await sim.start([NOWHERE])
    checks = await checks_of(sim)
    assert (await sim.exchange(GET_ROOT)).startswith(b"HTTP/1.1 502 ")
    [record] = await sim.fields()
    assert record["upstream_addr"] == "10.0.2.11:8080"
    assert checks.statuses(sim.balancer.load_balancer_id) == ()


async def test_switching_checks_off_brings_dead_servers_back(sim: Sim):
    a = Backend("a")
    a.up = False
    await sim.start([a], health_check=HealthCheck())
    checks = await checks_of(sim)
    assert (await sim.exchange(GET_ROOT)).startswith(b"HTTP/1.1 502 ")
    await sim.change(health_check=None)
    checks.apply([sim.route])
    assert await served_by(sim, 1) == "a"
    await sim.clock.advance(60)
    assert a.probes == 1


async def test_a_server_that_joins_is_unused_until_its_first_probe(sim: Sim):
    a, b = Backend("a"), Backend("b")
    await sim.start([a, b], groups={"sg-web": [0]}, health_check=HealthCheck())
    policy = Policy(
        policy_id=PolicyId("policy-1"),
        priority=1,
        rules=(Rule(key=RuleKey.ALL, value="*"),),
        server_group_id=ServerGroupId("sg-web"),
    )
    await sim.change(policies=(policy,))
    checks = await checks_of(sim)
    assert await served_by(sim, 2) == "aa"
    await sim.change(groups={"sg-web": [0, 1]})
    checks.apply([sim.route])
    assert [status.state.value for status in checks.statuses(sim.balancer.load_balancer_id)] == [
        "Alive",
        "Unknown",
    ]
    assert sim.route.targets[0].dead == {"i-1"}
    await checks.wait_first()
    assert sorted(await served_by(sim, 4)) == ["a", "a", "b", "b"]
    assert a.probes == 1
