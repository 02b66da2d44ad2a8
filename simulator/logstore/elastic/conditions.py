"""The tree of an Elasticsearch query as a condition on the records of one LogStore.

Words are searched like those of the search language. ``term``, ``terms``, ``prefix`` and
``wildcard`` look at the whole value, as it was stored. Source: assumed: the vendor names the types
of queries and not how they see a field that is both split into words and aggregated.
"""

import re
from typing import Final, assert_never

from simulator.errors import ControlError
from simulator.logstore.conditions import ConditionWriter, splitter_of
from simulator.logstore.database import Cursor
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.tree import (
    Between,
    Exists,
    Ids,
    Is,
    Leaf,
    Match,
    Negated,
    Nothing,
    Pattern,
    Query,
    Scalar,
    Several,
)
from simulator.logstore.fields import RESERVED, FieldCatalog, find_indexed
from simulator.logstore.search import MAX_TERMS, Phrase, Search
from simulator.logstore.typed import (
    NUMERIC,
    Bindings,
    Kind,
    Typed,
    as_number,
    as_text,
    encode_number,
    parse_number,
)
from simulator.logstore.values import LogStore
from simulator.logstore.words import Splitter

INDEX: Final = "_index"
ID: Final = "_id"
"""Source: doc the vendor's Python SDK (baiducloud-python-sdk-bls 0.0.9, ``Hit``): made of offset
and time; how is assumed."""

_AT: Final = re.compile(r"^Request param invalid: \[query\]( at character \d+)?: ")


class ElasticConditions:
    """Writes conditions for one LogStore.

    Args:
        fields: of the LogStore.
        log_store: its index, and whether what that does not cover is refused.
        cursor: to look at the data when a field's kind must be proven.
        bindings: of the statements that the conditions become part of.
        name: of the LogStore as an index, which is the value of ``_index``.
    """

    def __init__(
        self,
        fields: FieldCatalog,
        log_store: LogStore,
        cursor: Cursor,
        bindings: Bindings,
        name: str,
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
        self._words = ConditionWriter(
            fields, self._index, strict=self._strict, cursor=cursor, bindings=bindings
        )

    def typed(self, field: str, path: str) -> Typed:
        """How to read a field.

        Raises:
            ControlError: InvalidParameter when it must have an index and has none.
        """
        if field not in self._known:
            if self._strict and not self._is_indexed(field) and field not in RESERVED:
                raise Node(field, path).refuse(f"the field {field[:60]} has no index")
            self._known[field] = self._fields.typed(field, self._cursor, self.bindings, self._index)
        return self._known[field]

    def knows(self, field: str) -> bool:
        """Whether the LogStore has seen a field, or has an index of it."""
        return (
            field in RESERVED
            or field in {INDEX, ID}
            or self._fields.has(field)
            or self._fields.has(field.partition(".")[0])
            or field in self._fields.tag_keys
            or self._is_indexed(field)
        )

    def _is_indexed(self, field: str) -> bool:
        return self._index is not None and find_indexed(self._index, field) is not None

    def write(self, query: Query) -> str:
        """SQL that is true or false for every record, never NULL.

        Raises:
            ControlError: InvalidParameter for what the search language refuses too.
        """
        match query:
            case Nothing():
                return "FALSE"
            case Leaf(search, path):
                return self._searched(search, path)
            case Match():
                return self._match(query)
            case Is(field, values, any_case, path):
                value = self.typed(field, path)
                return _any(tuple(self._is(value, one, any_case, path) for one in values))
            case Pattern(field, pattern, any_case, path):
                text = as_text(self.typed(field, path))
                flags = "(?si)" if any_case else "(?s)"
                bound = self.bindings.text(flags + pattern)
                return _certain(f"regexp_full_match({text}, {bound})")
            case Exists(field, path):
                return f"({self.typed(field, path).sql} IS NOT NULL)"
            case Ids(ids):
                return f"(seq, ts) IN ({', '.join(f'({seq}, {at_ms})' for seq, at_ms in ids)})"
            case Between(start_ms, end_ms):
                clauses = [] if start_ms is None else [f"ts >= {start_ms}"]
                clauses += [] if end_ms is None else [f"ts <= {end_ms}"]
                return f"({' AND '.join(clauses)})" if clauses else "TRUE"
            case Negated(operand):
                return f"(NOT {self.write(operand)})"
            case Several(operands, least):
                return _at_least(tuple(self.write(operand) for operand in operands), least)
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
            # Only separators: nothing to look for but the text itself.
            value = Typed("message", Kind.STRING)
            if query.field is not None:
                value = self.typed(query.field, query.path)
            return self._is(value, query.text, False, query.path)
        if len(words) > MAX_TERMS:
            raise Node(query.text, query.path).refuse(f"more than {MAX_TERMS} words")
        pieces = (query.text,) if query.phrase else words
        found = tuple(self._searched(Phrase(query.field, piece, 0), query.path) for piece in pieces)
        return _at_least(found, len(found) if query.every else 1)

    def _split(self, field: str | None, text: str) -> tuple[str, ...]:
        """The words of a text, told apart like those of the field; each but once."""
        splitter = Splitter()
        if self._index is not None:
            index = self._index if field is None else find_indexed(self._index, field)
            if index is not None and (field is not None or self._index.fulltext):
                splitter = splitter_of(index)
        try:
            return tuple(dict.fromkeys(splitter.words(text, 0, wildcards=False)))
        except ControlError:
            return ()

    def _is(self, value: Typed, wanted: Scalar, any_case: bool, path: str) -> str:
        if isinstance(wanted, bool):
            return _certain(f"lower({as_text(value)}) = '{str(wanted).lower()}'")
        if not isinstance(wanted, str):
            return _certain(f"{as_number(value)} = {_literal(wanted, path)}")
        if value.kind in NUMERIC:
            try:
                return _certain(f"{value.sql} = {_literal(parse_number(wanted), path)}")
            except ValueError:
                return "FALSE"
        text, bound = as_text(value), self.bindings.text(wanted)
        if any_case:
            text, bound = f"lower({text})", f"lower({bound})"
        return _certain(f"{text} = {bound}")


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


def _certain(condition: str) -> str:
    return f"coalesce({condition}, FALSE)"
