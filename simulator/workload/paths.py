"""Path templates such as ``/item/{int:1-500}/{choice:full|brief}?t={hex:8}``."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Draw = Callable[[], float]
"""One random number in [0, 1) per call."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_INT_RANGE: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")
_PLAIN: Final = re.compile(r"[!-z|~]*")  # printable ASCII without space, braces and DEL
_MAX_HEX_DIGITS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class IntPart:
    """A whole number between both ends."""

    low: int
    high: int

    def expand(self, draw: Draw) -> str:
        """One number as text."""
        return str(self.low + int(draw() * (self.high - self.low + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePart:
    """One of several texts."""

    choices: tuple[str, ...]

    def expand(self, draw: Draw) -> str:
        """One of the texts."""
        return self.choices[int(draw() * len(self.choices))]


@dataclass(frozen=True, slots=True, kw_only=True)
class HexPart:
    """Lower-case hex digits."""

    digits: int

    def expand(self, draw: Draw) -> str:
        """That many digits."""
        return "".join("0123456789abcdef"[int(draw() * 16)] for _ in range(self.digits))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTemplate:
    """A request target with parts that are drawn for every request."""

    parts: tuple[str | IntPart | ChoicePart | HexPart, ...]

    def expand(self, draw: Draw) -> str:
        """One path; takes as many draws as its parts need, always the same number."""
        return "".join(part if isinstance(part, str) else part.expand(draw) for part in self.parts)


def parse_path(text: str) -> PathTemplate:
    """The template in ``text``.

    Raises:
        ValueError: not a path, or a placeholder that is none of ``{int:a-b}``,
            ``{choice:a|b|c}`` and ``{hex:n}``.
    """
    if not text.startswith("/"):
        raise ValueError(f"the path {text!r} does not start with '/'")
    parts: list[str | IntPart | ChoicePart | HexPart] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        if found.start() > end:
            parts.append(_parse_plain(text[end : found.start()], text))
        parts.append(_parse_placeholder(found[1]))
        end = found.end()
    if end < len(text):
        parts.append(_parse_plain(text[end:], text))
    return PathTemplate(parts=tuple(parts))


def _parse_plain(plain: str, text: str) -> str:
    if "{" in plain or "}" in plain:
        raise ValueError(f"the path {text!r} has a brace without its partner")
    if not _PLAIN.fullmatch(plain):
        raise ValueError(
            f"the path {text!r} has a character that a request line cannot carry; "
            "percent-encode spaces and everything beyond ASCII"
        )
    return plain


def _parse_placeholder(inner: str) -> IntPart | ChoicePart | HexPart:
    kind, _, argument = inner.partition(":")
    match kind:
        case "int":
            found = _INT_RANGE.fullmatch(argument)
            if found and int(found[1]) <= int(found[2]):
                return IntPart(low=int(found[1]), high=int(found[2]))
        case "choice":
            choices = argument.split("|")
            if argument and all(_PLAIN.fullmatch(choice) for choice in choices):
                return ChoicePart(choices=tuple(choices))
        case "hex":
            if argument.isdecimal() and 1 <= int(argument) <= _MAX_HEX_DIGITS:
                return HexPart(digits=int(argument))
        case _:
            pass
    raise ValueError(
        f"{{{inner}}} is not a placeholder; expected {{int:1-500}}, {{choice:a|b|c}} or {{hex:8}}"
    )
