"""The command, as its user runs it: exit codes, messages, every verb against a simulator."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from command import PATIENCE_S, QUICKSTART, blbsim, blbsim_process, variant

VERBS = (
    *("run", "up", "env", "status", "advance", "records", "wait"),
    *("reconcile", "explain", "watermarks", "advise"),
)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory):
    """The quickstart, up in a process of its own; gives its endpoints.

    Whoever makes records advances until they are delivered.
    """
    data = tmp_path_factory.mktemp("simulator") / "data"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "up", QUICKSTART, "--free-ports", "--json"),
            *("--no-traffic", "--clock", "manual", "--data-dir", data),
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE_S) == 0
    process.stdout.close()


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_run_shows_the_whole_job_and_exits_0():
    done = blbsim_process("run", QUICKSTART, "--free-ports")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert re.search(r"^l7 +500 +500 +0 +0 +0 +2m\d+s +2m\d+s +2m\d+s *$", text, re.M)
    assert "read 500 records back from LogStore access" in text
    assert re.search(r"read 500 records back from \d+ objects in bucket shop-logs", text)
    assert "One record, 28 fields" in text
    assert text.count("holds ") == 3
    assert "3 of 3 expectations hold." in text


def test_run_json_is_one_document():
    done = blbsim("run", QUICKSTART, "--free-ports", "--json")
    document = json.loads(done.stdout)
    assert [e["holds"] for e in document["expectations"]] == [True, True, True]
    assert document["status"]["flow_logs"][0]["delivered"] == 500
    assert len(document["read_back"]["sample"]) == 28
    assert document["faults"] == []


def test_run_shows_what_was_asked_of_faults_and_what_they_did(tmp_path: Path):
    path = variant(
        tmp_path,
        ("rate: 50/s", "rate: 5/s"),
        ("faults: []", "faults: [{fault: F-GAP, flow_log: l7, where: {request: 'POST *'}}]"),
        ("flow_log.l7.delivered == flow_log.l7.written", "flow_log.l7.delivered < 50"),
    )
    done = blbsim("run", path, "--free-ports")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^f-gap +F-GAP +active +100% +100% +(\d+) of \1 ", done.stdout, re.M)


def test_the_shipped_scenario_of_faults_holds():
    done = blbsim("run", QUICKSTART.with_name("faults.yaml"), "--free-ports")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 expectations hold." in done.stdout
    assert re.search(r"^f-gzmulti +F-GZMULTI +active +100% +100% ", done.stdout, re.M)


def test_an_expectation_that_does_not_hold_exits_1(tmp_path: Path):
    path = variant(
        tmp_path, ("rate: 50/s", "rate: 5/s"), ("http.success_rate >= 99%", "http.requests > 50")
    )
    done = blbsim("run", path, "--free-ports")
    assert done.returncode == 1
    assert re.search(r"FAILS +http.requests > 50 +50", done.stdout)
    assert "2 of 3 expectations hold." in done.stdout


def test_a_bad_scenario_exits_2_with_every_problem_at_its_place(tmp_path: Path):
    path = variant(
        tmp_path,
        ("scheduler: RoundRobin", "schedular: RoundRobin"),
        ("delay: 2m..3m", "delay: 2..3"),
        ("to: {log_store: access}", "to: {log_store: acces}"),
    )
    done = blbsim("run", path)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(re.match(re.escape(f"{path}:") + r"\d+:\d+ ", line) for line in lines[:3])
    assert "did you mean 'scheduler'" in done.stderr
    assert "has no unit" in done.stderr
    assert lines[3] == "3 problems; nothing was started"


def test_a_file_that_cannot_be_read_exits_2(tmp_path: Path):
    done = blbsim("up", tmp_path / "missing.yaml")
    assert done.returncode == 2
    assert "missing.yaml" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_bad_arguments_exit_2():
    assert blbsim("nonsense").returncode == 2
    assert blbsim().returncode == 2
    for option, value, expected in (
        ("--clock", "slow", "'slow' is none of real, scaled, manual, auto"),
        ("--rate", "fast", "'fast' is no number above 0"),
        ("--rate", "0", "'0' is no number above 0"),
    ):
        done = blbsim("run", QUICKSTART, option, value)
        assert done.returncode == 2
        assert done.stderr.endswith(f"argument {option}: {expected}\n")


@pytest.mark.parametrize("verb", ["run", "up"])
def test_a_scaled_clock_without_a_rate_exits_2(verb: str):
    result = blbsim(verb, QUICKSTART, "--free-ports", "--clock", "scaled")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--rate 60" in result.stderr


@pytest.mark.parametrize("what", ["listener", "api", "s3"])
def test_a_taken_port_exits_3_naming_it_and_leaves_nothing_started(tmp_path: Path, what: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"api": 0, "bos": 0, "s3": 0}
        bind = f"127.0.0.1:{port}" if what == "listener" else "127.0.0.1:0"
        if what != "listener":
            ports[what] = port
        path = variant(
            tmp_path,
            ("127.0.0.1:18080", bind),
            ("region: bj", f"region: bj\nports: {json.dumps(ports)}"),
        )
        done = blbsim("run", path)
    assert done.returncode == 3, done.stderr
    place = {
        "listener": "load_balancers[0].listeners[0].bind",
        "api": "ports.api",
        "s3": "ports.s3",
    }
    assert re.match(
        "blbsim: " + re.escape(f"{path}:") + r"\d+:\d+ " + re.escape(f"{place[what]}: "),
        done.stderr,
    )
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_data_directory_that_cannot_be_made_exits_3(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for directory, message in (
        (tmp_path / "file" / "data", "Not a directory"),
        (tmp_path / "file", "expected a directory, not a file"),
    ):
        done = blbsim("run", QUICKSTART, "--free-ports", "--data-dir", directory)
        assert done.returncode == 3
        assert done.stderr == f"blbsim: data directory {directory}: {message}\n"


def test_another_seed_on_the_same_data_directory_exits_3(tmp_path: Path):
    path = variant(tmp_path, ("for: 10s", "for: 1s"))
    data = ("--free-ports", "--data-dir", tmp_path / "data")
    assert blbsim("run", path, *data).returncode == 0
    done = blbsim("run", path, *data, "--seed", 8)
    assert done.returncode == 3
    assert "--seed 7" in done.stderr


def test_nobody_there_exits_3():
    done = blbsim("status", "--endpoint", "http://127.0.0.1:1")
    assert done.returncode == 3
    assert "blbsim up" in done.stderr
    done = blbsim("wait", "--timeout", "1ms", "--endpoint", "http://127.0.0.1:1")
    assert done.returncode == 1


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb: str):
    done = blbsim(verb, "--help")
    assert done.returncode == 0
    assert f"example:\n  {'eval' if verb == 'env' else f'blbsim {verb}'}" in done.stdout
    assert "--json" in done.stdout


class Another(BaseHTTPRequestHandler):
    """A server that takes everything for well, such as a backend behind a listener."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/_sim/ready" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("verb", [("status",), ("env",), ("wait", "--timeout", "1ms")])
