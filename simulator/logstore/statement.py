"""Splits a query into its search and its SQL part.

Source: doc https://cloud.baidu.com/doc/BLS/s/hk8to0l9o for the three forms; a search without the
word ``match`` before the pipe is what older SDK documentation shows.
"""

import re
from dataclasses import dataclass
from typing import Final

from simulator.logstore.search_spellings import hint_without_match
from simulator.logstore.typed import invalid_query

MAX_LENGTH: Final = 32_768
"""Characters in a query. Source: assumed (a bound against abuse, no source gives one)."""

_MATCH: Final = re.compile(r"match(?=[\s(\"'`]|$)", re.IGNORECASE)
_SELECT: Final = re.compile(r"select\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the query and where it begins."""

    text: str
    at: int
    """0-based position of the first character in the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A query, in parts; at least one is there."""

    search: Part | None
    sql: Part | None

    @property
    def query_type(self) -> str:
        """The name the wire has for this form."""
        if self.search is None:
            return "sql"
        return "match" if self.sql is None else "match_and_sql"


def parse_statement(query: str) -> Statement:
    """The parts of ``match <search>``, ``select ...`` or ``match <search> | select ...``.

    Raises:
        ControlError: InvalidParameter when it has none of the three forms.
    """
    if len(query) > MAX_LENGTH:
        raise invalid_query(f"{len(query)} characters, at most {MAX_LENGTH} are accepted")
    if (nul := query.find("\0")) >= 0:
        raise invalid_query("found a NUL character", nul)
    start = len(query) - len(query.lstrip())
    if start == len(query):
        raise invalid_query("empty, expected `match <search>` or `select ...`")
    if _SELECT.match(query, start):
        return Statement(search=None, sql=Part(text=query[start:], at=start))
    match = _MATCH.match(query, start)
    pipe = _top_level_pipe(query, start)
    if match is None and pipe is None:
        expected = "expected `match <search>`, `select ...` or `match <search> | select ...`"
        raise invalid_query(expected + hint_without_match(query), start)
    search_at = start if match is None else match.end()
    search = Part(text=query[search_at : len(query) if pipe is None else pipe], at=search_at)
    if pipe is None:
        return Statement(search=search, sql=None)
    rest = query[pipe + 1 :]
    sql_at = pipe + 1 + len(rest) - len(rest.lstrip())
    if not _SELECT.match(query, sql_at):
        is_or = query.startswith("||", pipe)
        instead = "; between searches stands `or`" if is_or else ""
        raise invalid_query(f"expected `select` after the pipe{instead}", sql_at)
    return Statement(search=search, sql=Part(text=query[sql_at:], at=sql_at))


def is_search(query: str) -> bool:
    """Whether a query is ``match <search>`` alone, which is all that paging applies to.

    Raises:
        ControlError: InvalidParameter when it is no query.
    """
    return parse_statement(query).sql is None


def _top_level_pipe(query: str, start: int) -> int | None:
    """Where the first ``|`` outside quotes stands."""
    quote = ""
    position = start
    while position < len(query):
        character = query[position]
        if quote:
            if character == "\\" and quote != "`":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "\"'`":
            quote = character
        elif character == "|":
            return position
        position += 1
    return None
