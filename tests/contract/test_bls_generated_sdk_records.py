"""Records in and out, and saved queries, by the vendor's generated SDK."""

import json

import pytest
from baiducloud_python_sdk_bls.models import (
    CreateFastQueryRequest,
    DeleteFastQueryRequest,
    DescribeFastQueryRequest,
    ListFastQueryRequest,
    LogRecord,
    LogTag,
    PullLogRecordRequest,
    PushLogRecordRequest,
    QueryLogHistogramRequest,
    QueryLogRecordRequest,
    UpdateFastQueryRequest,
)
from bls_served import FROM, START_MS, TO, Served
from generated_sdk import GeneratedSdk, refusal

BORN, LATER = "2026-03-01T00:10:00Z", "2026-03-01T00:10:01Z"
RANGE = {"start_date_time": FROM, "end_date_time": TO}
NOWHERE = (404, "LogStoreNotFound")


async def push(sdk: GeneratedSdk, *messages: str, stream: str = "web/1") -> None:
    records = [
        LogRecord(message=message, timestamp=START_MS + number * 1000)
        for number, message in enumerate(messages)
    ]
    request = PushLogRecordRequest(
        log_store_name="access",
        log_records=records,
        project="default",
        log_stream_name=stream,
        type="JSON",
        tags=[LogTag(k="env", v="test")],
    )
    pushed = await sdk.push_log_record(request)
    assert (pushed.success, pushed.code) == (True, "OK")


def pull(**more: object) -> PullLogRecordRequest:
    asked = {"log_store_name": "access", "log_stream_name": "web/1", "project": "default"}
    return PullLogRecordRequest(**(asked | RANGE | more))


def query(text: str, **more: object) -> QueryLogRecordRequest:
    asked = {"log_store_name": "access", "project": "default", "query": text}
    return QueryLogRecordRequest(**(asked | RANGE | more))


async def test_records_are_pushed_and_pulled(sdk: GeneratedSdk) -> None:
    await push(sdk, '{"n": 1, "名": "中 文"}', '{"n": 2}', '{"n": 3}')
    await push(sdk, '{"n": 4}', stream="db")
    first = await sdk.pull_log_record(pull(limit=2))
    assert [(one.message, one.timestamp) for one in first.result] == [
        ('{"n":1,"名":"中 文"}', START_MS),
        ('{"n":2}', START_MS + 1000),
    ]
    assert (first.is_truncated, first.marker) == (True, "")
    rest = await sdk.pull_log_record(pull(marker=first.next_marker, log_store_type="LOGSTORE"))
    assert [one.message for one in rest.result] == ['{"n":3}']
    assert (rest.is_truncated, rest.marker) == (False, first.next_marker)
    assert not rest.next_marker


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (pull(log_store_name="nowhere"), NOWHERE),
        (pull(project="nowhere"), NOWHERE),
        (pull(limit=1001), (400, "InvalidParameter")),
        (pull(marker="?"), (400, "InvalidParameter")),
        (pull(start_date_time="yesterday"), (400, "InvalidParameter")),
        (pull(end_date_time=FROM), (400, "InvalidParameter")),
    ],
)
async def test_refused_pulls(
    sdk: GeneratedSdk, request_: PullLogRecordRequest, refused: tuple[int, str]
) -> None:
    assert await refusal(sdk.pull_log_record(request_)) == refused


async def test_refused_pushes(sdk: GeneratedSdk) -> None:
    def pushed(record: LogRecord, store: str = "access", type_: str = "TEXT") -> object:
        request = PushLogRecordRequest(log_store_name=store, log_records=[record], type=type_)
        return sdk.push_log_record(request)

    fine = LogRecord(message="x", timestamp=START_MS)
    assert await refusal(pushed(fine, store="nowhere")) == NOWHERE
    assert await refusal(pushed(fine, type_="JSON")) == (400, "InvalidParameter")
    late = LogRecord(message="x", timestamp=START_MS * 100)
    assert await refusal(pushed(late)) == (400, "InvalidParameter")
    large = LogRecord(message="x" * 1_100_000, timestamp=START_MS)
    assert await refusal(pushed(large)) == (413, "RequestOverload")
    assert await refusal(
        sdk.push_log_record(PushLogRecordRequest(log_store_name="access", log_records=[]))
    ) == (400, "InvalidParameter")


async def test_a_search_is_paged_by_marker_and_by_number(sdk: GeneratedSdk) -> None:
    texts = [json.dumps({"n": n, "uri": "/购物?a=1&b=2"}, ensure_ascii=False) for n in range(3)]
    await push(sdk, *texts)
    first = await sdk.query_log_record(query('match uri:"购物"', limit=2, sort="asc"))
    rows = first.result_set
    assert rows.query_type == "match"
    assert rows.columns == ["@timestamp", "@seq", "@stream", "@raw"]
    assert rows.column_types == ["int", "int", "string", "string"]
    assert [(row[0], row[2], row[3]) for row in rows.rows] == [
        (START_MS, "web/1", texts[0]),
        (START_MS + 1000, "web/1", texts[1]),
    ]
    scan = first.dataset_scan_info
    assert (scan.is_truncated, scan.statistics.scan_count) == (True, 3)
    assert scan.statistics.scan_bytes > 0
    assert scan.statistics.execution_time_in_ms >= 0
    rest = await sdk.query_log_record(
        query('match uri:"购物"', limit=2, sort="asc", marker=first.next_marker)
    )
    assert [row[3] for row in rest.result_set.rows] == [texts[2]]
    assert rest.next_marker is None
    numbered = await sdk.query_log_record(query("match *", page_no=3, page_size=1))
    assert [row[3] for row in numbered.result_set.rows] == [texts[0]]


