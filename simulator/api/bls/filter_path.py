"""``filter_path``: the parts of an answer that a client wants, as Elasticsearch has it.

Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (common options).
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from simulator.errors import invalid
from simulator.logstore import compile_pattern

MAX_NAMES: Final = 200
"""Of all paths. Source: assumed (a bound against abuse)."""

_Step: TypeAlias = Callable[[str], bool] | None
"""What names it goes through; None for any number of any names."""
_Path: TypeAlias = tuple[_Step, ...]
_NOTHING = object()


def filter_answer(answer: object, paths: str) -> object:
    """The parts of ``answer`` that ``paths`` name.

    Args:
        answer: objects, arrays and values; arrays are passed through.
        paths: separated by commas, names separated by dots; ``*`` is any part of a name, ``**``
            any number of names; what has ``-`` before it is left out.

    Returns:
        An object without what is not wanted, empty when that is all.

    Raises:
        ControlError: InvalidParameter for too many names.
    """
    count = paths.count(",") + paths.count(".") + 1
    if count > MAX_NAMES:
        raise invalid("filter_path", f"expected at most {MAX_NAMES} names, not {count}")
    pieces = [piece.strip() for piece in paths.split(",") if piece.strip()]
    left_out = [_path(piece[1:]) for piece in pieces if piece.startswith("-")]
    wanted = [_path(piece) for piece in pieces if not piece.startswith("-")]
    if left_out:
        answer = _without(answer, left_out)
    if wanted:
        answer = _only(answer, wanted)
    return {} if answer is _NOTHING else answer


def _path(path: str) -> _Path:
    """Any number of names, several times in a row, is any number of them."""
    steps: list[_Step] = []
    for name, run in groupby(path.split(".")):
        steps += [None] if name == "**" else [compile_pattern(name)] * len(tuple(run))
    return tuple(steps)


def _following(name: str, paths: Iterable[_Path]) -> list[_Path]:
    """What is left of those paths that go through a member; empty for one that ends there."""
    found: dict[_Path, None] = {}  # each once, else there would be more of them at every level
    for path in paths:
        step, rest = path[0], path[1:]
        if step is None:
            found[path] = None
            if rest and rest[0] is not None and rest[0](name):
                found[rest[1:]] = None
            elif not rest:
                found[()] = None
        elif step(name):
            found[rest] = None
    return list(found)


def _only(value: object, paths: Sequence[_Path]) -> object:
    if any(not path for path in paths):
        return value
    if isinstance(value, dict):
        kept: dict[str, object] = {}
        for name, member in value.items():
            following = _following(name, paths)
            one = _only(member, following) if following else _NOTHING
            if one is not _NOTHING:
                kept[name] = one
        return kept or _NOTHING
    if isinstance(value, (list, tuple)):
        items = [one for one in (_only(item, paths) for item in value) if one is not _NOTHING]
        return items or _NOTHING
    return _NOTHING


def _without(value: object, paths: Sequence[_Path]) -> object:
    if isinstance(value, dict):
        kept: dict[str, object] = {}
        for name, member in value.items():
            following = _following(name, paths)
            if all(following):
                kept[name] = _without(member, following)
        return kept
    if isinstance(value, (list, tuple)):
        return [_without(item, paths) for item in value]
    return value
