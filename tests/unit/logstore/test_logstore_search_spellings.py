"""Habits from other search languages are told what serves here."""

import pytest

from simulator.errors import ControlError
from simulator.logstore.search import parse_search
from simulator.logstore.statement import parse_statement

UNEQUAL = "`not field = value` is what is unequal"


def read(query: str) -> None:
    search = parse_statement(query).search
    assert search is not None
    parse_search(search.text, search.at)


def refusal(query: str) -> str:
    with pytest.raises(ControlError) as caught:
        read(query)
    return caught.value.message.removeprefix("Request param invalid: [query] ")


@pytest.mark.parametrize(
    ("query", "place", "instead"),
    [
        ("match status == 500", 15, "; one `=` compares"),
        ("match status != 500", 14, f"; {UNEQUAL}"),
        ("match status <> 500", 15, f"; {UNEQUAL}"),
        ("match status:>=500", 14, "; a comparison has no colon: `field >= 500`"),
        ("match status:(200 OR 404)", 14, "; each value has its field: `(field:a or field:b)`"),
        (
            "match status in (200, 404)",
            18,
            "; an interval is `in [200 299]`; single values are `(field:200 or field:404)`",
        ),
        ("match status:[200 TO 299]", 14, "expected `status in [200 299]`"),
        ("match a && b", 9, "found '&&', expected `and`"),
        ("match a || b", 10, "expected `select` after the pipe; between searches stands `or`"),
        ("level:ERROR", 1, "; a search begins with `match`: `match level:ERROR`"),
        (f"status = {'5' * 90}", 1, f"`match status = {'5' * 51}...`"),
        ("*", 1, "`match *`"),
    ],
)
def test_what_serves_in_its_place_is_named(query: str, place: int, instead: str) -> None:
    message = refusal(query)
    assert message.startswith(f"at character {place}: "), message
    assert message.endswith(instead), message


@pytest.mark.parametrize("query", ["drop table x", "INSERT into a values (1)", "match+x"])
def test_what_is_no_search_is_not_taken_for_a_search(query: str) -> None:
    assert refusal(query).endswith("`match <search> | select ...`")


@pytest.mark.parametrize(
    "query", ["match a:[200 to 299]", "match 'a:[1 TO 2]'", 'match a:"[1 TO 2]"', "match [1 TO 2]"]
)
def test_other_brackets_are_words(query: str) -> None:
    read(query)
