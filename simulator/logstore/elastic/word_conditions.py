"""SQL for conditions on the words of a text that the search language does not have."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from simulator.logstore.elastic.tree import Fuzziness
from simulator.logstore.typed import Bindings, certain
from simulator.logstore.words import Splitter

MAX_EDITS: Final = 2
"""Source: assumed: Elasticsearch's limit."""

Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""Text, and whether it is a wildcard rather than itself."""


def edits_of(word: str, fuzziness: "Fuzziness | int") -> int:
    """By how many edits a word may differ.

    Source: assumed: Elasticsearch's ``AUTO``: none up to 2 characters, 1 up to 5, else 2.
    """
    if isinstance(fuzziness, Fuzziness):
        return 0 if len(word) < 3 else 1 if len(word) < 6 else 2
    return fuzziness


def has_similar(splitter: Splitter, text: str, word: str, edits: int, bindings: Bindings) -> str:
    """SQL for whether ``text`` has a word that differs from ``word`` by so many edits at most.

    An edit adds, takes away or changes a character, or swaps two neighbours.
    """
    wanted = bindings.text(splitter.fold(word))
    words = splitter.list_words(text, bindings)
    near = (
        f"abs(length(w) - {len(word)}) <= {edits} AND damerau_levenshtein(w, {wanted}) <= {edits}"
    )
    return f"(len(list_filter({words}, lambda w: {near})) > 0)"


def has_described(splitter: Splitter, text: str, pattern: str, bindings: Bindings) -> str:
    """SQL for whether a word of ``text``, or all of it, is what a pattern of RE2's describes."""
    flags = "(?s)" if splitter.case_sensitive else "(?si)"
    bound = bindings.text(f"{flags}(?:{pattern})")
    words = splitter.list_words(text, bindings)
    word = f"len(list_filter({words}, lambda w: regexp_full_match(w, {bound}))) > 0"
    # Splitting is dear: what it is nowhere in the text, it is not of a word.
    return (
        f"CASE WHEN regexp_matches({text}, {bound})"
        f" THEN regexp_full_match({text}, {bound}) OR {word} ELSE FALSE END"
    )


def has_near(
    splitter: Splitter, text: str, words: Sequence[str], slop: int, bindings: Bindings
) -> str:
    """SQL for whether ``text`` has words near each other.

    Each occurrence of a word says where the phrase would begin, and by the slop also earlier; it is
    there where all words say the same. The text becomes one with a letter for each of its words,
    and what a word says bits of a bit string: lists of places would take hundreds of times as much
    memory as the text.
    """
    every = " AND ".join(certain(splitter.has_phrase(text, [word], bindings)) for word in words)
    folded = [splitter.fold(word) for word in words]
    letters = {word: chr(ord("A") + number) for number, word in enumerate(dict.fromkeys(folded))}
    arms = " ".join(f"WHEN w = {bindings.text(word)} THEN '{one}'" for word, one in letters.items())
    listed = splitter.list_words(text, bindings)
    lettered = f"list_transform({listed}, lambda w: CASE {arms} ELSE '.' END)"
    alphabet = "".join(letters.values()) + "."
    before = "." * (len(words) + slop)
    begins: list[str] = []
    for number, word in enumerate(folded):
        own = "".join("1" if one == letters[word] else "0" for one in alphabet)
        shifted = " | ".join(f"(m << {number + moved})" for moved in range(slop + 1))
        mask = f"CAST(translate(t, '{alphabet}', '{own}') AS BIT)"
        begins.append(f"list_transform([{mask}], lambda m: {shifted})[1]")
    whole = f"'{before}' || coalesce(list_aggr({lettered}, 'string_agg', ''), '')"
    found = f"list_transform([{whole}], lambda t: bit_count({' & '.join(begins)}) > 0)[1]"
    return f"CASE WHEN {every} THEN {found} ELSE FALSE END"


def has_wild_words(splitter: Splitter, text: str, pieces: Pieces, bindings: Bindings) -> str | None:
    """SQL for whether ``text`` has words like all those of a pattern; None when it has none."""
    conditions: list[str] = []
    for word in _words(splitter, pieces):
        if all(wild and piece == "*" for piece, wild in word):
            continue
        pattern = "".join(
            re.escape(piece) if not wild else splitter.inside + ("*" if piece == "*" else "")
            for piece, wild in word
        )
        literal = max((piece for piece, wild in word if not wild), key=len, default="")
        found = splitter.has_pattern(text, pattern, literal, bindings)
        conditions.append(certain(found))
    return f"({' AND '.join(conditions)})" if conditions else None


def is_one_word(splitter: Splitter, pieces: Pieces) -> bool:
    """Whether a pattern is without separators, so that a word can be like it."""
    separators = frozenset(splitter.separators)
    return all(wild or separators.isdisjoint(piece) for piece, wild in pieces)


def whole_pattern(pieces: Pieces) -> str:
    """What the whole of a text is like, in RE2's syntax."""
    return "".join(
        re.escape(piece) if not wild else "(?s:.)" + ("*" if piece == "*" else "")
        for piece, wild in pieces
    )


def _words(splitter: Splitter, pieces: Pieces) -> list[Pieces]:
    """A pattern split where its text has separators."""
    words: list[list[tuple[str, bool]]] = [[]]
    for piece, wild in pieces:
        if wild:
            words[-1].append((piece, wild))
            continue
        parts = re.split(f"[{re.escape(splitter.separators)}]+", piece)
        for number, part in enumerate(parts):
            if number:
                words.append([])
            if part:
                words[-1].append((part, False))
    return [tuple(word) for word in words if word]
