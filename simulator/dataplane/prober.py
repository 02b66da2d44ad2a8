"""The schedule of health checks: who is probed when.

Probes of a server are due every ``interval_s`` on the simulated clock, counted from the first,
which is sent at once; one that takes longer than that has the instants it missed left out. They
are background timers: no clock jumps or stands waiting for them. Where a clock passes over several
due instants at once (a jump, an advance), probes are sent one after another only until a result
agrees with the state, since the backend servers had no time to change in between: one for a
server that is as it was, as many as the threshold for one that has changed. So an advance of three
hours costs a healthy server one probe, and one of nine seconds finds a server dead that is.
"""

import asyncio
import math
from functools import partial
from typing import Final

from simulator.clock import Clock, Timer
from simulator.dataplane.probes import Probe
from simulator.model import BackendServerId
from simulator.routing.health import HealthBoard, ProbeResult, ProbeTarget

_SLACK: Final = 1e-3
"""Part of an interval that rounding of instants may take off; they are floats of 10 digits."""


class HealthProber:
    """Probes all that is on a board and tells it the results.

    Args:
        clock: says when probes are due, and is held while one is under way, so that an advance
            returns with its results on the board.
        tasks: outlives the prober; probes open their connections in it.
        board: after each ``board.apply``, you must call ``apply`` here.

    At the end you must call ``aclose``.
    """

    def __init__(self, *, clock: Clock, tasks: asyncio.TaskGroup, board: HealthBoard) -> None:
        self._clock = clock
        self._tasks = tasks
        self._board = board
        self._lines: dict[tuple[str, BackendServerId], _Line] = {}
        self._first = asyncio.Event()
        self._first.set()
        self.probe_count = 0
        """Probes sent so far."""

    def apply(self) -> None:
        """Probe what is new on the board at once, and what is gone no more."""
        before, self._lines = self._lines, {}
        for target in self._board.targets():
            key = (target.scope, target.server.backend_server_id)
            line = before.get(key)
            if line is not None and line.target == target:
                self._lines[key] = before.pop(key)
                continue
            self._lines[key] = line = _Line(target, self._clock.time())
            self._begin(line, due_count=1)
        for line in before.values():
            self._end(line)
        self._check_first()

    async def wait_first(self) -> None:
        """Return when every server that was to be probed has had its first result."""
        await self._first.wait()

    def aclose(self) -> None:
        """Probe nothing more; results of probes under way are not waited for."""
        for line in self._lines.values():
            self._end(line)
        self._lines.clear()
        self._check_first()

    def _begin(self, line: "_Line", *, due_count: int) -> None:
        """Probe for ``due_count`` instants, as far as there is something to learn."""
        if not line.is_waiting:
            line.is_waiting = True
            self._clock.acquire()
        if line.probe is not None:
            line.probe.abort()
        line.due_count = due_count
        self.probe_count += 1
        line.probe = Probe(line.target, tasks=self._tasks, done=partial(self._probed, line))

    def _probed(self, line: "_Line", result: ProbeResult) -> None:
        settled = self._board.observe(line.target, result, line.due_at)
        line.due_index += 1
        if not settled and line.due_count > 1:
            self._begin(line, due_count=line.due_count - 1)
            return
        line.is_waiting = False
        self._clock.release()
        line.due_index = max(line.due_index, line.index_at(self._clock.time()) + 1)
        line.timer = self._clock.call_at(line.due_at, partial(self._due, line), background=True)
        self._check_first()

    def _due(self, line: "_Line") -> None:
        line.timer = None
        passed = line.index_at(self._clock.time()) - line.due_index
        self._begin(line, due_count=max(passed, 0) + 1)

    def _end(self, line: "_Line") -> None:
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        if line.probe is not None:
            line.probe.abort()
        if line.is_waiting:
            line.is_waiting = False
            self._clock.release()

    def _check_first(self) -> None:
        if any(line.due_index == 0 for line in self._lines.values()):
            self._first.clear()
        else:
            self._first.set()


class _Line:
    """When one target is probed."""

    __slots__ = ("_first_at", "due_count", "due_index", "is_waiting", "probe", "target", "timer")

    def __init__(self, target: ProbeTarget, now: float) -> None:
        self.target = target
        self._first_at = now
        self.due_index = 0
        """Of the next probe, or the one under way; the first is 0."""
        self.due_count = 1
        """Instants that the probe under way may stand for, itself included."""
        self.timer: Timer | None = None
        self.is_waiting = False
        """Whether a probe is under way, and the clock held for it."""
        self.probe: Probe | None = None
        """The newest; its connection may still be closing."""

    @property
    def due_at(self) -> float:
        """Counted from the first, so that nothing adds up."""
        return self._first_at + self.due_index * self.target.check.interval_s

    def index_at(self, now: float) -> int:
        """Of the newest instant at or before ``now``."""
        return math.floor((now - self._first_at) / self.target.check.interval_s + _SLACK)
