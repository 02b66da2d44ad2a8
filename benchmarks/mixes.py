"""What is sent and what comes back: the same bytes for every contender and load generator."""

from dataclasses import dataclass
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
    body_bytes: int
    response_bytes: int
    rate: int
    """Requests a second at moderate load."""
    keep_alive: bool = True
    trace_id: bool = False
    """A header that differs in every request."""

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


MIXES: Final = (
    Mix(
        name="GET, 1 kB back",
        method="GET",
        path="/1k",
        body_bytes=0,
        response_bytes=1000,
        rate=2000,
    ),
    Mix(
        name="GET, a header that always differs",
        method="GET",
        path="/1k",
        body_bytes=0,
        response_bytes=1000,
        rate=2000,
        trace_id=True,
    ),
    Mix(
        name="POST 10 kB, 100 kB back",
        method="POST",
        path="/100k",
        body_bytes=10_000,
        response_bytes=100_000,
        rate=500,
    ),
    Mix(
        name="GET, a connection each",
        method="GET",
        path="/1k",
        body_bytes=0,
        response_bytes=1000,
        rate=500,
        keep_alive=False,
    ),
)


def mix_named(name: str) -> Mix:
    """The mix called ``name``."""
    return next(mix for mix in MIXES if mix.name == name)
