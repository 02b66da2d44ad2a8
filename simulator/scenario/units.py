"""Rates, addresses and zones as a scenario writes them; other units are ``model``'s."""

import re
from decimal import Decimal
from typing import Final

from simulator.model.units import parse_range, parse_size
from simulator.workload import SizeRange

_HIGHEST_RATE: Final = 1_000_000  # per second, far beyond what one process sends
_RATE_PERIODS: Final = {"s": 1, "m": 60, "h": 3600}
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_BARE_NUMBER: Final = re.compile(_NUMBER)
_RATE: Final = re.compile(rf"({_NUMBER})\s*/\s*([smh])")
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")

RATE_EXPECTED: Final = "expected a rate such as 50/s"


def parse_size_range(text: str) -> SizeRange:
    """``200B..4KiB``, or one size for both ends.

    Raises:
        ValueError: an end is not a size, or they are the wrong way round.
    """
    low, high = parse_range(text, parse_size)
    return SizeRange(low=low, high=high)


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
