"""``python -m benchmarks.corpus``: what nginx and the data plane make of malformed requests.

Both get the cases of ``benchmarks.malformed`` over sockets, in front of one backend server that
keeps what it is sent. Printed side by side: the status of each answer, and ``>`` before what was
sent on; a star marks a difference.
"""

import argparse
import asyncio
import contextlib
import re
import tempfile
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import nginx
from benchmarks.malformed import CASES, Case
from benchmarks.processes import free_port
from benchmarks.proxy_process import make_route
from simulator.accesslog import AccessRecord
from simulator.clock import SimulatedClock
from simulator.dataplane import DataPlane, ListenerSettings
from simulator.dataplane.certificates import Authority

_QUIET_S = 0.06
"""A proxy that has said nothing for so long has nothing to say."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_IGNORED = re.compile(rb"(?:X-Forwarded-For|Connection): [^\r]*\r\n")


class Backend:
    """Answers whatever has come after a short silence, and keeps it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request: the case is told apart by the silence behind it."""
        data = b""
        try:
            while piece := await asyncio.wait_for(reader.read(65536), 0.015 if data else 5):
                data += piece
        except (TimeoutError, ConnectionError):
            pass
        if data:
            self.received.append(_IGNORED.sub(b"", data))
            with contextlib.suppress(ConnectionError):
                writer.write(_OK)
        writer.close()


async def ask(port: int, case: Case, backend: Backend) -> str:
    """Send a case; the statuses of the answers, and what was sent on."""
    backend.received.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(case.sent)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65536), _QUIET_S):
            answer += piece
    writer.close()
    statuses = b" ".join(_STATUS.findall(answer)).decode() or "silent"
    sent_on = "".join(f"\n> {_shown(data)}" for data in backend.received)
    return statuses + sent_on


def _shown(data: bytes) -> str:
    text = repr(data)[2:-1]
    return text if len(text) <= 160 else text[:110] + f"... ({len(data)} B)"


async def compare(console: Console, only: str, *, records: bool) -> None:
    """Run every case and print the table."""
    backend = Backend()
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    backend_port: int = server.sockets[0].getsockname()[1]
    taken: list[AccessRecord] = []
    program = nginx.find_nginx()
    table = Table(title="malformed requests", show_lines=True)
    for title in ("", "case", "nginx" if program else "nginx (not installed)", "blbsim"):
        table.add_column(title, overflow="fold")
    differences = 0
    async with contextlib.AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "nginx"
        port = free_port()
        if program:
            certificate = Authority(directory.parent / "tls").issue(("a",))
            ports = port, free_port()
            stack.enter_context(nginx.proxy(program, directory, ports, backend_port, certificate))
        clock = SimulatedClock()
        data_plane = DataPlane(clock=clock, tasks=tasks)
        settings = ListenerSettings(route=make_route(0, backend_port), on_record=taken.append)
        [address] = await data_plane.start((settings,))
        for case in CASES:
            if only not in case.name:
                continue
            theirs = await ask(port, case, backend) if program else ""
            ours = await ask(address.bound_port, case, backend)
            differs = bool(program) and theirs.split("\n")[0] != ours.split("\n")[0]
            differences += differs
            table.add_row("*" if differs else "", case.name, theirs, ours)
        await data_plane.aclose(drain_s=0.0)
        server.close()
        if records and program:
            console.print((directory / "access.log").read_text())
    console.print(table)
    console.print(f"{table.row_count} cases, {differences} with other statuses than nginx")


def main() -> None:
    """Take the part of the corpus from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--records", action="store_true", help="nginx's records as well")
    arguments = parser.parse_args()
    console = Console()
    uvloop.run(compare(console, arguments.only, records=arguments.records))


if __name__ == "__main__":
    main()
