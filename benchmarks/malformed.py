"""Malformed and ambiguous requests, and what becomes of each: refused, or forwarded in one reading.

Data only. The wire tests send every case to the data plane; ``python -m benchmarks.corpus`` sends
them to nginx as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A request as a backend server must understand it."""

    method: bytes = b"POST"
    target: bytes = b"/"
    host: bytes = b"a"
    body: bytes = b""


Outcome = int | Forwarded
"""A status the load balancer answers with by itself, or what it sends on."""

UNFINISHED: Final = 0
"""No answer and nothing sent on: more must come before this is a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Bytes of one client connection, and what comes of them in order."""

    name: str
    sent: bytes
    outcomes: Sequence[Outcome]


_HOST: Final = b"Host: a\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_HELLO: Final = Forwarded(body=b"hello")
_GET: Final = Forwarded(method=b"GET")
_NEXT: Final = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
_WAS_NEXT: Final = Forwarded(method=b"GET", target=b"/next")
_HIDDEN: Final = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
_FIVE: Final = b"5\r\nhello\r\n"
_END: Final = b"0\r\n\r\n"


def _post(headers: bytes, body: bytes = b"", method: bytes = b"POST") -> bytes:
    return method + b" / HTTP/1.1\r\n" + _HOST + headers + b"\r\n" + body


def _get(line: bytes, headers: bytes = _HOST) -> bytes:
    return line + b"\r\n" + headers + b"\r\n"


def _cases(group: str, *cases: tuple[str, bytes, *tuple[Outcome, ...]]) -> tuple[Case, ...]:
    return tuple(
        Case(name=f"{group}: {name}", sent=sent, outcomes=outcomes)
        for name, sent, *outcomes in cases
    )


def _length(value: bytes) -> bytes:
    return _post(b"Content-Length:" + value + b"\r\n", b"hello")


