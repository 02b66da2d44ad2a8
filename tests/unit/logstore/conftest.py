"""An engine on a clock that stands still, and what the tests put into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo_store import NOW_MS, NOW_S, Store

from simulator.accesslog import AccessRecord, Attempt, RecordEncoder, ServedBy
from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(float(NOW_S))


@pytest.fixture
def store(clock: ManualClock) -> Iterator[Store]:
    with _opened(clock) as store:
        yield store


@pytest.fixture(scope="module")
def store_to_read() -> Iterator[Store]:
    """One for a whole module, whose tests find in it what one fixture has put there."""
    with _opened(ManualClock(float(NOW_S))) as store:
        yield store


@contextmanager
def _opened(clock: ManualClock) -> Iterator[Store]:
    engine = LogStoreEngine(None, clock, threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    yield Store(engine)
    engine.close()


@pytest.fixture(scope="session")
def make_segment() -> Callable[[Path, int], list[tuple[int, str]]]:
    """Writes a segment of access records and returns its times and lines."""

    def make(path: Path, count: int) -> list[tuple[int, str]]:
        encoder = RecordEncoder(
            ServedBy(
                load_balancer_id="lb-0d29a3f6",
                vip="192.168.0.10",
                vport=80,
                node_address="100.64.3.9",
            )
        )
        records: list[tuple[int, str]] = []
        for index in range(count):
            record = AccessRecord()
            record.logged_at = NOW_S + index / 1000
            record.response_status = (200, 404, 502)[index % 3]
            record.server_group_id = "sg-11bd8054"
            record.attempts = [_attempt(index)] * (2 if index % 100 == 99 else 1)
            record.remote_addr = record.client_ip = f"203.0.113.{index % 250}"
            record.host = b"shop.example.com"
            record.request = b"GET /item/%d?q=caf%%C3%%A9 HTTP/1.1" % index
            record.http_user_agent = 'quote " tab\t é \\'.encode()
            record.request_time_s = index / 1000
            records.append((NOW_MS + index, encoder.encode(record).decode()))
        path.write_text("".join(f"{at}\t{line}\n" for at, line in records))
        return records

    return make


def _attempt(index: int) -> Attempt:
    attempt = Attempt(f"10.0.2.{index % 5}:8080")
    attempt.status = 200
    attempt.connect_s = 0.001
    attempt.response_s = index / 1000
    return attempt
