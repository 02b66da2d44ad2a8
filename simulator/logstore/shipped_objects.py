"""Remembers the objects of a window that is being shipped, until it is done.

A window that fails may be shipped again under other settings, and then has other objects. What is
left of those before would hold its records a second time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from simulator.logstore.database import SCHEMA, Database, Transaction

_TABLE: Final = f"{SCHEMA}.shipped_objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedObject:
    """Where an object is, or may be: it is remembered before it is put."""

    bucket: str
    key: str


class ShippedObjects:
    """The objects of windows that are not done, by shipper."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as transaction:
            transaction.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE}"
                "(shipper VARCHAR, bucket VARCHAR, object_key VARCHAR)"
            )

    def remember(self, shipper: str, one: ShippedObject) -> None:
        """Keep that an object is about to be put."""
        values = [shipper, one.bucket, one.key]
        with self._database.writing() as transaction:
            transaction.cursor.execute(
                f"INSERT INTO {_TABLE} SELECT $1, $2, $3 WHERE NOT EXISTS (FROM {_TABLE}"
                " WHERE shipper = $1 AND bucket = $2 AND object_key = $3)",
                values,
            )

    def stale(self, shipper: str, kept: Collection[ShippedObject]) -> list[ShippedObject]:
        """What an earlier try has put, or may have, and ``kept`` has not."""
        with self._database.inspecting() as cursor:
            rows = cursor.execute(
                f"SELECT bucket, object_key FROM {_TABLE} WHERE shipper = $id ORDER BY ALL",
                {"id": shipper},
            ).fetchall()
        found = [ShippedObject(bucket=bucket, key=key) for bucket, key in rows]
        return [one for one in found if one not in kept]

    def forget(self, transaction: Transaction, shipper: str) -> None:
        """The window is done, or never will be."""
        transaction.cursor.execute(f"DELETE FROM {_TABLE} WHERE shipper = ?", [shipper])
