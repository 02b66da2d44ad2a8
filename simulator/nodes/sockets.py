"""The listening sockets of a listener that several processes serve."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from simulator.dataplane import BACKLOG


class SocketGroup:
    """One listening socket for each node, on one address; the kernel spreads connections.

    Whoever made it keeps them open, so connections that arrive while a node is away wait for the
    next one. ``close`` it at the end.

    Args:
        host: where to bind.
        port: 0 picks a free one.
        count: how many sockets.

    Raises:
        OSError: the address cannot be had.
    """

    def __init__(self, host: str, port: int, count: int) -> None:
        family, address = _resolve(host, port)
        with ExitStack() as opened:
            sockets = []
            for index in range(count):
                each = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if index == 0:
                    # Alone: a port that another simulator shares among its nodes is taken. From
                    # here on the others may join it.
                    each.bind(address)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    address = each.getsockname()
                else:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    each.bind(address)
                sockets.append(each)
            for each in sockets:
                each.listen(BACKLOG)
                each.setblocking(False)
            opened.pop_all()
        self.sockets: Sequence[socket.socket] = tuple(sockets)
        self.host: str = address[0]
        self.port: int = address[1]

    def close(self) -> None:
        """Close them here; fine to call twice."""
        for each in self.sockets:
            each.close()


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address to bind; of a name with several the IPv4 one."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, (str(address[0]), int(address[1]))
