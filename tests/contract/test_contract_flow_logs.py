"""The API of flow logs over HTTP, its rules, and what becomes of records on the way."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import worlds
from worlds import up

from simulator.cli.main import main
from simulator.logstore import Selection
from simulator.world import World

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
backends: {web: {}}
dedicated_clusters: [{name: gold}]
load_balancers:
  - {name: shop, id: lb-0000shop, listeners: [{protocol: HTTP, port: 80, to: web}]}
  - {name: gold, id: lb-0000gold, cluster: gold, listeners: [{protocol: HTTP, port: 80, to: web}]}
  - {name: idle, id: lb-0000idle}
log_stores: [{name: access}, {name: other}]
buckets: [shop-logs]
flow_logs: FLOW_LOGS
faults: FAULTS
"""
L7 = "[{name: l7, load_balancer: shop, to: {log_store: access}}]"


def with_flow_logs(
    directory: Path, flow_logs: str = L7, faults: str = "[]"
) -> AbstractAsyncContextManager[World]:
    return up(directory, SCENARIO.replace("FLOW_LOGS", flow_logs).replace("FAULTS", faults))


async def call(
    world: World, method: str, path: str = "", body: object = None
) -> tuple[int, dict[str, Any]]:
    return await worlds.call(world, method, f"/v1/flowlog{path}", body)


def to(log_store: str = "access", name: str = "two", **other: object) -> dict[str, object]:
    return {
        "name": name,
        "resourceId": "lb-0000shop",
        "destType": "BLS",
        "destConfig": {"logStore": log_store},
    } | other


def to_bucket(prefix: str = "l7/", name: str = "two") -> dict[str, object]:
    return to(name=name, destType="BOS", destConfig={"bucket": "shop-logs", "prefix": prefix})


async def get(world: World, path: str, port: int = 0) -> None:
    url = world.endpoints().listeners[port].url
    async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
        await answer.read()


def delivered(world: World, log_store: str) -> list[str]:
    """The paths of the requests in a LogStore, oldest first."""
    page = world.engine.pull("default", log_store, Selection(start_ms=0, end_ms=1 << 52))
    return [json.loads(one.message)["request"].split()[1] for one in page.records]


