"""Log shippers and download tasks by the vendor's generated SDK."""

import json

import aiohttp
import pytest
from baiducloud_python_sdk_bls.models import (
    BulkDeleteLogShipperRequest,
    BulkSetLogShipperStatusRequest,
    CreateDownloadTaskRequest,
    CreateLogShipperRequest,
    DeleteDownloadTaskRequest,
    DeleteSingleLogShipperRequest,
    DescribeDownloadTaskRequest,
    DestConfig,
    GetDownloadTaskLinkRequest,
    GetLogShipperRequest,
    ListDownloadTaskRequest,
    ListLogShipperRecordRequest,
    ListLogShipperRequest,
    SetSingleLogShipperStatusRequest,
    UpdateLogShipperRequest,
)
from bls_served import FROM, TO, Served
from generated_sdk import GeneratedSdk, refusal

from simulator.logstore import NewRecord, RecordType

BORN = "2026-03-01T00:10:00Z"


def push(served: Served, *statuses: int) -> None:
    records = [NewRecord(message=json.dumps({"status": status})) for status in statuses]
    served.engine.push("default", "access", records, stream="web", record_type=RecordType.JSON)


async def ship(sdk: GeneratedSdk, name: str, **config: object) -> str:
    """Make a shipper; its id, which the answer has and this SDK does not show."""
    request = CreateLogShipperRequest(
        log_store_name="access",
        log_shipper_name=name,
        dest_config=DestConfig(bos_path="logs/l7/", **config),
        project="default",
        dest_type="BOS",
    )
    made = await sdk.create_log_shipper(request)
    assert (made.success, made.code) == (True, "OK")
    (found,) = (await sdk.list_log_shipper(ListLogShipperRequest(log_shipper_name=name))).result
    return found.log_shipper_id


