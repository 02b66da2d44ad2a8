"""Which LogStores the name of an index stands for.

An index is a LogStore: by its name in the project ``default``, else ``project$logstore``.
Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10); lists of names, ``*`` and what
is taken out again are Elasticsearch's (assumed: its clients send data views of several indices).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.values import DEFAULT_PROJECT
from simulator.logstore.wildcards import compile_pattern

MAX_INDICES: Final = 200
"""LogStores of one call. Source: assumed (a bound against abuse; as many as a project may have)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What is to happen where a name stands for nothing."""

    ignore_unavailable: bool = False
    """Names of LogStores that do not exist are passed over."""
    allow_no_indices: bool = True
    """Patterns that fit no LogStore are."""
    expand: bool = True
    """Whether ``*`` is a wildcard."""


def index_name(project: str, log_store: str) -> str:
    """The index that a LogStore is."""
    return log_store if project == DEFAULT_PROJECT else f"{project}${log_store}"


def split_index(index: str) -> tuple[str, str]:
    """Project and name of the LogStore that an index is."""
    project, dollar, name = index.partition("$")
    return (project, name) if dollar else (DEFAULT_PROJECT, index)


def select_indices(
    expression: str,
    known: Iterable[str],
    options: IndexOptions,
    *,
    most: int | None = MAX_INDICES,
) -> dict[str, bool]:
    """The indices that an expression names, sorted; true for those that it names in full.

    Args:
        expression: names and patterns with ``*``, separated by commas; one with ``-`` before it
            that follows a pattern takes what it fits out again; ``_all`` is ``*``.
        known: every index there is.
        options: what is to happen where nothing fits.
        most: how many there may be; None for any number.

    Returns:
        Indices named in full are there whether they are known or not, unless they are passed over.

    Raises:
        ControlError: LogStoreNotFound when a pattern fits nothing and must; InvalidParameter when
            there are too many.
    """
    names = frozenset(known)
    found: dict[str, bool] = {}
    wild = False
    for piece in expression.split(","):
        one = "*" if piece == "_all" else piece
        taken_out = wild and one.startswith("-")
        one = one[1:] if taken_out else one
        pattern = options.expand and "*" in one
        if pattern:
            wild = True
            fitting = list(filter(compile_pattern(one), names))
            if not fitting and not options.allow_no_indices:
                raise ControlError("LogStoreNotFound", 404, f"LogStore not found: {one[:200]}")
        else:
            fitting = [index_name(*split_index(one))]
        for name in fitting:
            if taken_out:
                found.pop(name, None)
            elif name in names or not options.ignore_unavailable:
                found[name] = found.get(name, False) or not pattern
    if most is not None and len(found) > most:
        raise ControlError(
            "InvalidParameter",
            400,
            f"Request param invalid: [index]: it stands for {len(found)} LogStores,"
            f" expected at most {most}",
        )
    return dict(sorted(found.items()))
