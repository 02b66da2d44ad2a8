import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import ProtocolError
from simulator.workload.framing import MAX_HEAD_BYTES, BodyDiscard, Framing, find_head

CHUNKED = Framing(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked")


def test_the_head_says_how_the_body_ends() -> None:
    framing = Framing(
        b"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH : 12\r\n"
        b"Expect: 100-Continue\r\nConnection: Keep-Alive, x"
    )
    assert framing.content_length == 12
    assert framing.expects_continue
    assert framing.keep_alive
    assert not framing.close
    assert not framing.chunked


def test_a_header_value_that_looks_like_a_header_is_none() -> None:
    framing = Framing(b"GET / HTTP/1.1\r\nX: content-length: 12\r\nY-Connection: close")
    assert framing.content_length is None
    assert not framing.close


def test_a_content_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Framing(b"POST / HTTP/1.1\r\nContent-Length: -1")


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    st.lists(st.integers(min_value=1, max_value=20), min_size=1),
    st.booleans(),
)
def test_a_chunked_body_ends_where_it_ends_however_it_is_cut(
    chunks: list[bytes], cuts: list[int], trailer: bool
) -> None:
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    body += b"0\r\n" + (b"X-Sum: 1\r\n" if trailer else b"") + b"\r\n"
    data = body + b"GET /next"
    discard = BodyDiscard(CHUNKED, until_close=False)
    position = turn = 0
    while not discard.done:
        piece = data[position : position + cuts[turn % len(cuts)]]
        position += discard.feed(piece)
        turn += 1
    assert position == len(body)


@pytest.mark.parametrize("body", [b"zz\r\n", b"\r\n", b"x" * 9000])
def test_chunks_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        BodyDiscard(CHUNKED, until_close=False).feed(body)


def test_an_empty_body_takes_nothing_whatever_its_head_says() -> None:
    framing = Framing(b"HTTP/1.1 200 OK\r\nContent-Length: 5")
    body = BodyDiscard(framing, until_close=True, empty=True)
    assert body.done
    assert body.feed(b"HTTP/1.1 200 OK") == 0
    assert body.done


def test_a_head_that_does_not_end_is_refused() -> None:
    assert find_head(b"GET / HTTP/1.1\r\n") == -1
    with pytest.raises(ProtocolError):
        find_head(b"x" * (MAX_HEAD_BYTES + 1))