def test_what_answers_and_is_no_simulator_is_told_from_one(verb: tuple[str, ...]):
    with HTTPServer(("127.0.0.1", 0), Another) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever)
        url = f"http://127.0.0.1:{server.server_port}"
        done = blbsim(*verb, "--endpoint", url)
        server.shutdown()
    assert done.returncode == (1 if verb[0] == "wait" else 3)
    assert f"what answers at {url} is not the API of a simulator" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_verb_against_a_simulator_that_is_up(simulator: dict):
    env = {"BLBSIM_ENDPOINT": simulator["api"]}
    listener = simulator["listeners"][0]["url"]
    assert blbsim("wait", env=env).returncode == 0
    for n in range(7):
        assert get(f"{listener}/n/{n}")[0] in (200, 500)

    pending = blbsim("records", "--last", 5, "--pending", env=env)
    requests = [json.loads(line)["request"] for line in pending.stdout.splitlines()]
    assert requests == [f"GET /n/{n} HTTP/1.1" for n in range(2, 7)]
    found = json.loads(blbsim("records", "--last", 1, "--json", env=env).stdout)
    assert found["records"][0]["record"]["request"] == "GET /n/6 HTTP/1.1"

    status = json.loads(blbsim("status", "--json", env=env).stdout)
    assert [log["pending"] for log in status["flow_logs"]] == [7, 7]
    assert status["clock"]["mode"] == "manual"
    assert status["clock"]["time"] == "2026-03-01T08:00:00.000+08:00"

    receipt = json.loads(blbsim("advance", "next_delivery", "--json", env=env).stdout)
    assert (receipt["records"], receipt["by_flow_log"]["l7"]) == (7, 7)
    assert 120 <= receipt["advanced_s"] <= 180
    text = blbsim("advance", "3m", env=env).stdout
    assert "visible now: 7 records (l7 0, archive 7), 1 objects" in text
    assert "shop-logs/l7/" in text
    done = blbsim("records", "--pending", env=env)
    assert (done.stdout, done.stderr) == ("", "no record is pending\n")
    text = blbsim("status", env=env).stdout
    assert " 7 " in text
    assert re.search(
        r"^HTTP shop:80: 7 requests \(.*\), 7 connections, 0 of them open$", text, re.M
    )

    variables = json.loads(blbsim("env", "--shell", "json", env=env).stdout)
    assert variables["BLBSIM_ENDPOINT"] == simulator["api"]
    assert variables["BLBSIM_LISTENER_SHOP_80"] == listener
    assert variables["AWS_ENDPOINT_URL_S3"] == variables["BLBSIM_S3_ENDPOINT"] == simulator["s3"]
    assert (variables["BLBSIM_BUCKET"], variables["BLBSIM_LOG_STORE"]) == ("shop-logs", "access")
    for shell, first in (
        ("sh", f"export BLBSIM_ENDPOINT={simulator['api']}"),
        ("fish", f"set -gx BLBSIM_ENDPOINT '{simulator['api']}'"),
        ("pwsh", f"$env:BLBSIM_ENDPOINT = '{simulator['api']}'"),
        ("dotenv", f"BLBSIM_ENDPOINT={simulator['api']}"),
    ):
        assert blbsim("env", "--shell", shell, env=env).stdout.splitlines()[0] == first

    refused = blbsim("advance", "3", env=env)
    assert refused.returncode == 1
    assert "has no unit" in refused.stderr


