"""Regular expressions of callers, kept to what can be matched in a bounded time.

RE2 takes a time that grows with the text times the size of the pattern, in which ``x{1000}`` is a
thousand times ``x``; and nothing stops it within the 2048 texts that DuckDB gives it at a time.
"""

import re
from typing import Final

from simulator.logstore.calls import Call
from simulator.logstore.footprint import text_width, too_large

MAX_PATTERN: Final = 1000
"""Parts of a pattern, its repetitions counted. Source: assumed (a bound against abuse)."""
MAX_WORK: Final = 300_000
"""Parts of a pattern times bytes of a text, for patterns of more than ``ALWAYS`` parts. Source:
assumed (a bound against abuse)."""
ALWAYS: Final = 200
_TRIED: Final = 8
"""Parts of a pattern with repetitions that is worth trying."""
_PATTERN_BYTES: Final = 1024
"""What a pattern with repetitions takes for each row that is computed: 2 MiB for all of them."""
MAX_COMPUTED: Final = 200
"""Bytes of a pattern that is computed for each row. Source: assumed (a bound against abuse)."""

_PIECE: Final = re.compile(
    r"""\\Q.*?(?:\\E|$) | \\[pP]\{[^}]*\} | \\x\{[^}]*\} | \\.     # what is escaped
    | \[\^?\]?(?:\[:\^?\w+:\] | \\. | [^\]\\])*\]                 # a class
    | \{(?P<low>\d+)(?P<comma>,(?P<high>\d*))?\}                  # a repetition
    | (?P<open>\((?:\?(?:P?<\w*>|[^):]*[:)]?))?) | (?P<close>\))
    | (?P<more>[*+]) | (?P<bar>[|?^$]) | .""",
    re.VERBOSE | re.DOTALL,
)


def pattern_size(pattern: str) -> int:
    """How many parts a pattern has, its repetitions counted; more than it has if in doubt.

    0 for one without repetitions, whose parts are never looked for all at the same time.
    """
    sizes = [0]
    """Of the groups that are open."""
    last = 0
    repeats = False
    for found in _PIECE.finditer(pattern):
        repeats |= found["low"] is not None or bool(found["more"])
        if found["low"] is not None:
            low = int(found["low"][:6])
            high = int((found["high"] or "0")[:6])
            times = max(low, high, 1) + (found["comma"] is not None and not found["high"])
            sizes[-1] += last * (times - 1)
            last *= times
        elif found["open"]:
            # Flags by themselves, `(?i)`, open nothing.
            if not found["open"].endswith(")"):
                sizes.append(0)
        elif found["close"]:
            if len(sizes) > 1:
                last = sizes.pop()
                sizes[-1] += last
        elif not (found["bar"] or found["more"]):
            last = 1
            sizes[-1] += 1
    return sum(sizes) if repeats else 0


def checked_pattern(call: Call, index: int) -> str:
    """SQL for the pattern at ``index``, which is matched with the first argument.

    Raises:
        ControlError: InvalidParameter for one that is too large.
    """
    literal = call.arguments[index].literal
    if not isinstance(literal, str):
        pattern = call.text(index)
        refused = too_large(
            call.name,
            f"a pattern that is not written out, of more than {MAX_COMPUTED} bytes or with a count",
        )
        fits = f"strlen({pattern}) <= {MAX_COMPUTED} AND NOT contains({pattern}, '{{')"
        return f"CASE WHEN {fits} THEN {pattern} WHEN {pattern} IS NOT NULL THEN {refused} END"
    size = pattern_size(literal)
    width = max(1.0, text_width(call.value(0)).near)
    most = int(min(MAX_PATTERN, max(ALWAYS, MAX_WORK / width)))
    if size > most and call.scope.footprint.is_certain():
        raise call.refuse(
            f"a pattern of {size} parts, its repetitions counted; at most {most} are allowed for"
            f" texts of up to {int(width)} bytes"
        )
    pattern = call.text(index)
    if size:
        call.scope.footprint.add(_PATTERN_BYTES)
    if size >= _TRIED and not call.value(0).is_of_groups:
        call.matches.append(f"regexp_matches({call.text(0)}, {pattern})")
    return pattern
