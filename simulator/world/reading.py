"""Reads back what was delivered, where a pipeline would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from simulator.delivery.object_plan import unpack_gzip
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, Selection
from simulator.model import BucketDestination, FlowLog, LogStoreDestination
from simulator.model.key_layout import leading_text
from simulator.objectstore import ObjectStore

_FOREVER_MS: Final = 1 << 52


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What was found at the destinations."""

    lines: tuple[str, ...]
    """A sentence for each destination."""
    sample: Mapping[str, Any] | None
    """One record: the last one found; None if there is none."""


def read_back(
    flow_logs: tuple[FlowLog, ...], engine: LogStoreEngine, objects: ObjectStore | None
) -> ReadBack:
    """Count the records of each flow log at its destination. Blocks: call it in a thread."""
    lines: list[str] = []
    sample: Mapping[str, Any] | None = None
    for flow_log in flow_logs:
        destination = flow_log.destination
        if isinstance(destination, LogStoreDestination):
            line, found = _from_log_store(flow_log, destination, engine)
        else:
            assert objects is not None
            line, found = _from_bucket(flow_log, destination, objects)
        lines.append(line)
        sample = sample or found
    return ReadBack(lines=tuple(lines), sample=sample)


def _from_log_store(
    flow_log: FlowLog, destination: LogStoreDestination, engine: LogStoreEngine
) -> tuple[str, Mapping[str, Any] | None]:
    selection = Selection(
        start_ms=0,
        end_ms=_FOREVER_MS,
        stream=f"{flow_log.flow_log_id}/{flow_log.load_balancer_id}",
    )
    project, name = destination.project, destination.log_store
    counted = engine.query(project, name, selection, "select count(*)").rows[0][0]
    newest = engine.query(project, name, selection, "match *").rows
    line = f"read {counted} records back from LogStore {name} (select count(*))"
    return line, _decode(str(newest[0][3]).encode()) if newest else None


def _from_bucket(
    flow_log: FlowLog, destination: BucketDestination, objects: ObjectStore
) -> tuple[str, Mapping[str, Any] | None]:
    bucket = destination.bucket
    flow_log_id = str(flow_log.flow_log_id)
    names = {"flow_log": flow_log_id, "load_balancer": str(flow_log.load_balancer_id)}
    prefix = destination.prefix + leading_text(destination.layout, names)
    keys = [key for key in objects.list_keys(bucket, prefix) if flow_log_id in key]
    count, unreadable, last = 0, 0, b""
    for key in keys:
        try:
            body = objects.get_object(bucket, key)
        except ControlError:  # listed before it can be read, by a fault
            unreadable += 1
            continue
        text = unpack_gzip(body) if key.endswith(".gz") else body
        records = [line for line in text.split(b"\n") if line]
        count += len(records)
        last = records[-1] if records else last
    line = f"read {count} records back from {len(keys) - unreadable} objects in bucket {bucket}"
    if unreadable:
        line += f", {unreadable} more cannot be read yet"
    return line, _decode(last)


def _decode(record: bytes) -> Mapping[str, Any] | None:
    """A record, or None where faults left none that can be read."""
    try:
        return msgspec.json.decode(record, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