async def test_a_shipper(served: Served, sdk: GeneratedSdk) -> None:
    id_ = await ship(
        sdk,
        "archive",
        partition_format_ts="%Y/",
        partition_format_log_stream=True,
        max_object_size=32,
        compress_type="none",
        deliver_interval=5,
        storage_format="csv",
        csv_headline=True,
        csv_delimiter="|",
        csv_quote='"',
        null_identifier="-",
        selected_column_name="status",
    )
    get = GetLogShipperRequest(log_shipper_id=id_)
    found = await sdk.get_log_shipper(get)
    assert (found.success, found.code, found.status) == (True, "OK", "Running")
    assert (found.log_shipper_name, found.project, found.log_store_name) == (
        "archive",
        "default",
        "access",
    )
    assert (found.start_time, found.dest_type) == (BORN, "BOS")
    config = found.dest_config
    assert (config.bos_path, config.partition_format_ts) == ("logs/l7/", "%Y/")
    assert (config.partition_format_log_stream, config.max_object_size) == (True, 32)
    assert (config.compress_type, config.deliver_interval) == ("none", 5)
    assert (config.storage_format, config.shipper_type) == ("csv", "text")
    assert (config.csv_headline, config.csv_delimiter, config.csv_quote) == (True, "|", '"')
    assert (config.null_identifier, config.selected_column_name) == ("-", "status")
    assert (config.fields_name, config.fields_type) == ([], [])
    push(served, 500)
    await served.advance(300)
    ((key, body),) = served.buckets.objects["logs"].items()
    assert key.startswith("l7/2026/web/access_")
    assert body.decode().splitlines() == ['"status"', '"500"']
    records = await sdk.list_log_shipper_record(
        ListLogShipperRecordRequest(log_shipper_id=id_, since_hours=1, page_no=1, page_size=10)
    )
    assert (records.success, records.total_count) == (True, 1)
    (run,) = records.result
    assert (run.start_time, run.end_time, run.finished_count) == (BORN, "2026-03-01T00:15:00Z", 1)
    change = UpdateLogShipperRequest(
        log_shipper_id=id_,
        log_shipper_name="renamed",
        dest_config=DestConfig(bos_path="logs/other/", deliver_interval=10),
        project="default",
    )
    assert (await sdk.update_log_shipper(change)).code == "OK"
    found = await sdk.get_log_shipper(get)
    assert (found.log_shipper_name, found.dest_config.bos_path) == ("renamed", "logs/other/")
    assert (found.dest_config.deliver_interval, found.dest_config.csv_delimiter) == (10, "|")
    pause = SetSingleLogShipperStatusRequest(log_shipper_id=id_, status="Paused")
    assert (await sdk.set_single_log_shipper_status(pause)).success is True
    listed = await sdk.list_log_shipper(
        ListLogShipperRequest(
            log_shipper_id=id_[:9],
            project="default",
            log_store_name="acc",
            dest_type="BOS",
            status="Paused",
            order_by="createDateTime",
            order="asc",
            page_no=1,
            page_size=10,
        )
    )
    assert (listed.success, listed.code, listed.total_count) == (True, "OK", 1)
    (item,) = listed.result
    assert (item.log_shipper_id, item.log_shipper_name) == (id_, "renamed")
    assert (item.project, item.log_store_name, item.dest_type) == ("default", "access", "BOS")
    assert (item.status, item.create_date_time, item.err_message) == ("Paused", BORN, "")
    delete = DeleteSingleLogShipperRequest(log_shipper_id=id_)
    assert (await sdk.delete_single_log_shipper(delete)).success is True
    assert (await sdk.get_log_shipper(get)).status == "Deleted"
    assert (await sdk.list_log_shipper(ListLogShipperRequest())).total_count == 0
    missing = (404, "LogShipperNotFound")
    unknown = GetLogShipperRequest(log_shipper_id="unknown")
    assert await refusal(sdk.get_log_shipper(unknown)) == missing
    assert await refusal(sdk.set_single_log_shipper_status(pause)) == missing
    assert await refusal(sdk.update_log_shipper(change)) == missing
    assert await refusal(sdk.delete_single_log_shipper(delete)) == missing
    history = ListLogShipperRecordRequest(log_shipper_id="unknown")
    assert await refusal(sdk.list_log_shipper_record(history)) == missing


async def test_shippers_in_bulk(sdk: GeneratedSdk) -> None:
    ids = [await ship(sdk, name) for name in ("a", "b")]
    pause = BulkSetLogShipperStatusRequest(desired_status="Paused", log_shipper_ids=ids)
    paused = await sdk.bulk_set_log_shipper_status(pause)
    assert (paused.success, paused.code) == (True, "OK")
    listed = await sdk.list_log_shipper(ListLogShipperRequest())
    assert [one.status for one in listed.result] == ["Paused", "Paused"]
    deleted = await sdk.bulk_delete_log_shipper(BulkDeleteLogShipperRequest(log_shipper_ids=ids))
    assert (deleted.success, deleted.code) == (True, "OK")
    assert (await sdk.list_log_shipper(ListLogShipperRequest())).result == []
    wrong = BulkSetLogShipperStatusRequest(desired_status="Asleep", log_shipper_ids=ids)
    assert await refusal(sdk.bulk_set_log_shipper_status(wrong)) == (400, "InvalidParameter")
    nobody = BulkDeleteLogShipperRequest(log_shipper_ids=[])
    assert await refusal(sdk.bulk_delete_log_shipper(nobody)) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"log_store_name": "nowhere"}, (404, "LogStoreNotFound")),
        ({"dest_config": DestConfig()}, (400, "InvalidParameter")),
        ({"dest_config": DestConfig(bos_path="logs/", compress_type="zip")}, (400,)),
        ({"log_shipper_name": "a b"}, (400, "InvalidParameter")),
        ({"start_time": "2020-01-01T00:00:00Z"}, (400, "InvalidParameter")),
        # The schema has a list of names for what should be the settings of Kafka.
        (
            {"dest_type": "KAFKA", "dest_config": DestConfig(kafka_config="brokers")},
            (501, "NotImplemented"),
        ),
    ],
)
async def test_refused_shippers(
    sdk: GeneratedSdk, changes: dict[str, object], refused: tuple[int, ...]
) -> None:
    fine = {
        "log_store_name": "access",
        "log_shipper_name": "s",
        "dest_config": DestConfig(bos_path="logs/"),
    }
    request = CreateLogShipperRequest(**(fine | changes))
    assert (await refusal(sdk.create_log_shipper(request)))[: len(refused)] == refused


