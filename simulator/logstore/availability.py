"""Whether a LogStore takes records and answers queries at an instant."""

from typing import Final, Protocol

from simulator.clock import Clock
from simulator.errors import ControlError
from simulator.logstore.catalog import StoreState
from simulator.logstore.values import LogStore

NOT_READY: Final = "LogStoreNotReady"


class Gate(Protocol):
    """What may refuse calls of the data plane, and deliveries. Called from any thread."""

    def check(self, store: LogStore, at: float) -> None:
        """Let a call to ``store`` pass, at an instant of the clock.

        Raises:
            ControlError: it does not pass.
        """
        ...

    def look(self, store: LogStore, at: float) -> ControlError | None:
        """What ``check`` would raise, if anything; it is no call, and counts as none."""
        ...

    def take(self, store: LogStore, byte_count: int, at: float) -> None:
        """Let so many bytes of pushed messages pass.

        Raises:
            ControlError: they do not.
        """
        ...


class OpenGate:
    """A gate that lets everything pass."""

    def check(self, store: LogStore, at: float) -> None:
        """See ``Gate.check``."""

    def look(self, store: LogStore, at: float) -> ControlError | None:
        """See ``Gate.look``."""
        return None

    def take(self, store: LogStore, byte_count: int, at: float) -> None:
        """See ``Gate.take``."""


class Availability:
    """Knows which LogStores are available.

    Args:
        clock: of the instants that are asked about.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.gate: Gate = OpenGate()
        """Asked beside what is known here."""

    def check(self, state: StoreState) -> None:
        """Let a call to a LogStore pass.

        Source: doc https://cloud.baidu.com/doc/BLS (operation pages of push, pull and query) for
        the codes.

        Raises:
            ControlError: LogStoreNotReady, and what the gate raises.
        """
        now = self._clock.time()
        if now < state.ready_at:
            raise not_ready()
        self.gate.check(state.log_store, now)

    def look(self, state: StoreState) -> ControlError | None:
        """What ``check`` would raise, if anything; it counts as no call."""
        now = self._clock.time()
        return not_ready() if now < state.ready_at else self.gate.look(state.log_store, now)

    def take(self, state: StoreState, byte_count: int) -> None:
        """Let so many bytes of pushed messages pass.

        Raises:
            ControlError: what the gate raises.
        """
        self.gate.take(state.log_store, byte_count, self._clock.time())


def not_ready() -> ControlError:
    """The error for a LogStore that is still being set up."""
    return ControlError(NOT_READY, 409, "LogStore not ready")
