"""The S3 door as boto3 sees it."""

import gc
import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from simulator.errors import ControlError, StartupError
from simulator.objectstore import Lag, ObjectStore, S3Door
from simulator.objectstore.mirror import Mirror

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
    client = make_client(door)
    yield client
    client.close()
    door.stop()


def make_client(door: S3Door) -> Any:
    return boto3.client(
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
    connection = http.client.HTTPConnection(door.host, door.port, timeout=60)
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
    connection = http.client.HTTPConnection(door.host, door.port, timeout=60)
    connection.request("GET", f"/{BUCKET}")
    assert connection.getresponse().read()
    door.stop()
    door.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
    assert set(threading.enumerate()) <= before
    connection.close()
    again = S3Door(door.host, door.port)
    again.start()
    again.stop()
    assert capfd.readouterr() == ("", "")


def ipv6_is_there() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not ipv6_is_there(), reason="the machine has no IPv6 loopback")
def test_the_door_opens_on_ipv6(store: ObjectStore) -> None:
    store.put_object(BUCKET, "k", b"1")
    door = S3Door("::1")
    door.start()
    try:
        assert door.url == f"http://[::1]:{door.port}"
        client = make_client(door)
        assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"1"
        client.close()
    finally:
        door.stop()


def test_what_is_no_request_is_not_talked_about(
    store: ObjectStore, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    door = S3Door()
    door.start()
    try:
        for sent in (
            b"\x16\x03\x01 hello\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        ):
            with socket.create_connection((door.host, door.port), timeout=60) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
    finally:
        door.stop()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[ObjectStore, Any]]:
    """A store on ``tmp_path`` and a client of it."""
    store = ObjectStore(tmp_path, region="bj")
    store.create_bucket(BUCKET)
    door = S3Door()
    door.start()
    client = make_client(door)
    yield store, client
    client.close()
    door.stop()
    store.close()


def test_what_a_client_deleted_stays_deleted(kept: tuple[ObjectStore, Any], tmp_path: Path) -> None:
    store, client = kept
    for key in ("a", "a/b", "c.log", "d.log", "e" * 500, "stays"):
        store.put_object(BUCKET, key, b"1", "text/plain")
    client.delete_object(Bucket=BUCKET, Key="a")
    client.delete_object(Bucket=BUCKET, Key="e" * 500)
    client.delete_object(Bucket=BUCKET, Key="never there")
    client.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "a/b"}, {"Key": "c.log"}, {"Key": "d.log"}]}
    )
    again = ObjectStore(tmp_path, region="bj")
    assert again.list_keys(BUCKET) == ("stays",)
    names = {path.name for path in (tmp_path / BUCKET).rglob("*") if path.is_file()}
    assert names == {"stays", "stays?type"}


def test_what_a_client_put_copied_and_completed_is_kept(
    kept: tuple[ObjectStore, Any], tmp_path: Path
) -> None:
    store, client = kept
    store.put_object(BUCKET, "in/x", b"1", last_modified=AT)
    client.copy_object(Bucket=BUCKET, Key="done/x", CopySource={"Bucket": BUCKET, "Key": "in/x"})
    client.put_object(Bucket=BUCKET, Key="y", Body=b"2", ContentType="text/plain")
    client.put_object(Bucket=BUCKET, Key="y", Body=b"3", ContentType="text/csv")
    client.put_object(Bucket=BUCKET, Key="untyped", Body=b"4")
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    parts = []
    for number, body in enumerate((b"x" * 102_400, b"y"), start=1):
        tag = client.upload_part(
            Bucket=BUCKET, Key="big", UploadId=upload, PartNumber=number, Body=body
        )["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    assert store.list_keys(BUCKET) == ("done/x", "in/x", "untyped", "y")
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    before = {key: store.object_info(BUCKET, key) for key in store.list_keys(BUCKET)}

    again = ObjectStore(tmp_path, region="bj")
    assert again.list_keys(BUCKET) == ("big", "done/x", "in/x", "untyped", "y")
    assert again.get_object(BUCKET, "big") == b"x" * 102_400 + b"y"
    assert [again.get_object(BUCKET, key) for key in ("done/x", "untyped", "y")] == [
        b"1",
        b"4",
        b"3",
    ]
    assert again.object_info(BUCKET, "y").content_type == "text/csv"
    assert again.object_info(BUCKET, "in/x").last_modified == AT
    for key, info in before.items():
        found = again.object_info(BUCKET, key)
        assert found.last_modified == pytest.approx(info.last_modified, abs=1e-5)
        assert found.content_type == info.content_type


def test_buckets_of_clients_are_kept_and_go_with_them(
    kept: tuple[ObjectStore, Any], tmp_path: Path
) -> None:
    _, client = kept
    for bucket in ("mine", "gone"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "bj"})
        client.put_object(Bucket=bucket, Key="k", Body=b"1")
    client.delete_object(Bucket="gone", Key="k")
    client.delete_bucket(Bucket="gone")
    again = ObjectStore(tmp_path, region="bj")
    assert again.has_bucket(BUCKET)
    assert again.list_keys("mine") == ("k",)
    assert not again.has_bucket("gone")


