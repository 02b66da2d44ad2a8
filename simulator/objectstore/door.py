"""The S3 door: moto's S3 application on a thread of its own.

Nothing is checked here, neither key nor signature; bind it to loopback. Only S3 is answered: moto
would otherwise serve all its services, and a reset for everybody, on the same port.
"""

import base64
import hashlib
import hmac
import socket
from collections.abc import Iterable
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from simulator.errors import StartupError
from simulator.objectstore.motolib import Changes, load_moto, load_wsgi
from simulator.objectstore.read_faults import Meet, with_read_faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler


class S3Door:
    """An HTTP server that speaks S3 for the objects of this process.

    Args:
        port: 0 picks a free one, known after ``start``.
        meet: says which faults each request meets; None: none.

    After ``start`` you must call ``stop``.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, meet: Meet | None = None) -> None:
        self.host = host
        self.port = port
        self._meet = meet
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """What a client takes as its endpoint."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @staticmethod
    def signed_path(bucket: str, key: str, *, access_key: str, secret_key: str, until: int) -> str:
        """Path and query that let anybody get an object, signed as S3's version 2 has it.

        Args:
            until: Unix seconds that the signature holds for; nothing checks it here.
        """
        path = f"/{bucket}/{quote(key)}"
        signed = f"GET\n\n\n{until}\n{path}".encode()
        digest = hmac.new(secret_key.encode(), signed, hashlib.sha1).digest()
        query = urlencode(
            {
                "AWSAccessKeyId": access_key,
                "Expires": until,
                "Signature": base64.b64encode(digest).decode(),
            }
        )
        return f"{path}?{query}"

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StartupError: the port is taken or may not be bound.
        """
        from werkzeug.serving import make_server  # noqa: PLC0415  slow, and only needed here

        # Bound here and not by werkzeug, which answers a taken port with sys.exit.
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        except OSError as error:
            raise StartupError(
                f"S3 port {self.port} on {self.host}: {error.strerror or error}"
            ) from error
        with listener:
            application, handler = load_wsgi()
            self.port = listener.getsockname()[1]
            served = _only_s3(application, load_moto().changes)
            self._server = make_server(
                self.host,
                self.port,
                served if self._meet is None else with_read_faults(served, self._meet),
                threaded=True,
                request_handler=_quiet(handler, self._connections),
                fd=listener.fileno(),
            )
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.05,), name="s3-door", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, free the port, drop the connections. Fine to call twice."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in tuple(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone by itself
        self._server = self._thread = None


def _only_s3(application: "WSGIApplication", changes: Changes) -> "WSGIApplication":
    """Everything goes to the S3 application, whatever service a request was signed for.

    What a request changes is on disk before it is answered.
    """

    def filtered(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith("/moto-api"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return ()
        answer = application(environ, start_response)
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            changes.settle()
        return answer

    return filtered


def _quiet(
    handler: "type[WSGIRequestHandler]", connections: set[socket.socket]
) -> "type[WSGIRequestHandler]":
    """A request handler that prints nothing, whatever it is sent, and can be cut off."""

    class QuietHandler(handler):  # type: ignore[valid-type,misc]  # a class known at run time
        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def finish(self) -> None:
            connections.discard(self.connection)
            super().finish()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

        def log(self, type: str, message: str, *args: object) -> None:
            pass

    return QuietHandler
