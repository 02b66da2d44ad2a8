"""Kills a small simulation at a random moment again and again, then tells what was delivered.

Run by ``test_contract_kill_often``. Everything is imported once; each round is a fork of this
process, so that it starts in a few milliseconds. The child tells its progress through a pipe and
is killed when it has come some random way. Prints one JSON object.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from simulator.clock import ManualClock
from simulator.delivery import Archive, Delivery, FlowLogVersion, segment_quantum_s
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.object_plan import unpack_gzip
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, Selection
from simulator.model import (
    BucketDestination,
    FlowLog,
    FlowLogId,
    LoadBalancerId,
    LogStoreDestination,
)
from simulator.model.fault_catalogue import CATALOGUE
from simulator.model.faults import Fault, FaultKind
from simulator.objectstore import Lag
from simulator.objectstore.mirror import Mirror
from simulator.rng import Rng
from simulator.spool import Spool

START = 1_772_323_200.0
LB = LoadBalancerId("lb-00000001")
NODES = ("100.64.0.1", "100.64.0.2")
FLOW_LOGS = (
    FlowLog(
        flow_log_id=FlowLogId("fl-l7"),
        name="l7",
        load_balancer_id=LB,
        destination=LogStoreDestination(project="default", log_store="access"),
    ),
    FlowLog(
        flow_log_id=FlowLogId("fl-archive"),
        name="archive",
        load_balancer_id=LB,
        destination=BucketDestination(bucket="shop-logs", gzip=True, max_object_bytes=4000),
    ),
)
FAULTS = (FaultKind.LATE, FaultKind.REORDER, FaultKind.MULTI, FaultKind.LATEOBJ, FaultKind.LAGLIST)
"""Those that neither drop nor copy: every record is still seen once."""
MOST_STEPS = 6
LONGEST_PAUSE_S = 0.03
"""From a step to the kill: about as long as the way to the next one, so that it falls anywhere."""


def make_faults() -> tuple[Fault, ...]:
    made = []
    for kind in FAULTS:
        knobs = tuple((knob.name, knob.parse(knob.default)) for knob in CATALOGUE[kind].knobs)
        made.append(Fault(name=kind.value, kind=kind, share=0.3, knobs=knobs))
    return tuple(made)


class Objects:
    """The part of the object store that outlives the process; the rest is in memory anyway."""

    def __init__(self, directory: Path) -> None:
        self.mirror = Mirror(directory)
        self.mirror.add_bucket("shop-logs")

    def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str,
        *,
        last_modified: float,
        lag: Lag | None = None,
    ) -> object:
        self.mirror.write(bucket, key, body, content_type, last_modified, lag)
        return None

    def delete_objects(self, bucket: str, prefix: str, chosen: Callable[[str], bool]) -> None:
        for key in [found.key for found in self.mirror.read(bucket)]:
            if key.startswith(prefix) and chosen(key):
                self.mirror.remove(bucket, key)


class Run:
    """One life of the simulation."""

    def __init__(self, directory: Path, *, with_faults: bool) -> None:
        self.clock = ManualClock(START)
        spool = directory / "spool"
        self.engine = LogStoreEngine(directory / "db", self.clock, load_from=(spool,), threads=1)
        self.spool = Spool(spool, self.clock, quantum_s=segment_quantum_s(FLOW_LOGS))
        spooled = (segment.last_at for segment in self.spool.recovered)
        self.clock.set_start(max(START, self.engine.newest_at(), *spooled))
        with suppress(ControlError):  # an earlier life made it
            self.engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
        self.objects = Objects(directory / "objects")
        rng = Rng(7)
        self.delivery = Delivery(
            clock=self.clock,
            rng=rng,
            spool=self.spool,
            log_stores=self.engine.deliveries,
            object_store=self.objects,
            versions=tuple(FlowLogVersion(flow_log=flow_log) for flow_log in FLOW_LOGS),
            archive=Archive(directory / "ledger", 1 << 20),
            faults=FaultBoard(rng, make_faults() if with_faults else ()),
            held_directory=directory / "held",
        )
        self.clock.start()
        self.delivery.start()

    def append(self, number: int) -> None:
        at = self.clock.time()
        line = b'{"n":%d,"at":%r,"pad":"%s"}' % (number, at, b"x" * (number % 300))
        self.spool.series(LB, NODES[number % 2]).append(at, line)


async def work(directory: Path, first: int, progress: int, *, with_faults: bool) -> None:
    """Write and deliver until killed; one byte for each step."""
    acknowledged = os.open(directory / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(progress, b".")
    run = Run(directory, with_faults=with_faults)
    os.write(progress, b".")
    number = first
    while True:
        for _ in range(5):
            run.append(number)
            os.write(acknowledged, b"%d\n" % number)
            number += 1
        await run.clock.advance(19.7)
        os.write(progress, b".")


async def finish(directory: Path) -> dict[str, object]:
    """Deliver what is left; what the destinations hold."""
    run = Run(directory, with_faults=False)
    await run.clock.advance(2 * 3600)
    await run.delivery.wait_until_delivered()
    pending = [status.pending for status in run.delivery.status()]
    everything = Selection(start_ms=0, end_ms=1 << 45)
    rows = run.engine.query(
        "default", "access", everything, "select n, count(*) as c group by n limit 100000"
    ).rows
    log_store = {int(str(n)): int(str(count)) for n, count in rows}
    bucket: Counter[int] = Counter()
    for found in run.objects.mirror.read("shop-logs"):
        text = unpack_gzip(found.body)
        bucket.update(json.loads(line)["n"] for line in text.splitlines())
    told = {
        flow_log.name: sum(
            entry.record_count
            for entry in run.delivery.ledger.deliveries(str(flow_log.flow_log_id))
            if entry.outcome == "visible"
        )
        for flow_log in FLOW_LOGS
    }
    await run.delivery.aclose()
    run.spool.close()
    run.engine.close()
    left = sum(path.stat().st_size for path in (directory / "spool").rglob("*.seg"))
    held = [str(path) for path in (directory / "held").rglob("*.held")]
    return {
        "pending": pending,
        "log_store": list(log_store.items()),
        "bucket": list(bucket.items()),
        "told": told,
        "left_bytes": left,
        "held_files": held,
    }


def live_and_die(directory: Path, number: int, steps: int, pause_s: float) -> int:
    """One round; the number of steps its child had made when it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work(directory, number * 1_000_000, writing, with_faults=number % 3 == 0))
        finally:
            os._exit(3)  # it is to be killed
    os.close(writing)
    seen = 0
    while seen < steps:
        data = os.read(reading, steps - seen)
        if not data:
            break
        seen += len(data)
    time.sleep(pause_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"round {number} ended by itself")
    return seen


def main(directory: Path, rounds: int, seed: int) -> None:
    chosen = random.Random(seed)
    steps = []
    for number in range(rounds):
        pause_s = chosen.random() * LONGEST_PAUSE_S
        steps.append(live_and_die(directory, number, chosen.randint(0, MOST_STEPS), pause_s))
    result = asyncio.run(finish(directory))
    sys.stdout.write(json.dumps({"steps": sum(steps), **result}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
