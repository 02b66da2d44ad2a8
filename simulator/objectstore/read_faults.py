"""Faults that meet a pipeline at the S3 door: throttling, errors, slow and broken answers.

Source: the S3 API's documented error codes (SlowDown, InternalError, ServiceUnavailable,
AccessDenied); which of them a real store would choose is assumed.
"""

import socket
import struct
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from simulator.clock import pause
from simulator.model.faults import FaultKind, ReadEffect

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Meet = Callable[[str], tuple[ReadEffect, ...]]
"""What the next request to an operation meets."""

_ERRORS: Final = {
    500: ("InternalError", "We encountered an internal error. Please try again."),
    502: ("ServiceUnavailable", "Bad gateway. Please try again."),
    503: ("ServiceUnavailable", "Service is unable to handle request."),
}
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing resets the connection."""
_OBJECT: Final = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}
_BUCKET: Final = {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
_PARTS: Final = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
}


def with_read_faults(application: "WSGIApplication", meet: Meet) -> "WSGIApplication":
    """``application``, whose requests meet what ``meet`` says."""

    def spoiled(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        effects = meet(operation_name(environ))
        for effect in effects:
            if effect.kind is FaultKind.READ_SLOW:
                pause(effect.delay_s)
            refusal = _refusal(effect)
            if refusal is not None:
                return _refuse(environ, start_response, *refusal)
        answer = application(environ, start_response)
        for effect in effects:
            if effect.kind is FaultKind.READ_RESET:
                _reset(environ)
                return ()
            if effect.kind is FaultKind.READ_TRUNC:
                return _cut_off(environ, b"".join(answer), effect.keep)
        return answer

    return spoiled


def operation_name(environ: "WSGIEnvironment") -> str:
    """The S3 operation that a request in path style is for."""
    method = str(environ.get("REQUEST_METHOD", "GET"))
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    bucket, _, key = environ.get("PATH_INFO", "/").lstrip("/").partition("/")
    if not bucket:
        return "ListBuckets"
    if not key:
        if method == "POST":
            return "DeleteObjects"
        if method == "GET":
            return "ListObjectsV2" if query.get("list-type") == ["2"] else "ListObjects"
        return _BUCKET.get(method, method)
    for (its_method, parameter), name in _PARTS.items():
        if method == its_method and parameter in query:
            return name
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    return _OBJECT.get(method, "DeleteObject" if method == "DELETE" else method)


def _refusal(effect: ReadEffect) -> tuple[int, str, str] | None:
    match effect.kind:
        case FaultKind.READ_THROTTLE:
            return 503, "SlowDown", "Please reduce your request rate."
        case FaultKind.READ_ERROR:
            return (effect.status, *_ERRORS[effect.status])
        case FaultKind.READ_EXPIRED:
            return 403, "AccessDenied", "Request has expired"
        case _:
            return None


def _refuse(
    environ: "WSGIEnvironment", start_response: "StartResponse", status: int, code: str, text: str
) -> Iterable[bytes]:
    # What was sent is read, or the connection would be reset under the answer.
    length = environ.get("CONTENT_LENGTH") or "0"
    environ["wsgi.input"].read(int(length))
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{text}</Message></Error>"
    ).encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
    return () if environ.get("REQUEST_METHOD") == "HEAD" else (body,)


def _reset(environ: "WSGIEnvironment") -> None:
    raw = environ["werkzeug.socket"]
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    raw.close()


def _cut_off(environ: "WSGIEnvironment", body: bytes, keep: float) -> Iterable[bytes]:
    yield body[: int(len(body) * keep)]
    raw = environ["werkzeug.socket"]
    raw.shutdown(socket.SHUT_RDWR)
