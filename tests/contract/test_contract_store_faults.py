"""Faults that meet a LogStore as a whole, as clients, flow logs and shippers see them."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from worlds import call, up

from simulator.world import World

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
backends: {web: {}}
load_balancers: [{name: shop, listeners: [{protocol: HTTP, port: 80, to: web}]}]
log_stores: [{name: access}, {name: access, project: web}]
buckets: [shop-logs]
flow_logs:
  - {name: l7, load_balancer: shop, to: {log_store: access, project: default}, delay: 2m}
  - {name: archive, load_balancer: shop, to: {bucket: shop-logs}, delay: 2m}
faults: FAULTS
"""
RANGE = "startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-03-01T02:00:00Z"
STOPPED = (403, "LogStoreStopped", "LogStore stopped (account in arrears)")
NOT_READY = (409, "LogStoreNotReady", "LogStore not ready")


def with_faults(directory: Path, faults: str = "[]") -> AbstractAsyncContextManager[World]:
    return up(directory, SCENARIO.replace("FAULTS", faults))


async def push(
    world: World, store: str = "access", size: int = 1, project: str = ""
) -> tuple[int, dict[str, Any]]:
    path = f"/v1/logstore/{store}/logrecord?project={project}"
    return await call(world, "POST", path, {"logRecords": [{"message": "x" * size}]})


async def visit(world: World, count: int) -> None:
    url = world.endpoints().listeners[0].url
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.get(url) as answer:
                await answer.read()


def refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, object, object]:
    status, body = answer
    return status, body.get("code"), body.get("message")


def check_counts(world: World) -> None:
    for one in world.status().flow_logs:
        accounted = one.delivered + one.pending + one.lost + one.dropped
        assert one.written + one.copied == accounted


async def add(world: World, **fault: str) -> None:
    assert (await call(world, "POST", "/_sim/v1/faults", fault))[0] == 201


async def test_a_stopped_log_store_refuses_whatever_reads_or_writes_data(tmp_path: Path) -> None:
    async with with_faults(tmp_path) as world:
        await add(world, fault="STORE-STOPPED", log_store="default/*", **{"for": "5m"})
        data = f"/v1/logstore/access/logrecord?{RANGE}"
        assert refused(await push(world)) == STOPPED
        for path in (
            data,
            f"{data}&query=match%20*",
            f"{data}&query=select%201",
            f"/v3/logstore/access/logrecord/pull?{RANGE}",
            f"/v2/logstore/access/loghistogram?{RANGE}&query=match%20*",
        ):
            assert refused(await call(world, "GET", path)) == STOPPED
        status, body = await call(world, "POST", "/access/_async_search", {"size": 1})
        assert (status, body["code"]) == STOPPED[:2]
        task = {
            "logStoreName": "access",
            "queryStartTime": "2026-03-01T00:00:00Z",
            "queryEndTime": "2026-03-01T01:00:00Z",
        }
        _, made = await call(world, "POST", "/v2/logstore/download", task)
        _, found = await call(world, "GET", f"/v2/logstore/download/{made['result']['uuid']}")
        assert found["result"]["task"]["failedCode"] == "LogStoreStopped"
        assert (await call(world, "GET", "/v1/logstore/access"))[0] == 200
        assert (await push(world, project="web"))[0] == 200, "the one of another project"
        (view,) = world.faults.views()
        assert (view.subjects, view.hits) == (1, 1)
        await world.advance(300.0)
        assert (await push(world))[0] == 200


async def test_what_flow_logs_deliver_to_a_stopped_log_store_is_lost(tmp_path: Path) -> None:
    faults = "[{fault: STORE-STOPPED, at: 1m, for: 3m}]"
    async with with_faults(tmp_path, faults) as world:
        await visit(world, 3)  # due at 2m, while it is stopped
        await world.advance(150.0)
        await visit(world, 2)  # due at 4m30s
        by_name = {one.name: one for one in world.status().flow_logs}
        assert (by_name["l7"].lost, by_name["l7"].delivered) == (3, 0)
        assert (by_name["archive"].lost, by_name["archive"].delivered) == (0, 3)
        assert by_name["l7"].status == "abnormal"
        check_counts(world)
        await world.advance(150.0)
        by_name = {one.name: one for one in world.status().flow_logs}
        assert (by_name["l7"].lost, by_name["l7"].delivered) == (3, 2)
        assert by_name["l7"].status == "running"
        check_counts(world)
        entries = [one for one in world.engine.deliveries.ledger.entries() if one.outcome == "lost"]
        assert sum(one.record_count for one in entries) == 3
        assert all("LogStoreStopped" in one.reason for one in entries)


