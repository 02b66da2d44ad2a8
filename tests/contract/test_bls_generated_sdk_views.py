"""Views of LogStores by the vendor's generated SDK."""

from baiducloud_python_sdk_bls.models import (
    CreateFastQueryRequest,
    CreateLogStoreViewRequest,
    DeleteLogStoreViewRequest,
    DescribeFastQueryRequest,
    DescribeLogStoreViewRequest,
    Extend,
    ListLogStoreViewRequest,
    LogStore,
    PullLogRecordRequest,
    QueryLogHistogramRequest,
    QueryLogRecordRequest,
    UpdateLogStoreViewRequest,
)
from bls_served import FROM, START_MS, TO, Served
from generated_sdk import GeneratedSdk, refusal

from simulator.logstore import LogStoreSettings, NewRecord, RecordType

BORN, LATER = "2026-03-01T00:10:00Z", "2026-03-01T00:10:01Z"
RANGE = {"start_date_time": FROM, "end_date_time": TO}
AS_VIEW = {"project": "default", "log_store_name": "all", "log_store_type": "LOGSTORE_VIEW"}
WEB = LogStore(region="bj", project="default", name="access")
APP = LogStore(
    region="bj", project="default", name="app", extends=[Extend(column="code", alias="status")]
)


def push(served: Served, name: str, *messages: str) -> None:
    records = [NewRecord(message=message, timestamp_ms=START_MS) for message in messages]
    served.engine.push("default", name, records, record_type=RecordType.JSON)


async def test_views(served: Served, sdk: GeneratedSdk) -> None:
    served.engine.create_log_store("default", "app", LogStoreSettings(retention_days=7))
    create = CreateLogStoreViewRequest(name="all", logstores=[WEB, APP], project="default")
    await sdk.create_log_store_view(create)
    assert await refusal(sdk.create_log_store_view(create)) == (409, "LogStoreViewAlreadyExist")
    describe = DescribeLogStoreViewRequest(name="all", project="default")
    found = await sdk.describe_log_store_view(describe)
    assert (found.project, found.name) == ("default", "all")
    assert (found.created_timestamp, found.updated_timestamp) == (BORN, BORN)
    assert [(one.region, one.project, one.name) for one in found.logstores] == [
        ("bj", "default", "access"),
        ("bj", "default", "app"),
    ]
    (extend,) = found.logstores[1].extends
    assert (extend.column, extend.alias) == ("code", "status")
    await served.advance(1)
    elsewhere = LogStore(region="gz", project="default", name="access")
    for request in (
        UpdateLogStoreViewRequest(name="all", logstores=[elsewhere]),
        UpdateLogStoreViewRequest(name="all", logstores=[]),
    ):
        assert await refusal(sdk.update_log_store_view(request)) == (400, "InvalidParameter")
    await sdk.update_log_store_view(UpdateLogStoreViewRequest(name="all", logstores=[WEB]))
    listed = await sdk.list_log_store_view(
        ListLogStoreViewRequest(
            project="default",
            name="al",
            order="asc",
            order_by="updatedTimestamp",
            page_no=1,
            page_size=5,
        )
    )
    assert (listed.order, listed.order_by) == ("asc", "updatedTimestamp")
    assert (listed.page_no, listed.page_size, listed.total_count) == (1, 5, 1)
    (one,) = listed.views
    assert (one.project, one.name, one.updated_timestamp) == ("default", "all", LATER)
    assert [(store.name, store.extends) for store in one.logstores] == [("access", [])]
    delete = DeleteLogStoreViewRequest(name="all", project="default")
    deleted = await sdk.delete_log_store_view(delete)
    assert (deleted.success, deleted.code) == (True, "OK")
    for call in (sdk.delete_log_store_view(delete), sdk.describe_log_store_view(describe)):
        assert await refusal(call) == (404, "LogStoreViewNotFound")


async def test_records_of_views(served: Served, sdk: GeneratedSdk) -> None:
    served.engine.create_log_store("default", "app", LogStoreSettings(retention_days=7))
    push(served, "access", '{"status": 200}', '{"status": 500}')
    push(served, "app", '{"code": 500}')
    await sdk.create_log_store_view(CreateLogStoreViewRequest(name="all", logstores=[WEB, APP]))
    pulled: list[str] = []
    marker = None
    while marker != "":
        page = await sdk.pull_log_record(
            PullLogRecordRequest(log_stream_name="", limit=1, marker=marker, **RANGE, **AS_VIEW)
        )
        pulled += [record.message for record in page.result]
        marker = page.next_marker
    assert pulled == ['{"status":200}', '{"code":500}', '{"status":500}']
    asked = QueryLogRecordRequest(query="match status = 500", sort="asc", **RANGE, **AS_VIEW)
    found = (await sdk.query_log_record(asked)).result_set
    assert [row[3] for row in found.rows] == ['{"code": 500}', '{"status": 500}']
    asked.query = "select status, count(*) group by status order by status"
    found = (await sdk.query_log_record(asked)).result_set
    assert (found.query_type, found.rows) == ("sql", [[200, 1], [500, 2]])
    counted = QueryLogHistogramRequest(query="match status = 500", **RANGE, **AS_VIEW)
    assert (await sdk.query_log_histogram(counted)).search_info.hits == 2
    saved = CreateFastQueryRequest(fast_query_name="q", query="match *", **AS_VIEW)
    assert (await sdk.create_fast_query(saved)).code == "OK"
    kept = await sdk.describe_fast_query(DescribeFastQueryRequest(fast_query_name="q"))
    assert (kept.log_store_name, kept.log_store_type) == ("all", "LOGSTORE_VIEW")
