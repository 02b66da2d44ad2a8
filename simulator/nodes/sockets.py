"""The listening sockets of listeners that several processes serve."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TypeAlias

from simulator.dataplane import BACKLOG, ListenerAddress, ListenerKey, cannot_listen
from simulator.nodes.messages import ServedListener


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


Groups: TypeAlias = Mapping[ListenerKey, tuple[tuple[str, int], SocketGroup]]
"""Where each listener is to be bound, and its sockets."""


class ListenerSockets:
    """The sockets of everything that is served. You must ``close`` them at the end."""

    def __init__(self) -> None:
        self._groups: Groups = {}

    def group(self, key: ListenerKey) -> SocketGroup:
        """Those of a listener."""
        return self._groups[key][1]

    def open(self, served: Sequence[ServedListener]) -> Groups:
        """Sockets of listeners that have none, or not where they are to be.

        After this you must call ``take_over`` or ``discard``.

        Raises:
            StartupError: one cannot be had; then none is open.
        """
        opened: dict[ListenerKey, tuple[tuple[str, int], SocketGroup]] = {}
        try:
            for each in served:
                listener = each.listener
                bind = (listener.bind_host, listener.bind_port)
                if each.key in self._groups and self._groups[each.key][0] == bind:
                    continue
                node_count = len(each.load_balancer.cluster.nodes)
                try:
                    opened[each.key] = bind, SocketGroup(*bind, node_count)
                except OSError as error:
                    raise cannot_listen(each.load_balancer, listener, each.place, error) from error
        except BaseException:
            self.discard(opened)
            raise
        return opened

    def take_over(self, served: Sequence[ServedListener], opened: Groups) -> None:
        """Have the sockets of ``served`` and no others."""
        before = self._groups
        self._groups = {each.key: opened.get(each.key) or before[each.key] for each in served}
        self.discard(before)

    def discard(self, groups: Groups) -> None:
        """Close those that have not been taken over."""
        kept = {id(group) for _, group in self._groups.values()}
        for _, group in groups.values():
            if id(group) not in kept:
                group.close()

    def address(self, served: ServedListener) -> ListenerAddress:
        """Where a listener is reached."""
        group = self.group(served.key)
        return ListenerAddress(
            load_balancer_id=served.load_balancer.load_balancer_id,
            load_balancer_name=served.load_balancer.name,
            port=served.listener.port,
            host=group.host,
            bound_port=group.port,
            scheme="http" if served.tls is None else "https",
        )

    def close(self) -> None:
        """Close them all; fine to call twice."""
        for _, group in self._groups.values():
            group.close()


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address to bind; of a name with several the IPv4 one."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, (str(address[0]), int(address[1]))
