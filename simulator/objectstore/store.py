"""Buckets and objects in moto's S3 model, and on disk when there is a directory."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from simulator.errors import ControlError, StartupError
from simulator.objectstore.lags import Lag
from simulator.objectstore.mirror import Mirror, can_be_directory, default_content_type
from simulator.objectstore.motolib import ACCOUNT_ID, load_moto

if TYPE_CHECKING:
    from moto.s3.models import FakeBucket, FakeKey


MAX_KEY_BYTES: Final = 1024
"""Source: assumed (S3's limit)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known of an object without reading it."""

    key: str
    size_bytes: int
    etag: str
    """MD5 of the body in hex, without quotes."""
    content_type: str
    last_modified: float
    """Unix seconds."""


class ObjectStore:
    """The buckets of the simulated region.

    Args:
        directory: where objects are kept for the next run; None keeps them in memory only.
        region: echoed as the location of a bucket.
        time: of the simulation, for objects that show late; without it none does.

    Raises:
        StartupError: the directory cannot be used.

    moto's model is one per process, and so is this: making another empties it first.

    What clients put, copy and delete through the S3 door is followed in the directory before they
    are answered: body, content type and time of the newest version of an object. Their tags,
    metadata and older versions, uploads in parts that are not complete, and the settings of a
    bucket are in memory only; the tag of an object made of parts becomes that of its whole body.
    """

    def __init__(
        self, directory: Path | None, *, region: str, time: Callable[[], float] = lambda: inf
    ) -> None:
        self._moto = load_moto()
        self._backend = self._moto.backend
        self._region = region
        self._lock = Lock()  # writers only: moto's readers copy
        self._mirror: Mirror | None = None
        self._moto.lags.time = time
        self._moto.changes.on_changed = self._follow
        with self._lock:  # or a bucket not loaded yet would be taken for one a client deleted
            self._reset()
            if directory is None:
                return
            try:
                mirror = Mirror(directory)
                self._reload(mirror)
            except OSError as error:
                raise StartupError(f"object store: {error.filename}: {error.strerror}") from error
            self._mirror = mirror

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket; nothing happens if there is one.

        Raises:
            ControlError: ``InvalidBucketName``.
            StartupError: its directory cannot be made.
        """
        with self._lock:
            if self.has_bucket(bucket):
                return
            if not 3 <= len(bucket) <= 63:
                raise ControlError("InvalidBucketName", 400, f"{bucket} is not a valid bucket name")
            if self._mirror is not None:
                try:
                    self._mirror.add_bucket(bucket)
                except OSError as error:
                    raise StartupError(
                        f"object store: {error.filename}: {error.strerror}"
                    ) from error
            self._moto.watch(self._backend.create_bucket(bucket, self._region))

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        return bucket in self._backend.buckets

    def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes | Path,
        content_type: str = "application/octet-stream",
        *,
        last_modified: float | None = None,
        lag: Lag | None = None,
    ) -> ObjectInfo:
        """Store an object; it is on disk before anybody can see it. From any thread.

        Args:
            body: what it holds, or a file of it, which is copied piece by piece.
            last_modified: Unix seconds; the machine's time if not given.
            lag: from when on it shows; None: at once.

        Raises:
            ControlError: ``NoSuchBucket``, ``KeyTooLongError``.
            OSError: the disk refused it; nothing has changed.
        """
        if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
            text = f"the key {key[:40]}... has more than {MAX_KEY_BYTES} bytes"
            raise ControlError("KeyTooLongError", 400, text)
        with self._lock:
            model = self._bucket(bucket)
            made = self._make(model, key, body, content_type, last_modified)
            if self._mirror is not None:
                at = made.last_modified.replace(tzinfo=UTC).timestamp()
                try:
                    self._mirror.write(bucket, key, body, content_type, at, lag)
                except OSError:
                    made.dispose()
                    raise
            self._publish(model, made, lag)
            return _info(made)

    def delete_object(self, bucket: str, key: str) -> None:
        """Remove an object; nothing happens where it or its bucket is not there. From any thread.

        Raises:
            OSError: the disk refused it; nothing has changed.
        """
        with self._lock:
            model = self._backend.buckets.get(bucket)
            found = None if model is None else model.keys.get(key)
            if model is None or not isinstance(found, self._moto.object_class):
                return
            if self._mirror is not None:
                self._mirror.remove(bucket, key)
            self._moto.withdraw(model, found)
            found.dispose()

    def delete_objects(self, bucket: str, prefix: str, chosen: Callable[[str], bool]) -> None:
        """Remove the objects with a prefix whose keys are chosen, also those that show later.

        Nothing happens if the bucket does not exist. From any thread.

        Raises:
            OSError: the disk refused it; what was removed before is gone.
        """
        model = self._backend.buckets.get(bucket)
        keys: list[str] = [] if model is None else list(model.keys)
        for key in keys:
            if key.startswith(prefix) and chosen(key):
                self.delete_object(bucket, key)

    def get_object(self, bucket: str, key: str) -> bytes:
        """The body of an object.

        Raises:
            ControlError: ``NoSuchBucket``, ``NoSuchKey``.
        """
        return bytes(self._readable(bucket, key).value)

    def object_info(self, bucket: str, key: str) -> ObjectInfo:
        """Size, tag and times of an object.

        Raises:
            ControlError: ``NoSuchBucket``, ``NoSuchKey``.
        """
        return _info(self._readable(bucket, key))

    def list_keys(self, bucket: str, prefix: str = "") -> tuple[str, ...]:
        """All keys with a prefix that are listed now, in order.

        Raises:
            ControlError: ``NoSuchBucket``.
        """
        keys: list[str] = list(self._bucket(bucket).keys)
        listed = self._moto.lags.is_listed
        return tuple(sorted(key for key in keys if key.startswith(prefix) and listed(bucket, key)))

    def close(self) -> None:
        """Free the memory of all objects; files stay. Fine to call twice."""
        with self._lock:  # or what a client is doing would be taken for a bucket's end
            self._mirror = None
            self._reset()

    def _reset(self) -> None:
        for bucket in self._backend.buckets.values():
            for versions in bucket.keys.lists():  # moto frees the newest version only
                for version in versions[1]:
                    if isinstance(version, self._moto.object_class):
                        version.dispose()
        self._backend.reset()
        self._moto.lags.clear()

    def _reload(self, mirror: Mirror) -> None:
        for bucket in mirror.buckets():
            model = self._backend.create_bucket(bucket, self._region)
            self._moto.watch(model)
            for kept in mirror.read(bucket):
                made = self._make(model, kept.key, kept.body, kept.content_type, kept.last_modified)
                self._publish(model, made, kept.lag)

    def _make(
        self,
        bucket: "FakeBucket",
        key: str,
        body: bytes | Path,
        content_type: str,
        last_modified: float | None,
    ) -> "FakeKey":
        """An object nobody sees yet."""
        made = self._moto.object_class(
            name=key,
            value=b"" if isinstance(body, Path) else body,
            account_id=ACCOUNT_ID,
            region_name=self._backend.region_name,
            bucket_name=bucket.name,
            is_versioned=bucket.is_versioned,
        )
        made.set_metadata({"Content-Type": content_type})
        if isinstance(body, Path):
            try:
                self._moto.fill(made, body)
            except OSError:
                made.dispose()
                raise
        if last_modified is not None:
            stamp = datetime.fromtimestamp(last_modified, UTC)
            made.last_modified = stamp.replace(tzinfo=None)  # as moto's own: naive, in UTC
        return made

    def _follow(self, changed: set[tuple[str, str]]) -> None:
        """Let the directory follow what a client's request changed."""
        mirror = self._mirror
        with self._lock:
            for model in tuple(self._backend.buckets.values()):
                self._moto.watch(model)
            if mirror is None:
                return
            try:
                self._follow_buckets(mirror)
                for bucket, key in sorted(changed):
                    self._follow_object(mirror, bucket, key)
            except OSError as error:
                _log.warning(
                    "%s: not kept for the next run: %s", error.filename, error.strerror or error
                )

    def _follow_buckets(self, mirror: Mirror) -> None:
        kept, living = set(mirror.buckets()), set(self._backend.buckets)
        for bucket in sorted(living - kept):
            if can_be_directory(bucket):
                mirror.add_bucket(bucket)
        for bucket in sorted(kept - living):
            mirror.remove_bucket(bucket)

    def _follow_object(self, mirror: Mirror, bucket: str, key: str) -> None:
        if not can_be_directory(bucket) or not self.has_bucket(bucket):
            return
        try:
            found = self._object(bucket, key)
            info, body = _info(found), bytes(found.value)
        except ControlError:
            mirror.remove(bucket, key)
        except ValueError:
            pass  # replaced while it was read; whoever did that follows
        else:
            mirror.write(bucket, key, body, info.content_type, info.last_modified)

    def _publish(self, bucket: "FakeBucket", made: "FakeKey", lag: Lag | None) -> None:
        """Let it be seen, complete: moto's own put would show it before its time is set."""
        self._moto.lags.set(bucket.name, made.name, lag)
        self._moto.publish(bucket, made)
        self._moto.announce(bucket, made)

    def _bucket(self, bucket: str) -> "FakeBucket":
        """The model of a bucket."""
        try:
            return self._backend.buckets[bucket]
        except KeyError:
            raise ControlError("NoSuchBucket", 404, f"bucket {bucket} does not exist") from None

    def _readable(self, bucket: str, key: str) -> "FakeKey":
        """The model of an object that can be read."""
        found = self._object(bucket, key)
        if not self._moto.lags.is_readable(bucket, key):
            raise ControlError("NoSuchKey", 404, f"{bucket}/{key} cannot be read yet")
        return found

    def _object(self, bucket: str, key: str) -> "FakeKey":
        """The model of an object, also of one that cannot be read yet."""
        found = self._bucket(bucket).keys.get(key)
        if not isinstance(found, self._moto.object_class):
            raise ControlError("NoSuchKey", 404, f"{bucket}/{key} does not exist")
        return found


def _info(model: "FakeKey") -> ObjectInfo:
    return ObjectInfo(
        key=model.name,
        size_bytes=model.contentsize,
        etag=model.etag.strip('"'),
        content_type=model.metadata.get("Content-Type") or default_content_type(model.name),
        last_modified=model.last_modified.replace(tzinfo=UTC).timestamp(),
    )
