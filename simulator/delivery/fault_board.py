"""The faults in force: which there are, whom they hit, how often they did.

A decision is a pure function of seed, fault and subject: a retry, a restart and another fault
change none. Safe from any thread.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

from simulator.model.fault_catalogue import CATALOGUE, FaultStage
from simulator.model.faults import Fault
from simulator.rng import Rng

_ORDER = {kind: index for index, kind in enumerate(CATALOGUE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport:
    """A fault and what it did so far, in this run."""

    fault: Fault
    subject_count: int = 0
    """Decisions taken, one for each subject in its reach."""
    hit_count: int = 0

    @property
    def realised(self) -> float | None:
        """The share of subjects that were hit; None before the first."""
        return self.hit_count / self.subject_count if self.subject_count else None


class FaultBoard:
    """All faults of a simulation. They compose in the order of the catalogue, then of adding."""

    def __init__(self, rng: Rng, faults: tuple[Fault, ...] = ()) -> None:
        self._rng = rng
        self._lock = Lock()
        self._reports: dict[str, FaultReport] = {}
        self._by_stage: dict[FaultStage, tuple[Fault, ...]] = {}
        self._counted: dict[str, set[tuple[str | int, ...]]] = {}
        """By fault: the subjects that many ask about, and that are counted already."""
        self.on_removed: Callable[[], None] = _ignore
        """Called on the thread that takes a fault back, after it is gone."""
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put ``fault`` in force.

        Raises:
            ValueError: one of that name is.
        """
        with self._lock:
            if fault.name in self._reports:
                raise ValueError(f"there is a fault {fault.name!r} already")
            self._reports[fault.name] = FaultReport(fault=fault)
            self._sort()

    def remove(self, name: str) -> Fault:
        """Take a fault back; what it did stays done.

        Raises:
            KeyError: there is none of that name.
        """
        with self._lock:
            removed = self._reports.pop(name).fault
            self._counted.pop(name, None)
            self._sort()
        self.on_removed()
        return removed

    def replace(self, fault: Fault) -> None:
        """Put ``fault`` in the place of the one of its name; what that did still counts.

        Raises:
            KeyError: there is none of that name.
        """
        with self._lock:
            self._reports[fault.name] = replace(self._reports[fault.name], fault=fault)
            self._sort()

    def clear(self) -> tuple[Fault, ...]:
        """Take all faults back; those that were in force."""
        with self._lock:
            removed = tuple(report.fault for report in self._reports.values())
            self._reports.clear()
            self._counted.clear()
            self._sort()
        self.on_removed()
        return removed

    def faults(self, stage: FaultStage) -> tuple[Fault, ...]:
        """Those that sit at ``stage``, whatever their time, in the order they compose."""
        return self._by_stage.get(stage, ())

    def reports(self) -> tuple[FaultReport, ...]:
        """Every fault with its counts, in the order they were added."""
        with self._lock:
            return tuple(self._reports.values())

    def hits(self, fault: Fault, *subject: str | int) -> bool:
        """Whether ``fault`` hits a subject; says the same every time it is asked."""
        if fault.share >= 1.0:
            return True
        return fault.share > 0.0 and self._rng.uniform("fault", fault.name, *subject) < fault.share

    def draw(self, fault: Fault, knob: str, *subject: str | int) -> float:
        """What a subject gets of a knob that is a range: evenly drawn, the same every time."""
        low, high = fault.range(knob)
        return low + self._rng.uniform("fault", fault.name, knob, *subject) * (high - low)

    def choose(self, fault: Fault, count: int, *subject: str | int) -> int:
        """One of ``count``, from 0, for a subject; the same every time."""
        return int(self.fraction(fault, "choice", *subject) * count)

    def fraction(self, fault: Fault, *subject: str | int) -> float:
        """A number from 0 up to 1 for a subject; the same every time."""
        return self._rng.uniform("fault", fault.name, "fraction", *subject)

    def count(self, name: str, subjects: int, hits: int) -> None:
        """Count decisions once they are acted on; a fault taken back meanwhile is not missed."""
        with self._lock:
            report = self._reports.get(name)
            if report is not None:
                self._reports[name] = replace(
                    report,
                    subject_count=report.subject_count + subjects,
                    hit_count=report.hit_count + hits,
                )

    def count_once(self, name: str, subject: tuple[str | int, ...], hits: int) -> None:
        """Count the decision about a subject, however often it is acted on."""
        with self._lock:
            counted = self._counted.setdefault(name, set())
            if name not in self._reports or subject in counted:
                return
            counted.add(subject)
        self.count(name, 1, hits)

    def _sort(self) -> None:
        faults = sorted(
            (report.fault for report in self._reports.values()), key=lambda one: _ORDER[one.kind]
        )
        self._by_stage = {
            stage: tuple(one for one in faults if CATALOGUE[one.kind].stage is stage)
            for stage in FaultStage
        }


def _ignore() -> None:
    """Nobody listens yet."""
