"""A process with a real spool, LogStore and object store that writes until it is killed.

Arguments: directory, name of the run, instant to begin at. Prints each record's name, and the
instant, once it is spooled.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from delivery_world import LB, NODE, bucket_log, flow_log

from simulator.clock import ManualClock
from simulator.delivery import Delivery, FlowLogVersion
from simulator.logstore import LogStoreEngine, LogStoreSettings
from simulator.objectstore import ObjectStore
from simulator.rng import Rng
from simulator.spool import Spool

FLOW_LOGS = (flow_log(), bucket_log("archive", use_gzip=True))


class Stand:
    """Everything between an append and its two destinations, on a directory."""

    def __init__(self, directory: Path, at: float) -> None:
        self.clock = ManualClock(at)
        self.spool = Spool(directory / "spool", self.clock)
        self.engine = LogStoreEngine(
            directory / "bls.duckdb", self.clock, load_from=[directory / "spool"]
        )
        if not any(store.name == "access" for store in self.engine.list_log_stores("default")):
            self.engine.create_log_store("default", "access", LogStoreSettings(retention_days=-1))
        self.objects = ObjectStore(directory / "objects", region="bj")
        self.objects.create_bucket("shop-logs")
        self.delivery = Delivery(
            clock=self.clock,
            rng=Rng(7),
            spool=self.spool,
            log_stores=self.engine.deliveries,
            object_store=self.objects,
            versions=tuple(FlowLogVersion(flow_log=one) for one in FLOW_LOGS),
        )
        self.clock.start()
        self.delivery.start()

    async def stop(self) -> None:
        await self.delivery.aclose()
        self.clock.stop()
        self.spool.close()
        self.engine.close()
        self.objects.close()


async def main(directory: Path, run: str, at: float) -> None:
    stand = Stand(directory, at)
    series = stand.spool.series(LB, NODE)
    for number in itertools.count():
        if number % 5 == 0:
            await stand.clock.advance(1.7)
        name = f"{run}-{number}"
        series.append(stand.clock.time(), b'{"host":"h","request":"%s"}' % name.encode())
        print(name, stand.clock.time(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
