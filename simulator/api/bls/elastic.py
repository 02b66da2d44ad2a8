"""The Elasticsearch-compatible search: four calls that Kibana makes.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10). An index is named like a LogStore
of the default project, and ``project$logstore`` in others.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from aiohttp import web

from simulator.api.bls.elastic_aggregations import Aggregator
from simulator.api.bls.elastic_query import Search, field_text, parse_millis, parse_query, single
from simulator.api.bls.service import Service
from simulator.api.bls.wire import invalid, read_body
from simulator.api.errors import JSON_TYPE
from simulator.logstore import DEFAULT_PROJECT, Paging, Sort, Value

MAX_HITS: Final = 1000
KEPT_MS: Final = 5 * 86_400_000
_TYPES: Final = {"int": "long", "float": "double", "bool": "boolean", "string": "keyword"}
_OWN: Final = ("@timestamp", "@seq", "@stream", "@raw")


class SearchBody(msgspec.Struct):
    """Body of an asynchronous search."""

    # Any: a language of its own, read where it is used.
    query: dict[str, Any] | None = None
    aggs: dict[str, Any] | None = None
    aggregations: dict[str, Any] | None = None
    fields: list[Any] | None = None
    sort: Any = None
    search_after: list[Any] | None = None
    camel_search_after: list[Any] | None = msgspec.field(default=None, name="searchAfter")
    size: int | None = None


class CapsBody(msgspec.Struct):
    """Body of a request for the capabilities of fields."""

    fields: list[str] | None = None


class TermsBody(msgspec.Struct):
    """Body of a request for the values of a field."""

    field: str = ""
    string: str | None = None
    size: int | None = None
    index_filter: dict[str, Any] | None = None  # Any: a query, see above


class Elastic(Service):
    """Handlers of the Elasticsearch-compatible calls. Everything is done when they answer."""

    async def search(self, request: web.Request) -> web.Response:
        """``_async_search``: hits by time, newest first unless said otherwise, and aggregations."""
        body = await read_body(request, SearchBody)
        index = request.match_info["index"]
        address = _address(index)
        asked = parse_query(body.query)
        size = MAX_HITS if body.size is None else body.size
        if not 0 <= size <= MAX_HITS:
            raise invalid("size", f"expected 0 to {MAX_HITS}")
        sort = _sort(body.sort)
        paged = _after(asked, body.search_after or body.camel_search_after, sort)
        began_ms = int(self.clock.time() * 1000)
        hits = await self.call(self._hits, index, address, paged, size, sort, _names(body.fields))
        response: dict[str, object] = {
            "took": 0,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {"max_score": None, "hits": hits},
        }
        aggregations = body.aggs or body.aggregations
        if aggregations:
            aggregator = Aggregator(lambda search, columns: self._rows(address, search, columns))
            response["aggregations"] = await self.call(aggregator.evaluate, asked, aggregations)
        return _plain(
            {
                "is_partial": False,
                "is_running": False,
                "start_time_in_millis": began_ms,
                "expiration_time_in_millis": began_ms + KEPT_MS,
                "response": response,
                "status": 200,
            }
        )

    async def field_caps(self, request: web.Request) -> web.Response:
        """``_field_caps``: the fields that records have had, and what their values are."""
        body = await read_body(request, CapsBody)
        index = request.match_info["index"]
        patterns = body.fields or ["*"]
        found = await self.call(
            self.engine.query, *_address(index), Search().selection, "select * limit 1", Paging()
        )
        types = {**dict.fromkeys(_OWN, "keyword"), "@timestamp": "date", "@seq": "long"}
        for name, type_ in zip(found.columns, found.column_types, strict=True):
            types.setdefault(name, _TYPES.get(type_, "keyword"))
        fields = {
            name: {
                type_: {
                    "type": type_,
                    "searchable": True,
                    "aggregatable": name != "@raw",
                    "metadata_field": False,
                }
            }
            for name, type_ in types.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
        return _plain({"indices": [index], "fields": fields})

    async def terms_enum(self, request: web.Request) -> web.Response:
        """``_terms_enum``: values of a field that begin with a text, the most frequent ones."""
        body = await read_body(request, TermsBody)
        size = 10 if body.size is None else body.size
        if not 1 <= size <= MAX_HITS:
            raise invalid("size", f"expected 1 to {MAX_HITS}")
        field = field_text(body.field)
        prefix = (body.string or "").replace("'", "''")
        condition = f"substr(cast({field} as varchar), 1, {len(body.string or '')}) = '{prefix}'"
        rows = await self.call(
            self._rows,
            _address(request.match_info["index"]),
            parse_query(body.index_filter),
            f"select {field} as k, count(*) as n where {field} is not null"
            + (f" and {condition}" if prefix else "")
            + f" group by k order by n desc, k limit {size}",
        )
        return _plain({"terms": sorted(str(row[0]) for row in rows), "complete": True})

    async def resolve_index(self, request: web.Request) -> web.Response:
        """``_resolve/index``: the LogStores whose names fit; ``*`` stands for any text."""
        patterns = request.match_info["pattern"].split(",")
        names = [
            store.name if store.project == DEFAULT_PROJECT else f"{store.project}${store.name}"
            for store in self.engine.list_log_stores()
        ]
        streams = [
            {"name": name, "backing_indices": [name], "timestamp_field": "@timestamp"}
            for name in sorted(names)
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        return _plain({"indices": [], "aliases": [], "data_streams": streams})

    def _hits(
        self,
        index: str,
        address: tuple[str, str],
        search: Search,
        size: int,
        sort: Sort,
        names: Sequence[str],
    ) -> list[dict[str, object]]:
        if size == 0 or search.selection.start_ms >= search.selection.end_ms:
            return []
        paging = Paging(limit=size, sort=sort)
        found = self.engine.query(*address, search.selection, f"match {search.text}", paging)
        return [_hit(index, row, names) for row in found.rows]

    def _rows(
        self, address: tuple[str, str], search: Search, statement: str
    ) -> Sequence[Sequence[Value]]:
        query = f"match {search.text} | {statement}"
        return self.engine.query(*address, search.selection, query, Paging()).rows


def _address(index: str) -> tuple[str, str]:
    """Project and LogStore of an index."""
    project, found, name = index.partition("$")
    return (project, name) if found else (DEFAULT_PROJECT, index)


def _sort(sort: object) -> Sort:
    """Only ``@timestamp`` sorts."""
    entries = sort if isinstance(sort, list) else [] if sort is None else [sort]
    for entry in entries:
        name, how = (entry, Sort.DESC) if isinstance(entry, str) else single(entry, "sort")
        if name in {"_doc", "_score"}:
            continue
        order = how.get("order") if isinstance(how, Mapping) else how
        if name != "@timestamp" or not isinstance(order, str) or order not in set(Sort):
            raise invalid("sort", "expected @timestamp, asc or desc")
        return Sort(order)
    return Sort.DESC


def _after(search: Search, after: Sequence[object] | None, sort: Sort) -> Search:
    if not after:
        return search
    at = parse_millis(after[0])
    selection = search.selection
    if sort is Sort.ASC:
        return search.between(at + 1, selection.end_ms)
    return search.between(selection.start_ms, at)


def _names(fields: Sequence[object] | None) -> list[str]:
    """Patterns of the fields wanted: texts, or objects with one."""
    return [
        str(one.get("field", "")) if isinstance(one, Mapping) else str(one) for one in fields or "*"
    ]


def _hit(index: str, row: Sequence[Value], names: Sequence[str]) -> dict[str, object]:
    at_ms, seq, stream, raw = row
    instant = datetime.fromtimestamp(int(str(at_ms)) / 1000, UTC)
    values: dict[str, object] = {
        "@timestamp": instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "@stream": stream,
        "@raw": raw,
    }
    with suppress(msgspec.DecodeError, UnicodeError):  # a text has no fields
        values |= msgspec.json.decode(str(raw), type=dict[str, object])
    return {
        "_index": index,
        "_id": str(seq),
        "_score": None,
        "_version": 1,
        "sort": [at_ms],
        "fields": {
            name: value if isinstance(value, list) else [value]
            for name, value in values.items()
            if any(fnmatchcase(name, pattern) for pattern in names)
        },
    }


def _plain(body: Mapping[str, object]) -> web.Response:
    """Elasticsearch's own answer, without what BLS adds to others."""
    return web.Response(body=msgspec.json.encode(body), content_type=JSON_TYPE, charset="utf-8")
