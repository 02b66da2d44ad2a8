"""From the spool to the destinations: batches, delays, loads, and what is known of them.

Nothing here can slow or fail a request. Records only move forward; a cursor per flow log and
series says how far.
"""

from simulator.delivery.archive import Archive
from simulator.delivery.batching import segment_quantum_s
from simulator.delivery.delivery import Delivery
from simulator.delivery.ledger import (
    Ledger,
    Passage,
    PassageState,
    RecordLife,
    Sighting,
    Watermark,
    describe_destination,
)
from simulator.delivery.ledger_lines import DeliveredLines, OwedLines, Place
from simulator.delivery.reach import FlowLogVersion
from simulator.delivery.status import (
    DeliveryMark,
    DeliveryReceipt,
    FlowLogState,
    FlowLogStatus,
    PendingLine,
)
from simulator.delivery.stores import LogStores, ObjectSink

__all__ = [
    "Archive",
    "DeliveredLines",
    "Delivery",
    "DeliveryMark",
    "DeliveryReceipt",
    "FlowLogState",
    "FlowLogStatus",
    "FlowLogVersion",
    "Ledger",
    "LogStores",
    "ObjectSink",
    "OwedLines",
    "Passage",
    "PassageState",
    "PendingLine",
    "Place",
    "RecordLife",
    "Sighting",
    "Watermark",
    "describe_destination",
    "segment_quantum_s",
]
