import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.verdict import format_duration, format_share, parse_duration, parse_share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("0s", 0.0),
        ("5s", 5.0),
        ("1.5s", 1.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("2m41.5s", 161.5),
        ("1h30m", 5400.0),
        (" 90s ", 90.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "5x", "1s2m", "1s1s", "2m 3s", "٣s"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|units"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(min_value=0, max_value=10**6))
def test_a_share_survives_being_written_and_read(millionths: int) -> None:
    assert parse_share(format_share(millionths / 10**6)) == pytest.approx(
        millionths / 10**6, rel=1e-12
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.0004, "0s"), (0.25, "250ms"), (161.5, "2m41.5s"), (3600.0, "1h"), (-1, "-1s")],
)
def test_a_duration_is_written_in_its_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("text", "share"), [("0.5%", 0.005), ("99 %", 0.99), ("100%", 1.0)])
def test_a_share_is_read_as_a_fraction(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["0.5", "101%", "-1%", "%", "a%"])
def test_what_is_not_a_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a percentage"):
        parse_share(text)