async def test_a_download_task(served: Served, sdk: GeneratedSdk) -> None:
    push(served, 200, 404, 500)
    create = CreateDownloadTaskRequest(
        log_store_name="access",
        query_start_time=FROM,
        query_end_time=TO,
        name="bad",
        project="default",
        log_stream_name="web",
        query="match status >= 400",
        format="json",
        limit=50,
        order="asc",
        file_dir="",
    )
    made = await sdk.create_download_task(create)
    assert (made.success, made.code, made.message) == (True, "OK", "")
    uuid = made.result.uuid
    describe = DescribeDownloadTaskRequest(uuid=uuid)
    found = await sdk.describe_download_task(describe)
    assert (found.success, found.code, found.message) == (True, "OK", "")
    task = found.result.task
    assert (task.uuid, task.name, task.project) == (uuid, "bad", "default")
    assert (task.log_store_name, task.query) == ("access", "match status >= 400")
    assert (task.query_start_time, task.query_end_time) == (FROM, TO)
    assert (task.format, task.limit, task.order) == ("json", 50, "asc")
    assert (task.state, task.failed_code, task.failed_message) == ("SUCCESS", "", "")
    assert (task.written_rows, task.file_dir) == (2, "")
    assert (task.exec_start_time, task.exec_end_time) == (BORN, BORN)
    assert (task.created_time, task.updated_time) == (BORN, BORN)
    linked = await sdk.get_download_task_link(GetDownloadTaskLinkRequest(uuid=uuid))
    assert (linked.success, linked.code, linked.message) == (True, "OK", "")
    assert (linked.result.file_dir, linked.result.file_name) == ("", task.file_name)
    async with aiohttp.ClientSession() as session, session.get(linked.result.link) as response:
        lines = (await response.text()).splitlines()
    assert [json.loads(line)["@raw"] for line in lines] == ['{"status": 404}', '{"status": 500}']
    listed = await sdk.list_download_task(
        ListDownloadTaskRequest(
            project="default",
            log_store_name="acc",
            order_by="name",
            order="asc",
            page_no=1,
            page_size=5,
        )
    )
    assert (listed.success, listed.code, listed.message) == (True, "OK", "")
    page = listed.result
    assert (page.total, page.page_no, page.page_size) == (1, 1, 5)
    assert (page.order_by, page.order) == ("name", "asc")
    assert [(one.uuid, one.state) for one in page.tasks] == [(uuid, "SUCCESS")]
    delete = DeleteDownloadTaskRequest(uuid=uuid)
    assert (await sdk.delete_download_task(delete)).success is True
    missing = (404, "DownloadTaskNotFound")
    assert await refusal(sdk.delete_download_task(delete)) == missing
    assert await refusal(sdk.describe_download_task(describe)) == missing
    link = GetDownloadTaskLinkRequest(uuid=uuid)
    assert await refusal(sdk.get_download_task_link(link)) == missing
    create.format = "xml"
    assert await refusal(sdk.create_download_task(create)) == (400, "InvalidParameter")
    nowhere = CreateDownloadTaskRequest(
        log_store_name="nowhere", query_start_time=FROM, query_end_time=TO
    )
    assert await refusal(sdk.create_download_task(nowhere)) == (404, "LogStoreNotFound")
