"""What a bad scenario is told: every problem with its line, column and path."""

import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import ScenarioError
from simulator.scenario import load_scenario

QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"
GOOD = """\
version: 1
backends:
  web: {count: 2}
dedicated_clusters: [{name: gold}]
load_balancers:
  - name: shop
    listeners: [{protocol: HTTP, port: 80, to: web}]
  - {name: vip, cluster: gold, listeners: [{protocol: HTTP, port: 80, to: web}]}
log_stores: [{name: access}]
buckets: [shop-logs]
flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access}}]
"""
DURATION = "expected a duration such as 250ms, 5s, 2m, 1h or 7d"
PRINTABLE = "is not allowed here; expected printable text"
NAME = "expected 1 to 65 letters, digits and the characters - _ / . beginning with a letter"


def problems_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(str(path)) for line in lines)
    return [line.removeprefix(str(path)).removeprefix(":") for line in lines]


def test_the_document_that_the_cases_add_to_is_good(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert [flow_log.name for flow_log in load_scenario(path).flow_logs] == ["l7"]


WHOLE_FILES = [
    ("", " the file is empty; expected a scenario that starts with 'version: 1'"),
    ("name: x\n", "1:1: the key 'version' is missing"),
    ("- version\n", "1:1: expected a mapping of keys to values, got a list"),
    ("version: 2\n", "1:10 version: version 2 is unknown; expected 1"),
    (
        "version: '1'\n",
        "1:10 version: expected a whole number from 0, got the text '1'",
    ),
    (
        "version: 1\nname: [a\n",
        "3:1: not valid YAML: expected ',' or ']', but got '<stream end>', "
        "while parsing a flow sequence",
    ),
    (
        "version: 1\nname: a\n  b: c\n",
        "3:4: not valid YAML: mapping values are not allowed here",
    ),
    ("version: 1\nname: *x\n", "2:7: not valid YAML: found undefined alias 'x'"),
    (
        "version: 1\n---\nversion: 1\n",
        "2:1: not valid YAML: but found another document, expected a single document in the stream",
    ),
    ("version: 1\nname: a\x07\n", "2:8: not valid YAML: the character U+0007 is not allowed"),
    ("[" * 1000, " not a scenario: it is nested too deeply"),
    (
        "version: 1\nversion: 1\n",
        "2:1 version: duplicate key 'version'; it is given in line 1 already",
    ),
    ("version: 1\n? [a]\n: b\n", "2:3: a key has to be text"),
    ("version: 1\nname: 5\n", "2:7 name: expected text, got the number 5; put it in quotes"),
    ("version: 1\nname: !x y\n", "2:7 name: expected text, got a value with the tag !x"),
    ("version: 1\nseed: 1_0\n", "2:7 seed: expected a whole number from 0, got the number 1_0"),
    ("version: 1\nseed: -1\n", "2:7 seed: -1 is out of range; expected a whole number from 0"),
    (
        f"version: 1\nseed: {'9' * 5000}\n",
        f"2:7 seed: {'9' * 200}… (5000 characters) is out of range; expected a whole number from 0",
    ),
    (
        f"version: {'9' * 5000}\n",
        f"1:10 version: {'9' * 200}… (5000 characters) is out of range; "
        "expected a whole number from 0",
    ),
    (
        f"version: 1\nclock: {{mode: scaled, rate: {'9' * 5000}}}\n",
        f"2:29 clock.rate: {'9' * 200}… (5000 characters) is out of range; "
        "expected a number above 0",
    ),
    (
        f"version: 1\nname: {'9' * 5000}\n",
        f"2:7 name: expected text, got the number {'9' * 200}… (5000 characters); put it in quotes",
    ),
    ('version: 1\nname: "\\ud800"\n', f"2:7 name: the character U+D800 {PRINTABLE}"),
    ('version: 1\nname: "a\\0b"\n', f"2:7 name: the character U+0000 {PRINTABLE}"),
    ('version: 1\nname: "a\\nb"\n', f"2:7 name: the character U+000A {PRINTABLE}"),
    ('version: 1\n"\\ud800": 1\n', f"2:1: the character U+D800 {PRINTABLE}"),
    ('version: 1\nregion: "\\e[1m"\n', f"2:9 region: the character U+001B {PRINTABLE}"),
    (
        "version: 1\nregion: bn\n",
        "2:9 region: unknown value 'bn'; expected one of "
        "bd, bj, cd, fsh, fwh, gz, hkg, nj, sin, su, yq",
    ),
    ("version: 1\ntraffic:\n", "2:9 traffic: expected a list, got nothing; write [] for none"),
    ("version: 1\ntrafic: []\n", "2:1 trafic: unknown key 'trafic'; did you mean 'traffic'?"),
    (
        "version: 1\nclock: {mode: scaled}\n",
        "2:8 clock: a scaled clock needs a rate; expected for example 'rate: 60'",
    ),
    (
        "version: 1\nclock: {rate: 2}\n",
        "2:15 clock.rate: a rate goes with mode 'scaled' only, and the mode is 'auto'",
    ),
    (
        "version: 1\nclock: {mode: scaled, rate: 0}\n",
        "2:29 clock.rate: 0 is out of range; expected a number above 0",
    ),
    (
        'version: 1\nclock: {start: "2026-03-01T08:00:00"}\n',
        "2:16 clock.start: the instant '2026-03-01T08:00:00' has no zone; "
        "expected an instant with its zone such as 2026-03-01T08:00:00+08:00",
    ),
    (
        "version: 1\nclock: {start: tomorrow}\n",
        "2:16 clock.start: 'tomorrow' is not an instant; "
        "expected an instant with its zone such as 2026-03-01T08:00:00+08:00",
    ),
    (
        "version: 1\naccount: {access_key: a}\n",
        "2:10 account: access_key and secret_key go together; give both or neither",
    ),
    (
        "version: 1\nports: {api: 7401}\n",
        "2:8 ports: two APIs share a port (api 7401, bos 7401, s3 7402); "
        "expected different ports, or 0 for free ones",
    ),
    (
        "version: 1\nports: {api: 70000}\n",
        "2:14 ports.api: 70000 is out of range; expected a whole number from 0 to 65535",
    ),
    (
        "version: 1\nledger: {keep: 5}\n",
        "2:16 ledger.keep: the size 5 has no unit; expected a size such as 200B, 4KiB or 64MB",
    ),
    (
        "version: 1\nlog_service: {memory: 1MiB, query_timeout: 2h, spill: 1MiB}\n",
        "2:23 log_service.memory: 1MiB is too little; expected at least 256MiB\n"
        "2:44 log_service.query_timeout: 2h is out of range; expected more than 0s and at most 1h\n"
        "2:55 log_service.spill: 1MiB is too little; expected at least 256MiB",
    ),
    (
        "version: 1\nrecord: {shape: typd, zone: 8}\n",
        "2:17 record.shape: unknown value 'typd'; did you mean 'typed'?\n"
        "2:29 record.zone: '8' is not a zone; expected an offset such as '+08:00'",
    ),
    (
        "version: 1\nfaults: [{drop: 1%}]\n",
        "2:10 faults[0]: the key 'fault' is missing\n"
        "2:11 faults[0].drop: unknown key 'drop'; expected one of fault, name, at, for, share, "
        "where, flow_log, node, to",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WHOLE_FILES)
def test_a_bad_file_says_where_and_what_was_expected(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert problems_of(tmp_path, text) == expected.splitlines()


def entry(line: str) -> tuple[str, str]:
    """What to replace in GOOD so that ``line`` stands where its key stood."""
    key = line.split(":", 1)[0]
    (old,) = (good for good in GOOD.splitlines() if good.split(":", 1)[0] == key)
    return old, line


PARTS = [
    # backends
    (
        entry("  web: {cuont: 2}"),
        "3:9 backends.web.cuont: unknown key 'cuont'; did you mean 'count'?",
    ),
    (
        entry("  web: {count: 0}"),
        "3:16 backends.web.count: 0 is out of range; expected a whole number from 1 to 50",
    ),
    (
        entry("  web: {latency: {p50: 5, p99: 60ms}}"),
        f"3:24 backends.web.latency.p50: the duration 5 has no unit; {DURATION}",
    ),
    (
        entry("  web: {latency: {p50: 5ms, p99: 1ms}}"),
        "3:18 backends.web.latency: p99 is less than p50; expected at least as much",
    ),
    (
        entry("  web: {errors: {500: 0.5, 200: 1%}}"),
        "3:23 backends.web.errors.500: '0.5' has no unit; expected a percentage such as 0.5%\n"
        "3:28 backends.web.errors.200: '200' is not an error status; expected 400 to 599",
    ),
    (
        entry("  web: {errors: {500: 60%, 501: 50%}}"),
        "3:17 backends.web.errors: the shares add up to more than 100%",
    ),
    (
        entry("  web: {body: 4k}"),
        "3:15 backends.web.body: '4k' is not a size; expected a size such as 200B, 4KiB or 64MB",
    ),
    (
        entry("  web: {address: 127.0.0.1}"),
        "3:18 backends.web.address: '127.0.0.1' is not an address; "
        "expected host:port such as 127.0.0.1:9000",
    ),
    (
        entry("  web: {address: 127.0.0.1:9000, count: 2}"),
        "3:8 backends.web: 'address' names servers that run elsewhere and 'count' describes "
        "built-in ones; expected one or the other",
    ),
    (
        entry("  web: {count: 2, weights: [1, 101, 3]}"),
        "3:28 backends.web.weights: 3 weights for 2 servers; expected one for each\n"
        "3:32 backends.web.weights[1]: 101 is out of range; expected a whole number from 0 to 100",
    ),
    (
        entry("  web: {address: 127.0.0.1:0, addresses: []}"),
        "3:8 backends.web: both 'address' and 'addresses' are given; expected one of them\n"
        "3:18 backends.web.address: '127.0.0.1:0' has no port to connect to; expected 1 to 65535\n"
        "3:42 backends.web.addresses: no address is given; expected at least one",
    ),
    (
        entry("  web: {latency: {p50: 0s, p99: 1ms}, weight: 1, weights: [1]}"),
        "3:8 backends.web: both 'weight' and 'weights' are given; expected one of them\n"
        "3:18 backends.web.latency: a p50 of 0s leaves no room for a p99 above it; "
        "expected more than 0s",
    ),
    # clusters and load balancers
    (
        entry("dedicated_clusters: [{name: gold}, {name: shared}]"),
        "4:36 dedicated_clusters[1]: 'shared' is the name of the shared cluster; expected another",
    ),
    (
        ("  - name: shop\n", "  - name: shop\n    id: lb-1\n"),
        "7:9 load_balancers[0].id: 'lb-1' is not an id; expected lb- and 8 letters or digits",
    ),
    (
        ("port: 80, to: web}]\n", "port: 80, to: web, limits: {header: 0B}}]\n"),
        "7:70 load_balancers[0].listeners[0].limits.header: the limit 0B lets nothing pass; "
        "expected at least 1B",
    ),
    (
        entry("dedicated_clusters: [{name: gold}, {name: gold}]"),
        "4:43 dedicated_clusters[1].name: duplicate name 'gold'; "
        "line 4 has a dedicated cluster of that name already",
    ),
    (
        ("  - name: shop\n", "  - name: shop\n    cluster: shard\n"),
        "7:14 load_balancers[0].cluster: no cluster is named 'shard'; did you mean 'shared'?",
    ),
    (
        ("  - name: shop\n", "  - name: shop\n    vip: 192.168.0.300\n"),
        "7:10 load_balancers[0].vip: '192.168.0.300' is not an IPv4 address; "
        "expected e.g. 192.168.0.10",
    ),
    (
        ("  - {name: vip,", "  - {name: 1st,"),
        f"8:12 load_balancers[1].name: '1st' is not a name; {NAME}",
    ),
    (
        ("  - {name: vip,", "  - {name: shop,"),
        "8:12 load_balancers[1].name: duplicate name 'shop'; "
        "line 6 has a load balancer of that name already",
    ),
    (
        ("{protocol: HTTP, port: 80, to: web}]\n", "{protocol: TCP, port: 80, to: wbe}]\n"),
        "7:28 load_balancers[0].listeners[0].protocol: the protocol TCP is not simulated yet; "
        "expected HTTP or HTTPS\n"
        "7:47 load_balancers[0].listeners[0].to: no entry of backends is named 'wbe'; "
        "did you mean 'web'?",
    ),
    (
        ("port: 80, to: web}]\n", "port: 80, to: web}, {protocol: HTTP, port: 80, to: web}]\n"),
        "7:77 load_balancers[0].listeners[1].port: duplicate port 80; "
        "the listener in line 7 of this load balancer has it already",
    ),
    (
        ("port: 80, to: web}]\n", "port: 80, to: web, timeouts: {server: 30, kep_alive: 1s}}]\n"),
        f"7:72 load_balancers[0].listeners[0].timeouts.server: the duration 30 has no unit; "
        f"{DURATION}\n"
        "7:76 load_balancers[0].listeners[0].timeouts.kep_alive: unknown key 'kep_alive'; "
        "did you mean 'keep_alive'?",
    ),
    (
        ("port: 80, to: web}]\n", "port: 80, to: web, timeouts: {client_body: 121s}}]\n"),
        "7:77 load_balancers[0].listeners[0].timeouts.client_body: 121s is out of range; "
        "expected more than 0s and at most 2m",
    ),
    (
        ("port: 80, to: web}]\n", "port: 80, to: web, scheduler: WeightLeastConn}]\n"),
        "7:64 load_balancers[0].listeners[0].scheduler: the scheduler WeightLeastConn is for "
        "listeners of layer 4; expected RoundRobin or LeastConnection",
    ),
    (
        (
            "port: 80, to: web}]\n",
            'port: 80, to: web, bind: "127.0.0.1:9"}, '
            '{protocol: HTTP, port: 81, to: web, bind: "127.0.0.1:9"}]\n',
        ),
        "7:117 load_balancers[0].listeners[1].bind: 127.0.0.1:9 is bound by "
        "load_balancers[0].listeners[0] already; expected another",
    ),
    # destinations
    (
        entry("log_stores: [{name: access, retention: 36h}]"),
        "9:40 log_stores[0].retention: 36h is not a retention; "
        "expected whole days from 1d to 3650d",
    ),
    (
        entry("log_stores: [{name: access}, {name: access}]"),
        "9:37 log_stores[1].name: duplicate name 'access'; "
        "line 9 has a LogStore of that name already",
    ),
    (
        entry("buckets: [Logs]"),
        "10:11 buckets[0]: 'Logs' is not a name; expected 3 to 63 lower-case letters, digits and "
        "hyphens, no hyphen at either end",
    ),
    # flow logs
    (
        entry("flow_logs: [{name: l7, load_balancer: shpo, to: {log_store: acces}}]"),
        "11:39 flow_logs[0].load_balancer: no load balancer is named 'shpo'; "
        "did you mean 'shop'?\n"
        "11:61 flow_logs[0].to.log_store: no LogStore is named 'acces'; did you mean 'access'?",
    ),
    (
        entry("flow_logs: [{name: l4, load_balancer: shop, layer: 4, to: {log_store: access}}]"),
        "11:52 flow_logs[0].layer: layer-4 flow logs need a dedicated cluster, and load balancer "
        "'shop' is on the shared one; expected layer 7 "
        "(https://cloud.baidu.com/doc/BLB/s/Umbq97b2o)",
    ),
    (
        entry("flow_logs: [{name: l4, load_balancer: vip, layer: 4, to: {log_store: access}}]"),
        "11:51 flow_logs[0].layer: layer-4 flow logs are not simulated yet; expected layer 7",
    ),
    (
        entry("flow_logs: [{name: l5, load_balancer: vip, layer: 5, to: {log_store: access}}]"),
        "11:51 flow_logs[0].layer: layer 5 has no flow logs; expected 7",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {log_store: access}}, {name: b, load_balancer: shop, to: {log_store: access}}]",
        ),
        "11:71 flow_logs[1]: a second flow log for load balancer 'shop', layer 7 and the same "
        "destination; the one in line 11 delivers there already",
    ),
    (
        entry("flow_logs: [{name: l7, load_balancer: shop, to: {bucket: shop-log, rotate: 1}}]"),
        "11:58 flow_logs[0].to.bucket: no bucket is named 'shop-log'; did you mean 'shop-logs'?\n"
        f"11:76 flow_logs[0].to.rotate: the duration 1 has no unit; {DURATION}",
    ),
    (
        entry("flow_logs: [{name: l7, load_balancer: shop, to: {}}]"),
        "11:49 flow_logs[0].to: no destination is given; expected 'log_store' or 'bucket'",
    ),
    (
        entry("flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access, gzip: true}}]"),
        "11:75 flow_logs[0].to.gzip: 'gzip' is for a bucket; this destination is not one",
    ),
    (
        entry("flow_logs: [{name: l7, load_balancer: shop, to: {log_store: access, bucket: b}}]"),
        "11:49 flow_logs[0].to: both 'log_store' and 'bucket' are given; expected one of them",
    ),
    (
        entry("flow_logs: [{name: l7, load_balancer: shop, to: {bucket: shop-logs, prefix: /p}}]"),
        "11:77 flow_logs[0].to.prefix: '/p' is not a prefix; "
        "expected at most 256 printable bytes and no leading '/'",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {bucket: shop-logs, layout: '{flow_log}/%Y/%j'}}]",
        ),
        "11:77 flow_logs[0].to.layout: '{flow_log}/%Y/%j' is not a layout: '%j' is no part of a "
        "key; expected {flow_log}, {load_balancer}, {node}, {start}, {sequence} and "
        "%Y %m %d %H %M %S",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {bucket: shop-logs, layout: '{flow_log}/%Y/%m/%d', rotate: 30s}}]",
        ),
        "11:77 flow_logs[0].to.layout: '{flow_log}/%Y/%m/%d' would give several objects one key; "
        "expected also {node}, {sequence}, %H %M %S (or {start})",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {bucket: shop-logs, rotate: 1.5s, max_size: 0B}}]",
        ),
        "11:77 flow_logs[0].to.rotate: 1.5s is not a rotation; "
        "expected whole seconds, at least 1s\n"
        "11:93 flow_logs[0].to.max_size: 0B is not an object size; expected at least 1B",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, granularity: object}]"),
        "11:83 flow_logs[0].granularity: unknown value 'object'; "
        "expected one of batch, node, record",
    ),
    (
        ("to: {log_store: access}}]", "to: {bucket: shop-logs}, granularity: record}]"),
        "11:83 flow_logs[0].granularity: 'record' needs a LogStore, for an object becomes visible "
        "as a whole; expected batch or node",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: {}}]"),
        "11:77 flow_logs[0].delay: expected one distribution: {uniform: [2m, 3m]} or "
        "{lognormal: {p50: 130s, p99: 400s}}",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: {uniform: [3s, 2s]}}]"),
        "11:87 flow_logs[0].delay.uniform: the second duration is less than the first; "
        "expected at least as much",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {log_store: access}, delay: {lognormal: {p50: 3s, p99: 2s}}}]",
        ),
        "11:89 flow_logs[0].delay.lognormal: p99 is less than p50; expected at least as much",
    ),
    (
        (
            "to: {log_store: access}}]",
            "to: {log_store: access}, delay: {lognormal: {p50: 0s, p99: 2s}}}]",
        ),
        "11:89 flow_logs[0].delay.lognormal: p50 is 0s; "
        "expected more, or a delay of 0s instead of a distribution",
    ),
    (
        entry("log_stores: [{name: access, project: a}, {name: access, project: b}]"),
        "11:61 flow_logs[0].to.log_store: 'access' is a LogStore of several projects (a, b); "
        "expected 'project' beside it",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: 3m..2m}]"),
        "11:77 flow_logs[0].delay: the range '3m..2m' ends before it begins",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: 150}]"),
        f"11:77 flow_logs[0].delay: the duration 150 has no unit; {DURATION}",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: {uniform: [1s]}}]"),
        "11:87 flow_logs[0].delay.uniform: 1 durations; expected the two ends, such as [2m, 3m]",
    ),
    (
        ("to: {log_store: access}}]", "to: {log_store: access}, delay: {lognormal: {p50: 3s}}}]"),
        "11:89 flow_logs[0].delay.lognormal: the key 'p99' is missing",
    ),
]


