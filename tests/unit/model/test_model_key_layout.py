"""Layouts of keys: what they are filled with, which are refused."""

from datetime import datetime

import pytest

from simulator.model.key_layout import DEFAULT_LAYOUT, fill_layout, leading_text, parse_layout

START = datetime(2026, 3, 1, 8, 5, 30)  # noqa: DTZ001  only its parts are used
NAMES = {
    "flow_log": "fl-1",
    "load_balancer": "lb-1",
    "node": "100.64.0.1",
    "sequence": "00007",
}


def test_every_part_is_filled_in() -> None:
    assert (
        fill_layout(DEFAULT_LAYOUT, START, NAMES)
        == "fl-1/2026/03/01/08/05/lb-1_100.64.0.1_20260301T080530_00007"
    )
    layout = "dt=%Y-%m-%d/h=%H%M%S/{sequence}{node}.{flow_log}"
    assert fill_layout(layout, START, NAMES) == "dt=2026-03-01/h=080530/00007100.64.0.1.fl-1"


@pytest.mark.parametrize(
    ("time", "rotation_s"),
    [
        ("{start}", 1),
        ("%Y%m%d%H%M%S", 1),
        ("%Y%m%d%H%M", 60),
        ("%Y%m%d%H", 3600),
        ("%Y%m%d", 86_400),
    ],
)
def test_time_must_be_as_fine_as_the_rotation(time: str, rotation_s: int) -> None:
    layout = f"{time}_{{flow_log}}_{{node}}_{{sequence}}"
    assert parse_layout(layout, rotation_s) == layout
    if rotation_s > 1:
        with pytest.raises(ValueError, match="several objects one key"):
            parse_layout(layout, rotation_s - 1)


@pytest.mark.parametrize("part", ["{flow_log}", "{node}", "{start}", "{sequence}"])
def test_what_makes_keys_unique_must_be_there(part: str) -> None:
    whole = "{flow_log}/{node}_{start}_{sequence}"
    with pytest.raises(ValueError, match="expected also"):
        parse_layout(whole.replace(part, "x"), 60)


@pytest.mark.parametrize("extra", ["{}", "{prefix}", "{", "}", "%", "%y", "%%", "\n"])
def test_what_is_no_part_is_refused(extra: str) -> None:
    with pytest.raises(ValueError, match="is not a layout"):
        parse_layout("{flow_log}/{node}_{start}_{sequence}" + extra, 60)


def test_keys_are_looked_for_by_what_they_begin_with() -> None:
    names = {"flow_log": "fl-1", "load_balancer": "lb-1"}
    assert leading_text(DEFAULT_LAYOUT, names) == "fl-1/"
    assert leading_text("by/{load_balancer}/{flow_log}_%Y", names) == "by/lb-1/fl-1_"
    assert leading_text("%Y/{flow_log}", names) == ""
