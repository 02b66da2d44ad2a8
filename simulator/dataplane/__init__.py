"""Real sockets: listeners, client and backend connections, pools.

It moves bytes and reports what happened; what to do about it is decided in ``exchange``.
"""

from simulator.dataplane.dataplane import (
    ConnectionCounts,
    DataPlane,
    ListenerAddress,
    ListenerKey,
    ListenerSettings,
)

__all__ = [
    "ConnectionCounts",
    "DataPlane",
    "ListenerAddress",
    "ListenerKey",
    "ListenerSettings",
]
