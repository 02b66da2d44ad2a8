"""Built-in backend servers over real sockets."""

import asyncio
import json
from contextlib import suppress

import pytest

from simulator.errors import BackendError
from simulator.rng import Rng
from simulator.workload import BackendProfile, BuiltinBackends, SizeRange, StatusSequence

GET = b"GET /item/1?q=%22 HTTP/1.1\r\nHost: a\r\n\r\n"
SIZED = b"POST /cart HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /cart HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
)
HEAD = b"HEAD /item/1?q=%22 HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD = b"GET /old HTTP/1.0\r\n\r\n"
EXPECTING = b"POST /cart HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


async def exchange(profile: BackendProfile, *pieces: bytes) -> bytes:
    """What the first server answers to ``pieces`` until it closes the connection."""
    backends = BuiltinBackends(profile, Rng(7))
    (host, port), *_ = await backends.start()
    try:
        reader, writer = await asyncio.open_connection(host, port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer
    finally:
        await backends.aclose()


def split(answer: bytes) -> list[tuple[bytes, bytes]]:
    """Head and body of each sized response in ``answer``."""
    responses = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        responses.append((head, rest[:length]))
        answer = rest[length:]
    return responses


async def test_a_server_echoes_method_and_path_as_json() -> None:
    ((head, body),) = split(await exchange(BackendProfile(name="web"), LAST))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: application/json" in head
    assert b"Connection: close" in head
    assert json.loads(body) == {"backend": "web", "server": 0, "method": "GET", "path": "/last"}


async def test_requests_of_every_framing_are_answered_in_order_on_one_connection() -> None:
    answer = await exchange(BackendProfile(name="web"), GET + SIZED + CHUNKED + GET + LAST)
    paths = [json.loads(body)["path"] for _, body in split(answer)]
    assert paths == ["/item/1?q=%22", "/cart", "/cart", "/item/1?q=%22", "/last"]


async def test_a_request_cut_anywhere_is_still_one_request() -> None:
    data = CHUNKED + LAST
    pieces = [data[index : index + 7] for index in range(0, len(data), 7)]
    assert len(split(await exchange(BackendProfile(name="web"), *pieces))) == 2


async def test_latency_keeps_pipelined_requests_in_order() -> None:
    profile = BackendProfile(name="web", latency_p50_s=0.001, latency_p99_s=0.004)
    answer = await exchange(profile, GET * 20 + LAST)
    assert len(split(answer)) == 21
    assert json.loads(split(answer)[-1][1])["path"] == "/last"


async def test_thousands_of_pipelined_requests_do_not_nest() -> None:
    assert len(split(await exchange(BackendProfile(name="web"), GET * 3000 + LAST))) == 3001


async def test_head_announces_the_length_of_get_and_sends_no_body() -> None:
    answer = await exchange(BackendProfile(name="web"), HEAD + LAST)
    head, _, rest = answer.partition(b"\r\n\r\n")
    ((get_head, _), _) = split(await exchange(BackendProfile(name="web"), GET + LAST))
    assert head == get_head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_http_1_0_closes_unless_it_asks_not_to() -> None:
    assert len(split(await exchange(BackendProfile(name="web"), OLD))) == 1
    kept = OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    assert len(split(await exchange(BackendProfile(name="web"), kept + LAST))) == 2


async def test_expect_100_continue_is_answered_before_the_body_comes() -> None:
    backends = BuiltinBackends(BackendProfile(name="web"), Rng(7))
    ((host, port),) = await backends.start()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(EXPECTING)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    writer.close()
    await backends.aclose()


@pytest.mark.parametrize("garbage", [b"hello\r\n\r\n", b"\x16\x03\x01" + b"x" * 70000])
async def test_garbage_is_refused_and_the_connection_closed(garbage: bytes) -> None:
    answer = await exchange(BackendProfile(name="web"), garbage)
    assert answer.startswith((b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 431 "))


async def test_bodies_have_the_sizes_of_the_profile() -> None:
    profile = BackendProfile(name="web", body_bytes=SizeRange(low=200, high=300))
    sizes = [len(body) for _, body in split(await exchange(profile, GET * 50 + LAST))]
    assert all(200 <= size <= 300 for size in sizes)
    assert len(set(sizes)) > 20
    same = [len(body) for _, body in split(await exchange(profile, GET * 50 + LAST))]
    assert same == sizes


async def test_errors_come_up_exactly_as_often_as_their_share() -> None:
    profile = BackendProfile(name="web", errors=((500, 0.05), (503, 0.10)))
    heads = [head for head, _ in split(await exchange(profile, GET * 199 + LAST))]
    assert sum(head.startswith(b"HTTP/1.1 500 ") for head in heads) == 10
    assert sum(head.startswith(b"HTTP/1.1 503 ") for head in heads) == 20


@pytest.mark.parametrize("seed", range(20))
def test_the_share_of_errors_is_kept_over_any_stretch(seed: int) -> None:
    sequence = StatusSequence(BackendProfile(name="web", errors=((500, 0.005),)), Rng(seed))
    for _ in range(5):
        assert sum(sequence.next_status() == 500 for _ in range(200)) == 1


def test_a_share_of_all_is_all() -> None:
    errors = ((500, 0.5), (502, 0.5))
    sequence = StatusSequence(BackendProfile(name="web", errors=errors), Rng(1))
    statuses = [sequence.next_status() for _ in range(100)]
    assert statuses.count(500) == statuses.count(502) == 50


async def test_each_server_has_its_own_port_and_counts_what_it_served() -> None:
    backends = BuiltinBackends(BackendProfile(name="web", count=3), Rng(7))
    addresses = await backends.start()
    assert len(set(addresses)) == 3
    reader, writer = await asyncio.open_connection(*addresses[1])
    writer.write(LAST)
    assert json.loads(split(await reader.read())[0][1])["server"] == 1
    writer.close()
    assert backends.served == (0, 1, 0)
    await backends.aclose()
    await backends.aclose()
    with pytest.raises(OSError, match=r".*"):
        await asyncio.open_connection(*addresses[0])


async def test_a_response_that_waits_when_the_server_closes_is_never_sent() -> None:
    profile = BackendProfile(name="web", latency_p50_s=3600.0, latency_p99_s=3600.0)
    backends = BuiltinBackends(profile, Rng(7))
    ((host, port),) = await backends.start()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(GET)
    while backends.served != (1,):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    await backends.aclose()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


async def test_an_address_that_cannot_be_bound_is_a_backend_error() -> None:
    backends = BuiltinBackends(BackendProfile(name="web"), Rng(7))
    with pytest.raises(BackendError):
        await backends.start("192.0.2.1")


async def test_more_pipelined_requests_than_fit_the_buffer_are_all_answered() -> None:
    profile = BackendProfile(name="web", latency_p50_s=1e-6, latency_p99_s=1e-6)
    answer = await exchange(profile, *[GET * 1000] * 8, LAST)
    assert len(split(answer)) == 8001


async def test_garbage_after_a_body_in_chunks_is_refused() -> None:
    answer = await exchange(
        BackendProfile(name="web"), CHUNKED.replace(b"3\r\nabc", b"zz\r\nabc") + LAST
    )
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
