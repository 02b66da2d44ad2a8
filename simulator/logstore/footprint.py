"""How much memory the values of a statement take on their way, estimated before it runs.

DuckDB computes 2048 rows at a time. For so many the value of every part of an expression stands in
memory, once for each thread, and its limit of memory does not count that: a statement that makes
long texts, or is long itself, could take any amount. So the writer of expressions says of each
part how wide its values can be, and a statement whose parts are too wide together is refused.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.clock import monotonic
from simulator.logstore.repeats import Repeats
from simulator.logstore.typed import NESTED, TEXTUAL, Kind, Typed, invalid_query
from simulator.logstore.widths import PLAIN, SLOT, Width

ROWS: Final = 2048
"""That DuckDB computes at a time."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the values of all statements at work. Source: assumed (a bound against abuse)."""
MAX_COLLECTED_BYTES: Final = 16 * 1024 * 1024
"""Of what ``group_array``, ``map_agg`` or ``histogram`` collect, in all groups of a statement
together. Source: assumed (a bound against abuse)."""
MAX_MATCHING_S: Final = 2.0
"""Real seconds that the patterns of a statement may take for the rows that are computed together.
Source: assumed (a bound against abuse)."""
_TRIES: Final = 3
_SAMPLES: Final = (4, 64)
"""Records that patterns are tried with; fewer where these are large."""
_SAMPLE_BYTES: Final = 1024 * 1024
ELEMENT_BYTES: Final = 24
"""Of an element of an array, beside the text it may have."""
_HELPER_BYTES: Final = 8
"""Of what a function needs on its way, for each of its brackets; many are of constants."""
_ESCAPED: Final = 6
"""A character of a text in JSON may become so many."""
_WIDE_BYTES: Final = 1000
"""Of a value that is worth naming."""
_NUMBER_BYTES: Final = 32
"""Of a number or an instant written as text."""


def priced(
    written: Typed, parts: Sequence[Typed], *, is_constant: bool = False, is_aggregate: bool = False
) -> Typed:
    """``written`` with its width, unless it has one, and what computing it costs.

    Args:
        written: an expression.
        parts: the expressions that it was written from.
        is_constant: whether it has one value, which DuckDB computes once.
        is_aggregate: whether its values are those of groups, which come when all rows have been.
    """
    width = written.width
    if width == Width():
        width = _default_width(written.kind, parts)
    if not parts:
        return replace(written, width=width)
    if is_constant:
        return replace(written, width=width, is_constant=True)
    cost = 0.0
    repeats = Repeats(written.sql)
    helpers = repeats.count("(")
    helper = float(_HELPER_BYTES)
    for part in {part.sql: part for part in parts}.values():
        # Some functions repeat an argument, and DuckDB computes it as often.
        times = repeats.count(part.sql) if "(" in part.sql else 0
        cost += max(times, 1) * part.cost
        helpers -= times * part.sql.count("(")
        if part.kind in NESTED:
            # Of the brackets about every second one makes another list.
            helper = max(helper, part.width.near / 2)
    cost += max(helpers, 0) * helper
    # Groups come out together, and their texts are copied for it.
    own = max(width.far if is_aggregate else width.near, SLOT)
    return replace(
        written,
        width=width,
        cost=max(cost, own) if is_aggregate else cost + own,
        is_of_groups=is_aggregate or any(part.is_of_groups for part in parts),
    )


def _default_width(kind: Kind, parts: Sequence[Typed]) -> Width:
    if kind in TEXTUAL:
        return sum((text_width(part) for part in parts), Width())
    if kind in NESTED:
        return sum((element_width(part) for part in parts), Width())
    return PLAIN


def text_width(value: Typed) -> Width:
    """Of ``value`` as text."""
    if value.kind in TEXTUAL:
        return value.width
    if value.kind in NESTED:
        return value.width * _ESCAPED
    return Width(_NUMBER_BYTES, _NUMBER_BYTES)


