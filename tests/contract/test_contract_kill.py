"""``kill -9`` of the process with records pending: all arrive, none twice."""

import gzip
import json
import signal
import urllib.request
from collections import Counter
from pathlib import Path

import boto3
from botocore.config import Config
from processes import SimulatorProcess

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
backends: {web: {count: 2}}
load_balancers:
  - name: shop
    kind: application
    listeners: [{protocol: HTTP, port: 80, to: web}]
log_stores: [{name: access}]
buckets: [shop-logs]
flow_logs:
  - {name: l7, load_balancer: shop, to: {log_store: access}}
  - {name: archive, load_balancer: shop, to: {bucket: shop-logs, gzip: true}}
"""
START, END = "2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z"


def visit(simulator: SimulatorProcess, path: str) -> None:
    with urllib.request.urlopen(simulator.endpoints["listeners"][0]["url"] + path) as response:
        response.read()


def in_log_store(simulator: SimulatorProcess) -> Counter[str]:
    page = simulator.client().pull_log_records("access", START, END, "", limit=1000)
    assert not page.is_truncated
    return Counter(json.loads(record.message)["request"] for record in page.result)


def in_bucket(simulator: SimulatorProcess) -> Counter[str]:
    s3 = boto3.client(
        "s3",
        endpoint_url=simulator.endpoints["s3"],
        region_name="bj",
        aws_access_key_id=simulator.endpoints["access_key"],
        aws_secret_access_key=simulator.endpoints["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    found: Counter[str] = Counter()
    for item in s3.list_objects_v2(Bucket="shop-logs").get("Contents", []):
        body = s3.get_object(Bucket="shop-logs", Key=item["Key"])["Body"].read()
        found.update(json.loads(line)["request"] for line in gzip.decompress(body).splitlines())
    return found


def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path):
    sent: Counter[str] = Counter()
    # Before any delivery, with some records visible, and with the clock just past a delivery.
    for number, advance in enumerate(("10s", "2m20s", "3m")):
        simulator = SimulatorProcess(tmp_path, SCENARIO)
        for n in range(20):
            visit(simulator, f"/{number}/{n}")
            sent[f"GET /{number}/{n} HTTP/1.1"] += 1
        simulator.advance(advance)
        assert simulator.stop(signal.SIGKILL) == -signal.SIGKILL
    simulator = SimulatorProcess(tmp_path, SCENARIO)
    simulator.advance("3m")
    assert in_log_store(simulator) == sent
    assert in_bucket(simulator) == sent
    assert simulator.stop(signal.SIGTERM) == 0
    left = (tmp_path / "data" / "spool").rglob("*.seg")
    assert sum(path.stat().st_size for path in left) == 0
