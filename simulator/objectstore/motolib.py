"""The one door to moto: sets it up before its first import and names what is used of it.

moto's model is internal API; that is why its version is pinned to a minor one.
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flask import Flask
    from moto.s3.models import FakeBucket, FakeKey, S3Backend
    from werkzeug.serving import WSGIRequestHandler

ACCOUNT_ID: Final = "123456789012"
"""The account moto gives to every key pair it does not know."""

_ENVIRONMENT: Final = {
    # Part minimum and buffer of the simulated store; the buffer is derived from the part minimum
    # otherwise, and each object above it costs an open file.
    "S3_UPLOAD_PART_MIN_SIZE": "102400",
    "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(64 * 1024 * 1024),
    # Path style on every host name: moto takes the first label of a dotted host for a bucket.
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moto:
    """What the adapter uses."""

    backend: "S3Backend"
    """The one of the one account."""
    object_class: "type[FakeKey]"
    announce: "Callable[[FakeBucket, FakeKey], None]"
    """Tell whoever subscribed to a bucket that an object was put."""


@cache
def load_moto() -> Moto:
    """Import moto's S3 model, about half a second the first time."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from moto.s3 import models, notifications  # noqa: PLC0415  after the environment, and late

    # moto keeps every bucket, object and upload ever made until a reset; nothing here resets by
    # those lists. Any: a metaclass adds them.
    tracked_classes: tuple[Any, ...] = (models.FakeKey, models.FakeMultipart, models.FakeBucket)
    for tracked in tracked_classes:
        tracked.instances_tracked = deque(maxlen=0)
    put = notifications.S3NotificationEvent.OBJECT_CREATED_PUT_EVENT
    return Moto(
        backend=models.s3_backends[ACCOUNT_ID]["aws"],
        object_class=models.FakeKey,
        announce=lambda bucket, key: notifications.send_event(ACCOUNT_ID, put, bucket, key),
    )


def load_wsgi() -> "tuple[Flask, type[WSGIRequestHandler]]":
    """moto's S3 application and the request handler class it wants."""
    load_moto()
    from moto.moto_server import werkzeug_app  # noqa: PLC0415  after the environment, and late

    return werkzeug_app.create_backend_app("s3"), werkzeug_app.MotoRequestHandler
