"""Which backend server a client was given before: the token in its cookie.

Source: doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb (cookies name the backend server); the form
of the token is assumed: opaque, and the same for one server on every node and in every run.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from simulator.model import BackendServer, BackendServerId

TOKEN_DIGITS: Final = 16
"""Lower-case hex digits of a token."""


def session_token(server_id: BackendServerId) -> bytes:
    """What stands in a client's cookie for the server with ``server_id``."""
    digest = hashlib.blake2b(server_id.encode(), digest_size=TOKEN_DIGITS // 2, person=b"session")
    return digest.hexdigest().encode()


class Bindings:
    """The servers of a group by token; those that new traffic may not reach are left out."""

    __slots__ = ("_servers", "_tokens")

    def __init__(self, servers: Iterable[BackendServer]) -> None:
        self._servers = {
            session_token(server.backend_server_id): server
            for server in servers
            if server.weight > 0
        }
        self._tokens = {server.backend_server_id: token for token, server in self._servers.items()}

    def server(self, token: bytes) -> BackendServer | None:
        """The server ``token`` stands for; None when it has gone or has no weight."""
        return self._servers.get(token)

    def token(self, server: BackendServer) -> bytes:
        """What stands for ``server``."""
        return self._tokens[server.backend_server_id]
