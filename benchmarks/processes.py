"""Processes this run starts, and the CPU time they take. It ends no others."""

import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_READY_S: Final = 10.0
_STOP_S: Final = 5.0


class Process:
    """A child that serves on a loopback port; ``with`` waits for the port and ends the child."""

    def __init__(self, name: str, command: list[str], port: int, *, tls_port: int = 0) -> None:
        self.name = name
        self.port = port
        self.tls_port = tls_port
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_S
        while not _answers(self.port):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not serve on port {self.port}")
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the child; fine to call twice."""
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def cpu_s(self) -> float:
        """User and system time of the child so far; 0.0 where the machine does not tell."""
        assert self._child is not None
        return cpu_s(self._child.pid)

    def resident_bytes(self) -> int:
        """Memory of the child; 0 where the machine does not tell."""
        assert self._child is not None
        try:
            pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process: to the nanosecond where Linux keeps them so."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        return (
            sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
        )
    except OSError:
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
