"""What a client may push: checked, and given a time where it has none. Stores nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from simulator.clock import Clock
from simulator.errors import invalid
from simulator.logstore.client_time import newest_s
from simulator.logstore.json_objects import decode_object
from simulator.logstore.typed import MIN_MS
from simulator.logstore.values import NewRecord

MAX_PUSH_RECORDS: Final = 1000
MAX_RECORD_BYTES: Final = 512 * 1024
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""
MAX_TAGS_BYTES: Final = 8192
"""Of the tags of one push, in JSON. Source: assumed (each of its records has them)."""
MAX_STREAM_LENGTH: Final = 192
MAX_DEPTH: Final = 500
"""Of lists and objects within a JSON record. Source: assumed (what reads records back gives up at
some depth)."""

_TOO_DEEP: Final = f"expected lists and objects at most {MAX_DEPTH} deep"
_STREAM_CHARACTERS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./"
)


def check_stream(name: str) -> None:
    """Refuse what cannot be the name of a stream.

    Source: doc of the API's schema.

    Raises:
        ControlError: InvalidParameter.
    """
    if len(name) > MAX_STREAM_LENGTH or not _STREAM_CHARACTERS.issuperset(name):
        expected = f"expected at most {MAX_STREAM_LENGTH} of letters, digits and `_-./`"
        raise invalid("logStreamName", expected, name)


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse more tags than each record of a push can have.

    Raises:
        ControlError: InvalidParameter.
    """
    size = len(msgspec.json.encode(tags))
    if tags and size > MAX_TAGS_BYTES:
        raise invalid("tags", f"expected at most {MAX_TAGS_BYTES} bytes of JSON, not {size}")


def stamp_records(records: Sequence[NewRecord], clock: Clock) -> list[NewRecord]:
    """The records of one push, each with a time of its own; 0 stands for none.

    Source: assumed, that the past has no bound but that of what can be written as a time.

    Raises:
        ControlError: InvalidParameter for too many or too large records, and a time too far ahead.
    """
    if not 1 <= len(records) <= MAX_PUSH_RECORDS:
        raise invalid("logRecords", f"expected 1 to {MAX_PUSH_RECORDS} records, not {len(records)}")
    now_ms, newest_ms = int(clock.time() * 1000), newest_s(clock) * 1000
    stamped: list[NewRecord] = []
    for number, record in enumerate(records):
        # Most are so short that nobody has to encode them to know.
        if len(record.message) * 4 > MAX_RECORD_BYTES and byte_count(record) > MAX_RECORD_BYTES:
            place = f"logRecords[{number}].message"
            expected = f"expected at most {MAX_RECORD_BYTES} bytes, not {byte_count(record)}"
            raise invalid(place, expected)
        if not -(2**63) <= record.sequence < 2**63:
            place = f"logRecords[{number}].sequence"
            raise invalid(place, "expected a number of 64 bits", record.sequence)
        if not MIN_MS <= record.timestamp_ms <= newest_ms:
            place = f"logRecords[{number}].timestamp"
            expected = (
                "expected epoch milliseconds, those of the year 1 or later and at most 24 h ahead"
            )
            raise invalid(place, expected, record.timestamp_ms)
        stamped.append(record if record.timestamp_ms else replace(record, timestamp_ms=now_ms))
    return stamped


def decode_records(records: Sequence[NewRecord]) -> list[dict[str, object]]:
    """The objects in the messages of JSON records.

    Raises:
        ControlError: InvalidParameter for a message that is none.
    """
    decoded: list[dict[str, object]] = []
    for number, record in enumerate(records):
        place = f"logRecords[{number}].message"
        try:
            value = decode_object(record.message)
        except (msgspec.DecodeError, UnicodeError) as error:
            expected = "expected a JSON object, since `type` is JSON"
            raise invalid(place, expected, record.message) from error
        except RecursionError as error:
            raise invalid(place, _TOO_DEEP) from error
        brackets = record.message.count("[") + record.message.count("{")
        if brackets > MAX_DEPTH and _is_deep(value):
            raise invalid(place, _TOO_DEEP)
        decoded.append(value)
    return decoded


def byte_count(record: NewRecord) -> int:
    """Bytes of a record's message."""
    return len(record.message.encode("utf-8", "surrogatepass"))


def _is_deep(record: dict[str, Any]) -> bool:  # Any: whatever JSON holds
    """Whether lists and objects stand in one another more than ``MAX_DEPTH`` times."""
    level: list[dict[str, Any] | list[Any]] = [record]
    for _ in range(MAX_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [each for every in inner for each in every if isinstance(each, dict | list)]
    return bool(level)
