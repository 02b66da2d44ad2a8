"""Session cookies in encoded heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dataplane.http1_cookies import SessionCookie
from simulator.model import KeepSession, KeepSessionType

TOKEN = b"0123456789abcdef"
INSERT = SessionCookie(KeepSession(lifetime_s=60))
REWRITE = SessionCookie(KeepSession(type=KeepSessionType.REWRITE, cookie_name="JSESSIONID"))
RESPONSE = b"HTTP/1.1 200 OK\r\nA: b\r\n%s\r\n"


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"Cookie: BLB_SESSION=%s\r\n", True),
        (b"Host: a\r\ncookie:a=b;BLB_SESSION=%s;c=d\r\n", True),
        (b"Cookie: a=b\r\nCookie:  c=d ; BLB_SESSION = %s \r\n", True),
        (b"Cookie: blb_session=%s\r\n", False),
        (b"Cookie: XBLB_SESSION=%s\r\n", False),
        (b"Cookie: a=BLB_SESSION=%s\r\n", False),
        (b"Cookie: BLB_SESSION=x%s\r\n", False),
        (b"Cookie: BLB_SESSION=%sx\r\n", False),
        (b"X-Cookie: BLB_SESSION=%s\r\n", False),
        (b"X: y\r\n", False),
    ],
)
def test_an_inserted_cookie_is_found(block, found):
    block = block.replace(b"%s", TOKEN)
    assert INSERT.find_token(block) == (TOKEN if found else b"")
    assert INSERT.encode_for_backend(block) == block


@pytest.mark.parametrize(
    ("cookie", "sent_on", "found"),
    [
        (b"JSESSIONID=abc|%s", b"JSESSIONID=abc", True),
        (b'a=b; JSESSIONID="x y"|%s ; c=d', b'a=b; JSESSIONID="x y" ; c=d', True),
        (b"JSESSIONID=|%s", b"JSESSIONID=", True),
        (b"JSESSIONID=a|b|%s", b"JSESSIONID=a|b", True),
        (b"JSESSIONID=%s|%s", b"JSESSIONID=%s", True),
        (b"JSESSIONID=abc", b"JSESSIONID=abc", False),
        (b"JSESSIONID=abc|short", b"JSESSIONID=abc|short", False),
        (b"jsessionid=abc|%s", b"jsessionid=abc|%s", False),
        (b"OTHER=abc|%s", b"OTHER=abc|%s", False),
    ],
)
def test_what_was_added_to_a_cookie_is_taken_off_again(cookie, sent_on, found):
    line = b"Host: a\r\nCOOKIE: %s\r\nX: JSESSIONID=abc|%s\r\n"
    received, expected = (
        (line % (part.replace(b"%s", TOKEN), TOKEN)) for part in (cookie, sent_on)
    )
    assert REWRITE.find_token(received) == (TOKEN if found else b"")
    assert REWRITE.encode_for_backend(received) == expected


def test_a_cookie_is_inserted_with_its_lifetime():
    assert INSERT.encode_for_client(RESPONSE % b"", TOKEN) == RESPONSE % (
        b"Set-Cookie: BLB_SESSION=" + TOKEN + b"; Path=/; HttpOnly; Max-Age=60\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"Set-Cookie: JSESSIONID=abc\r\n", b"Set-Cookie: JSESSIONID=abc|%s\r\n"),
        (
            b"set-cookie:JSESSIONID=abc ; Path=/\r\n",
            b"set-cookie:JSESSIONID=abc|%s; Path=/\r\n",
        ),
        (
            b"Set-Cookie: x=1\r\nSet-Cookie: JSESSIONID=a=b; HttpOnly\r\n",
            b"Set-Cookie: x=1\r\nSet-Cookie: JSESSIONID=a=b|%s; HttpOnly\r\n",
        ),
        (b"Set-Cookie: jsessionid=abc\r\n", b"Set-Cookie: jsessionid=abc\r\n"),
        (b"X-Set-Cookie: JSESSIONID=abc\r\n", b"X-Set-Cookie: JSESSIONID=abc\r\n"),
        (b"", b""),
    ],
)
def test_only_the_backends_own_cookie_is_rewritten(lines, expected):
    made = REWRITE.encode_for_client(RESPONSE % lines, TOKEN)
    assert made == RESPONSE % expected.replace(b"%s", TOKEN)


VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";"), max_size=40
)


@given(VALUES, st.sampled_from([KeepSessionType.INSERT, KeepSessionType.REWRITE]))
def test_what_a_client_is_given_comes_back_as_what_the_backend_gave(value, kind):
    cookie = SessionCookie(KeepSession(type=kind, cookie_name="a.b+c"))
    given_ = cookie.encode_for_client(
        RESPONSE % b"Set-Cookie: a.b+c=%s; Path=/\r\n" % value.encode(), TOKEN
    )
    lines = [line for line in given_.split(b"\r\n") if line.startswith(b"Set-Cookie: ")]
    kept = lines[-1].removeprefix(b"Set-Cookie: ").partition(b";")[0]
    head = b"GET / HTTP/1.1\r\nCookie: " + kept + b"\r\n\r\n"
    assert cookie.find_token(head) == TOKEN
    if kind is KeepSessionType.REWRITE:
        assert cookie.encode_for_backend(head) == (
            b"GET / HTTP/1.1\r\nCookie: a.b+c=" + value.encode() + b"\r\n\r\n"
        )
