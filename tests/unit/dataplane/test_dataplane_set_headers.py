"""Headers that a listener sets, in encoded heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dataplane.http1_set_headers import HeaderSetter
from simulator.model import HEADER_VARIABLES, HeaderToSet, parse_header_value

VARIABLES = {name: b"<%s>" % name.encode() for name in HEADER_VARIABLES}


def setter(**headers: str) -> HeaderSetter:
    return HeaderSetter(
        tuple(
            HeaderToSet(name=name, parts=parse_header_value(value))
            for name, value in headers.items()
        )
    )


def test_every_variable_has_its_value():
    value = " ".join(f"${name} ${{{name}}}x" for name in HEADER_VARIABLES)
    head = setter(A=value).encode_for_backend(b"GET / HTTP/1.1\r\n\r\n", VARIABLES)
    shown = b" ".join(b"<%s> <%s>x" % (n.encode(), n.encode()) for n in HEADER_VARIABLES)
    assert head == b"GET / HTTP/1.1\r\nA: %s\r\n\r\n" % shown


@pytest.mark.parametrize("value", ["$", "a$", "$$host", "$hosts", "$HOST", "${host", "$1", "${}"])
def test_what_is_no_variable_is_refused(value: str):
    with pytest.raises(ValueError, match="expected one of"):
        parse_header_value(value)


def test_only_whole_names_at_the_start_of_a_line_are_replaced():
    block = b"GET /A: HTTP/1.1\r\nXA: A: 1\r\nA-B: 2\r\na: 3\r\nA:4\r\nB: x\r\n\r\n"
    assert setter(A="5").encode_for_backend(block, VARIABLES) == (
        b"GET /A: HTTP/1.1\r\nA: 5\r\nXA: A: 1\r\nA-B: 2\r\nB: x\r\n\r\n"
    )


@given(
    st.lists(st.tuples(st.sampled_from(["A", "b", "Host"]), st.sampled_from(["", "x", " A: y"])))
)
def test_a_header_that_is_set_is_there_once_and_nothing_else_moves(lines):
    block = b"".join(f"{name}:{value}\r\n".encode() for name, value in lines)
    head = b"GET / HTTP/1.1\r\n%s\r\n" % block
    kept = b"".join(f"{name}:{value}\r\n".encode() for name, value in lines if name != "A")
    assert setter(a="1").encode_for_backend(head, VARIABLES) == (
        b"GET / HTTP/1.1\r\na: 1\r\n%s\r\n" % kept
    )
