"""Groups of records: what every aggregation that has buckets selects them with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from simulator.errors import ControlError
from simulator.logstore.database import Cursor, Row
from simulator.logstore.elastic.aggregations import Aggregation
from simulator.logstore.elastic.records import FoundRecords, stream_bounded

MAX_BUCKETS: Final = 65_536
"""Of one request. Source: assumed: Elasticsearch's ``search.max_buckets``."""
MAX_VALUES: Final = 500_000
"""Numbers in all buckets together. Source: assumed (a bound against abuse)."""
MAX_KEY_BYTES: Final = 16 * 1024 * 1024
"""Of texts that are keys, each as often as a statement gives it. Source: assumed (a bound against
abuse)."""

Keys: TypeAlias = tuple[object, ...]
"""The keys of the buckets around an aggregation, outermost first."""
Shown: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What buckets are made by."""

    sql: str
    type: str
    """DuckDB's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The records that an aggregation looks at, and the buckets they are in already."""

    where: str
    keys: tuple[Key, ...] = ()
    scale: float = 1.0
    """What share of the records is looked at; counts and sums are divided by it."""

    def within(self, condition: str) -> "Context":
        """The records that fulfil a further condition."""
        return replace(self, where=f"{self.where} AND {condition}")

    def grouped(self, key: Key) -> "Context":
        """The records, each also in a bucket by ``key``."""
        return replace(self, keys=(*self.keys, key))

    def scaled(self, count: int) -> int:
        """How many records a count of those looked at stands for."""
        return round(count / self.scale)


class Groups:
    """Selects the groups of one request, and counts what is made of them.

    Args:
        cursor: reads.
        records: what is put into groups.
    """

    def __init__(self, cursor: Cursor, records: FoundRecords) -> None:
        self._cursor = cursor
        self._made = 0
        self._values = 0
        self._key_bytes = 0
        self._span: tuple[int, ...] | None = None
        self.records = records

    def select(
        self, context: Context, items: Sequence[str], *, having: str = "", tail: str = ""
    ) -> list[tuple[Keys, Row]]:
        """Keys and cells of each group of the records of a context.

        Raises:
            ControlError: InvalidParameter when the keys are too many bytes.
        """
        count = len(context.keys)
        columns = ", ".join((*(key.sql for key in context.keys), *items))
        sql = f"SELECT {columns} FROM {self.records.sql} WHERE {context.where}"
        if count:
            sql += f" GROUP BY {', '.join(str(number + 1) for number in range(count))}"
        if having:
            sql += f" HAVING {having}"
        sql += f"{tail} LIMIT {MAX_BUCKETS + 1}"
        rows: list[tuple[Keys, Row]] = []
        for block in stream_bounded(self._cursor, sql, self.records.bindings.used_in(sql)):
            self._key_bytes += sum(len(one) for row in block for one in row if isinstance(one, str))
            if self._key_bytes > MAX_KEY_BYTES:
                raise _too_many(f"{MAX_KEY_BYTES >> 20} MiB of texts that tell buckets apart")
            rows += [(row[:count], row[count:]) for row in block]
        return rows

    def span(self) -> tuple[int, ...]:
        """The times of the first and the last of all records, epoch milliseconds; asked for once.

        Empty without any record.
        """
        if self._span is None:
            ends = self.select(Context(where=self.records.where), ["min(ts)", "max(ts)"])
            self._span = tuple(cell for _, cells in ends for cell in cells if cell is not None)
        return self._span

    def count_buckets(self, buckets: int) -> None:
        """Account for buckets that were made.

        Raises:
            ControlError: InvalidParameter when there are too many.
        """
        self._made += buckets
        if self._made > MAX_BUCKETS:
            raise _too_many(f"{MAX_BUCKETS} buckets")

    def count_values(self, values: int) -> None:
        """Account for numbers that are shown.

        Raises:
            ControlError: InvalidParameter when there are too many.
        """
        self._values += values
        if self._values > MAX_VALUES:
            raise _too_many(f"{MAX_VALUES} values in buckets")

    def one_of(self, context: Context, wanted: Sequence[Keys]) -> str:
        """SQL for whether the keys of a record are among ``wanted``."""
        listed = ", ".join(
            self.listed([keys[index] for keys in wanted], key.type)
            for index, key in enumerate(context.keys)
        )
        keys = ", ".join(key.sql for key in context.keys)
        return f"({keys}) IN (SELECT {listed})"

    def listed(self, values: Sequence[object], type_: str) -> str:
        """SQL that has ``values`` as rows, of a type of DuckDB's."""
        bound = self.records.bindings.text(json.dumps(values))
        return f"""unnest(from_json({bound}, '["{type_}"]'))"""


class Runner(Protocol):
    """Runs the aggregations within the buckets of another."""

    groups: Groups

    def run_within(
        self, aggregations: Sequence[Aggregation], context: Context
    ) -> dict[Keys, Shown]:
        """The results by name for each combination of keys; what has none is empty."""

    def complete(self, aggregations: Sequence[Aggregation], found: Shown) -> Shown:
        """``found`` with what is empty, in the order it was asked for."""


def _too_many(what: str) -> ControlError:
    return ControlError(
        "InvalidParameter",
        400,
        f"Request param invalid: [body.aggs]: more than {what};"
        " ask for a longer interval, a smaller size or a shorter range",
    )