@pytest.mark.parametrize(("change", "expected"), PARTS)
def test_a_bad_part_says_where_and_what_was_expected(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    assert change[0] in GOOD
    assert problems_of(tmp_path, GOOD.replace(*change, 1)) == expected.splitlines()


ADDED = [
    (
        'traffic: [{to: "shop:81", rate: 50, for: 10}]',
        "12:16 traffic[0].to: load balancer 'shop' has no listener on port 81; its ports: 80\n"
        "12:33 traffic[0].rate: '50' has no unit; expected a rate such as 50/s\n"
        f"12:42 traffic[0].for: the duration 10 has no unit; {DURATION}",
    ),
    (
        'traffic: [{to: "shpo:80", rate: 1/s, for: 1s}]',
        "12:16 traffic[0].to: no load balancer is named 'shpo'; did you mean 'shop'?",
    ),
    (
        "traffic: [{to: shop, rate: 1/s}]",
        "12:11 traffic[0]: the key 'for' is missing\n"
        "12:16 traffic[0].to: 'shop' is not a target; expected balancer:port such as 'shop:80'",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 1s, requests: [{gte: /}, {get: /, put: /}]}]',
        "12:58 traffic[0].requests[0]: no method is given; "
        "expected one of get, head, post, put, delete, patch, options with a path\n"
        "12:59 traffic[0].requests[0].gte: unknown key 'gte'; did you mean 'get'?\n"
        "12:68 traffic[0].requests[1]: get and put are given; "
        "expected one of get, head, post, put, delete, patch, options with a path",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 1s, requests: [{get: "/{int:5}"}]}]',
        "12:64 traffic[0].requests[0].get: {int:5} is not a placeholder; "
        "expected {int:1-500}, {choice:a|b|c} or {hex:8}",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 1s, requests: [{get: /, headers: '
        '{Content-Length: 1, "a b": c}}]}]',
        "12:77 traffic[0].requests[0].headers.Content-Length: the header 'Content-Length' is the "
        "sender's own; expected any other\n"
        "12:96 traffic[0].requests[0].headers.a b: 'a b' is not a header name",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 1s, clients: 5}]',
        "12:56 traffic[0].clients: expected a mapping of keys to values, got the number 5",
    ),
    (
        'expect: [{that: "http.sucess_rate >= 99%"}, {that: "flow_log.l8.written > 0"}]',
        "12:17 expect[0].that: unknown metric 'http.sucess_rate'; "
        "did you mean 'http.success_rate'?\n"
        "12:52 expect[1].that: no flow log is named 'l8'; expected l7",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 0s, requests: []}]',
        "12:43 traffic[0].for: 0s is no time to send anything; expected more than 0s\n"
        "12:57 traffic[0].requests: no request is given; expected at least one, such as {get: /}",
    ),
    (
        'traffic: [{to: "shop:80", rate: 1/s, for: 1s, requests: [{get: /, headers: {A: "\\n"}}]}]',
        "12:80 traffic[0].requests[0].headers.A: a header value cannot hold control characters",
    ),
    (
        "expect: [http.failed == 0]",
        "12:10 expect[0]: expected a mapping of keys to values, got the text 'http.failed == 0'",
    ),
    (
        "expect: [{tht: a}]",
        "12:10 expect[0]: the key 'that' is missing\n"
        "12:11 expect[0].tht: unknown key 'tht'; did you mean 'that'?",
    ),
]


