"""Where statements spill to when memory is full, and what killed processes left there."""

import itertools
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "blbsim-logs-"
_FILES: Final = "duckdb_temp*"
_opened: Final = itertools.count()
"""Databases in memory that this process has opened."""


def clean_directory(path: Path | None) -> Path:
    """The directory for the database in the file ``path``, without what an earlier process left.

    It is beside the file. Never the working directory, which is DuckDB's choice for a database in
    memory (``path`` is None): that has one by the number of the process, in the machine's directory
    for temporary files, and those of processes that are no more are removed.

    You must have the file to yourself when you call this.
    """
    if path is not None:
        directory = path.with_name(f"{path.name}.tmp")
        _remove(directory)
        return directory
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_PREFIX}*.tmp"):
        number = left.stem.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not _is_running(int(number)):
            _remove(left)
    return root / f"{_PREFIX}{os.getpid()}-{next(_opened)}.tmp"


def _remove(directory: Path) -> None:
    """Remove what DuckDB spilled, and the directory if that was all; it makes it anew."""
    with suppress(OSError):
        for file in directory.glob(_FILES):
            file.unlink()
        directory.rmdir()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
