"""Which fields the records of one LogStore have, and how to read them in a statement.

First-level fields of JSON records are discovered as they arrive and copied into text columns
with opaque names; what has no column is read from the message itself, slower but the same.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.logstore.database import Cursor
from simulator.logstore.discovery import merge_kinds
from simulator.logstore.json_paths import json_pointer
from simulator.logstore.typed import TEXTUAL, Bindings, Kind, Typed, number_in, whole_in
from simulator.logstore.values import IndexField, IndexSettings, IndexType

MAX_COLUMNS: Final = 96
"""Fields with a column of their own, per LogStore; the access record has 28."""
MAX_FIELDS: Final = 1000
"""Fields that are remembered at all."""
MAX_NAME_LENGTH: Final = 256

RESERVED: Final = {
    "@timestamp": Typed("ts", Kind.INT),
    "@seq": Typed("seq", Kind.INT),
    "@stream": Typed("stream", Kind.STRING),
    "@raw": Typed("message", Kind.STRING),
}
"""Source: doc https://cloud.baidu.com/doc/BLS (reserved names of a record's own properties)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredField:
    """A first-level field seen in some record."""

    name: str
    position: int | None
    """Its column is ``f<position>``; None when it has none."""
    kind: Kind
    """Of its JSON values in all records; NULL if all of them were null."""
    since_seq: int
    """Records from this ``@seq`` on have the column filled; 0 for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChanges:
    """What a batch adds to the knowledge of a LogStore's fields."""

    discovered: tuple[DiscoveredField, ...]
    retyped: tuple[DiscoveredField, ...]


