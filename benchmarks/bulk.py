"""One large download, and many connections that do nothing, beside nginx."""

import resource
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.processes import Process

LARGE: Final = "large"
"""The file of a backend server that is downloaded."""
_READ_BYTES: Final = 1 << 20
_DESCRIPTORS: Final = 24_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One contender: medians of the rounds."""

    contender: str
    bytes_per_s: float
    cpu_s: float
    rounds: tuple[float, ...]
    """Bytes a second of every round, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What kept connections cost one contender."""

    contender: str
    connections: int
    bytes_before: int
    """Resident, warm and without them."""
    bytes_with: int


def raise_descriptor_limit() -> int:
    """Let this process and its children have as many descriptors as they need.

    Returns:
        How many they may have, which is what the machine allows at most.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def download(contenders: list[Process], size: int, rounds: int) -> list[Download]:
    """Download ``size`` bytes through each in turn."""
    seen: dict[str, list[tuple[float, float]]] = {it.name: [] for it in contenders}
    for _ in range(rounds):
        for contender in contenders:
            cpu, began = contender.cpu_s(), time.monotonic()
            _fetch(contender.port, size)
            elapsed = time.monotonic() - began
            seen[contender.name].append((size / elapsed, contender.cpu_s() - cpu))
    return [
        Download(
            contender=name,
            bytes_per_s=statistics.median(rate for rate, _ in results),
            cpu_s=statistics.median(cpu for _, cpu in results),
            rounds=tuple(rate for rate, _ in results),
        )
        for name, results in seen.items()
    ]


def _fetch(port: int, size: int) -> None:
    buffer = bytearray(_READ_BYTES)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"GET /{LARGE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        got = 0
        while received := client.recv_into(buffer):
            if not got and not buffer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"the download was refused: {bytes(buffer[:80])!r}")
            got += received
    if got < size:
        raise RuntimeError(f"the download ended after {got} of {size} bytes")


def keep_idle(contenders: list[Process], count: int) -> list[Idle]:
    """Open ``count`` connections to each in turn, ask once on each, look at its memory."""
    found: list[Idle] = []
    for contender in contenders:
        before = contender.resident_bytes()
        command = [sys.executable, "-m", "benchmarks.idle_process", str(contender.port), str(count)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            standing = int(child.stdout.readline() or 0)
            bytes_with = contender.resident_bytes()
            child.stdin.close()
        if standing != count:
            raise RuntimeError(f"{contender.name} kept {standing} of {count} connections")
        found.append(
            Idle(
                contender=contender.name,
                connections=count,
                bytes_before=before,
                bytes_with=bytes_with,
            )
        )
    return found
