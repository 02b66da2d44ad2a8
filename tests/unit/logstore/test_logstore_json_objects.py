"""JSON records with numbers that no float holds."""

import math

import msgspec
import pytest

from simulator.logstore.json_objects import decode_object


@pytest.mark.parametrize("text", ['{"a":1e400,"b":0.5,"c":7}', b'{"a":1e400,"b":0.5,"c":7}'])
def test_numbers_of_any_size(text: str | bytes) -> None:
    assert decode_object(text) == {"a": math.inf, "b": 0.5, "c": 7}
    assert decode_object(text, str) == {"a": "1e400", "b": "0.5", "c": 7}


def test_what_floats_hold_is_never_another_thing() -> None:
    assert decode_object('{"a":0.5}', str) == {"a": 0.5}


@pytest.mark.parametrize("text", ["[1e400]", "1e400", '{"a":1e400', '{"a":Infinity}', "", "null"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_object(text)