@pytest.mark.parametrize(("added", "expected"), ADDED)
def test_bad_traffic_and_expectations_say_where_and_what_was_expected(
    tmp_path: Path, added: str, expected: str
) -> None:
    assert problems_of(tmp_path, f"{GOOD}{added}\n") == expected.splitlines()


def test_a_standard_load_balancer_has_one_list_of_backend_servers(tmp_path: Path) -> None:
    text = (
        "version: 1\n"
        "backends: {web: {}, api: {}}\n"
        "load_balancers:\n"
        "  - name: plain\n"
        "    kind: standard\n"
        "    listeners:\n"
        "      - {protocol: HTTP, port: 80, to: web}\n"
        "      - {protocol: HTTP, port: 81, to: api}\n"
    )
    assert problems_of(tmp_path, text) == [
        "8:40 load_balancers[0].listeners[1].to: a standard load balancer has one list of backend "
        "servers for all its listeners; expected 'web' here too, or kind: application"
    ]


def test_a_flow_log_needs_a_listener(tmp_path: Path) -> None:
    text = (
        "version: 1\n"
        "load_balancers: [{name: a}]\n"
        "buckets: [logs]\n"
        "flow_logs: [{name: l7, load_balancer: a, to: {bucket: logs}}]\n"
    )
    assert problems_of(tmp_path, text) == [
        "4:39 flow_logs[0].load_balancer: load balancer 'a' has no HTTP listener to record; "
        "expected one"
    ]


