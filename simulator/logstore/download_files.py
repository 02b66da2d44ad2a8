"""The files of download tasks: rows as JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import IO, Final

import msgspec

from simulator.errors import ControlError
from simulator.logstore.results import Cells
from simulator.logstore.values import Value

MAX_FILE_BYTES: Final = 1024 * 1024 * 1024
"""Of a task. Source: assumed."""


class DownloadFormat(StrEnum):
    """What the file holds."""

    JSON = "json"
    CSV = "csv"


class WrittenRows:
    """Writes rows into a file.

    Args:
        out: the file.
        file_format: what it holds.
        limit: rows that it takes; others are passed over.
    """

    most_bytes = MAX_FILE_BYTES

    def __init__(self, out: IO[bytes], file_format: DownloadFormat, limit: int) -> None:
        self._out = out
        self._is_csv = file_format is DownloadFormat.CSV
        self._columns: Sequence[str] = ()
        self.count = 0
        self.left = limit

    def begin(self, columns: Sequence[str]) -> None:
        """See ``RowSink.begin``."""
        if self._is_csv and not self._columns:
            self._out.write(_csv_lines([columns]))
        self._columns = columns

    def add(self, rows: Sequence[Cells]) -> None:
        """See ``RowSink.add``.

        Raises:
            ControlError: the file is too large.
        """
        rows = rows[: self.left]
        self._out.write(_csv_lines(rows) if self._is_csv else _json_lines(self._columns, rows))
        self.count += len(rows)
        self.left -= len(rows)
        if self._out.tell() > MAX_FILE_BYTES:
            raise ControlError("EntityTooLarge", 400, "the file is too large")


def _json_lines(columns: Sequence[str], rows: Iterable[Cells]) -> bytes:
    """An object on each line."""
    return b"".join(
        msgspec.json.encode(dict(zip(columns, row, strict=True))) + b"\n" for row in rows
    )


def _csv_lines(rows: Iterable[Sequence[Value]]) -> bytes:
    """As in RFC 4180, but for the ends of lines."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")
