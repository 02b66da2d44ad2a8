"""Spellings of other search languages, with what serves here in their place."""

import re
from typing import Final

LUCENE_RANGE: Final = re.compile(r"[\[{]\s*(\S+)\s+TO\s+([^\s\]}]+)\s*[\]}]")
"""``[200 TO 299]``; unquoted it would be three words that no record has."""

_NO_SEARCH: Final = re.compile(
    r"(alter|create|delete|desc|describe|drop|explain|insert|show|update|use|with)\b"
    r"|(match|select)\+",  # blanks in the encoding of forms
    re.IGNORECASE,
)
_SHOWN: Final = 60
"""Characters of a query in an error."""

_BEFORE_AND_AT: Final = (
    (re.compile(r"=$"), re.compile(r"="), "one `=` compares"),
    (re.compile(r""), re.compile(r"!=|<>"), "`not field = value` is what is unequal"),
    (re.compile(r"[<>]$"), re.compile(r">"), "`not field = value` is what is unequal"),
    (re.compile(r":\s*$"), re.compile(r"[<>]"), "a comparison has no colon: `field >= 500`"),
    (
        re.compile(r":\s*$"),
        re.compile(r"\("),
        "each value has its field: `(field:a or field:b)`",
    ),
    (
        re.compile(r"\bin\s*\(.*$", re.IGNORECASE | re.DOTALL),
        re.compile(r"[^\s]*,"),
        "an interval is `in [200 299]`; single values are `(field:200 or field:404)`",
    ),
)


def hint(text: str, position: int) -> str:
    """What to write in place of what is misread at ``position``; empty where nothing is known."""
    for before, there, instead in _BEFORE_AND_AT:
        if before.search(text, 0, position) and there.match(text, position):
            return f"; {instead}"
    return ""


def hint_without_match(query: str) -> str:
    """The same for a query that begins with neither ``match`` nor ``select``."""
    text = query.strip()
    if _NO_SEARCH.match(text):
        return ""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return f"; a search begins with `match`: `match {shown}`"