async def test_a_flow_log_is_made_and_described(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        status, made = await call(world, "POST", "", to("other", description="second"))
        assert status == 200
        status, one = await call(world, "GET", f"/{made['flowLogId']}")
        assert (status, one) == (
            200,
            {
                "flowLogId": made["flowLogId"],
                "name": "two",
                "description": "second",
                "resourceType": "blb",
                "resourceId": "lb-0000shop",
                "layer": 7,
                "samplingRate": 1,
                "destType": "BLS",
                "destConfig": {"project": "default", "logStore": "other"},
                "status": "running",
                "createTime": "2026-03-01T00:00:00Z",
            },
        )
        _, page = await call(world, "GET", "?maxKeys=1")
        assert [log["name"] for log in page["flowLogs"]] == ["l7"]
        assert (page["isTruncated"], page["nextMarker"]) == (True, made["flowLogId"])
        _, page = await call(world, "GET", f"?marker={page['nextMarker']}")
        assert [log["name"] for log in page["flowLogs"]] == ["two"]
        assert page["isTruncated"] is False
        _, page = await call(world, "GET", "?status=stopped")
        assert page["flowLogs"] == []


async def test_each_of_two_flow_logs_gets_a_copy_from_its_making_on(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        await get(world, "/1")
        await call(world, "POST", "", to("other"))
        await get(world, "/2")
        await world.advance(200.0)
        assert delivered(world, "access") == ["/1", "/2"]
        assert delivered(world, "other") == ["/2"]


async def test_a_load_balancer_without_a_flow_log_can_get_one(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        await get(world, "/1", port=1)
        await call(world, "POST", "", to("other", resourceId="gold"))
        await get(world, "/2", port=1)
        await world.advance(200.0)
        assert delivered(world, "other") == ["/2"]


async def test_stop_start_move_and_delete(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        flow_log_id = world.flow_logs.list()[0].flow_log_id
        await get(world, "/1")
        status, one = await call(world, "PUT", f"/{flow_log_id}?stop")
        assert (status, one["status"]) == (200, "stopped")
        await get(world, "/2")
        assert (await call(world, "PUT", f"/{flow_log_id}?start"))[1]["status"] == "running"
        await get(world, "/3")
        status, one = await call(
            world,
            "PUT",
            f"/{flow_log_id}",
            {"name": "moved", "destType": "BLS", "destConfig": {"logStore": "other"}},
        )
        assert (status, one["name"], one["destConfig"]["logStore"]) == (200, "moved", "other")
        await get(world, "/4")
        assert await call(world, "DELETE", f"/{flow_log_id}") == (200, {})
        await get(world, "/5")
        assert (await call(world, "GET", f"/{flow_log_id}"))[1]["code"] == "FlowLogNotFound"
        await world.advance(200.0)
        assert delivered(world, "access") == ["/1", "/3"]
        assert delivered(world, "other") == ["/4"]
        assert world.status().flow_logs == ()
    # A restart brings back neither the flow log nor its records.
    async with with_flow_logs(tmp_path) as world:
        assert world.flow_logs.list() == ()
        await get(world, "/6")
        await world.advance(200.0)
        assert delivered(world, "access") == ["/1", "/3"]


async def test_changes_outlive_a_restart(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        await call(world, "POST", "", to_bucket())
        flow_log_id = world.flow_logs.list()[0].flow_log_id
        await get(world, "/1")
        await call(world, "PUT", f"/{flow_log_id}?stop")
        await get(world, "/2")
    async with with_flow_logs(tmp_path) as world:
        assert [(log.name, log.status) for log in world.flow_logs.list()] == [
            ("l7", "stopped"),
            ("two", "running"),
        ]
        await get(world, "/3")
        await world.advance(400.0)
        assert delivered(world, "access") == ["/1"]
        by_name = {log.name: log for log in world.status().flow_logs}
        assert (by_name["two"].delivered, by_name["l7"].status) == (3, "stopped")


async def test_a_flow_log_that_is_not_as_the_scenario_has_it_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_flow_logs(tmp_path) as world:
        await call(world, "POST", "", to("other"))
        first, second = (log.flow_log_id for log in world.flow_logs.list())
    async with with_flow_logs(tmp_path) as world:
        assert "as the scenario has it" not in caplog.text
        await call(world, "PUT", f"/{first}", {"name": "first"})
        await call(world, "DELETE", f"/{second}")
    async with with_flow_logs(tmp_path) as world:
        assert caplog.text.count("as the scenario has it") == 1
        assert "flow log l7 is not as the scenario has it" in caplog.text
        caplog.clear()
        await call(world, "DELETE", f"/{first}")
    async with with_flow_logs(tmp_path):
        assert "flow log l7 is not as the scenario has it" in caplog.text


async def test_a_name_and_a_deletion_outlive_a_restart(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        await call(world, "POST", "", to_bucket())
        renamed, deleted = (log.flow_log_id for log in world.flow_logs.list())
        await get(world, "/1")
        await call(world, "PUT", f"/{renamed}", {"name": "first"})
        await call(world, "DELETE", f"/{deleted}")
        shown = [log.name for log in world.status().flow_logs]
    async with with_flow_logs(tmp_path) as world:
        assert [log.name for log in world.status().flow_logs] == shown == ["first"]
        assert [mark.flow_log for mark in world.delivery.ledger.watermarks()] == ["first"]
        await world.advance(400.0)
        assert delivered(world, "access") == ["/1"]
        assert len(list((tmp_path / "data").rglob("objects/shop-logs/*.log"))) == 1


async def test_faults_go_on_naming_a_flow_log_that_is_renamed(tmp_path: Path) -> None:
    gap = "[{fault: F-GAP, name: gap, flow_log: l7}]"
    async with with_flow_logs(tmp_path, faults=gap) as world:
        await call(world, "POST", "", to("other"))
        first = world.flow_logs.list()[0].flow_log_id
        world.faults.add({"fault": "F-DUP", "name": "dup", "flow_log": "l7"})
        assert (await call(world, "PUT", f"/{first}", {"name": "first"}))[0] == 200
        await call(world, "PUT", f"/{world.flow_logs.list()[1].flow_log_id}", {"name": "l7"})
        assert [fault.settings["flow_log"] for fault in world.faults.views()] == ["first", "first"]
        await get(world, "/1")
        await world.advance(400.0)
        assert (delivered(world, "access"), delivered(world, "other")) == ([], ["/1"])
    async with with_flow_logs(tmp_path, faults=gap) as world:
        # The scenario's file still says l7, which is another flow log by now.
        assert [fault.settings["flow_log"] for fault in world.faults.views()] == ["first", "first"]
        await get(world, "/2")
        await world.advance(400.0)
        assert (delivered(world, "access"), delivered(world, "other")) == ([], ["/1", "/2"])


async def test_a_scenario_without_buckets_goes_on_with_a_flow_log_that_had_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_flow_logs(tmp_path) as world:
        await call(world, "POST", "", to_bucket())
    monkeypatch.setitem(globals(), "SCENARIO", SCENARIO.replace("buckets: [shop-logs]\n", ""))
    async with with_flow_logs(tmp_path) as world:
        assert [log.name for log in world.status().flow_logs] == ["l7", "two"]


REFUSED = [
    (to(name="l7", log_store="other"), 409, "FlowLogAlreadyExist", "named 'l7' already"),
    (to(), 409, "FlowLogAlreadyExist", "to this destination already"),
    (to("nowhere"), 404, "LogStoreNotFound", "LogStore [nowhere] not exists"),
    (to("other", resourceId="lb-99999999"), 404, "InstanceNotFound", "lb-99999999"),
    (to("other", resourceId="idle"), 400, "OperationNotSupported", "no HTTP or HTTPS listener"),
    (to("other", layer=4), 400, "OperationNotSupported", "is on the shared one"),
    (to("other", layer=4, resourceId="gold"), 501, "NotImplemented", "layer 4"),
    (to("other", layer=5), 400, "InvalidParameter", "expected 4 or 7"),
    (to("other", trafficType="ALL"), 400, "InvalidParameter", "layer 4 only"),
    (to("other", samplingRate=0.5), 400, "InvalidParameter", "F-SAMPLE"),
    (to("other", resourceType="car"), 400, "InvalidParameter", "'car' is unknown"),
    (to("other", description="x" * 201), 400, "InvalidParameter", "at most 200"),
    (to("other", name="1st"), 400, "InvalidParameter", "name: '1st' is not a name"),
    (to("other", destType="KAFKA"), 400, "InvalidParameter", "expected BLS or BOS"),
    ({"name": "x"}, 400, "MissingParameter", "resourceId"),
    (to("other", destConfig={}), 400, "MissingParameter", "logStore"),
    (to_bucket("/l7"), 400, "InvalidParameter", "no leading '/'"),
    (
        to(destType="BOS", destConfig={"bucket": "nowhere"}),
        404,
        "NoSuchBucket",
        "the bucket nowhere does not exist",
    ),
    (
        to(destConfig={"logStore": "other", "region": "gz"}),
        400,
        "InvalidParameter",
        "expected the same region",
    ),
]


@pytest.mark.parametrize(("body", "status", "code", "says"), REFUSED)
async def test_the_rules_are_errors(
    tmp_path: Path, body: dict[str, object], status: int, code: str, says: str
) -> None:
    async with with_flow_logs(tmp_path) as world:
        got, answer = await call(world, "POST", "", body)
        assert (got, answer["code"]) == (status, code)
        assert says in answer["message"]
        assert [log.name for log in world.flow_logs.list()] == ["l7"]


async def test_the_eleventh_is_too_many(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        for number in range(9):
            body = to_bucket(f"p{number}/", name=f"n{number}")
            assert (await call(world, "POST", "", body))[0] == 200
        status, answer = await call(world, "POST", "", to_bucket("p/", name="eleventh"))
        assert (status, answer["code"]) == (413, "QuotaExceeded")


async def test_other_resources_are_accepted_and_stay_empty(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        body = to("other", resourceType="nat", resourceId="nat-1")
        status, made = await call(world, "POST", "", body)
        assert status == 200
        assert (await call(world, "PUT", f"/{made['flowLogId']}?stop"))[1]["status"] == "stopped"
        assert (await call(world, "DELETE", f"/{made['flowLogId']}"))[0] == 200


async def test_a_number_has_a_bound(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        for target in ("/v1/flowlog?maxKeys=", "/_sim/v1/records?last="):
            status, answer = await worlds.call(world, "GET", target + "9" * 5000)
            assert (status, answer["code"]) == (400, "InvalidParameter")


async def test_a_client_token_makes_one_flow_log(tmp_path: Path) -> None:
    async with with_flow_logs(tmp_path) as world:
        first = await call(world, "POST", "?clientToken=t1", to("other"))
        assert await call(world, "POST", "?clientToken=t1", to("other")) == first
        assert len(world.flow_logs.list()) == 2
        status, answer = await call(world, "POST", "?clientToken=t1", to("other", name="third"))
        assert (status, answer["code"]) == (403, "IdempotentParameterMismatch")
        long = "x" * 65
        assert (await call(world, "POST", f"?clientToken={long}", to("other")))[0] == 400


@pytest.mark.parametrize(
    ("form", "access", "other"),
    [("old", ["/1", "/2"], ["/3"]), ("missing", ["/1"], ["/3"])],
)
async def test_settings_overlap_for_a_while(
    tmp_path: Path, form: str, access: list[str], other: list[str]
) -> None:
    async with with_flow_logs(
        tmp_path, faults=f"[{{fault: F-CONFLAG, lag: 1m, form: {form}}}]"
    ) as world:
        flow_log_id = world.flow_logs.list()[0].flow_log_id
        await get(world, "/1")
        moved = {"destType": "BLS", "destConfig": {"logStore": "other"}}
        _, one = await call(world, "PUT", f"/{flow_log_id}", moved)
        assert one["destConfig"]["logStore"] == "other"
        await get(world, "/2")
        await world.advance(61.0)
        await get(world, "/3")
        await world.advance(400.0)
        assert (delivered(world, "access"), delivered(world, "other")) == (access, other)
        assert world.faults.views()[0].hits == 1


async def test_the_command_does_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with with_flow_logs(tmp_path) as world:

        async def blbsim(*words: str) -> tuple[int, str, str]:
            arguments = ["flowlog", *words, "--endpoint", world.endpoints().api]
            code = await asyncio.to_thread(main, arguments)
            return code, *capsys.readouterr()

        code, out, _ = await blbsim(
            "create", "two", "--load-balancer", "shop", "--bucket", "shop-logs"
        )
        made = world.flow_logs.list()[1]
        assert (code, out) == (0, f"{made.flow_log_id}\n")
        code, out, _ = await blbsim("stop", "two")
        assert (code, out.splitlines()[1].split()[:4]) == (
            0,
            [made.flow_log_id, "two", "shop", "stopped"],
        )
        code, _, error = await blbsim("update", "two", "--log-store", "nowhere")
        assert (code, error) == (1, "blbsim: LogStore [nowhere] not exists\n")
        assert (await blbsim("start", made.flow_log_id))[0] == 0
        assert (await blbsim("show", "two"))[0] == 0
        assert (await blbsim("delete", "two"))[0] == 0
        code, out, _ = await blbsim("list")
        assert [line.split()[1] for line in out.splitlines()[1:]] == ["l7"]


async def test_calls_are_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SCENARIO.replace("account: {auth: off}\n", "")
    text = text.replace("FLOW_LOGS", L7).replace("FAULTS", "[]")
    async with up(tmp_path, text) as world:
        assert (await call(world, "GET"))[0] == 401
        arguments = ["flowlog", "stop", "l7", "--json", "--endpoint", world.endpoints().api]
        assert await asyncio.to_thread(main, arguments) == 0
        assert json.loads(capsys.readouterr()[0])["status"] == "stopped"
