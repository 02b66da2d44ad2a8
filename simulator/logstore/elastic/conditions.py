"""The tree of an Elasticsearch query as a condition on the records of one LogStore.

Words are searched like those of the search language. ``term``, ``terms``, ``prefix`` and
``wildcard`` look at the whole value, as it was stored; the wildcards and regular expressions of
query strings at both. Source: assumed: the vendor names the types of queries and not how they see a
field that is both split into words and aggregated.
"""

import re
from dataclasses import replace
from typing import Final, assert_never

from simulator.errors import ControlError
from simulator.logstore.conditions import ConditionWriter, splitter_of
from simulator.logstore.database import Cursor
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.names import ID, INDEX, RAW
from simulator.logstore.elastic.tree import (
    Between,
    Bound,
    Exists,
    Ids,
    Is,
    Leaf,
    Match,
    Near,
    Negated,
    Nothing,
    Pattern,
    Query,
    Regex,
    Scalar,
    Several,
    Wild,
)
from simulator.logstore.elastic.word_conditions import (
    Pieces,
    edits_of,
    has_described,
    has_near,
    has_similar,
    has_wild_words,
    is_one_word,
    whole_pattern,
)
from simulator.logstore.fields import RESERVED, FieldCatalog, find_indexed
from simulator.logstore.folds import Folds
from simulator.logstore.patterns import pattern_size
from simulator.logstore.search import MAX_TERMS, Phrase, Search
from simulator.logstore.typed import (
    NUMERIC,
    TEXTUAL,
    Bindings,
    Kind,
    Typed,
    as_number,
    as_text,
    certain,
    encode_number,
    parse_number,
)
from simulator.logstore.values import LogStore
from simulator.logstore.words import Splitter

MAX_NEAR: Final = 20
"""Words of a phrase whose words may be apart. Source: assumed (a bound against abuse)."""

_RAW: Final = Typed("message", Kind.STRING)
_AT: Final = re.compile(r"^Request param invalid: \[query\]( at character \d+)?: ")


