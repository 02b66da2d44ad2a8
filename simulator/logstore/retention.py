"""Deletes what is older than its LogStore keeps records."""

import math
from typing import Final

from simulator.clock import Clock
from simulator.logstore.catalog import Catalog, StoreState
from simulator.logstore.database import Database
from simulator.logstore.upkeep import IsStopped, never

EVERY_S: Final = 3600.0
"""How often it is looked. Source: assumed: expired records are hidden at once (`oldest_ms`), so
nobody sees when they are deleted."""
SLICE_ROWS: Final = 50_000
"""Deleted in one transaction: other writers wait this long and no longer."""
DAY_S: Final = 86_400


def oldest_ms(state: StoreState, now: float) -> int | None:
    """The time of the oldest record that a LogStore still keeps; None if it keeps all.

    Source: assumed: judged by a record's own time and not by its receipt.
    """
    days = state.log_store.settings.retention_days
    return None if days < 0 else int((now - days * DAY_S) * 1000)


class Retention:
    """Expires records on the clock, a slice at a time."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._done_at = clock.time()
        self._has_deleted = False
        """Since space was last given back."""

    def next_at(self) -> float | None:
        """When it is time to look: at every full hour."""
        return (math.floor(self._done_at / EVERY_S) + 1) * EVERY_S

    def run(self, now: float, is_stopped: IsStopped = never) -> None:
        """Delete all that has expired, and give its space back."""
        self._done_at = now
        for state in tuple(self._catalog.stores.values()):
            oldest = oldest_ms(state, now)
            while not is_stopped() and oldest is not None and self._delete_some(state, oldest, now):
                pass
        if self._has_deleted and self._database.reclaim():
            self._has_deleted = False

    def _delete_some(self, state: StoreState, oldest: int, now: float) -> bool:
        """Delete one slice; whether there may be more."""
        with self._database.writing() as transaction:
            # Deleted meanwhile, or given another retention: the next look sees that.
            if self._catalog.stores.get(state.key) is not state:
                return False
            deleted = transaction.cursor.execute(
                f"DELETE FROM {state.table} WHERE rowid IN"
                f" (SELECT rowid FROM {state.table} WHERE ts < $oldest"
                # Rows that only keep others apart; see the loader.
                f" OR (ts IS NULL AND sequence < $oldest) LIMIT {SLICE_ROWS})",
                {"oldest": oldest},
            ).fetchone()
            count = 0 if deleted is None else int(deleted[0])
            if count:
                self._catalog.keep_clock(transaction, now)
        self._has_deleted = self._has_deleted or count > 0
        return count == SLICE_ROWS