_LENGTHS: Final = _cases(
    "length",
    ("plain", _length(b" 5"), _HELLO),
    ("no space", _length(b"5"), _HELLO),
    ("blanks around", _length(b" \t 5 \t "), _HELLO),
    ("leading zeros", _length(b" 0005"), _HELLO),
    ("doubled and equal", _length(b" 5\r\nContent-Length: 5"), 400),
    ("doubled and different", _length(b" 5\r\nContent-Length: 6"), 400),
    ("doubled in other case", _length(b" 5\r\ncontent-LENGTH: 6"), 400),
    ("list of equal", _length(b" 5, 5"), 400),
    ("list of different", _length(b" 5, 6"), 400),
    ("plus", _length(b" +5"), 400),
    ("minus", _length(b" -5"), 400),
    ("hexadecimal", _length(b" 0x5"), 400),
    ("underscore", _length(b" 0_5"), 400),
    ("fraction", _length(b" 5.0"), 400),
    ("exponent", _length(b" 5e0"), 400),
    ("space within", _length(b" 5 5"), 400),
    ("semicolon", _length(b" 5;"), 400),
    ("quoted", _length(b' "5"'), 400),
    ("empty", _length(b""), 400),
    ("blank", _length(b"  "), 400),
    ("vertical tab after", _length(b" 5\x0b"), 400),
    ("form feed before", _length(b" \x0c5"), 400),
    ("no-break space after", _length(b" 5\xa0"), 400),
    ("other digits", _length(" \u0665".encode()), 400),
    ("over 64 bits", _length(b" 18446744073709551621"), 400),
    ("over 63 bits", _length(b" 9223372036854775813"), 400),
    ("space before colon", _post(b"Content-Length : 5\r\n", b"hello"), 400),
    ("tab before colon", _post(b"Content-Length\t: 5\r\n", b"hello"), 400),
    ("folded value", _length(b"\r\n 5"), 400),
    ("continued value", _length(b" 5\r\n 6"), 400),
    (
        "nominated by Connection",
        _post(b"Connection: Content-Length\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
    ("short body", _post(b"Content-Length: 6\r\n", b"hello"), UNFINISHED),
    ("zero, then a request", _post(b"Content-Length: 0\r\n", _NEXT), Forwarded(), _WAS_NEXT),
    ("none, then a request", _post(b"", _NEXT), Forwarded(), _WAS_NEXT),
    ("none, then a body", _post(b"", b"hello=1\r\n\r\n"), Forwarded(), 400),
    (
        "on GET",
        _get(b"GET / HTTP/1.1", _HOST + b"Content-Length: 5\r\n") + b"hello",
        Forwarded(method=b"GET", body=b"hello"),
    ),
    (
        "a request as the body",
        _post(b"Content-Length: %d\r\n" % len(_HIDDEN), _HIDDEN + _NEXT),
        Forwarded(body=_HIDDEN),
        _WAS_NEXT,
    ),
    (
        "a request behind the body",
        _post(b"Content-Length: 5\r\n", b"hello" + _NEXT),
        _HELLO,
        _WAS_NEXT,
    ),
    ("in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", _HELLO),
    ("look-alike name", _post(b"Content_Length: 99\r\nContent-Length: 5\r\n", b"hello"), _HELLO),
)


def _coding(*lines: bytes, body: bytes = _FIVE + _END) -> bytes:
    return _post(b"".join(line + b"\r\n" for line in lines), body)


_LENGTH_5: Final = b"Content-Length: 5"
_CODINGS: Final = _cases(
    "coding",
    ("plain", _coding(b"Transfer-Encoding: chunked"), _HELLO),
    ("upper case", _coding(b"TRANSFER-ENCODING: CHUNKED"), _HELLO),
    ("no space", _coding(b"Transfer-Encoding:chunked"), _HELLO),
    ("blanks around", _coding(b"Transfer-Encoding:\t chunked \t"), _HELLO),
    ("length first", _coding(_LENGTH_5, b"Transfer-Encoding: chunked"), 400),
    ("length second", _coding(b"Transfer-Encoding: chunked", _LENGTH_5), 400),
    ("length zero", _coding(b"Content-Length: 0", b"Transfer-Encoding: chunked"), 400),
    ("x before", _coding(b"Transfer-Encoding: xchunked"), 501),
    ("x before, and a length", _coding(b"Transfer-Encoding: xchunked", _LENGTH_5), 400),
    ("vertical tab before", _coding(b"Transfer-Encoding: \x0bchunked"), 501),
    ("vertical tab after", _coding(b"Transfer-Encoding: chunked\x0b"), 501),
    ("form feed after", _coding(b"Transfer-Encoding: chunked\x0c"), 501),
    ("NUL after", _coding(b"Transfer-Encoding: chunked\x00"), 400),
    ("quoted", _coding(b'Transfer-Encoding: "chunked"'), 501),
    ("parameter", _coding(b"Transfer-Encoding: chunked;q=1"), 501),
    ("comma after", _coding(b"Transfer-Encoding: chunked,"), 501),
    ("empty", _coding(b"Transfer-Encoding:"), 501),
    ("identity", _coding(b"Transfer-Encoding: identity"), 501),
    ("identity, and a length", _coding(b"Transfer-Encoding: identity", _LENGTH_5), 400),
    ("list with identity last", _coding(b"Transfer-Encoding: chunked, identity"), 501),
    ("list with identity first", _coding(b"Transfer-Encoding: identity, chunked"), 501),
    ("list with gzip", _coding(b"Transfer-Encoding: gzip, chunked"), 501),
    ("list of two chunked", _coding(b"Transfer-Encoding: chunked, chunked"), 501),
    ("doubled", _coding(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    (
        "doubled, second unknown",
        _coding(b"Transfer-Encoding: chunked", b"Transfer-Encoding: cow"),
        400,
    ),
    (
        "doubled, first unknown",
        _coding(b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked"),
        400,
    ),
    ("space before colon", _coding(b"Transfer-Encoding : chunked", _LENGTH_5), 400),
    ("tab before colon", _coding(b"Transfer-Encoding\t: chunked", _LENGTH_5), 400),
    ("space before name", _coding(b" Transfer-Encoding: chunked", _LENGTH_5), 400),
    ("NUL before name", _coding(b"\x00Transfer-Encoding: chunked", _LENGTH_5), 400),
    ("high byte in name", _coding(b"Transfer-Encoding\xa0: chunked", _LENGTH_5), 400),
    ("folded value", _coding(b"Transfer-Encoding:\r\n chunked", _LENGTH_5), 400),
    ("folded into another", _coding(b"X: 1\r\n Transfer-Encoding: chunked", _LENGTH_5), 400),
    ("behind a bare LF", _coding(b"X: 1\nTransfer-Encoding: chunked", _LENGTH_5), 400),
    ("behind a bare LF, alone", _coding(b"X: 1\nTransfer-Encoding: chunked"), _HELLO),
    ("behind a bare CR", _coding(b"X: 1\rTransfer-Encoding: chunked", _LENGTH_5), 400),
    ("behind LF CR", _coding(b"X: 1\n\rTransfer-Encoding: chunked", _LENGTH_5), 400),
    ("look-alike name", _coding(b"Transfer_Encoding: chunked", _LENGTH_5, body=b"hello"), _HELLO),
    ("prefixed name", _coding(b"X-Transfer-Encoding: chunked", _LENGTH_5, body=b"hello"), _HELLO),
    ("in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\n" + _CHUNKED + b"\r\n" + _FIVE + _END, 400),
    (
        "nominated by Connection",
        _coding(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked"),
        _HELLO,
    ),
    ("TE is no coding", _coding(b"TE: chunked", _LENGTH_5, body=b"hello"), _HELLO),
    (
        "on GET",
        _get(b"GET / HTTP/1.1", _HOST + _CHUNKED) + _FIVE + _END,
        Forwarded(method=b"GET", body=b"hello"),
    ),
    (
        "h2c beside it",
        _coding(
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
            _LENGTH_5,
            body=b"hello",
        ),
        _HELLO,
    ),
)


def _chunks(body: bytes) -> bytes:
    return _post(_CHUNKED, body)


_CHUNK_SIZES: Final = _cases(
    "chunk",
    ("two", _chunks(b"3\r\nhel\r\n2\r\nlo\r\n" + _END + _NEXT), _HELLO, _WAS_NEXT),
    ("none", _chunks(_END + _NEXT), Forwarded(), _WAS_NEXT),
    (
        "upper-case hexadecimal",
        _chunks(b"A\r\n0123456789\r\n" + _END),
        Forwarded(body=b"0123456789"),
    ),
    ("leading zeros", _chunks(b"0005\r\nhello\r\n000\r\n\r\n"), _HELLO),
    ("too many zeros", _chunks(b"0" * 40 + b"5\r\nhello\r\n" + _END), 400),
    ("0x", _chunks(b"0x5\r\nhello\r\n" + _END), 400),
    ("plus", _chunks(b"+5\r\nhello\r\n" + _END), 400),
    ("minus", _chunks(b"-5\r\nhello\r\n" + _END), 400),
    ("underscore", _chunks(b"0_5\r\nhello\r\n" + _END), 400),
    ("space before", _chunks(b" 5\r\nhello\r\n" + _END), 400),
    ("space after", _chunks(b"5 \r\nhello\r\n" + _END), _HELLO),
    ("vertical tab after", _chunks(b"5\x0b\r\nhello\r\n" + _END), 400),
    ("empty line", _chunks(b"\r\nhello\r\n" + _END), 400),
    ("not hexadecimal", _chunks(b"g\r\nhello\r\n" + _END), 400),
    ("over 64 bits", _chunks(b"10000000000000005\r\nhello\r\n" + _END), 400),
    ("minus one of 64 bits", _chunks(b"ffffffffffffffff\r\nhello\r\n" + _END), 400),
    ("over 32 bits", _chunks(b"100000005\r\nhello\r\n" + _END), UNFINISHED),
    ("bare LF after size", _chunks(b"5\nhello\r\n" + _END), _HELLO),
    ("bare CR after size", _chunks(b"5\rhello\r\n" + _END), 400),
    ("bare LF after data", _chunks(b"5\r\nhello\n" + _END), _HELLO),
    ("nothing after data", _chunks(b"5\r\nhello" + _END), 400),
    ("data too long", _chunks(b"4\r\nhello\r\n" + _END), 400),
    ("data too short", _chunks(b"6\r\nhello\r\n" + _END), Forwarded(body=b"hello\r")),
    ("CR CR LF after data", _chunks(b"5\r\nhello\r\r\n" + _END), 400),
    ("extension", _chunks(b"5;a\r\nhello\r\n0;b=c\r\n\r\n"), _HELLO),
    ("extension without name", _chunks(b"5;\r\nhello\r\n" + _END), _HELLO),
    ("extension after a blank", _chunks(b"5 ; a=b\r\nhello\r\n" + _END), _HELLO),
    ("quoted extension", _chunks(b'5;a="b;c"\r\nhello\r\n' + _END), _HELLO),
    ("extension without semicolon", _chunks(b"5 a\r\nhello\r\n" + _END), 400),
    ("extension with NUL", _chunks(b"5;\x00\r\nhello\r\n" + _END), 400),
    ("extension with bare CR", _chunks(b"5;a\rb\r\nhello\r\n" + _END), 400),
    ("extension with bare LF", _chunks(b"5;a\nhello\r\n" + _END), _HELLO),
    ("CR LF inside quotes", _chunks(b'5;a="\r\nhello\r\n0\r\n\r\n' + _NEXT), _HELLO, _WAS_NEXT),
    ("a request in an extension", _chunks(b"5;\nhello\r\n" + _END + _NEXT), _HELLO, _WAS_NEXT),
    ("a huge extension", _chunks(b"5;" + b"x" * 9000), 400),
    ("last chunk missing", _chunks(_FIVE), UNFINISHED),
    ("last line end missing", _chunks(_FIVE + b"0\r\n"), UNFINISHED),
    ("last size only", _chunks(_FIVE + b"0"), UNFINISHED),
    ("bare LFs at the end", _chunks(_FIVE + b"0\n\n" + _NEXT), _HELLO, _WAS_NEXT),
    ("trailer", _chunks(_FIVE + b"0\r\nX: 1\r\n\r\n" + _NEXT), _HELLO, _WAS_NEXT),
    (
        "trailer that frames",
        _chunks(_FIVE + b"0\r\nContent-Length: 40\r\n" + _CHUNKED + b"\r\n" + _NEXT),
        _HELLO,
        _WAS_NEXT,
    ),
    (
        "trailer that routes",
        _chunks(_FIVE + b"0\r\nHost: evil\r\nX-Forwarded-For: 1\r\n\r\n"),
        _HELLO,
    ),
    ("trailer without colon", _chunks(_FIVE + b"0\r\nGET /admin HTTP/1.1\r\n\r\n"), 400),
    ("trailer with blank before colon", _chunks(_FIVE + b"0\r\nX : 1\r\n\r\n"), 400),
    ("folded trailer", _chunks(_FIVE + b"0\r\nX: 1\r\n 2\r\n\r\n"), 400),
    ("trailer with bare CR", _chunks(_FIVE + b"0\r\nX: 1\rY: 2\r\n\r\n"), 400),
    ("trailer too long", _chunks(_FIVE + b"0\r\nX: " + b"x" * 9000 + b"\r\n\r\n"), 400),
    ("a request behind it", _chunks(_FIVE + _END + _NEXT), _HELLO, _WAS_NEXT),
    (
        "a request inside it",
        _chunks(b"%x\r\n%s\r\n" % (len(_HIDDEN), _HIDDEN) + _END),
        Forwarded(body=_HIDDEN),
    ),
)


def _header(line: bytes) -> bytes:
    return _get(b"GET / HTTP/1.1", _HOST + line + b"\r\n")


_HEADERS: Final = _cases(
    "header",
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\nX: 1\n\n" + _NEXT, _GET, _WAS_NEXT),
    ("bare LF ends the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n" + _NEXT, _GET, _WAS_NEXT),
    ("bare CR as a line end", b"GET / HTTP/1.1\rHost: a\r\r", 400),
    ("bare CR in a value", _header(b"X: 1\rY: 2"), 400),
    ("CR CR LF", _header(b"X: 1\r"), 400),
    ("NUL in a value", _header(b"X: \x00"), 400),
    ("NUL in a name", _header(b"X\x00: 1"), 400),
    ("folded with a space", _header(b"X: 1\r\n 2"), 400),
    ("folded with a tab", _header(b"X: 1\r\n\t2"), 400),
    ("first line folded", _get(b"GET / HTTP/1.1", b" X: 1\r\n" + _HOST), 400),
    ("space before colon", _header(b"X : 1"), 400),
    ("tab before colon", _header(b"X\t: 1"), 400),
    ("empty name", _header(b": 1"), 400),
    ("no colon", _header(b"X"), 400),
    ("space in name", _header(b"X Y: 1"), 400),
    ("parenthesis in name", _header(b"X(: 1"), 400),
    ("high byte in name", _header(b"X\xe4: 1"), 400),
    ("control byte in name", _header(b"X\x01: 1"), 400),
    ("empty value", _header(b"X:"), _GET),
    ("high bytes in a value", _header(b"X: \xe4\xf6"), _GET),
    ("a request in a value", _header(b"X: GET /admin HTTP/1.1"), _GET),
    ("many", _header(b"\r\n".join(b"X-%d: 1" % n for n in range(90))), _GET),
    ("too large", _header(b"X: " + b"x" * 40_000), 400),
    (
        "too large in sum",
        _header(b"\r\n".join(b"X-%d: %s" % (n, b"x" * 500) for n in range(80))),
        400,
    ),
    ("empty lines before", b"\r\n\r\n\n" + _NEXT, _WAS_NEXT),
    ("a space before", b" " + _NEXT, 400),
    (
        "hop-by-hop nominated",
        _get(b"GET / HTTP/1.1", b"Connection: Host, X\r\nX: 1\r\n" + _HOST),
        _GET,
    ),
    ("Expect that is unknown", _header(b"Expect: a miracle"), _GET),
    (
        "Expect with its body at once",
        _post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"),
        _HELLO,
    ),
)

_LINES: Final = _cases(
    "line",
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("version 0.9", _get(b"GET / HTTP/0.9"), 400),
    ("version 1.10", _get(b"GET / HTTP/1.10"), _GET),
    ("version 1.2", _get(b"GET / HTTP/1.2"), _GET),
    ("version 1.0", _get(b"GET / HTTP/1.0"), _GET),
    ("version 01.1", _get(b"GET / HTTP/01.1"), 400),
    ("version 2.0", _get(b"GET / HTTP/2.0"), 505),
    ("version 11.1", _get(b"GET / HTTP/11.1"), 505),
    ("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("version without minor", _get(b"GET / HTTP/1"), 400),
    ("version with three parts", _get(b"GET / HTTP/1.1.1"), 400),
    ("version in lower case", _get(b"GET / http/1.1"), 400),
    ("version of another protocol", _get(b"GET / HTTPS/1.1"), 400),
    ("something behind the version", _get(b"GET / HTTP/1.1 x"), 400),
    ("double spaces", _get(b"GET  /  HTTP/1.1 "), _GET),
    ("tabs between", _get(b"GET\t/\tHTTP/1.1"), 400),
    ("vertical tab between", _get(b"GET /\x0bHTTP/1.1"), 400),
    ("no target", _get(b"GET HTTP/1.1"), 400),
    ("no method", _get(b"/ HTTP/1.1"), 400),
    ("lower-case method", _get(b"get / HTTP/1.1"), 400),
    ("digit in method", _get(b"G3T / HTTP/1.1"), 400),
    ("extension method", _get(b"PROPFIND / HTTP/1.1"), Forwarded(method=b"PROPFIND")),
    ("TRACE", _get(b"TRACE / HTTP/1.1"), 405),
    ("CONNECT with a path", _get(b"CONNECT / HTTP/1.1"), 405),
    ("a request behind a TRACE", _get(b"TRACE / HTTP/1.1") + _NEXT, 405),
    ("a request behind a CONNECT", _get(b"CONNECT / HTTP/1.1") + _NEXT, 405),
    ("TLS behind a CONNECT", _get(b"CONNECT / HTTP/1.1") + b"\x16\x03\x01\0\0\x01", 405),
    ("TLS behind a CONNECT to an authority", _get(b"CONNECT a:80 HTTP/1.1") + b"\x16\x03", 400),
    ("CONNECT with a body", _post(b"Content-Length: 5\r\n", b"hello", b"CONNECT"), 405),
    ("CONNECT with a bad chunk", _post(_CHUNKED, b"zz\r\n", b"CONNECT"), 405),
    (
        "CONNECT with two lengths",
        _post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello", b"CONNECT"),
        400,
    ),
    ("CONNECT with a malformed header", _get(b"CONNECT / HTTP/1.1", b"X Y: 1\r\n" + _HOST), 400),
    ("too long", _get(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
    ("too long, unended", b"GET /" + b"a" * 9000, 414),
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("unended", b"GET / HTTP/1.1", UNFINISHED),
)


def _target(target: bytes, host: bytes = b"a") -> bytes:
    return _get(b"GET " + target + b" HTTP/1.1", b"Host: " + host + b"\r\n")


_TARGETS: Final = _cases(
    "target",
    ("absolute", _target(b"http://a/b?c"), Forwarded(method=b"GET", target=b"/b?c")),
    (
        "absolute for another host",
        _target(b"http://b/c"),
        Forwarded(method=b"GET", target=b"/c", host=b"b"),
    ),
    ("absolute without path", _target(b"http://b"), Forwarded(method=b"GET", host=b"b")),
    (
        "absolute with query only",
        _target(b"http://b?c"),
        Forwarded(method=b"GET", target=b"/?c", host=b"b"),
    ),
    (
        "absolute with fragment",
        _target(b"http://b/c#d"),
        Forwarded(method=b"GET", target=b"/c", host=b"b"),
    ),
    ("absolute with port", _target(b"http://b:81/"), Forwarded(method=b"GET", host=b"b:81")),
    ("absolute in upper case", _target(b"HTTP://B/"), Forwarded(method=b"GET", host=b"B")),
    ("absolute with user", _target(b"http://b@a/"), 400),
    ("absolute without host", _target(b"http:///c"), 400),
    ("absolute with odd port", _target(b"http://b:8x/"), 400),
    ("absolute with backslash", _target(b"http://b\\a/"), 400),
    ("absolute without slashes", _target(b"http:/c"), 400),
    ("authority", _target(b"a:80"), 400),
    ("authority with CONNECT", _get(b"CONNECT a:80 HTTP/1.1"), 400),
    ("asterisk", _get(b"OPTIONS * HTTP/1.1"), 400),
    ("relative", _target(b"b"), 400),
    ("query only", _target(b"?b"), 400),
    ("fragment", _target(b"/b#c"), Forwarded(method=b"GET", target=b"/b#c")),
    ("two slashes", _target(b"//b/c"), Forwarded(method=b"GET", target=b"//b/c")),
    ("dots", _target(b"/b/../c"), Forwarded(method=b"GET", target=b"/b/../c")),
    ("backslash", _target(b"/b\\c"), Forwarded(method=b"GET", target=b"/b\\c")),
    ("quotes", _target(b'/"<>^`{|}'), Forwarded(method=b"GET", target=b'/"<>^`{|}')),
    ("escapes", _target(b"/%0d%0a%2f?%zz"), Forwarded(method=b"GET", target=b"/%0d%0a%2f?%zz")),
    ("NUL as an escape", _target(b"/%00"), 400),
    ("broken escape", _target(b"/%zz"), 400),
    ("escape cut off", _target(b"/%a"), 400),
    ("dots above the root", _target(b"/b/../../c"), 400),
    ("escaped dots above the root", _target(b"/%2e%2e/c"), 400),
    ("absolute above the root", _target(b"http://a/../c"), 400),
    ("dots in the query", _target(b"/?/../.."), Forwarded(method=b"GET", target=b"/?/../..")),
    ("space", _target(b"/b c"), 400),
    ("tab", _target(b"/b\tc"), 400),
    ("NUL", _target(b"/b\x00c"), 400),
    ("bare CR", _target(b"/b\rc"), 400),
    ("control byte", _target(b"/b\x01c"), 400),
    ("delete byte", _target(b"/b\x7fc"), 400),
    ("high byte", _target(b"/b\xe4"), 400),
    ("a version inside", _target(b"/b HTTP/1.1 HTTP/1.1"), 400),
)

_HOSTS: Final = _cases(
    "host",
    ("none", _get(b"GET / HTTP/1.1", b""), 400),
    ("doubled", _get(b"GET / HTTP/1.1", b"Host: a\r\nHost: b\r\n"), 400),
    ("doubled and equal", _get(b"GET / HTTP/1.1", b"Host: a\r\nHost: a\r\n"), 400),
    (
        "doubled beside an absolute target",
        _get(b"GET http://a/ HTTP/1.1", b"Host: a\r\nhost: b\r\n"),
        400,
    ),
    ("none beside an absolute target", _get(b"GET http://a/ HTTP/1.1", b""), 400),
    ("empty", _target(b"/", b""), 400),
    ("space", _target(b"/", b"a b"), 400),
    ("tab", _target(b"/", b"a\tb"), 400),
    ("slash", _target(b"/", b"a/b"), 400),
    ("at", _target(b"/", b"b@a"), 400),
    ("hash", _target(b"/", b"a#b"), 400),
    ("two ports", _target(b"/", b"a:80:81"), 400),
    ("odd port", _target(b"/", b"a:8x"), 400),
    ("vertical tab after", _target(b"/", b"a\x0b"), 400),
    ("high byte", _target(b"/", b"\xe4"), 400),
    ("NUL", _target(b"/", b"a\x00b"), 400),
    ("IPv6", _target(b"/", b"[::1]:80"), Forwarded(method=b"GET", host=b"[::1]:80")),
    ("IPv6 unended", _target(b"/", b"[::1"), 400),
    ("space before colon", _get(b"GET / HTTP/1.1", b"Host : a\r\n"), 400),
    ("second behind a bare LF", _target(b"/", b"a\nHost: b"), 400),
    ("second behind a fold", _target(b"/", b"a\r\n Host: b"), 400),
    ("doubled in HTTP/1.0", _get(b"GET / HTTP/1.0", b"Host: a\r\nHost: b\r\n"), 400),
)

CASES: Final = (
    *_LENGTHS,
    *_CODINGS,
    *_CHUNK_SIZES,
    *_HEADERS,
    *_LINES,
    *_TARGETS,
    *_HOSTS,
)
