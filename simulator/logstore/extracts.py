"""What a statement reads of messages, for fields that have no column: all of it at once.

DuckDB parses a message anew for each place that is asked for, and keeps what it has parsed of 2048
of them, for each place and thread. So all places are one list, made below the select.
"""

import re
from dataclasses import replace
from typing import Final

from simulator.logstore.typed import Typed

_READ: Final = re.compile(r"TRY\(json_extract_string\(message, (\$t\d+)\)\)")
"""How ``fields`` reads a place by itself."""
_SINCE: Final = "CASE WHEN seq >= "
"""How it begins where newer records have a column: only the others are parsed."""
COLUMN: Final = "extracted"


class Extracts:
    """The places that are read of the messages of one LogStore.

    Args:
        table: of the LogStore.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._places: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def read(self, field: Typed) -> Typed:
        """The same field, in terms of ``source``."""
        if _SINCE in field.sql:
            return field
        return replace(field, sql=_READ.sub(lambda found: self._place(found[1]), field.sql))

    @property
    def source(self) -> str:
        """What stands after FROM. It changes as fields are read."""
        if not self._places:
            return self._table
        return f"(SELECT *, {self._read} FROM {self._table})"

    def placed(self, condition: str) -> str:
        """The same of records that fulfil a condition, with the ``place`` of each."""
        read = f", {self._read}" if self._places else ""
        return f"(SELECT *, rowid AS place{read} FROM {self._table} WHERE {condition})"

    @property
    def _read(self) -> str:
        places = ", ".join(self._places)
        read = f"CASE WHEN type = 'JSON' THEN TRY(json_extract_string(message, [{places}])) END"
        return f"{read} AS {COLUMN}"

    def _place(self, pointer: str) -> str:
        place = self._places.setdefault(pointer, len(self._places) + 1)
        return f"{COLUMN}[{place}]"
