"""Pipelines against the real APIs and the verdict on each: right ones, and ways to be wrong."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from pipelines import (
    BucketPipeline,
    CheckpointAtNow,
    DropsInvalidBytes,
    DropsInvalidRecords,
    FirstMemberOnly,
    ListsAfterLastKey,
    LogStorePipeline,
    RetryWithoutDedupe,
    SkipsBrokenLines,
    utc,
)

from simulator.cli.main import main
from simulator.scenario import load_scenario
from simulator.world import World, WorldOptions, running_world

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
backends: {web: {}}
load_balancers:
  - {name: shop, vip: 192.168.0.10, listeners: [{protocol: HTTP, port: 80, to: web}]}
log_stores: [{name: access}]
buckets: [shop-logs]
flow_logs:
  - {name: l7, load_balancer: shop, to: {log_store: access}}
  - {name: archive, load_balancer: shop, to: {bucket: shop-logs, gzip: true}}
traffic:
  - {to: "shop:80", rate: 2/s, for: 3m, clients: {count: 20}, requests: [{get: "/{int:1-500}"}]}
faults: FAULTS
"""
REQUESTS = 360
POLL_S = 60
IN_LOG_STORE = "[{fault: F-LATE, share: 2%, extra: 1m..4m}, {fault: F-DUP, share: 5%}]"
IN_BUCKET = """
  - {fault: F-GZMULTI, members: 3}
  - {fault: F-LATEOBJ, share: 50%, lag: 2m..4m}
  - {fault: F-ENC, share: 5%}
"""


def up(directory: Path, faults: str = "[]") -> Any:
    path = directory / "scenario.yaml"
    path.write_text(SCENARIO.replace("FAULTS", faults), encoding="utf-8")
    return running_world(load_scenario(path), WorldOptions(free_ports=True))


