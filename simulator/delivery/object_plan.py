"""What faults make of an object: parts, members, an empty one beside it, a cut.

Source: assumed, each after a fault documented for a comparable service; see the catalogue.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from simulator.delivery.fault_board import FaultBoard
from simulator.model.faults import Fault, FaultKind
from simulator.objectstore.lags import Lag

_GZIP_LEVEL: Final = 1
"""Access records shrink to a tenth at any level; this one keeps up with the spool."""
_GZIP_WINDOW: Final = 31
"""A gzip header (zlib writes it without name and with time 0) around the widest window."""


class ObjectPlan(msgspec.Struct, frozen=True, array_like=True):
    """How the lines of a batch are to be put into objects."""

    parts: int = 1
    """Objects in place of one."""
    has_empty: bool = False
    """Whether an object of 0 bytes lies beside it."""
    members: int = 1
    """Of gzip, in each object."""
    cut: str = ""
    """Where the last object ends early: at a ``record``, a ``byte``, inside a ``utf8`` sequence."""
    cut_by: str = ""
    """Name of the fault that cuts."""
    cut_at: float = 0.0
    """How far through it, from 0 to 1."""
    late_until_at: float = 0.0
    """When it appears; 0: with its batch."""
    unlisted_s: float = 0.0
    """How long after it appears it is not listed."""
    unreadable_s: float = 0.0
    """How long after it appears it cannot be read."""

    def lag(self, at: float) -> Lag | None:
        """From when on an object that appears at ``at`` shows; None: at once."""
        if not (self.unlisted_s or self.unreadable_s):
            return None
        return Lag(listed_at=at + self.unlisted_s, readable_at=at + self.unreadable_s)


class PlannedObject(msgspec.Struct, frozen=True):
    """One object to be put."""

    suffix: str
    """Between the stem and the extension of its key."""
    body: bytes
    first: int
    """Index of its first line."""
    whole: int
    """Lines that can be read back whole; the others are cut off."""
    torn: bytes = b""
    """What can be read of the line after them."""


def plan_object(
    board: FaultBoard, fault: Fault, plan: ObjectPlan, key: tuple[str | int, ...]
) -> tuple[ObjectPlan, str]:
    """The plan with what one fault wants of it, and that in words."""
    match fault.kind:
        case FaultKind.MULTI:
            parts = plan.parts * int(fault.number("parts"))
            return msgspec.structs.replace(plan, parts=parts), f"in {parts} objects"
        case FaultKind.EMPTY:
            return msgspec.structs.replace(plan, has_empty=True), "an empty object beside it"
        case FaultKind.GZMULTI:
            members = plan.members * int(fault.number("members"))
            return msgspec.structs.replace(plan, members=members), f"{members} gzip members"
        case FaultKind.TRUNC:
            cut, at = fault.text("cut"), board.fraction(fault, "cut", *key)
            changed = msgspec.structs.replace(plan, cut=cut, cut_by=fault.name, cut_at=at)
            return changed, f"cut at a {cut}"
        case _:
            return plan, ""


def encode_objects(lines: Sequence[bytes], plan: ObjectPlan, *, gzip: bool) -> list[PlannedObject]:
    """The objects that lines become, in order of their keys; no object without a line."""
    count = min(plan.parts, len(lines))
    objects: list[PlannedObject] = []
    for part in range(count):
        first, last = len(lines) * part // count, len(lines) * (part + 1) // count
        suffix = f"-{part + 1}" if part else ""
        cut = plan.cut if part == count - 1 else ""
        objects.append(_encode(lines[first:last], first, suffix, plan, cut, gzip=gzip))
    if plan.has_empty:
        objects.append(PlannedObject(suffix="-empty", body=b"", first=len(lines), whole=0))
    return objects


def _encode(
    lines: Sequence[bytes], first: int, suffix: str, plan: ObjectPlan, cut: str, *, gzip: bool
) -> PlannedObject:
    text = b"".join([line + b"\n" for line in lines])
    if not cut:
        body = _pack(lines, plan.members) if gzip else text
        return PlannedObject(suffix=suffix, body=body, first=first, whole=len(lines))
    if gzip and cut == "byte":
        packed = _pack(lines, plan.members)
        body = packed[: int(len(packed) * plan.cut_at)]
        readable = unpack_gzip(body)
    else:
        readable = text[: _cut_point(text, cut, plan.cut_at)]
        body = _pack_open(readable) if gzip else readable
    whole = end = 0
    for line in lines:
        if end + len(line) + 1 > len(readable):
            break
        end += len(line) + 1
        whole += 1
    # A fault may have put line feeds into a record, and the cut may be behind one.
    torn = readable[end:].removesuffix(b"\n")
    return PlannedObject(suffix=suffix, body=body, first=first, whole=whole, torn=torn)


def _cut_point(text: bytes, cut: str, at: float) -> int:
    """Where the text ends: never behind its last byte but one."""
    point = int((len(text) - 1) * at)
    if cut == "record":
        return text.rfind(b"\n", 0, point + 1) + 1
    if cut == "utf8":
        inside = [index for index, byte in enumerate(text) if byte & 0xC0 == 0x80]
        if inside:
            return min(inside, key=lambda index: abs(index - point))
    return point


def gzip_packer() -> "zlib._Compress":
    """What makes one gzip member; the same bytes become the same bytes."""
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)


def _pack(lines: Sequence[bytes], members: int) -> bytes:
    """Lines as one gzip member or several; none is empty."""
    count = max(1, min(members, len(lines)))
    packed = []
    for member in range(count):
        part = lines[len(lines) * member // count : len(lines) * (member + 1) // count]
        packer = gzip_packer()
        packed.append(packer.compress(b"".join([line + b"\n" for line in part])))
        packed.append(packer.flush())
    return b"".join(packed)


def _pack_open(text: bytes) -> bytes:
    """A gzip stream that is never finished: everything can be read, the trailer is missing."""
    packer = gzip_packer()
    return packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)


def unpack_gzip(body: bytes) -> bytes:
    """What a patient reader gets out of gzip: every member, and one that ends early so far."""
    found = []
    while body:
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        found.append(unpacker.decompress(body))
        body = unpacker.unused_data if unpacker.eof else b""
    return b"".join(found)
