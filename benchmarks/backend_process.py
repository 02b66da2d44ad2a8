"""The server behind where there is no nginx: answers every request with a body of fixed size."""

import asyncio
import signal
import sys

import uvloop

from benchmarks.mixes import MIXES

_BODY_BYTES = {mix.path.encode(): mix.response_bytes for mix in MIXES}
_ANSWERS = {
    path: b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%s" % (size, b"r" * size)
    for path, size in _BODY_BYTES.items()
}


class Backend(asyncio.Protocol):
    """One connection; requests come one at a time, from a proxy."""

    def __init__(self) -> None:
        self._pending = b""
        self._body_left = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP only
        """A proxy connected."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        """A request, or more of one."""
        if self._body_left:
            self._body_left -= len(data)
        else:
            data = self._pending + data
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                self._pending = data
                return
            self._pending = b""
            self._answer = _ANSWERS[head.split(b" ", 2)[1]]
            length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            self._body_left = int(length or b"0") - len(body)
        if self._body_left == 0:
            self._transport.write(self._answer)


async def serve(port: int) -> None:
    """Serve until told to end."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_server(Backend, "127.0.0.1", port, backlog=1024)
    await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
