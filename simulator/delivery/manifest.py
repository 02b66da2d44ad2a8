"""Which lines a delivery holds, where they are not simply all of its batch: compact, by batch."""

import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Final

_LINE_BITS: Final = 24
"""A segment is 8 MiB and one record at most, so it has fewer lines than this can count."""
_LENGTH_BYTES: Final = 8


def encode_manifest(lines: Iterable[tuple[int, int]], torn: bytes = b"") -> bytes:
    """The manifest of lines, each by segment and number, in their order.

    Args:
        lines: in the order they are delivered in.
        torn: what is left of the last, if that is not whole.
    """
    places = array("Q", [seq << _LINE_BITS | number for seq, number in lines])
    if sys.byteorder == "big":
        places.byteswap()
    packed = zlib.compress(places.tobytes(), 1)
    return len(packed).to_bytes(_LENGTH_BYTES) + packed + torn


def decode_manifest(manifest: bytes) -> tuple[list[tuple[int, int]], bytes]:
    """The lines and what was torn, as they were given."""
    length = int.from_bytes(manifest[:_LENGTH_BYTES])
    places = array("Q", zlib.decompress(manifest[_LENGTH_BYTES : _LENGTH_BYTES + length]))
    if sys.byteorder == "big":
        places.byteswap()
    mask = (1 << _LINE_BITS) - 1
    lines = [(place >> _LINE_BITS, place & mask) for place in places]
    return lines, manifest[_LENGTH_BYTES + length :]
