"""Finds in the texts of hits what is to be highlighted, and puts tags around it.

Words are told apart as the LogStore tells them apart; what fits no word may fit the whole text.
What a pattern, an expression or a similar word is, DuckDB decides for all words at once, as it does
for the search itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, TypeAlias

from simulator.logstore.database import Cursor
from simulator.logstore.elastic.conditions import ElasticConditions
from simulator.logstore.elastic.highlights import HighlightRequest, HighlightSettings, Marked
from simulator.logstore.elastic.names import RAW
from simulator.logstore.elastic.records import run_bounded
from simulator.logstore.elastic.tree import Is, Match, Near, Pattern, Regex, Wild
from simulator.logstore.elastic.word_conditions import edits_of, is_one_word, whole_pattern
from simulator.logstore.typed import parse_number
from simulator.logstore.words import Splitter

MAX_TEXT: Final = 100_000
"""Characters of a text that are looked at. Source: assumed (a bound against abuse)."""

Values: TypeAlias = Mapping[str, Sequence[object]]
"""The fields of a record and their values."""
Span: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class _Text:
    """A text of a field, and where its words are."""

    text: str
    splitter: Splitter
    spans: list[Span] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        looked_at = self.text[:MAX_TEXT]
        self.spans = self.splitter.spans(looked_at)
        self.words = [self.splitter.fold(looked_at[start:end]) for start, end in self.spans]


class Highlighter:
    """Highlights the hits of one LogStore.

    Args:
        cursor: decides what is like a pattern.
        conditions: of the LogStore.
        request: what is to be highlighted.
    """

    def __init__(
        self, cursor: Cursor, conditions: ElasticConditions, request: HighlightRequest
    ) -> None:
        self._cursor = cursor
        self._conditions = conditions
        self._request = request
        self._alike: dict[tuple[str, bool], frozenset[str]] = {}

    def highlight(self, hits: Sequence[Values]) -> list[dict[str, list[str]]]:
        """The highlighted fragments of each hit, by field; of some there are none."""
        texts = [self._texts(values) for values in hits]
        every = [text for each in texts for _, many in each.values() for text in many]
        words = {word for text in every for word in text.words}
        whole = {text.text for text in every if len(text.text) <= MAX_TEXT}
        self._alike = {}
        return [self._hit(each, words, whole) for each in texts]

    def _texts(self, values: Values) -> dict[str, tuple[HighlightSettings, list[_Text]]]:
        found: dict[str, tuple[HighlightSettings, list[_Text]]] = {}
        for name, many in values.items():
            settings = self._request.settings_of(name)
            texts = [one for one in many if isinstance(one, str)]
            if settings is not None and texts:
                splitter = self._conditions.splitter(None if name == RAW else name)
                found[name] = settings, [_Text(one, splitter) for one in texts]
        return found

    def _hit(
        self,
        texts: Mapping[str, tuple[HighlightSettings, list[_Text]]],
        words: set[str],
        whole: set[str],
    ) -> dict[str, list[str]]:
        shown: dict[str, list[str]] = {}
        for name, (settings, many) in texts.items():
            fragments: list[tuple[int, str]] = []
            for text in many:
                spans = self._spans(name, text, settings, words, whole)
                fragments += cut(text.text, spans, settings)
            if settings.by_score:
                fragments.sort(key=lambda one: one[0], reverse=True)
            if settings.fragment_count:
                fragments = fragments[: settings.fragment_count]
            if not fragments and settings.no_match_chars and many[0].text:
                fragments = [(0, _beginning(many[0].text, settings))]
            if fragments:
                shown[name] = [fragment for _, fragment in fragments]
        return shown

    def _spans(
        self, name: str, text: _Text, settings: HighlightSettings, words: set[str], whole: set[str]
    ) -> list[Span]:
        """What is to be highlighted in a text, in order and apart from each other."""
        found: list[Span] = []
        for one in settings.marked:
            # Every field is part of the raw text, which words without a field are looked for in.
            if one.field in {None, name} or not settings.same_field:
                found += self._marked(one, text, words, whole)
        return _merged(found)

    def _marked(self, one: Marked, text: _Text, words: set[str], whole: set[str]) -> Iterable[Span]:
        everything = (0, len(text.text))
        match one:
            case Is(values=values, any_case=any_case):
                same = any(_is_same(text.text, value, any_case=any_case) for value in values)
                return [everything] if same else []
            case Pattern(pattern=pattern, any_case=any_case):
                alike = self._like(pattern, any_case, whole)
                return [everything] if text.text in alike else []
            case Match() | Near():
                wanted = _split(text.splitter, one.text)
                if not wanted:
                    # Only separators, which nothing but themselves is found by.
                    return [everything] if text.text == one.text else []
                if isinstance(one, Near):
                    return _near(text, wanted, one.slop)
                alike = frozenset(
                    word for each in wanted for word in self._similar(one, each, words)
                )
                return _where(text, alike)
            case Wild(field=name, pieces=pieces):
                fold = not text.splitter.case_sensitive
                alike = self._like(whole_pattern(pieces), fold, words | whole)
                found = _where(text, alike) if is_one_word(text.splitter, pieces) else []
                return found or ([everything] if name and text.text in alike else [])
            case Regex(field=name, pattern=pattern):
                alike = self._like(pattern, not text.splitter.case_sensitive, words | whole)
                found = _where(text, alike)
                return found or ([everything] if name and text.text in alike else [])

    def _similar(self, one: Match, word: str, words: set[str]) -> frozenset[str]:
        """The words that a word of a query finds."""
        edits = edits_of(word, one.fuzziness)
        if not edits:
            return frozenset({word})
        key = f"{edits}~{word}"
        if (key, False) not in self._alike:
            condition = f"damerau_levenshtein(w, $wanted) <= {edits}"
            self._alike[key, False] = self._decide(condition, word, words)
        return self._alike[key, False]

    def _like(self, pattern: str, any_case: bool, texts: set[str]) -> frozenset[str]:
        """The texts that a pattern describes."""
        if (pattern, any_case) not in self._alike:
            wanted = f"{'(?si)' if any_case else '(?s)'}(?:{pattern})"
            decided = self._decide("regexp_full_match(w, $wanted)", wanted, texts)
            self._alike[pattern, any_case] = decided
        return self._alike[pattern, any_case]

    def _decide(self, condition: str, wanted: str, texts: set[str]) -> frozenset[str]:
        sql = f"SELECT w FROM (SELECT unnest($texts) AS w) WHERE {condition}"
        rows = run_bounded(self._cursor, sql, {"texts": sorted(texts), "wanted": wanted})
        return frozenset(row[0] for row in rows)


def cut(text: str, spans: Sequence[Span], settings: HighlightSettings) -> list[tuple[int, str]]:
    """The fragments of a text that have something to highlight, and how much each has.

    A fragment is about as long as asked for, and is cut between words.
    """
    if not spans:
        return []
    if not settings.fragment_count:
        return [(len(spans), _tagged(text, 0, len(text), spans, settings))]
    fragments: list[tuple[int, str]] = []
    end = 0
    position = 0
    while position < len(spans) and len(fragments) < settings.fragment_count:
        first, last = spans[position]
        around = max(0, settings.fragment_chars - (last - first)) // 2
        # Near the end of the text there is more room before.
        early = min(first - around, len(text) - settings.fragment_chars)
        start = _word_start(text, max(end, early), first)
        end = max(last, min(len(text), start + settings.fragment_chars))
        within = [span for span in spans[position:] if span[1] <= end]
        following = spans[position + len(within) :][:1]
        if following and following[0][0] < end:
            end = following[0][0]
        end = _word_end(text, within[-1][1], end)
        fragments.append((len(within), _tagged(text, start, end, within, settings)))
        position += len(within)
    return fragments


def _beginning(text: str, settings: HighlightSettings) -> str:
    end = _word_end(text, 0, min(len(text), settings.no_match_chars))
    return _tagged(text, 0, end or min(len(text), settings.no_match_chars), (), settings)


def _word_start(text: str, start: int, most: int) -> int:
    """Where the first word begins at or behind ``start``; at ``most`` at the latest."""
    if start == 0 or text[start - 1].isspace():
        return start
    while start < most and not text[start].isspace():
        start += 1
    while start < most and text[start].isspace():
        start += 1
    return start


def _word_end(text: str, least: int, end: int) -> int:
    """Where the last word ends at or before ``end``; at ``least`` at the earliest."""
    if end == len(text) or text[end].isspace():
        return end
    while end > least and not text[end - 1].isspace():
        end -= 1
    while end > least and text[end - 1].isspace():
        end -= 1
    return end


def _tagged(
    text: str, start: int, end: int, spans: Sequence[Span], settings: HighlightSettings
) -> str:
    shown = escape if settings.as_html else str
    pieces: list[str] = []
    for first, last in spans:
        pieces += [shown(text[start:first]), settings.pre_tag]
        pieces += [shown(text[first:last]), settings.post_tag]
        start = last
    return "".join((*pieces, shown(text[start:end])))


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return merged


def _split(splitter: Splitter, text: str) -> list[str]:
    """The words of a text that is looked for, as they are compared."""
    return [splitter.fold(text[start:end]) for start, end in splitter.spans(text)]


def _where(text: _Text, words: frozenset[str]) -> list[Span]:
    return [span for span, word in zip(text.spans, text.words, strict=True) if word in words]


def _near(text: _Text, wanted: Sequence[str], slop: int) -> list[Span]:
    """The words of a phrase, wherever they are near each other."""
    begins = sorted(
        (place - number, number, place)
        for number, one in enumerate(wanted)
        for place, word in enumerate(text.words)
        if word == one
    )
    found: list[Span] = []
    within: Counter[int] = Counter()
    first = marked = 0
    for last, (begin, number, _) in enumerate(begins):
        within[number] += 1
        while begins[first][0] < begin - slop:
            within[begins[first][1]] -= 1
            first += 1
        if sum(count > 0 for count in within.values()) == len(wanted):
            marked = max(marked, first)
            found += [text.spans[place] for _, _, place in begins[marked : last + 1]]
            marked = last + 1
    return found


def _is_same(text: str, value: str | float | bool, *, any_case: bool) -> bool:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, str):
        return text.lower() == value.lower() if any_case else text == value
    try:
        return parse_number(text) == value
    except ValueError:
        return False
