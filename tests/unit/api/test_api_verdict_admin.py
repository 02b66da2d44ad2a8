"""How the body of a reconcile request becomes lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api import verdict_admin
from simulator.errors import ControlError


@given(
    lines=st.lists(st.binary(max_size=12).filter(lambda line: not {10, 13} & set(line))),
    size=st.integers(1, 9),
    end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_lines_are_the_same_wherever_a_block_ends(lines: list[bytes], size: int, end: bytes):
    body = end.join(lines)
    splitter = verdict_admin._Lines()
    found = []
    for start in range(0, len(body), size):
        found += splitter.split(body[start : start + size])
    found += splitter.split(b"", last=True)
    assert found == list(enumerate(lines or [b""], 1))


def test_a_line_without_end_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verdict_admin, "_LONGEST_LINE", 8)
    splitter = verdict_admin._Lines()
    assert list(splitter.split(b"1\n2\n12345678")) == [(1, b"1"), (2, b"2")]
    with pytest.raises(ControlError, match="line 3 is longer than"):
        list(splitter.split(b"9"))
