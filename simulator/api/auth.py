"""bce-auth-v1: rebuilds what the client signed and compares.

Source: doc SDK signers (Go 0.9.273, Python 0.9.79) and captures of what they send; limits of
validity are assumed where a docstring says so. Pure but for the wall clock it is given.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from simulator.clock import wall_time
from simulator.errors import ControlError, invalid
from simulator.model import AuthMode

MAX_AHEAD_S: Final = 15 * 60
"""How far in the future a signature may be. Source: assumed."""

_log = logging.getLogger(__name__)
_SCHEME: Final = "bce-auth-v1"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_IMPLIED: Final = frozenset({"host", "content-length", "content-type", "content-md5"})
_KEPT: Final = "-._~"
_SHOWN: Final = 200
"""Characters of a target in the log."""

Headers = Sequence[tuple[str, str]]
"""Name and value of each header of a request, names in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The parts of an Authorization header."""

    access_key: str
    timestamp: str
    expire_s: int
    signed_headers: tuple[str, ...]
    """Lower case, in the order given; empty when the client leaves them implied."""
    signature: str

    @property
    def prefix(self) -> str:
        """What the signing key is derived from."""
        return f"{_SCHEME}/{self.access_key}/{self.timestamp}/{self.expire_s}"


class Authenticator:
    """Verifies signatures of one region's accounts.

    Args:
        credentials: secret key by access key.
        mode: what becomes of a request whose signature does not hold.
        now: Unix seconds by which validity is judged: SDKs sign with the machine's time.
    """

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        mode: AuthMode = AuthMode.ENFORCE,
        now: Callable[[], float] = wall_time,
    ) -> None:
        self.mode = mode
        self._credentials = dict(credentials)
        self._now = now

    def check(self, method: str, target: str, headers: Headers) -> None:
        """Let a request pass or refuse it, as the mode says.

        Args:
            method: as received.
            target: path and query as they were on the wire.
            headers: as received.

        Raises:
            ControlError: Unauthorized, in mode ``enforce`` only.
        """
        if self.mode is AuthMode.OFF:
            return
        try:
            self.verify(method, target, headers)
        except ControlError as error:
            if self.mode is AuthMode.ENFORCE:
                raise
            shown = target[:_SHOWN]
            _log.warning("served in spite of its signature: %s %s: %s", method, shown, error)

    def verify(self, method: str, target: str, headers: Headers) -> str:
        """The access key that signed the request.

        Raises:
            ControlError: Unauthorized for a header that is missing or malformed, an unknown key, a
                signature that is expired, too far ahead or wrong; InvalidParameter for an
                ``x-bce-date`` that is no date.
        """
        authorization = parse_authorization(_header(headers, "authorization"))
        secret_key = self._credentials.get(authorization.access_key)
        if secret_key is None:
            raise unauthorized("the access key is unknown; `blbsim env` prints one that is known")
        signed_at = _parse_time(authorization.timestamp)
        if signed_at is None:
            raise unauthorized(f"the timestamp {authorization.timestamp[:40]!r} is not UTC")
        now = self._now()
        if now > signed_at + authorization.expire_s:
            raise unauthorized("the signature has expired")
        if signed_at > now + MAX_AHEAD_S:
            raise unauthorized("the signature is from the future")
        date = _header(headers, "x-bce-date")
        if date and _parse_time(date) is None:
            raise invalid("x-bce-date", "expected a time such as 2020-01-10T13:23:34Z", date)
        sent = authorization.signature.encode("utf-8", "surrogateescape")
        signed = product(
            _signed_targets(target), _signed_sets(authorization.signed_headers, headers)
        )
        for spelling, names in signed:
            request = canonical_request(method, spelling, headers, names)
            expected = sign(secret_key, authorization.prefix, request)
            if hmac.compare_digest(expected.encode(), sent):
                return authorization.access_key
        raise unauthorized(
            "the signature does not match: it was made with another secret key, or the request was"
            " changed on its way"
        )


def unauthorized(detail: str) -> ControlError:
    """The one error the service has for authentication.

    Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r; the detail is ours.
    """
    return ControlError("Unauthorized", 401, f"Check unauthorized: invalid ak/sk ({detail})")


def parse_authorization(header: str | None) -> Authorization:
    """The parts of an Authorization header.

    Raises:
        ControlError: Unauthorized when it is missing or not bce-auth-v1.
    """
    if not header:
        raise unauthorized("the Authorization header is missing; `blbsim up --auth off` wants none")
    parts = header.split("/", 5)
    if len(parts) != 6 or parts[0] != _SCHEME:
        raise unauthorized("the Authorization header is not bce-auth-v1")
    _, access_key, timestamp, expire, names, signature = parts
    if not expire.isascii() or not expire.isdigit() or len(expire) > 9:
        raise unauthorized("the validity is not a number of seconds")
    # "007" would be signed as such; rebuilding the prefix must not lose it.
    if str(int(expire)) != expire:
        raise unauthorized("the validity is not a plain number of seconds")
    return Authorization(
        access_key=access_key,
        timestamp=timestamp,
        expire_s=int(expire),
        signed_headers=tuple(name.strip().lower() for name in names.split(";") if name.strip()),
        signature=signature,
    )


def canonical_request(method: str, target: str, headers: Headers, names: Iterable[str]) -> str:
    """What is signed: method, path, query and the headers ``names``, one part a line."""
    path, _, query = target.partition("?")
    wanted = frozenset(names)
    lines = sorted(
        f"{_encode(name.lower())}:{_encode(value.strip())}"
        for name, value in headers
        if name.lower() in wanted and value.strip()
    )
    canonical_path = _encode_bytes(unquote_to_bytes(path), "/") or "/"
    return "\n".join((method.upper(), canonical_path, canonical_query(query), "\n".join(lines)))


def canonical_query(query: str) -> str:
    """The query in the one spelling that is signed: a bare key gets its ``=``, a ``+`` is a blank.

    Source: as ``parse_query`` of the log service.
    """
    pairs: list[str] = []
    for piece in query.split("&"):
        name, _, value = piece.replace("+", " ").partition("=")
        if not piece or name.lower() == "authorization":
            continue
        pairs.append(f"{_recode(name)}={_recode(value)}")
    return "&".join(sorted(pairs))


def sign(secret_key: str, prefix: str, request: str) -> str:
    """The signature of a canonical request, lower-case hex."""
    key = hmac.new(secret_key.encode(), prefix.encode(), hashlib.sha256).hexdigest()
    return hmac.new(key.encode(), request.encode(), hashlib.sha256).hexdigest()


def _signed_targets(target: str) -> list[str]:
    """How the target may have been spelled where it was signed, likeliest first.

    ListLogShipper of the generated SDKs for Go and Java has a parameter without name and value.
    It is signed as ``=``, but sent as nothing.

    Source: observed with the builder and signer for Go (baiducloud-go-sdk, 2026-08); doc those
    for Java (baiducloud-java-sdk).
    """
    path, _, query = target.partition("?")
    nameless = [f"{path}?=&{query}"] if "" in query.split("&") else []
    return [target, *nameless]


def _signed_sets(listed: Sequence[str], headers: Headers) -> list[frozenset[str]]:
    """Which headers may have been signed, likeliest first.

    Python's SDK leaves the list empty, or signs every ``x-bce-*`` header beside those listed.
    """
    extensions = frozenset(n.lower() for n, _ in headers if n.lower().startswith("x-bce-"))
    if not listed:
        return [_IMPLIED | extensions]
    exact = frozenset(listed)
    if "host" not in exact:
        raise unauthorized("the host header must be signed")
    return [exact] if extensions <= exact else [exact, exact | extensions]


def _header(headers: Headers, wanted: str) -> str | None:
    return next((value for name, value in headers if name.lower() == wanted), None)


def _parse_time(text: str) -> float | None:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _recode(text: str) -> str:
    return _encode_bytes(unquote_to_bytes(text), "")


def _encode(text: str) -> str:
    return quote(text, safe=_KEPT, errors="surrogateescape")


def _encode_bytes(raw: bytes, also_kept: str) -> str:
    return quote(raw, safe=_KEPT + also_kept)
