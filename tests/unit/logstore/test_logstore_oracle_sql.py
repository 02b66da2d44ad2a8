"""Statements at random beside `oracle_statements`, which works their rows out in Python.

With ``ORACLE_EXAMPLES=20000`` in the environment it looks for longer.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from demo_store import EVERYTHING, NOW_MS, NOW_S, deliver_segment, push_lines
from hypothesis import given
from hypothesis import strategies as st
from oracle_run import EXAMPLES, at_random
from oracle_statements import COLUMNS, Statement, make_rows, make_statement, shown

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
)

pytestmark = [pytest.mark.timeout(0)] if EXAMPLES else []
STATEMENTS = 3
"""Of each example."""
TYPES: Final = {"i": IndexType.LONG, "x": IndexType.FLOAT, "b": IndexType.BOOL}
INDEX: Final = IndexSettings(
    fields=tuple(
        IndexField(name=name, type=TYPES.get(kind, IndexType.TEXT))
        for kind, names in COLUMNS.items()
        if kind != "w"
        for name in names
    )
)

COMPLETE: Final = {
    name: {"i": 1, "x": 0.5, "b": True, "a": "10.0.0.1", "c": "10.0.0.0/8", "j": "nonsense"}.get(
        kind, "a"
    )
    for kind, names in COLUMNS.items()
    if kind != "w"
    for name in names
}
"""A record with all fields."""


class Runner:
    """An engine that has the records of one example after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path / "0.seg"
        self.engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)

    def check(self, random: Random) -> None:
        """Compare the statements of one example."""
        rows, index = make_rows(random), random.choice((None, INDEX))
        if index is None:  # what a field is then follows from its values
            rows = [COMPLETE, *rows]
        self.engine.create_log_store(
            "default", "demo", LogStoreSettings(retention_days=-1, index=index)
        )
        try:
            if rows:
                self._put(random, rows)
            for _ in range(STATEMENTS):
                self._compare(make_statement(random), rows, index)
        finally:
            self.engine.delete_log_store("default", "demo")

    def _put(self, random: Random, rows: Sequence[dict[str, Any]]) -> None:
        lines = [(NOW_MS + at, json.dumps(row)) for at, row in enumerate(rows)]
        if random.random() < 0.5:
            push_lines(self.engine, "demo", lines, "")
        else:
            deliver_segment(self.engine, "demo", self.path, lines, "")

    def _compare(
        self, statement: Statement, rows: Sequence[dict[str, Any]], index: IndexSettings | None
    ) -> None:
        expected = [tuple(map(shown, row)) for row in statement.rows(rows)]
        try:
            found = list(self.engine.query("default", "demo", EVERYTHING, statement.sql).rows)
        except ControlError as error:
            if "allowed" in error.message:  # a bound of memory
                return
            raise AssertionError(statement.sql) from error
        if not statement.is_ordered:
            expected, found = sorted(expected, key=_order), sorted(found, key=_order)
        pairs = zip(expected, found, strict=False)
        alike = len(expected) == len(found) and all(map(_are_alike, pairs))
        case = f"{statement.sql}\nindexed: {index is not None}\n" + "\n".join(map(str, rows))
        assert alike, f"{case}\nexpected {expected}\nfound    {found}"


def _are_alike(rows: tuple[Sequence[Any], Sequence[Any]]) -> bool:
    return all(_is_alike(one, other) for one, other in zip(*rows, strict=True))


def _is_alike(one: object, other: object) -> bool:
    numbers = [cell for cell in (one, other) if isinstance(cell, int | float)]
    if len(numbers) == 2 and any(isinstance(cell, float) for cell in numbers):
        return math.isclose(*numbers, rel_tol=1e-9, abs_tol=1e-9)
    return type(one) is type(other) and one == other


def _order(row: Sequence[Any]) -> list[tuple[int, Any]]:
    """Orders rows whose numbers differ in their last digits alike."""
    return [
        (0, "")
        if cell is None
        else (1, cell)
        if isinstance(cell, str)
        else (2, cell if isinstance(cell, int) else float(f"{cell:.6e}"))
        for cell in row
    ]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("runner"))
    yield runner
    runner.engine.close()


@at_random
@given(random=st.randoms(use_true_random=False))
def test_statements_give_what_the_documentation_says(runner: Runner, random: Random) -> None:
    runner.check(random)
