"""Durations, sizes and shares as people write them: ``2m``, ``4KiB``, ``99.5%``.

Both directions live here so that what a scenario says and what a report prints read the same.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

_DURATION_UNITS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_SIZE_UNITS: Final = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_LONGEST_S: Final = 36500 * 86400  # a century; keeps sums of durations within dates
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_BARE_NUMBER: Final = re.compile(_NUMBER)
_DURATION_PART: Final = re.compile(rf"({_NUMBER})(ms|[smhd])")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:ms|[smhd]))+")
_SIZE: Final = re.compile(rf"({_NUMBER})\s*({'|'.join(_SIZE_UNITS)})")
_SHARE: Final = re.compile(rf"({_NUMBER})\s*%")

DURATION_EXPECTED: Final = "expected a duration such as 250ms, 5s, 2m, 1h or 7d"
SIZE_EXPECTED: Final = "expected a size such as 200B, 4KiB or 64MB"
SHARE_EXPECTED: Final = "expected a percentage such as 0.5%"

_N = TypeVar("_N", int, float)


def parse_duration(text: str) -> float:
    """Seconds in ``text``: ``250ms``, ``5s``, ``2m``, ``1h``, ``7d``, or several, largest first.

    Raises:
        ValueError: it is not a duration of at most a century; the message says what was expected.
    """
    text = text.strip()
    if _BARE_NUMBER.fullmatch(text):
        raise ValueError(f"the duration {text} has no unit; {DURATION_EXPECTED}")
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; {DURATION_EXPECTED}")
    total = Decimal(0)
    smallest_unit = Decimal("Infinity")
    for number, unit in _DURATION_PART.findall(text):
        size = _DURATION_UNITS[unit]
        if size >= smallest_unit:
            raise ValueError(f"{text!r} repeats or reorders its units; write the largest first")
        smallest_unit = size
        total += Decimal(number) * size
    if total > _LONGEST_S:
        raise ValueError(f"the duration {text} is out of range; expected at most 36500d")
    return float(total)


def format_duration(seconds: float) -> str:
    """``seconds`` to the millisecond, the way ``parse_duration`` reads it: ``2m41.5s``."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{sign}{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [
        f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count
    ]
    if milliseconds:
        parts.append(f"{_trimmed(Decimal(milliseconds) / 1000)}s")
    return sign + "".join(parts)


def parse_share(text: str) -> float:
    """The fraction, 0 to 1, in a percentage such as ``99.5%``.

    Raises:
        ValueError: it is not a percentage between 0% and 100%.
    """
    text = text.strip()
    found = _SHARE.fullmatch(text)
    if found is None:
        missing = "has no unit" if _BARE_NUMBER.fullmatch(text) else "is not a percentage"
        raise ValueError(f"{text!r} {missing}; {SHARE_EXPECTED}")
    share = Decimal(found[1]) / 100
    if share > 1:
        raise ValueError(f"{text!r} is more than 100%; {SHARE_EXPECTED}")
    return float(share)


def format_share(fraction: float) -> str:
    """``fraction`` as a percentage with up to four decimals, as ``parse_share`` reads it."""
    return f"{_trimmed(Decimal(repr(round(fraction, 6))) * 100)}%"


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


def parse_duration_range(text: str) -> tuple[float, float]:
    """Seconds of ``2m..3m``, or of one duration for both ends.

    Raises:
        ValueError: an end is not a duration, or they are the wrong way round.
    """
    return parse_range(text, parse_duration)


def parse_range(text: str, parse: Callable[[str], _N]) -> tuple[_N, _N]:
    """Both ends of ``low..high``, or of one value for both.

    Raises:
        ValueError: from ``parse``, or they are the wrong way round.
    """
    low_text, dots, high_text = text.partition("..")
    low = parse(low_text)
    high = parse(high_text) if dots else low
    if high < low:
        raise ValueError(f"the range {text!r} ends before it begins")
    return low, high


def _trimmed(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