async def test_sql(sdk: GeneratedSdk) -> None:
    await push(sdk, *(json.dumps({"status": s, "cost": s / 1000}) for s in (200, 200, 500)))
    text = "select status, count(*) as n, sum(cost) as cost group by status order by status"
    found = await sdk.query_log_record(query(text, log_stream_name="web/1"))
    assert found.result_set.query_type == "sql"
    assert found.result_set.columns == ["status", "n", "cost"]
    assert found.result_set.column_types == ["int", "int", "float"]
    assert found.result_set.rows == [[200, 2, 0.4], [500, 1, 0.5]]
    assert found.next_marker is None
    both = await sdk.query_log_record(query("match status >= 500 | select count(*) as bad"))
    assert (both.result_set.query_type, both.result_set.rows) == ("match_and_sql", [[1]])
    wrong = await refusal(sdk.query_log_record(query("select from where")))
    assert wrong == (400, "InvalidParameter")
    assert await refusal(sdk.query_log_record(query("match *", log_store_name="gone"))) == NOWHERE


async def test_a_histogram(sdk: GeneratedSdk) -> None:
    await push(sdk, '{"a": 1}', '{"a": 2}')
    asked = QueryLogHistogramRequest(
        log_store_name="access", query="match a = 1", project="default", **RANGE
    )
    found = await sdk.query_log_histogram(asked)
    assert (found.search_info.query_type, found.search_info.hits) == ("match", 1)
    assert found.search_info.took >= 0
    statistic = found.search_statistic
    assert (statistic.interval, statistic.start_time, statistic.end_time) == (60_000, FROM, TO)
    assert len(statistic.histogram) == 60
    assert (statistic.histogram[0].key, statistic.histogram[0].doc_count) == (START_MS, 1)
    assert sum(bucket.doc_count for bucket in statistic.histogram) == 1
    asked.log_store_name = "nowhere"
    assert await refusal(sdk.query_log_histogram(asked)) == NOWHERE


async def test_fast_queries(served: Served, sdk: GeneratedSdk) -> None:
    create = CreateFastQueryRequest(
        fast_query_name="errors",
        query="match status >= 500",
        log_store_name="access",
        log_store_type="LOGSTORE",
        description="all of them",
        log_stream_name="web/1",
    )
    made = await sdk.create_fast_query(create)
    assert (made.success, made.code) == (True, "OK")
    assert await refusal(sdk.create_fast_query(create)) == (409, "FastQueryAlreadyExist")
    await served.advance(1)
    # The name in the path is the one that counts, and nothing is renamed.
    update = UpdateFastQueryRequest(
        name="errors", fast_query_name="other", query="match *", log_store_name="access"
    )
    assert (await sdk.update_fast_query(update)).code == "OK"
    describe = DescribeFastQueryRequest(fast_query_name="errors")
    found = await sdk.describe_fast_query(describe)
    assert (found.fast_query_name, found.query) == ("errors", "match *")
    assert (found.description, found.project) == ("all of them", "default")
    assert (found.log_store_name, found.log_stream_name) == ("access", "web/1")
    assert found.log_store_type == "LOGSTORE"
    assert (found.creation_date_time, found.last_modified_time) == (BORN, LATER)
    page = await sdk.list_fast_query(
        ListFastQueryRequest(
            project="default",
            log_store_name="access",
            log_store_type="LOGSTORE",
            name_pattern="err",
            order="asc",
            order_by="name",
            page_no=1,
            page_size=5,
        )
    )
    assert (page.order, page.order_by, page.page_no, page.page_size, page.total_count) == (
        "asc",
        "name",
        1,
        5,
        1,
    )
    (item,) = page.result
    assert (item.fast_query_name, item.query, item.description) == (
        "errors",
        "match *",
        "all of them",
    )
    assert (item.project, item.log_store_name, item.log_stream_name) == (
        "default",
        "access",
        "web/1",
    )
    assert (item.creation_date_time, item.last_modified_time) == (BORN, LATER)
    delete = DeleteFastQueryRequest(fast_query_name="errors")
    assert (await sdk.delete_fast_query(delete)).success is True
    missing = (404, "FastQueryNotFound")
    assert await refusal(sdk.delete_fast_query(delete)) == missing
    assert await refusal(sdk.describe_fast_query(describe)) == missing
    assert await refusal(sdk.update_fast_query(update)) == missing
    create.log_store_name = "nowhere"
    assert await refusal(sdk.create_fast_query(create)) == NOWHERE
