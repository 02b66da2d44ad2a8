"""What LogStores hold and how the work on them stands: for people, not for calls of the service.

It counts anew only what has come since the last look, so that looking often costs nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError
from simulator.logstore.alarms import AlarmPolicy, Alarms
from simulator.logstore.availability import Availability
from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Database
from simulator.logstore.retention import oldest_ms
from simulator.logstore.shippers import Shipper, Shippers
from simulator.logstore.values import LogStore
from simulator.logstore.watchdog import QueryHandle

LOOK_S: Final = 1.0
"""Real seconds that a look may take; what is not counted by then is unknown to it."""
_FOR_EVER_MS: Final = -(2**62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The records of a LogStore that can be read."""

    record_count: int = 0
    oldest_ms: int | None = None
    """The earliest of their timestamps; None without any."""
    newest_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLook:
    """A LogStore at a moment."""

    log_store: LogStore
    holding: Holding | None
    """None: it could not be counted in time."""
    refusal: str
    """The code that calls get which want records; empty when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperLook:
    """A shipper at a moment."""

    shipper: Shipper
    record_count: int | None
    """Shipped in the last 180 days; None: it could not be counted in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLook:
    """An alarm policy at a moment."""

    policy: AlarmPolicy
    error: str
    """Why its newest evaluation failed, in some LogStore; empty when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything at a moment."""

    stores: tuple[StoreLook, ...]
    shippers: tuple[ShipperLook, ...]
    policies: tuple[PolicyLook, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What was counted, and of what."""

    holding: Holding
    next_seq: int
    """Records from this on are not in it."""
    log_store: LogStore
    """With the settings it was counted under."""


class Overview:
    """Looks at everything. Safe from any thread; one look at a time."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        clock: Clock,
        *,
        availability: Availability,
        shippers: Shippers,
        alarms: Alarms,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._availability = availability
        self._shippers = shippers
        self._alarms = alarms
        self._lock = Lock()
        self._counted: Mapping[int, _Counted] = {}
        """By id of the LogStore."""

    def look(self) -> Look:
        """How everything is now; waits for no query, and not long for anything else."""
        with self._lock:
            handle = QueryHandle()
            handle.begin(LOOK_S)
            states = tuple(self._catalog.stores.values())
            counted = {state.id: self._count(state, handle) for state in states}
            self._counted = {
                id_: one
                for id_, now in counted.items()
                if (one := now or self._counted.get(id_)) is not None
            }
            shipped = self._shipped(handle)
            policies = tuple(self._policies(handle))
        return Look(
            stores=tuple(self._store(state, counted[state.id]) for state in states),
            shippers=tuple(
                ShipperLook(
                    shipper=one, record_count=None if shipped is None else shipped.get(one.id, 0)
                )
                for one in self._shippers.list_all()
            ),
            policies=policies,
        )

    def _store(self, state: StoreState, counted: _Counted | None) -> StoreLook:
        refusal = self._availability.look(state)
        return StoreLook(
            log_store=state.log_store,
            holding=None if counted is None else counted.holding,
            refusal="" if refusal is None else refusal.code,
        )

    def _count(self, state: StoreState, handle: QueryHandle) -> _Counted | None:
        """Add what has come to what is known; count all again where some of that has gone."""
        next_seq, log_store = state.next_seq, state.log_store
        oldest = oldest_ms(state, self._clock.time())
        kept_ms = _FOR_EVER_MS if oldest is None else oldest
        known = self._counted.get(state.id)
        if known is None or known.log_store is not log_store or _has_lost(known.holding, kept_ms):
            known = _Counted(holding=Holding(), next_seq=0, log_store=log_store)
        holding = known.holding
        if known.next_seq < next_seq:
            try:
                with self._database.reading(handle) as cursor:
                    row = cursor.execute(
                        f"SELECT count(*), min(ts), max(ts) FROM {state.table}"
                        f" WHERE seq >= {known.next_seq} AND seq < {next_seq} AND ts >= {kept_ms}"
                    ).fetchone()
            except ControlError:
                return None
            assert row is not None
            holding = _together(
                holding, Holding(record_count=row[0], oldest_ms=row[1], newest_ms=row[2])
            )
        return _Counted(holding=holding, next_seq=next_seq, log_store=log_store)

    def _shipped(self, handle: QueryHandle) -> Mapping[str, int] | None:
        try:
            return self._shippers.shipped_counts(handle) if self._shippers.list_all() else {}
        except ControlError:
            return None

    def _policies(self, handle: QueryHandle) -> Iterator[PolicyLook]:
        policies = self._alarms.list_policies()
        try:
            errors = self._alarms.newest_errors(handle) if policies else {}
        except ControlError:
            errors = {}
        for policy in policies:
            at, error = errors.get(policy.id, (0.0, ""))
            yield PolicyLook(policy=policy, error=error if at == policy.evaluated_at else "")


def _has_lost(holding: Holding, kept_ms: int) -> bool:
    return holding.oldest_ms is not None and holding.oldest_ms < kept_ms


def _together(one: Holding, other: Holding) -> Holding:
    oldest = [at for at in (one.oldest_ms, other.oldest_ms) if at is not None]
    newest = [at for at in (one.newest_ms, other.newest_ms) if at is not None]
    return Holding(
        record_count=one.record_count + other.record_count,
        oldest_ms=min(oldest, default=None),
        newest_ms=max(newest, default=None),
    )
