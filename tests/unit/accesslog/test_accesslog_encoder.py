"""One record, every shape: the 28 fields, their order, absence, lists and escaping."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.accesslog import (
    FIELDS,
    AccessRecord,
    AccessRecordShape,
    Attempt,
    FieldType,
    RecordEncoder,
    ServedBy,
)

SERVED_BY = ServedBy(
    load_balancer_id="lb-0d29a3f6",
    vip="10.0.1.5",
    vport=80,
    node_address="100.64.3.9",
)


def attempt(address: str, status: int | None, connect: float | None, response: float) -> Attempt:
    made = Attempt(address)
    made.status, made.connect_s, made.response_s = status, connect, response
    return made


def record(**values) -> AccessRecord:
    made = AccessRecord()
    made.logged_at = 1_760_594_607.9  # 16/Oct/2025:14:03:27 +0800
    made.response_status = 200
    made.remote_addr = made.client_ip = "203.0.113.7"
    made.client_port = 51234
    made.request = b"GET /cart?id=7 HTTP/1.1"
    for name, value in values.items():
        setattr(made, name, value)
    return made


def encode(made: AccessRecord, **options) -> dict:
    line = RecordEncoder(SERVED_BY, **options).encode(made)
    assert b"\n" not in line
    assert b"\t" not in line
    return json.loads(line)


def test_keys_are_the_28_fields_in_table_order():
    fields = encode(record())
    assert list(fields) == [field.name for field in FIELDS]
    assert len(fields) == 28


def test_what_never_happened_is_a_dash():
    fields = encode(record())
    absent = {name for name, value in fields.items() if value == "-"}
    assert absent == {
        *("vdum_ups_id", "upstream_addr", "upstream_status", "host", "http_referer"),
        *("http_user_agent", "http_x_forwarded_for", "upstream_connect_time"),
        *("upstream_response_time", "ssl_handshake_time", "ssl_session_reused"),
        *("vdum_rs_proto", "upstream_local_addr"),
    }


def test_present_but_empty_is_empty():
    assert encode(record(http_referer=b""))["http_referer"] == ""


def test_one_try_gives_numbers():
    fields = encode(record(attempts=[attempt("10.0.2.11:8080", 200, 0.001, 0.043)]))
    assert fields["upstream_addr"] == "10.0.2.11:8080"
    assert fields["upstream_status"] == "200"
    assert (fields["upstream_connect_time"], fields["upstream_response_time"]) == (0.001, 0.043)
    assert (fields["vdum_rs_proto"], fields["upstream_local_addr"]) == ("http", "100.64.3.9")


def test_several_tries_give_lists_of_equal_length():
    tries = [attempt("A:1", 502, None, 0.0), attempt("B:2", 200, 0.001, 0.004)]
    fields = encode(record(attempts=tries))
    assert fields["upstream_addr"] == "A:1, B:2"
    assert fields["upstream_status"] == "502, 200"
    assert fields["upstream_connect_time"] == "-, 0.001"
    assert fields["upstream_response_time"] == "0.000, 0.004"


def test_a_try_that_ended_before_a_status_has_a_dash():
    fields = encode(record(attempts=[attempt("A:1", None, None, 0.5)]))
    assert (fields["upstream_status"], fields["upstream_connect_time"]) == ("-", "-")
    assert fields["upstream_response_time"] == 0.5


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (AccessRecordShape.TYPED, (9, 0.25, 51234, "-")),
        (AccessRecordShape.STRINGS, ("009", "0.250", "51234", "-")),
        (AccessRecordShape.JSON_EMPTY, (9, 0.25, 51234, "")),
    ],
)
def test_shapes(shape: AccessRecordShape, expected: tuple):
    fields = encode(record(response_status=9, request_time_s=0.25), shape=shape)
    names = ("response_status", "request_time", "cport", "http_referer")
    assert tuple(fields[name] for name in names) == expected


def test_the_strings_shape_has_no_number():
    fields = encode(
        record(attempts=[attempt("A:1", 200, 0.1, 0.2)]), shape=AccessRecordShape.STRINGS
    )
    assert {type(value) for value in fields.values()} == {str}


def test_the_typed_shape_has_the_declared_types_where_there_is_a_value():
    made = record(
        attempts=[attempt("A:1", 200, 0.1, 0.2)],
        ssl_handshake_time_s=0.021,
        ssl_session_reused=True,
        host=b"a",
    )
    types = {FieldType.STRING: str, FieldType.INT: int, FieldType.FLOAT: float}
    fields = encode(made)
    assert {f.name: type(fields[f.name]) for f in FIELDS} == {f.name: types[f.type] for f in FIELDS}
    assert fields["ssl_session_reused"] == "r"


def test_a_limited_request_says_so():
    assert encode(record(limited=(1873, 0)))["extension_log"] == "lb-0d29a3f6&1&1873&0"
    separated = encode(record(), extension_separator="|")
    assert separated["extension_log"] == "lb-0d29a3f6|0|0|0"


@pytest.mark.parametrize(
    ("offset_s", "expected"),
    [
        (8 * 3600, "16/Oct/2025:14:03:27 +0800"),
        (0, "16/Oct/2025:06:03:27 +0000"),
        (-12600, "16/Oct/2025:02:33:27 -0330"),
    ],
)
def test_time_local_follows_the_zone(offset_s: int, expected: str):
    assert encode(record(), zone_offset_s=offset_s)["time_local"] == expected


def test_one_encoder_formats_every_second_anew():
    encoder = RecordEncoder(SERVED_BY)
    first, second = record(), record(logged_at=1_760_594_608.1)
    times = [
        json.loads(encoder.encode(made))["time_local"][-14:] for made in (first, second, first)
    ]
    assert times == ["14:03:27 +0800", "14:03:28 +0800", "14:03:27 +0800"]


@given(st.binary(max_size=200))
def test_any_bytes_make_valid_json_that_reads_back(raw: bytes):
    fields = encode(record(http_user_agent=raw, request=raw, host=raw))
    assert fields["http_user_agent"] == fields["request"] == raw.decode("utf-8", "replace")
