"""The process that service nodes are forked from: one thread, no event loop, everything imported.

It is started with the simulator and makes what all nodes must share: TLS contexts, each with the
keys of its session tickets. Forking a node then takes milliseconds, also in place of one that
died. When its control socket ends, by whatever end of the simulator, it ends its nodes and itself.

Its arguments are the descriptors of the control socket and of the page, and how many contexts.
"""

import gc
import logging
import os
import selectors
import signal
import socket
import ssl
import sys
import traceback
from contextlib import suppress
from typing import Final

from simulator.nodes.channel import FrameReader, encode_frame, receive
from simulator.nodes.messages import Exited, Fork, Forked, Kill
from simulator.nodes.page import NodePage
from simulator.nodes.worker import serve_node

_IGNORED: Final = (signal.SIGINT, signal.SIGHUP)
"""Meant for the simulator, which ends its nodes in order."""


class Zygote:
    """Forks nodes and buries them.

    Args:
        control: to the simulator.
        page: shared with it and with every node.
        context_count: TLS contexts to make.
    """

    def __init__(self, control: socket.socket, page: NodePage, context_count: int) -> None:
        self._control = control
        self._page = page
        self._contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(context_count)]
        self._reader = FrameReader()
        self._nodes: set[int] = set()

    def run(self) -> None:
        """Serve until the control socket ends."""
        for number in (*_IGNORED, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(wake.fileno())
        # What is here by now is never garbage; collecting would copy its pages.
        gc.collect()
        gc.freeze()
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    woken.recv(4096)
                    self._reap()
                if self._control in ready and not self._take():
                    break
        for pid in self._nodes:
            os.kill(pid, signal.SIGKILL)

    def _take(self) -> bool:
        """Do what is asked; False at the end of the control socket."""
        try:
            data, descriptors = receive(self._control)
        except OSError:
            return False
        for message, fds in self._reader.feed(data, descriptors):
            match message:
                case Fork(place=place):
                    self._fork(place, fds[0])
                case Kill(pid=pid):
                    # Not yet reaped, so the number cannot be anybody else's.
                    if pid in self._nodes:
                        os.kill(pid, signal.SIGKILL)
                case _:
                    raise AssertionError(f"was sent {message!r}")
        return bool(data)

    def _fork(self, place: int, descriptor: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_node(descriptor)
        os.close(descriptor)
        self._nodes.add(pid)
        self._send(Forked(place, pid))

    def _be_node(self, descriptor: int) -> None:
        """In the child: serve, and never return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._control.close()
            serve_node(socket.socket(fileno=descriptor), self._page, self._contexts)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._nodes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._nodes.discard(pid)
            self._send(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _send(self, message: object) -> None:
        # If the other end is gone the next read finds that out.
        with suppress(OSError):
            self._control.sendall(encode_frame(message))


def _nothing(_number: int, _frame: object) -> None:
    """The byte in the wake-up socket is what counts."""


def main() -> None:
    """Run as its own process."""
    control, page, context_count = map(int, sys.argv[1:4])
    logging.basicConfig(level=logging.WARNING, format="blbsim: %(message)s", stream=sys.stderr)
    Zygote(socket.socket(fileno=control), NodePage(page), context_count).run()
