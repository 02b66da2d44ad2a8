"""A load generator in a process of its own: as fast as it goes, or at a fixed rate.

At a fixed rate every request counts from when it was due, whether it waited for the server, for a
free connection or for this generator: a slow server cannot slow the questions down, and no
latency is left out. One thread, one epoll, no event loop, so that it can ask faster than the
proxies answer.
"""

import argparse
import json
import select
import socket
import ssl
import sys
import time
from collections import deque
from typing import Final

from benchmarks.mixes import Mix, mix_named

_READ_BYTES: Final = 262144
_GRACE_S: Final = 0.5
"""Requests under way at the end may still be answered."""


class Load:
    """All connections of one run."""

    def __init__(self, mix: Mix, port: int, rate: float, seconds: float) -> None:
        self.mix = mix
        self.address = ("127.0.0.1", port)
        self.epoll = select.epoll()
        self.latencies_s: list[float] = []
        self.error_count = 0
        self.sent_count = 0
        self.connections: dict[int, Connection] = {}
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        """When the requests were due for which there is no connection."""
        self.request = mix.request(0)
        self.tls: ssl.SSLContext | None = None
        if mix.tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
        self._interval_s = 1 / rate if rate else 0.0
        self._seconds = seconds

    def run(self, count: int) -> dict[str, float]:
        """Apply the load over ``count`` connections and sum it up."""
        self.idle.extend(Connection(self) for _ in range(count))
        if self.mix.keep_alive:
            self._connect_all()
        cpu = time.process_time()
        started_at = time.monotonic()
        ends_at = started_at + self._seconds
        if self._interval_s:
            self._run_at_rate(started_at, ends_at)
        else:
            while (now := time.monotonic()) < ends_at:
                while self.idle:
                    self.idle.popleft().begin(now)
                self._serve(0.1)
        busy = (time.process_time() - cpu) / self._seconds
        completed = len(self.latencies_s)
        self._finish()
        return self._sum_up(completed, busy)

    def _connect_all(self) -> None:
        """Have every connection stand before the time runs: by a request each."""
        for connection in list(self.idle):
            connection.begin(time.monotonic())
        wanted = len(self.idle)
        self.idle.clear()
        deadline = time.monotonic() + 10
        while len(self.idle) < wanted and time.monotonic() < deadline:
            self._serve(0.1)
        self.latencies_s.clear()

    def _run_at_rate(self, due_at: float, ends_at: float) -> None:
        while (now := time.monotonic()) < ends_at:
            while due_at <= now:
                if self.idle:
                    self.idle.popleft().begin(due_at)
                else:
                    self.waiting.append(due_at)
                due_at += self._interval_s
            self._serve(due_at - now)

    def _finish(self) -> None:
        """Wait for what is under way; what was due and never sent counts as it is."""
        ends_at = time.monotonic()
        while self.waiting or len(self.idle) < len(self.connections):
            if time.monotonic() > ends_at + _GRACE_S:
                break
            self._serve(0.01)
        for connection in self.connections.values():
            if connection.due_at:
                self.latencies_s.append(time.monotonic() - connection.due_at)
        self.latencies_s.extend(time.monotonic() - due_at for due_at in self.waiting)

    def _serve(self, timeout_s: float) -> None:
        # Epoll counts in milliseconds; select on it does not.
        events = self.epoll.poll(0)
        if not events and select.select([self.epoll], [], [], max(0.0, timeout_s))[0]:
            events = self.epoll.poll(0)
        for fd, _ in events:
            connection = self.connections.get(fd)
            if connection is not None:
                connection.ready()

    def release(self, connection: "Connection") -> None:
        """It has its response: on to the next, if one is due."""
        if self.waiting:
            connection.begin(self.waiting.popleft())
        else:
            self.idle.append(connection)

    def _sum_up(self, completed: int, busy: float) -> dict[str, float]:
        ordered = sorted(self.latencies_s) or [0.0]

        def quantile_ms(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

        return {
            "requests": len(self.latencies_s),
            "errors": self.error_count,
            "rate": completed / self._seconds,
            "p50_ms": quantile_ms(0.5),
            "p99_ms": quantile_ms(0.99),
            "p999_ms": quantile_ms(0.999),
            "generator_busy": busy,
        }


class Connection:
    """Sends one request at a time and measures."""

    __slots__ = ("_got", "_head", "_load", "_needed", "_sock", "_unsent", "_wants_room", "due_at")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sock: socket.socket | None = None
        self._unsent = b""
        self._wants_room = False
        self._got = 0
        self._needed = -1
        self._head = b""
        self.due_at = 0.0
        """When the request under way was due; 0.0 for none."""

    def begin(self, due_at: float) -> None:
        """Begin a request; the latency counts from ``due_at``."""
        load = self._load
        self.due_at = due_at
        self._got, self._needed, self._head = 0, -1, b""
        load.sent_count += 1
        self._unsent = load.mix.request(load.sent_count) if load.mix.trace_id else load.request
        if self._sock is None:
            self._open()
        self._send()

    def _open(self) -> None:
        load = self._load
        # On loopback connecting takes no time, as long as the listener's queue has room.
        sock = socket.create_connection(load.address, timeout=1.0)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if load.tls is not None:
            sock = load.tls.wrap_socket(sock, do_handshake_on_connect=False)
        self._sock = sock
        load.connections[sock.fileno()] = self
        load.epoll.register(sock, select.EPOLLIN)

    def _send(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            sent = sock.send(self._unsent)
        except ssl.SSLWantReadError:
            return  # In the middle of the handshake: more of it is to come.
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._lost()
            return
        self._unsent = self._unsent[sent:]
        if bool(self._unsent) != self._wants_room:
            self._wants_room = bool(self._unsent)
            events = select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0)
            self._load.epoll.modify(sock, events)

    def ready(self) -> None:
        """The socket has something."""
        if self._unsent:
            self._send()
            if self._unsent:
                return
        sock = self._sock
        while sock is not None and self._sock is sock:
            try:
                data = sock.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._take(data)
            if self._load.tls is None or not sock.pending():  # type: ignore[attr-defined]  # TLS
                return

    def _take(self, data: bytes) -> None:
        load = self._load
        if self._needed < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 200 "):
                load.error_count += 1
            self._needed = end + 4 + load.mix.response_bytes
            data = self._head
        self._got += len(data)
        if self._got >= self._needed and self.due_at:
            load.latencies_s.append(time.monotonic() - self.due_at)
            self.due_at = 0.0
            if not load.mix.keep_alive:
                self._close()
            load.release(self)

    def _lost(self) -> None:
        """Closed before its time."""
        self._close()
        if self.due_at:
            self._load.error_count += 1
            self.due_at = 0.0
            self._load.release(self)

    def _close(self) -> None:
        if self._sock is not None:
            del self._load.connections[self._sock.fileno()]
            self._sock.close()
            self._sock = None
            self._wants_room = False


def main() -> None:
    """Take the load from the command line; print the sum as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mix")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: no limit")
    arguments = parser.parse_args()
    load = Load(mix_named(arguments.mix), arguments.port, arguments.rate, arguments.seconds)
    sys.stdout.write(json.dumps(load.run(arguments.connections)) + "\n")


if __name__ == "__main__":
    main()