def test_the_admin_api(simulator: dict):
    api = simulator["api"]
    assert get(f"{api}/_sim/live")[0] == 200
    assert get(f"{api}/_sim/ready") == (200, b'{"status":"ready"}')
    assert json.loads(get(f"{api}/_sim/v1/endpoints")[1]) == simulator
    clock = json.loads(get(f"{api}/_sim/v1/clock")[1])
    assert (clock["mode"], clock["next_delivery"]) == ("manual", None)
    for body in (b"{}", b'{"by":"1s","to":"next_delivery"}', b'{"to":"now"}', b"no json"):
        request = urllib.request.Request(f"{api}/_sim/v1/clock/advance", body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        error = json.load(caught.value)
        assert (caught.value.code, error["code"]) == (400, "InvalidParameter")
        assert "next_delivery" in error["message"]
    status, body = get(f"{api}/_sim/v1/records?last=0")
    assert (status, json.loads(body)["code"]) == (400, "InvalidParameter")
    assert get(f"{api}/_sim/v1/nothing")[0] == 404


def test_off_loopback_the_admin_api_demands_a_token_whatever_bls_does(tmp_path: Path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "up", QUICKSTART, "--free-ports", "--json"),
            *("--no-traffic", "--host", "0.0.0.0", "--admin-token", "secret", "--auth", "off"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        endpoints = json.loads(process.stdout.readline())
        api = endpoints["api"]
        assert api.startswith("http://127.0.0.1:")
        assert get(f"{api}/_sim/ready")[0] == 200
        assert get(f"{api}/_sim/v1/status")[0] == 401
        assert get(f"{api}/v1/logstore")[0] == 200
        env = {"BLBSIM_ENDPOINT": api, "BLBSIM_ADMIN_TOKEN": "secret"}
        assert blbsim("status", env=env).returncode == 0
        assert get(endpoints["listeners"][0]["url"])[0] in (200, 500)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        process.stdout.close()
