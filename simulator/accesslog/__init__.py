"""The access record of one request: what happened, the 28 fields, their encoding."""

from simulator.accesslog.counts import TrafficCounts, status_class
from simulator.accesslog.encoder import RecordEncoder, ServedBy
from simulator.accesslog.fields import FIELDS, Field, FieldType
from simulator.accesslog.record import AccessRecord, AccessRecordShape, Attempt

__all__ = [
    "FIELDS",
    "AccessRecord",
    "AccessRecordShape",
    "Attempt",
    "Field",
    "FieldType",
    "RecordEncoder",
    "ServedBy",
    "TrafficCounts",
    "status_class",
]
