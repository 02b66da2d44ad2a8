"""Log shippers and download tasks of a whole simulator, ``kill -9`` while one ships included."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from processes import SimulatorProcess

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
log_stores: [{name: access}]
buckets: [shop-logs]
"""
RANGE = {"queryStartTime": "2026-03-01T00:00:00Z", "queryEndTime": "2026-03-02T00:00:00Z"}


def push(simulator: SimulatorProcess, first: int, count: int) -> None:
    records = [{"message": f"{n:06} " + "x" * 800} for n in range(first, first + count)]
    simulator.call("/v1/logstore/access/logrecord", {"logRecords": records})


def ship(simulator: SimulatorProcess, path: str) -> str:
    config = {"BOSPath": path, "maxObjectSize": 1}
    body = {"logShipperName": "s", "logStoreName": "access", "destConfig": config}
    return str(simulator.call("/v1/logshipper", body)["logShipperID"])


def objects(simulator: SimulatorProcess) -> list[Path]:
    """What is in the bucket, as far as it is on disk."""
    return sorted(simulator.data.glob("objects/shop-logs/**/*.log*"))


@pytest.fixture
def started() -> Iterator[Callable[[Path], SimulatorProcess]]:
    """Starts simulators, and ends those that are left."""
    simulators: list[SimulatorProcess] = []

    def start(directory: Path) -> SimulatorProcess:
        simulators.append(SimulatorProcess(directory, SCENARIO))
        return simulators[-1]

    yield start
    for simulator in simulators:
        simulator.kill()


def read_all(simulator: SimulatorProcess) -> list[str]:
    """The number that each line of each object begins with, through the S3 endpoint."""

    client = boto3.client(
        "s3",
        endpoint_url=simulator.endpoints["s3"],
        region_name="bj",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(s3={"addressing_style": "path"}),
    )
    found: list[str] = []
    for item in client.list_objects_v2(Bucket="shop-logs", Prefix="ship/")["Contents"]:
        body = client.get_object(Bucket="shop-logs", Key=item["Key"])["Body"].read()
        found += [line.partition(b" ")[0].decode() for line in body.splitlines()]
    client.close()
    return found


def test_kill_9_while_a_window_is_shipped(
    started: Callable[[Path], SimulatorProcess], tmp_path: Path
) -> None:
    simulator = started(tmp_path)
    id_ = ship(simulator, "shop-logs/ship/")
    simulator.call(
        "/v1/fastquery", {"fastQueryName": "f", "query": "match *", "logStoreName": "access"}
    )
    for number in range(15):
        push(simulator, number * 1000, 1000)

    def advance() -> None:
        with suppress(OSError):  # it is killed meanwhile
            simulator.advance("5m")

    advancing = threading.Thread(target=advance)
    advancing.start()
    looked = threading.Event()
    while advancing.is_alive() and not objects(simulator):
        looked.wait(0.001)
    simulator.kill()
    advancing.join()

    again = started(tmp_path)
    push(again, 15_000, 10)
    again.advance("10m")
    assert sorted(read_all(again)) == [f"{n:06}" for n in range(15_010)]
    found = again.call(f"/v1/logshipper/{id_}")
    assert (found["status"], found["errMessage"]) == ("Running", "")
    records = again.call(f"/v1/logshipper/{id_}/record?sinceHours=2")["result"]
    assert sum(one["finishedCount"] for one in records) == 15_010
    assert again.call("/v1/fastquery/f")["query"] == "match *"


def test_files_of_download_tasks_are_where_their_links_say(
    started: Callable[[Path], SimulatorProcess], tmp_path: Path
) -> None:
    simulator = started(tmp_path)
    push(simulator, 0, 5)
    tasks = [
        simulator.call(
            "/v2/logstore/download",
            {"logStoreName": "access", "order": "asc", "fileDir": file_dir, **RANGE},
        )["result"]["uuid"]
        for file_dir in ("", "shop-logs/a b/")
    ]
    simulator.kill()
    again = started(tmp_path)
    for uuid in tasks:
        link = again.call(f"/v2/logstore/download/link/{uuid}")["result"]["link"]
        with urllib.request.urlopen(link) as response:
            lines = [json.loads(line) for line in response.read().splitlines()]
        assert [line["@raw"][:6] for line in lines] == [f"{n:06}" for n in range(5)]