class FieldCatalog:
    """The fields of one LogStore. Changed under the writers' lock, read from any thread."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._fields: Mapping[str, DiscoveredField] = {}
        self._tag_keys: frozenset[str] = frozenset()
        self._verified: dict[str, tuple[int, Kind]] = {}
        self._verifying = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Of every remembered field, sorted."""
        return sorted(self._fields)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Of every remembered field."""
        return {name: field.kind for name, field in self._fields.items()}

    @property
    def tag_keys(self) -> frozenset[str]:
        """Every key that a push was tagged with."""
        return self._tag_keys

    def with_column(self, changes: FieldChanges | None = None) -> list[DiscoveredField]:
        """The fields that have a column, once ``changes`` are made."""
        known = [field for field in self._fields.values() if field.position is not None]
        if changes is not None:
            known += [field for field in changes.discovered if field.position is not None]
        return known

    def plan(self, seen: Mapping[str, Kind], seq: int) -> FieldChanges:
        """What records, whose first ``@seq`` will be ``seq``, add by the fields ``seen`` in them
        and their kinds. Changes nothing."""
        columns = len(self.with_column())
        discovered: list[DiscoveredField] = []
        retyped: list[DiscoveredField] = []
        for name, kind in seen.items():
            known = self._fields.get(name)
            if known is not None:
                merged = merge_kinds(known.kind, kind)
                if merged is not known.kind:
                    retyped.append(replace(known, kind=merged))
            elif (
                len(self._fields) + len(discovered) < MAX_FIELDS
                and name not in RESERVED
                and len(name) <= MAX_NAME_LENGTH
            ):
                position = columns if columns < MAX_COLUMNS else None
                columns += position is not None
                discovered.append(
                    DiscoveredField(name=name, position=position, kind=kind, since_seq=seq)
                )
        return FieldChanges(discovered=tuple(discovered), retyped=tuple(retyped))

    def apply(self, changed: Sequence[DiscoveredField]) -> None:
        """Remember what has been stored."""
        if changed:
            self._fields = {**self._fields, **{field.name: field for field in changed}}

    def add_tag_keys(self, keys: Iterable[str]) -> None:
        """Remember the keys of stored tags."""
        self._tag_keys = self._tag_keys | frozenset(keys)

    def kind_of(self, name: str) -> Kind:
        """Of the JSON values seen in a remembered field."""
        return self._fields[name].kind

    def typed(
        self,
        name: str,
        cursor: Cursor,
        bindings: Bindings,
        index: IndexSettings | None = None,
    ) -> Typed:
        """How to read the field ``name``; NULL in records that do not have it.

        The index gives a field its type; without one it is that of the JSON values. A tag is
        addressed by its key where the record has no such field.
        Source: assumed (tags are not searchable by full text, docs name no syntax).
        """
        reserved = RESERVED.get(name)
        if reserved is not None:
            return reserved
        field = self._fields.get(name)
        from_message = _from_message("json_extract_string", self._pointers(name), bindings)
        indexed = None if index is None else _INDEXED.get(_type_of(find_indexed(index, name)))
        if field is None:
            value = Typed(from_message, indexed or Kind.MIXED)
        else:
            column = from_message if field.position is None else f"f{field.position}"
            kind = indexed or self._verified_kind(field, column, cursor, bindings)
            if field.since_seq and field.position is not None:
                column = f"CASE WHEN seq >= {field.since_seq} THEN {column} ELSE {from_message} END"
            if len(self._pointers(name)) > 1:
                kind = indexed or Kind.MIXED
                if field.position is not None:
                    column = f"coalesce({column}, {from_message})"
            value = Typed(column, kind)
        if name in self._tag_keys:
            tag = f"json_extract_string(tags, {bindings.text(json_pointer(name))})"
            kind = value.kind if indexed or value.kind in TEXTUAL else Kind.MIXED
            value = Typed(f"coalesce({value.sql}, {tag})", kind)
        return _converted(value, is_indexed=indexed is not None)

    def is_number(self, name: str, bindings: Bindings) -> str:
        """SQL for whether the message of a record has a JSON number in the field ``name``."""
        found = _from_message("json_type", self._pointers(name), bindings)
        return f"({found} IN ('BIGINT', 'UBIGINT', 'DOUBLE'))"

    def _pointers(self, name: str) -> list[str]:
        """Where a record can have the field: by its name, or at the end of a path."""
        pointers = [json_pointer(name)]
        if "." in name and (name not in self._fields or name.partition(".")[0] in self._fields):
            pointers.append(json_pointer(*name.split(".")))
        return pointers

    def typed_if_known(
        self,
        name: str,
        cursor: Cursor,
        bindings: Bindings,
        index: IndexSettings | None = None,
    ) -> Typed | None:
        """How to read the field ``name``; None where all records are known not to have a value.

        Their messages are not read then: a union has fields that one of its LogStores lacks.
        """
        if self._may_have(name, cursor):
            return self.typed(name, cursor, bindings, index)
        kind = None if index is None else _INDEXED.get(_type_of(find_indexed(index, name)))
        if kind is None:
            return None
        return _converted(Typed("CAST(NULL AS VARCHAR)", kind), is_indexed=True)

    def _may_have(self, name: str, cursor: Cursor) -> bool:
        field = self._fields.get(name)
        if field is None or name in self._tag_keys:
            return (
                name in RESERVED
                or name in self._tag_keys
                or name.partition(".")[0] in self._fields
                or len(name) > MAX_NAME_LENGTH
                or len(self._fields) >= MAX_FIELDS
            )
        if field.kind is not Kind.NULL or field.position is None:
            return True
        row = cursor.execute(f"SELECT count(f{field.position}) FROM {self._table}").fetchone()
        return row is None or row[0] > 0

    def _verified_kind(
        self, field: DiscoveredField, column: str, cursor: Cursor, bindings: Bindings
    ) -> Kind:
        """The field's kind, checked against every record stored so far.

        ``column`` is SQL for its values.

        JSON has numbers that no column has, and an older version has looked at some records of a
        delivered segment only: what claims to be a number is proven, once per stored record.
        """
        if field.kind not in (Kind.INT, Kind.FLOAT):
            return Kind.STRING if field.kind is Kind.NULL else field.kind
        with self._verifying:
            seq, kind = self._verified.get(field.name, (-1, field.kind))
        kind = merge_kinds(kind, field.kind)
        query = (
            f"SELECT max(seq),"
            f" bool_and(TRY_CAST(v AS BIGINT)::VARCHAR IS NOT DISTINCT FROM v)"
            f" FILTER (v IS NOT NULL),"
            f" bool_and({number_in('v')} IS NOT NULL) FILTER (v IS NOT NULL)"
            f" FROM (SELECT seq, {column} AS v FROM {self._table} WHERE seq > {seq})"
        )
        row = cursor.execute(query, bindings.used_in(query)).fetchone()
        assert row is not None  # an aggregate without groups
        last, whole, numeric = row
        if last is None:
            return kind
        if numeric is False:
            kind = Kind.MIXED
        elif whole is False and kind is Kind.INT:
            kind = Kind.FLOAT
        with self._verifying:
            self._verified[field.name] = (last, kind)
        return kind


def find_indexed(index: IndexSettings, name: str) -> IndexField | None:
    """The index of the field ``name``, which may be a path with dots."""
    for field in index.fields:
        if field.name == name:
            return field
    fields: Sequence[IndexField] = index.fields
    found: IndexField | None = None
    for key in name.split("."):
        found = next((field for field in fields if field.name == key), None)
        if found is None:
            return None
        fields = found.fields
    return found


def _type_of(field: IndexField | None) -> IndexType | None:
    return None if field is None else field.type


_INDEXED: Final[Mapping[IndexType | None, Kind]] = {
    IndexType.LONG: Kind.INT,
    IndexType.FLOAT: Kind.FLOAT,
    IndexType.BOOL: Kind.BOOL,
    IndexType.TEXT: Kind.STRING,
}
"""What the values of an indexed field are. Source: doc
https://cloud.baidu.com/doc/BLS/s/xk5cc9piu (the index gives a column its type)."""


def _from_message(function: str, pointers: Sequence[str], bindings: Bindings) -> str:
    """SQL for what ``function`` of DuckDB's finds at the first of ``pointers`` with a value."""
    found = [f"TRY({function}(message, {bindings.text(pointer)}))" for pointer in pointers]
    if function == "json_type":
        found = [f"nullif({one}, 'NULL')" for one in found]
    value = found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
    return f"CASE WHEN type = 'JSON' THEN {value} END"


def _converted(value: Typed, *, is_indexed: bool) -> Typed:
    """The text ``value`` as what it is said to be: what has no index is known to be that."""
    match value.kind:
        case Kind.INT:
            whole = whole_in(value.sql) if is_indexed else f"TRY_CAST({value.sql} AS BIGINT)"
            return Typed(whole, value.kind)
        case Kind.FLOAT:
            number = number_in(value.sql) if is_indexed else f"TRY_CAST({value.sql} AS DOUBLE)"
            return Typed(number, value.kind)
        case Kind.BOOL:
            return Typed(f"TRY_CAST({value.sql} AS BOOLEAN)", value.kind)
        case _:
            return value
