"""Typed pieces of a rebuilt statement: the SQL text, its kind, and the text values it is bound to.

A caller's text never becomes part of a statement: words and names travel as parameters, numbers
are printed anew from their value, columns have opaque names.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.errors import ControlError


class Kind(StrEnum):
    """What the values of an expression are."""

    INT = "int"
    FLOAT = "float"
    STRING = "string"
    BOOL = "bool"
    TIME = "time"
    MIXED = "mixed"
    """Text that is often a number, such as ``0.004`` beside ``0.000, 0.004``."""
    NULL = "null"


NUMERIC: Final = frozenset({Kind.INT, Kind.FLOAT})
TEXTUAL: Final = frozenset({Kind.STRING, Kind.MIXED})
ISO_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_PLACEHOLDER: Final = re.compile(r"\$(t\d+)")
_JSON_STEP: Final = re.compile(
    r"""\.(?P<key>[^\s.\[\]"'*]+)
    | \[(?P<index>\d+)\]
    | \[(?P<quote>["'])(?P<quoted>[^"']*)(?P=quote)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression in DuckDB's SQL and the kind of its values."""

    sql: str
    kind: Kind


class Bindings:
    """The text values of one statement, each once, under opaque names."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._names: dict[str, str] = {}

    def text(self, value: str) -> str:
        """A placeholder for ``value``; the same one for the same value."""
        name = self._names.get(value)
        if name is None:
            name = self._names[value] = f"t{len(self._names)}"
            self._values[name] = value
        return f"${name}"

    def used_in(self, sql: str) -> dict[str, object]:
        """The values that ``sql`` has placeholders for; DuckDB takes no others."""
        return {name: self._values[name] for name in _PLACEHOLDER.findall(sql)}


def invalid_query(message: str, at: int | None = None) -> ControlError:
    """The error for a statement that cannot be used.

    Args:
        message: what was found and what was expected.
        at: 0-based position in the statement, if known; the message counts from 1.
    """
    where = "" if at is None else f" at character {at + 1}"
    return ControlError(
        "InvalidParameter", 400, f"Request param invalid: [query]{where}: {message}"
    )


def encode_number(value: float) -> str:
    """A number as DuckDB reads it; whole numbers beyond 64 bits become floating."""
    if isinstance(value, int) and -(2**63) < value < 2**63:
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        raise OverflowError(value)
    return repr(number)


def parse_number(text: str) -> int | float:
    """The value of a numeric literal.

    Raises:
        ValueError: it is not one, or is beyond every number.
    """
    try:
        return int(text)
    except ValueError:
        value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def json_pointer(*keys: str) -> str:
    """The RFC 6901 pointer of nested ``keys``."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def parse_json_path(path: str) -> str:
    """The pointer for a path such as ``$.a.b[0]``.

    Raises:
        ValueError: it is no path, or selects more than one place.
    """
    if not path.startswith("$"):
        raise ValueError(path)
    keys: list[str] = []
    position = 1
    while position < len(path):
        step = _JSON_STEP.match(path, position)
        if step is None:
            raise ValueError(path)
        keys.append(step["key"] or step["index"] or step["quoted"] or "")
        position = step.end()
    return json_pointer(*keys)


def as_number(value: Typed) -> str:
    """SQL for ``value`` as a number; NULL where it is none."""
    match value.kind:
        case Kind.INT | Kind.FLOAT:
            return value.sql
        case Kind.STRING | Kind.MIXED:
            return f"TRY_CAST({value.sql} AS DOUBLE)"
        case Kind.BOOL:
            return f"CAST({value.sql} AS BIGINT)"
        case Kind.TIME:
            return f"epoch_ms({value.sql})"
        case Kind.NULL:
            return "CAST(NULL AS DOUBLE)"


def as_text(value: Typed) -> str:
    """SQL for ``value`` as text."""
    if value.kind in TEXTUAL:
        return value.sql
    if value.kind is Kind.TIME:
        return f"strftime({value.sql}, '{ISO_TIME}')"
    return f"CAST({value.sql} AS VARCHAR)"


def as_bool(value: Typed) -> str:
    """SQL for ``value`` as a condition; NULL when it is none.

    Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu: AND, OR and NOT of anything that is
    not a boolean give NULL.
    """
    return value.sql if value.kind is Kind.BOOL else "CAST(NULL AS BOOLEAN)"


def as_time(value: Typed) -> str:
    """SQL for ``value`` as a UTC timestamp: whole numbers are epoch milliseconds.

    Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu for numbers; text as ISO 8601, assumed.
    """
    match value.kind:
        case Kind.TIME:
            return value.sql
        case Kind.INT:
            return f"epoch_ms(CAST({value.sql} AS BIGINT))"
        case Kind.FLOAT | Kind.MIXED:
            return f"epoch_ms(TRY_CAST({as_number(value)} AS BIGINT))"
        case Kind.STRING:
            return f"timezone('UTC', TRY_CAST({value.sql} AS TIMESTAMPTZ))"
        case Kind.BOOL | Kind.NULL:
            return "CAST(NULL AS TIMESTAMP)"
