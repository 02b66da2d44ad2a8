import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model.units import parse_duration_range, parse_size
from simulator.scenario.units import parse_address, parse_rate, parse_size_range, parse_zone
from simulator.verdict import format_duration
from simulator.workload import SizeRange

UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(sorted(UNITS)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * UNITS[unit]


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=10**9))
def test_a_size_range_survives_being_written_and_read(low: int, width: int) -> None:
    assert parse_size_range(f"{low}B..{low + width}B") == SizeRange(low=low, high=low + width)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=10**9))
def test_a_duration_range_survives_being_written_and_read(low: int, width: int) -> None:
    low_s, high_s = low / 1000, (low + width) / 1000
    text = f"{format_duration(low_s)}..{format_duration(high_s)}"
    assert parse_duration_range(text) == (low_s, high_s)


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from([("s", 1), ("m", 60)]))
def test_a_rate_is_its_number_over_its_period(number: int, period: tuple[str, int]) -> None:
    assert parse_rate(f"{number}/{period[0]}") == pytest.approx(number / period[1], rel=1e-12)


@given(st.integers(min_value=-1439, max_value=1439))
def test_a_zone_survives_being_written_and_read(minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    assert parse_zone(f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}") == minutes * 60


@given(st.ip_addresses(), st.integers(min_value=0, max_value=65535))
def test_an_address_survives_being_written_and_read(ip: object, port: int) -> None:
    host = str(ip)
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert parse_address(text) == (host, port)


def test_one_value_is_a_range_with_equal_ends() -> None:
    assert parse_size_range("4KiB") == SizeRange(low=4096, high=4096)
    assert parse_duration_range("90s") == (90.0, 90.0)


@pytest.mark.parametrize("text", ["", "4", "4k", "0.5B", "KiB", "-1B", "4KiB.."])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a size"):
        parse_size_range(text)


@pytest.mark.parametrize("text", ["50", "50/d", "0/s", "/s", "x/s"])
def test_what_is_not_a_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a rate"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["127.0.0.1", ":80", "::1:80", "a:65536", "http://a:80", "[::1]"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected host:port"):
        parse_address(text)
