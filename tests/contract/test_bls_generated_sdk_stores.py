"""Projects, LogStores, their indexes, streams and templates by the vendor's generated SDK."""

import json

import pytest
from baiducloud_python_sdk_bls.models import (
    BatchGetLogStoreRequest,
    CreateIndexRequest,
    CreateLogStoreRequest,
    CreateLogStoreTemplateRequest,
    CreateProjectRequest,
    DeleteIndexRequest,
    DeleteLogStoreRequest,
    DeleteLogStoreTemplatesRequest,
    DeleteProjectRequest,
    DescribeIndexRequest,
    DescribeLogStoreRequest,
    DescribeLogStoreTemplateRequest,
    DescribeLogStoreTemplatesRequest,
    DescribeProjectRequest,
    Index,
    IndexField,
    ListLogStoreRequest,
    ListLogStreamRequest,
    ListLogStreamResponse,
    ListProjectRequest,
    LogStoreBatchRequest,
    ModelField,
    Tag,
    Template,
    UpdateIndexRequest,
    UpdateLogStoreRequest,
    UpdateLogStoreTemplateRequest,
    UpdateProjectRequest,
)
from baiducloud_python_sdk_core.exception import BceHttpClientError
from bls_served import Served
from generated_sdk import GeneratedSdk, refusal

from simulator.logstore import DEFAULT_SEPARATORS, NewRecord

BORN, LATER = "2026-03-01T00:10:00Z", "2026-03-01T00:10:01Z"


async def test_projects(served: Served, sdk: GeneratedSdk) -> None:
    made = await sdk.create_project(CreateProjectRequest(name="shop", description="orders"))
    assert (made.success, made.code, made.message) == (True, "OK", "")
    again = sdk.create_project(CreateProjectRequest(name="shop"))
    assert await refusal(again) == (409, "ProjectAlreadyExist")
    await served.advance(1)
    listed = (await sdk.list_project(ListProjectRequest(name="sho", page_size=5))).result
    assert (listed.total, listed.page_no, listed.page_size) == (1, 1, 5)
    assert (listed.order, listed.order_by) == ("desc", "createdAt")
    assert (listed.default.name, listed.default.log_store_count) == ("default", 1)
    (project,) = listed.projects
    assert (project.name, project.description, project.top) == ("shop", "orders", False)
    assert (project.log_store_count, project.created_time) == (0, BORN)
    change = UpdateProjectRequest(uuid=project.uuid, description="all orders", top=True)
    assert (await sdk.update_project(change)).code == "OK"
    found = (await sdk.describe_project(DescribeProjectRequest(uuid=project.uuid))).result.project
    assert (found.uuid, found.name) == (project.uuid, "shop")
    assert (found.description, found.top, found.updated_time) == ("all orders", True, LATER)
    await sdk.create_log_store(
        CreateLogStoreRequest(log_store_name="kept", retention=7, project="shop")
    )
    delete = DeleteProjectRequest(uuid=project.uuid)
    assert await refusal(sdk.delete_project(delete)) == (409, "ProjectLogStoreNotEmpty")
    await sdk.delete_log_store(DeleteLogStoreRequest(log_store_name="kept", project="shop"))
    assert (await sdk.delete_project(delete)).success is True
    gone = sdk.describe_project(DescribeProjectRequest(uuid=project.uuid))
    assert await refusal(gone) == (404, "ProjectNotFound")
    assert await refusal(sdk.create_project(CreateProjectRequest(name="a b"))) == (
        400,
        "InvalidParameter",
    )


