"""Small pipelines as people write them: one is right in each place, the others wrong in one way.

Each has ``poll``, called again and again while simulated time goes on, and ``kept``: the lines it
has written to its output. They know the vendor's SDK and boto3, and nothing of the simulator.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from baidubce.auth.bce_credentials import BceCredentials
from baidubce.bce_client_configuration import BceClientConfiguration
from baidubce.exception import BceHttpClientError
from baidubce.retry.retry_policy import NoRetryPolicy
from baidubce.services.bls.bls_client import BlsClient
from botocore.config import Config

LOOKBACK = timedelta(minutes=10)


class LogStorePipeline:
    """Polls a LogStore with a lookback, drops what it has seen, tries again after an error.

    Equal records may be different requests, so they are counted: a window that is read again holds
    each of them as often as it did.
    """

    page = 1000

    def __init__(self, endpoints: Any, started_at: datetime) -> None:
        self.client = BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(endpoints.access_key, endpoints.secret_key),
                endpoint=endpoints.api,
                retry_policy=NoRetryPolicy(),
            )
        )
        self.checkpoint = started_at
        self.seen: Counter[tuple[int, str]] = Counter()
        self.kept: list[str] = []
        self.errors = 0

    def poll(self, now: datetime) -> None:
        while True:
            try:
                found = Counter(self.pull(self.checkpoint - LOOKBACK, now))
            except BceHttpClientError:
                self.errors += 1
                continue
            new = found - self.seen
            self.seen.update(new)
            self.kept += [message for _, message in new.elements()]
            self.checkpoint = now
            return

    def pull(self, start: datetime, end: datetime) -> Iterable[tuple[int, str]]:
        marker = None
        while True:
            page = self.client.pull_log_records(
                "access",
                f"{start:%Y-%m-%dT%H:%M:%SZ}",
                f"{end + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
                "",
                project="default",
                limit=self.page,
                marker=marker,
            )
            for one in page.result:
                yield one.timestamp, one.message
            if not page.is_truncated:
                return
            marker = page.next_marker


class CheckpointAtNow(LogStorePipeline):
    """Reads from where it last stopped: what becomes visible later is never read."""

    def poll(self, now: datetime) -> None:
        self.kept += [message for _, message in self.pull(self.checkpoint, now)]
        self.checkpoint = now


class RetryWithoutDedupe(LogStorePipeline):
    """Keeps each page as it comes, and after an error begins the window again."""

    page = 20

    def poll(self, now: datetime) -> None:
        while True:
            try:
                # Every window ends well before now and begins where the last one ended.
                end = now - LOOKBACK - timedelta(seconds=1)
                for _, message in self.pull(self.checkpoint - LOOKBACK, end):
                    self.kept.append(message)
            except BceHttpClientError:
                self.errors += 1
                continue
            self.checkpoint = now
            return


class BucketPipeline:
    """Lists everything each time, reads what is new, whatever it is made of."""

    def __init__(self, endpoints: Any) -> None:
        self.s3 = boto3.client(
            "s3",
            endpoint_url=endpoints.s3,
            region_name=endpoints.region,
            aws_access_key_id=endpoints.access_key,
            aws_secret_access_key=endpoints.secret_key,
            config=Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
            ),
        )
        self.read: set[str] = set()
        self.kept: list[str] = []

    def poll(self, now: datetime) -> None:
        for key in self.new_keys():
            body = self.s3.get_object(Bucket="shop-logs", Key=key)["Body"].read()
            self.kept += self.lines(self.unpack(body))

    def new_keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="shop-logs")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        new = [key for key in keys if key not in self.read]
        self.read.update(new)
        return new

    def unpack(self, body: bytes) -> bytes:
        return gzip.decompress(body)

    def lines(self, data: bytes) -> list[str]:
        return data.decode("utf-8", "replace").removesuffix("\n").split("\n")


class FirstMemberOnly(BucketPipeline):
    """Stops where the first gzip member ends."""

    def unpack(self, body: bytes) -> bytes:
        return zlib.decompressobj(31).decompress(body)


class ListsAfterLastKey(BucketPipeline):
    """Takes keys for a clock."""

    last = ""

    def new_keys(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket="shop-logs", StartAfter=self.last)
        keys = [entry["Key"] for entry in listed.get("Contents", [])]
        self.last = max([self.last, *keys])
        return keys


class DropsInvalidBytes(BucketPipeline):
    """Throws away the bytes that it cannot decode."""

    def lines(self, data: bytes) -> list[str]:
        return data.decode("utf-8", "ignore").removesuffix("\n").split("\n")


class DropsInvalidRecords(BucketPipeline):
    """Throws away the records that it cannot decode."""

    def lines(self, data: bytes) -> list[str]:
        kept = []
        for line in data.removesuffix(b"\n").split(b"\n"):
            try:
                kept.append(json.dumps(json.loads(line)))
            except UnicodeDecodeError:
                continue
        return kept


class SkipsBrokenLines(BucketPipeline):
    """Sets aside what is no JSON object; who would not."""

    def lines(self, data: bytes) -> list[str]:
        kept = []
        for line in super().lines(data):
            try:
                kept.append(json.dumps(json.loads(line)))
            except json.JSONDecodeError:
                continue
        return kept

    def unpack(self, body: bytes) -> bytes:
        return zlib.decompressobj(31).decompress(body)  # a stream that was cut has no trailer


def utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
