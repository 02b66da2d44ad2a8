"""How wide the fields are that a statement reads: guessed from the largest record, or measured."""

from dataclasses import replace
from typing import Final

from simulator.logstore.database import Cursor, run_statement
from simulator.logstore.extracts import Extracts
from simulator.logstore.footprint import ROWS
from simulator.logstore.origins import Member
from simulator.logstore.record_sizes import MAX_NEAR_BYTES, RecordSizes
from simulator.logstore.typed import TEXTUAL, Bindings, Typed
from simulator.logstore.widths import PLAIN, SLOT, Width

_TAG_BYTES: Final = 8192
"""Of the tags of a record; see ``MAX_TAGS_BYTES``."""
_COLUMN_BYTES: Final = {"message": "size"}
"""Columns that know how long another is."""


class FieldWidths:
    """Says how wide fields are, from what the largest record allows until it has measured them.

    Args:
        cursor: to look at the records.
        sizes: of the largest records.
        bindings: of the statement.
    """

    def __init__(self, cursor: Cursor, sizes: RecordSizes, bindings: Bindings) -> None:
        self._cursor = cursor
        self._sizes = sizes
        self._bindings = bindings
        self._extracts: dict[int, Extracts] = {}
        self._asked: dict[int, tuple[Member, dict[str, float | None]]] = {}
        """Of each LogStore the fields that were asked for, and how wide they are once measured."""

    def extracts(self, member: Member) -> Extracts:
        """What is read of the messages of a LogStore; the same each time."""
        known = self._extracts.get(member.state.id)
        if known is None:
            known = self._extracts[member.state.id] = Extracts(member.state.table)
        return known

    def measured(self, member: Member, value: Typed) -> Typed:
        """A field with its width, and what reading it costs."""
        record = self.record(member)
        cost = float(value.sql.count("(") * SLOT)
        if "json_extract" in value.sql:
            cost += record.near
        if value.kind not in TEXTUAL:
            return replace(value, width=PLAIN, cost=cost)
        _, fields = self._asked.setdefault(member.state.id, (member, {}))
        exact = fields.setdefault(value.sql, None)
        width = record
        if "tags" in value.sql:
            width |= Width(_TAG_BYTES, _TAG_BYTES)
        if exact is not None:
            width = Width(min(exact, MAX_NEAR_BYTES), exact)
        return replace(value, width=width, cost=cost)

    def extracted_bytes(self, member: Member) -> float:
        """Of what is read of the message of a record."""
        return self.record(member).near if self.extracts(member) else 0.0

    def record(self, member: Member) -> Width:
        """Of a record."""
        return self._sizes.width(self._cursor, member.state)

    def measure(self, *, everything: bool) -> None:
        """Measure every field that was asked for, by its longest values.

        Args:
            everything: in the whole LogStore, and not in the selection alone.
        """
        for member, fields in self._asked.values():
            names = list(fields)
            if not names:
                continue
            lengths = [_COLUMN_BYTES.get(name, f"strlen({name})") for name in names]
            longest = ", ".join(f"list_sum(max({length}, {ROWS}))" for length in lengths)
            within = "TRUE" if everything else member.within(self._bindings)
            sql = f"SELECT {longest} FROM {self.extracts(member).source} WHERE {within}"
            _, [row] = run_statement(self._cursor, sql, self._bindings.used_in(sql))
            for name, total in zip(names, row, strict=True):
                fields[name] = float(total or 0) / ROWS
