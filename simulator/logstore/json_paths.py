"""JSON paths of the SQL part: as they are written, and as DuckDB has them.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu shows members only; elements and paths to
several places are assumed, with the meaning that MySQL gives them.
"""

import re
from dataclasses import dataclass
from typing import Final

from simulator.logstore.grammar import unescaped

PATH_FORMS: Final = (
    "`$` with steps such as `.key`, `['a key']`, `[0]`, `[-1]` (from the end)"
    " and, for several places, `[*]`, `.*`, `..key`"
)
"""What a path may hold, for errors."""
ONE_PLACE: Final = (
    "a path to one place: `$` with steps such as `.key`, `['a key']`, `[0]`, `[-1]` (from the end)"
)

_STEP: Final = re.compile(
    r"""(?P<into>\.\.|\*\*\.|\.)
        (?:(?P<key>[^\s.\[\]"'*]+) | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<members>\*))
    | (?P<down>\.\.|\*\*)?
        \[\s*(?:
            (?P<index>-?\d{1,9})
            | (?P<elements>\*)
            | '(?P<single>(?:[^'\\]|\\.)*)'
            | "(?P<double>(?:[^"\\]|\\.)*)"
        )\s*\]""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPath:
    """A path, ready for DuckDB."""

    text: str
    """In its spelling."""
    is_many: bool
    """Whether it may lead to several places."""
    is_deep: bool
    """Whether it looks at all levels below a place, so that what it finds may hold each other."""


def json_pointer(*keys: str) -> str:
    """The RFC 6901 pointer of nested ``keys``."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def parse_json_path(path: str) -> JsonPath:
    """The path ``path``, such as ``$.a['b c'][0]``.

    Raises:
        ValueError: it is none, or has a step that cannot be taken; see ``PATH_FORMS``.
    """
    if not path.startswith("$"):
        raise ValueError(path)
    steps: list[str] = []
    keys: list[str] = []
    deep_count = 0
    is_many = False
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(path)
        position = step.end()
        is_deep = (step["into"] or step["down"] or ".") != "."
        deep_count += is_deep
        is_many |= is_deep or bool(step["members"] or step["elements"])
        key = _key(step)
        if key is not None:
            keys.append(key)
        steps.append(_written(step, key, is_deep=is_deep))
    if deep_count > 1:  # each level below each level: as much as nobody can read
        raise ValueError(path)
    if "" not in keys:
        return JsonPath(text=f"${''.join(steps)}", is_many=is_many, is_deep=deep_count > 0)
    # Only a pointer can name the empty key, and nothing but keys.
    if is_many or len(keys) < len(steps):
        raise ValueError(path)
    return JsonPath(text=json_pointer(*keys), is_many=False, is_deep=False)


def _key(step: re.Match[str]) -> str | None:
    """The key that a step names; None when it is of another kind."""
    if step["key"] is not None:
        return step["key"]
    for name in ("quoted", "single", "double"):
        if step[name] is not None:
            return unescaped(step[name])
    return None


def _written(step: re.Match[str], key: str | None, *, is_deep: bool) -> str:
    if key is not None:
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{".." if is_deep else "."}"{quoted}"'
    if step["members"] is not None:
        return "..*" if is_deep else ".*"
    down = ".." if is_deep else ""
    if step["elements"] is not None:
        return f"{down}[*]"
    index = int(step["index"])
    return f"{down}[#{index}]" if index < 0 else f"{down}[{index}]"
