"""The data directory: what one run leaves for the next.

::

    <data-dir>/state.json        seed, scenario and simulated time, so that a restart goes on
    <data-dir>/flow_logs         the flow logs, with what was changed over their API
    <data-dir>/faults            what was changed by hand of the scenario's faults
    <data-dir>/spool/            records on their way
    <data-dir>/ledger/           records that every flow log has passed
    <data-dir>/held/             records that faults hold back
    <data-dir>/log_stores.db     LogStores, how far each flow log has delivered, and its ledger
    <data-dir>/objects/          what was delivered to buckets
    <data-dir>/downloads/        files of download tasks
    <data-dir>/certificates/     made for HTTPS listeners, with the authority that signed them
    <data-dir>/lock              held by the run that has the directory
"""

import asyncio
import fcntl
import logging
import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from simulator.clock import real_sleep
from simulator.errors import ControlError, StartupError
from simulator.scenario import Scenario, load_scenario

T = TypeVar("T")

_LOCK_WAIT_S: Final = 2.0
_LOCK_PAUSE_S: Final = 0.02

_log = logging.getLogger(__name__)


class _Filler(msgspec.Struct, frozen=True):
    """Whose records a directory has."""

    scenario: str
    load_balancers: tuple[str, ...]

    @property
    def shown(self) -> str:
        balancers = ", ".join(self.load_balancers) or "none"
        return f"scenario {self.scenario} (load balancers: {balancers})"


class _State(msgspec.Struct):
    seed: int
    clock_at: float
    began_at: float | None = None
    filler: _Filler | None = None


class DataDirectory:
    """The files of one simulation.

    Args:
        path: made if missing.

    Raises:
        StartupError: it cannot be made or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.flow_logs = path / "flow_logs"
        self.faults = path / "faults"
        self.spool = path / "spool"
        self.log_stores = path / "log_stores.db"
        self.objects = path / "objects"
        self.downloads = path / "downloads"
        self.ledger = path / "ledger"
        self.held = path / "held"
        self.certificates = path / "certificates"
        self._file = path / "state.json"
        self._saved: _State | None = None
        self._filler: _Filler | None = None
        self._lock = -1
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StartupError(
                f"data directory {path}: expected a directory, not a file"
            ) from error
        except OSError as error:
            raise StartupError(f"data directory {path}: {error.strerror}") from error
        try:
            if self._file.exists():
                self._saved = msgspec.json.decode(self._file.read_bytes(), type=_State)
        except OSError as error:
            raise StartupError(f"data directory {path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise StartupError(
                f"{self._file} is damaged ({error}); delete it to start at the scenario's own time"
            ) from error

    async def lock(self) -> int:
        """Keep every other process off it, until this one ends or ``unlock``.

        Service nodes keep it too, by the descriptor, so that nobody takes the directory while one
        still writes. Those of a simulator that was killed end by themselves and are waited for.

        Returns:
            The descriptor that locks it.

        Raises:
            StartupError: another process has it.
        """
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if not self._is_orphaned() or loop.time() > deadline:
                    self.unlock()
                    raise StartupError(
                        f"data directory {self.path} is in use by another simulator; stop it or "
                        "give this one another --data-dir"
                    ) from error
                await real_sleep(_LOCK_PAUSE_S)
            else:
                os.ftruncate(self._lock, 0)
                os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)
                return self._lock

    def _is_orphaned(self) -> bool:
        """Whether the simulator that locked it is gone, and only its service nodes are left."""
        pid = os.pread(self._lock, 32, 0).strip()
        if not pid.isdigit():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def unlock(self) -> None:
        """Let others have it. Fine to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def take_over(self, scenario: Scenario) -> None:
        """Mark it as this scenario's from the next ``save`` on; warn where it was another's.

        It is another one by its name, and where load balancers are gone. All else may be edited
        between two runs.
        """
        names = tuple(one.name for one in scenario.load_balancers)
        self._filler = now = _Filler(scenario=scenario.name, load_balancers=names)
        before = None if self._saved is None else self._saved.filler
        if before is None or (
            before.scenario == now.scenario and set(before.load_balancers) <= set(names)
        ):
            return
        _log.warning(
            "data directory %s was filled by %s and is now used by %s: what LogStores, buckets and "
            "the ledger hold is kept, as are flow logs and faults made by hand; what was on its "
            "way is delivered where there is a flow log for a load balancer of that name, and "
            "waits else; to begin with nothing, use another --data-dir",
            self.path,
            before.shown,
            now.shown,
        )

    @property
    def seed(self) -> int | None:
        """The seed of the run before, None if there was none."""
        return self._saved.seed if self._saved is not None else None

    @property
    def clock_at(self) -> float | None:
        """How far simulated time had come, None on the first run."""
        return self._saved.clock_at if self._saved is not None else None

    @property
    def began_at(self) -> float | None:
        """The first instant of the first run, None on that run."""
        return self._saved.began_at if self._saved is not None else None

    def save(self, *, seed: int, clock_at: float, began_at: float) -> None:
        """Keep where time is and where it began; a crash leaves the previous state.

        Raises:
            StartupError: the disk refuses.
        """
        self._saved = _State(seed=seed, clock_at=clock_at, began_at=began_at, filler=self._filler)
        try:
            _replace(self._file, msgspec.json.encode(self._saved))
        except OSError as error:
            raise StartupError(f"{self._file}: {error.strerror}") from error


def keep(file: Path, content: bytes) -> None:
    """Put ``content`` in the place of a file's, whole or not at all.

    Raises:
        ControlError: InternalError, the disk refuses.
    """
    try:
        _replace(file, content)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise ControlError("InternalError", 500, message) from error


def read_kept(file: Path, kind: type[T], *, advice: str) -> T | None:
    """What ``keep`` has put into a file, as MessagePack; None if there is no file.

    Raises:
        StartupError: it cannot be read, or is damaged; ``advice`` is what to delete it for.
    """
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartupError(f"{file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise StartupError(f"{file} is damaged ({error}); delete it to {advice}") from error


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_suffix(".tmp")
    beside.write_bytes(content)
    os.replace(beside, file)


def load_for(path: Path, *, data_dir: Path | None, seed: int | None) -> Scenario:
    """The scenario in ``path``, with the seed its data directory was begun with.

    Args:
        path: the YAML file.
        data_dir: of this run, if it is to be kept.
        seed: instead of the file's.

    Raises:
        ScenarioError: with every problem of the file.
        StartupError: the data directory belongs to another seed: other ids, other dues.
    """
    scenario = load_scenario(path, seed=seed)
    kept = DataDirectory(data_dir).seed if data_dir is not None else None
    if kept is None or kept == scenario.seed:
        return scenario
    if not scenario.seed_drawn:
        raise StartupError(
            f"{data_dir} was begun with seed {kept} and this run has seed {scenario.seed}: its "
            f"records would belong to nobody; use --seed {kept} or another --data-dir"
        )
    return load_scenario(path, seed=kept)
