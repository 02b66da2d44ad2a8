"""What ``blbsim status`` says of LogStores, log shippers and alarm policies."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from worlds import call, up

from simulator.cli.main import main
from simulator.world import World

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
log_stores: [{name: access}, {name: audit, project: web}]
buckets: [shop-logs]
faults: [{fault: STORE-STOPPED, log_store: web/*, at: 20m, for: 10m}]
"""
POLICY = {
    "name": "errors",
    "targets": [
        {
            "query": "match status >= 500 | select count(*) as bad",
            "startTimeOffsetMinute": -5,
            "endTimeOffsetMinute": 0,
            "object": {"project": "", "logStoreName": "access"},
        }
    ],
    "triggerConditions": [{"level": "WARN", "condition": "$1.bad > 0"}],
    "schedule": {"intervalMinute": 5},
}
SHIPPER = {"logShipperName": "s", "logStoreName": "access"}


def started(directory: Path) -> AbstractAsyncContextManager[World]:
    return up(directory, SCENARIO)


async def push(world: World, *statuses: int) -> None:
    records = [{"message": f'{{"status": {status}}}'} for status in statuses]
    body = {"type": "JSON", "logRecords": records}
    assert (await call(world, "POST", "/v1/logstore/access/logrecord", body))[0] == 200


async def service(world: World) -> dict[str, Any]:
    return (await call(world, "GET", "/_sim/v1/status"))[1]["log_service"]


async def metrics(world: World) -> list[str]:
    url = world.endpoints().api + "/_sim/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.text()).splitlines()


async def test_log_stores_say_what_they_hold_and_whether_they_are_stopped(tmp_path: Path) -> None:
    async with started(tmp_path) as world:
        await push(world, 200, 500)
        index = {"fields": {"status": {"type": "long"}}}
        await call(world, "POST", "/v1/logstore/access/index", index)
        await world.advance(60.0)
        await push(world, 200)
        access, audit = (await service(world))["log_stores"]
        assert access == {
            "project": "default",
            "name": "access",
            "state": "ready",
            "index": "on",
            "records": 3,
            "oldest": "2026-03-01T08:00:00.000+08:00",
            "newest": "2026-03-01T08:01:00.000+08:00",
        }
        assert (audit["records"], audit["oldest"], audit["index"]) == (0, None, "none")
        await world.advance(20 * 60.0)
        _, audit = (await service(world))["log_stores"]
        assert audit["state"] == "stopped"
        [fault] = world.faults.views()
        assert fault.subjects == 0  # to look at it is no call
        found = await metrics(world)
        assert 'blbsim_log_store_records{project="default",log_store="access"} 3' in found
        assert 'blbsim_log_stores{state="stopped"} 1' in found


async def test_shippers_and_alarm_policies_say_how_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path) as world:
        for name, bucket in (("good", "shop-logs"), ("bad", "gone")):
            config = {"BOSPath": f"{bucket}/logs/"}
            body = {**SHIPPER, "logShipperName": name, "destConfig": config}
            assert (await call(world, "POST", "/v1/logshipper", body))[0] == 200
        assert (await call(world, "POST", "/v1/alarm/policy", POLICY))[0] == 200
        found = await service(world)
        assert [one["last_run_at"] for one in found["shippers"]] == [None, None]
        assert [one["state"] for one in found["alarm_policies"]] == ["ok"]

        await push(world, 200, 500)
        await world.advance(301.0)
        found = await service(world)
        good, bad = found["shippers"]
        assert (good["status"], good["records"], good["error"]) == ("Running", 2, "")
        assert (good["last_run_at"], good["bucket"]) == (
            "2026-03-01T08:05:00.000+08:00",
            "shop-logs",
        )
        assert (bad["status"], bad["records"], bad["last_run_at"]) == ("Abnormal", 0, None)
        assert "gone" in bad["error"]
        assert found["alarm_policies"] == [
            {
                "name": "errors",
                "state": "alert",
                "error": "",
                "alarms": 1,
                "evaluated_at": "2026-03-01T08:05:00.000+08:00",
            }
        ]
        monkeypatch.setenv("COLUMNS", "120")
        endpoint = ["--endpoint", world.endpoints().api]
        assert await asyncio.to_thread(main, ["status", *endpoint]) == 0
        shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        moment = "2026-03-01T08:00:00"
        assert f"default/access 2 {moment} {moment} none" in shown
        assert "good default/access, shop-logs Running 2026-03-01T08:05:00 2" in shown
        assert f"log shipper bad: {bad['error']}" in shown
        alert = "alarm policy errors: alert, 1 open alarm, evaluated 2026-03-01T08:05:00"
        assert alert in shown
        found = await metrics(world)
        assert 'blbsim_log_shippers{status="Abnormal"} 1' in found
        assert 'blbsim_alarms_open{policy="errors"} 1' in found


async def test_a_policy_whose_statement_fails_says_why_until_it_does_not(tmp_path: Path) -> None:
    async with started(tmp_path) as world:
        assert (await call(world, "POST", "/v1/alarm/policy", POLICY))[0] == 200
        fault = {"fault": "STORE-STOPPED", "name": "f", "log_store": "access"}
        assert (await call(world, "POST", "/_sim/v1/faults", fault))[0] == 201
        await world.advance(301.0)
        [policy] = (await service(world))["alarm_policies"]
        assert (policy["state"], policy["evaluated_at"][:16]) == ("ok", "2026-03-01T08:05")
        assert "account in arrears" in policy["error"]
        assert (await call(world, "DELETE", "/_sim/v1/faults"))[0] == 200
        await push(world, 200)
        await world.advance(300.0)
        [policy] = (await service(world))["alarm_policies"]
        assert policy["error"] == ""
