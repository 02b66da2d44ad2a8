"""A gibibyte up and a gibibyte down: streamed, not stored."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SIZE = 1 << 30
ALLOWED_BYTES = 50_000_000
BLOCK = b"x" * (1 << 20)
SCENARIO = """\
version: 1
seed: 7
clock: {{mode: real}}
backends: {{web: {{address: "127.0.0.1:{port}"}}}}
load_balancers:
  - {{name: shop, kind: application, listeners: [{{protocol: HTTP, port: 80, to: web}}]}}
"""


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(data)
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def drain(connection: socket.socket, size: int) -> None:
    buffer = bytearray(1 << 20)
    while size > 0:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionError(f"{size} bytes short")
        size -= count


def serve(listener: socket.socket) -> None:
    """Answers a GET with a gibibyte and a PUT, once it is all there, with its size."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            head, rest = read_head(connection)
            if head.startswith(b"PUT"):
                drain(connection, SIZE - len(rest))
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                )
            else:
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE
                )
                for _ in range(SIZE // len(BLOCK)):
                    connection.sendall(BLOCK)


def peak_rss(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.timeout(120)
def test_a_gibibyte_each_way_takes_less_than_50_mb(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        scenario = tmp_path / "scenario.yaml"
        scenario.write_text(SCENARIO.format(port=listener.getsockname()[1]))
        process = subprocess.Popen(
            [*(sys.executable, "-m", "simulator", "up", scenario, "--json", "--free-ports")],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["listeners"][0]["url"]
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        before = peak_rss(process.pid)
        with socket.create_connection(address) as client:
            client.sendall(b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
            head, rest = read_head(client)
            assert head.startswith(b"HTTP/1.1 200")
            drain(client, SIZE - len(rest))
            client.sendall(b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // len(BLOCK)):
                client.sendall(BLOCK)
            head, _ = read_head(client)
            assert head.startswith(b"HTTP/1.1 200")
        more = peak_rss(process.pid) - before
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        process.stdout.close()
    assert more < ALLOWED_BYTES, f"{more / 1e6:.0f} MB more"