async def drive(world: World, pipeline: Any, *, minutes: int = 12) -> None:
    """The traffic, and a poll for every ``POLL_S`` of simulated time."""
    world.start_traffic()
    for _ in range(minutes * 60 // POLL_S):
        await world.advance(POLL_S)
        await asyncio.to_thread(pipeline.poll, utc(world.clock.time()))
    await world.wait_traffic()


async def verdict(world: World, kept: list[str], **options: str) -> dict[str, Any]:
    url = f"{world.endpoints().api}/_sim/v1/reconcile"
    body = io.BytesIO("\n".join(kept).encode())
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, params=options, data=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


def wrong(found: dict[str, Any]) -> dict[str, int]:
    """What is wrong, and how often."""
    kinds = ("missing", "duplicated", "altered", "unexpected")
    assert found["right"] == (not any(found["totals"][kind] for kind in kinds))
    return {kind: found["totals"][kind] for kind in kinds if found["totals"][kind]}


async def test_a_log_store_pipeline_that_is_right(tmp_path: Path):
    async with up(tmp_path, IN_LOG_STORE) as world:
        pipeline = LogStorePipeline(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline)
        found = await verdict(world, pipeline.kept, flow_log="l7")
        assert wrong(found) == {}
        assert found["totals"]["matched"] == len(pipeline.kept) > REQUESTS
        assert found["totals"]["not_due"] == 0
        once = list(dict.fromkeys(pipeline.kept))
        copies = len(pipeline.kept) - len(once)
        assert wrong(await verdict(world, once, flow_log="l7")) == {"missing": copies}
        assert (await verdict(world, once, flow_log="l7", allow_deduped="true"))["right"]


async def test_a_bucket_pipeline_that_is_right(tmp_path: Path):
    async with up(tmp_path, IN_BUCKET) as world:
        pipeline = BucketPipeline(world.endpoints())
        await drive(world, pipeline)
        found = await verdict(world, pipeline.kept, destination="shop-logs")
        assert wrong(found) == {}
        assert found["totals"]["matched"] == REQUESTS


async def test_a_checkpoint_at_now_misses_what_becomes_visible_later(tmp_path: Path):
    async with up(tmp_path) as world:
        pipeline = CheckpointAtNow(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline, minutes=4)
        found = await verdict(world, pipeline.kept, flow_log="l7")
        (log,) = found["flow_logs"]
        assert wrong(found) == {"missing": log["visible"]}
        assert 0 < log["visible"] < REQUESTS
        assert log["visible"] + log["not_due"] == REQUESTS
        # What there was to see of the last minutes is not held against a slow poller.
        graceful = await verdict(world, pipeline.kept, flow_log="l7", grace="10m")
        assert graceful["totals"]["not_due"] == REQUESTS
        assert graceful["right"]


async def test_a_retry_without_dedupe_duplicates(tmp_path: Path):
    faults = "[{fault: READ-ERROR, share: 15%, operation: PullLogRecord, api: bls}]"
    async with up(tmp_path, faults) as world:
        pipeline = RetryWithoutDedupe(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline, minutes=16)
        assert pipeline.errors
        found = await verdict(world, pipeline.kept, flow_log="l7")
        assert set(wrong(found)) == {"duplicated"}
        assert found["totals"]["matched"] == REQUESTS
        assert found["totals"]["duplicated"] == len(pipeline.kept) - REQUESTS
        example = found["examples"][0]
        line = pipeline.kept[example["kept_at"][0] - 1]
        assert json.loads(line) == json.loads(example["delivered"])


@pytest.mark.parametrize(
    ("make", "faults", "finding"),
    [
        (FirstMemberOnly, "[{fault: F-GZMULTI, members: 3}]", "missing"),
        (ListsAfterLastKey, "[{fault: F-LATEOBJ, for: 1m, lag: 3m..4m}]", "missing"),
        (DropsInvalidBytes, "[{fault: F-ENC, share: 5%}]", "altered"),
        (DropsInvalidRecords, "[{fault: F-ENC, share: 5%}]", "missing"),
    ],
)
async def test_a_bucket_pipeline_that_is_wrong(
    tmp_path: Path, make: Callable[[Any], BucketPipeline], faults: str, finding: str
):
    async with up(tmp_path, faults) as world:
        pipeline = make(world.endpoints())
        await drive(world, pipeline)
        found = await verdict(world, pipeline.kept, flow_log="archive")
        assert set(wrong(found)) == {finding}
        (log,) = found["flow_logs"]
        assert log["visible"] == REQUESTS
        assert log["matched"] + log[finding] == REQUESTS
        assert log["matched"] > 0
        example = found["examples"][0]
        life = await world.verdicts.explain(example["ledger_id"])
        passage = next(p for p in life.records[0].passages if p.flow_log == "archive")
        assert example["place"] in [sighting.place for sighting in passage.sightings]
        if finding == "altered":
            assert found["altered_fields"] == {"http_user_agent": log["altered"]}
            (difference,) = example["differences"]
            assert difference["delivered"].endswith('\ufffd"')
            assert "\ufffd" not in difference["kept"]
            seen = await world.verdicts.explain(example["delivered"])
            assert [one.ledger_id for one in seen.records] == [example["ledger_id"]]
            hits = [hit.kind for p in seen.records[0].passages for hit in p.hits]
            assert "F-ENC" in hits


async def test_lines_that_are_cut_can_be_set_aside(tmp_path: Path):
    async with up(tmp_path, "[{fault: F-TRUNC, for: 1m}]") as world:
        pipeline = SkipsBrokenLines(world.endpoints())
        await drive(world, pipeline, minutes=8)
        assert wrong(await verdict(world, pipeline.kept, flow_log="archive")) == {"missing": 1}
        found = await verdict(world, pipeline.kept, flow_log="archive", allow_broken="true")
        assert found["right"]
        assert found["flow_logs"][0]["set_aside"] == 1


Run = Callable[..., Awaitable[tuple[int, str, str]]]


def command(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; its exit code, standard output and standard error."""

    async def run(*arguments: object) -> tuple[int, str, str]:
        line = [*map(str, arguments), "--endpoint", world.endpoints().api]
        code = await asyncio.to_thread(main, line)
        return code, *capsys.readouterr()

    return run


async def test_reconcile_as_its_user_runs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, junit = tmp_path / "out.jsonl", tmp_path / "junit.xml"
    async with up(tmp_path) as world:
        run = command(world, capsys)
        pipeline = LogStorePipeline(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline, minutes=8)
        out.write_text("".join(f"{line}\n" for line in pipeline.kept))

        code, text, _ = await run("reconcile", "--against", out, "--flow-log", "l7")
        assert code == 0
        assert f"{REQUESTS} records kept, compared with l7 -> default/access" in text
        assert "RIGHT: the pipeline kept what it could have seen, once each" in text

        code, text, errors = await run("reconcile", "--against", out)
        assert (code, text) == (1, "")
        assert "which flow log does the pipeline read? There are l7, archive" in errors
        assert (await run("reconcile", "--against", tmp_path / "missing"))[0] == 2

        _, *others = pipeline.kept
        changed = json.loads(others[0]) | {"vport": 81}
        out.write_text("\n".join([*others[1:], others[2], json.dumps(changed)]))
        code, text, _ = await run(
            *("reconcile", "--against", out, "--flow-log", "l7", "--junit", junit),
        )
        assert code == 1
        assert "WRONG: 1 missing, 1 duplicated, 1 altered" in text
        assert "  vport: delivered 80, kept 81" in text
        assert f"  kept at {out}:{REQUESTS}" in text
        suite = ElementTree.parse(junit).getroot()
        assert (suite.get("tests"), suite.get("failures")) == ("4", "3")


async def test_a_mapping_as_its_user_gives_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, mapping = tmp_path / "out.jsonl", tmp_path / "mapping.yaml"
    async with up(tmp_path) as world:
        run = command(world, capsys)
        pipeline = LogStorePipeline(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline, minutes=8)
        renamed = []
        for line in pipeline.kept:
            record = json.loads(line) | {"at": 1}
            record["status"] = record.pop("response_status")
            renamed.append(json.dumps(record))
        out.write_text("\n".join(renamed))
        arguments = ("reconcile", "--against", out, "--flow-log", "l7")
        code, text, _ = await run(*arguments)
        assert code == 1
        assert f"WRONG: {REQUESTS} altered" in text
        mapping.write_text("fields: {response_status: status}\nextra: [at]\n")
        assert (await run(*arguments, "--mapping", mapping))[0] == 0
        mapping.write_text("field: {response_status: status}\n")
        code, _, errors = await run(*arguments, "--mapping", mapping)
        assert code == 2
        assert f"blbsim: {mapping}: mapping: unknown key 'field'" in errors


async def test_explain_watermarks_and_advise(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    async with up(tmp_path) as world:
        run = command(world, capsys)
        assert "nothing is visible yet" in (await run("advise"))[1]
        pipeline = LogStorePipeline(world.endpoints(), utc(world.clock.time()))
        await drive(world, pipeline, minutes=8)
        first, *others = pipeline.kept
        found = await verdict(world, others, flow_log="l7")
        (missing,) = found["examples"]
        assert json.loads(missing["delivered"]) == json.loads(first)

        respelled = {name: str(value) for name, value in json.loads(first).items() if value != "-"}
        for asked in (missing["ledger_id"], first, json.dumps(respelled)):
            code, text, _ = await run("explain", asked)
            assert code == 0
            assert text.startswith(missing["ledger_id"])
            assert f"visible {missing['visible_at']}" in text
            assert f"at {missing['place']}\n" in text
            assert "archive: visible" in text
        code, _, errors = await run("explain", "nothing like it")
        assert code == 1
        assert "no record like this was written or delivered" in errors

        now = world.clock_status().time
        _, text, _ = await run("watermarks")
        assert f"l7        {now}" in text
        assert f"LogStore default/access: {now}" in text
        code, text, _ = await run("advise", "--interval", "30s")
        assert code == 0
        assert f"{REQUESTS} records became visible after: shortest 2m" in text
        assert "a poller that comes every 30s must read the last 3m" in text
        assert "listing after the last key would have lost nothing" in text


async def test_a_reconcile_request_that_makes_no_sense(tmp_path: Path):
    async with up(tmp_path) as world, aiohttp.ClientSession() as session:
        url = f"{world.endpoints().api}/_sim/v1/reconcile"
        for query, message in (
            ({}, "which flow log does the pipeline read?"),
            ({"flow_log": "l8"}, "no flow log is called 'l8'"),
            ({"flow_log": "l7", "grace": "5"}, "grace: the duration 5 has no unit"),
            ({"flow_log": "l7", "examples": "-1"}, "examples is '-1'; expected a number from 0 to"),
            ({"flow_log": "l7", "mapping": "["}, "mapping: "),
            ({"flow_log": "l7", "mapping": '{"a":1}'}, "mapping: unknown key 'a'"),
            ({"flow_logs": "l7"}, "unknown option 'flow_logs'; expected allow_broken, "),
        ):
            body = io.BytesIO(b"{}\n" * 400_000)  # the answer comes before all of it is sent
            async with session.post(url, params=query, data=body) as answer:
                found = await answer.json()
                assert (answer.status, found["code"]) == (400, "InvalidParameter")
                assert message in found["message"]
