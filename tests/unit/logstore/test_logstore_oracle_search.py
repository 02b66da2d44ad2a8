"""Searches at random, on records and with indexes at random, beside `oracle_search`.

With ``ORACLE_EXAMPLES=20000`` in the environment it looks for longer.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
from demo_store import EVERYTHING, NOW_MS, NOW_S, deliver_segment
from hypothesis import given
from hypothesis import strategies as st
from oracle_run import EXAMPLES, at_random
from oracle_search import Record, RefusedError, Search, find
from oracle_searches import make_index, make_records, make_search, write_search

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    IndexSettings,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    RecordType,
)

pytestmark = [pytest.mark.timeout(0)] if EXAMPLES else []
SEARCHES = 8
"""Of each example."""


class Runner:
    """An engine that has the records of one example after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path / "0.seg"
        self.engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)

    def check(self, random: Random) -> None:
        """Compare the searches of one example."""
        records, index = make_records(random), make_index(random)
        strict = random.random() < 0.15
        searches = [make_search(random, records) for _ in range(SEARCHES)]
        self.compare(random, records, index, searches, strict=strict)

    def compare(
        self,
        random: Random,
        records: Sequence[Record],
        index: IndexSettings | None,
        searches: Sequence[Search],
        *,
        strict: bool,
    ) -> None:
        """Raises AssertionError where the product finds something else."""
        settings = LogStoreSettings(retention_days=-1, index=index, strict_search=strict)
        self.engine.create_log_store("default", "demo", settings)
        try:
            self._put(random, records)
            for search in searches:
                text = write_search(random, search)
                expected = _expected(records, search, index, strict=strict)
                found = self._found(text)
                if isinstance(found, str) and isinstance(expected, str):
                    continue
                lines = "\n".join(map(repr, records))
                assert found == expected, f"{text!r}\n{search}\n{index} {strict=}\n{lines}"
        finally:
            self.engine.delete_log_store("default", "demo")

    def _put(self, random: Random, records: Sequence[Record]) -> None:
        """Neighbours that can be are of one push, or of a delivered segment."""
        for (stream, tags, is_text), batch in groupby(records, _batch):
            if not tags and not is_text and random.random() < 0.5:
                lines = [(one.at_ms, one.raw) for one in batch]
                deliver_segment(self.engine, "demo", self.path, lines, stream)
                continue
            self.engine.push(
                "default",
                "demo",
                [NewRecord(message=one.raw, timestamp_ms=one.at_ms) for one in batch],
                stream=stream,
                tags=dict(tags),
                record_type=RecordType.TEXT if is_text else RecordType.JSON,
            )

    def _found(self, text: str) -> list[int] | str:
        try:
            result = self.engine.query(
                "default", "demo", EVERYTHING, f"match {text}", Paging(limit=1000)
            )
        except ControlError as error:
            return str(error)
        return sorted(int(str(row[0])) - NOW_MS for row in result.rows)


def _expected(
    records: Sequence[Record], search: Search, index: IndexSettings | None, *, strict: bool
) -> list[int] | str:
    """The times of the hits, or why there can be none."""
    try:
        found = find(records, search, index, strict=strict)
    except RefusedError as error:
        return str(error)
    return [records[at].at_ms - NOW_MS for at in found]


def _batch(record: Record) -> tuple[str, tuple[tuple[str, str], ...], bool]:
    return record.stream, tuple(record.tags.items()), record.fields is None


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("runner"))
    yield runner
    runner.engine.close()


@at_random
@given(random=st.randoms(use_true_random=False))
def test_searches_find_what_the_documentation_says(runner: Runner, random: Random) -> None:
    runner.check(random)
