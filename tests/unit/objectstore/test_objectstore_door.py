"""The S3 door as boto3 sees it."""

import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from simulator.errors import StartupError
from simulator.objectstore import ObjectStore, S3Door

AT = 1_772_323_380.0
BUCKET = "shop-logs"


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    store = ObjectStore(None, region="bj")
    store.create_bucket(BUCKET)
    yield store
    store.close()


@pytest.fixture
def client(store: ObjectStore) -> Iterator[Any]:
    door = S3Door()
    door.start()
    client = boto3.client(
        "s3",
        endpoint_url=door.url,
        region_name="bj",
        aws_access_key_id="ak",
        aws_secret_access_key="sk",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            retries={"max_attempts": 1},
        ),
    )
    yield client
    client.close()
    door.stop()


def test_a_pipeline_lists_and_reads_what_was_put_in_process(
    store: ObjectStore, client: Any
) -> None:
    body = b'{"a":1}\n{"a":2}\n'
    store.put_object(BUCKET, "l7/x.log", body, last_modified=AT)
    (entry,) = client.list_objects_v2(Bucket=BUCKET, Prefix="l7/")["Contents"]
    assert entry["Key"] == "l7/x.log"
    assert entry["LastModified"] == datetime.fromtimestamp(AT, UTC)
    assert entry["Size"] == len(body)
    answer = client.get_object(Bucket=BUCKET, Key="l7/x.log")
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "application/octet-stream"
    part = client.get_object(Bucket=BUCKET, Key="l7/x.log", Range="bytes=8-14")
    assert part["Body"].read() == b'{"a":2}'
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    head = client.head_object(Bucket=BUCKET, Key="l7/x.log")
    assert head["LastModified"] == datetime.fromtimestamp(AT, UTC)
    assert head["ETag"] == entry["ETag"] == f'"{store.object_info(BUCKET, "l7/x.log").etag}"'
    assert client.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "bj"


def test_a_gzip_object_stays_packed(store: ObjectStore, client: Any) -> None:
    store.put_object(BUCKET, "x.log.gz", b"\x1f\x8b-not-really", "application/gzip")
    answer = client.get_object(Bucket=BUCKET, Key="x.log.gz")
    assert answer["Body"].read() == b"\x1f\x8b-not-really"
    assert answer["ContentType"] == "application/gzip"
    assert "ContentEncoding" not in answer


def test_listing_is_paged_in_order(store: ObjectStore, client: Any) -> None:
    keys = [f"k/{index:02d}" for index in range(25)]
    for key in reversed(keys):
        store.put_object(BUCKET, key, b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 10}
    )
    listed = [[entry["Key"] for entry in page["Contents"]] for page in pages]
    assert [len(page) for page in listed] == [10, 10, 5]
    assert [key for page in listed for key in page] == keys


def test_a_client_can_move_and_delete(store: ObjectStore, client: Any) -> None:
    store.put_object(BUCKET, "in/x", b"1")
    client.copy_object(Bucket=BUCKET, Key="done/x", CopySource={"Bucket": BUCKET, "Key": "in/x"})
    client.delete_object(Bucket=BUCKET, Key="in/x")
    client.put_object(Bucket=BUCKET, Key="done/y", Body=b"2")
    client.put_object(Bucket=BUCKET, Key="done/y", Body=b"3")
    assert store.list_keys(BUCKET) == ("done/x", "done/y")
    assert store.get_object(BUCKET, "done/y") == b"3"
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket=BUCKET, Key="in/x")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def request(door: S3Door, method: str, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(door.host, door.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_nothing_but_s3_is_answered(store: ObjectStore) -> None:
    store.put_object(BUCKET, "k", b"1")
    door = S3Door()
    door.start()
    try:
        assert request(door, "POST", "/moto-api/reset", {}) == 404
        assert request(door, "GET", "/latest/meta-data/", {}) == 404
        credential = "Credential=ak/20260301/us-east-1/sqs/aws4_request, SignedHeaders=host"
        authorization = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, Signature=0"}
        assert request(door, "GET", f"/{BUCKET}/k", authorization) == 200
    finally:
        door.stop()
    assert store.get_object(BUCKET, "k") == b"1"


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=str(port)):
            S3Door("127.0.0.1", port).start()


def test_stop_frees_port_threads_and_connections(
    store: ObjectStore, capfd: pytest.CaptureFixture[str]
) -> None:
    door = S3Door()
    before = set(threading.enumerate())
    door.start()
    connection = http.client.HTTPConnection(door.host, door.port, timeout=10)
    connection.request("GET", f"/{BUCKET}")
    assert connection.getresponse().read()
    door.stop()
    door.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
    assert set(threading.enumerate()) <= before
    connection.close()
    again = S3Door(door.host, door.port)
    again.start()
    again.stop()
    assert capfd.readouterr() == ("", "")
