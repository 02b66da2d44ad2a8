"""The Elasticsearch-compatible search of LogStores: records, aggregations, fields, terms.

An index is a LogStore: by its name in the project ``default``, else ``project$logstore``.
Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the calls and their shapes.
"""

import fnmatch
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Final

from simulator.clock import Clock, monotonic
from simulator.errors import ControlError
from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Database, run_statement
from simulator.logstore.elastic.aggregations import AggregationParser
from simulator.logstore.elastic.buckets import BucketRunner
from simulator.logstore.elastic.capabilities import field_capabilities
from simulator.logstore.elastic.conditions import ElasticConditions
from simulator.logstore.elastic.document import Node, read_document
from simulator.logstore.elastic.hits import MAX_PATTERNS, find_hits, parse_hits
from simulator.logstore.elastic.queries import QueryParser
from simulator.logstore.elastic.tree import Leaf, Query
from simulator.logstore.retention import oldest_ms
from simulator.logstore.search import Everything
from simulator.logstore.typed import Bindings, Typed, as_text
from simulator.logstore.values import DEFAULT_PROJECT
from simulator.logstore.watchdog import QueryHandle

MAX_ENUM: Final = 1000
"""Terms of one call. Source: assumed (a bound against abuse)."""
KEPT_MS: Final = 5 * 86_400_000
"""After this an answer says that it expires. Source: assumed: Elasticsearch's ``keep_alive``."""