async def test_a_new_log_store_is_not_ready_for_a_while(tmp_path: Path) -> None:
    faults = "[{fault: STORE-NOTREADY, log_store: new*, at: 10s, for: 1m, lasts: 30s}]"
    async with with_faults(tmp_path, faults) as world:

        async def make(name: str) -> None:
            body = {"logStoreName": name, "retention": 1}
            assert (await call(world, "POST", "/v1/logstore", body))[0] == 200

        await make("new-before")
        assert (await push(world, "new-before"))[0] == 200
        await world.advance(30.0)
        await make("new")
        await make("other")
        assert refused(await push(world, "new")) == NOT_READY
        pull = f"/v1/logstore/new/logrecord?{RANGE}"
        assert refused(await call(world, "GET", pull)) == NOT_READY
        assert refused(await call(world, "GET", f"{pull}&query=match%20*")) == NOT_READY
        assert (await call(world, "GET", "/v1/logstore/new"))[0] == 200
        assert (await push(world, "other"))[0] == 200
        assert (await push(world, "new-before"))[0] == 200
        await world.advance(29.0)
        assert refused(await push(world, "new")) == NOT_READY
        await world.advance(1.0)
        assert (await push(world, "new"))[0] == 200


async def test_what_flow_logs_deliver_waits_until_the_log_store_is_ready(tmp_path: Path) -> None:
    async with with_faults(tmp_path, "[{fault: STORE-NOTREADY, lasts: 10m}]") as world:
        await visit(world, 3)
        await world.advance(300.0)
        by_name = {one.name: one for one in world.status().flow_logs}
        assert (by_name["l7"].lost, by_name["l7"].pending, by_name["l7"].delivered) == (0, 3, 0)
        check_counts(world)
        await world.advance(600.0)
        (l7,) = (one for one in world.status().flow_logs if one.name == "l7")
        assert (l7.lost, l7.pending, l7.delivered) == (0, 0, 3)
        check_counts(world)


async def test_a_shipper_of_a_stopped_log_store_tries_again(tmp_path: Path) -> None:
    async with with_faults(tmp_path) as world:
        body = {
            "logShipperName": "s",
            "logStoreName": "access",
            "destConfig": {"BOSPath": "shop-logs/shipped/"},
        }
        _, made = await call(world, "POST", "/v1/logshipper", body)
        path = f"/v1/logshipper/{made['logShipperID']}"
        assert (await push(world))[0] == 200
        await add(world, fault="STORE-STOPPED", **{"for": "6m"})
        await world.advance(301.0)
        _, found = await call(world, "GET", path)
        assert (found["status"], found["errMessage"]) == ("Abnormal", STOPPED[2])
        await world.advance(300.0)
        assert (await call(world, "GET", path))[1]["status"] == "Running"
        _, records = await call(world, "GET", f"{path}/record?sinceHours=1")
        assert [one["finishedCount"] for one in records["result"]] == [1]


async def test_pushes_above_the_write_rate_are_limited(tmp_path: Path) -> None:
    faults = "[{fault: STORE-LIMIT, per_shard: 1KB, per_store: 2500B}]"
    limited = (429, "RequestLimited", "Request frequency is too high, please slow down")
    async with with_faults(tmp_path, faults) as world:
        for name, shards in (("one", 1), ("three", 3)):
            body = {"logStoreName": name, "retention": 1, "shardCount": shards}
            assert (await call(world, "POST", "/v1/logstore", body))[0] == 200
        assert (await push(world, "one", 900))[0] == 200
        assert (await push(world, "one", 600))[0] == 200, "100 bytes were left"
        assert refused(await push(world, "one")) == limited
        for size in (1000, 1000, 499):
            assert (await push(world, "three", size))[0] == 200
        assert (await push(world, "three"))[0] == 200
        assert refused(await push(world, "three")) == limited
        await world.advance(0.5)
        assert refused(await push(world, "one")) == limited, "500 bytes are still owed"
        await world.advance(0.1)
        assert (await push(world, "one", 1))[0] == 200
        pull = f"/v1/logstore/one/logrecord?{RANGE}"
        _, page = await call(world, "GET", pull)
        assert [len(one["message"]) for one in page["result"]] == [900, 600, 1]
        await world.advance(10.0)
        assert (await push(world, "one", 1001))[0] == 200, "no more than a second is saved up"
        assert refused(await push(world, "one")) == limited


async def test_a_limit_that_is_put_in_force_anew_owes_nothing(tmp_path: Path) -> None:
    async with with_faults(tmp_path) as world:
        for _ in range(2):
            await add(world, fault="STORE-LIMIT", per_shard="1KB")
            assert (await push(world, size=100_000))[0] == 200
            assert (await push(world))[0] == 429
            (view,) = world.faults.views()
            assert (view.subjects, view.hits) == (1, 1)
            assert (await call(world, "DELETE", "/_sim/v1/faults"))[0] == 200
            assert (await push(world))[0] == 200
            await world.advance(1.0)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"fault": "STORE-STOPPED", "log_store": "a b"}, "a name, or project/name"),
        ({"fault": "STORE-STOPPED", "node": "100.64.3.9"}, "no such key"),
        ({"fault": "STORE-NOTREADY", "lasts": "soon"}, "lasts"),
        ({"fault": "STORE-LIMIT", "per_shard": "0B"}, "per_shard"),
        ({"fault": "STORE-STOP"}, "did you mean 'STORE-STOPPED'?"),
    ],
)
async def test_what_a_fault_cannot_be_told(
    tmp_path: Path, fault: dict[str, str], problem: str
) -> None:
    async with with_faults(tmp_path) as world:
        status, body = await call(world, "POST", "/_sim/v1/faults", fault)
        assert (status, body["code"]) == (400, "InvalidParameter")
        assert problem in body["message"]
