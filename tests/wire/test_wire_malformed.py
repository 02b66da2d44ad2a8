"""Malformed and ambiguous requests: refused with the documented status, or sent on in one reading.

What the backend servers received is read by three parsers that share no code with ours: aiohttp's
two (llhttp and pure Python) and the standard library's. All must see the requests we meant.
"""

import asyncio
import http.client
import http.server
import io
import re
import socket

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from benchmarks.malformed import CASES, UNFINISHED, Case, Forwarded
from simulator.dataplane import pages
from tests.wire.conftest import Sim

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FRAMING = re.compile(rb"^(?:content.length|transfer.encoding):", re.IGNORECASE | re.MULTILINE)


class AiohttpReader:
    """Takes requests apart with one of aiohttp's parsers."""

    def __init__(self, parser_class) -> None:
        loop = asyncio.get_running_loop()
        self._parser = parser_class(
            BaseProtocol(loop), loop, 1 << 20, max_line_size=65536, max_field_size=65536
        )
        self._messages = []

    def feed(self, data: bytes) -> int:
        """How many whole requests have come."""
        messages, upgraded, tail = self._parser.feed_data(data)
        assert not upgraded
        assert not tail
        self._messages += messages
        return sum(payload.is_eof() for _, payload in self._messages)

    def requests(self) -> list[Forwarded]:
        assert all(payload.is_eof() for _, payload in self._messages), "a request is cut short"
        return [
            Forwarded(
                method=message.method.encode(),
                target=message.path.encode(),
                host=one([v for k, v in message.raw_headers if k.lower() == b"host"]),
                body=b"".join(getattr(payload, "_buffer", ())),
            )
            for message, payload in self._messages
        ]


class StandardReader(http.server.BaseHTTPRequestHandler):
    """Takes requests apart with what the standard library has."""

    def __init__(self, data: bytes) -> None:
        self.rfile = io.BytesIO(data)
        self.rfile.close = lambda: None  # the reader of chunks would close it
        self.client_address = ("", 0)
        self.request_version = "HTTP/1.1"

    def send_error(self, code, message=None, explain=None):
        raise AssertionError(f"the standard library refuses it: {code} {message}")

    def requests(self) -> list[Forwarded]:
        requests = []
        while line := self.rfile.readline():
            self.raw_requestline = line
            assert self.parse_request()
            requests.append(
                Forwarded(
                    method=self.command.encode(),
                    target=line.split(b" ")[1],  # self.path has no double slashes any more
                    host=one([v.encode() for v in self.headers.get_all("host", [])]),
                    body=self._body(),
                )
            )
        return requests

    def _body(self) -> bytes:
        assert len(self.headers.get_all("content-length", [])) <= 1
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = http.client.HTTPResponse(socket.socket())
        body.fp.close()
        body.fp, body.chunked, body.chunk_left, body.length = self.rfile, True, None, None
        return body.read()


def one(values: list[bytes]) -> bytes:
    [value] = values
    return value


def assert_canonical(raw: bytes) -> None:
    """No byte that parsers disagree on: line ends, framing and blanks are those of the RFC."""
    while raw:
        head, found, rest = raw.partition(b"\r\n\r\n")
        assert found
        lines = head.split(b"\r\n")
        assert not any(byte in line for line in lines for byte in (b"\r", b"\n", b"\0"))
        assert all(re.match(rb"[!#$%&'*+\-.^_`|~\w]+:", line) for line in lines[1:])
        framing = [line for line in lines[1:] if FRAMING.match(line)]
        assert len(framing) <= 1
        name, _, value = (framing[0] if framing else b"content-length: 0").lower().partition(b":")
        if name == b"content-length":
            raw = rest[int(value.strip(b" \t")) :]
        else:
            assert name == b"transfer-encoding"
            assert value == b" chunked"
            raw = skip_chunks(rest)


def skip_chunks(data: bytes) -> bytes:
    """What follows a chunked body in the one form that we send."""
    while True:
        match = re.match(rb"([1-9a-f][0-9a-f]*|0)\r\n", data)
        size = int(match[1], 16)
        data = data[match.end() + size :]
        assert data.startswith(b"\r\n")
        data = data[2:]
        if size == 0:
            return data


async def read_answers(reader, count: int) -> list[int]:
    statuses = []
    while len(statuses) < count:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        if status != 100:
            statuses.append(status)
            length = int(re.search(rb"\r\nContent-Length: (\d+)", head)[1])
            await reader.readexactly(length)
    return statuses


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_malformed_request_is_refused_or_has_one_reading(sim: Sim, case: Case, cut: bool):
    received: list[bytes] = []

    async def backend(reader, writer):
        index = len(received)
        received.append(b"")
        parser = AiohttpReader(HttpRequestParser)
        answered = 0
        while data := await reader.read(65536):
            received[index] += data
            whole = parser.feed(data)
            writer.write(OK * (whole - answered))
            answered = whole

    await sim.start([backend])
    reader, writer = await sim.connect()
    step = max(1, len(case.sent) // 40) if cut else len(case.sent)
    for at in range(0, len(case.sent), step):
        writer.write(case.sent[at : at + step])
        await asyncio.sleep(0)
    expected = [200 if isinstance(o, Forwarded) else o for o in case.outcomes]
    if expected[-1] == UNFINISHED:
        writer.write_eof()
        assert await reader.read() == b""
        expected[-1] = 400
    else:
        assert await read_answers(reader, len(expected)) == expected
        if expected[-1] != 200:
            assert await reader.read() == b"", "a refusal closes the connection"
    records = await sim.fields(len(expected))
    assert [record["response_status"] for record in records] == expected
    refused = [record for record in records if record["response_status"] != 200]
    assert all(record["upstream_addr"] == "-" for record in refused)
    if case.outcomes[-1] != UNFINISHED:
        assert all(r["body_bytes_sent"] == len(pages.page(r["response_status"])) for r in refused)

    raw = b"".join(received)
    assert_canonical(raw)
    meant = [outcome for outcome in case.outcomes if isinstance(outcome, Forwarded)]
    for parser_class in (HttpRequestParser, HttpRequestParserPy):
        parser = AiohttpReader(parser_class)
        parser.feed(raw)
        assert parser.requests() == meant, parser_class
    assert StandardReader(raw).requests() == meant
