"""What DuckDB's macros repeat is counted, so that nesting is refused and not planned for ever."""

import pytest
from demo_store import Store

from simulator.errors import ControlError
from simulator.logstore.repeats import Repeats


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("x", 1),
        ("f(x, (x))", 2),
        ("nullif(x, 0)", 2),
        ("nullif(nullif(x, 0), 1)", 4),
        ("nullif(1, 0) + x", 1),
        ("f(nullif(g(x), 0), x)", 3),
        ("split_part(nullif(x, ''), '/', 1) || x", 5),
        ("notnullif(x)", 1),
        (")nullif(x", 2),
    ],
)
def test_parts_are_counted_as_often_as_they_are_computed(sql: str, count: int) -> None:
    assert Repeats(sql).count("x") == count


def test_length_is_that_of_everything_repeated() -> None:
    assert Repeats("abc(d)").length == 6
    assert Repeats("nullif(ab)").length == len("nullif(") + 2 * len("ab)")


@pytest.mark.parametrize(
    ("function", "levels"),
    [
        ("hour(#)", 12), ("date(#)", 12), ("codepoint(#)", 40), ("nullif(#, 1)", 40),
        ("if(# in (1, 2), 1, 2)", 24), ("json_extract_scalar(#, '$.a')", 14),
        ("json_size(#)", 14), ("from_unixtime(#, '%D')", 8), ("capitalize(#)", 24),
        ("1 / (#)", 24), ("1 % (#)", 24),
    ],
)  # fmt: skip
def test_nesting_that_doubles_is_refused(store: Store, function: str, levels: int) -> None:
    store.push({"n": 1})
    expression = "n"
    for _ in range(levels):
        expression = function.replace("#", expression)
    with pytest.raises(ControlError) as caught:
        store.select(f"select {expression}")
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    twice = function.replace("#", function.replace("#", "n"))
    assert len(store.select(f"select {twice}")) == 1
