"""The one door to moto: sets it up before its first import and names what is used of it.

moto's model is internal API; that is why its version is pinned to a minor one.
"""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, Final

from simulator.objectstore.lags import Lags

if TYPE_CHECKING:
    from flask import Flask
    from moto.s3.models import FakeBucket, FakeKey, S3Backend
    from werkzeug.serving import WSGIRequestHandler

_PIECE_BYTES: Final = 1024 * 1024
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


class Changes:
    """What clients changed in moto's model, told once at the end of each request.

    Kept per thread, and one thread serves a request: what another request is in the middle of is
    left to that one.
    """

    def __init__(self) -> None:
        self.on_changed: Callable[[set[tuple[str, str]]], None] = _ignore
        """Called at the end of a request that may have changed something, on its thread, with
        (bucket, key) of every object that was put or deleted; buckets may come and go as well."""
        self._local = local()

    def note(self, bucket: str, key: str) -> None:
        """An object was put or deleted."""
        self._noted().add((bucket, key))

    def settle(self) -> None:
        """The request is done: tell what it changed."""
        noted = self._noted()
        self._local.noted = set()
        self.on_changed(noted)

    def _noted(self) -> set[tuple[str, str]]:
        noted: set[tuple[str, str]] | None = getattr(self._local, "noted", None)
        if noted is None:
            noted = self._local.noted = set()
        return noted


def _ignore(_: set[tuple[str, str]]) -> None:
    """Nothing is kept on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moto:
    """What the adapter uses."""

    backend: "S3Backend"
    """The one of the one account."""
    object_class: "type[FakeKey]"
    announce: "Callable[[FakeBucket, FakeKey], None]"
    """Tell whoever subscribed to a bucket that an object was put."""
    changes: Changes
    lags: Lags
    """What moto shows late, to whoever lists or reads through it."""
    watch: "Callable[[FakeBucket], None]"
    """Note from now on what happens to the objects of a bucket; for a bucket without objects.
    Fine to call twice."""
    publish: "Callable[[FakeBucket, FakeKey], None]"
    """Put an object into a bucket without noting it."""
    fill: "Callable[[FakeKey, Path], None]"
    """Give an object that nobody sees yet what a file holds, a little at a time."""
    withdraw: "Callable[[FakeBucket, FakeKey], None]"
    """Take an object out of a bucket without noting it."""


def _fill(key: "FakeKey", file: Path) -> None:
    # moto's own way in takes the whole of it. Any: what it keeps it in is its own.
    made: Any = key
    with file.open("rb") as source:
        shutil.copyfileobj(source, made._value_buffer, _PIECE_BYTES)  # noqa: SLF001
    made.contentsize = file.stat().st_size


@cache
def load_moto() -> Moto:
    """Import moto's S3 model, about half a second the first time."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from moto.s3 import models, notifications  # noqa: PLC0415  after the environment, and late
    from moto.s3.utils import _VersionedKeyStore  # noqa: PLC0415

    # moto keeps every bucket, object and upload ever made until a reset; nothing here resets by
    # those lists. Any: a metaclass adds them.
    tracked_classes: tuple[Any, ...] = (models.FakeKey, models.FakeMultipart, models.FakeBucket)
    for tracked in tracked_classes:
        tracked.instances_tracked = deque(maxlen=0)
    changes, lags = Changes(), Lags()
    # The one place that every put and delete passes. Any: moto does not type it as it is used.
    key_store: Any = _VersionedKeyStore

    class WatchedKeys(key_store):  # type: ignore[misc]  # a class known at run time
        bucket_name = ""

        # What moto lists, and what it lists with versions.
        def items(self) -> Iterator[tuple[str, Any]]:
            return (pair for pair in super().items() if lags.is_listed(self.bucket_name, pair[0]))

        def iterlists(self) -> Iterator[tuple[str, Any]]:
            found = super().iterlists()
            return (pair for pair in found if lags.is_listed(self.bucket_name, pair[0]))

        def pop(self, key: str) -> None:
            super().pop(key)
            lags.set(self.bucket_name, key, None)
            changes.note(self.bucket_name, key)

        def setlist(self, key: str, list_: object) -> None:
            super().setlist(key, list_)
            lags.set(self.bucket_name, key, None)
            changes.note(self.bucket_name, key)

        def __setitem__(self, key: str, value: object) -> None:
            super().__setitem__(key, value)
            lags.set(self.bucket_name, key, None)
            changes.note(self.bucket_name, key)

    def watch(bucket: "FakeBucket") -> None:
        if not isinstance(bucket.keys, WatchedKeys):
            keys = WatchedKeys()
            keys.bucket_name = bucket.name
            bucket.keys = keys

    # Every read passes here, also that of a copy's source. Any: as above.
    backend_class: Any = models.S3Backend
    get_object = backend_class.get_object

    def get_readable(
        backend: object, bucket_name: str, key_name: str, *args: object, **named: object
    ) -> "FakeKey | None":
        if not lags.is_readable(bucket_name, key_name):
            return None
        found: FakeKey | None = get_object(backend, bucket_name, key_name, *args, **named)
        return found

    backend_class.get_object = get_readable

    def publish(bucket: "FakeBucket", key: "FakeKey") -> None:
        key_store.setlist(bucket.keys, key.name, [key])

    def withdraw(bucket: "FakeBucket", key: "FakeKey") -> None:
        key_store.pop(bucket.keys, key.name)
        lags.set(bucket.name, key.name, None)

    put = notifications.S3NotificationEvent.OBJECT_CREATED_PUT_EVENT
    return Moto(
        backend=models.s3_backends[ACCOUNT_ID]["aws"],
        object_class=models.FakeKey,
        announce=lambda bucket, key: notifications.send_event(ACCOUNT_ID, put, bucket, key),
        changes=changes,
        lags=lags,
        watch=watch,
        publish=publish,
        fill=_fill,
        withdraw=withdraw,
    )


def load_wsgi() -> "tuple[Flask, type[WSGIRequestHandler]]":
    """moto's S3 application and the request handler class it wants."""
    load_moto()
    from moto.moto_server import werkzeug_app  # noqa: PLC0415  after the environment, and late

    return werkzeug_app.create_backend_app("s3"), werkzeug_app.MotoRequestHandler
