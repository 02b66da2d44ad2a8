"""Eight clients push and eight pull over the API while flow logs deliver, and a ``kill -9``.

Every pass of a reader goes over a range of time that writers are still writing into: it has to find
all that was acknowledged before it began, and nothing twice.
"""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from baidubce.exception import BceHttpClientError, BceServerError
from baidubce.services.bls.bls_client import BlsClient
from processes import SimulatorProcess

SCENARIO = """\
version: 1
seed: 7
clock: {mode: scaled, rate: 30, start: "2026-03-01T08:00:00+08:00"}
backends: {web: {count: 2}}
load_balancers:
  - {name: shop, listeners: [{protocol: HTTP, port: 80, to: web}]}
log_stores: [{name: access}]
flow_logs:
  - {name: l7, load_balancer: shop, to: {log_store: access}, delay: 5s..10s}
traffic:
  - to: "shop:80"
    rate: 20/s
    for: 10m
    clients: {count: 4}
    requests: [{get: "/item/{int:1-1000000000}"}]  # no two records alike
"""
START, END = "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"
START_MS = 1_772_323_200_000
WRITERS = READERS = 8
BATCH = 20
READ = 24
"""Passes of the readers before the kill."""


class Ledger:
    """What was sent and what was acknowledged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: set[str] = set()
        self._acknowledged: set[str] = set()
        self.passes = 0
        self.enough = threading.Event()

    def sent(self, names: list[str]) -> None:
        with self._lock:
            self._sent.update(names)

    def acknowledged(self, names: list[str]) -> None:
        with self._lock:
            self._acknowledged.update(names)

    def before(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._acknowledged)

    def judge(self, found: list[str], before: frozenset[str]) -> None:
        """A pass of a reader is over."""
        pushed = Counter(name for name in found if not name.startswith("{"))
        assert set(pushed.values()) <= {1}
        assert before <= pushed.keys()
        with self._lock:
            assert pushed.keys() <= self._sent
            self.passes += 1
            if self.passes >= READ:
                self.enough.set()


def write(simulator: SimulatorProcess, ledger: Ledger, writer: int) -> type[Exception] | None:
    client = simulator.client()
    for round_ in range(1000):
        names = [f"{writer}/{round_}/{number}" for number in range(BATCH)]
        ledger.sent(names)
        # In front of and behind whatever place a reader has come to, and often the same instant.
        records = [
            {"message": name, "timestamp": START_MS + (writer * 7 + round_ * 13 + place) % 50}
            for place, name in enumerate(names)
        ]
        try:
            client.push_log_records("access", f"w{writer}", records, tags=[])
        except BceHttpClientError as error:
            return type(error.last_error)
        ledger.acknowledged(names)
    return None


def pages(client: BlsClient, limit: int) -> Iterator[list[str]]:
    marker = ""
    while True:
        page = client.pull_log_records("access", START, END, "", limit=limit, marker=marker)
        yield [record.message for record in page.result]
        if not page.is_truncated:
            return
        marker = page.next_marker


def read(simulator: SimulatorProcess, ledger: Ledger, reader: int) -> type[Exception] | None:
    client = simulator.client()
    for _ in range(1000):
        before = ledger.before()
        try:
            found = [name for page in pages(client, 100 + 61 * reader) for name in page]
        except BceHttpClientError as error:
            return type(error.last_error)
        # A marker is a place in time: what comes later with an earlier time is behind it, so a
        # pass may miss what came meanwhile, and nothing else.
        ledger.judge(found, before)
    return None


def test_writers_and_readers_over_the_api_survive_a_kill(tmp_path: Path) -> None:
    ledger = Ledger()
    with (
        SimulatorProcess(tmp_path, SCENARIO) as simulator,
        ThreadPoolExecutor(WRITERS + READERS) as threads,
    ):
        work = [threads.submit(write, simulator, ledger, number) for number in range(WRITERS)]
        work += [threads.submit(read, simulator, ledger, number) for number in range(READERS)]
        enough = ledger.enough.wait(timeout=60)
        assert simulator.stop(signal.SIGKILL) == -signal.SIGKILL
        ended_by = [one.result() for one in work]
    assert enough
    assert BceServerError not in ended_by
    with SimulatorProcess(tmp_path, SCENARIO, "--no-traffic") as again:
        again.advance("1m")
        (flow_log,) = again.call("/_sim/v1/status")["flow_logs"]
        found = [name for page in pages(again.client(), 1000) for name in page]
        assert again.stop(signal.SIGTERM) == 0
    ledger.judge(found, ledger.before())
    delivered = [name for name in found if name.startswith("{")]
    assert delivered
    assert (flow_log["pending"], flow_log["lost"]) == (0, 0)
    assert len(set(delivered)) == len(delivered)
    # A push is whole or not there at all.
    batches = Counter(name.rpartition("/")[0] for name in found if not name.startswith("{"))
    assert set(batches.values()) == {BATCH}
