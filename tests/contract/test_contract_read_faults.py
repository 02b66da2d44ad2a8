"""Faults that meet a pipeline when it reads, as clients see them, and the faces of faults."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError
from worlds import call, up

from simulator.api import spooled
from simulator.api.bls import results
from simulator.cli.main import main
from simulator.world import World

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
backends: {web: {}}
load_balancers: [{name: shop, listeners: [{protocol: HTTP, port: 80, to: web}]}]
log_stores: [{name: access}]
buckets: [shop-logs]
flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access}}]
faults: FAULTS
"""
PULL = (
    "/v1/logstore/access/logrecord?startDateTime=2026-03-01T00:00:00Z"
    "&endDateTime=2026-03-01T01:00:00Z"
)


def with_faults(directory: Path, faults: str = "[]") -> AbstractAsyncContextManager[World]:
    return up(directory, SCENARIO.replace("FAULTS", faults))


async def test_a_throttled_pull_has_the_vendors_code(tmp_path: Path) -> None:
    async with with_faults(tmp_path, "[{fault: READ-THROTTLE, operation: PullLogRecord}]") as world:
        status, body = await call(world, "GET", PULL)
        assert (status, body["code"]) == (429, "RequestLimited")
        assert set(body) == {"code", "message", "requestId"}
        assert (await call(world, "GET", PULL + "&query=match%20*"))[0] == 200
        (view,) = world.faults.views()
        assert (view.subjects, view.hits, view.realised) == (1, 1, 1.0)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("{fault: READ-ERROR, status: 500}", (500, "InternalError")),
        ("{fault: READ-ERROR}", (503, "ServiceUnavailable")),
        ("{fault: READ-EXPIRED}", (401, "Unauthorized")),
        ("{fault: READ-EXPIRED, api: s3}", (200, "OK")),
    ],
)
async def test_errors_of_the_log_service(
    tmp_path: Path, fault: str, expected: tuple[int, str]
) -> None:
    async with with_faults(tmp_path, f"[{fault}]") as world:
        status, body = await call(world, "GET", PULL)
        assert (status, body.get("code")) == expected


@pytest.mark.parametrize("in_memory", [spooled.MAX_IN_MEMORY_BYTES, 1])
async def test_answers_of_the_log_service_break_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    for module in (spooled, results):
        monkeypatch.setattr(module, "MAX_IN_MEMORY_BYTES", in_memory)
    faults = "[{fault: READ-RESET, operation: Pull*}, {fault: READ-TRUNC, operation: Query*}]"
    async with with_faults(tmp_path, faults) as world, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientOSError):
            await session.get(world.endpoints().api + PULL)
        async with session.get(world.endpoints().api + PULL + "&query=match%20*") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


async def test_a_slow_answer_comes_all_the_same(tmp_path: Path) -> None:
    async with with_faults(tmp_path, "[{fault: READ-SLOW, takes: 1ms..2ms}]") as world:
        assert (await call(world, "GET", PULL))[0] == 200
        assert world.faults.views()[0].hits == 1


def s3(world: World) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=world.endpoints().s3,
        region_name="bj",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("{fault: READ-THROTTLE, operation: GetObject}", 503, "SlowDown"),
        ("{fault: READ-ERROR, status: 500}", 500, "InternalError"),
        ("{fault: READ-EXPIRED}", 403, "AccessDenied"),
    ],
)
async def test_errors_of_the_object_store(
    tmp_path: Path, fault: str, status: int, code: str
) -> None:
    async with with_faults(tmp_path) as world:
        client = s3(world)
        await asyncio.to_thread(client.put_object, Bucket="shop-logs", Key="k", Body=b"x" * 100)
        await call(world, "POST", "/_sim/v1/faults", _fields(fault))
        with pytest.raises(ClientError) as caught:
            await asyncio.to_thread(client.get_object, Bucket="shop-logs", Key="k")
        error = caught.value.response
        assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (
            status,
            code,
        )


async def test_objects_break_off(tmp_path: Path) -> None:
    async with with_faults(tmp_path) as world:
        client = s3(world)
        await asyncio.to_thread(client.put_object, Bucket="shop-logs", Key="k", Body=b"x" * 1000)
        await call(world, "POST", "/_sim/v1/faults", {"fault": "READ-TRUNC", "keep": "10%"})
        answer = await asyncio.to_thread(client.get_object, Bucket="shop-logs", Key="k")
        assert answer["ContentLength"] == 1000
        with pytest.raises(ResponseStreamingError):
            await asyncio.to_thread(answer["Body"].read)
        await call(world, "DELETE", "/_sim/v1/faults")
        await call(world, "POST", "/_sim/v1/faults", {"fault": "READ-RESET", "api": "s3"})
        with pytest.raises(ConnectionClosedError):
            await asyncio.to_thread(client.list_objects_v2, Bucket="shop-logs")
        await call(world, "DELETE", "/_sim/v1/faults")
        listed = await asyncio.to_thread(client.list_objects_v2, Bucket="shop-logs")
        assert [entry["Key"] for entry in listed["Contents"]] == ["k"]


