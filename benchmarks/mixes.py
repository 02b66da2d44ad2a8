"""What is sent and what comes back: the same bytes for every contender and load generator."""

from dataclasses import dataclass, replace
from typing import Final

_HEADERS: Final = {
    "Host": "shop.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept": "*/*",
    "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Referer": "http://shop.example.com/list",
    "Cookie": "session=8f14e45fceea167a; theme=dark",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "X-Requested-With": "XMLHttpRequest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """One kind of request."""

    name: str
    method: str
    path: str
    response_bytes: int
    body_bytes: int = 0
    keep_alive: bool = True
    tls: bool = False
    trace_id: bool = False
    """A header that differs in every request."""

    @property
    def scheme(self) -> str:
        """Of its URL."""
        return "https" if self.tls else "http"

    def headers(self) -> dict[str, str]:
        """The ten, and what the mix adds."""
        return _HEADERS if self.keep_alive else {**_HEADERS, "Connection": "close"}

    def request(self, number: int) -> bytes:
        """The whole request; ``number`` tells one from the next."""
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers().items()]
        if self.trace_id:
            lines.append(f"X-Request-Id: {number}")
        if self.body_bytes:
            lines.append(f"Content-Length: {self.body_bytes}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"b" * self.body_bytes

    def lua(self) -> str:
        """The script that makes wrk send the same."""
        lines = [f'wrk.method = "{self.method}"']
        lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers().items()]
        if self.body_bytes:
            lines.append(f'wrk.body = string.rep("b", {self.body_bytes})')
        if self.trace_id:
            lines.append(
                "local n = 0\nrequest = function()\n  n = n + 1\n"
                '  wrk.headers["X-Request-Id"] = n\n  return wrk.format()\nend'
            )
        return "\n".join(lines) + "\n"


_GET: Final = Mix(name="GET, 1 kB back", method="GET", path="/1k", response_bytes=1000)

MIXES: Final = (
    _GET,
    replace(_GET, name="GET, a header that always differs", trace_id=True),
    Mix(
        name="POST 10 kB, 100 kB back",
        method="POST",
        path="/100k",
        body_bytes=10_000,
        response_bytes=100_000,
    ),
    replace(_GET, name="GET over HTTPS", tls=True),
    replace(_GET, name="GET, a connection each", keep_alive=False),
    replace(_GET, name="GET over HTTPS, a connection each", keep_alive=False, tls=True),
)


def mix_named(name: str) -> Mix:
    """The mix called ``name``."""
    return next(mix for mix in MIXES if mix.name == name)
