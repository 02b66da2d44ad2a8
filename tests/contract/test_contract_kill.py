"""``kill -9`` of the process with records pending: all arrive, none twice."""

import gzip
import json
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import boto3
from baidubce.auth.bce_credentials import BceCredentials
from baidubce.bce_client_configuration import BceClientConfiguration
from baidubce.services.bls.bls_client import BlsClient
from botocore.config import Config

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


class Simulator:
    """``blbsim up`` in a process of its own."""

    def __init__(self, directory: Path) -> None:
        scenario = directory / "scenario.yaml"
        scenario.write_text(SCENARIO)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulator", "up", scenario, "--json", "--free-ports"),
                *("--data-dir", directory / "data"),
            ],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.endpoints = json.loads(self.process.stdout.readline())

    def get(self, path: str) -> None:
        with urllib.request.urlopen(self.endpoints["listeners"][0]["url"] + path) as response:
            response.read()

    def advance(self, by: str) -> dict:
        request = urllib.request.Request(
            self.endpoints["api"] + "/_sim/v1/clock/advance", json.dumps({"by": by}).encode()
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code

    def log_store(self) -> Counter:
        client = BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(
                    self.endpoints["access_key"], self.endpoints["secret_key"]
                ),
                endpoint=self.endpoints["api"],
            )
        )
        page = client.pull_log_records("access", START, END, "", limit=1000)
        assert not page.is_truncated
        return Counter(json.loads(record.message)["request"] for record in page.result)

    def bucket(self) -> Counter:
        s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoints["s3"],
            region_name="bj",
            aws_access_key_id=self.endpoints["access_key"],
            aws_secret_access_key=self.endpoints["secret_key"],
            config=Config(s3={"addressing_style": "path"}),
        )
        found: Counter = Counter()
        for item in s3.list_objects_v2(Bucket="shop-logs").get("Contents", []):
            body = s3.get_object(Bucket="shop-logs", Key=item["Key"])["Body"].read()
            found.update(json.loads(line)["request"] for line in gzip.decompress(body).splitlines())
        return found


def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path):
    sent: Counter = Counter()
    # Before any delivery, with some records visible, and with the clock just past a delivery.
    for number, advance in enumerate(("10s", "2m20s", "3m")):
        simulator = Simulator(tmp_path)
        for n in range(20):
            simulator.get(f"/{number}/{n}")
            sent[f"GET /{number}/{n} HTTP/1.1"] += 1
        simulator.advance(advance)
        assert simulator.stop(signal.SIGKILL) == -signal.SIGKILL
    simulator = Simulator(tmp_path)
    simulator.advance("3m")
    assert simulator.log_store() == sent
    assert simulator.bucket() == sent
    assert simulator.stop(signal.SIGTERM) == 0
    left = (tmp_path / "data" / "spool").rglob("*.seg")
    assert sum(path.stat().st_size for path in left) == 0
