"""Objects as plain files under one directory, so that a delivered object outlives the process.

One directory per bucket, one file per object, named by its quoted key; the file's modification
time is the object's. What has an unusual content type has a second file, ``<name>?type``, and what
shows late a file ``<name>?lag``.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from simulator.objectstore.lags import Lag

_NAME_BYTES: Final = 200
"""File names end at 255; keys do not."""
_TEMPORARY: Final = "+new"
"""No quoted key contains a plus sign."""
_BUCKET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_TYPE_SUFFIX: Final = "?type"
"""Nor a question mark."""
_LAG_SUFFIX: Final = "?lag"


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredObject:
    """One object read back."""

    key: str
    body: bytes
    content_type: str
    last_modified: float
    lag: Lag | None = None


def can_be_directory(bucket: str) -> bool:
    """Whether a bucket's name can be that of a directory; clients may choose any."""
    return _BUCKET_NAME.fullmatch(bucket) is not None


def default_content_type(key: str) -> str:
    """The content type that needs no second file."""
    return "application/gzip" if key.endswith(".gz") else "application/octet-stream"


class Mirror:
    """The files of one object store.

    Raises:
        OSError: from every method, when the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def buckets(self) -> list[str]:
        """The names of all buckets."""
        return sorted(path.name for path in self._directory.iterdir() if path.is_dir())

    def add_bucket(self, bucket: str) -> None:
        """Make a bucket; nothing happens if there is one."""
        (self._directory / bucket).mkdir(exist_ok=True)

    def remove_bucket(self, bucket: str) -> None:
        """Delete a bucket and what is in it; nothing happens if there is none."""
        shutil.rmtree(self._directory / bucket, ignore_errors=True)

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object; nothing happens if there is none."""
        path = self._path(bucket, key)
        path.unlink(missing_ok=True)
        path.with_name(path.name + _TYPE_SUFFIX).unlink(missing_ok=True)
        path.with_name(path.name + _LAG_SUFFIX).unlink(missing_ok=True)

    def write(
        self,
        bucket: str,
        key: str,
        body: bytes | Path,
        content_type: str,
        last_modified: float,
        lag: Lag | None = None,
    ) -> None:
        """Store an object whole or not at all; the one of that name before is replaced."""
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        type_path = path.with_name(path.name + _TYPE_SUFFIX)
        lag_path = path.with_name(path.name + _LAG_SUFFIX)
        if lag is not None:
            lag_path.write_text(f"{lag.listed_at!r} {lag.readable_at!r}")
        if content_type != default_content_type(key):
            type_path.write_text(content_type)
        temporary = self._directory / bucket / _TEMPORARY
        if isinstance(body, Path):
            shutil.copyfile(body, temporary)
        else:
            temporary.write_bytes(body)
        stamp_ns = round(last_modified * 1_000_000) * 1000
        os.utime(temporary, ns=(stamp_ns, stamp_ns))
        temporary.replace(path)
        if content_type == default_content_type(key):
            type_path.unlink(missing_ok=True)
        if lag is None:
            lag_path.unlink(missing_ok=True)

    def read(self, bucket: str) -> Iterator[MirroredObject]:
        """Every object of a bucket, in the order of their keys' file names."""
        root = self._directory / bucket
        for path in sorted(root.rglob("*")):
            if path.name == _TEMPORARY or path.name.endswith((_TYPE_SUFFIX, _LAG_SUFFIX)):
                continue
            if not path.is_file():
                continue
            key = _key(path.relative_to(root))
            type_path = path.with_name(path.name + _TYPE_SUFFIX)
            yield MirroredObject(
                key=key,
                body=path.read_bytes(),
                content_type=type_path.read_text()
                if type_path.exists()
                else default_content_type(key),
                last_modified=path.stat().st_mtime_ns / 1_000_000_000,
                lag=_read_lag(path.with_name(path.name + _LAG_SUFFIX)),
            )

    def _path(self, bucket: str, key: str) -> Path:
        """One file per key: no key is the parent of another, none leaves the directory."""
        name = quote(key, safe="")
        if name.startswith("."):
            name = "%2E" + name[1:]
        cuts = range(0, max(len(name) - 1, 0) // _NAME_BYTES * _NAME_BYTES, _NAME_BYTES)
        parents = ["+" + name[at : at + _NAME_BYTES] for at in cuts]
        return Path(self._directory, bucket, *parents, name[len(parents) * _NAME_BYTES :])


def _read_lag(path: Path) -> Lag | None:
    if not path.exists():
        return None
    try:
        listed_at, readable_at = map(float, path.read_text().split())
    except ValueError:
        return None  # a crash cut it off before its object was there
    return Lag(listed_at=listed_at, readable_at=readable_at)


def _key(path: Path) -> str:
    return unquote("".join(part.removeprefix("+") for part in path.parts))
