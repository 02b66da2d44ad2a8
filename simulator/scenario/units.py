"""Ranges, sizes and rates as a scenario writes them; durations and shares are ``verdict``'s."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from simulator.verdict import parse_duration
from simulator.workload import SizeRange

_SIZE_UNITS: Final = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_HIGHEST_RATE: Final = 1_000_000  # per second, far beyond what one process sends
_RATE_PERIODS: Final = {"s": 1, "m": 60, "h": 3600}
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_BARE_NUMBER: Final = re.compile(_NUMBER)
_SIZE: Final = re.compile(rf"({_NUMBER})\s*({'|'.join(_SIZE_UNITS)})")
_RATE: Final = re.compile(rf"({_NUMBER})\s*/\s*([smh])")
_N = TypeVar("_N", int, float)
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")

SIZE_EXPECTED: Final = "expected a size such as 200B, 4KiB or 64MB"
RATE_EXPECTED: Final = "expected a rate such as 50/s"


def parse_size(text: str) -> int:
    """Bytes in ``text``: ``200B``, ``4KiB`` (1024), ``64MB`` (1000).

    Raises:
        ValueError: it is not a size of whole bytes.
    """
    text = text.strip()
    if _BARE_NUMBER.fullmatch(text):
        raise ValueError(f"the size {text} has no unit; {SIZE_EXPECTED}")
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size; {SIZE_EXPECTED}")
    size = Decimal(found[1]) * _SIZE_UNITS[found[2]]
    if size != int(size):
        raise ValueError(f"{text!r} is not a whole number of bytes; {SIZE_EXPECTED}")
    return int(size)


def parse_size_range(text: str) -> SizeRange:
    """``200B..4KiB``, or one size for both ends.

    Raises:
        ValueError: an end is not a size, or they are the wrong way round.
    """
    low, high = _parse_range(text, parse_size)
    return SizeRange(low=low, high=high)


def parse_duration_range(text: str) -> tuple[float, float]:
    """Seconds of ``2m..3m``, or of one duration for both ends.

    Raises:
        ValueError: an end is not a duration, or they are the wrong way round.
    """
    return _parse_range(text, parse_duration)


def parse_rate(text: str) -> float:
    """Per second: ``50/s``, ``300/m``, ``10/h``.

    Raises:
        ValueError: it is not a rate above zero, or beyond a million per second.
    """
    text = text.strip()
    found = _RATE.fullmatch(text)
    if found is None:
        missing = "has no unit" if _BARE_NUMBER.fullmatch(text) else "is not a rate"
        raise ValueError(f"{text!r} {missing}; {RATE_EXPECTED}")
    rate = Decimal(found[1]) / _RATE_PERIODS[found[2]]
    if not rate:
        raise ValueError(f"the rate {text!r} is zero; {RATE_EXPECTED}")
    if rate > _HIGHEST_RATE:
        raise ValueError(f"the rate {text!r} is out of range; expected at most {_HIGHEST_RATE}/s")
    return float(rate)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:9000``, ``[::1]:9000`` or ``name:9000``; no brackets left.

    Raises:
        ValueError: it is not an address with a port from 0 to 65535.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or int(found[2]) > 65535:
        raise ValueError(f"{text!r} is not an address; expected host:port such as 127.0.0.1:9000")
    return found[1].strip("[]"), int(found[2])


def parse_zone(text: str) -> int:
    """Seconds east of UTC in ``+08:00``.

    Raises:
        ValueError: it is not an offset.
    """
    found = re.fullmatch(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a zone; expected an offset such as '+08:00'")
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return seconds if found[1] == "+" else -seconds


def _parse_range(text: str, parse: Callable[[str], _N]) -> tuple[_N, _N]:
    low_text, dots, high_text = text.partition("..")
    low = parse(low_text)
    high = parse(high_text) if dots else low
    if high < low:
        raise ValueError(f"the range {text!r} ends before it begins")
    return low, high