class ElasticConditions:
    """Writes conditions for one LogStore.

    Args:
        fields: of the LogStore.
        log_store: its index, and whether what that does not cover is refused.
        cursor: to look at the data when a field's kind must be proven.
        bindings: of the statements that the conditions become part of.
        name: of the LogStore as an index, which is the value of ``_index``.
        folds: folds texts.
    """

    def __init__(
        self,
        fields: FieldCatalog,
        log_store: LogStore,
        cursor: Cursor,
        bindings: Bindings,
        name: str,
        folds: Folds,
    ) -> None:
        self._fields = fields
        self._index = log_store.active_index
        self._strict = log_store.settings.strict_search
        self._cursor = cursor
        self._known: dict[str, Typed] = {
            INDEX: Typed(f"CAST({bindings.text(name)} AS VARCHAR)", Kind.STRING),
            ID: Typed("concat(seq, '-', ts)", Kind.STRING),
        }
        self.bindings = bindings
        self._folds = folds
        self._words = ConditionWriter(
            fields,
            self._index,
            strict=self._strict,
            cursor=cursor,
            bindings=bindings,
            folds=folds,
        )

    def typed(self, field: str, path: str) -> Typed:
        """How to read a field.

        Raises:
            ControlError: InvalidParameter when it must have an index and has none.
        """
        self._check(field, path)
        if field not in self._known:
            self._known[field] = self._fields.typed(field, self._cursor, self.bindings, self._index)
        return self._known[field]

    def typed_if_known(self, field: str, path: str) -> Typed | None:
        """How to read a field; None where all records are known not to have a value."""
        self._check(field, path)
        if field in {INDEX, ID}:
            return self._known[field]
        return self._fields.typed_if_known(field, self._cursor, self.bindings, self._index)

    def _check(self, field: str, path: str) -> None:
        """Refuse a field that must have an index and has none."""
        own = field in RESERVED or field in {INDEX, ID}
        if self._strict and not own and not self._is_indexed(field):
            raise Node(field, path).refuse(f"the field {field[:60]} has no index")

    def _is_indexed(self, field: str) -> bool:
        return self._index is not None and find_indexed(self._index, field) is not None

    def write(self, query: Query) -> str:
        """SQL that is true or false for every record, never NULL.

        Raises:
            ControlError: InvalidParameter for what the search language refuses too.
        """
        return self._folds.around(self._write(query))

    def _write(self, query: Query) -> str:
        match query:
            case Nothing():
                return "FALSE"
            case Leaf(search, path):
                return self._searched(search, path)
            case Match() | Near() | Wild() | Regex():
                return self._worded(query)
            case Is() | Pattern() | Bound() | Exists():
                return self._valued(query)
            case Ids(ids):
                return f"(seq, ts) IN ({', '.join(f'({seq}, {at_ms})' for seq, at_ms in ids)})"
            case Between(start_ms, end_ms):
                clauses = [] if start_ms is None else [f"ts >= {start_ms}"]
                clauses += [] if end_ms is None else [f"ts <= {end_ms}"]
                return f"({' AND '.join(clauses)})" if clauses else "TRUE"
            case Negated(operand):
                return f"(NOT {self._write(operand)})"
            case Several(operands, least):
                return _at_least(tuple(self._write(operand) for operand in operands), least)
            case _:
                assert_never(query)

    def _worded(self, query: Match | Near | Wild | Regex) -> str:
        """SQL for a query that looks for words."""
        match query:
            case Match():
                return self._match(query)
            case Near():
                return self._near(query)
            case Wild(field, pieces, path):
                return self._wild(field, pieces, path)
            case Regex(field, pattern, path):
                splitter, value = self._words_of(field, path)
                found = certain(has_described(splitter, as_text(value), pattern, self.bindings))
                self._folds.add_match(found, pattern, pattern_size(pattern))
                return found
            case _:
                assert_never(query)

    def _valued(self, query: Is | Pattern | Bound | Exists) -> str:
        """SQL for a query that looks at the whole value."""
        match query:
            case Is(field, values, any_case, path):
                value = self.typed(field, path)
                return _any(tuple(self._is(value, one, any_case, path) for one in values))
            case Pattern(field, pattern, any_case, path):
                text = as_text(self.typed(field, path))
                flags = "(?si)" if any_case else "(?s)"
                bound = self.bindings.text(flags + pattern)
                found = certain(f"regexp_full_match({text}, {bound})")
                self._folds.add_match(found, pattern, pattern_size(pattern))
                return found
            case Bound():
                return self._bound(query)
            case Exists(field, path):
                return f"({self.typed(field, path).sql} IS NOT NULL)"
            case _:
                assert_never(query)

    def _searched(self, search: Search, path: str) -> str:
        try:
            return self._words.write(search)
        except ControlError as error:
            where = f"Request param invalid: [{path[:200]}]"
            message = _AT.sub(lambda found: f"{where}{found[1] or ''}: ", error.message)
            raise ControlError(error.code, error.status, message) from error

    def _match(self, query: Match) -> str:
        words = self._split(query.field, query.text)
        if not words:
            return self._separators(query.field, query.text, query.path)
        if len(words) > MAX_TERMS:
            raise Node(query.text, query.path).refuse(f"more than {MAX_TERMS} words")
        found = tuple(self._word(query, word) for word in dict.fromkeys(words))
        least = 1 if len(found) == 1 else max(1, query.least.of(len(found)))
        return _at_least(found, least)

    def _word(self, query: Match, word: str) -> str:
        edits = edits_of(word, query.fuzziness)
        if not edits:
            return self._searched(Phrase(query.field, word, 0), query.path)
        splitter, value = self._words_of(query.field, query.path)
        return certain(has_similar(splitter, as_text(value), word, edits, self.bindings))

    def _near(self, query: Near) -> str:
        words = self._split(query.field, query.text)
        if not words:
            return self._separators(query.field, query.text, query.path)
        if not query.slop or len(words) == 1:
            return self._searched(Phrase(query.field, query.text, 0), query.path)
        if len(words) > MAX_NEAR:
            raise Node(query.text, query.path).refuse(f"more than {MAX_NEAR} words with a slop")
        splitter, value = self._words_of(query.field, query.path)
        return certain(has_near(splitter, as_text(value), words, query.slop, self.bindings))

    def _separators(self, field: str | None, text: str, path: str) -> str:
        """SQL for a text that is only separators: there is nothing to look for but itself."""
        value = _RAW if field is None else self.typed(field, path)
        return self._is(value, text, False, path)

    def _wild(self, field: str | None, pieces: Pieces, path: str) -> str:
        splitter, value = self._words_of(field, path)
        words = None
        if field is None or is_one_word(splitter, pieces):
            words = has_wild_words(splitter, as_text(value), pieces, self.bindings)
        if field is None:
            return words or "TRUE"
        flags = "(?s)" if splitter.case_sensitive else "(?si)"
        bound = self.bindings.text(flags + whole_pattern(pieces))
        whole = certain(f"regexp_full_match({as_text(value)}, {bound})")
        return whole if words is None else f"({whole} OR {words})"

    def _bound(self, query: Bound) -> str:
        value = self.typed(query.field, query.path)
        if value.kind not in TEXTUAL:
            if query.lenient:
                return "FALSE"
            raise Node(query.text, query.path).refuse(
                f"found {query.text[:40]!r}, expected a number: {query.field[:60]} is no text"
            )
        return certain(f"{value.sql} {query.operator} {self.bindings.text(query.text)}")

    def splitter(self, field: str | None) -> Splitter:
        """How the words of a field, or of the raw text, are told apart."""
        if self._index is not None:
            index = self._index if field is None else find_indexed(self._index, field)
            if index is not None and (field is not None or self._index.fulltext):
                return splitter_of(index)
        return Splitter()

    def _words_of(self, field: str | None, path: str) -> tuple[Splitter, Typed]:
        """What the words of a field, or of the raw text, are told apart by and read from."""
        if field is not None:
            return self._folding(field), self.typed(field, path)
        if self._strict and not (self._index is not None and self._index.fulltext):
            raise Node(RAW, path).refuse("the LogStore has no full-text index, which a word needs")
        return self._folding(None), _RAW

    def _folding(self, field: str | None) -> Splitter:
        return replace(self.splitter(field), folds=self._folds)

    def _split(self, field: str | None, text: str) -> list[str]:
        """The words of a text, told apart like those of the field."""
        try:
            return self.splitter(field).words(text, 0, wildcards=False)
        except ControlError:
            return []

    def _is(self, value: Typed, wanted: Scalar, any_case: bool, path: str) -> str:
        if isinstance(wanted, bool):
            return certain(f"lower({as_text(value)}) = '{str(wanted).lower()}'")
        if not isinstance(wanted, str):
            return certain(f"{as_number(value)} = {_literal(wanted, path)}")
        if value.kind in NUMERIC:
            try:
                return certain(f"{value.sql} = {_literal(parse_number(wanted), path)}")
            except ValueError:
                return "FALSE"
        text, bound = as_text(value), self.bindings.text(wanted)
        if any_case:
            text, bound = f"lower({text})", f"lower({bound})"
        return certain(f"{text} = {bound}")


def _any(conditions: tuple[str, ...]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "FALSE"


def _at_least(conditions: tuple[str, ...], least: int) -> str:
    """SQL for whether that many of ``conditions`` are true."""
    if least <= 0:
        return "TRUE"
    if least > len(conditions):
        return "FALSE"
    if least == 1:
        return _any(conditions)
    if least == len(conditions):
        return f"({' AND '.join(conditions)})"
    counted = " + ".join(f"CAST({one} AS INTEGER)" for one in conditions)
    return f"({counted} >= {least})"


def _literal(number: float, path: str) -> str:
    try:
        return encode_number(number)
    except OverflowError as error:
        raise Node(number, path).refuse("the number is too large") from error
