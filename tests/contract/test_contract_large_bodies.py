"""A gibibyte up and a gibibyte down: streamed, not stored; with TLS to the server a quarter."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from command import PATIENCE_S

from simulator.dataplane.certificates import Authority

GIBIBYTE = 1 << 30
ALLOWED_BYTES = 50_000_000
BLOCK = b"x" * (1 << 20)
SCENARIO = """\
version: 1
seed: 7
clock: {{mode: real}}
backends: {{web: {{address: "127.0.0.1:{port}", tls: {tls}}}}}
load_balancers:
  - {{name: shop, kind: application, listeners: [{{protocol: {protocol}, port: 80, to: web}}]}}
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


def serve(listener: socket.socket, size: int) -> None:
    """Answers a GET with ``size`` bytes and a PUT once as many are there."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            head, rest = read_head(connection)
            if head.startswith(b"PUT"):
                drain(connection, size - len(rest))
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                )
            else:
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
                )
                for _ in range(size // len(BLOCK)):
                    connection.sendall(BLOCK)


def connect(address: tuple[str, int], *, tls: bool) -> socket.socket:
    plain = socket.create_connection(address)
    if not tls:
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def peak_rss(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize(("tls", "size"), [(False, GIBIBYTE), (True, GIBIBYTE // 4)])
def test_large_bodies_each_way_take_less_than_50_mb(tmp_path: Path, tls: bool, size: int):
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if tls:
            files = Authority(tmp_path / "certificates").issue(("127.0.0.1",))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.certificate, files.key)
            listener = stack.enter_context(context.wrap_socket(listener, server_side=True))
        threading.Thread(target=serve, args=(listener, size), daemon=True).start()
        scenario = tmp_path / "scenario.yaml"
        scenario.write_text(
            SCENARIO.format(
                port=listener.getsockname()[1],
                tls=str(tls).lower(),
                protocol="HTTPS" if tls else "HTTP",
            )
        )
        process = subprocess.Popen(
            [*(sys.executable, "-m", "simulator", "up", scenario, "--json", "--free-ports")],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["listeners"][0]["url"]
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        before = peak_rss(process.pid)
        with connect(address, tls=tls) as client:
            client.sendall(b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
            head, rest = read_head(client)
            assert head.startswith(b"HTTP/1.1 200")
            drain(client, size - len(rest))
            client.sendall(b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(BLOCK)):
                client.sendall(BLOCK)
            head, _ = read_head(client)
            assert head.startswith(b"HTTP/1.1 200")
        more = peak_rss(process.pid) - before
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        process.stdout.close()
    assert more < ALLOWED_BYTES, f"{more / 1e6:.0f} MB more"
