"""Pipelines that rename, convert, drop and add."""

import json

import pytest
from fake_ledger import line, record

from simulator.verdict.canonical import Canonical
from simulator.verdict.mapping import RecordMapping, TimeFormat, Types, parse_mapping

EVERYTHING = {
    "record": "message",
    "fields": {"response_status": "status", "request_time": "timing.total_ms"},
    "scale": {"request_time": 1000},
    "times": {"time_local": "iso8601"},
    "lists": ["upstream_addr"],
    "ignore": ["extension_log"],
    "extra": ["ingested_at"],
    "constants": {"source": "blb"},
    "absent": ["-", ""],
    "types": "strict",
}


def kept(number: int = 1, **changes: object) -> dict[str, object]:
    """What a pipeline with EVERYTHING makes of a record."""
    found = record(number) | {
        "source": "blb",
        "ingested_at": 17,
        "status": 200,
        "timing": {"total_ms": 12},
        "time_local": "2026-03-01T00:00:01Z",
        "upstream_addr": ["192.168.26.2:8080"],
    }
    for name in ("response_status", "request_time", "extension_log"):
        del found[name]
    return found | changes


def is_same(delivered: bytes, found: object, mapping: object) -> bool:
    canonical = Canonical(parse_mapping(mapping))
    return canonical.delivered(delivered) == canonical.kept(json.dumps(found).encode())


def test_a_mapping_brings_records_back():
    assert is_same(line(1), {"message": kept()}, EVERYTHING)
    assert is_same(line(1), {"message": json.dumps(kept()), "offset": 4}, EVERYTHING)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "elsewhere"},
        {"source": None},
        {"status": 500},
        {"timing": {"total_ms": 13}},
        {"timing": 12},
        {"time_local": "2026-03-01T08:00:01Z"},
        {"time_local": "no time"},
        {"upstream_addr": ["192.168.26.2:8080", "192.168.26.3:8080"]},
        {"extra": 1},
    ],
)
def test_what_a_mapping_does_not_cover_still_differs(changes: dict[str, object]):
    assert not is_same(line(1), {"message": kept(**changes)}, EVERYTHING)


def test_a_constant_that_is_missing_differs():
    found = kept()
    del found["source"]
    assert is_same(line(1), found, {**EVERYTHING, "record": None, "constants": {}})
    assert not is_same(line(1), found, {**EVERYTHING, "record": None})


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("iso8601", "2026-03-01T08:00:01+08:00"),
        ("iso8601", "2026-03-01 00:00:01.250"),
        ("epoch_s", 1772323201),
        ("epoch_s", "1772323201.5"),
        ("epoch_ms", 1772323201999),
        ("time_local", "01/Mar/2026:00:00:01 +0000"),
    ],
)
def test_times_are_compared_to_the_second(spelling: str, value: object):
    mapping = {"times": {"time_local": spelling}}
    assert is_same(line(1), record(1, time_local=value), mapping)
    assert not is_same(line(2), record(2, time_local=value), mapping)


def test_only_some_fields_can_be_compared():
    mapping = {"only": ["request", "cip"]}
    assert is_same(line(1), {"request": "GET /item/1 HTTP/1.1", "cip": "198.19.0.1"}, mapping)
    assert not is_same(line(1), {"request": "GET /item/1 HTTP/1.1"}, mapping)
    assert is_same(line(1), record(1, vport=5, more=1), mapping)


def test_any_field_that_no_record_has_can_be_extra():
    assert not is_same(line(1), record(1, a=1, b=2), {})
    assert is_same(line(1), record(1, a=1, b=2), {"extra": True})
    assert is_same(line(1), record(1, a=1), {"extra": ["a"]})


def test_lists_of_numbers_are_lists_too():
    mapping = {"lists": ["upstream_response_time"]}
    assert is_same(line(1), record(1, upstream_response_time=[0.5]), mapping)
    two = line(1).replace(b'"upstream_response_time":0.5', b'"upstream_response_time":"0.500, 0.1"')
    assert is_same(two, record(1, upstream_response_time=[0.5, 0.1]), mapping)
    assert not is_same(two, record(1, upstream_response_time=[0.1, 0.5]), mapping)


def test_the_mapping_is_parsed():
    assert parse_mapping({}) == RecordMapping()
    found = parse_mapping(EVERYTHING)
    assert found.types is Types.STRICT
    assert found.times == {"time_local": TimeFormat.ISO_8601}
    assert found.absent == {"-", ""}
    assert found.changes_values
    assert not parse_mapping({"types": "strict"}).changes_values


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "mapping is empty; expected an object such as"),
        ([], "mapping is a list; expected an object such as"),
        ({"field": {}}, "mapping: unknown key 'field'; expected absent, constants"),
        ({"fields": ["a"]}, "mapping.fields is a list; expected an object, field to value"),
        ({"fields": {"vport": 3}}, "mapping.fields.vport is 3; expected a text"),
        ({"record": 1}, "mapping.record is 1; expected the name of a field"),
        ({"ignore": "a"}, "mapping.ignore is the text 'a'; expected a list of texts"),
        ({"scale": {"a": 0}}, "mapping.scale.a is 0; expected a number such as 1000"),
        ({"scale": {"a": True}}, "mapping.scale.a is True; expected a number such as 1000"),
        (
            {"times": {"a": "unix"}},
            "mapping.times.a is the text 'unix'; expected one of time_local, iso8601, epoch_s",
        ),
        ({"types": "loose"}, "mapping.types is the text 'loose'; expected one of lenient, strict"),
        ({"constants": {"a": {1}}}, "mapping.constants.a is {1}; expected a value that JSON has"),
    ],
)
def test_a_mapping_that_is_none_says_what_was_expected(document: object, message: str):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is what is tested
        parse_mapping(document)
    assert str(caught.value).startswith(message)
