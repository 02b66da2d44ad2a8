"""Service nodes as processes: forked, told what to serve, followed, started again.

It moves what one node is made of (``composition``) into processes of their own and shows them to
the simulator as if they were in it: their clocks follow its clock, their series are in its spool.
It knows no scenario and nothing behind the spool.
"""

from simulator.nodes.composition import NodeComposition
from simulator.nodes.messages import RecentRecord, RecordFormat, ServedListener
from simulator.nodes.node import NodeStatus
from simulator.nodes.service_nodes import ServiceNodes
from simulator.nodes.traffic import NodeTraffic

__all__ = [
    "NodeComposition",
    "NodeStatus",
    "NodeTraffic",
    "RecentRecord",
    "RecordFormat",
    "ServedListener",
    "ServiceNodes",
]
