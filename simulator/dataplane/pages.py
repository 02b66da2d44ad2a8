"""Answers the load balancer gives by itself.

Source: assumed (sizes and texts of the real pages are not documented; ours are constant).
"""

from email.utils import formatdate
from functools import cache
from http import HTTPStatus


@cache
def page(status: int) -> bytes:
    """The body of the answer with ``status``."""
    title = f"{status} {reason(status)}"
    return f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n".encode()


def reason(status: int) -> str:
    """The reason phrase of ``status``."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def encode_reply(status: int, *, date_s: float, keep_alive: bool, head_only: bool) -> bytes:
    """A whole response with the page of ``status``."""
    body = page(status)
    head = (
        f"HTTP/1.1 {status} {reason(status)}\r\nDate: {formatdate(date_s, usegmt=True)}\r\n"
        f"Content-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    ).encode()
    return head if head_only else head + body


def encode_redirect(status: int, location: bytes, *, date_s: float, keep_alive: bool) -> bytes:
    """A whole response without a body that points to ``location``."""
    return (
        f"HTTP/1.1 {status} {reason(status)}\r\nDate: {formatdate(date_s, usegmt=True)}\r\n"
    ).encode() + b"Location: %s\r\nContent-Length: 0\r\nConnection: %s\r\n\r\n" % (
        location,
        b"keep-alive" if keep_alive else b"close",
    )