async def test_log_stores(served: Served, sdk: GeneratedSdk) -> None:
    index = Index(
        fulltext=True,
        case_sensitive=True,
        fields={"status": ModelField(type="long"), "路径": ModelField(type="text")},
    )
    create = CreateLogStoreRequest(
        log_store_name="orders",
        retention=30,
        tags=[Tag(tag_key="team", tag_value="cart")],
        index=index,
        shard_count=3,
        max_shard_count=9,
        disable_shard_auto_split=True,
        hot_retention=8,
        enable_hot_retention=True,
    )
    assert (await sdk.create_log_store(create)).code == "OK"
    assert await refusal(sdk.create_log_store(create)) == (409, "LogStoreAlreadyExist")
    describe = DescribeLogStoreRequest(log_store_name="orders", project="default")
    found = await sdk.describe_log_store(describe)
    assert (found.success, found.code) == (True, "OK")
    assert (found.project, found.log_store_name, found.retention) == ("default", "orders", 30)
    assert (found.shard_count, found.max_shard_count) == (3, 9)
    assert (found.disable_shard_auto_split, found.hot_retention) == (True, 8)
    assert (found.creation_date_time, found.last_modified_time) == (BORN, BORN)
    assert found.index_enabled is True
    assert (found.index.fulltext, found.index.case_sensitive) == (True, True)
    assert (found.index.include_chinese, found.index.separators) == (False, DEFAULT_SEPARATORS)
    assert {name: field.type for name, field in found.index.fields.items()} == {
        "status": "long",
        "路径": "text",
    }
    assert found.index.fields["status"].dynamic_mapping is False
    await served.advance(1)
    update = UpdateLogStoreRequest(
        log_store_name="orders",
        retention=40,
        tags=[Tag(tag_key="team", tag_value="checkout")],
        shard_count=4,
        hot_retention=9,
        index_enabled=False,
    )
    assert (await sdk.update_log_store(update)).success is True
    found = await sdk.describe_log_store(describe)
    assert (found.retention, found.shard_count, found.hot_retention) == (40, 4, 9)
    assert (found.index_enabled, found.last_modified_time) == (False, LATER)
    page = await sdk.list_log_store(ListLogStoreRequest(name_pattern="ord", page_size=5))
    assert (page.order, page.order_by, page.page_no, page.page_size, page.total_count) == (
        "desc",
        "creationDateTime",
        1,
        5,
        1,
    )
    (item,) = page.result
    assert (item.log_store_name, item.project, item.short_id) == (
        "orders",
        "default",
        found.short_id,
    )
    assert (item.enable_hot_retention, item.hot_retention, item.retention) == (True, 9, 40)
    assert (item.enable_archive_retention, item.low_frequency_retention) == (False, 0)
    assert item.resource_id
    assert [(tag.tag_key, tag.tag_value) for tag in item.tags] == [("team", "checkout")]
    batch = BatchGetLogStoreRequest(
        log_stores=[
            LogStoreBatchRequest(project="default", log_store_name=name)
            for name in ("orders", "gone", "access")
        ]
    )
    got = await sdk.batch_get_log_store(batch)
    assert (got.success, got.code) == (True, "OK")
    assert [one.log_store_name for one in got.result] == ["orders", "access"]
    delete = DeleteLogStoreRequest(log_store_name="orders")
    assert (await sdk.delete_log_store(delete)).success is True
    missing = (404, "LogStoreNotFound")
    assert await refusal(sdk.delete_log_store(delete)) == missing
    assert await refusal(sdk.describe_log_store(describe)) == missing
    assert await refusal(sdk.update_log_store(update)) == missing
    elsewhere = CreateLogStoreRequest(log_store_name="x", retention=7, project="nowhere")
    assert await refusal(sdk.create_log_store(elsewhere)) == (404, "ProjectNotFound")
    forever = CreateLogStoreRequest(log_store_name="x", retention=4000)
    assert await refusal(sdk.create_log_store(forever)) == (400, "InvalidParameter")


async def test_an_index(sdk: GeneratedSdk) -> None:
    create = CreateIndexRequest(
        log_store_name="access",
        project="default",
        fulltext=True,
        include_chinese=True,
        separators="/ ",
        fields={"status": IndexField(type="long"), "uri": IndexField(type="text", separators="/")},
    )
    made = await sdk.create_index(create)
    assert (made.success, made.code, made.message) == (True, "OK", "")
    assert await refusal(sdk.create_index(create)) == (409, "IndexAlreadyExist")
    # This SDK alone reads `fields` of DescribeIndex as a list. A map it is all the same: the
    # documentation says so, as do the SDKs for Go, and a list would have no place for the names.
    describe = DescribeIndexRequest(log_store_name="access")
    with pytest.raises(BceHttpClientError) as caught:
        await sdk.describe_index(describe)
    assert isinstance(caught.value.last_error, AttributeError)
    store = DescribeLogStoreRequest(log_store_name="access")
    index = (await sdk.describe_log_store(store)).index
    assert (index.separators, index.include_chinese) == ("/ ", True)
    assert (index.fields["uri"].type, index.fields["uri"].separators) == ("text", "/")
    update = UpdateIndexRequest(log_store_name="access", fulltext=True, case_sensitive=True)
    assert (await sdk.update_index(update)).code == "OK"
    found = await sdk.describe_index(describe)
    assert (found.success, found.code, found.fulltext, found.fields) == (True, "OK", True, [])
    assert (found.case_sensitive, found.include_chinese) == (True, False)
    assert found.separators == DEFAULT_SEPARATORS
    delete = DeleteIndexRequest(log_store_name="access")
    assert (await sdk.delete_index(delete)).success is True
    assert await refusal(sdk.delete_index(delete)) == (404, "IndexNotFound")
    assert (await sdk.describe_index(describe)).fulltext is False
    wrong = UpdateIndexRequest(log_store_name="access", fields={"a": IndexField(type="date")})
    assert await refusal(sdk.update_index(wrong)) == (400, "InvalidParameter")
    nowhere = DescribeIndexRequest(log_store_name="nowhere")
    assert await refusal(sdk.describe_index(nowhere)) == (404, "LogStoreNotFound")


