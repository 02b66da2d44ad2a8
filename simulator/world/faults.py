"""The faults of a simulation as its faces see them; those added by hand outlive a restart."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

import msgspec

from simulator.accesslog import FIELDS
from simulator.api.simulation import FaultView
from simulator.clock import Clock
from simulator.delivery.fault_board import FaultBoard, FaultReport
from simulator.errors import ControlError
from simulator.model.fault_text import parse_fault, show_fault
from simulator.model.faults import Fault
from simulator.rng import Rng
from simulator.world.state import keep, read_kept

_FIELDS = tuple(field.name for field in FIELDS)


class _Changes(msgspec.Struct):
    """What was changed by hand, against the scenario's faults."""

    added: tuple[Fault, ...] = ()
    removed: tuple[str, ...] = ()
    """Names of the scenario's."""
    flow_logs: dict[str, str] = {}
    """By name of one of the scenario's: what the flow log it names is called now."""


class Faults:
    """The board of faults, its changes by hand kept in a file.

    Args:
        scenario: the scenario's faults, at their instants.
        file: keeps what is changed by hand.
        flow_logs: tells the names of all flow logs there are.

    Raises:
        StartupError: the file is damaged.
    """

    def __init__(
        self,
        scenario: tuple[Fault, ...],
        file: Path,
        clock: Clock,
        rng: Rng,
        flow_logs: Callable[[], tuple[str, ...]],
    ) -> None:
        self._scenario = {fault.name for fault in scenario}
        self._file = file
        self._clock = clock
        advice = "go on without the faults added by hand"
        self._changes = read_kept(file, _Changes, advice=advice) or _Changes()
        self._flow_logs = flow_logs
        kept = [
            replace(fault, flow_log=self._changes.flow_logs.get(fault.name, fault.flow_log))
            for fault in scenario
            if fault.name not in self._changes.removed
        ]
        names = {fault.name for fault in kept}
        added = [fault for fault in self._changes.added if fault.name not in names]
        self.board = FaultBoard(rng, (*kept, *added))

    def views(self) -> tuple[FaultView, ...]:
        """Every fault in force."""
        return tuple(self._view(report) for report in self.board.reports())

    def add(self, given: Mapping[str, str | Mapping[str, str]]) -> FaultView:
        """See ``FaultSet.add``."""
        taken = {report.fault.name for report in self.board.reports()} | self._scenario
        try:
            fault = parse_fault(
                given,
                now=self._clock.time(),
                fields=_FIELDS,
                flow_logs=self._flow_logs(),
                taken=taken,
            )
        except ValueError as error:
            raise ControlError("InvalidParameter", 400, str(error)) from error
        self._keep(added=(*self._changes.added, fault))
        self.board.add(fault)
        return self._view(FaultReport(fault=fault))

    def remove(self, name: str) -> FaultView:
        """See ``FaultSet.remove``."""
        found = [one for one in self.board.reports() if one.fault.name == name]
        if not found:
            known = ", ".join(one.fault.name for one in self.board.reports()) or "none"
            raise ControlError(
                "FaultNotFound", 404, f"no fault is named {name!r}; there is {known}"
            )
        self._forget((name,))
        self.board.remove(name)
        return self._view(found[0])

    def clear(self) -> int:
        """See ``FaultSet.clear``."""
        self._forget(tuple(one.fault.name for one in self.board.reports()))
        return len(self.board.clear())

    def rename_flow_log(self, before: str, after: str) -> None:
        """Let the faults that name a flow log go on naming it.

        Raises:
            ControlError: InternalError, the change cannot be kept.
        """
        renamed = {
            one.fault.name: replace(one.fault, flow_log=after)
            for one in self.board.reports()
            if one.fault.flow_log == before
        }
        if not renamed:
            return
        of_scenario = dict.fromkeys(renamed.keys() & self._scenario, after)
        self._keep(
            added=tuple(renamed.get(one.name, one) for one in self._changes.added),
            flow_logs=self._changes.flow_logs | of_scenario,
        )
        for fault in renamed.values():
            self.board.replace(fault)

    def _forget(self, names: tuple[str, ...]) -> None:
        self._keep(
            added=tuple(one for one in self._changes.added if one.name not in names),
            removed=(*self._changes.removed, *(name for name in names if name in self._scenario)),
        )

    def _keep(self, **changed: object) -> None:
        changes = msgspec.structs.replace(self._changes, **changed)
        keep(self._file, msgspec.msgpack.encode(changes))
        self._changes = changes

    def _view(self, report: FaultReport) -> FaultView:
        fault, now = report.fault, self._clock.time()
        status = (
            "active" if fault.is_active(now) else "over" if now >= fault.until_at else "waiting"
        )
        settings = show_fault(fault)
        return FaultView(
            name=fault.name,
            fault=fault.kind.value,
            status=status,
            settings=settings,
            begins_at=fault.from_at,
            ends_at=None if fault.until_at == inf else fault.until_at,
            requested=fault.share,
            realised=report.realised,
            subjects=report.subject_count,
            hits=report.hit_count,
        )
