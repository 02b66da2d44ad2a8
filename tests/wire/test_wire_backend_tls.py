"""Backend servers that speak HTTPS: every way a try at one can end, with all 28 fields."""

import asyncio
import ssl
from pathlib import Path

import pytest

from simulator.dataplane.certificates import Authority
from simulator.dataplane.health import HealthChecks
from simulator.model import CustomConfiguration, HealthCheck, HealthCheckType, ListenerTimeouts
from tests.wire.conftest import GONE, PATIENCE_S, SECURE_GROUP, Sim, read_head, until
from tests.wire.test_wire_rows import (
    GET,
    OK,
    POST,
    POSTED,
    A,
    B,
    Seconds,
    answering,
    check,
    client_of,
    own_answer,
    serving,
)

SECURE = {"vdum_ups_id": SECURE_GROUP, "vdum_rs_proto": "https"}
FAILED = {**SECURE, **own_answer(502), "upstream_status": "502"}
NEVER_STOOD = {**FAILED, "upstream_connect_time": "-"}
RETRIED = {
    **SECURE,
    "upstream_addr": f"{A}, {B}",
    "upstream_status": "502, 200",
    "upstream_connect_time": Seconds(None, 0.0),
    "upstream_response_time": Seconds(0.0, 0.0),
}
ASK = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

