"""The flow logs of a simulation: made by the scenario and over the API, changed while it runs.

What is changed is kept in a file before it takes effect, so that a restart goes on with it. A
change falls between segments of the spool: a record belongs to the state at its writing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path

from simulator.api.flow_log_values import FlowLogEdit, FlowLogInfo, FlowLogRequest
from simulator.clock import Clock, Hold
from simulator.delivery import Delivery, FlowLogVersion
from simulator.delivery.fault_board import FaultBoard
from simulator.errors import ControlError
from simulator.model import FlowLog, FlowLogId
from simulator.model.fault_catalogue import FaultStage
from simulator.model.faults import FaultKind
from simulator.rng import Rng
from simulator.spool import Spool
from simulator.world.flow_log_rules import FlowLogRules, target_of
from simulator.world.flow_log_state import Change, ChangeKind, Kept, State, read_state
from simulator.world.state import keep

_log = logging.getLogger(__name__)


class FlowLogs:
    """The registry behind the API of flow logs.

    Args:
        scenario: the scenario's flow logs.
        file: keeps what is changed.
        rules: says what may be made.
        board: has the faults that put changes off.
        spawn: runs work that a timer sets off.
        on_renamed: told the name before and after.

    Raises:
        StartupError: the file is damaged.

    ``attach`` it to the delivery before the first call.
    """

    def __init__(
        self,
        scenario: tuple[FlowLog, ...],
        file: Path,
        *,
        rules: FlowLogRules,
        board: FaultBoard,
        clock: Clock,
        rng: Rng,
        spawn: Callable[[Coroutine[None, None, None], str], object],
        on_renamed: Callable[[str, str], None],
    ) -> None:
        self._file = file
        self._rules = rules
        self._board = board
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._on_renamed = on_renamed
        kept = read_state(file)
        for name in kept.unlike(scenario):
            _log.warning(
                "flow log %s is not as the scenario has it: what was changed over the API, or kept "
                "with it in %s, goes on; `blbsim flowlog list` shows it",
                name,
                file,
            )
        self._state = kept.with_scenario(scenario, clock.time())
        self._one_at_a_time = asyncio.Lock()
        self._delivery: Delivery | None = None
        self._spool: Spool | None = None

    def versions(self) -> tuple[FlowLogVersion, ...]:
        """What delivery begins with."""
        return self._state.open_versions()

    def deleted(self) -> tuple[FlowLogId, ...]:
        """Those of them that there are no more, but for what they still owe."""
        return self._state.deleted

    def attach(self, delivery: Delivery, spool: Spool) -> None:
        """Go on with changes that were put off, now that there is something to change."""
        self._delivery, self._spool = delivery, spool
        for change in self._state.changes:
            self._schedule(change)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all flow logs."""
        return tuple(kept.flow_log.name for kept in self._state.flow_logs)

    @property
    def flow_logs(self) -> tuple[FlowLog, ...]:
        """Those that records of a load balancer go to."""
        return tuple(kept.flow_log for kept in self._state.flow_logs if kept.is_served)

    # -- what the API asks ------------------------------------------------------------------

    def list(self) -> tuple[FlowLogInfo, ...]:
        """See ``FlowLogRegistry.list``."""
        return tuple(self._info(kept) for kept in self._state.flow_logs)

    def get(self, flow_log_id: str) -> FlowLogInfo:
        """See ``FlowLogRegistry.get``."""
        return self._info(self._found(flow_log_id))

    async def create(self, request: FlowLogRequest) -> FlowLogInfo:
        """See ``FlowLogRegistry.create``."""
        async with self._one_at_a_time:
            existing = tuple(kept.flow_log for kept in self._state.flow_logs)
            destination, delay = self._rules.check(request, existing)
            flow_log = FlowLog(
                flow_log_id=self._free_id(request.name),
                name=request.name,
                load_balancer_id=self._rules.load_balancer_id(request.resource_id),
                destination=destination,
                delay=delay,
            )
            kept = Kept(
                flow_log=flow_log,
                description=request.description,
                resource_type=request.resource_type,
                resource_id=request.resource_id,
                layer=request.layer,
                created_at=self._clock.time(),
                is_running=True,
                is_served=request.resource_type == "blb",
            )
            if kept.is_served:
                await self._change(self._state.with_flow_log(kept), flow_log, opens=True)
            else:
                self._keep(self._state.with_flow_log(kept))
            return self._info(kept)

    async def update(self, flow_log_id: str, edit: FlowLogEdit) -> FlowLogInfo:
        """See ``FlowLogRegistry.update``."""
        async with self._one_at_a_time:
            kept = self._found(flow_log_id)
            before = kept.flow_log
            others = tuple(
                one.flow_log
                for one in self._state.flow_logs
                if one.flow_log.flow_log_id != flow_log_id
            )
            flow_log = self._rules.edited(before, edit, others)
            description = kept.description if edit.description is None else edit.description
            self._rules.check_description(description)
            kept = replace(kept, flow_log=flow_log, description=description)
            state = self._state.with_flow_log(kept)
            moved = flow_log.destination != before.destination
            if moved and kept.is_running and kept.is_served:
                await self._change(state, flow_log, ends=True, opens=True)
            else:
                self._keep(state)
            if kept.is_served:
                self._attached()[0].rename(flow_log)
            if flow_log.name != before.name:
                self._on_renamed(before.name, flow_log.name)
            return self._info(kept)

    async def start(self, flow_log_id: str) -> FlowLogInfo:
        """See ``FlowLogRegistry.start``."""
        return await self._set_running(flow_log_id, running=True)

    async def stop(self, flow_log_id: str) -> FlowLogInfo:
        """See ``FlowLogRegistry.stop``."""
        return await self._set_running(flow_log_id, running=False)

    async def delete(self, flow_log_id: str) -> None:
        """See ``FlowLogRegistry.delete``."""
        async with self._one_at_a_time:
            kept = self._found(flow_log_id)
            state = self._state.without_flow_log(kept.flow_log.flow_log_id)
            if not kept.is_served:
                self._keep(state)
                return
            delivery, _ = self._attached()
            if kept.is_running:
                # Nothing puts a deletion off: there would be nothing left to show it.
                await self._end(state, kept.flow_log)
            else:
                self._keep(state)
            delivery.forget(kept.flow_log.flow_log_id)

    async def _set_running(self, flow_log_id: str, *, running: bool) -> FlowLogInfo:
        async with self._one_at_a_time:
            kept = self._found(flow_log_id)
            if kept.is_running != running:
                kept = replace(kept, is_running=running)
                state = self._state.with_flow_log(kept)
                if kept.is_served:
                    await self._change(state, kept.flow_log, ends=not running, opens=running)
                else:
                    self._keep(state)
            return self._info(kept)

    # -- how a change takes effect ----------------------------------------------------------

    async def _change(
        self, state: State, flow_log: FlowLog, *, ends: bool = False, opens: bool = False
    ) -> None:
        """Let ``state`` take effect: now, or when a fault lets it."""
        end_lag_s, open_lag_s = self._lags(flow_log, state.change_count)
        now = self._clock.time()
        changes = []
        if ends:
            changes.append(
                Change(flow_log_id=flow_log.flow_log_id, kind=ChangeKind.END, at=now + end_lag_s)
            )
        if opens:
            changes.append(
                Change(flow_log_id=flow_log.flow_log_id, kind=ChangeKind.OPEN, at=now + open_lag_s)
            )
        self._keep(state.with_changes(tuple(changes)))
        for change in changes:
            if change.at <= now:
                await self._apply(change)
            else:
                self._schedule(change)

    def _lags(self, flow_log: FlowLog, number: int) -> tuple[float, float]:
        """How long after a change the old settings end, and the new ones begin."""
        now = self._clock.time()
        for fault in self._board.faults(FaultStage.MANAGEMENT):
            if (
                fault.kind is FaultKind.CONFLAG
                and fault.is_active(now)
                and fault.flow_log in ("", flow_log.name)
            ):
                hit = self._board.hits(fault, flow_log.flow_log_id, number)
                self._board.count(fault.name, 1, int(hit))
                if hit:
                    lag_s = fault.number("lag")
                    return (lag_s, lag_s) if fault.text("form") == "old" else (0.0, lag_s)
        return 0.0, 0.0

    def _schedule(self, change: Change) -> None:
        def begin() -> None:
            self._spawn(self._apply_later(change), f"flow log {change.flow_log_id} changes")

        self._clock.call_at(change.at, begin)

    async def _apply_later(self, change: Change) -> None:
        with Hold(self._clock):
            async with self._one_at_a_time:
                if change in self._state.changes:
                    await self._apply(change)

    async def _apply(self, change: Change) -> None:
        kept = self._state.find(change.flow_log_id)
        state = self._state.without_change(change)
        if kept is None:
            self._keep(state)
        elif change.kind is ChangeKind.END:
            await self._end(state, kept.flow_log)
        else:
            delivery, _ = self._attached()
            version = state.next_version(kept.flow_log, await self._cut(kept.flow_log))
            self._keep(state.with_version(version))
            delivery.open(version)

    async def _end(self, state: State, flow_log: FlowLog) -> None:
        upto = await self._cut(flow_log)
        self._keep(state.with_end(flow_log.flow_log_id, upto))
        self._attached()[0].end(flow_log.flow_log_id, upto)

    async def _cut(self, flow_log: FlowLog) -> Mapping[str, int]:
        return await self._attached()[1].cut(flow_log.load_balancer_id)

    def _attached(self) -> tuple[Delivery, Spool]:
        if self._delivery is None or self._spool is None:
            raise ControlError("ServiceUnavailable", 503, "the simulation is not up yet")
        return self._delivery, self._spool

    # -- state ------------------------------------------------------------------------------

    def _keep(self, state: State) -> None:
        """Make ``state`` the state, on disk first."""
        keep(self._file, state.encode())
        self._state = state

    def _found(self, flow_log_id: str) -> Kept:
        kept = self._state.find(FlowLogId(flow_log_id))
        if kept is None:
            raise ControlError("FlowLogNotFound", 404, f"flow log {flow_log_id} does not exist")
        return kept

    def _free_id(self, name: str) -> FlowLogId:
        return FlowLogId(self._rng.hex_id("fl-", "flow log", name, self._state.change_count))

    def _info(self, kept: Kept) -> FlowLogInfo:
        flow_log = kept.flow_log
        return FlowLogInfo(
            flow_log_id=flow_log.flow_log_id,
            name=flow_log.name,
            description=kept.description,
            resource_type=kept.resource_type,
            resource_id=kept.resource_id,
            layer=kept.layer,
            target=target_of(flow_log.destination),
            status=self._status(kept),
            created_at=kept.created_at,
        )

    def _status(self, kept: Kept) -> str:
        if not kept.is_running:
            return "stopped"
        if self._delivery is not None and kept.is_served:
            for status in self._delivery.status():
                if status.flow_log_id == kept.flow_log.flow_log_id:
                    return "abnormal" if status.status == "abnormal" else "running"
        return "running"
