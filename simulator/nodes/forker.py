"""The simulator's side of the process that service nodes are forked from."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from simulator.nodes.channel import Channel
from simulator.nodes.messages import Exited, Fork, Forked, Kill

_START: Final = (
    f"import sys; sys.path[:] = sys.argv.pop(1).split({os.pathsep!r}); "
    "from simulator.nodes.zygote import main; main()"
)
"""With our search path: it must not find other modules than we do, in the directory it is started
in for one."""
_END_S: Final = 5.0
"""Real seconds for it to end after its control socket has."""


class Forker:
    """Starts that process and has it fork and end nodes.

    Args:
        page: descriptor of the shared page.
        keep: further descriptors that it and every node hold open until they end.
        context_count: TLS contexts that every node has in common.
        on_forked: told place in the page and process id of each node.
        on_exited: told process id and exit status of each node that has ended.

    Where it ends unasked, nodes live on; ``is_up`` tells.

    After making it you must call ``aclose`` on the same event loop.
    """

    def __init__(
        self,
        *,
        page: int,
        keep: Sequence[int],
        context_count: int,
        on_forked: Callable[[int, int], None],
        on_exited: Callable[[int, int], None],
    ) -> None:
        self.context_count = context_count
        self.is_up = True
        self._on_forked = on_forked
        self._on_exited = on_exited
        ours, theirs = socket.socketpair()
        with theirs:
            control = theirs.fileno()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-c", _START, os.pathsep.join(sys.path)),
                    *map(str, (control, page, context_count)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(control, page, *keep),
                # Signals of the terminal are for the simulator alone.
                start_new_session=True,
            )
        self._channel = Channel(ours, on_message=self._take, on_closed=self._ended)

    def fork(self, place: int, end: socket.socket) -> None:
        """Fork a node that has ``end`` of its channel, which stays the caller's."""
        self._channel.send(Fork(place), [end.fileno()])

    def kill(self, pid: int) -> None:
        """End a node at once."""
        self._channel.send(Kill(pid))

    async def aclose(self) -> None:
        """End it and whatever nodes are left. Fine to call twice."""
        self._channel.close()
        try:
            await asyncio.to_thread(self._process.wait, _END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _ended(self) -> None:
        self.is_up = False
        self._process.poll()

    def _take(self, message: object, _descriptors: list[int]) -> None:
        match message:
            case Forked(place=place, pid=pid):
                self._on_forked(place, pid)
            case Exited(pid=pid, status=status):
                self._on_exited(pid, status)
            case _:
                raise AssertionError(f"was sent {message!r}")
