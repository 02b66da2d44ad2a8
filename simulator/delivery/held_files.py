"""The lines that faults keep back, in a file for each piece until its instant has come.

A file is written before the ledger knows of its piece and removed after it has forgotten it, so
one that the ledger does not know is left from a crash and goes at the next start.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from simulator.delivery.image import HeldItems, Item
from simulator.delivery.object_plan import ObjectPlan
from simulator.logstore import HeldPiece

_log = logging.getLogger(__name__)

_SUFFIX: Final = ".held"


class _Line(msgspec.Struct, array_like=True):
    seq: int
    number: int
    logged_at: float
    logged_ms: int
    line: bytes
    is_copy: bool


class _File(msgspec.Struct, array_like=True):
    key: str
    plan: ObjectPlan
    lines: list[_Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLines:
    """What a file holds."""

    key: str
    """Of the object they become, in a bucket."""
    plan: ObjectPlan
    items: tuple[Item, ...]


class HeldFiles:
    """The files under one directory, made when there is something to keep.

    Raises:
        OSError: from every method but ``remove``, when the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, held: HeldItems, key: str) -> None:
        """Keep a piece, whole or not at all; one of its name before is replaced."""
        lines = [
            _Line(
                seq=item.seq,
                number=item.number,
                logged_at=item.logged_at,
                logged_ms=item.logged_ms,
                line=item.line,
                is_copy=item.is_copy,
            )
            for item in held.items
        ]
        path = self._path(held.piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.msgpack.encode(_File(key=key, plan=held.plan, lines=lines)))
        beside.replace(path)

    def read(self, piece: HeldPiece) -> HeldLines:
        """The lines of a piece.

        Raises:
            FileNotFoundError: there is no such file.
        """
        found = msgspec.msgpack.decode(self._path(piece).read_bytes(), type=_File)
        return HeldLines(
            key=found.key,
            plan=found.plan,
            items=tuple(
                Item(
                    seq=line.seq,
                    number=line.number,
                    logged_at=line.logged_at,
                    logged_ms=line.logged_ms,
                    line=line.line,
                    original=line.line,
                    due_at=piece.due_at,
                    is_copy=line.is_copy,
                )
                for line in found.lines
            ),
        )

    def remove(self, piece: HeldPiece) -> None:
        """Forget a piece, if there is one; what the disk keeps goes at the next start."""
        with suppress(OSError):
            self._path(piece).unlink()

    def sweep(self, pieces: Iterable[HeldPiece]) -> None:
        """Remove every file but those of ``pieces``."""
        known = {self._path(piece) for piece in pieces}
        for path in tuple(self._directory.rglob("*")):
            if path.is_file() and path not in known:
                _log.info("%s: left from a crash, removed", path)
                path.unlink()

    def _path(self, piece: HeldPiece) -> Path:
        name = f"{piece.first_seq:08d}-{piece.piece}{_SUFFIX}"
        return self._directory / piece.flow_log_id / piece.series_key / name