def test_a_versioned_bucket_keeps_the_newest(kept: tuple[ObjectStore, Any], tmp_path: Path) -> None:
    _, client = kept
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in ("kept", "deleted"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"old")
        client.put_object(Bucket=BUCKET, Key=key, Body=b"new")
    client.delete_object(Bucket=BUCKET, Key="deleted")
    again = ObjectStore(tmp_path, region="bj")
    assert again.list_keys(BUCKET) == ("kept",)
    assert again.get_object(BUCKET, "kept") == b"new"


def test_a_disk_that_refuses_does_not_refuse_the_client(
    kept: tuple[ObjectStore, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, client = kept

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mirror, "write", refuse)
    client.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert store.get_object(BUCKET, "k") == b"1"
    assert "not kept" in caplog.text


@pytest.fixture
def lagging(tmp_path: Path) -> Iterator[tuple[ObjectStore, Any, list[float]]]:
    """A store on a clock that a list holds, and a client of it; objects b and d show late."""
    now = [AT]
    store = ObjectStore(tmp_path, region="bj", time=lambda: now[0])
    store.create_bucket(BUCKET)
    lags = {"b": Lag(listed_at=AT + 30), "d": Lag(readable_at=AT + 30)}
    for key in "abcde":
        store.put_object(BUCKET, key, b"1", last_modified=AT, lag=lags.get(key))
    door = S3Door()
    door.start()
    client = make_client(door)
    yield store, client, now
    client.close()
    door.stop()
    store.close()


def listed(client: Any, operation: str, **given: Any) -> tuple[list[str], int]:
    """All keys a client lists page by page, and the sum of the pages' KeyCount."""
    pages = list(client.get_paginator(operation).paginate(Bucket=BUCKET, **given))
    keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
    return keys, sum(page.get("KeyCount", 0) for page in pages)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_listings_leave_out_what_shows_late(
    lagging: tuple[ObjectStore, Any, list[float]], size: int
) -> None:
    store, client, now = lagging
    paging = {"PaginationConfig": {"PageSize": size}}
    late = ["a", "c", "d", "e"]
    assert listed(client, "list_objects_v2", **paging) == (late, 4)
    assert listed(client, "list_objects", **paging)[0] == late
    assert store.list_keys(BUCKET) == tuple(late)
    assert client.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"1"
    now[0] = AT + 30
    assert listed(client, "list_objects_v2", **paging) == (list("abcde"), 5)
    assert store.list_keys(BUCKET) == tuple("abcde")


@pytest.mark.filterwarnings("ignore:S3 key was not disposed")  # moto lists copies
def test_listings_of_versions_leave_it_out_too(
    lagging: tuple[ObjectStore, Any, list[float]],
) -> None:
    _, client, _ = lagging
    versions = client.list_object_versions(Bucket=BUCKET)["Versions"]
    assert [one["Key"] for one in versions] == ["a", "c", "d", "e"]
    gc.collect()


def test_what_is_listed_early_cannot_be_read_yet(
    lagging: tuple[ObjectStore, Any, list[float]],
) -> None:
    store, client, now = lagging
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket=BUCKET, Key="d")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    for call in (
        lambda: client.head_object(Bucket=BUCKET, Key="d"),
        lambda: client.copy_object(
            Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "d"}
        ),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(ControlError, match="NoSuchKey"):
        store.get_object(BUCKET, "d")
    now[0] = AT + 30
    assert client.get_object(Bucket=BUCKET, Key="d")["Body"].read() == b"1"
    assert store.get_object(BUCKET, "d") == b"1"


def test_what_a_client_writes_shows_at_once(
    lagging: tuple[ObjectStore, Any, list[float]], tmp_path: Path
) -> None:
    store, client, _ = lagging
    for key in "bd":
        client.put_object(Bucket=BUCKET, Key=key, Body=b"22")
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"22"
    assert store.list_keys(BUCKET) == tuple("abcde")
    store.close()
    again = ObjectStore(tmp_path, region="bj", time=lambda: AT)
    assert again.list_keys(BUCKET) == tuple("abcde")
    assert again.get_object(BUCKET, "d") == b"22"
    again.close()


def test_what_shows_late_does_so_after_a_restart(
    lagging: tuple[ObjectStore, Any, list[float]], tmp_path: Path
) -> None:
    store, _, now = lagging
    store.close()
    again = ObjectStore(tmp_path, region="bj", time=lambda: now[0])
    assert again.list_keys(BUCKET) == ("a", "c", "d", "e")
    with pytest.raises(ControlError, match="NoSuchKey"):
        again.object_info(BUCKET, "d")
    now[0] = AT + 30
    assert again.list_keys(BUCKET) == tuple("abcde")
    assert again.get_object(BUCKET, "d") == b"1"
    again.close()
