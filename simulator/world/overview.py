"""Looks at LogStores, shippers and alarm policies in a thread of its own, and shows what it saw."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from simulator.api.simulation import AlarmPolicyView, LogServiceView, LogStoreStatus, ShipperView
from simulator.logstore import Overview, PolicyLook, ShipperLook, StoreLook
from simulator.world.views import Calendar

_STATES = {"": "ready", "LogStoreNotReady": "not ready", "LogStoreStopped": "stopped"}


class LogServiceLook:
    """The newest look at the log service.

    You must call ``close``.

    Args:
        overview: what is looked at.
        calendar: writes instants.
    """

    def __init__(self, overview: Overview, calendar: Calendar) -> None:
        self._overview = overview
        self._calendar = calendar
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="overview")
        self.view = LogServiceView(log_stores=(), shippers=(), alarm_policies=())
        """As it was at the newest ``refresh``."""

    async def refresh(self) -> None:
        """Look again. Nothing else is done in the thread, so no query is waited for."""
        loop = asyncio.get_running_loop()
        self.view = await loop.run_in_executor(self._executor, self._look)

    def close(self) -> None:
        """Let no more look. Fine to call twice."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> LogServiceView:
        look = self._overview.look()
        return LogServiceView(
            log_stores=tuple(map(self._log_store, look.stores)),
            shippers=tuple(map(self._shipper, look.shippers)),
            alarm_policies=tuple(map(self._policy, look.policies)),
        )

    def _log_store(self, look: StoreLook) -> LogStoreStatus:
        settings, holding = look.log_store.settings, look.holding
        index = "none" if settings.index is None else "on" if settings.index_enabled else "off"
        return LogStoreStatus(
            project=look.log_store.project,
            name=look.log_store.name,
            state=_STATES.get(look.refusal, look.refusal),
            index=index,
            records=None if holding is None else holding.record_count,
            oldest=None if holding is None else self._iso_ms(holding.oldest_ms),
            newest=None if holding is None else self._iso_ms(holding.newest_ms),
        )

    def _shipper(self, look: ShipperLook) -> ShipperView:
        shipper = look.shipper
        has_run = shipper.window_at > shipper.created_at
        return ShipperView(
            name=shipper.name,
            shipper_id=shipper.id,
            project=shipper.project,
            log_store=shipper.log_store,
            bucket=shipper.settings.bucket,
            status=shipper.status.value,
            last_run_at=self._calendar.iso(shipper.window_at) if has_run else None,
            records=look.record_count,
            error=shipper.error,
        )

    def _policy(self, look: PolicyLook) -> AlarmPolicyView:
        policy = look.policy
        has_run = policy.evaluated_at > policy.updated_at
        return AlarmPolicyView(
            name=policy.name,
            state=policy.state.value,
            error=look.error,
            alarms=sum(bool(watch.alarm_id) for watch in policy.watches),
            evaluated_at=self._calendar.iso(policy.evaluated_at) if has_run else None,
        )

    def _iso_ms(self, at_ms: int | None) -> str | None:
        return None if at_ms is None else self._calendar.iso(at_ms / 1000)
