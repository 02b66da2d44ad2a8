"""Lets a connection in, or refuses it with a reset before a byte of it is read."""

import asyncio
from collections.abc import Callable

from simulator.dataplane.probes import reset


class ConnectionGate(asyncio.Protocol):
    """Stands in front of a connection's protocol until it is let in, then is gone.

    Args:
        admit: whether one more may come in; asked once, when the connection stands.
        make: its protocol.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Olvj6i3i2: new connections above the limit are
    dropped; that the client sees a reset is assumed (blb-api C15).
    """

    __slots__ = ("_admit", "_make")

    def __init__(self, *, admit: Callable[[], bool], make: Callable[[], asyncio.Protocol]) -> None:
        self._admit = admit
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        if not self._admit():
            reset(transport)
            return
        protocol = self._make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
