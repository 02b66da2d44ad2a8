"""Lucene's regular expressions, in RE2's spelling.

RE2 matches in time that grows with the text and not beyond, whatever the expression. Lucene's are
always of a whole word or value; anchors are characters like others. What RE2 cannot say
(complement, intersection, numeric intervals, the empty language) is refused.
Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (regular
expression syntax).
"""

import re
from typing import Final

MAX_REGEX: Final = 1000
"""Characters. Source: assumed: Elasticsearch's ``index.max_regex_length``."""
MAX_REPEATS: Final = 1000
"""How often something is at most repeated, repetitions within it counted. Source: assumed (RE2's
bound)."""
_MAX_DEPTH: Final = 50
_COUNT: Final = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}", re.ASCII)
_CLASSES: Final = frozenset("dDsSwW")
_REFUSED: Final = {
    "~": "complements (~)",
    "&": "intersections (&)",
    "#": "the empty language (#)",
    "<": "numeric intervals (<1-9>)",
}


class RegexError(ValueError):
    """An expression that cannot be used; ``at`` is the 0-based position in it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def translate_regex(text: str) -> str:
    """An expression in RE2's spelling, without flags and anchors.

    Raises:
        RegexError: what was found and what was expected, and where.
    """
    if len(text) > MAX_REGEX:
        raise RegexError(f"{len(text)} characters, at most {MAX_REGEX} are accepted", 0)
    parser = _RegexParser(text)
    translated = parser.union(0)
    if parser.at < len(text):
        raise RegexError("found `)` without `(`", parser.at)
    return translated


class _RegexParser:
    """Recursive descent: a union of sequences of repeated atoms."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self._repeats = 1
        """How often what was read last may be repeated."""

    def union(self, depth: int) -> str:
        """Alternatives, up to a closing parenthesis or the end."""
        if depth > _MAX_DEPTH:
            raise RegexError(f"nested more than {_MAX_DEPTH} levels deep", self.at)
        repeats = 1
        sequences = [self._sequence(depth)]
        repeats = max(repeats, self._repeats)
        while self._peek() == "|":
            self.at += 1
            sequences.append(self._sequence(depth))
            repeats = max(repeats, self._repeats)
        self._repeats = repeats
        return "|".join(sequences)

    def _sequence(self, depth: int) -> str:
        found: list[str] = []
        repeats = 1
        while self._peek() not in {"", "|", ")"}:
            self._repeats = 1
            atom = self._atom(depth)
            while (repetition := self._repetition()) is not None:
                atom = f"(?:{atom}){repetition}"
            repeats = max(repeats, self._repeats)
            found.append(atom)
        self._repeats = repeats
        return "".join(found)

    def _atom(self, depth: int) -> str:
        start = self.at
        character = self._take()
        match character:
            case "(":
                inner = self.union(depth + 1)
                if self._peek() != ")":
                    raise RegexError("expected `)`", self.at)
                self.at += 1
                return f"(?:{inner})"
            case "[":
                return self._class(start)
            case ".":
                return "(?s:.)"
            case "@":
                return "(?s:.*)"
            case '"':
                end = self._text.find('"', self.at)
                if end < 0:
                    raise RegexError('expected a closing `"`', len(self._text))
                literal, self.at = self._text[self.at : end], end + 1
                return f"(?:{''.join(_escaped(one) for one in literal)})"
            case "\\":
                return self._after_backslash()
            case "*" | "+" | "?" | "{":
                raise RegexError(f"found {character!r} with nothing to repeat", start)
            case _ if character in _REFUSED:
                raise RegexError(
                    f"{_REFUSED[character]} are not supported; a backslash takes a character"
                    " as it is",
                    start,
                )
            case _:
                return _escaped(character)

    def _after_backslash(self) -> str:
        if self.at == len(self._text):
            raise RegexError("expected a character after the backslash", self.at)
        character = self._take()
        return f"\\{character}" if character in _CLASSES else _escaped(character)

    def _class(self, start: int) -> str:
        negation = ""
        if self._peek() == "^":
            self.at += 1
            negation = "^"
        items: list[str] = []
        while self._peek() != "]":
            at = self.at
            low = self._class_item()
            if self._peek() == "-" and self._text[self.at + 1 : self.at + 2] not in {"", "]"}:
                self.at += 1
                high = self._class_item()
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise RegexError("expected a range such as a-z", at)
                items.append(f"{_escaped(low)}-{_escaped(high)}")
            else:
                items.append(low if len(low) > 1 else _escaped(low))
        self.at += 1
        if not items:
            raise RegexError("found a class without characters", start)
        return f"[{negation}{''.join(items)}]"

    def _class_item(self) -> str:
        """A character, or a class of them with its backslash."""
        if not self._peek():
            raise RegexError("expected `]`", len(self._text))
        character = self._take()
        if character != "\\":
            return character
        if not self._peek():
            raise RegexError("expected a character after the backslash", self.at)
        character = self._take()
        return f"\\{character}" if character in _CLASSES else character

    def _repetition(self) -> str | None:
        character = self._peek()
        if character in {"*", "+", "?"}:
            self.at += 1
            return character
        if character != "{":
            return None
        count = _COUNT.match(self._text, self.at)
        if count is None:
            raise RegexError("expected a repetition such as {2} or {2,5}", self.at)
        low, comma, high = count.groups()
        if high is not None and int(high) < int(low):
            raise RegexError("expected the larger number last", self.at)
        self._repeats *= max(1, int(high or low))
        if self._repeats > MAX_REPEATS:
            raise RegexError(f"repeats something more than {MAX_REPEATS} times", self.at)
        self.at = count.end()
        return f"{{{int(low)}{comma or ''}{'' if high is None else int(high)}}}"

    def _peek(self) -> str:
        return self._text[self.at : self.at + 1]

    def _take(self) -> str:
        self.at += 1
        return self._text[self.at - 1]


def _escaped(character: str) -> str:
    """A character as itself, in and out of a class."""
    return character if character.isalnum() else f"\\x{{{ord(character):x}}}"
