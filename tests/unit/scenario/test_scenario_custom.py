"""The custom configuration of a listener, read from a scenario."""

from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model import CustomConfiguration, HeaderToSet, Listener
from simulator.scenario import build_snapshot, load_scenario

GOOD = """\
version: 1
backends: {web: {address: "127.0.0.1:9000"}}
load_balancers:
  - name: shop
    listeners:
      - protocol: HTTP
        port: 80
        to: web
"""
PLACE = "load_balancers[0].listeners[0]"


def listener(tmp_path: Path, keys: str) -> Listener:
    path = tmp_path / "scenario.yaml"
    path.write_text(GOOD + "".join(f"        {line}\n" for line in keys.splitlines()))
    [balancer] = build_snapshot(load_scenario(path), {}).load_balancers
    return balancer.listeners[0]


def test_without_keys_a_listener_is_as_the_vendor_leaves_it(tmp_path: Path) -> None:
    plain = listener(tmp_path, "")
    assert plain.custom == CustomConfiguration()
    assert not plain.allow_non_ascii
    assert not plain.gzip_json


def test_every_key_reaches_the_model(tmp_path: Path) -> None:
    found = listener(
        tmp_path,
        "allow_non_ascii: true\n"
        "gzip_json: on\n"
        'proxy_set_header: {X-Real-IP: $remote_addr, X-Debug: "", X-To: "${host}:$server_port!"}',
    )
    assert found.allow_non_ascii
    assert found.gzip_json
    assert found.custom.set_headers == (
        HeaderToSet(name="X-Real-IP", parts=("", "remote_addr", "")),
        HeaderToSet(name="X-Debug", parts=("",)),
        HeaderToSet(name="X-To", parts=("", "host", ":", "server_port", "!")),
    )


VARIABLES = "$host, $remote_addr, $scheme, $server_addr, $server_port"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            "proxy_set_header: [X]",
            "9:27 {}.proxy_set_header: expected a mapping of keys to values, got a list",
        ),
        (
            "proxy_set_header: {X-A: $remote_user}",
            "9:33 {}.proxy_set_header.X-A: '$remote_user' is no variable; expected one of "
            + VARIABLES,
        ),
        (
            "proxy_set_header: {Price: 5$}",
            "9:35 {}.proxy_set_header.Price: '$' is no variable; expected one of " + VARIABLES,
        ),
        (
            "proxy_set_header: {Content-length: 5}",
            "9:28 {}.proxy_set_header.Content-length: the header 'Content-length' says how the "
            "request is framed or handed on; expected any other",
        ),
        (
            "proxy_set_header: {X A: b}",
            "9:28 {}.proxy_set_header.X A: 'X A' is not a header name; expected one such as "
            "X-Real-IP",
        ),
        (
            "proxy_set_header:\n  X-A: b\n  x-a: c",
            "11:11 {}.proxy_set_header.x-a: duplicate header 'x-a'; line 10 sets it already",
        ),
        (
            "proxy_set_header: {Host: ''}",
            "9:34 {}.proxy_set_header.Host: a request cannot do without a Host; expected a host",
        ),
        (
            "proxy_set_header: {X-A: }",
            "9:32 {}.proxy_set_header.X-A: expected a single value, got nothing",
        ),
        (
            "gzip_json: gzip",
            "9:20 {}.gzip_json: expected true or false, got the text 'gzip'",
        ),
        (
            "allow_non_ascii: 1",
            "9:26 {}.allow_non_ascii: expected true or false, got the number 1",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, keys: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        listener(tmp_path, keys)
    file = tmp_path / "scenario.yaml"
    assert [str(found) for found in caught.value.problems] == [f"{file}:{problem.format(PLACE)}"]
