"""Opens connections, asks once on each and keeps them open until its standard input ends."""

import argparse
import socket
import sys

from benchmarks.mixes import MIXES

_AT_ONCE = 200
_RESPONSE_S = 10.0


def main() -> None:
    """Take port and count from the command line; say how many stand."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    mix = MIXES[0]
    request = mix.request(0)
    connections: list[socket.socket] = []
    while len(connections) < arguments.count:
        some = [
            socket.create_connection(("127.0.0.1", arguments.port), timeout=_RESPONSE_S)
            for _ in range(min(_AT_ONCE, arguments.count - len(connections)))
        ]
        for connection in some:
            connection.sendall(request)
        for connection in some:
            got = b""
            while len(got.partition(b"\r\n\r\n")[2]) < mix.response_bytes:
                got += connection.recv(65536) or sys.exit("a connection was closed")
        connections += some
    sys.stdout.write(f"{len(connections)}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