async def test_streams(served: Served, sdk: GeneratedSdk) -> None:
    for stream in ("web/1", "web/2", "db"):
        served.engine.push("default", "access", [NewRecord(message="x")], stream=stream)
        await served.advance(1)
    asked = ListLogStreamRequest(
        log_store_name="access", project="default", name_pattern="web", page_no=1, page_size=1
    )
    answer = await sdk.list_log_stream(asked)
    # This SDK takes the answer of this one call for a download: the caller reads it.
    with answer.object_content as body:
        page = ListLogStreamResponse().from_dict(json.load(body))
    assert (page.total_count, page.page_no, page.page_size) == (2, 1, 1)
    assert (page.order, page.order_by) == ("desc", "creationDateTime")
    assert [(one.log_stream_name, one.creation_date_time) for one in page.result] == [
        ("web/2", LATER)
    ]
    nowhere = ListLogStreamRequest(log_store_name="nowhere", project="default")
    assert await refusal(sdk.list_log_stream(nowhere)) == (404, "LogStoreNotFound")


async def test_templates(served: Served, sdk: GeneratedSdk) -> None:
    template = Template(
        retention=12,
        shard_count=2,
        max_shard_count=6,
        disable_shard_auto_split=True,
        enable_hot_retention=True,
        hot_retention=8,
        index=Index(fulltext=True, fields={"status": ModelField(type="long")}),
    )
    create = CreateLogStoreTemplateRequest(
        name="web",
        project_patterns=["default"],
        logstore_patterns=["web-*"],
        priority=5,
        template=template,
    )
    made = await sdk.create_log_store_template(create)
    assert (made.success, made.code, made.message) == (True, "OK", "")
    assert await refusal(sdk.create_log_store_template(create)) == (
        409,
        "LogStoreTemplateAlreadyExist",
    )
    # `retention` is required here; what it does not say comes from the template.
    await sdk.create_log_store(CreateLogStoreRequest(log_store_name="web-1", retention=10))
    store = await sdk.describe_log_store(DescribeLogStoreRequest(log_store_name="web-1"))
    assert (store.retention, store.shard_count, store.max_shard_count) == (10, 2, 6)
    assert store.index.fields["status"].type == "long"
    await served.advance(1)
    change = UpdateLogStoreTemplateRequest(
        name="web",
        project_patterns=["default", "shop"],
        logstore_patterns=["w*"],
        priority=6,
        template=template,
    )
    assert (await sdk.update_log_store_template(change)).code == "OK"
    describe = DescribeLogStoreTemplateRequest(name="web")
    found = await sdk.describe_log_store_template(describe)
    assert (found.success, found.code, found.name, found.priority) == (True, "OK", "web", 6)
    assert (found.project_patterns, found.logstore_patterns) == (["default", "shop"], ["w*"])
    assert (found.created_timestamp, found.updated_timestamp) == (BORN, LATER)
    inner = found.template
    assert (inner.retention, inner.shard_count, inner.max_shard_count) == (12, 2, 6)
    assert (inner.disable_shard_auto_split, inner.enable_hot_retention) == (True, True)
    assert (inner.hot_retention, inner.index.fields["status"].type) == (8, "long")
    listed = await sdk.describe_log_store_templates(
        DescribeLogStoreTemplatesRequest(page_no=1, page_size=10, name="we", order="asc")
    )
    assert (listed.page_no, listed.page_size, listed.total_count) == (1, 10, 1)
    (item,) = listed.templates
    assert (item.name, item.priority) == ("web", 6)
    assert (item.project_patterns, item.logstore_patterns) == (["default", "shop"], ["w*"])
    assert (item.created_timestamp, item.updated_timestamp) == (BORN, LATER)
    delete = DeleteLogStoreTemplatesRequest(names=["web"])
    assert (await sdk.delete_log_store_templates(delete)).success is True
    missing = (404, "LogStoreTemplateNotFound")
    assert await refusal(sdk.describe_log_store_template(describe)) == missing
    assert await refusal(sdk.update_log_store_template(change)) == missing
    assert await refusal(sdk.delete_log_store_templates(delete)) == missing
