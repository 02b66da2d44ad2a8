"""``python -m benchmarks.queries_process COUNT``: the log service over HTTP, one JSON object.

Serves the BLS API from this process, on a LogStore file of COUNT access records, while a client in
a process of its own pushes and pulls pages of a thousand, every request signed. Then the queries
that a dashboard asks, in the engine.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

from benchmarks.queries_client import ACCESS_KEY, SECRET_KEY
from benchmarks.sinks_process import NODE, SERVED_BY, make_record
from simulator.accesslog import RecordEncoder
from simulator.api import Authenticator, make_api_app
from simulator.clock import SimulatedClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, Paging, Selection

_START_MS: Final = 1_772_323_200_000
_SPAN_MS: Final = 1_000_000
_SEGMENT_RECORDS: Final = 10_000
_NEEDLES: Final = 1000
"""Records with the phrase that is searched for."""
_ROUNDS: Final = 5

_STATEMENTS: Final = {
    "count_by_field_s": "select response_status, count(*) group by response_status",
    "percentiles_by_two_s": (
        "select response_status, upstream_addr, approx_percentile(request_time, 0.5),"
        " approx_percentile(request_time, 0.99) group by response_status, upstream_addr"
    ),
    "phrase_s": "match 'needle in haystack'",
    "newest_of_range_s": "match *",
}


def write_segments(directory: Path, count: int) -> list[Path]:
    """Segment files of ``count`` access records, one millisecond apart in the span."""
    encode = RecordEncoder(SERVED_BY).encode
    every = max(1, count // _NEEDLES)
    paths: list[Path] = []
    for first in range(0, count, _SEGMENT_RECORDS):
        path = directory / f"{first:09}.log"
        with path.open("wb") as file:
            for number in range(first, min(count, first + _SEGMENT_RECORDS)):
                at_ms = _START_MS + number * _SPAN_MS // count
                record = make_record(number)
                record.logged_at = at_ms / 1000
                record.response_status = (200, 200, 200, 404, 502)[number % 5]
                record.request_time_s = number % 977 / 1000
                if number % every == 0:
                    record.request = b"GET /needle/in/haystack HTTP/1.1"
                file.write(b"%d\t%s\n" % (at_ms, encode(record)))
        paths.append(path)
    return paths


def load(engine: LogStoreEngine, spool: Path, count: int) -> None:
    """Deliver ``count`` records to the LogStore ``access``."""
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=-1))
    for position, path in enumerate(write_segments(spool, count), 1):
        engine.deliveries.deliver_segments(
            project="default",
            log_store="access",
            stream=NODE.address,
            paths=[path],
            cursor="bench",
            position=position,
        )
        path.unlink()


def ask(engine: LogStoreEngine) -> dict[str, float]:
    """The median time and the mean processor time of each statement, seconds."""
    whole = Selection(start_ms=_START_MS, end_ms=_START_MS + _SPAN_MS)
    part = Selection(start_ms=_START_MS + _SPAN_MS // 4, end_ms=_START_MS + _SPAN_MS // 2)
    found: dict[str, float] = {}
    for name, statement in _STATEMENTS.items():
        newest = name == "newest_of_range_s"
        paging = Paging(limit=100 if newest else 1000)
        times: list[float] = []
        cpu = time.process_time()
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            result = engine.query("default", "access", part if newest else whole, statement, paging)
            times.append(time.perf_counter() - began)
        if name == "phrase_s" and len(result.rows) != _NEEDLES:
            raise RuntimeError(f"{len(result.rows)} records have the phrase, not {_NEEDLES}")
        found[name] = sorted(times)[_ROUNDS // 2]
        found[f"{name.removesuffix('_s')}_cpu_s"] = (time.process_time() - cpu) / _ROUNDS
    return found


async def serve(engine: LogStoreEngine, seconds: float) -> dict[str, float]:
    """What a client over HTTP measures."""
    engine.create_log_store("default", "pushed", LogStoreSettings(retention_days=-1))
    clock = SimulatedClock()
    app = make_api_app(engine=engine, clock=clock, auth=Authenticator({ACCESS_KEY: SECRET_KEY}))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    found: dict[str, float] = {}
    for work in ("push", "pull"):
        cpu = time.process_time()
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.queries_client",
            work,
            str(port),
            str(seconds),
            str(_START_MS),
            stdout=subprocess.PIPE,
        )
        out, _ = await client.communicate()
        if client.returncode:
            raise RuntimeError(f"the client ended with {client.returncode}")
        measured = json.loads(out)
        found[f"{work}_per_s"] = measured["records"] / measured["seconds"]
        found[f"{work}_per_cpu_s"] = measured["records"] / (time.process_time() - cpu)
    await runner.cleanup()
    return found


def measure(count: int, seconds: float) -> dict[str, float]:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="blbsim-bench-") as temporary:
        root = Path(temporary)
        spool = root / "spool"
        spool.mkdir()
        engine = LogStoreEngine(root / "stores.db", SimulatedClock(), load_from=(spool,))
        load(engine, spool, count)
        found = ask(engine)
        found |= uvloop.run(serve(engine, seconds))
        engine.close()
        return {"records": count, **found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    sys.stdout.write(json.dumps(measure(arguments.count, arguments.seconds)) + "\n")
