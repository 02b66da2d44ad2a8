"""What each fault makes of a record, and that the rest of it stays as it was, byte for byte."""

import json

import pytest
from fault_world import encode, fault
from hypothesis import given
from hypothesis import strategies as st

from simulator.accesslog import AccessRecordShape
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.record_faults import (
    WrittenRecord,
    alter,
    escape_text,
    find_value,
    unescape_text,
)
from simulator.model.faults import Fault, FaultKind
from simulator.rng import Rng

AT = 1_772_323_205.678
LINE = encode(7, AT)
BOARD = FaultBoard(Rng(7))


def altered(one: Fault, line: bytes = LINE) -> bytes:
    record = WrittenRecord(line=line, logged_ms=int(AT * 1000), subject=("s", 1, 1))
    changed = alter(BOARD, one, record)
    assert changed is not None
    return changed.line


def changed_fields(line: bytes) -> dict[str, object]:
    before, after = json.loads(LINE), json.loads(line)
    return {
        key: after.get(key)
        for key in {**before, **after}
        if before.get(key, "absent") != after.get(key, "absent")
    }


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            fault(FaultKind.OVERSIZE, field="http_user_agent", size=100),
            {"http_user_agent": 'Mozilla/5.0 (中文) "quoted"' + "x" * (100 - 29)},
        ),
        (fault(FaultKind.CUTFIELD, bytes=7), {"http_user_agent": "Mozilla"}),
        (fault(FaultKind.TYPE, field="vport"), {"vport": "80"}),
        (
            fault(FaultKind.TYPE),
            {
                "vport": "80",
                "response_status": "200",
                "cport": "20007",
                "server_port": "80",
                "request_length": "0",
                "body_bytes_sent": "0",
                "upstream_connect_time": "0.001",
                "upstream_response_time": "0.010",
                "request_time": "0.012",
            },
        ),
        (
            fault(FaultKind.INJECT, payload="ampersand"),
            {"http_user_agent": 'Mozilla/5.0 (中文) "quoted"&admin=true'},
        ),
        (
            fault(FaultKind.SPOOF, payload="xff-hops", hops=3),
            {"http_x_forwarded_for": "10.0.0.0, 10.0.0.1, 10.0.0.2"},
        ),
        (
            fault(FaultKind.SPOOF, payload="xff-text"),
            {"http_x_forwarded_for": 'unknown, "127.0.0.1", 1\'; DROP TABLE access; --'},
        ),
        (fault(FaultKind.SPOOF, payload="dash-agent"), {"http_user_agent": "-"}),
        (fault(FaultKind.SPOOF, payload="odd-host"), {"host": "SHOP.EXAMPLE.COM:8080"}),
        (fault(FaultKind.NEWFIELD, key="trace", value='a"b'), {"trace": 'a"b'}),
        (fault(FaultKind.OLDSCHEMA, form="missing"), {"extension_log": None}),
        (
            fault(FaultKind.OLDSCHEMA, form="dylimit"),
            {"extension_log": None, "dylimit_id": "lb-00000001", "dylimit_status": "0"},
        ),
        (fault(FaultKind.SKEW, offset=-300.0), {"time_local": "01/Mar/2026:07:55:05 +0800"}),
        (fault(FaultKind.TZ, zone="+0000"), {"time_local": "01/Mar/2026:00:00:05 +0000"}),
        (fault(FaultKind.TZ, zone="-0330"), {"time_local": "28/Feb/2026:20:30:05 -0330"}),
        (fault(FaultKind.EPOCH), {"ssl_handshake_time": 1772323205.678}),
        (fault(FaultKind.CIPOFF, bip="100.64.0.17"), {"remote_addr": "100.64.0.17"}),
        (
            fault(FaultKind.NOGROUP),
            {
                "response_status": 502,
                "upstream_addr": "sg-11bd8054",
                "upstream_status": "502",
                "upstream_connect_time": "-",
                "upstream_response_time": 0.0,
            },
        ),
        (
            fault(FaultKind.LONG, lasted=(3600.0, 3600.0)),
            {
                "response_status": 101,
                "upstream_status": "101",
                "upstream_response_time": 3600.0,
                "request_time": 3600.0,
            },
        ),
    ],
    ids=lambda value: f"{value.kind}-{value.knobs}" if isinstance(value, Fault) else "",
)
def test_what_stays_json(one: Fault, expected: dict[str, object]) -> None:
    line = altered(one)
    assert changed_fields(line) == expected
    assert b'"request_time":' in line
    assert list(json.loads(line))[:27] == list(json.loads(LINE))[:27], "the order of keys stays"


