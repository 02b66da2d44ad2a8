"""Moves the clock of a world and says what that made visible."""

import asyncio
from collections.abc import Callable
from typing import Final

from simulator.api.simulation import AdvanceReceipt
from simulator.clock import SimulatedClock
from simulator.delivery import Delivery
from simulator.errors import ControlError
from simulator.world.views import Calendar

_LATEST: Final = 221845392000.0
"""9000-01-01: dates beyond the year 9999 cannot be written."""


class Advancing:
    """One advance at a time, so that each receipt is of its own.

    Args:
        save: keeps the instant for the next run.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        delivery: Delivery,
        calendar: Calendar,
        save: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._delivery = delivery
        self._calendar = calendar
        self._save = save
        self._lock = asyncio.Lock()

    async def by(self, seconds: float) -> AdvanceReceipt:
        """Move the clock on and wait for all that becomes due.

        Raises:
            ControlError: InvalidParameter for an instant beyond what a date can say.
        """
        async with self._lock:
            return await self._to(self._clock.time() + seconds)

    async def to_next_delivery(self) -> AdvanceReceipt:
        """Move the clock to the next instant something becomes visible, if there is one."""
        async with self._lock:
            due_at = self._delivery.next_due_at()
            now = self._clock.time()
            return await self._to(now if due_at is None else max(now, due_at))

    async def _to(self, when: float) -> AdvanceReceipt:
        if when > _LATEST:
            raise ControlError(
                "InvalidParameter", 400, f"the clock goes as far as {self._calendar.iso(_LATEST)}"
            )
        before, mark = self._clock.time(), self._delivery.mark()
        await self._clock.advance_to(when)
        self._save()
        receipt, after = self._delivery.since(mark), self._clock.time()
        return AdvanceReceipt(
            from_time=self._calendar.iso(before),
            to_time=self._calendar.iso(after),
            advanced_s=round(after - before, 3),
            records=receipt.record_count,
            objects=receipt.object_count,
            by_flow_log=dict(receipt.by_flow_log),
            object_names=receipt.objects,
        )
