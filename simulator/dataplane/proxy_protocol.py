"""PROXY protocol v1 and v2: the client's address in front of a connection. No I/O.

The layer-4 gateway in front of the real layer 7 hands the client's address over; here a loopback
peer may stand in for it. Source: the PROXY protocol specification, versions 1 and 2.
"""

import ipaddress
from typing import Final

from simulator.errors import ClientProtocolError

V1_PREFIX: Final = b"PROXY "
V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_MAX_V1_BYTES: Final = 107


def may_begin(data: bytes) -> bool:
    """Whether ``data`` is, or may become, a PROXY header."""
    return V1_PREFIX.startswith(data[:6]) or V2_SIGNATURE.startswith(data[:12])


def parse(data: bytes) -> tuple[tuple[str, int] | None, int] | None:
    """Read a PROXY header at the start of ``data``.

    Returns:
        The client's ``(ip, port)`` (None when the header says the gateway speaks for itself) and
        the header's length; None while it is incomplete.

    Raises:
        ClientProtocolError: the header is malformed.
    """
    if data.startswith(V1_PREFIX):
        return _parse_v1(data)
    if data.startswith(V2_SIGNATURE):
        return _parse_v2(data)
    return None


def _parse_v1(data: bytes) -> tuple[tuple[str, int] | None, int] | None:
    end = data.find(b"\r\n", 0, _MAX_V1_BYTES)
    if end < 0:
        if len(data) >= _MAX_V1_BYTES:
            raise ClientProtocolError("PROXY v1 header is too long", status_hint=400)
        return None
    parts = data[:end].decode("latin-1").split(" ")
    if len(parts) >= 2 and parts[1] == "UNKNOWN":
        return None, end + 2
    malformed = ClientProtocolError("PROXY v1 header is malformed", status_hint=400)
    if len(parts) != 6 or parts[1] not in ("TCP4", "TCP6"):
        raise malformed
    try:
        address = ipaddress.ip_address(parts[2])
    except ValueError as error:
        raise malformed from error
    # A zone could hold any character, and Python reads more as a number than digits.
    if "%" in parts[2] or not (parts[4].isascii() and parts[4].isdigit()):
        raise malformed
    port = int(parts[4])
    if address.version != int(parts[1][-1]) or port > 65535:
        raise malformed
    return (str(address), port), end + 2


def _parse_v2(data: bytes) -> tuple[tuple[str, int] | None, int] | None:
    if len(data) < 16:
        return None
    version, command = data[12] >> 4, data[12] & 15
    family = data[13]
    length = 16 + int.from_bytes(data[14:16])
    if version != 2 or command > 1:
        raise ClientProtocolError("PROXY v2 header has an unknown version", status_hint=400)
    if len(data) < length:
        return None
    if command == 0 or family >> 4 not in (1, 2):
        return None, length
    size = 4 if family >> 4 == 1 else 16
    if length < 16 + 2 * size + 4:
        raise ClientProtocolError("PROXY v2 addresses are cut short", status_hint=400)
    address = ipaddress.ip_address(data[16 : 16 + size])
    port = int.from_bytes(data[16 + 2 * size : 18 + 2 * size])
    return (str(address), port), length