async def test_faults_are_added_listed_and_taken_back(tmp_path: Path) -> None:
    async with with_faults(tmp_path, "[{fault: READ-SLOW, at: 10m, takes: 1ms..1ms}]") as world:
        status, added = await call(
            world,
            "POST",
            "/_sim/v1/faults",
            {"fault": "READ-THROTTLE", "name": "mine", "for": "1m", "share": "50%"},
        )
        assert (status, added["name"], added["status"]) == (201, "mine", "active")
        assert added["settings"] == {"share": "50%", "api": "all", "operation": "*"}
        _, found = await call(world, "GET", "/_sim/v1/faults")
        assert [(one["name"], one["status"]) for one in found["faults"]] == [
            ("read-slow", "waiting"),
            ("mine", "active"),
        ]
        await world.advance(601.0)
        _, found = await call(world, "GET", "/_sim/v1/faults")
        assert [one["status"] for one in found["faults"]] == ["active", "over"]
        status, body = await call(world, "DELETE", "/_sim/v1/faults/nobody")
        assert (status, body["code"]) == (404, "FaultNotFound")
        assert body["message"] == "no fault is named 'nobody'; there is read-slow, mine"
        assert (await call(world, "DELETE", "/_sim/v1/faults/read-slow"))[0] == 200
        status, body = await call(
            world, "POST", "/_sim/v1/faults", {"fault": "READ-SLOW", "takes": "5", "node": "x"}
        )
        assert (status, body["code"]) == (400, "InvalidParameter")
        assert "takes: the duration 5 has no unit" in body["message"]
        assert "node: READ-SLOW has no such key" in body["message"]
    # What was changed by hand outlives a restart, and times still count from the first beginning.
    async with with_faults(tmp_path, "[{fault: READ-SLOW, at: 10m, takes: 1ms..1ms}]") as world:
        assert [(view.name, view.status) for view in world.faults.views()] == [("mine", "over")]
        assert await call(world, "DELETE", "/_sim/v1/faults") == (200, {"removed": 1})


def _fields(fault: str) -> dict[str, str]:
    return dict(part.split(": ") for part in fault.strip("{}").split(", "))


async def test_the_command_does_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    async with with_faults(tmp_path) as world:

        async def blbsim(*words: str) -> tuple[int, str, str]:
            endpoint = ["--endpoint", world.endpoints().api] if words[1] != "kinds" else []
            code = await asyncio.to_thread(main, ["fault", *words[1:], *endpoint])
            return code, *capsys.readouterr()

        assert await blbsim("fault", "list") == (0, "", "no fault is in force\n")
        code, out, _ = await blbsim(
            "fault",
            "add",
            "read-slow",
            "--set",
            "takes=1ms..2ms",
            "--set",
            "api=bls",
            "--share",
            "50%",
            "--for",
            "5m",
        )
        assert code == 0
        assert "time (+08:00)" in out.split("\n")[0]
        row = out.split("\n")[1].split()
        assert row[:8] == ["read-slow", "READ-SLOW", "active", "50%", "-", "0", "of", "0"]
        assert "from 2026-03-01 08:00:00 to 08:05:00 api=bls" in out
        assert (await blbsim("fault", "list"))[1] == out
        _, out, _ = await blbsim("fault", "add", "F-GAP", "--at", "1m", "--for", "16h")
        assert "from 2026-03-01 08:01:00 to 2026-03-02 00:01:00 by=record" in out
        assert (await blbsim("fault", "rm", "f-gap"))[0] == 0
        code, out, error = await blbsim("fault", "add", "READ-SLOW", "--set", "takes=5")
        assert (code, out) == (1, "")
        assert "takes: the duration 5 has no unit" in error
        assert (await blbsim("fault", "add", "READ-SLOW", "--set", "takes"))[0] == 2
        assert (await blbsim("fault", "rm", "read-slow"))[:2] == (
            0,
            "read-slow is no longer in force; it hit 0 of 0\n",
        )
        assert (await blbsim("fault", "clear"))[1] == "0 faults are no longer in force\n"
        code, out, _ = await blbsim("fault", "kinds")
        assert code == 0
        assert "F-LATEOBJ" in out
