"""A load generator in a process of its own: as fast as it goes, or at a fixed rate.

At a fixed rate a request that has to wait for its connection counts from when it was due, so a
slow server cannot slow the questions down.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque

import uvloop

from benchmarks.mixes import Mix, mix_named


class Load:
    """All connections of one run."""

    def __init__(self, mix: Mix, port: int, rate: float, seconds: float) -> None:
        self.mix = mix
        self.port = port
        self.interval_s = 1 / rate if rate else 0.0
        self.started_at = time.monotonic()
        self.ends_at = self.started_at + seconds
        self.latencies_s: list[float] = []
        self.error_count = 0
        self.sent_count = 0
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        """When the requests were due for which there is no connection."""

    def tick(self, due_at: float, loop: asyncio.AbstractEventLoop) -> None:
        """Send what is due, and come back."""
        now = time.monotonic()
        while due_at <= now and due_at < self.ends_at:
            if self.idle:
                self.idle.popleft().send(now)
            else:
                self.waiting.append(due_at)
            due_at += self.interval_s
        if due_at < self.ends_at:
            loop.call_later(max(0.0, due_at - now), self.tick, due_at, loop)


class Connection(asyncio.Protocol):
    """Sends one request at a time and measures."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due_at = -1.0
        self._received = 0
        self._needed = -1
        self._head = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """Connected."""
        self.transport = transport
        transport.set_write_buffer_limits(high=0)
        if self._due_at >= 0.0:
            self._write()

    def send(self, due_at: float) -> None:
        """Begin a request; the latency counts from ``due_at``."""
        self._due_at = due_at
        self._received, self._needed, self._head = 0, -1, b""
        if self._load.mix.keep_alive and self.transport is not None:
            self._write()
        else:
            self.transport = None
            loop = asyncio.get_running_loop()
            opening = loop.create_task(
                loop.create_connection(lambda: self, "127.0.0.1", self._load.port)  # type: ignore[arg-type,return-value]  # the factory gives this very protocol
            )
            opening.add_done_callback(self._opened)

    def _opened(self, opening: "asyncio.Task[object]") -> None:
        if not opening.cancelled() and opening.exception() is not None:
            self._load.error_count += 1

    def _write(self) -> None:
        load = self._load
        load.sent_count += 1
        assert self.transport is not None
        self.transport.write(load.mix.request(load.sent_count) if load.mix.trace_id else REQUEST)

    def data_received(self, data: bytes) -> None:
        """Part of the response."""
        if self._needed < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 200 "):
                self._load.error_count += 1
            self._needed = end + 4 + self._load.mix.response_bytes
            data = self._head
        self._received += len(data)
        if self._received >= self._needed:
            self._done()

    def _done(self) -> None:
        load = self._load
        now = time.monotonic()
        load.latencies_s.append(now - self._due_at)
        self._due_at = -1.0
        if not load.mix.keep_alive and self.transport is not None:
            self.transport.close()
        if now >= load.ends_at:
            return
        if not load.interval_s:
            self.send(now)
        elif load.waiting:
            self.send(load.waiting.popleft())
        else:
            load.idle.append(self)


REQUEST = b""


async def run(load: Load, connection_count: int) -> dict[str, float]:
    """Apply the load and sum it up."""
    loop = asyncio.get_running_loop()
    connections = [Connection(load) for _ in range(connection_count)]
    if load.mix.keep_alive:
        for connection in connections:
            await loop.create_connection(lambda it=connection: it, "127.0.0.1", load.port)  # type: ignore[misc]  # mypy does not infer defaults of lambdas
    cpu = time.process_time()
    if load.interval_s:
        load.idle.extend(connections)
        load.tick(time.monotonic(), loop)
    else:
        for connection in connections:
            connection.send(time.monotonic())
    await asyncio.sleep(max(0.0, load.ends_at - time.monotonic()) + 0.1)
    ordered = sorted(load.latencies_s) or [0.0]
    elapsed = load.ends_at - load.started_at
    return {
        "requests": len(load.latencies_s),
        "errors": load.error_count,
        "rate": len(load.latencies_s) / elapsed,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
        "generator_busy": (time.process_time() - cpu) / elapsed,
    }


def main() -> None:
    """Take the load from the command line; print the sum as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mix")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: no limit")
    arguments = parser.parse_args()
    mix = mix_named(arguments.mix)
    global REQUEST  # noqa: PLW0603  # one mix per process
    REQUEST = mix.request(0)

    async def go() -> dict[str, float]:
        load = Load(mix, arguments.port, arguments.rate, arguments.seconds)
        return await run(load, arguments.connections)

    sys.stdout.write(json.dumps(uvloop.run(go())) + "\n")


if __name__ == "__main__":
    main()
