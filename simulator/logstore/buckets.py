"""What the LogStores need of an object store; they do not see the one there is."""

from pathlib import Path
from typing import Protocol


class Buckets(Protocol):
    """What the LogStores need of an object store."""

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        ...

    def put_object(
        self, bucket: str, key: str, body: bytes | Path, content_type: str, *, last_modified: float
    ) -> object:
        """Store an object, replacing one of the same key; a file is copied piece by piece.

        Raises:
            ControlError: NoSuchBucket.
            OSError: the disk refused it.
        """
        ...

    def delete_object(self, bucket: str, key: str) -> None:
        """Remove an object; nothing happens where it or its bucket is not there.

        Raises:
            OSError: the disk refused it.
        """
        ...
