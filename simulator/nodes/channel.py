"""Messages between the simulator's own processes: pickled values over a Unix socket pair.

A frame is the length of its body, the number of descriptors that go with it, and the body. Only
processes that the simulator itself has started hold an end of such a pair, so pickle is safe.
"""

import asyncio
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

_HEAD: Final = struct.Struct("!IB")
_READ_BYTES: Final = 1 << 18
MAX_DESCRIPTORS: Final = 200
"""With one message; the kernel takes 253."""


def encode_frame(message: object, descriptor_count: int = 0) -> bytes:
    """The bytes of one message."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(len(body), descriptor_count) + body


class FrameReader:
    """Cuts what a socket gives into messages, with the descriptors that belong to each."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: list[int]) -> Iterator[tuple[object, list[int]]]:
        """Each message that is now whole."""
        self._buffer += data
        self._descriptors.extend(descriptors)
        while len(self._buffer) >= _HEAD.size:
            length, count = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield pickle.loads(body), [self._descriptors.popleft() for _ in range(count)]


def receive(end: socket.socket) -> tuple[bytes, list[int]]:
    """What has arrived; no bytes at the end of the stream.

    Raises:
        BlockingIOError: nothing has, and the socket does not wait.
        OSError: the other end is gone.
    """
    data, descriptors, _, _ = socket.recv_fds(end, _READ_BYTES, MAX_DESCRIPTORS)
    return data, list(descriptors)


class Channel:
    """One end of a socket pair on an event loop. Messages come in the order they were sent.

    Args:
        end: the socket; the channel's from now on.
        on_message: called with each message and its descriptors, which are then the callee's.
        on_closed: called once when the other end is gone, after all it has sent.
    """

    def __init__(
        self,
        end: socket.socket,
        *,
        on_message: Callable[[object, list[int]], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._end = end
        self._on_message = on_message
        self._on_closed = on_closed
        self._reader = FrameReader()
        self._waiting: deque[tuple[memoryview, list[int]]] = deque()
        """Bytes the kernel has not taken, and the descriptors that go with them; ours to close."""
        self._closed = False
        self._loop = asyncio.get_running_loop()
        end.setblocking(False)
        self._loop.add_reader(end.fileno(), self._read)

    def send(self, message: object, descriptors: list[int] | None = None) -> None:
        """Send ``message``; its descriptors stay the caller's. Nothing happens if it is closed."""
        if self._closed:
            return
        fds = [os.dup(fd) for fd in descriptors or ()]
        self._waiting.append((memoryview(encode_frame(message, len(fds))), fds))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Close this end; ``on_closed`` is not called. Fine to call twice."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._end.close()
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()

    def _read(self) -> None:
        while not self._closed:
            try:
                data, descriptors = receive(self._end)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self.close()
                self._on_closed()
                return
            for message, fds in self._reader.feed(data, descriptors):
                self._on_message(message, fds)

    def _write(self) -> None:
        while self._waiting:
            data, descriptors = self._waiting[0]
            try:
                sent = socket.send_fds(self._end, [data], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._end.fileno(), self._write)
                return
            except OSError:
                # The reader sees the end, after what the other side has still sent.
                break
            _close_all(descriptors)
            if sent < len(data):
                self._waiting[0] = (data[sent:], [])
            else:
                self._waiting.popleft()
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()
        self._loop.remove_writer(self._end.fileno())


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
