"""``python -m benchmarks.queries_client push|pull PORT SECONDS START_MS``: a client over HTTP.

Each request is signed the way SDKs do; bodies and answers are a thousand records each.
"""

import http.client
import json
import sys
import time
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import msgspec

from simulator.api.auth import canonical_request, sign

ACCESS_KEY: Final = "bench-access-key"
SECRET_KEY: Final = "bench-not-a-secret"
PAGE: Final = 1000


class Client:
    """One kept connection to the API."""

    def __init__(self, port: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def go(self, method: str, target: str, body: bytes = b"") -> bytes:
        """The body of the answer to a signed request."""
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {"Host": self._host, "x-bce-date": date, "Content-Type": "application/json"}
        prefix = f"bce-auth-v1/{ACCESS_KEY}/{date}/1800"
        names = ["host", "x-bce-date"]
        signature = sign(
            SECRET_KEY, prefix, canonical_request(method, target, list(headers.items()), names)
        )
        headers["Authorization"] = f"{prefix}/{';'.join(names)}/{signature}"
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:300]!r}")
        return text


def push(client: Client, seconds: float, start_ms: int) -> tuple[int, float]:
    """Records pushed, and the seconds that took."""
    records = [
        {
            "timestamp": start_ms + number,
            "message": json.dumps(
                {
                    "level": ("info", "warn", "error")[number % 3],
                    "host": "shop.example.com",
                    "status": (200, 404, 502)[number % 3],
                    "request": f"GET /item/{number}?q=caf%C3%A9 HTTP/1.1",
                    "cost": number / 1000,
                    "client": f"203.0.113.{number % 250}",
                    "agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
                }
            ),
        }
        for number in range(PAGE)
    ]
    body = json.dumps({"logStreamName": "bench", "type": "JSON", "logRecords": records}).encode()
    target = "/v1/logstore/pushed/logrecord?project=default"
    client.go("POST", target, body)
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < seconds:
        client.go("POST", target, body)
        count += PAGE
    return count, time.perf_counter() - began


def pull(client: Client, seconds: float, start_ms: int) -> tuple[int, float]:
    """Records pulled page after page, and the seconds that took."""
    start = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = datetime.fromtimestamp(start_ms / 1000 + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    base = (
        f"/v1/logstore/access/logrecord?project=default&limit={PAGE}"
        f"&startDateTime={quote(start)}&endDateTime={quote(end)}"
    )
    began = time.perf_counter()
    count, marker = 0, ""
    while time.perf_counter() - began < seconds:
        answer = msgspec.json.decode(client.go("GET", f"{base}&marker={quote(marker)}"))
        count += len(answer["result"])
        marker = answer["nextMarker"]
    return count, time.perf_counter() - began


if __name__ == "__main__":
    work = push if sys.argv[1] == "push" else pull
    count, took_s = work(Client(int(sys.argv[2])), float(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps({"records": count, "seconds": took_s}) + "\n")
