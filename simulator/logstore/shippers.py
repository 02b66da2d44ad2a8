"""Log shippers: what there is to ship, where to, and how far each has come.

The shipping itself is a job of its own, in ``shipping``.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, invalid, within
from simulator.logstore.catalog import Catalog
from simulator.logstore.client_time import newest_s, oldest_s
from simulator.logstore.database import SCHEMA, Database, Transaction
from simulator.logstore.resources import ResourceTable, check_room
from simulator.logstore.shipped_objects import ShippedObjects
from simulator.logstore.shipper_settings import (
    ShipperSettings,
    check_shipper_name,
    check_shipper_settings,
)
from simulator.logstore.watchdog import QueryHandle

MAX_SHIPPERS: Final = 300
"""Source: doc https://cloud.baidu.com/doc/BLS (CreateLogShipper page; the limits page says 100)."""
MAX_PAST_S: Final = 180 * 86_400
RECORDS_KEPT_S: Final = 4320 * 3600
"""Source: doc https://cloud.baidu.com/doc/BLS (``sinceHours`` goes as far)."""

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RUNS: Final = f"{SCHEMA}.shipper_runs"


class ShipperStatus(StrEnum):
    """Whether a shipper ships."""

    RUNNING = "Running"
    ABNORMAL = "Abnormal"
    """Its last run failed; it tries again."""
    PAUSED = "Paused"
    DELETED = "Deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipper:
    """A log shipper and how far it has come."""

    id: str
    name: str
    project: str
    log_store: str
    start: str
    """From when on records are shipped, as it was sent."""
    start_ms: int
    settings: ShipperSettings
    created_at: float
    status: ShipperStatus = ShipperStatus.RUNNING
    error: str = ""
    """Why it is abnormal."""
    shipped_seq: int = -1
    """``@seq`` of the newest record that is in the bucket."""
    window_at: float
    """Where the next run's window begins: the end of the last."""
    retry_at: float = 0.0
    """After a failure: not before this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperRun:
    """One delivery of a shipper."""

    started_at: float
    ended_at: float
    record_count: int


class Shippers:
    """Every log shipper. Deleted ones stay, to be described as such."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._table = ResourceTable(database, "shippers", Shipper)
        self.objects = ShippedObjects(database)
        """Of windows that are not done."""
        with database.writing() as transaction:
            transaction.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_RUNS}"
                "(shipper VARCHAR, started_at DOUBLE, ended_at DOUBLE, record_count BIGINT)"
            )

    def create(
        self,
        *,
        name: str,
        project: str,
        log_store: str,
        start: str,
        start_ms: int,
        settings: ShipperSettings,
    ) -> str:
        """Make a shipper, which runs at once; its id.

        Source: observed in SDK tests: what is wrong with the settings is told before a missing
        LogStore is. The bounds of the start are documented.

        Raises:
            ControlError: InvalidParameter, LogStoreNotFound, ResourceOverflow.
        """
        check_shipper_name(name)
        with within("destConfig"):
            check_shipper_settings(settings)
        now, start_s = self._clock.time(), start_ms / 1000
        if not oldest_s(self._clock, MAX_PAST_S) <= start_s <= newest_s(self._clock):
            expected = "expected a time at most 180 days ago and 24 hours ahead"
            raise invalid("startTime", expected, start)
        with self._database.writing() as transaction:
            self._catalog.store(project, log_store)
            check_room("logShippers", len(self.list_all()), MAX_SHIPPERS)
            id_ = _make_id(f"{self._catalog.next_number(transaction)}/{project}/{log_store}/{name}")
            made = Shipper(
                id=id_,
                name=name,
                project=project,
                log_store=log_store,
                start=start,
                start_ms=start_ms,
                settings=settings,
                created_at=now,
                window_at=now,
            )
            self._table.put(transaction, id_, made)
        return id_

    def update(
        self, id_: str, name: str, change: Callable[[ShipperSettings], ShipperSettings]
    ) -> None:
        """Rename a shipper, unless ``name`` is empty, and change its settings.

        Raises:
            ControlError: LogShipperNotFound, InvalidParameter.
        """
        with self._database.writing() as transaction:
            before = self._living(id_)
            after = replace(before, name=name or before.name, settings=change(before.settings))
            check_shipper_name(after.name)
            with within("destConfig"):
                check_shipper_settings(after.settings)
            self._table.put(transaction, id_, after)

    def describe(self, id_: str) -> Shipper:
        """The shipper with this id; a deleted one too.

        Source: observed in SDK tests: what was deleted is described as ``Deleted``.

        Raises:
            ControlError: LogShipperNotFound.
        """
        found = self._table.items.get(id_)
        if found is None:
            raise ControlError("LogShipperNotFound", 404, f"LogShipper [{id_}] not found")
        return found

    def list_all(self) -> list[Shipper]:
        """Every shipper that is not deleted, in the order made."""
        return [one for one in self._table.items.values() if one.status != ShipperStatus.DELETED]

    def set_status(self, ids: Sequence[str], status: str, *, strict: bool) -> None:
        """Let shippers run or pause.

        A shipper that ran into trouble and is set running tries again at once.

        Args:
            ids: of the shippers.
            status: Running or Paused.
            strict: whether an unknown id is an error; else it is passed over (assumed).

        Raises:
            ControlError: InvalidParameter; LogShipperNotFound when ``strict``.
        """
        if status not in {ShipperStatus.RUNNING, ShipperStatus.PAUSED}:
            raise invalid("desiredStatus", "expected Running or Paused", status)
        self._set(ids, ShipperStatus(status), strict=strict)

    def delete(self, ids: Sequence[str], *, strict: bool) -> None:
        """End shippers for good; see ``set_status``.

        Raises:
            ControlError: LogShipperNotFound when ``strict``.
        """
        self._set(ids, ShipperStatus.DELETED, strict=strict)

    def end_for(self, transaction: Transaction, project: str, log_store: str) -> None:
        """End the shippers of a LogStore that is being deleted (assumed)."""
        for one in self.list_all():
            if (one.project, one.log_store) == (project, log_store):
                self._put_status(transaction, one, ShipperStatus.DELETED)

    def runs(self, id_: str, since: float) -> list[ShipperRun]:
        """Deliveries of a shipper that ended at ``since`` or later, oldest first.

        Raises:
            ControlError: LogShipperNotFound.
        """
        self.describe(id_)
        with self._database.reading() as cursor:
            rows = cursor.execute(
                f"SELECT started_at, ended_at, record_count FROM {_RUNS}"
                " WHERE shipper = $id AND ended_at >= $since ORDER BY started_at",
                {"id": id_, "since": since},
            ).fetchall()
        return [ShipperRun(started_at=a, ended_at=b, record_count=count) for a, b, count in rows]

    def shipped_counts(self, handle: QueryHandle) -> Mapping[str, int]:
        """How many records each shipper has shipped in the last 180 days, by its id.

        Raises:
            ControlError: ExecutionTimeout.
        """
        with self._database.reading(handle) as cursor:
            sql = f"SELECT shipper, sum(record_count) FROM {_RUNS} GROUP BY shipper"
            rows = cursor.execute(sql).fetchall()
        return {shipper: int(count) for shipper, count in rows}

    def finish(self, id_: str, run: ShipperRun, shipped_seq: int) -> Shipper:
        """Keep that a window is in the bucket: cursor and entry in one transaction."""
        with self._database.writing() as transaction:
            before = self.describe(id_)
            trouble = before.status is ShipperStatus.ABNORMAL
            after = replace(
                before,
                status=ShipperStatus.RUNNING if trouble else before.status,
                error="",
                retry_at=0.0,
                shipped_seq=shipped_seq,
                window_at=run.ended_at,
            )
            self._table.put(transaction, id_, after)
            self.objects.forget(transaction, id_)
            if run.record_count:
                transaction.cursor.execute(
                    f"DELETE FROM {_RUNS} WHERE ended_at < ?", [run.ended_at - RECORDS_KEPT_S]
                )
                transaction.cursor.execute(
                    f"INSERT INTO {_RUNS} VALUES (?, ?, ?, ?)",
                    [id_, run.started_at, run.ended_at, run.record_count],
                )
        return after

    def fail(self, id_: str, error: str, retry_at: float) -> None:
        """Keep that a run failed: the shipper is abnormal until one succeeds."""
        with self._database.writing() as transaction:
            before = self.describe(id_)
            if before.status in {ShipperStatus.RUNNING, ShipperStatus.ABNORMAL}:
                after = replace(
                    before, status=ShipperStatus.ABNORMAL, error=error, retry_at=retry_at
                )
                self._table.put(transaction, id_, after)
            elif before.status is ShipperStatus.DELETED:
                self.objects.forget(transaction, id_)  # nobody goes on with its window

    def _set(self, ids: Sequence[str], status: ShipperStatus, *, strict: bool) -> None:
        with self._database.writing() as transaction:
            for id_ in dict.fromkeys(ids):
                try:
                    before = self._living(id_)
                except ControlError:
                    if strict:
                        raise
                    continue
                self._put_status(transaction, before, status)

    def _put_status(self, transaction: Transaction, before: Shipper, status: ShipperStatus) -> None:
        after = replace(before, status=status, error="", retry_at=0.0)
        self._table.put(transaction, before.id, after)
        if status is ShipperStatus.DELETED:
            self.objects.forget(transaction, before.id)

    def _living(self, id_: str) -> Shipper:
        found = self.describe(id_)
        if found.status is ShipperStatus.DELETED:
            raise ControlError("LogShipperNotFound", 404, f"LogShipper [{id_}] not found")
        return found


def _make_id(seed: str) -> str:
    """24 letters and digits. Source: observed ids (2025)."""
    number = int.from_bytes(hashlib.blake2b(f"shipper/{seed}".encode(), digest_size=24).digest())
    digits = []
    for _ in range(24):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
