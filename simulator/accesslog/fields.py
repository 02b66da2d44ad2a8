"""The table of the 28 fields, in document order; docs and loaders are made from it.

Source: doc https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (2025-10-16).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FieldType(StrEnum):
    """The type the vendor declares for a field."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an access record."""

    name: str
    type: FieldType
    meaning: str


_S, _I, _F = FieldType.STRING, FieldType.INT, FieldType.FLOAT

FIELDS: Final = (
    Field("time_local", _S, "When the record was written: the end of the request, to the second."),
    Field("vip", _S, "The load balancer's private address."),
    Field("vport", _I, "The listener's port."),
    Field("response_status", _I, "The status sent to the client; 499 when it left before one."),
    Field("vdum_ups_id", _S, "The server group chosen; `-` when none was."),
    Field("upstream_addr", _S, "List: the address of each backend server tried."),
    Field("upstream_status", _S, "List: what each try returned; 502 or 504 when it failed."),
    Field("remote_addr", _S, "The peer of the connection."),
    Field("cip", _S, "The client's address as the layer-4 gateway saw it."),
    Field("cport", _I, "The client's port."),
    Field("server_addr", _S, "The address of the virtual server; equal to `vip`."),
    Field("server_port", _I, "The port of the virtual server; equal to `vport`."),
    Field("scheme", _S, "`http` or `https`."),
    Field("host", _S, "The domain name asked for, lower case, without port."),
    Field("request", _S, "The request line as received."),
    Field("request_length", _I, "Bytes received: request line, headers, body with chunk framing."),
    Field("body_bytes_sent", _I, "Bytes sent after the header, with chunk framing."),
    Field("http_referer", _S, "The Referer header; `-` absent, empty when sent empty."),
    Field("http_user_agent", _S, "The User-Agent header."),
    Field("http_x_forwarded_for", _S, "The X-Forwarded-For header as received."),
    Field("upstream_connect_time", _F, "List: seconds to connect to each server tried."),
    Field("upstream_response_time", _F, "List: seconds from connecting to the last byte."),
    Field("request_time", _F, "Seconds from the request's first byte to the last byte sent."),
    Field("ssl_handshake_time", _F, "Seconds of the TLS handshake; `-` on plain HTTP."),
    Field("ssl_session_reused", _S, "`r` reused, `.` not, `-` on plain HTTP."),
    Field("vdum_rs_proto", _S, "The protocol spoken to the backend server."),
    Field("upstream_local_addr", _S, "The internal address of the service node."),
    Field("extension_log", _S, "`instance id & limit status & QPS & tokens`."),
)
