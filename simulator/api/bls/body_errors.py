"""Says where in a body something is of the wrong type, and what it is."""

import re
from bisect import bisect_left
from typing import Any, Final

import msgspec

from simulator.errors import ParameterError, invalid

_MESSAGE: Final = re.compile(r"(?s)(.*?)(?: - at `(?:key` in `)?\$(.*)`)?")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_WRONG_TYPE: Final = re.compile(r"Expected `(.+?)`(.*?)(?:, got `\w+`)?")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_TYPES: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}

_Value = Any  # Any: whatever JSON holds


def body_error(error: msgspec.ValidationError, body: _Value, type_: object) -> ParameterError:
    """What a body says that is not what ``type_`` is made of.

    Args:
        error: that msgspec raised for it.
        body: all of it, of whatever types.
        type_: what it should have been.
    """
    # Of two things that are wrong the decoder may say the other.
    said = _said(body, type_) or str(error)
    found = _MESSAGE.fullmatch(said)
    assert found is not None  # everything matches
    message, path = found[1], found[2] or ""
    steps = [name or place for name, place in _STEP.findall(path)]
    place, given = _located(body, type_, said, steps)
    missing = _MISSING.fullmatch(message)
    if missing is not None:
        return invalid(".".join(filter(None, (place, missing[1]))), "is required")
    wrong = _WRONG_TYPE.fullmatch(message)
    if wrong is None:
        return invalid(place or "body", message[:1].lower() + message[1:], given)
    types = (_TYPES.get(one, one) for one in wrong[1].split(" | ") if one != "null")
    return invalid(place or "body", f"expected {' or '.join(types)}{wrong[2]}", given)


def _said(body: _Value, type_: object) -> str:
    try:
        msgspec.convert(body, type_, strict=False)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _located(body: _Value, type_: object, said: str, steps: list[str]) -> tuple[str, _Value]:
    """The place of what an error is about, and what is there."""
    place, value = "", body
    keys: list[str | int] = []
    for step in steps:
        key: str | int = int(step) if isinstance(value, list) else step
        if step == "...":
            # msgspec does not say which member: the last of the first so many that are wrong.
            names = list(value)
            count = bisect_left(
                range(1, len(names) + 1),
                True,
                key=lambda count: _said(_with_first(body, keys, count), type_) == said,
            )
            if count == len(names):
                return f"{place}[...]", None
            key = names[count]
        place += f"[{key}]" if isinstance(key, int) else f".{key}" if place else key
        keys.append(key)
        value = value[key]
    return place, value


def _with_first(body: _Value, keys: list[str | int], count: int) -> _Value:
    """A body whose object at a place has only its first members."""
    if not keys:
        return dict(list(body.items())[:count])
    first, *rest = keys
    inner = _with_first(body[first], rest, count)
    if isinstance(body, dict):
        return {**body, first: inner}
    return [inner if number == first else one for number, one in enumerate(body)]
