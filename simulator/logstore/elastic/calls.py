"""The calls of the Elasticsearch-compatible search: records, aggregations, fields, terms.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the calls and their shapes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final, Protocol

from simulator.clock import Clock, monotonic
from simulator.errors import ControlError
from simulator.logstore.catalog import Catalog, StoreState, seen_by
from simulator.logstore.database import Cursor, Database, Row
from simulator.logstore.elastic.buckets import BucketRunner
from simulator.logstore.elastic.capabilities import (
    CapabilityRequest,
    merge_capabilities,
    searchable_fields,
)
from simulator.logstore.elastic.conditions import ElasticConditions
from simulator.logstore.elastic.document import Node, read_document
from simulator.logstore.elastic.hits import MAX_PATTERNS, find_hits
from simulator.logstore.elastic.indices import (
    IndexOptions,
    index_name,
    select_indices,
    split_index,
)
from simulator.logstore.elastic.queries import QueryParser
from simulator.logstore.elastic.records import Part, found_records, run_bounded
from simulator.logstore.elastic.search_request import parse_query, parse_search
from simulator.logstore.elastic.terms import MAX_TERM_BYTES
from simulator.logstore.elastic.tree import Between, Query, time_span
from simulator.logstore.folds import Folds
from simulator.logstore.footprint import MAX_BYTES, ROWS
from simulator.logstore.record_sizes import RecordSizes
from simulator.logstore.retention import oldest_ms
from simulator.logstore.typed import Bindings, as_text
from simulator.logstore.watchdog import QueryHandle

MAX_ENUM: Final = 1000
"""Terms of one call. Source: assumed (a bound against abuse)."""
_ENUM_SIZE: Final = 10
"""Terms of a call that asks for no number, or for 0, which the SDK for Go sends for none.

