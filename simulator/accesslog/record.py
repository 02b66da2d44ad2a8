"""What the data plane tells the log side about one request. Built by ``exchange`` only."""

from enum import StrEnum


class AccessRecordShape(StrEnum):
    """How the values of a record are typed in JSON.

    Source: assumed (the vendor declares string, int and float per field but float fields can be
    lists or absent; ``typed`` follows the declaration where it can).
    """

    TYPED = "typed"
    STRINGS = "strings"
    JSON_EMPTY = "json-empty"


class Attempt:
    """One try at a backend server.

    Plain slots, filled in as the try proceeds: this object is made on the proxied path.
    """

    __slots__ = ("address", "connect_s", "response_s", "status")

    address: str
    """``ip:port`` of the server, or the server group's name when none was selectable."""
    status: int | None
    """What the server answered; 502 or 504 when the try failed; None when it ended before."""
    connect_s: float | None
    """From the start of connecting until the request could be sent; 0.0 on a pooled
    connection; None if the connection never stood."""
    response_s: float
    """From the start of connecting until the last byte of the response, or the failure."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.status = None
        self.connect_s = None
        self.response_s = 0.0


class AccessRecord:
    """One request as it really went. Bytes are as received; absent values are None."""

    __slots__ = (
        "attempts",
        "backend_protocol",
        "body_bytes_sent",
        "client_ip",
        "client_port",
        "host",
        "http_referer",
        "http_user_agent",
        "http_x_forwarded_for",
        "limited",
        "logged_at",
        "remote_addr",
        "request",
        "request_length",
        "request_time_s",
        "response_status",
        "server_group_id",
        "ssl_handshake_time_s",
        "ssl_session_reused",
    )

    logged_at: float
    """Simulated instant the record was written: the end of the request."""
    response_status: int
    """What was sent to the client; 499 when it left first, 9 for an HTTP/0.9 answer."""
    server_group_id: str | None
    backend_protocol: str
    """``http`` or ``https``, what the servers of that group speak."""
    attempts: list[Attempt]
    remote_addr: str
    """The peer: the client, or the gateway in front when it does not forward client addresses."""
    client_ip: str
    client_port: int
    host: bytes | None
    """Lower-cased, without port."""
    request: bytes
    """The raw request line, without its line end."""
    request_length: int
    """Bytes of request line, headers and body received, with chunk framing."""
    body_bytes_sent: int
    """Bytes sent to the client after the header, with chunk framing."""
    http_referer: bytes | None
    http_user_agent: bytes | None
    http_x_forwarded_for: bytes | None
    request_time_s: float
    ssl_handshake_time_s: float | None
    """None on plain HTTP, and then ``ssl_session_reused`` is None too."""
    ssl_session_reused: bool | None
    limited: tuple[int, int] | None
    """``(qps, tokens)`` on the node when the instance was rate limited, else None."""

    def __init__(self) -> None:
        self.logged_at = 0.0
        self.response_status = 0
        self.server_group_id = None
        self.backend_protocol = "http"
        self.attempts = []
        self.remote_addr = ""
        self.client_ip = ""
        self.client_port = 0
        self.host = None
        self.request = b""
        self.request_length = 0
        self.body_bytes_sent = 0
        self.http_referer = None
        self.http_user_agent = None
        self.http_x_forwarded_for = None
        self.request_time_s = 0.0
        self.ssl_handshake_time_s = None
        self.ssl_session_reused = None
        self.limited = None