_IGNORED: Final = frozenset(
    {
        "_source",
        "docvalue_fields",
        "highlight",
        "runtime_mappings",
        "script_fields",
        "stored_fields",
        "timeout",
        "track_scores",
        "track_total_hits",
        "version",
    }
)
"""Of a search: accepted and without effect; those that would add to a hit must be empty.
Source: assumed: Kibana sends them always."""
_EMPTY: Final = ("runtime_mappings", "script_fields")
_SEARCH: Final = _IGNORED | {
    "query",
    "aggs",
    "aggregations",
    "fields",
    "sort",
    "searchAfter",
    "search_after",
    "size",
}


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

    def search(
        self, index: str, document: Mapping[str, object], handle: QueryHandle | None = None
    ) -> dict[str, object]:
        """Hits and aggregations, as the wire shows them.

        Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for the shape: the answer
        is there at once, without a total and without scores. ``is_running`` and ``is_partial``
        are Elasticsearch's (assumed): its clients ask for them.

        Raises:
            ControlError: LogStoreNotFound; InvalidParameter with the place in the document and
                what was expected; ExecutionTimeout.
        """
        began = monotonic()
        state = self._state(index)
        now_ms = self._now_ms()
        root = read_document(document)
        members = root.object(_SEARCH)
        for name in _EMPTY:
            if name in members and members[name].object():
                raise members[name].refuse("is not supported")
        queries = QueryParser(now_ms)
        query = _query(members.get("query"), queries)
        hits = parse_hits(members, now_ms)
        wanted = members.get("aggs") or members.get("aggregations")
        aggregations = () if wanted is None else AggregationParser(queries, now_ms).parse(wanted)
        response: dict[str, object] = {"took": 0, "timed_out": False, "_shards": _SHARDS}
        with self._database.reading(handle) as cursor:
            conditions = ElasticConditions(state.fields, state.log_store, cursor, Bindings())
            where = f"{self._kept(state)} AND {conditions.write(query)}"
            found = find_hits(cursor, state.table, where, conditions.bindings, hits, index)
            response["hits"] = {"hits": found}
            if aggregations:
                runner = BucketRunner(cursor, state.table, conditions)
                response["aggregations"] = runner.run(aggregations, where)
        response["took"] = int((monotonic() - began) * 1000)
        return {
            "is_partial": False,
            "is_running": False,
            "start_time_in_millis": now_ms,
            "expiration_time_in_millis": now_ms + KEPT_MS,
            "response": response,
            "error": None,
            "status": 200,
        }

    def field_caps(self, index: str, document: Mapping[str, object]) -> dict[str, object]:
        """What the fields of a LogStore are and can be used for.

        Raises:
            ControlError: LogStoreNotFound, InvalidParameter.
        """
        state = self._state(index)
        members = read_document(document).object(
            frozenset({"fields", "index_filter", "runtime_mappings"})
        )
        patterns: tuple[str, ...] = ("*",)
        if "fields" in members:
            patterns = tuple(one.name() for one in members["fields"].items())
        if len(patterns) > MAX_PATTERNS:
            raise members["fields"].refuse(f"expected at most {MAX_PATTERNS} fields")
        capabilities = field_capabilities(state)
        return {
            "indices": [index],
            "fields": {
                name: {shown["type"]: shown}
                for name, shown in capabilities.items()
                if any(_is_like(name, pattern) for pattern in patterns)
            },
        }

    def terms_enum(
        self, index: str, document: Mapping[str, object], handle: QueryHandle | None = None
    ) -> dict[str, object]:
        """Values of a field that begin with a text, in their order.

        Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10); ``complete``, which says
        whether there are no more, is Elasticsearch's (assumed).

        Raises:
            ControlError: LogStoreNotFound; InvalidParameter; ExecutionTimeout.
        """
        state = self._state(index)
        root = read_document(document)
        members = root.object(
            frozenset({"field", "string", "size", "index_filter", "case_insensitive", "timeout"})
        )
        if "field" not in members:
            raise root.refuse("field is required")
        size = members["size"].whole(1, MAX_ENUM) if "size" in members else 10
        start = members["string"].text() if "string" in members else ""
        any_case = "case_insensitive" in members and members["case_insensitive"].flag()
        query = _query(members.get("index_filter"), QueryParser(self._now_ms()))
        with self._database.reading(handle) as cursor:
            bindings = Bindings()
            conditions = ElasticConditions(state.fields, state.log_store, cursor, bindings)
            value = conditions.typed(members["field"].name(), members["field"].path)
            where = f"{self._kept(state)} AND {conditions.write(query)}"
            sql = _enum_sql(value, state.table, where, bindings.text(start), any_case=any_case)
            sql += f" LIMIT {size + 1}"
            _, rows = run_statement(cursor, sql, bindings.used_in(sql))
        return {"terms": [row[0] for row in rows[:size]], "complete": len(rows) <= size}

    def resolve(self, pattern: str) -> dict[str, object]:
        """The LogStores that a list of names and patterns with ``*`` stands for.

        Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10); the empty lists beside
        them are Elasticsearch's (assumed).
        """
        patterns = pattern.split(",")
        names = sorted(
            name
            for name in map(_index_name, self._catalog.stores)
            if any(_is_like(name, one) for one in patterns)
        )
        return {
            "indices": [],
            "aliases": [],
            "data_streams": [
                {"name": name, "backing_indices": [name], "timestamp_field": "@timestamp"}
                for name in names
            ],
        }

    def _state(self, index: str) -> StoreState:
        project, dollar, name = index.partition("$")
        if "*" in index or "," in index:
            raise ControlError(
                "InvalidParameter",
                400,
                "Request param invalid: [index]: expected the name of one LogStore;"
                " only /_resolve/index takes patterns",
            )
        if not dollar:
            project, name = DEFAULT_PROJECT, index
        state = self._data_of(project, name)
        # A field discovered later may have a column that the statements do not see.
        return replace(state, fields=copy(state.fields))

    def _now_ms(self) -> int:
        return int(self._clock.time() * 1000)

    def _kept(self, state: StoreState) -> str:
        """SQL for what retention has not taken."""
        oldest = oldest_ms(state, self._clock.time())
        return "TRUE" if oldest is None else f"ts >= {oldest}"


_SHARDS: Final[Mapping[str, int]] = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


def _query(node: Node | None, queries: QueryParser) -> Query:
    return Leaf(Everything(), "body.query") if node is None else queries.parse(node)


def _enum_sql(value: Typed, table: str, where: str, start: str, *, any_case: bool) -> str:
    text = as_text(value)
    begins = f"starts_with({text}, {start})"
    if any_case:
        begins = f"starts_with(lower({text}), lower({start}))"
    return f"SELECT DISTINCT {text} AS term FROM {table} WHERE {where} AND {begins} ORDER BY term"


def _index_name(key: tuple[str, str]) -> str:
    project, name = key
    return name if project == DEFAULT_PROJECT else f"{project}${name}"


def _is_like(name: str, pattern: str) -> bool:
    # Brackets and question marks are no wildcards here.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))
