"""The traffic sender against a scripted listener over real sockets."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from simulator.clock import ClockMode, ManualClock, SimulatedClock
from simulator.rng import Rng
from simulator.workload import (
    RequestTemplate,
    SizeRange,
    TrafficProfile,
    TrafficSender,
    TrafficTls,
    parse_path,
    plan,
    simulated_client,
)
from simulator.workload.framing import BodyDiscard, Framing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nwhatever"
NO_BODY = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"
GARBAGE = b"SSH-2.0-x\r\n\r\n"

GETS = TrafficProfile(
    name="shop:80",
    load_balancer="shop",
    port=80,
    rate_per_s=10.0,
    duration_s=2.0,
    client_count=5,
    requests=(RequestTemplate(method="GET", path=parse_path("/item/{int:1-500}")),),
)
POSTS = replace(
    GETS,
    requests=(
        RequestTemplate(
            method="POST", path=parse_path("/cart"), body_bytes=SizeRange(low=0, high=300_000)
        ),
    ),
)


class Listener:
    """Answers every request with the next of ``responses`` (the last one for ever)."""

    def __init__(self, *responses: bytes, hold: bool = False) -> None:
        self.responses = list(responses)
        self.prefaces: list[bytes] = []
        self.requests: list[tuple[bytes, bytes]] = []
        """PROXY line and head of each, in order of arrival."""
        self.body_bytes = 0
        self.open_count = 0
        self.allowed = asyncio.Event()
        if not hold:
            self.allowed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_count += 1
        try:
            await self.handle(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.open_count -= 1

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        preface = await reader.readline()
        self.prefaces.append(preface)
        while head := await reader.readuntil(b"\r\n\r\n"):
            body = BodyDiscard(Framing(head[:-4]), until_close=False)
            while not body.done:
                self.body_bytes += body.feed(await reader.read(65536))
            self.requests.append((preface, head))
            await self.allowed.wait()
            response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
            writer.write(response)
            if response in {CLOSING, UNTIL_CLOSE, CUT}:
                return


@asynccontextmanager
async def sending(
    profile: TrafficProfile, listener: Listener, clock: SimulatedClock, **options: object
) -> AsyncIterator[TrafficSender]:
    """A started sender towards ``listener`` on a started clock."""
    async with asyncio.TaskGroup() as tasks:
        server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        sender = TrafficSender(
            profile,
            host=host,
            port=port,
            vip="192.168.0.10",
            clock=clock,
            rng=Rng(7),
            spawn=lambda coroutine, name: tasks.create_task(coroutine, name=name),
            **options,  # type: ignore[arg-type]
        )
        clock.start()
        sender.start()
        try:
            yield sender
        finally:
            await sender.aclose()
            await sender.aclose()
            clock.stop()
            server.close()
            listener.allowed.set()
            await until(lambda: listener.open_count == 0)


async def until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110 - facts have no event
        await asyncio.sleep(0)


async def run(profile: TrafficProfile, *responses: bytes) -> tuple[TrafficSender, Listener]:
    listener = Listener(*responses)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    async with sending(profile, listener, clock) as sender:
        await sender.wait_done()
    return sender, listener


async def test_everything_planned_arrives_with_its_client_in_front() -> None:
    sender, listener = await run(GETS, OK)
    planned = [request.path for request in plan(GETS, Rng(7))]
    arrived = [head.split(b" ")[1].decode() for _, head in listener.requests]
    assert sorted(arrived) == sorted(planned)
    assert sender.counters.sent == sender.counters.completed == 20
    assert sender.counters.by_status == {200: 20}
    assert sender.counters.bytes_received == 40
    who = [simulated_client(GETS, Rng(7), index) for index in range(5)]
    assert set(listener.prefaces) == {
        f"PROXY TCP4 {client.address} 192.168.0.10 {client.port(0)} 80\r\n".encode()
        for client in who
    }


async def test_requests_look_like_those_of_browsers() -> None:
    _, listener = await run(GETS, OK)
    heads = [head for _, head in listener.requests]
    assert all(b"\r\nHost: shop.example.com\r\n" in head for head in heads)
    assert all(b"\r\nAccept: */*\r\n" in head for head in heads)
    assert all(re.search(rb"\r\nUser-Agent: \S", head) for head in heads)
    assert 0 < sum(b"\r\nReferer: http://shop.example.com/\r\n" in head for head in heads) < 20


async def test_headers_of_a_template_replace_the_senders_own() -> None:
    template = replace(GETS.requests[0], headers=(("host", "b.test"), ("X-Trace", "1")))
    _, listener = await run(replace(GETS, requests=(template,)), OK)
    assert all(b"\r\nhost: b.test\r\nX-Trace: 1\r\n" in head for _, head in listener.requests)
    assert not any(b"Host: shop" in head for _, head in listener.requests)


async def test_bodies_have_the_planned_sizes() -> None:
    sender, listener = await run(POSTS, OK)
    planned = sum(request.body_bytes or 0 for request in plan(POSTS, Rng(7)))
    assert listener.body_bytes == planned
    assert planned < sender.counters.bytes_sent < planned + 20 * 400


@pytest.mark.parametrize(
    ("response", "status", "connections"),
    [
        (OK, 200, 5),
        (CHUNKED, 200, 5),
        (INTERIM, 200, 5),
        (NOT_FOUND, 404, 5),
        (NO_BODY, 304, 5),
        (CLOSING, 200, 20),
        (UNTIL_CLOSE, 200, 20),
    ],
)
async def test_responses_of_every_framing_end_where_they_end(
    response: bytes, status: int, connections: int
) -> None:
    sender, listener = await run(GETS, response)
    assert sender.counters.by_status == {status: 20}
    assert sender.counters.failed == 0
    assert sender.counters.connections == connections
    assert len(set(listener.prefaces)) == connections


async def test_a_head_response_has_no_body() -> None:
    heads = replace(GETS, requests=(replace(GETS.requests[0], method="HEAD"),))
    sender, _ = await run(heads, b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n")
    assert sender.counters.by_status == {200: 20}
    assert sender.counters.connections == 5


@pytest.mark.parametrize("response", [CUT, GARBAGE])
async def test_a_response_that_breaks_off_has_failed_and_the_next_one_has_not(
    response: bytes,
) -> None:
    sender, _ = await run(GETS, response, OK)
    assert sender.counters.failed == 1
    assert sender.counters.completed == 19
    assert sender.counters.connections == 6


async def test_a_listener_that_is_not_there_makes_every_request_fail() -> None:
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    async with asyncio.TaskGroup() as tasks:
        server = await asyncio.start_server(Listener(OK).serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        sender = TrafficSender(
            GETS,
            host=host,
            port=port,
            vip="192.168.0.10",
            clock=clock,
            rng=Rng(7),
            spawn=lambda coroutine, name: tasks.create_task(coroutine, name=name),
        )
        clock.start()
        sender.start()
        await sender.wait_done()
        clock.stop()
    assert sender.counters.failed == sender.counters.sent == 20


async def test_requests_go_out_at_their_instants_on_the_clock() -> None:
    profile = replace(GETS, start_s=5.0)
    instants = [request.at_s for request in plan(profile, Rng(7))]
    listener = Listener(OK)
    clock = ManualClock(1000.0)
    async with sending(profile, listener, clock) as sender:
        await clock.advance(5.0 + instants[0] - 0.001)
        assert sender.counters.sent == 0
        await clock.advance(0.001)
        assert sender.counters.completed == 1
        await clock.advance_to(1005.0 + instants[9])
        assert sender.counters.completed == len(listener.requests) == 10
        await clock.advance(60.0)
        await sender.wait_done()
        assert sender.counters.completed == 20


async def test_a_request_in_flight_holds_a_jumping_clock() -> None:
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    jumped: list[float] = []
    async with sending(replace(GETS, rate_per_s=0.5), listener, clock) as sender:
        clock.call_at(5000.0, lambda: jumped.append(clock.time()))
        await until(lambda: bool(listener.requests))
        for _ in range(50):
            await asyncio.sleep(0)
        assert jumped == []
        listener.allowed.set()
        await sender.wait_done()
        await until(lambda: bool(jumped))
    assert sender.counters.completed == 1


async def test_a_busy_client_leaves_its_request_to_a_free_one() -> None:
    burst = replace(GETS, name="burst", rate_per_s=3e6, duration_s=1e-6, client_count=3)
    planned = [request.client for request in plan(burst, Rng(7))]
    assert len(set(planned)) < len(planned) == 3
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.REAL, start_at=1000.0)
    async with sending(burst, listener, clock) as sender:
        await until(lambda: len(listener.requests) == 3)
        assert len(set(listener.prefaces)) == 3
        listener.allowed.set()
        await sender.wait_done()
        assert sender.counters.completed == 3


async def test_what_no_client_can_send_waits_in_a_queue_and_overflows_when_it_is_full() -> None:
    # Twenty requests within a microsecond, two clients, five places in the queue.
    burst = replace(GETS, rate_per_s=2e7, duration_s=1e-6, client_count=2)
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.REAL, start_at=1000.0)
    async with sending(burst, listener, clock, queue_limit=5) as sender:
        await until(lambda: sender.counters.overflowed == 13)
        assert sender.counters.sent == 2
        listener.allowed.set()
        await sender.wait_done()
        assert sender.counters.completed == sender.counters.sent == 7
        assert sender.counters.connections == 2


async def test_a_response_that_never_comes_has_failed_when_patience_ends() -> None:
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    async with sending(replace(GETS, rate_per_s=0.5), listener, clock, patience_s=0.02) as sender:
        await sender.wait_done()
        assert sender.counters.failed == 1
        listener.allowed.set()


class NoTls(Listener):
    """Reads the PROXY line and the beginning of a handshake, then says ``answer`` or nothing."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.prefaces.append((await reader.readline()).decode())
        await reader.read(1)
        writer.write(self.responses[0])
        await reader.read()


