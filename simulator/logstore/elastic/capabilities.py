"""What the fields of a LogStore can be used for, as ``_field_caps`` tells it."""

from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from simulator.logstore.catalog import StoreState
from simulator.logstore.typed import Kind
from simulator.logstore.values import IndexField, IndexType

_KINDS: Final = {Kind.INT: "long", Kind.FLOAT: "double", Kind.BOOL: "boolean"}
_TYPES: Final = {
    IndexType.TEXT: "keyword",
    IndexType.LONG: "long",
    IndexType.FLOAT: "double",
    IndexType.BOOL: "boolean",
    IndexType.JSON: "object",
    IndexType.OBJECT: "object",
}
"""Source: assumed: text can be aggregated as a whole, which Elasticsearch calls a keyword."""


class Capability(TypedDict):
    """One type of a field."""

    type: str
    searchable: bool
    aggregatable: bool
    metadata_field: bool


def field_capabilities(state: StoreState) -> dict[str, Capability]:
    """The fields of a LogStore by name.

    What the index covers can be searched and aggregated; what it does not, only where the LogStore
    does not insist on one. A record's own properties need none, but for its raw text.
    Source: assumed: as in searches and statements.
    """
    index = state.log_store.active_index
    lenient = not state.log_store.settings.strict_search
    found = {name: _one(_KINDS.get(kind, "keyword"), lenient) for name, kind in _seen(state)}
    if index is not None:
        found |= dict(_indexed(index.fields))
    fulltext = lenient or (index is not None and index.fulltext)
    found |= {
        "@timestamp": _one("date", True),
        "@stream": _one("keyword", True),
        "@seq": _one("long", True),
        "@raw": _one("text", fulltext, aggregatable=False),
        "_id": _one("_id", True, aggregatable=False, metadata=True),
        "_index": _one("_index", False, metadata=True),
    }
    return dict(sorted(found.items()))


def _seen(state: StoreState) -> Iterator[tuple[str, Kind]]:
    """Fields and tags of the records there are."""
    for key in state.fields.tag_keys:
        yield key, Kind.STRING
    for name in state.fields.names:
        yield name, state.fields.kind_of(name)


def _indexed(fields: Sequence[IndexField], prefix: str = "") -> Iterator[tuple[str, Capability]]:
    for field in fields:
        name = prefix + field.name
        yield name, _one(_TYPES[field.type], _TYPES[field.type] != "object")
        yield from _indexed(field.fields, f"{name}.")


def _one(
    type_: str, usable: bool, *, aggregatable: bool | None = None, metadata: bool = False
) -> Capability:
    return {
        "type": type_,
        "searchable": usable,
        "aggregatable": usable if aggregatable is None else aggregatable,
        "metadata_field": metadata,
    }
