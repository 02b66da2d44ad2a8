"""Views of LogStores by the vendor's generated SDK."""

from baiducloud_python_sdk_bls.models import (
    CreateFastQueryRequest,
    CreateLogStoreViewRequest,
    DeleteLogStoreViewRequest,
    DescribeFastQueryRequest,
    DescribeLogStoreViewRequest,
    Extend,
    ListFastQueryRequest,
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
ASKED = {"start_date_time": FROM, "end_date_time": TO, "log_store_type": "LOGSTORE_VIEW"}
ACCESS = LogStore(region="bj", project="default", name="access")
ORDERS = LogStore(
    region="bj",
    project="shop",
    name="orders",
    extends=[Extend(column="code", alias="status")],
)


def fill(served: Served) -> None:
    served.engine.create_project("shop")
    served.engine.create_log_store("shop", "orders", LogStoreSettings(retention_days=7))
    for number, (project, store, text) in enumerate(
        (
            ("default", "access", '{"status":200}'),
            ("shop", "orders", '{"code":500}'),
            ("default", "access", '{"status":500}'),
        )
    ):
        record = NewRecord(message=text, timestamp_ms=START_MS + number * 1000)
        served.engine.push(project, store, [record], record_type=RecordType.JSON)


async def test_views(served: Served, sdk: GeneratedSdk) -> None:
    fill(served)
    create = CreateLogStoreViewRequest(name="all", logstores=[ACCESS], project="default")
    made = await sdk.create_log_store_view(create)
    assert len(made.metadata["x-bce-request-id"]) == 36
    assert await refusal(sdk.create_log_store_view(create)) == (409, "LogStoreViewAlreadyExist")
    await served.advance(1)
    update = UpdateLogStoreViewRequest(name="all", logstores=[ACCESS, ORDERS], project="default")
    await sdk.update_log_store_view(update)
    describe = DescribeLogStoreViewRequest(name="all", project="default")
    found = await sdk.describe_log_store_view(describe)
    assert (found.project, found.name) == ("default", "all")
    assert (found.created_timestamp, found.updated_timestamp) == (BORN, LATER)
    assert [(one.region, one.project, one.name) for one in found.logstores] == [
        ("bj", "default", "access"),
        ("bj", "shop", "orders"),
    ]
    (extend,) = found.logstores[1].extends
    assert (extend.column, extend.alias) == ("code", "status")
    page = await sdk.list_log_store_view(
        ListLogStoreViewRequest(
            project="default",
            name="al",
            order="asc",
            order_by="updatedTimestamp",
            page_no=1,
            page_size=5,
        )
    )
    assert (page.order, page.order_by) == ("asc", "updatedTimestamp")
    assert (page.page_no, page.page_size, page.total_count) == (1, 5, 1)
    (view,) = page.views
    assert (view.project, view.name, len(view.logstores)) == ("default", "all", 2)
    assert (view.created_timestamp, view.updated_timestamp) == (BORN, LATER)
    delete = DeleteLogStoreViewRequest(name="all", project="default")
    deleted = await sdk.delete_log_store_view(delete)
    assert (deleted.success, deleted.code) == (True, "OK")
    missing = (404, "LogStoreViewNotFound")
    assert await refusal(sdk.delete_log_store_view(delete)) == missing
    assert await refusal(sdk.describe_log_store_view(describe)) == missing
    assert await refusal(sdk.update_log_store_view(update)) == missing
    gone = LogStore(region="bj", project="default", name="gone")
    create.logstores = [gone]
    assert await refusal(sdk.create_log_store_view(create)) == (404, "LogStoreNotFound")


async def test_records_of_a_view(served: Served, sdk: GeneratedSdk) -> None:
    fill(served)
    await sdk.create_log_store_view(
        CreateLogStoreViewRequest(name="all", logstores=[ACCESS, ORDERS], project="default")
    )
    where = {"log_store_name": "all", "project": "default", **ASKED}
    sql = QueryLogRecordRequest(query="select status, count(*) as n group by status", **where)
    rows = (await sdk.query_log_record(sql)).result_set.rows
    assert sorted(rows) == [[200, 1], [500, 2]]
    search = QueryLogRecordRequest(query="match status = 500", sort="asc", **where)
    found = (await sdk.query_log_record(search)).result_set
    assert [row[3] for row in found.rows] == ['{"code":500}', '{"status":500}']
    pull = PullLogRecordRequest(log_stream_name="", **where)
    assert [one.message for one in (await sdk.pull_log_record(pull)).result] == [
        '{"status":200}',
        '{"code":500}',
        '{"status":500}',
    ]
    histogram = QueryLogHistogramRequest(query="match *", **where)
    assert (await sdk.query_log_histogram(histogram)).search_info.hits == 3
    sql.log_store_type = "LOGSTORE"
    assert await refusal(sdk.query_log_record(sql)) == (404, "LogStoreNotFound")
    sql.log_store_type, sql.log_store_name = "LOGSTORE_VIEW", "access"
    assert await refusal(sdk.query_log_record(sql)) == (404, "LogStoreViewNotFound")


async def test_fast_queries_of_a_view(served: Served, sdk: GeneratedSdk) -> None:
    fill(served)
    await sdk.create_log_store_view(
        CreateLogStoreViewRequest(name="all", logstores=[ACCESS], project="default")
    )
    await sdk.create_fast_query(
        CreateFastQueryRequest(
            fast_query_name="fq",
            query="match *",
            log_store_name="all",
            log_store_type="LOGSTORE_VIEW",
            project="default",
        )
    )
    described = await sdk.describe_fast_query(DescribeFastQueryRequest(fast_query_name="fq"))
    assert described.log_store_type == "LOGSTORE_VIEW"
    for type_, count in (("LOGSTORE_VIEW", 1), ("LOGSTORE", 0)):
        listed = await sdk.list_fast_query(ListFastQueryRequest(log_store_type=type_))
        assert listed.total_count == count