SECURE = replace(GETS, rate_per_s=0.5, tls=TrafficTls())


@pytest.mark.parametrize("answer", [b"", OK])
async def test_a_listener_that_shakes_no_hands_makes_every_request_fail(answer: bytes) -> None:
    listener = NoTls(answer)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    tls = ssl.create_default_context()
    async with sending(SECURE, listener, clock, patience_s=0.02, tls=tls) as sender:
        await sender.wait_done()
        assert (sender.counters.sent, sender.counters.failed) == (1, 1)
        await until(lambda: listener.open_count == 0)
    [preface] = listener.prefaces
    assert preface.startswith("PROXY TCP4 ")


async def test_closing_ends_a_handshake_that_stands_still() -> None:
    listener = NoTls(b"")
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    async with sending(SECURE, listener, clock, tls=ssl.create_default_context()) as sender:
        await until(lambda: bool(listener.prefaces))
        await sender.aclose()
        await sender.wait_done()
        assert sender.counters.failed == 1
        await until(lambda: listener.open_count == 0)


@pytest.mark.parametrize(("keep", "low", "high"), [(0.0, 20, 20), (0.5, 8, 17), (1.0, 1, 5)])
async def test_clients_keep_their_connections_as_often_as_is_said(
    keep: float, low: int, high: int
) -> None:
    sender, _ = await run(replace(GETS, keep_share=keep), OK)
    assert sender.counters.completed == 20
    assert low <= sender.counters.connections <= high
    again, _ = await run(replace(GETS, keep_share=keep), OK)
    assert again.counters.connections == sender.counters.connections


