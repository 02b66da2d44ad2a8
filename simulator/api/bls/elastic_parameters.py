"""The parameters in the addresses of the Elasticsearch-compatible search.

The vendor names none. Those that Elasticsearch's clients send are understood, or change nothing
here; any other is refused, lest an answer be taken for what it is not. Source: assumed.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from simulator.api.bls.wire import parse_query
from simulator.errors import invalid
from simulator.logstore import CapabilityRequest, IndexOptions

_Document = dict[str, Any]  # Any: the engine reads it, and says where something is wrong

_COMMON: Final = frozenset(
    {"authorization", "error_trace", "filter_path", "human", "ignore_throttled", "pretty"}
)
_NAMES: Final = frozenset({"allow_no_indices", "expand_wildcards", "ignore_unavailable"})
_RESOLVED: Final = _COMMON | _NAMES | {"mode"}
_FIELDS: Final = (
    _COMMON | _NAMES | {"fields", "filters", "include_empty_fields", "include_unmapped", "types"}
)
_WITHOUT_EFFECT: Final = frozenset(
    {
        "allow_partial_search_results",
        "batched_reduce_size",
        "ccs_minimize_roundtrips",
        "enable_fields_emulation",
        "keep_alive",
        "keep_on_completion",
        "max_concurrent_shard_requests",
        "pre_filter_shard_size",
        "preference",
        "request_cache",
        "rest_total_hits_as_int",
        "routing",
        "search_type",
        "timeout",
        "track_scores",
        "track_total_hits",
        "version",
        "wait_for_completion_timeout",
    }
)
"""Of a search: how Elasticsearch is to do it, and how long an answer is kept that is there at
once here; and totals and scores, which there are none of."""
_IN_BODY: Final = frozenset({"_source", "docvalue_fields", "size", "stored_fields"})
"""What stands for members of the body."""
_QUERY_STRING: Final = frozenset({"analyze_wildcard", "default_operator", "df", "lenient", "q"})
_SEARCH: Final = (
    _COMMON | _NAMES | _WITHOUT_EFFECT | _IN_BODY | _QUERY_STRING | {"sort", "typed_keys"}
)
_EXPAND: Final = frozenset({"all", "closed", "hidden", "none", "open"})
_NO_KIND: Final = frozenset({"-multifield", "-nested", "-parent"})
"""Fields of kinds that there are none of."""


class Parameters:
    """The parameters of one request, which are among ``known``.

    Raises:
        ControlError: InvalidParameter for one that is not.
    """

    def __init__(self, request: web.Request, known: frozenset[str]) -> None:
        given = parse_query(request)
        given.pop("", None)
        for name in given:
            if name not in known:
                shown = ", ".join(sorted(known - {"authorization"}))
                raise invalid(name[:60], f"is no parameter of this call; expected {shown}")
        self.given: Mapping[str, str] = given

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether a parameter is true; a bare name is."""
        text = self.given.get(name)
        if text is None:
            return default
        if text not in {"", "true", "false"}:
            raise invalid(name, "expected true or false", text)
        return text != "false"

    def listed(self, name: str) -> tuple[str, ...]:
        """The items that commas separate."""
        return tuple(one for one in self.given.get(name, "").split(",") if one)

    def names(self, *, ignore_unavailable: bool = False) -> IndexOptions:
        """What is to happen where a name stands for no LogStore, unless told."""
        expand = self.listed("expand_wildcards") or ("open",)
        if not _EXPAND.issuperset(expand):
            raise invalid("expand_wildcards", f"expected some of {', '.join(sorted(_EXPAND))}")
        return IndexOptions(
            ignore_unavailable=self.flag("ignore_unavailable", default=ignore_unavailable),
            allow_no_indices=self.flag("allow_no_indices", default=True),
            expand="none" not in expand,
        )


def search_parameters(request: web.Request) -> Parameters:
    """Those of a search."""
    return Parameters(request, _SEARCH)


def capability_parameters(request: web.Request) -> Parameters:
    """Those of a call that asks for fields."""
    return Parameters(request, _FIELDS)


def terms_parameters(request: web.Request) -> Parameters:
    """Those of a call that asks for terms."""
    return Parameters(request, _COMMON | _NAMES)


def resolve_parameters(request: web.Request) -> Parameters:
    """Those of a call that asks for indices."""
    return Parameters(request, _RESOLVED)


def with_parameters(document: _Document, parameters: Parameters) -> _Document:
    """The body of a search with what its address says: ``q``, ``sort``, ``size`` and the like."""
    given = parameters.given
    found: _Document = dict(document)
    if "q" in given:
        names = {"df": "default_field", "default_operator": "default_operator"}
        query: _Document = {names[name]: given[name] for name in names if name in given}
        query["lenient"] = parameters.flag("lenient")
        found["query"] = {"query_string": {"query": given["q"], **query}}
    if "sort" in given:
        found["sort"] = list(parameters.listed("sort"))
    if "size" in given:
        if not given["size"].isascii() or not given["size"].isdigit() or len(given["size"]) > 9:
            raise invalid("size", "expected a whole number", given["size"])
        found["size"] = int(given["size"])
    for name in ("docvalue_fields", "stored_fields"):
        if name in given:
            found[name] = list(parameters.listed(name))
    if "_source" in given:
        flags = {"true": True, "false": False}
        found["_source"] = flags.get(given["_source"], list(parameters.listed("_source")))
    return found


def capability_request(parameters: Parameters) -> CapabilityRequest:
    """Which fields the address asks for, and how they are to be shown."""
    filters = frozenset(parameters.listed("filters"))
    metadata: bool | None = None
    if "+metadata" in filters or "-metadata" in filters:
        metadata = "+metadata" in filters
    unknown = filters - _NO_KIND - {"+metadata", "-metadata"}
    if unknown:
        known = ", ".join(("+metadata", "-metadata", *sorted(_NO_KIND)))
        raise invalid("filters", f"found {min(unknown)[:60]!r}, expected some of {known}")
    return CapabilityRequest(
        patterns=parameters.listed("fields") or ("*",),
        include_unmapped=parameters.flag("include_unmapped"),
        include_empty=parameters.flag("include_empty_fields", default=True),
        types=frozenset(parameters.listed("types")),
        metadata=metadata,
    )