@pytest.mark.parametrize(
    ("one", "before", "after"),
    [
        (fault(FaultKind.ENC, bytes="FFC3"), b'quoted\\""', b'quoted\\"\xff\xc3"'),
        (fault(FaultKind.ENC, bytes="0922"), b'quoted\\""', b'quoted\\"\\u0009\\u0022"'),
        (fault(FaultKind.BADESC), b'quoted\\""', rb'quoted\"\x22"'),
        (
            fault(FaultKind.BADJSON, form="dash"),
            b'"upstream_response_time":0.010',
            b'"upstream_response_time":-',
        ),
        (
            fault(FaultKind.BADJSON, form="empty"),
            b'"upstream_response_time":0.010',
            b'"upstream_response_time":',
        ),
        (
            fault(FaultKind.BADJSON, form="zeros", field="response_status"),
            b'"response_status":200',
            b'"response_status":00200',
        ),
        (fault(FaultKind.INJECT, payload="newline"), b'quoted\\""', b'quoted\\"\ninjected"'),
        (fault(FaultKind.INJECT, payload="tab"), b'quoted\\""', b'quoted\\"\tinjected"'),
        (
            fault(FaultKind.CUTFIELD, bytes=14),
            b'(\xe4\xb8\xad\xe6\x96\x87) \\"quoted\\""',
            b'(\xe4"',
        ),
    ],
    ids=lambda value: f"{value.kind}-{value.knobs}" if isinstance(value, Fault) else "",
)
def test_what_is_written_raw(one: Fault, before: bytes, after: bytes) -> None:
    assert LINE.count(before) == 1
    assert altered(one) == LINE.replace(before, after)


def test_a_forged_record_is_a_whole_one() -> None:
    first, second = altered(fault(FaultKind.INJECT, payload="record")).split(b"\n")
    assert json.loads(first)["http_user_agent"] == 'Mozilla/5.0 (中文) "quoted"'
    forged = json.loads(second)
    assert (forged["response_status"], forged["remote_addr"]) == (200, "203.0.113.66")
    assert list(forged) == list(json.loads(LINE))


def test_a_skewed_clock_skews_the_timestamp_too_unless_told_otherwise() -> None:
    record = WrittenRecord(line=LINE, logged_ms=5_000_000, subject=())
    for timestamp, expected in ((True, 4_700_000), (False, 5_000_000)):
        changed = alter(BOARD, fault(FaultKind.SKEW, offset=-300.0, timestamp=timestamp), record)
        assert changed is not None
        assert changed.logged_ms == expected


def test_numbers_are_quoted_where_all_are() -> None:
    line = encode(7, AT, shape=AccessRecordShape.STRINGS)
    assert b'"response_status":"502"' in altered(fault(FaultKind.NOGROUP), line)
    assert b'"ssl_handshake_time":"1772323205.678"' in altered(fault(FaultKind.EPOCH), line)


def test_one_connection_comes_through_one_gateway() -> None:
    one = fault(FaultKind.CIPOFF, bip="100.64.0.17 100.64.0.18 100.64.0.19")
    found = set()
    for number in range(50):
        line = encode(number, AT)
        peers = {json.loads(altered(one, encode(number, at)))["remote_addr"] for at in (AT, AT + 9)}
        assert len(peers) == 1
        assert json.loads(altered(one, line))["cip"] == json.loads(line)["cip"]
        found |= peers
    assert found == {"100.64.0.17", "100.64.0.18", "100.64.0.19"}


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in FaultKind
        if kind.name
        in {
            "OVERSIZE",
            "CUTFIELD",
            "ENC",
            "BADESC",
            "BADJSON",
            "TYPE",
            "INJECT",
            "SPOOF",
            "OLDSCHEMA",
            "SKEW",
            "TZ",
            "EPOCH",
            "CIPOFF",
            "NOGROUP",
            "LONG",
        }
    ],
)
def test_a_line_without_the_field_is_left_alone(kind: FaultKind) -> None:
    record = WrittenRecord(line=b'{"other":"text"}', logged_ms=0, subject=())
    assert alter(BOARD, fault(kind), record) is None


@given(st.binary(max_size=40))
def test_escaping_can_be_undone(value: bytes) -> None:
    assert unescape_text(escape_text(value)) == value


@given(st.text(max_size=30), st.text(max_size=30))
def test_values_are_found_whatever_they_hold(first: str, second: str) -> None:
    line = json.dumps({"a": first, "b": second, "n": 5}, separators=(",", ":")).encode()
    for key, value in (("a", first), ("b", second), ("n", 5)):
        found = find_value(line, key)
        assert found is not None
        assert json.loads(line[slice(*found)]) == value
    assert find_value(line, "c") is None
