"""How the key of a delivered object is put together: a template over the documented parts.

``{flow_log}``, ``{load_balancer}`` and ``{node}`` stand for an id or address, ``{start}`` for the
start of the rotation as ``20260301T080000``, ``%Y %m %d %H %M %S`` for parts of it, and
``{sequence}`` for a number of five digits that tells objects of one node and rotation apart.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

DEFAULT_LAYOUT: Final = "{flow_log}/%Y/%m/%d/%H/%M/{load_balancer}_{node}_{start}_{sequence}"
"""Source: assumed (the vendor documents bucket, folder and prefix; its log service partitions by
``%Y/%m/%d/%H/%M``)."""
_NAMES: Final = ("flow_log", "load_balancer", "node", "start", "sequence")
_PART: Final = re.compile(r"\{([^{}]*)\}|%(.?)|[{}]")
_NEEDED: Final = ("{flow_log}", "{node}", "{sequence}")
_CODES: Final = {"%Y": None, "%m": None, "%d": None, "%H": 86_400, "%M": 3600, "%S": 60}
"""Parts of the start, with the rotation in seconds from which on keys differ without them."""
_MAX_BYTES: Final = 256


def parse_layout(text: str, rotation_s: int) -> str:
    """A layout that gives every object of a flow log a key of its own.

    Args:
        text: as written.
        rotation_s: of the flow log.

    Raises:
        ValueError: it has a part that is not known, or lacks one.
    """
    if text.startswith("/") or not text.isprintable() or len(text.encode()) > _MAX_BYTES:
        raise ValueError(
            f"{text!r} is not a layout; "
            f"expected at most {_MAX_BYTES} printable bytes and no leading '/'"
        )
    given = {match[0] for match in _PART.finditer(text)}
    known = {*(f"{{{name}}}" for name in _NAMES), *_CODES}
    unknown = sorted(given - known)
    if unknown:
        raise ValueError(
            f"{text!r} is not a layout: {unknown[0]!r} is no part of a key; "
            f"expected {', '.join(f'{{{name}}}' for name in _NAMES)} and {' '.join(_CODES)}"
        )
    missing = [part for part in _NEEDED if part not in given]
    if "{start}" not in given:
        codes = [
            code
            for code, enough_s in _CODES.items()
            if code not in given and (enough_s is None or rotation_s < enough_s)
        ]
        missing += [f"{' '.join(codes)} (or {{start}})"] if codes else []
    if missing:
        raise ValueError(
            f"{text!r} would give several objects one key; expected also {', '.join(missing)}"
        )
    return text


def fill_layout(layout: str, start: datetime, names: Mapping[str, str]) -> str:
    """A key, without prefix and extension.

    Args:
        layout: from ``parse_layout``.
        start: of the rotation.
        names: every other part by its name.
    """
    values = {"start": f"{start:%Y%m%dT%H%M%S}", **names}
    return _PART.sub(lambda match: values[match[1]] if match[1] else f"{start:{match[0]}}", layout)


def leading_text(layout: str, names: Mapping[str, str]) -> str:
    """What every key of a layout begins with, as far as ``names`` says it."""
    unknown = (match.start() for match in _PART.finditer(layout) if match[1] not in names)
    known = layout[: next(unknown, len(layout))]
    return _PART.sub(lambda match: names[match[1]], known)