def element_width(value: Typed) -> Width:
    """Of ``value`` as an element of an array."""
    text = value.width if value.kind in TEXTUAL | NESTED else Width()
    return text + Width(ELEMENT_BYTES, ELEMENT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Something that an aggregate collects of all rows."""

    name: str
    """Of the aggregate."""
    element: str
    """SQL for what of a row."""
    is_text: bool
    width: float
    """Bytes of an element, at most, with what it takes beside its text."""
    overhead: int
    """What it takes beside its text."""
    distinct: bool
    """Whether equal elements are kept once."""
    at: int | None


class Footprint:
    """Adds up the parts of one statement.

    Args:
        row_count: that it may read.
        threads: that it may use.
        ask: runs SQL that gives one number, on what the statement reads.
        is_measured: whether it is known how wide fields are; else it is guessed.
    """

    def __init__(
        self,
        row_count: int,
        threads: int,
        ask: Callable[[str], int],
        *,
        is_measured: bool = False,
    ) -> None:
        self._is_measured = is_measured
        self._is_doubtful = False
        self.reads_earlier = False
        """Whether it reads records of earlier ranges too, which nobody has counted."""
        self._row_count = row_count
        self._together = ROWS * threads
        self._ask = ask
        self._bytes_per_row = 0.0
        self._record = Width(1.0, 1.0)
        self._widest: tuple[float, str, int | None] = (0.0, "", None)

    @property
    def byte_count(self) -> int:
        """What the values of the statement may take."""
        return int(self._bytes_per_row * self._together)

    @property
    def wants_measures(self) -> bool:
        """Whether it matters how wide fields really are."""
        return self._is_doubtful or self.byte_count > MAX_BYTES

    def is_certain(self) -> bool:
        """Whether something may be refused for how wide fields are; if not, they are measured."""
        self._is_doubtful |= not self._is_measured
        return self._is_measured

    def add_condition(self, condition: str, record: Width) -> None:
        """Add the condition of a search, which copies records where it folds their case."""
        self._record |= record
        self.add(condition.count("lower(") * record.near + condition.count("(") * SLOT)

    def add(self, cost: float) -> None:
        """Add an expression that is computed for every row."""
        self._bytes_per_row += cost

    def add_groups(self, items: Sequence[Typed]) -> None:
        """Add what tells the groups of a select apart, beside what aggregates give."""
        keys = [item for item in items if item.kind in TEXTUAL and not item.is_of_groups]
        width = sum(item.width.far for item in keys)
        self.add(width)
        if width > self._widest[0]:
            self._widest = (width, "a group", None)

    def look_at(self, value: Typed, name: str, at: int | None) -> None:
        """Remember the function whose values are the widest."""
        width = value.width.far if value.is_of_groups else value.width.near
        if width > self._widest[0]:
            self._widest = (width, name, at)

    def check(self) -> None:
        """See that the statement does not take too much.

        Raises:
            ControlError: InvalidParameter, which names the widest part.
        """
        if self.byte_count <= MAX_BYTES:
            return
        width, name, at = self._widest
        widest = f"{name} has values of up to {int(width)} bytes"
        if width < _WIDE_BYTES:
            widest, at = "it has too many parts", None
        raise invalid_query(
            f"{widest}; all values of the statement may take {self.byte_count >> 20} MiB for the"
            f" rows that are computed together, at most {MAX_BYTES >> 20} MiB are allowed",
            at,
        )

    def check_matches(
        self, matches: Sequence[str], sample: Callable[[int], str], at: int | None
    ) -> None:
        """See that patterns do not take too long for the rows that are computed together.

        Nothing stops RE2 within them, and how long it takes depends on the texts as well as on the
        pattern: so both are tried with a few records.

        Args:
            matches: SQL for what is matched.
            sample: SQL for so many records.
            at: where the statement begins in the query, if it is part of one.

        Raises:
            ControlError: InvalidParameter with the time that was measured.
        """
        counts = ", ".join(f"count(*) FILTER (WHERE {match})" for match in matches)
        together_s = math.inf
        most = max(2, min(_SAMPLES[1], int(_SAMPLE_BYTES / self._record.far)))
        samples = min(_SAMPLES[0], most // 2), most
        for _ in range(_TRIES):
            measured: list[tuple[float, int]] = []
            for count in samples:
                sql = f"SELECT coalesce(sum(size), 0), {counts} FROM {sample(count)}"
                began = monotonic()
                size = self._ask(sql)
                measured.append((monotonic() - began, size))
            # What is left takes no part in it: making the patterns, once for each thread.
            (few_s, few), (many_s, many) = measured
            took_s = (many_s - few_s) / max(1, many - few)
            together_s = min(together_s, took_s * self._record.near * ROWS)
            if together_s <= MAX_MATCHING_S:
                return
        raise invalid_query(
            f"matching {ROWS} records with its patterns would take {together_s:.1f} s, in which"
            f" nothing could stop it; at most {MAX_MATCHING_S:.0f} s are allowed",
            at,
        )

    def collected_width(self, element: Width) -> Width:
        """Of a value that collects elements of all rows: all of them may be in one."""
        total = min(self._row_count * element.far, MAX_COLLECTED_BYTES)
        return Width(total, total) * (1 / self._together)

    def check_collected(self, one: Collected, source: str, groups: Sequence[str]) -> None:
        """See that an aggregate does not collect too much; counted where it might.

        Args:
            one: what it collects.
            source: FROM and WHERE of the select that it stands in.
            groups: what its rows are grouped by.

        Raises:
            ControlError: InvalidParameter with what was counted.
        """
        if self._row_count * one.width <= MAX_COLLECTED_BYTES and not self.reads_earlier:
            return
        text = "coalesce(strlen(v), 0) + " if one.is_text else ""
        elements = f"SELECT {one.element} AS v {source}"
        if one.distinct:
            listed = "".join(f", {group} AS g{number}" for number, group in enumerate(groups))
            elements = f"SELECT DISTINCT {one.element} AS v{listed} {source}"
        found = self._ask(
            f"SELECT CAST(coalesce(sum({text}{one.overhead}), 0) AS BIGINT) FROM ({elements})"
        )
        if found > MAX_COLLECTED_BYTES:
            raise invalid_query(
                f"{one.name}: it collects {found >> 20} MiB,"
                f" at most {MAX_COLLECTED_BYTES >> 20} MiB are allowed",
                one.at,
            )


def too_large(name: str, limit: str) -> str:
    """SQL that ends the statement when it is reached.

    Args:
        name: of the function.
        limit: what it was to keep to.
    """
    text = f"{name}: {limit}".replace("'", "''")
    return f"error('{text}')"
