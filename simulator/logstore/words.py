"""How a text is split into words, and SQL that finds words in a text.

Source: doc https://cloud.baidu.com/doc/BLS/s/Okbta3asp (2026-01) for the forms; how words are told
apart is assumed: at the separators, without regard to case unless the index says otherwise.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from simulator.logstore.folds import Folds
from simulator.logstore.typed import Bindings, certain, invalid_query
from simulator.logstore.values import DEFAULT_SEPARATORS

_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN_PATTERN: Final = r"\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}"
_HAN_CHARACTER: Final = re.compile(f"[{_HAN}]")
_WILDCARD: Final = re.compile(r"([*?])")
_WILDCARDS: Final = "*?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitter:
    """The words of one text: of the raw text, or of a field."""

    separators: str = DEFAULT_SEPARATORS
    case_sensitive: bool = False
    include_chinese: bool = False
    """Each Chinese character is a word of its own."""
    folds: Folds | None = field(default=None, compare=False)
    """Folds a text to rule it out in less time; None does it as often as is asked for."""

    def words(self, text: str, at: int, *, wildcards: bool) -> list[str]:
        """The words of a text that is searched for.

        Args:
            text: what was asked for.
            at: where it stands in the query.
            wildcards: whether ``*`` and ``?`` are wildcards rather than separators. They stand
                for characters of a word, ``?`` for itself too (assumed).

        Raises:
            ControlError: InvalidParameter when there is none, or one begins with a wildcard.
        """
        separators = self.separators
        if wildcards:
            separators = "".join(one for one in separators if one not in _WILDCARDS)
        pieces = re.split(f"[{re.escape(separators)}]+", text) if separators else [text]
        words = [word for piece in pieces if piece for word in self._split_han(piece)]
        if wildcards:
            # A Chinese character is a whole word: what may follow it within it is nothing.
            words = [
                word
                for before, word in zip(["", *words], words, strict=False)
                if word.strip("*") or not self._is_han(before)
            ]
        if not words:
            raise invalid_query("found only separators, expected a word", at)
        if wildcards and any(word[0] in _WILDCARDS for word in words):
            raise invalid_query("a wildcard cannot begin a word", at)
        return words

    def has_word(self, text: str, word: str, bindings: Bindings) -> str:
        """SQL for whether ``text`` has a word; ``*`` and ``?`` in it are wildcards."""
        pieces = _WILDCARD.split(word)
        if self._is_han(word):
            return f"contains({text}, {bindings.text(word)})"
        pattern = "".join(
            f"{self.inside}*"
            if one == "*"
            else f"(?:{self.inside}|\\?)"
            if one == "?"
            else re.escape(one)
            for one in pieces
        )
        longest = max((one for one in pieces if one not in _WILDCARDS), key=len, default="")
        return self.has_pattern(text, pattern, longest, bindings)

    def has_phrase(self, text: str, words: list[str], bindings: Bindings) -> str:
        """SQL for whether ``text`` has the words next to each other, in order."""
        pattern = re.escape(words[0])
        for before, word in pairwise(words):
            apart = "*" if self._is_han(before) or self._is_han(word) else "+"
            pattern += f"{self._separator}{apart}{re.escape(word)}"
        return self.has_pattern(
            text,
            pattern,
            max(words, key=len),
            bindings,
            open_start=self._is_han(words[0]),
            open_end=self._is_han(words[-1]),
        )

    def has_pattern(
        self,
        text: str,
        pattern: str,
        literal: str,
        bindings: Bindings,
        *,
        open_start: bool = False,
        open_end: bool = False,
    ) -> str:
        """SQL for whether a stretch of words of ``text`` is like a pattern.

        Args:
            text: SQL.
            pattern: in RE2's syntax.
            literal: a text that is part of everything that is like it, which is looked for first.
            bindings: of the statement.
            open_start: whether a word may go on before it.
            open_end: whether a word may go on behind it.
        """
        edge = self._edge
        start = "" if open_start else f"(?:^|{edge})"
        end = "" if open_end else f"(?:$|{edge})"
        whole = bindings.text(f"{start}(?:{pattern}){end}")
        options = "" if self.case_sensitive else ", 'i'"
        found = f"regexp_matches({text}, {whole}{options})"
        # Nearly every record is ruled out by a plain search, at a tenth of the pattern's cost.
        if literal and literal.isascii():
            found = self._ruled_in(text, found, literal, bindings)
        if self.folds is not None:
            self.folds.add_match(certain(found), pattern)
        return found

    def _ruled_in(self, text: str, found: str, literal: str, bindings: Bindings) -> str:
        """``found`` where a text has what is part of everything that is looked for."""
        folded: str | None = text
        if not self.case_sensitive and literal.upper() != literal.lower():
            literal = literal.lower()
            folded = f"lower({text})" if self.folds is None else self.folds.of(text)
        if folded is None:
            return found
        ruled_in = f"contains({folded}, {bindings.text(literal)})"
        # Not `and`: inside of another expression DuckDB evaluates both of its sides.
        return f"CASE WHEN {ruled_in} THEN {found} ELSE FALSE END"

    def list_words(self, text: str, bindings: Bindings) -> str:
        """SQL for the words of ``text`` in their order, folded as ``fold`` does it."""
        pattern = f"{self.inside}+" + (f"|[{_HAN_PATTERN}]" if self.include_chinese else "")
        folded = text if self.case_sensitive else f"lower({text})"
        return f"regexp_extract_all({folded}, {bindings.text(pattern)})"

    def fold(self, word: str) -> str:
        """A word as it is compared with others."""
        return word if self.case_sensitive else word.lower()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the words of a text begin and end."""
        han = _HAN if self.include_chinese else ""
        pattern = f"[^{re.escape(self.separators)}{han}]+" + (f"|[{han}]" if han else "")
        return [found.span() for found in re.finditer(pattern, text)]

    def _split_han(self, piece: str) -> list[str]:
        if not self.include_chinese:
            return [piece]
        return [one for one in re.split(f"([{_HAN}])", piece) if one]

    def _is_han(self, word: str) -> bool:
        return self.include_chinese and len(word) == 1 and bool(_HAN_CHARACTER.match(word))

    @property
    def _separator(self) -> str:
        return f"[{_class_of(self.separators)}]"

    @property
    def inside(self) -> str:
        """A character of a word."""
        return f"[^{_class_of(self.separators)}{_HAN_PATTERN if self.include_chinese else ''}]"

    @property
    def _edge(self) -> str:
        """A character beside a word."""
        return f"[{_class_of(self.separators)}{_HAN_PATTERN if self.include_chinese else ''}]"


def _class_of(characters: str) -> str:
    """The characters within the brackets of a pattern."""
    return "".join(f"\\x{{{ord(one):x}}}" for one in characters)
