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
        "proxy_buffering: off\n"
        "proxy_buffers: {number: 5, size: 8KiB}\n"
        "limits: {response_header: 16KiB}\n"
        'proxy_set_header: {X-Real-IP: $remote_addr, X-Debug: "", X-To: "${host}:$server_port!"}',
    )
    assert found.allow_non_ascii
    assert found.gzip_json
    assert not found.custom.buffering
    assert (found.custom.buffer_count, found.custom.buffer_size_bytes) == (5, 8192)
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
            "proxy_buffering: maybe",
            "9:26 {}.proxy_buffering: expected true or false, got the text 'maybe'",
        ),
        (
            "proxy_buffers: {number: 9, size: 4KiB}",
            "9:33 {}.proxy_buffers.number: 9 is out of range; expected a whole number from 3 to 8",
        ),
        (
            "proxy_buffers: {number: 8, size: 4KB}",
            "9:42 {}.proxy_buffers.size: 4KB is out of range; expected a size from 4KiB to 64KiB",
        ),
        (
            "proxy_buffers: {number: 4}",
            "9:24 {}.proxy_buffers: the key 'size' is missing",
        ),
        (
            "limits: {response_header: 16KiB}",
            "9:17 {}.limits: proxy_buffers 8 of 4096B are too few for a response_header of "
            "16384B; expected twice the larger of the two sizes to fit into 7 buffers, with "
            "proxy_buffers: {{number, size}}",
        ),
        (
            "limits: {response_header: 8KiB}\nproxy_buffers: {number: 4, size: 4KiB}",
            "10:24 {}.proxy_buffers: proxy_buffers 4 of 4096B are too few for a response_header "
            "of 8192B; expected twice the larger of the two sizes to fit into 3 buffers, with "
            "proxy_buffers: {{number, size}}",
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
