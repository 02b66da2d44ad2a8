"""The session cookie of a listener, read from and written into encoded heads. No I/O.

Source: doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb: an inserted cookie names the backend
server and expires; a rewritten one is the backend server's own and has no expiry of ours. Path,
HttpOnly and the form of a rewritten value are assumed (blb-api C9).
"""

import re
from functools import lru_cache
from typing import Final

from simulator.model import KeepSession, KeepSessionType
from simulator.routing import TOKEN_DIGITS

_COOKIE_LINE: Final = re.compile(rb"^(cookie:)([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class SessionCookie:
    """What one kind of persistence does to heads."""

    __slots__ = ("_insert", "_set_cookie", "_settings", "_tagged", "_token")

    def __init__(self, settings: KeepSession) -> None:
        self._settings = settings
        self._insert = settings.type is KeepSessionType.INSERT
        name = re.escape(settings.cookie_name.encode())
        pair = rb"(?:^|;)[ \t]*" + name + rb"[ \t]*="
        token = rb"(?P<token>[0-9a-f]{%d})(?=[ \t]*(?:;|$))" % TOKEN_DIGITS
        self._tagged = re.compile(rb"(" + pair + rb"[^;]*)\|" + token)
        self._token = re.compile(pair + rb"[ \t]*" + token) if self._insert else self._tagged
        self._set_cookie = re.compile(
            rb"^(?i:set-cookie):[ \t]*" + name + rb"[ \t]*=[^;\r\n]*", re.MULTILINE
        )

    def find_token(self, block: bytes) -> bytes:
        """The token that the client's header lines hold; empty if none."""
        for line in _COOKIE_LINE.finditer(block):
            found = self._token.search(line[2])
            if found is not None:
                return found["token"]
        return b""

    def encode_for_backend(self, head: bytes) -> bytes:
        """A request head as the backend server may see it: what we added to its cookie is gone."""
        if self._insert:
            return head
        return _COOKIE_LINE.sub(
            lambda line: line[1] + self._tagged.sub(lambda pair: pair[1], line[2]), head
        )

    def encode_for_client(self, head: bytes, token: bytes) -> bytes:
        """A response head that binds the client to the server with ``token``."""
        if self._insert:
            return b"%sSet-Cookie: %s=%s; Path=/; HttpOnly; Max-Age=%d\r\n\r\n" % (
                head[:-2],
                self._settings.cookie_name.encode(),
                token,
                self._settings.lifetime_s,
            )
        return self._set_cookie.sub(lambda line: line[0].rstrip(b" \t") + b"|" + token, head)


@lru_cache(maxsize=256)
def session_cookie(settings: KeepSession) -> SessionCookie:
    """What ``settings`` do to heads, compiled once."""
    return SessionCookie(settings)
