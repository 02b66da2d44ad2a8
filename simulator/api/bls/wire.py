"""The wire forms of BLS: parameters in, JSON bodies out.

Field names are the vendor's. Zero values and empty texts stand for absent ones, because the Go SDK
sends every field it has.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web

from simulator.api.bls.body_errors import body_error
from simulator.api.bls.results import success
from simulator.api.errors import JSON_TYPE
from simulator.api.payloads import read_payload
from simulator.errors import ControlError, invalid
from simulator.logstore import (
    DEFAULT_PROJECT,
    Histogram,
    LogStoreType,
    QueryResult,
    Selection,
    Sort,
)

INT32_MAX: Final = 2**31 - 1
Body = Mapping[str, object]
T = TypeVar("T")

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
_ORDERS: Final = frozenset({"asc", "desc"})


class ListBody(msgspec.Struct, rename="camel"):
    """Body of the list calls that are POSTs."""

    project: str | None = None
    name: str | None = None
    description: str | None = None
    name_pattern: str | None = None
    order: str | None = None
    order_by: str | None = None
    page_no: int | None = None
    page_size: int | None = None
    binding_resources: list[dict[str, Any]] | None = None  # Any: values are checked where used


class NamedStore(msgspec.Struct, rename="camel"):
    """A LogStore that a body names."""

    project: str | None = None
    log_store_name: str | None = None


class PushedRecord(msgspec.Struct):
    """One record of a push."""

    message: str
    timestamp: int | None = None
    sequence: int | None = None


class PushedTag(msgspec.Struct):
    """One tag of a push."""

    k: str
    v: str | None = None


class PushBody(msgspec.Struct, rename="camel"):
    """Body of PushLogRecord."""

    log_stream_name: str | None = None
    type: str | None = None
    log_records: list[PushedRecord] | None = None
    tags: list[PushedTag] | None = None
    log_tags: list[PushedTag] | None = None


async def read_body(request: web.Request, type_: type[T]) -> T:
    """The JSON body of a request; numbers and booleans may be texts that say them.

    Source: observed with the vendor's command line (bce-cli 2026-10): ``--unfold`` sends all within
    lists and objects as texts. That the service reads them is assumed.

    Raises:
        ControlError: MalformedJSON; InvalidParameter when a field has the wrong type.
    """
    raw = await read_payload(request)
    try:
        try:
            given = b"{}" if raw in {b"", b"null"} else raw
            return msgspec.json.decode(given, type=type_, strict=False)
        except msgspec.ValidationError as error:
            raise body_error(error, msgspec.json.decode(raw), type_) from error
    except RecursionError as error:
        raise invalid("body", "is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        content = raw[:100].decode("utf-8", "replace")
        raise ControlError(
            "MalformedJSON", 400, f"The JSON provided is not well-formed: {content}"
        ) from error


def parse_query(request: web.Request) -> dict[str, str]:
    """Parameters by name; a bare key is an empty value, ``+`` a blank, the first of two counts.

    Source: observed: Go sends ``?project&logStreamName``; the SDKs for Go, Java and Python send a
    blank as ``%20``, that for TypeScript (@otakustay/bce-sdk 2.0.0) as ``+``; all signed ``%20``.
    """
    _, _, query = request.raw_path.partition("?")
    found: dict[str, str] = {}
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        found.setdefault(unquote_plus(name), unquote_plus(value))
    return found


def json_response(body: Body, status: int = 200) -> web.Response:
    """A successful answer."""
    return web.Response(
        body=msgspec.json.encode(success(body)),
        status=status,
        content_type=JSON_TYPE,
        charset="utf-8",
    )


def project_of(name: str | None) -> str:
    """Empty stands for the default project, except in lists."""
    return name or DEFAULT_PROJECT


def parse_address(request: web.Request) -> tuple[str, str]:
    """Project and name of the LogStore a path is about, which cannot be a view.

    Raises:
        ControlError: InvalidParameter for a view.
    """
    parameters = parse_query(request)
    if parse_log_store_type(parameters.get("logStoreType")) is LogStoreType.LOGSTORE_VIEW:
        expected = "expected LOGSTORE: a view can be pulled and queried and nothing else"
        raise invalid("logStoreType", expected, "LOGSTORE_VIEW")
    return project_of(parameters.get("project")), request.match_info["name"]


def parse_instant(parameter: str, text: str | None) -> int:
    """A date-time parameter as epoch milliseconds; fractions and offsets are accepted.

    Raises:
        ControlError: InvalidParameter for what is missing or no date-time.
    """
    if not text:
        raise invalid(parameter, "is required")
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        expected = "expected a time such as 2020-01-10T13:23:34Z"
        if " " in text[11:]:
            expected += ", with the + of an offset sent as %2B"
        raise invalid(parameter, expected, text) from error
    aware = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def parse_whole(parameters: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 0 to ``most``; empty is ``default``.

    Raises:
        ControlError: InvalidParameter.
    """
    text = parameters.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > most:
        raise invalid(name, f"expected a whole number from 0 to {most}", text)
    return int(text)


def parse_sort(name: str, text: str | None) -> Sort:
    """A direction, in capitals too as in lists; empty is the newest first.

    Source: doc https://cloud.baidu.com/doc/BLS/s/hk8to0l9o; the capitals are assumed.

    Raises:
        ControlError: InvalidParameter.
    """
    try:
        return Sort((text or Sort.DESC).lower())
    except ValueError as error:
        raise invalid(name, "expected asc or desc", text) from error


