"""Eight write and eight read while segments are delivered: nothing lost, doubled or skipped.

A marker is a place in the order of time. A record that comes later and is older than a reader's
marker is not found by going on from there, as in the service itself: who reads has to stay behind
the writers. So a reader here reads up to an instant that all writers have passed.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.clock import ManualClock
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    Selection,
    ViewStore,
)

NOW_S = 1_772_323_200
NOW_MS = NOW_S * 1000
WRITERS = READERS = 8
ROUNDS, BATCH = 6, 25
STEP_MS = 1000
"""Of record time between two rounds of a writer."""


class Progress:
    """Up to which instant everything has been written, over all who write."""

    def __init__(self, count: int) -> None:
        self._done = [0] * count
        self._changed = threading.Condition()

    def finish(self, writer: int) -> None:
        with self._changed:
            self._done[writer] += 1
            self._changed.notify_all()

    def wait_for(self, round_: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: min(self._done) > round_, timeout=90)


def name_of(writer: int, round_: int, number: int) -> str:
    return f"{writer}/{round_}/{number}"


def writing(
    engine: LogStoreEngine, progress: Progress, writer: int, name: str
) -> Callable[[], None]:
    def write() -> None:
        for round_ in range(ROUNDS):
            at_ms = NOW_MS + round_ * STEP_MS
            records = [
                NewRecord(
                    message=name_of(writer, round_, number),
                    timestamp_ms=at_ms + (writer * BATCH + number) % 500,
                )
                for number in range(BATCH)
            ]
            assert engine.push("default", name, records, stream=f"w{writer}") == BATCH
            progress.finish(writer)

    return write


def delivering(engine: LogStoreEngine, progress: Progress, spool: Path) -> Callable[[], None]:
    def deliver() -> None:
        for round_ in range(ROUNDS):
            path = spool / f"{round_}.log"
            at_ms = NOW_MS + round_ * STEP_MS
            path.write_text(
                "".join(
                    f"{at_ms + number % 500}\t"
                    + json.dumps({"n": name_of(WRITERS, round_, number)})
                    + "\n"
                    for number in range(BATCH)
                )
            )
            engine.deliveries.deliver_segments(
                project="default",
                log_store="demo",
                stream="delivered",
                paths=[path],
                cursor="c",
                position=round_ + 1,
            )
            progress.finish(WRITERS)

    return deliver


def read_all(
    engine: LogStoreEngine,
    within: Selection,
    limit: int,
    name: str = "demo",
    log_store_type: LogStoreType = LogStoreType.LOGSTORE,
) -> list[str]:
    """Every record of a range, page after page."""
    found: list[str] = []
    marker: str | None = None
    while True:
        page = engine.pull(
            "default",
            name,
            within,
            limit=limit,
            marker=marker,
            log_store_type=log_store_type,
        )
        found += [_name(record.message) for record in page.records]
        if not page.next_marker:
            return found
        marker = page.next_marker


Read = Callable[[Selection, int], list[str]]


def reading(read_pages: Read, progress: Progress, reader: int) -> Callable[[], list[str]]:
    def read() -> list[str]:
        found: list[str] = []
        for round_ in range(ROUNDS):
            progress.wait_for(round_)
            end_ms = NOW_MS + (round_ + 1) * STEP_MS
            if reader % 2:
                window = Selection(start_ms=end_ms - STEP_MS, end_ms=end_ms)
                found += read_pages(window, 37 + reader)
            else:
                before = found
                found = read_pages(Selection(start_ms=NOW_MS, end_ms=end_ms), 101 + reader)
                assert found[: len(before)] == before
        return found

    return read


def _name(message: str) -> str:
    return json.loads(message)["n"] if message.startswith("{") else message


EXPECTED = Counter(
    name_of(writer, round_, number)
    for writer in range(WRITERS + 1)
    for round_ in range(ROUNDS)
    for number in range(BATCH)
)


@pytest.mark.parametrize("names", [("demo",), ("demo", "second", "third")])
def test_no_record_is_lost_doubled_or_skipped(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Of a LogStore, or of a view over several that are written to side by side."""
    spool = tmp_path / "spool"
    spool.mkdir()
    engine = LogStoreEngine(tmp_path / "logs.db", ManualClock(float(NOW_S)), load_from=(spool,))
    for name in names:
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
    stores = [ViewStore(project="default", name=name) for name in names]
    engine.views.create("default", "view", stores)

    def read_pages(within: Selection, limit: int) -> list[str]:
        if len(names) == 1:
            return read_all(engine, within, limit)
        return read_all(engine, within, limit, "view", LogStoreType.LOGSTORE_VIEW)

    progress = Progress(WRITERS + 1)
    with ThreadPoolExecutor(WRITERS + READERS + 1) as threads:
        readers = [
            threads.submit(reading(read_pages, progress, reader)) for reader in range(READERS)
        ]
        writers = [
            threads.submit(writing(engine, progress, writer, names[writer % len(names)]))
            for writer in range(WRITERS)
        ]
        writers.append(threads.submit(delivering(engine, progress, spool)))
        for writer in writers:
            writer.result()
        found = [reader.result() for reader in readers]
    for records in found:
        assert Counter(records) == EXPECTED
    assert len({tuple(records) for records in found}) == 1
    streams = (stream for name in names for stream in engine.list_streams("default", name))
    assert {stream.name for stream in streams} == {
        "delivered",
        *(f"w{writer}" for writer in range(WRITERS)),
    }
    engine.close()


_VICTIM = f"""
import sys, threading
from pathlib import Path
from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, Selection

engine = LogStoreEngine(Path(sys.argv[1]), ManualClock({NOW_S}.0))
engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
said = threading.Lock()

def write(writer):
    for round_ in range(100_000):
        records = [
            NewRecord(message=f"{{writer}}/{{round_}}/{{number}}", timestamp_ms={NOW_MS} + round_)
            for number in range(10)
        ]
        engine.push("default", "demo", records)
        with said:
            print(writer, round_, flush=True)

def read():
    while True:
        engine.pull("default", "demo", Selection(start_ms=0, end_ms=2**53), limit=100)

for writer in range({WRITERS}):
    threading.Thread(target=write, args=(writer,), daemon=True).start()
for _ in range({READERS}):
    threading.Thread(target=read, daemon=True).start()
threading.Event().wait()
"""


def test_kill_9_among_writers_and_readers_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    acknowledged = [victim.stdout.readline().split() for _ in range(60)]
    victim.kill()
    rest, _, _torn = victim.stdout.read().rpartition("\n")
    acknowledged += [line.split() for line in rest.splitlines()]
    victim.wait(timeout=30)
    victim.stdout.close()
    engine = LogStoreEngine(path, ManualClock(float(NOW_S)))
    found = Counter(read_all(engine, Selection(start_ms=0, end_ms=2**53), limit=1000))
    engine.close()
    assert len(acknowledged) >= 60
    for writer, round_ in acknowledged:
        for number in range(10):
            assert found[f"{writer}/{round_}/{number}"] == 1
    # Batches are whole or not there at all.
    batches = Counter(name.rpartition("/")[0] for name in found.elements())
    assert set(batches.values()) == {10}
