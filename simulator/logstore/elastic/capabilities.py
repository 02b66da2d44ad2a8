"""What the fields of a LogStore can be used for, as ``_field_caps`` tells it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from simulator.logstore.catalog import StoreState
from simulator.logstore.typed import Kind
from simulator.logstore.values import IndexField, IndexType
from simulator.logstore.wildcards import compile_pattern

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityRequest:
    """Which fields are to be told of, and how."""

    patterns: tuple[str, ...]
    include_unmapped: bool = False
    """Say of a field in which LogStores it is missing."""
    include_empty: bool = True
    """Tell of fields that no record has had yet."""
    types: frozenset[str] = frozenset()
    """Of the fields; empty for all."""
    metadata: bool | None = None
    """True for those that are no fields of records, false for all others."""


def merge_capabilities(
    stores: Mapping[str, StoreState], request: CapabilityRequest
) -> dict[str, dict[str, dict[str, object]]]:
    """The fields of several LogStores by name and type.

    A type can be searched or aggregated where it can be in all of them; the others are listed.
    Where a field has several types each lists its LogStores. Source: assumed: as in Elasticsearch.

    Args:
        stores: by the name of the index.
        request: which fields.
    """
    fits = [compile_pattern(pattern) for pattern in request.patterns]
    found: dict[str, dict[str, dict[str, Capability]]] = {}
    for index, state in stores.items():
        for name, capability in field_capabilities(state, empty=request.include_empty).items():
            if any(one(name) for one in fits):
                found.setdefault(name, {}).setdefault(capability["type"], {})[index] = capability
    return {
        name: _merged(types, sorted(stores), request)
        for name, types in sorted(found.items())
        if _is_wanted(types, request)
    }


def _is_wanted(types: Mapping[str, Mapping[str, Capability]], request: CapabilityRequest) -> bool:
    metadata = any(
        one["metadata_field"] for by_index in types.values() for one in by_index.values()
    )
    if request.metadata is not None and metadata is not request.metadata:
        return False
    return not request.types or not request.types.isdisjoint(types)


def _merged(
    types: Mapping[str, Mapping[str, Capability]], stores: Sequence[str], request: CapabilityRequest
) -> dict[str, dict[str, object]]:
    merged: dict[str, dict[str, object]] = {}
    for type_, by_index in types.items():
        if request.types and type_ not in request.types:
            continue
        shown: dict[str, object] = dict(next(iter(by_index.values())))
        unused = {
            "searchable": [index for index, one in by_index.items() if not one["searchable"]],
            "aggregatable": [index for index, one in by_index.items() if not one["aggregatable"]],
        }
        for use, without in unused.items():
            shown[use] = not without
            if 0 < len(without) < len(by_index):
                shown[f"non_{use}_indices"] = without
        merged[type_] = shown
    missing = set(stores).difference(*types.values())
    if request.include_unmapped and missing:
        merged["unmapped"] = {
            "type": "unmapped",
            "searchable": False,
            "aggregatable": False,
            "metadata_field": False,
        }
    if len(merged) > 1:
        for type_, shown in merged.items():
            shown["indices"] = sorted(missing if type_ == "unmapped" else types[type_])
    return merged


def searchable_fields(stores: Iterable[StoreState]) -> list[str]:
    """The names of the fields that can be searched in some of several LogStores, sorted."""
    found = {
        name
        for state in stores
        for name, capability in field_capabilities(state).items()
        if capability["searchable"] and not capability["metadata_field"]
    }
    return sorted(found)


def field_capabilities(state: StoreState, *, empty: bool = True) -> dict[str, Capability]:
    """The fields of a LogStore by name; ``empty`` for those too that no record has had yet.

    What the index covers can be searched and aggregated; what it does not, only where the LogStore
    does not insist on one. A record's own properties need none, but for its raw text.
    Source: assumed: as in searches and statements.
    """
    index = state.log_store.active_index
    lenient = not state.log_store.settings.strict_search
    found = {name: _one(_KINDS.get(kind, "keyword"), lenient) for name, kind in _seen(state)}
    if index is not None:
        found |= {
            name: one
            for name, one in _indexed(index.fields)
            if empty or name.partition(".")[0] in found
        }
    fulltext = lenient or (index is not None and index.fulltext)
    found |= {
        "@timestamp": _one("date", True),
        "@stream": _one("keyword", True),
        "@seq": _one("long", True),
        "@raw": _one("text", fulltext, aggregatable=False),
        "_id": _one("_id", True, aggregatable=False, metadata=True),
        "_index": _one("_index", True, metadata=True),
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
