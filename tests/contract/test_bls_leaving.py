"""Clients that go while they wait, and too many queries at once."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import duckdb
import pytest
from bls_served import FROM, TO, unsigned_api

from simulator.api.bls import service, workers
from simulator.logstore import LogStoreEngine
from simulator.logstore.admission import PLACES
from simulator.logstore.database import Database
from simulator.logstore.watchdog import QueryHandle

RANGE = f"startDateTime={FROM}&endDateTime={TO}"
FOR_EVER = "SELECT count(*) FROM range(100000000) a(i), range(100000000) b(j) WHERE (i * j) % 7 = 3"
PATIENCE_S = 30.0
DOWNLOAD = f'{{"logStoreName":"demo","queryStartTime":"{FROM}","queryEndTime":"{TO}"}}'
STATEMENT = '{"logStores":[{"project":"default","logStoreName":"demo"}],"query":"match *"}'
QUERY = f"GET /v1/logstore/demo/logrecord?query=match%20*&{RANGE}"

CALLS = {
    "PullLogRecord": (f"GET /v1/logstore/demo/logrecord?{RANGE}", ""),
    "PullLogRecordV3": (f"GET /v3/logstore/demo/logrecord/pull?{RANGE}", ""),
    "QueryLogRecord": (QUERY, ""),
    "QueryLogRecord of SQL": (QUERY.replace("match%20*", "select%20count(*)"), ""),
    "QueryLogHistogram": (f"GET /v2/logstore/demo/loghistogram?query=match%20*&{RANGE}", ""),
    "CreateDownloadTask": ("POST /v2/logstore/download", DOWNLOAD),
    "ValidateAlarmPolicySQL": ("POST /v1/logstore/validate", STATEMENT),
    "AsyncSearch": ("POST /demo/_async_search", "{}"),
    "TermsEnum": ("POST /demo/_terms_enum", '{"field":"a"}'),
    "FieldCaps": ("POST /demo/_field_caps", '{"fields":["*"],"index_filter":{"match_all":{}}}'),
}


class Place:
    """An API whose every statement takes longer than anybody lives."""

    def __init__(self, port: int, engine: LogStoreEngine) -> None:
        self.port = port
        self.engine = engine
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.writers: list[asyncio.StreamWriter] = []
        """Kept: one that is forgotten is closed."""

    async def send(self, line: str, body: str = "") -> asyncio.StreamWriter:
        _, writer = await self.open(line, body)
        return writer

    async def open(
        self, line: str, body: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        head = f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        return reader, writer

    @staticmethod
    async def wait(semaphore: threading.Semaphore) -> None:
        assert await asyncio.to_thread(semaphore.acquire, timeout=PATIENCE_S)


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with unsigned_api() as (port, engine):
        place = Place(port, engine)
        reading = Database._reading

        @contextmanager
        def stuck(
            self: Database, deadline: float, handle: QueryHandle | None
        ) -> Iterator[duckdb.DuckDBPyConnection]:
            with reading(self, deadline, handle) as cursor:
                place.begun.release()
                try:
                    cursor.execute(FOR_EVER)
                finally:
                    place.ended.release()
                yield cursor

        monkeypatch.setattr(Database, "_reading", stuck)
        monkeypatch.setattr(service, "CLIENT_CHECK_S", 0.01)
        yield place
        for writer in place.writers:
            writer.close()


@pytest.mark.parametrize("name", CALLS)
async def test_statement_ends_once_its_client_has_gone(place: Place, name: str) -> None:
    writer = await place.send(*CALLS[name])
    await place.wait(place.begun)
    writer.close()
    await place.wait(place.ended)


async def test_client_that_goes_while_its_query_waits_leaves_the_queue(place: Place) -> None:
    for _ in range(PLACES):
        await place.send(QUERY)
        await place.wait(place.begun)
    writer = await place.send(QUERY)
    admission = place.engine._database._admission
    assert await asyncio.to_thread(admission.wait_for_queue, 1, PATIENCE_S)
    writer.close()
    assert await asyncio.to_thread(admission.wait_for_queue, 0, PATIENCE_S)


async def test_too_many_queries_are_refused_while_pushes_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MAX_QUERIES", 2)
    writers = [await place.send(QUERY) for _ in range(2)]
    for _ in writers:
        await place.wait(place.begun)
    reader, _ = await place.open(QUERY)
    assert b" 429 " in await reader.readline()
    assert b'"code":"RequestLimited"' in await reader.readuntil(b"}")
    push = "POST /v1/logstore/demo/logrecord", '{"logRecords":[{"message":"hello"}]}'
    reader, _ = await place.open(*push)
    assert b" 200 " in await reader.readline()
    writers[0].close()
    await place.wait(place.ended)
    for _ in range(100):  # it is counted as at work until its handler has ended too
        await place.send(QUERY)
        if await asyncio.to_thread(place.begun.acquire, timeout=0.1):
            break
    else:
        pytest.fail("no query is taken any more")
