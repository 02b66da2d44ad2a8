"""Keeps one kind of resource: in a table as JSON, mirrored in memory in the order made."""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec

from simulator.errors import ControlError
from simulator.logstore.database import SCHEMA, Database, Transaction

T = TypeVar("T")

_ENCODER: Final = msgspec.json.Encoder()


class ResourceTable(Generic[T]):
    """Resources of one kind by key.

    A change belongs to a transaction and is seen once that has committed. Changes come one at a
    time; reads need no lock, since they see one mapping or the next.

    Args:
        database: holds the table; read at once.
        name: of the table.
        kind: the frozen dataclass that is kept.
    """

    def __init__(self, database: Database, name: str, kind: type[T]) -> None:
        self._table = f"{SCHEMA}.{name}"
        self._decoder = msgspec.json.Decoder(kind)
        self._positions: Mapping[str, int] = {}
        self.items: Mapping[str, T] = {}
        """By key, in the order they were made."""
        with database.writing() as transaction:
            transaction.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table}"
                "(position BIGINT, key VARCHAR, body VARCHAR)"
            )
            rows = transaction.cursor.execute(
                f"SELECT position, key, body FROM {self._table} ORDER BY position"
            ).fetchall()
        self._positions = {key: position for position, key, _ in rows}
        self.items = {key: self._decoder.decode(body) for _, key, body in rows}
        self._next = max(self._positions.values(), default=-1) + 1

    def put(self, transaction: Transaction, key: str, value: T) -> None:
        """Keep ``value`` under ``key``, in the place of what was there."""
        position = self._positions.get(key, self._next)
        self._next = max(self._next, position + 1)
        self._delete(transaction, key)
        transaction.cursor.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?)",
            [position, key, _ENCODER.encode(value).decode()],
        )

        def show() -> None:
            self._positions = {**self._positions, key: position}
            self.items = {**self.items, key: value}

        transaction.after_commit(show)

    def remove(self, transaction: Transaction, key: str) -> None:
        """Keep nothing under ``key`` any more."""
        self._delete(transaction, key)

        def show() -> None:
            self._positions = {k: v for k, v in self._positions.items() if k != key}
            self.items = {k: v for k, v in self.items.items() if k != key}

        transaction.after_commit(show)

    def _delete(self, transaction: Transaction, key: str) -> None:
        transaction.cursor.execute(f"DELETE FROM {self._table} WHERE key = ?", [key])


def check_room(kind: str, count: int, most: int) -> None:
    """Refuse one more where there are as many as there may be.

    Source: doc https://cloud.baidu.com/doc/BLS for the message, of LogStores.

    Raises:
        ControlError: ResourceOverflow.
    """
    if count >= most:
        raise ControlError(
            "ResourceOverflow", 403, f"The number of {kind} reaches the limit, {most}"
        )
