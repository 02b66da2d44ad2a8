"""Markers: where a page ended, as URL-safe base64 of a small protobuf.

Source: observed markers in SDK samples and docs, which hold field 1 = time in milliseconds and
field 2 = ``@seq``, both varints; further fields are skipped. Markers of views are assumed: they say
in a further one which LogStore the record is from, since ``@seq`` is unique in its LogStore only.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from simulator.errors import invalid

_TIME_FIELD: Final = 1
_SEQ_FIELD: Final = 2
_STORE_FIELD: Final = 15
"""Fields 3 and 4 have been observed and mean something else."""
_VARINT: Final = 0
_MAX_VARINT_BYTES: Final = 10
_MASK_64: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The position of a record."""

    time_ms: int
    seq: int
    store: int | None = None
    """Number of its LogStore, of a page that may have records of several."""


def encode_marker(marker: Marker) -> str:
    """``marker`` as it is handed out."""
    fields = [(_TIME_FIELD, marker.time_ms), (_SEQ_FIELD, marker.seq)]
    if marker.store is not None:
        fields.append((_STORE_FIELD, marker.store))
    raw = b"".join(_varint(field << 3) + _varint(value) for field, value in fields)
    return base64.urlsafe_b64encode(raw).decode()


def parse_marker(text: str) -> Marker:
    """The position in a marker.

    Raises:
        ControlError: InvalidParameter when it is not a marker.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = _fields(raw)
        return Marker(
            time_ms=_signed(found[_TIME_FIELD]),
            seq=_signed(found[_SEQ_FIELD]),
            store=found.get(_STORE_FIELD),
        )
    except (binascii.Error, ValueError, IndexError, KeyError) as error:
        raise invalid("marker", "expected one that was handed out", text) from error


def _fields(raw: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    position = 0
    while position < len(raw):
        key, position = _read_varint(raw, position)
        if key & 7 != _VARINT:
            raise ValueError(f"wire type {key & 7}")
        found[key >> 3], position = _read_varint(raw, position)
    return found


def _varint(value: int) -> bytes:
    value &= _MASK_64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(raw: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = raw[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _MASK_64, position + index + 1
    raise ValueError("varint without end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