Source: doc https://cloud.baidu.com/doc/BLS/s/Omfz7gxzt (2025-10) for the number; the 0 is assumed.
"""

_ALL_THERE: Final = IndexOptions()
_PASSED_OVER: Final = IndexOptions(ignore_unavailable=True)


class OnNothing(Protocol):
    """Told of a search that has no hits."""

    def __call__(self, start_ms: float, end_ms: float, is_empty: Callable[[], bool], /) -> None:
        """Hear the range of time that was searched, which may be open.

        ``is_empty`` says whether there is no record at all in it; it can be asked during the call.
        """


class Elastic:
    """Answers the calls of one engine.

    Args:
        database: of the LogStores.
        catalog: of the LogStores.
        clock: what ``now`` is, and what retention is judged by.
        data_of: the LogStore of a project and name, ready for data.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        clock: Clock,
        data_of: Callable[[str, str], StoreState],
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._data_of = data_of
        self._sizes = RecordSizes()

    def search(
        self,
        index: str,
        document: Mapping[str, object],
        handle: QueryHandle | None = None,
        *,
        options: IndexOptions = _ALL_THERE,
        typed_keys: bool = False,
        on_nothing: OnNothing | None = None,
    ) -> dict[str, object]:
        """Hits and aggregations, as the wire shows them.

        Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the shape: the answer
        is there at once, without a total and without scores; doc the vendor's SDKs
        (baiducloud-python-sdk-bls 0.0.9 and baiducloud-go-sdk, ``AsyncSearchResponse``): the time
        of expiration is that at which the search has ended, and there is always one shard. That
        both times count from when the search began is assumed: the SDK for Go reads 32 bits, and
        nothing at all of an answer with an epoch in milliseconds. ``is_running`` and
        ``is_partial`` are Elasticsearch's (assumed): its clients ask for them.

        Raises:
            ControlError: LogStoreNotFound; InvalidParameter with the place in the document and
                what was expected; ExecutionTimeout.
        """
        began = monotonic()
        stores = self._stores(index, options)
        now_ms = self._now_ms()
        response: dict[str, object] = {"took": 0, "timed_out": False, "_shards": _SHARDS}
        with self._database.querying(handle) as cursor:
            stores = _seen(stores, cursor)
            queries = QueryParser(now_ms, partial(searchable_fields, stores.values()))
            request = parse_search(read_document(document), queries, now_ms)
            bindings = Bindings()
            parts = tuple(self._parts(stores, request.query, cursor, bindings))
            hits = find_hits(cursor, parts, bindings, request.hits, self._sizes)
            response["hits"] = {"hits": hits}
            if request.aggregations:
                records = found_records(parts, bindings)
                runner = BucketRunner(cursor, records, typed_keys=typed_keys)
                # What buckets are made of comes out as many rows at a time.
                largest = max(
                    (self._sizes.largest(cursor, one) for one in stores.values()), default=0
                )
                with self._database.room(min(largest * ROWS, MAX_BYTES), handle):
                    response["aggregations"] = (
                        runner.run(request.aggregations)
                        if parts
                        else runner.complete(request.aggregations, {})
                    )
            if stores and not hits and on_nothing is not None:
                span = time_span(request.query)
                on_nothing(
                    -inf if span.start_ms is None else span.start_ms,
                    inf if span.end_ms is None else span.end_ms,
                    lambda: self._is_empty(stores, span, cursor),
                )
        took_ms = int((monotonic() - began) * 1000)
        response["took"] = took_ms
        return {
            "is_partial": False,
            "is_running": False,
            "start_time_in_millis": 0,
            "expiration_time_in_millis": took_ms,
            "response": response,
            "error": None,
            "status": 200,
        }

    def field_caps(
        self,
        index: str,
        document: Mapping[str, object],
        handle: QueryHandle | None = None,
        *,
        options: IndexOptions = _ALL_THERE,
        request: CapabilityRequest | None = None,
    ) -> dict[str, object]:
        """What the fields of LogStores are and can be used for.

        LogStores in which ``index_filter`` finds nothing are left out.

        Args:
            index: names and patterns of LogStores.
            document: the body of the call.
            handle: lets another thread give the call up.
            options: of the names.
            request: what the call says beside its body; the body's ``fields`` go before its own.

        Raises:
            ControlError: LogStoreNotFound; InvalidParameter; ExecutionTimeout.
        """
        stores = self._stores(index, options)
        members = read_document(document).object(
            frozenset({"fields", "index_filter", "runtime_mappings"})
        )
        if "runtime_mappings" in members and members["runtime_mappings"].object():
            raise members["runtime_mappings"].refuse("is not supported")
        wanted = request or CapabilityRequest(patterns=("*",))
        if "fields" in members:
            wanted = replace(wanted, patterns=_names(members["fields"]))
        if "index_filter" in members:
            with self._database.querying(handle) as cursor:
                stores = _seen(stores, cursor)
                names = partial(searchable_fields, stores.values())
                query = QueryParser(self._now_ms(), names).parse(members["index_filter"])
                bindings = Bindings()
                stores = {
                    part.index: part.state
                    for part in self._parts(stores, query, cursor, bindings)
                    if _has_some(part, cursor, bindings)
                }
        return {"indices": list(stores), "fields": merge_capabilities(stores, wanted)}

    def terms_enum(
        self,
        index: str,
        document: Mapping[str, object],
        handle: QueryHandle | None = None,
        *,
        options: IndexOptions = _ALL_THERE,
    ) -> dict[str, object]:
        """Values of a field that begin with a text, in their order.

        Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10); ``complete``, which says
        whether there are no more, and ``search_after``, a value to go on after, are
        Elasticsearch's (assumed).

        Raises:
            ControlError: LogStoreNotFound; InvalidParameter; ExecutionTimeout.
        """
        stores = self._stores(index, options)
        root = read_document(document)
        members = root.object(
            frozenset(
                {
                    "field",
                    "string",
                    "size",
                    "index_filter",
                    "case_insensitive",
                    "search_after",
                    "timeout",
                }
            )
        )
        if "field" not in members:
            raise root.refuse("field is required")
        field = members["field"]
        size = (members["size"].whole(0, MAX_ENUM) if "size" in members else 0) or _ENUM_SIZE
        start = members["string"].text() if "string" in members else ""
        any_case = "case_insensitive" in members and members["case_insensitive"].flag()
        with self._database.querying(handle) as cursor:
            stores = _seen(stores, cursor)
            names = partial(searchable_fields, stores.values())
            query = parse_query(members.get("index_filter"), QueryParser(self._now_ms(), names))
            bindings = Bindings()
            begins = f"starts_with(term, {bindings.text(start)})"
            if any_case:
                begins = f"starts_with(lower(term), lower({bindings.text(start)}))"
            begins = f"strlen(term) <= {MAX_TERM_BYTES} AND {begins}"
            if "search_after" in members:
                begins += f" AND term > {bindings.text(members['search_after'].text())}"
            selects = [
                f"SELECT {as_text(part.conditions.typed(field.name(), field.path))} AS term"
                f" FROM {part.state.table} WHERE {part.where}"
                for part in self._parts(stores, query, cursor, bindings)
            ]
            rows: list[Row] = []
            if selects:
                sql = (
                    f"SELECT DISTINCT term FROM ({' UNION ALL '.join(selects)}) AS found"
                    f" WHERE {begins} ORDER BY term LIMIT {size + 1}"
                )
                rows = run_bounded(cursor, sql, bindings.used_in(sql))
        return {
            "_shards": _SHARDS,
            "terms": [row[0] for row in rows[:size]],
            "complete": len(rows) <= size,
        }

    def resolve(self, pattern: str, options: IndexOptions = _PASSED_OVER) -> list[str]:
        """The indices that a list of names and patterns with ``*`` stands for, sorted.

        Names that stand for nothing are passed over unless told otherwise. Source: assumed.

        Raises:
            ControlError: LogStoreNotFound.
        """
        known = frozenset(self._indices())
        found = select_indices(pattern, known, options, most=None)
        for name in found:
            if name not in known:
                raise ControlError("LogStoreNotFound", 404, f"LogStore not found: {name[:200]}")
        return list(found)

    def _indices(self) -> Iterator[str]:
        return (index_name(project, name) for project, name in self._catalog.stores)

    def _stores(self, expression: str, options: IndexOptions) -> dict[str, StoreState]:
        """The LogStores that an expression names, by their names as indices, sorted.

        Raises:
            ControlError: LogStoreNotFound, LogStoreNotReady, InvalidParameter.
        """
        stores: dict[str, StoreState] = {}
        for index, named in select_indices(expression, self._indices(), options).items():
            try:
                state = self._data_of(*split_index(index))
            except ControlError:
                # What a pattern fits may not be ready yet, or be gone since.
                if named and not options.ignore_unavailable:
                    raise
                continue
            stores[index] = state.frozen()
        return stores

    def _parts(
        self, stores: Mapping[str, StoreState], query: Query, cursor: Cursor, bindings: Bindings
    ) -> Iterator[Part]:
        """What a query finds in each LogStore."""
        for index, state in stores.items():
            folds = Folds(self._sizes.fold_count(cursor, state))
            conditions = ElasticConditions(
                state.fields, state.log_store, cursor, bindings, index, folds
            )
            kept = self._kept(state)
            where = f"{kept} AND {conditions.write(query)}"
            records = f"{state.table} WHERE {kept}"
            folds.check(cursor, bindings, records, self._sizes.width(cursor, state))
            yield Part(index=index, state=state, conditions=conditions, where=where)

    def _is_empty(self, stores: Mapping[str, StoreState], span: Between, cursor: Cursor) -> bool:
        """Whether LogStores have no record in a range of time."""
        start = "" if span.start_ms is None else f" AND ts >= {span.start_ms}"
        end = "" if span.end_ms is None else f" AND ts <= {span.end_ms}"
        return not any(
            cursor.execute(
                f"SELECT 1 FROM {state.table} WHERE {self._kept(state)}{start}{end} LIMIT 1"
            ).fetchone()
            for state in stores.values()
        )

    def _now_ms(self) -> int:
        return int(self._clock.time() * 1000)

    def _kept(self, state: StoreState) -> str:
        """SQL for what is a record, and retention has not taken."""
        oldest = oldest_ms(state, self._clock.time())
        return "ts IS NOT NULL" if oldest is None else f"ts >= {oldest}"


_SHARDS: Final[Mapping[str, int]] = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


def _seen(stores: Mapping[str, StoreState], cursor: Cursor) -> dict[str, StoreState]:
    """The LogStores with the fields of all records that a transaction sees."""
    return dict(zip(stores, seen_by(cursor, list(stores.values())), strict=True))


def _names(node: Node) -> tuple[str, ...]:
    """Names and patterns of fields."""
    names = tuple(name for one in node.items() for name in one.text().split(","))
    if not all(names) or len(names) > MAX_PATTERNS:
        raise node.refuse(f"expected 1 to {MAX_PATTERNS} names of fields")
    return names


def _has_some(part: Part, cursor: Cursor, bindings: Bindings) -> bool:
    sql = f"SELECT 1 FROM {part.state.table} WHERE {part.where} LIMIT 1"
    rows = run_bounded(cursor, sql, bindings.used_in(sql))
    return bool(rows)
