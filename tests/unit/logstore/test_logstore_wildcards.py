"""Names that are compared with patterns."""

import fnmatch

from hypothesis import given
from hypothesis import strategies as st

from simulator.logstore import compile_pattern


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_stands_for_any_text(pattern: str, name: str) -> None:
    assert compile_pattern(pattern)(name) is fnmatch.fnmatchcase(name, pattern)


def test_nothing_else_is_a_wildcard() -> None:
    for pattern in ("a?b", "a[b]c", "a\nb", "a.b"):
        assert compile_pattern(pattern)(pattern)
        assert not compile_pattern(pattern)("axb")


def test_the_longest_pattern_is_read_at_once() -> None:
    many = 250_000
    assert compile_pattern("*a" * many)("a" * many)
    assert not compile_pattern("*a" * many)("a" * (many - 1))
