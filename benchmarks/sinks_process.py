"""From the spool to the destinations, in a process of its own so that its memory can be read.

Prints one JSON object. Everything goes through the public classes, delivery included; the clock is
moved by hand, so what is measured is work and not waiting.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.proxy_process import LOAD_BALANCER_ID, NODE, SERVED_BY
from simulator.accesslog import AccessRecord, Attempt, RecordEncoder
from simulator.clock import ManualClock
from simulator.delivery import Archive, Delivery, FlowLogVersion, segment_quantum_s
from simulator.logstore import LogStoreEngine, LogStoreSettings, Selection
from simulator.model import BucketDestination, FlowLog, FlowLogId, LogStoreDestination
from simulator.objectstore import ObjectStore
from simulator.rng import Rng
from simulator.spool import Spool

_START_AT: Final = 1_772_323_200.0
_SPAN_S: Final = 100
"""Simulated seconds over which the records are spread."""
_KEEP_BYTES: Final = 1 << 30
"""Of the ledger, as it is by default."""
_LOG_STORE: Final = LogStoreDestination(project="default", log_store="access")
_AGGREGATE: Final = (
    "select response_status, count(*) as n, avg(request_time) as t group by response_status"
)


def make_record(number: int) -> AccessRecord:
    """A record like those of the proxied path, different for every number."""
    attempt = Attempt("10.0.2.11:8080")
    attempt.status = 200 if number % 50 else 500
    attempt.connect_s = 0.0
    attempt.response_s = (number % 97) / 1000
    record = AccessRecord()
    record.attempts.append(attempt)
    record.server_group_id = "sg-11bd8054"
    record.response_status = attempt.status
    record.remote_addr = record.client_ip = f"203.0.113.{number % 250}"
    record.client_port = 20000 + number % 40000
    record.host = b"shop.example.com"
    record.request = b"GET /item/%d?from=list HTTP/1.1" % (number % 500)
    record.request_length = 412
    record.body_bytes_sent = 1000 + number % 1000
    record.http_referer = b"http://shop.example.com/list"
    record.http_user_agent = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
    record.request_time_s = attempt.response_s
    return record


def resident_bytes() -> int:
    """Memory of this process; 0 where the machine does not tell."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Stage:
    """A spool and a delivery to one destination."""

    def __init__(
        self,
        directory: Path,
        destination: LogStoreDestination | BucketDestination,
        objects: ObjectStore | None = None,
    ) -> None:
        flow_log = FlowLog(
            flow_log_id=FlowLogId("fl-00000001"),
            name="l7",
            load_balancer_id=LOAD_BALANCER_ID,
            destination=destination,
        )
        self.clock = ManualClock(_START_AT)
        spool = directory / "spool"
        self.engine = LogStoreEngine(directory / "stores.db", self.clock, load_from=(spool,))
        self.engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
        self.spool = Spool(spool, self.clock, quantum_s=segment_quantum_s((flow_log,)))
        self.delivery = Delivery(
            clock=self.clock,
            rng=Rng(7),
            spool=self.spool,
            log_stores=self.engine.deliveries,
            object_store=objects,
            versions=(FlowLogVersion(flow_log=flow_log),),
            archive=Archive(directory / "ledger", _KEEP_BYTES),
        )
        self.clock.start()
        self.delivery.start()

    async def write(self, count: int) -> float:
        """Encode and spool records over the span; the seconds that took."""
        append = self.spool.series(LOAD_BALANCER_ID, NODE.address).append
        encode = RecordEncoder(SERVED_BY).encode
        elapsed = 0.0
        for second in range(_SPAN_S):
            at = _START_AT + second
            await self.clock.advance_to(at)
            first, last = count * second // _SPAN_S, count * (second + 1) // _SPAN_S
            began = time.perf_counter()
            for number in range(first, last):
                record = make_record(number)
                record.logged_at = at
                append(at, encode(record))
            elapsed += time.perf_counter() - began
        await self.clock.advance_to(_START_AT + _SPAN_S)
        return elapsed

    async def deliver(self) -> tuple[float, float]:
        """Move the clock until everything is delivered; seconds and CPU seconds that took."""
        began, cpu = time.perf_counter(), time.process_time()
        await self.clock.advance(600)
        await self.delivery.wait_until_delivered()
        [status] = self.delivery.status()
        if status.delivered != status.written:
            raise RuntimeError(f"{status.written} were written, {status.delivered} delivered")
        return time.perf_counter() - began, time.process_time() - cpu

    async def aclose(self) -> None:
        """Stop everything."""
        await self.delivery.aclose()
        self.clock.stop()
        self.spool.close()
        self.engine.close()


async def measure_log_store(directory: Path, count: int) -> dict[str, float]:
    """Spooling, pending memory, loading and aggregating ``count`` records."""
    stage = Stage(directory, _LOG_STORE)
    before = resident_bytes()
    spooling_s = await stage.write(count)
    pending_bytes = resident_bytes() - before
    wall_s, cpu_s = await stage.deliver()
    start_ms = int(_START_AT * 1000)
    selection = Selection(start_ms=start_ms, end_ms=start_ms + _SPAN_S * 1000)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        result = stage.engine.query("default", "access", selection, _AGGREGATE)
        times.append(time.perf_counter() - began)
    counted = sum(int(str(row[1])) for row in result.rows)
    if counted != count:
        raise RuntimeError(f"{count} records went in, the aggregate counts {counted}")
    await stage.aclose()
    return {
        "records": count,
        "encode_and_spool_per_s": count / spooling_s,
        "pending_mb": pending_bytes / 1e6,
        "log_store_per_s": count / wall_s,
        "log_store_per_cpu_s": count / cpu_s,
        "aggregate_s": sorted(times)[1],
    }


async def measure_bucket(
    directory: Path, count: int, objects: ObjectStore, *, gzip: bool
) -> dict[str, float]:
    """Loading ``count`` records into objects."""
    objects.create_bucket("shop-logs")
    bucket = BucketDestination(bucket="shop-logs", prefix="l7/", gzip=gzip)
    stage = Stage(directory, bucket, objects)
    await stage.write(count)
    wall_s, cpu_s = await stage.deliver()
    await stage.aclose()
    name = "bucket_gzip" if gzip else "bucket"
    return {f"{name}_per_s": count / wall_s, f"{name}_per_cpu_s": count / cpu_s}


async def measure(count: int) -> dict[str, float]:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="blbsim-bench-") as temporary:
        root = Path(temporary)
        for name in ("log_store", "plain", "gzip"):
            (root / name).mkdir()
        found = await measure_log_store(root / "log_store", count)
        objects = ObjectStore(root / "objects", region="bj")
        for gzip in (False, True):
            where = root / ("gzip" if gzip else "plain")
            found |= await measure_bucket(where, count // 4, objects, gzip=gzip)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    sys.stdout.write(json.dumps(asyncio.run(measure(parser.parse_args().count))) + "\n")