UNBUFFERED = CustomConfiguration(buffering=False)
"""What has come of a body is passed on at once."""


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A backend server's, with a certificate that nobody has reason to trust."""
    files = Authority(tmp_path / "certificates").issue(("backend.example.com",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


class Wire:
    """What lies between the load balancer and a backend server, and can be tampered with."""

    def __init__(self, server: tuple[str, int], *, delay_s: float = 0.0) -> None:
        self._server = server
        self._delay_s = delay_s
        self.writer: asyncio.StreamWriter | None = None
        """Towards the load balancer."""

    async def __call__(self, reader, writer) -> None:
        self.writer = writer
        await asyncio.sleep(self._delay_s)
        there, back = await asyncio.open_connection(*self._server)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_on(reader, back))
            await self._pass_on(there, writer)

    async def _pass_on(self, reader, writer) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


async def test_plain_200(sim: Sim, context: ssl.SSLContext):
    await sim.start([serving], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, SECURE)


async def test_a_pooled_connection_needs_no_handshake(sim: Sim, context: ssl.SSLContext):
    handshakes = []
    context.sni_callback = lambda *arguments: handshakes.append(arguments[1])
    await sim.start([serving], backend_tls=context)
    async with client_of(sim) as client:
        for request in (GET, POST + b"hello", GET):
            client.send(request)
            assert await client.read(len(OK)) == OK
        first, *rest = await sim.fields(3)
        assert first["upstream_connect_time"] > 0.0
        assert [record["upstream_connect_time"] for record in rest] == [0.0, 0.0]
        await check(sim, client.port, SECURE, {**SECURE, **POSTED}, SECURE)
    # One handshake, and it named no server.
    assert handshakes == [None]


async def test_the_handshake_is_part_of_connecting(sim: Sim, context: ssl.SSLContext):
    wire = Wire(await sim.backend(serving, tls=context), delay_s=0.05)
    await sim.start([await sim.backend(wire)], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        waited = dict.fromkeys(
            ("upstream_connect_time", "upstream_response_time", "request_time"), Seconds(0.048)
        )
        await check(sim, client.port, {**SECURE, **waited})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_second_connection_goes_on_with_the_session(
    sim: Sim, context: ssl.SSLContext, version: ssl.TLSVersion
):
    context.minimum_version = context.maximum_version = version
    reused = []

    async def once(reader, writer):
        reused.append(writer.get_extra_info("ssl_object").session_reused)
        await read_head(reader)
        writer.write(OK)

    await sim.start([once], backend_tls=context)
    async with client_of(sim) as client:
        for _ in range(2):
            client.send(GET)
            assert await client.read(len(OK)) == OK
    assert reused == [False, True]


async def test_server_refuses_and_the_next_one_answers(sim: Sim, context: ssl.SSLContext):
    await sim.start([GONE, serving], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, RETRIED)


async def speaks_http(reader, writer):
    await reader.read(1000)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def hangs_up(reader, writer):
    await reader.read(1000)


async def resets(reader, writer):
    await reader.read(1000)
    writer.transport.abort()


@pytest.mark.parametrize("backend", [speaks_http, hangs_up, resets, GONE])
async def test_a_handshake_that_fails_is_a_connection_that_never_stood(
    sim: Sim, context: ssl.SSLContext, backend
):
    address = backend if isinstance(backend, tuple) else await sim.backend(backend)
    await sim.start([address], backend_tls=context)
    async with client_of(sim) as client:
        client.send(POST + b"hello")
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, {**NEVER_STOOD, **POSTED})


async def test_a_server_that_refuses_the_handshake_is_left_for_the_next(
    sim: Sim, context: ssl.SSLContext
):
    picky = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    picky.maximum_version = ssl.TLSVersion.TLSv1_2
    picky.set_alpn_protocols(["h2"])
    # Has no certificate at all, so no cipher fits.
    refusing = await sim.backend(serving, tls=picky)
    await sim.start([refusing, serving], backend_tls=context)
    async with client_of(sim) as client:
        client.send(POST + b"hello")
        assert await client.read(len(OK)) == OK
        await check(sim, client.port, {**RETRIED, **POSTED})


async def test_a_handshake_that_stands_still_is_a_connect_timeout(
    sim: Sim, context: ssl.SSLContext
):
    closed = 0

    async def mute(reader, writer):
        nonlocal closed
        await reader.read()
        closed += 1

    mutes = [await sim.backend(mute) for _ in range(2)]
    await sim.start(mutes, backend_tls=context, timeouts=ListenerTimeouts(connect_s=0.05))
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 504 ")
        differs = {
            **SECURE,
            **own_answer(504),
            "upstream_addr": f"{A}, {B}",
            "upstream_status": "504, 504",
            "upstream_connect_time": "-, -",
            "upstream_response_time": Seconds(0.048, 0.048),
            "request_time": Seconds(0.096),
        }
        await check(sim, client.port, differs)
        await asyncio.wait_for(until(lambda: closed == 2), PATIENCE_S)


async def test_client_leaves_while_hands_are_shaken(sim: Sim, context: ssl.SSLContext):
    greeted, closed = asyncio.Event(), asyncio.Event()

    async def mute(reader, writer):
        await reader.read(1)
        greeted.set()
        await reader.read()
        closed.set()

    await sim.start([await sim.backend(mute)], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        await greeted.wait()
        client.close()
        differs = {"response_status": 499, "body_bytes_sent": 0, "upstream_status": "-"}
        await check(sim, client.port, {**SECURE, **differs, "upstream_connect_time": "-"})
        await asyncio.wait_for(closed.wait(), PATIENCE_S)


async def test_a_client_certificate_that_the_server_misses(
    sim: Sim, context: ssl.SSLContext, tmp_path: Path
):
    """With TLS 1.3 it says so only after the handshake: the connection stood, no retry."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "certificates" / "authority.pem")
    await sim.start([serving, serving], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, FAILED)


@pytest.mark.parametrize("goodbye", [True, False])
@pytest.mark.parametrize(
    ("head", "sent", "received"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hel", b"hel"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nhel\r\n5",
            b"3\r\nhel\r\n",
        ),
    ],
)
async def test_server_closes_mid_body(
    sim: Sim, context: ssl.SSLContext, goodbye: bool, head: bytes, sent: bytes, received: bytes
):
    go = asyncio.Event()

    async def handler(reader, writer):
        await read_head(reader)
        writer.write(head + sent)
        await go.wait()
        if not goodbye:
            writer.transport.abort()

    await sim.start([handler], backend_tls=context, custom=UNBUFFERED)
    async with client_of(sim) as client:
        client.send(GET)
        assert await client.read(len(head + received)) == head + received
        go.set()
        assert await client.read() == b""
        await check(sim, client.port, {**SECURE, "body_bytes_sent": len(received)})


@pytest.mark.parametrize("goodbye", [True, False])
async def test_a_body_that_ends_with_the_connection(
    sim: Sim, context: ssl.SSLContext, goodbye: bool
):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if not goodbye:
            await reader.read()

    wire = Wire(await sim.backend(handler, tls=context))
    await sim.start([await sim.backend(wire)], backend_tls=context, custom=UNBUFFERED)
    async with client_of(sim) as client:
        client.send(GET)
        head = await read_head(client.reader)
        assert b"Transfer-Encoding: chunked\r\n" in head
        assert await client.read(10) == b"5\r\nhello\r\n"
        if not goodbye:
            wire.writer.close()
        assert await client.read(5) == b"0\r\n\r\n"
        await check(sim, client.port, {**SECURE, "body_bytes_sent": 15})


async def test_bytes_that_cannot_be_decrypted_end_the_response(sim: Sim, context: ssl.SSLContext):
    """Also one that a closed connection would have ended well."""
    secure = await sim.backend(answering(b"HTTP/1.1 200 OK\r\n\r\nhel", stay=True), tls=context)
    wire = Wire(secure)
    await sim.start([await sim.backend(wire)], backend_tls=context, custom=UNBUFFERED)
    async with client_of(sim) as client:
        client.send(GET)
        await read_head(client.reader)
        assert await client.read(8) == b"3\r\nhel\r\n"
        wire.writer.write(b"this is no record of TLS")
        assert await client.read() == b""
        await check(sim, client.port, {**SECURE, "body_bytes_sent": 8})


async def test_pooled_connection_that_the_server_had_closed(sim: Sim, context: ssl.SSLContext):
    async def once(reader, writer):
        await read_head(reader)
        writer.write(OK)
        await read_head(reader)

    await sim.start([once], backend_tls=context)
    async with client_of(sim) as client:
        client.send(GET)
        await client.read(len(OK))
        client.send(GET)
        assert await client.read(len(OK)) == OK
        client.send(POST + b"hello")
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        retried = {
            **SECURE,
            "upstream_addr": f"{A}, {A}",
            "upstream_status": "502, 200",
            "upstream_connect_time": Seconds(0.0, 0.0),
            "upstream_response_time": Seconds(0.0, 0.0),
        }
        await check(sim, client.port, SECURE, retried, {**FAILED, **POSTED})


async def test_a_connection_that_the_server_closes_while_idle_is_not_used(
    sim: Sim, context: ssl.SSLContext
):
    closed = asyncio.Event()

    async def once(reader, writer):
        await read_head(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    await sim.start([once], backend_tls=context)
    async with client_of(sim) as client:
        for _ in range(2):
            client.send(GET)
            assert await client.read(len(OK)) == OK
            # The server waits for the goodbye that answers its own.
            await asyncio.wait_for(closed.wait(), PATIENCE_S)
            closed.clear()
        await check(sim, client.port, SECURE, SECURE)


async def test_read_timeout_before_the_head(sim: Sim, context: ssl.SSLContext):
    await sim.start(
        [answering(stay=True)], backend_tls=context, timeouts=ListenerTimeouts(server_s=0.05)
    )
    async with client_of(sim) as client:
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 504 ")
        waited = {"upstream_response_time": Seconds(0.048), "request_time": Seconds(0.048)}
        differs = {**SECURE, **own_answer(504), "upstream_status": "504", **waited}
        await check(sim, client.port, differs)


async def test_one_server_can_be_had_with_and_without_tls(sim: Sim, context: ssl.SSLContext):
    """A plain connection in the pool does not stand for an encrypted one to the same port."""

    async def either(reader, writer):
        if (await reader.read(1)) == b"\x16":
            writer.write(b"no TLS here")
            return
        await read_head(reader)
        writer.write(OK)
        await reader.read()

    address = await sim.backend(either)
    await sim.start([address], backend_tls=context)
    policies = sim.route.listener.policies
    async with client_of(sim) as client:
        await sim.change(policies=())
        client.send(GET)
        assert await client.read(len(OK)) == OK
        await sim.change(policies=policies)
        client.send(GET)
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 502 ")
        await check(sim, client.port, {}, NEVER_STOOD)


async def test_large_bodies_pass_both_ways(sim: Sim, context: ssl.SSLContext):
    size = 5_000_000

    async def handler(reader, writer):
        await read_head(reader)
        body = await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(body[::-1])
        await writer.drain()

    await sim.start([handler], backend_tls=context)
    body = bytes(range(250)) * (size // 250)
    async with client_of(sim) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
        await read_head(client.reader)
        assert await client.read(size) == body[::-1]
    [record] = await sim.fields()
    assert record["body_bytes_sent"] == size


async def test_a_client_that_does_not_read_stops_the_server(sim: Sim, context: ssl.SSLContext):
    size = 200_000_000
    written = 0

    async def handler(reader, writer):
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 1_000_000):
            writer.write(bytes(1_000_000))
            await writer.drain()
            written += 1_000_000

    await sim.start([handler], backend_tls=context, timeouts=ListenerTimeouts(client_send_s=0.1))
    async with client_of(sim) as client:
        client.send(GET)
        [record] = await sim.fields()
        assert record["body_bytes_sent"] <= written < size / 2


async def test_an_upgraded_connection_passes_bytes_both_ways(sim: Sim, context: ssl.SSLContext):
    async def handler(reader, writer):
        await read_head(reader)
        writer.write(SWITCH + b"hi")
        while data := await reader.read(65536):
            writer.write(data.upper())

    await sim.start([handler], backend_tls=context)
    async with client_of(sim) as client:
        client.send(ASK + b"early")
        assert (await read_head(client.reader)).startswith(b"HTTP/1.1 101 ")
        assert await client.read(7) == b"hiEARLY"
        client.send(b"more")
        assert await client.read(4) == b"MORE"
        client.close()
        differs = {
            **SECURE,
            "response_status": 101,
            "upstream_status": "101",
            "host": "a",
            "request": "GET /chat HTTP/1.1",
            "request_length": len(ASK),
            "body_bytes_sent": 11,
            "http_user_agent": "-",
        }
        await check(sim, client.port, differs)


# -- health checks ------------------------------------------------------------------------------


async def probed(sim: Sim, check: HealthCheck) -> list[tuple[str, str]]:
    """State and detail of each server after its first probe."""
    checks = HealthChecks(clock=sim.clock, tasks=sim._tasks)
    sim._stack.callback(checks.aclose)
    await sim.change(health_check=check)
    checks.apply([sim.route])
    await asyncio.wait_for(checks.wait_first(), PATIENCE_S)
    statuses = checks.statuses(sim.balancer.load_balancer_id)
    return [(status.state.value, status.detail) for status in statuses]


async def test_a_listeners_check_speaks_tls_to_servers_that_do(sim: Sim, context: ssl.SSLContext):
    seen = []

    async def healthy(reader, writer):
        seen.append(await read_head(reader))
        writer.write(b"HTTP/1.0 204 No Content\r\n\r\n")

    unspoken = [await sim.backend(one) for one in (speaks_http, hangs_up)]
    await sim.start([healthy, answering(b"HTTP/1.0 503 X\r\n\r\n"), *unspoken], backend_tls=context)
    assert await probed(sim, HealthCheck(uri="/up")) == [
        ("Alive", "status 204"),
        ("Dead", "status 503"),
        ("Dead", "TLS handshake failed: wrong version number"),
        ("Dead", "TLS handshake failed: closed by the server"),
    ]
    assert seen == [b"HEAD /up HTTP/1.0\r\nHost:\r\n\r\n"]


async def test_a_probe_gives_up_a_handshake_that_stands_still(sim: Sim, context: ssl.SSLContext):
    closed = asyncio.Event()

    async def mute(reader, writer):
        await reader.read()
        closed.set()

    await sim.start([await sim.backend(mute)], backend_tls=context)
    check = HealthCheck(timeout_s=0.05)
    assert await probed(sim, check) == [("Dead", "no answer within 0.05s")]
    await asyncio.wait_for(closed.wait(), PATIENCE_S)


async def test_a_tcp_check_of_servers_that_speak_tls_only_connects(
    sim: Sim, context: ssl.SSLContext
):
    await sim.start([await sim.backend(speaks_http), GONE], backend_tls=context)
    assert await probed(sim, HealthCheck(type=HealthCheckType.TCP)) == [
        ("Alive", "connected"),
        ("Dead", "connection refused"),
    ]