def test_an_eleventh_flow_log_is_refused(tmp_path: Path) -> None:
    flow_logs = "".join(
        f"  - {{name: f{index}, load_balancer: vip, to: {{bucket: shop-logs, prefix: p{index}}}}}\n"
        for index in range(12)
    )
    text = GOOD[: GOOD.index("flow_logs")] + "flow_logs:\n" + flow_logs
    assert problems_of(tmp_path, text) == [
        "22:5 flow_logs[10]: 12 flow logs are too many; expected at most 10 per region"
    ]


def test_numbers_beyond_all_use_are_refused(tmp_path: Path) -> None:
    text = f'{GOOD}traffic: [{{to: "shop:80", rate: 9999999/s, for: 99999d}}]\n'
    assert problems_of(tmp_path, text) == [
        "12:33 traffic[0].rate: the rate '9999999/s' is out of range; expected at most 1000000/s",
        "12:49 traffic[0].for: the duration 99999d is out of range; expected at most 36500d",
    ]


def test_all_problems_of_a_file_come_at_once_in_its_order(tmp_path: Path) -> None:
    text = GOOD.replace("count: 2", "count: two").replace("buckets", "bukets")
    text += 'expect: [{that: "http.failed = 0"}]\n'
    assert [problem.split(":", 1)[0] for problem in problems_of(tmp_path, text)] == [
        "3",
        "10",
        "12",
    ]