async def test_closing_drops_what_is_in_flight_and_releases_the_clock() -> None:
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    jumped: list[float] = []
    async with sending(replace(GETS, rate_per_s=0.5), listener, clock) as sender:
        clock.call_at(5000.0, lambda: jumped.append(clock.time()))
        await until(lambda: bool(listener.requests))
        await sender.aclose()
        await sender.wait_done()
        assert sender.counters.failed == 1
        await until(lambda: bool(jumped))
        listener.allowed.set()


async def test_a_large_body_waits_for_a_listener_that_reads_slowly() -> None:
    size = 30_000_000
    template = replace(POSTS.requests[0], body_bytes=SizeRange(low=size, high=size))
    profile = replace(POSTS, rate_per_s=0.5, requests=(template,))
    listener = Listener(OK)
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    async with sending(profile, listener, clock) as sender:
        await sender.wait_done()
    assert listener.body_bytes == size
    assert sender.counters.by_status == {200: 1}


async def test_an_answer_before_the_whole_body_ends_the_request_and_the_connection() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    size = 30_000_000
    template = replace(POSTS.requests[0], body_bytes=SizeRange(low=size, high=size))
    listener = Listener(OK)
    listener.handle = refuse  # type: ignore[method-assign]
    clock = SimulatedClock(ClockMode.AUTO, start_at=1000.0)
    profile = replace(POSTS, rate_per_s=1.0, client_count=1, requests=(template,))
    async with sending(profile, listener, clock) as sender:
        await sender.wait_done()
    assert sender.counters.by_status == {413: 2}
    assert sender.counters.connections == 2


async def test_bytes_that_nobody_asked_for_end_the_connection_not_the_traffic() -> None:
    sender, _ = await run(GETS, OK + OK)
    assert sender.counters.by_status == {200: 20}
    assert sender.counters.failed == 0
    assert sender.counters.connections == 20


async def test_closing_empties_the_queue() -> None:
    burst = replace(GETS, rate_per_s=1e7, duration_s=1e-6, client_count=1)
    listener = Listener(OK, hold=True)
    clock = SimulatedClock(ClockMode.REAL, start_at=1000.0)
    async with sending(burst, listener, clock) as sender:
        await until(lambda: bool(listener.requests))
        await sender.aclose()
        await sender.wait_done()
        assert (sender.counters.failed, sender.counters.overflowed) == (1, 9)
        listener.allowed.set()


async def test_a_request_that_is_due_can_be_sent_several_times() -> None:
    listener = Listener(OK)
    clock = SimulatedClock(ClockMode.AUTO)
    half = clock.time() + 1.0
    async with sending(GETS, listener, clock, repeats=lambda at: 3 if at < half else 1) as sender:
        await sender.wait_done()
    planned = [request.at_s for request in plan(GETS, Rng(7))]
    expected = sum(3 if at_s < 1.0 else 1 for at_s in planned)
    assert len(planned) < expected == sender.counters.sent == sender.counters.completed
