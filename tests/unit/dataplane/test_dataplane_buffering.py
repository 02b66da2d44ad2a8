"""How far a backend server is read ahead of a client that does not read."""

import pytest

from simulator.dataplane import client, client_base, client_request, client_response
from simulator.model import CustomConfiguration
from tests.unit.dataplane.test_dataplane_short_way import (  # noqa: F401  a fixture
    Bench,
    FakeTransport,
    tasks,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ROOM = {True: 36 << 10, False: 4 << 10}
"""With the default buffers, with and without buffering."""


class StuckTransport(FakeTransport):
    """Keeps what is written from the client until ``take``."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = False
        self.unsent = 0

    def write(self, data):
        self.written.append(data)
        if self.stuck:
            first = not self.unsent
            self.unsent += len(data)
            if first:
                self.protocol.pause_writing()

    def get_write_buffer_size(self):
        return self.unsent

    def take(self, size):
        self.unsent -= size
        if not self.unsent:
            self.protocol.resume_writing()


@pytest.fixture
def now(monkeypatch):
    """The monotonic timer, in a list of one."""
    at = [50.0]
    for module in (client, client_base, client_request, client_response):
        monkeypatch.setattr(module, "monotonic", lambda: at[0])
    return at


def stuck_bench(tasks, *, buffering=True) -> Bench:  # noqa: F811
    """After a request or two, so that heads are known; from now on the client does not read."""
    bench = Bench(tasks, custom=CustomConfiguration(buffering=buffering))
    bench.client_side = StuckTransport()
    bench.client_side.protocol = bench.client
    bench.client._transport = bench.client_side
    return bench


def is_pooled(bench) -> bool:
    return any(bench.backend in idle for idle in bench.pool._idle.values())


def answer(size: int, said: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (said, size, bytes(size))


@pytest.mark.parametrize("repeat", [1, 4])
@pytest.mark.parametrize("cut", [None, 30])
@pytest.mark.parametrize(
    ("buffering", "said", "effective"),
    [
        (True, b"", True),
        (True, b"X-Accel-Buffering: NO\r\n", False),
        (False, b"", False),
        (False, b"x-accel-buffering: yes\r\n", True),
        (False, b"X-Accel-Buffering: 1\r\n", False),
    ],
)
@pytest.mark.parametrize("fits", [True, False])
async def test_a_response_that_fits_the_buffers_frees_the_backend(
    tasks,  # noqa: F811
    now,
    repeat,
    cut,
    buffering,
    said,
    effective,
    fits,
):
    bench = stuck_bench(tasks, buffering=buffering)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 9999
    size = ROOM[effective] - len(head) - 10 if fits else ROOM[effective] + 1
    response = answer(size, said)
    for _ in range(repeat - 1):
        bench.client.data_received(GET)
        bench.backend.data_received(response)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    now[0] += 1
    for piece in (response[:cut], response[cut:]) if cut else (response,):
        bench.backend.data_received(piece)
    assert is_pooled(bench) is fits
    assert len(bench.records) == repeat - 1
    now[0] += 5
    bench.client_side.take(bench.client_side.unsent)
    assert is_pooled(bench)
    record = bench.records[-1]
    assert record.request_time_s == 6.0
    assert record.attempts[0].response_s == (1.0 if fits else 6.0)
    assert record.body_bytes_sent == size
    bench.close()


@pytest.mark.parametrize("buffering", [True, False])
async def test_reading_stops_at_the_buffers_and_goes_on(tasks, now, buffering):  # noqa: F811
    bench = stuck_bench(tasks, buffering=buffering)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    response = answer(100_000)
    at = 0
    while bench.backend_side.reading:
        bench.backend.data_received(response[at : at + 1000])
        at += 1000
    assert ROOM[buffering] < bench.client_side.unsent <= ROOM[buffering] + 5000  # a piece
    bench.client_side.take(bench.client_side.unsent)
    assert bench.backend_side.reading
    bench.close()


async def test_a_client_that_leaves_takes_the_waiting_connection_along(tasks, now):  # noqa: F811
    bench = stuck_bench(tasks)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    bench.backend.data_received(answer(100_000))
    now[0] += 2
    bench.client.connection_lost(None)
    assert bench.backend.closed
    [record] = bench.records
    assert (record.response_status, record.attempts[0].response_s) == (200, 2.0)
    assert record.body_bytes_sent < 100_000
    bench.pool.close()


async def test_a_client_is_given_up_only_when_it_reads_nothing(tasks, now):  # noqa: F811
    bench = stuck_bench(tasks)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    bench.backend.data_received(answer(30_000))
    for _ in range(5):
        now[0] += 61
        bench.client_side.take(1000)
        bench.client._on_timer()
        assert not bench.client_side.closed
    now[0] += 61
    bench.client._on_timer()
    assert bench.client_side.closed
    [record] = bench.records
    assert record.response_status == 200
    assert 0 < record.body_bytes_sent < 30_000


async def test_a_connection_that_its_server_closes_meanwhile_is_not_used_again(
    tasks,  # noqa: F811
    now,
):
    bench = stuck_bench(tasks)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    bench.backend.data_received(answer(100_000))
    bench.backend.eof_received()
    bench.client_side.take(bench.client_side.unsent)
    assert not is_pooled(bench)
    assert len(bench.records) == 1
    bench.close()


@pytest.mark.parametrize("buffering", [True, False])
async def test_without_buffering_the_head_does_not_wait_for_a_body(
    tasks,  # noqa: F811
    now,
    buffering,
):
    bench = Bench(tasks, custom=CustomConfiguration(buffering=buffering))
    head, _, body = answer(5).partition(b"\r\n\r\n")
    bench.client.data_received(GET)
    bench.backend.data_received(head + b"\r\n\r\n")
    assert len(bench.client_side.written) == (0 if buffering else 1)
    bench.backend.data_received(body)
    assert b"".join(bench.client_side.written) == answer(5)
    bench.close()


async def test_what_waits_for_more_does_not_move_the_deadline_of_a_client(tasks, now):  # noqa: F811
    bench = stuck_bench(tasks)
    bench.client_side.stuck = True
    bench.client.data_received(GET)
    response = answer(100_000)
    bench.backend.data_received(response[:9000])
    due_at = bench.client._due_at
    now[0] += 1
    bench.backend.data_received(response[9000:9100])
    assert bench.client._held
    assert bench.client._due_at == due_at == 50.0 + 60.0
    bench.close()
