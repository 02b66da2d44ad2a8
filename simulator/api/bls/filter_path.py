"""``filter_path``: the parts of an answer that a client wants, as Elasticsearch has it.

Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (common options).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from simulator.logstore import compile_pattern

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
    """
    pieces = [piece.strip() for piece in paths.split(",") if piece.strip()]
    left_out = [_path(piece[1:]) for piece in pieces if piece.startswith("-")]
    wanted = [_path(piece) for piece in pieces if not piece.startswith("-")]
    if left_out:
        answer = _without(answer, left_out)
    if wanted:
        answer = _only(answer, wanted)
    return {} if answer is _NOTHING else answer


def _path(path: str) -> _Path:
    return tuple(None if name == "**" else compile_pattern(name) for name in path.split("."))


def _following(name: str, paths: Sequence[_Path]) -> list[_Path]:
    """What is left of those paths that go through a member; empty for one that ends there."""
    found: list[_Path] = []
    for path in paths:
        step = path[0]
        if step is None:
            found += _following(name, [path[1:]]) if len(path) > 1 else [()]
            found.append(path)
        elif step(name):
            found.append(path[1:])
    return found


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
