"""Real sockets: listeners, client and backend connections, pools.

It moves bytes and reports what happened; what to do about it is decided in ``exchange``.
"""

from simulator.dataplane.dataplane import (
    BACKLOG,
    ConnectionCounts,
    DataPlane,
    ListenerAddress,
    ListenerKey,
    ListenerSettings,
    cannot_listen,
)

__all__ = [
    "BACKLOG",
    "ConnectionCounts",
    "DataPlane",
    "ListenerAddress",
    "ListenerKey",
    "ListenerSettings",
    "cannot_listen",
]