def test_what_an_alias_repeats_is_checked_where_it_stands(tmp_path: Path) -> None:
    text = "version: 1\nbackends: {a: &slow {latency: 5}, b: *slow}\n"
    assert problems_of(tmp_path, text) == [
        f"2:31 backends.a.latency: the duration 5 has no unit; {DURATION}",
        f"2:31 backends.b.latency: the duration 5 has no unit; {DURATION}",
    ]


SCALARS = (
    "'' null 5 -1 0.5 true x '5' [] {} [x] {a:b} 2026-03-01 3m..2m 1e400 0x10 ~ \"\\0\" 'a:b' "
    "999999999999999999999 99999999999d 99999999999999/s 99999999999999GB"
)


@given(st.data())
def test_no_document_raises_anything_but_a_scenario_error(data: st.DataObject) -> None:
    lines = QUICKSTART.read_text(encoding="utf-8")
    values = list(re.finditer(r"(?<=: )[^\s,{}\[\]#]+|[\[{][^\[\]{}]*[\]}]", lines))
    found = data.draw(st.sampled_from(values))
    text = (
        lines[: found.start()] + data.draw(st.sampled_from(SCALARS.split())) + lines[found.end() :]
    )
    with TemporaryDirectory() as directory:
        path = Path(directory) / "scenario.yaml"
        path.write_text(text, encoding="utf-8")
        with suppress(ScenarioError):
            load_scenario(path)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("web: {count", "{}: {{count"),
        ("{name: gold}", "{{name: {}}}"),
        ("- name: shop", "- name: {}"),
        ("{name: access}", "{{name: {}}}"),
        ("[shop-logs]", "[{}]"),
        ("{name: l7", "{{name: {}"),
        ("log_store: access", "log_store: {}"),
        ("to: {log_store: access}", "to: {{log_store: access, project: {}}}"),
        ("80, to: web", "80, to: {}"),
    ],
)
@pytest.mark.parametrize("text", ['"\\ud800"', '"\\0"', '"a\\nb"', '"\\e[0m"'])
def test_names_have_to_be_printable(tmp_path: Path, good: str, bad: str, text: str) -> None:
    assert good in GOOD
    found = problems_of(tmp_path, GOOD.replace(good, bad.format(text)))
    assert any(re.match(r"\d+:\d+", problem) for problem in found)
    assert all(problem.isprintable() for problem in found)