def parse_selection(parameters: Mapping[str, str]) -> Selection:
    """Time range and stream of a pull or a query.

    Raises:
        ControlError: InvalidParameter for a range that is missing, empty or the wrong way round.
    """
    start_ms = parse_instant("startDateTime", parameters.get("startDateTime"))
    end_ms = parse_instant("endDateTime", parameters.get("endDateTime"))
    if end_ms <= start_ms:
        expected = f"expected a time after startDateTime, which is {parameters['startDateTime']}"
        raise invalid("endDateTime", expected, parameters["endDateTime"])
    return Selection(
        start_ms=start_ms, end_ms=end_ms, stream=parameters.get("logStreamName") or None
    )


def parse_log_store_type(type_: str | None) -> LogStoreType:
    """What a name in the request stands for; empty is a LogStore.

    Raises:
        ControlError: InvalidParameter.
    """
    try:
        return LogStoreType(type_ or LogStoreType.LOGSTORE)
    except ValueError as error:
        raise invalid("logStoreType", "expected LOGSTORE or LOGSTORE_VIEW", type_) from error


def list_page(
    items: Sequence[T],
    keys: Mapping[str, Callable[[T], Any]],  # Any: whatever orders the items
    asked: ListBody,
    *,
    most: int = INT32_MAX,
) -> tuple[list[T], dict[str, object]]:
    """One page of a list and the wrapper that describes it.

    Args:
        items: everything that passed the filters, in the order it was made.
        keys: what each name of ``orderBy`` orders by; the first is the default, which an unknown
            name falls back to (assumed).
        asked: as the client sent it; ``order`` is ``desc`` by default.
        most: that a page may hold.

    Raises:
        ControlError: InvalidParameter for the number of a page or its size.
    """
    order = (asked.order or "").lower()
    if order not in _ORDERS:
        order = "desc"
    order_by = asked.order_by or ""
    if order_by not in keys:
        order_by = next(iter(keys))
    page_no, page_size = asked.page_no or 1, asked.page_size or 10
    if page_no < 1:
        raise invalid("pageNo", "expected 1 or more", page_no)
    if not 1 <= page_size <= most:
        raise invalid("pageSize", f"expected 1 to {most}", page_size)
    ordered = sorted(items, key=keys[order_by])
    if order == "desc":
        ordered.reverse()
    start = (page_no - 1) * page_size
    wrapper: dict[str, object] = {
        "order": order,
        "orderBy": order_by,
        "pageNo": page_no,
        "pageSize": page_size,
        "totalCount": len(ordered),
    }
    return ordered[start : start + page_size], wrapper


def list_query(parameters: Mapping[str, str]) -> ListBody:
    """The list parameters of a GET."""
    return ListBody(
        project=parameters.get("project"),
        name_pattern=parameters.get("namePattern"),
        order=parameters.get("order"),
        order_by=parameters.get("orderBy"),
        page_no=parse_whole(parameters, "pageNo", 1, INT32_MAX),
        page_size=parse_whole(parameters, "pageSize", 10, INT32_MAX),
    )


def from_query_result(result: QueryResult, rows: object) -> dict[str, object]:
    """The response of QueryLogRecord. Counts fit in 32 bits, which newer SDKs read them as.

    Args:
        result: what was found.
        rows: what stands for its rows.
    """
    cut = bool(result.truncated_reason)
    result_set: dict[str, object] = {
        "queryType": result.query_type,
        "columns": result.columns,
        "columnTypes": result.column_types,
        "rows": rows,
        "isTruncated": cut,
        "truncatedReason": result.truncated_reason,
    }
    if result.tags:
        result_set["tags"] = result.tags
    body: dict[str, object] = {
        "resultSet": result_set,
        "datasetScanInfo": {
            "isTruncated": cut,
            "truncatedReason": result.truncated_reason,
            "statistics": {
                "executionTimeInMs": min(result.execution_time_ms, INT32_MAX),
                "scanCount": min(result.scan_count, INT32_MAX),
                "scanBytes": min(result.scan_bytes, INT32_MAX),
            },
        },
    }
    if result.next_marker is not None:
        body["nextMarker"] = result.next_marker
    return body


def from_histogram(histogram: Histogram) -> dict[str, object]:
    """The response of QueryLogHistogram.

    Source: doc the vendor's SDKs (baiducloud-python-sdk-bls 0.0.9, ``SearchStatistic``): its start
    and end are those of the request; buckets are whole intervals since the epoch (assumed).
    """
    statistic = {
        "interval": min(histogram.interval_ms, INT32_MAX),  # buckets say how long they really are
        "startTime": date_time(histogram.start_ms / 1000),
        "endTime": date_time(histogram.end_ms / 1000),
        "histogram": [
            {
                "key": bucket.start_ms,
                "doc_count": bucket.count,
                "start": bucket.start_ms,
                "end": bucket.end_ms,
            }
            for bucket in histogram.buckets
        ],
    }
    return {
        "searchInfo": {
            "queryType": histogram.query_type,
            "took": min(histogram.execution_time_ms, INT32_MAX),
            "hits": min(histogram.hits, INT32_MAX),
            "isTruncated": False,
            "pageNo": 1,
            "totalPage": 1,
        },
        "searchStatistic": statistic,
        "searchStatics": statistic,
    }


def compact_json(text: str) -> str:
    """JSON without the white space between its tokens; numbers keep their digits.

    Source: observed in SDK tests: a pull gives JSON records compact, a query gives them verbatim.
    """
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError:
        return text  # a delivered line that is no JSON


def date_time(at: float) -> str:
    """An instant as the wire writes it, the nearest one that can be written."""
    return datetime.fromtimestamp(min(max(at, _FIRST), _LAST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
