"""Which names are allowed, and that each is given once."""

import re
from typing import Final

from simulator.scenario.document import Entry, Value

_NAME: Final = re.compile(r"[A-Za-z\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff_/.-]{0,64}")
_NAME_EXPECTED: Final = (
    "expected 1 to 65 letters, digits and the characters - _ / . beginning with a letter"
)
_LOG_STORE: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_LOG_STORE_EXPECTED: Final = "expected 1 to 128 letters, digits and the characters _ - ."
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_BUCKET_EXPECTED: Final = (
    "expected 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end"
)


def parse_name(text: str) -> str:
    """A name of a load balancer, flow log, cluster or set of backends.

    Source: doc NDS om40qszzr (names of traffic mirror sessions, the same service);
    assumed to hold for the others too.

    Raises:
        ValueError: not such a name.
    """
    return _matching(_NAME, text, _NAME_EXPECTED)


def parse_log_store_name(text: str) -> str:
    """A name of a LogStore or project. Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj.

    Raises:
        ValueError: not such a name.
    """
    return _matching(_LOG_STORE, text, _LOG_STORE_EXPECTED)


def parse_bucket_name(text: str) -> str:
    """A name of a bucket. Source: observed in the vendor's SDKs.

    Raises:
        ValueError: not such a name.
    """
    return _matching(_BUCKET, text, _BUCKET_EXPECTED)


class UniqueNames:
    """The names of one kind given so far, with the line of each."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._lines: dict[str, int] = {}

    def add(self, name: str, value: Value, *, shown: str | None = None) -> bool:
        """Note ``name``, given by ``value``; a second time is a problem and answers False."""
        if name in self._lines:
            value.problem(
                f"duplicate name {shown or name!r}; "
                f"line {self._lines[name]} has a {self._kind} of that name already"
            )
            return False
        self._lines[name] = value.line
        return True


def take_name(entry: Entry, names: UniqueNames) -> str:
    """The ``name`` of an entry, checked and noted; empty when it is missing or wrong."""
    value = entry.get("name")
    if value is None:
        return ""
    text = value.text()
    if not text:
        return value.parsed(parse_name, "")
    name = value.parsed(parse_name, "")
    if name:
        names.add(name, value)
    return name


def _matching(pattern: re.Pattern[str], text: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not a name; {expected}")
    return text
