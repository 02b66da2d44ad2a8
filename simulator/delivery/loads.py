"""One load, on the delivery thread. Whatever goes wrong comes back as a value: a bug in one sink
must not stop the others."""

from dataclasses import dataclass

from simulator.delivery.sinks import Load, Sink
from simulator.errors import SinkError


@dataclass(frozen=True, slots=True)
class Visible:
    """All batches are there."""

    objects: tuple[str, ...]
    """Names of the objects written."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The destination will never take them; a single batch has been given up."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing has changed; trying again may help."""

    error: Exception


Outcome = Visible | Refused | Failed


def attempt(sink: Sink, load: Load) -> Outcome:
    """Make batches visible, or give up the only one if it is refused."""
    try:
        return Visible(sink.load(load))
    except Exception as error:
        if not isinstance(error, SinkError) or error.retryable:
            return Failed(error)
        try:
            if len(load.batches) == 1:
                sink.give_up(load, str(error))
        except Exception as skip_error:
            return Failed(skip_error)
        return Refused(error)
