"""Every exception the simulator raises on purpose; the type says whose fault it is.

::

    SimulatorError
    ├── ScenarioError        the scenario file: every problem at once
    ├── UsageError           arguments that do not go together
    ├── StartupError         the machine: a port is taken, a directory cannot be written
    ├── ControlError         a caller of a control API: code, status, message
    │   └── ParameterError   of BLS: which parameter, and what is wrong with it
    ├── SinkError            a destination of a flow log; ``retryable`` or not
    ├── BackendError         a backend server could not be reached
    └── ProtocolError        bytes that are not HTTP; ``status_hint`` is the answer they earn
        ├── ClientProtocolError
        └── BackendProtocolError

Traffic failures are not exceptions: they are an ``Attempt`` and a status in the record.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class SimulatorError(Exception):
    """Root of every error the simulator raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a scenario file."""

    file: str
    line: int
    """1-based; 0 when the whole file is meant."""
    column: int
    """1-based; 0 when the whole line is meant."""
    path: str
    """Where in the document, for example ``flow_logs[0].delay``."""
    message: str
    """What was wrong and what was expected."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where} {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ScenarioError(SimulatorError):
    """A scenario that cannot be used; carries every problem found, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UsageError(SimulatorError):
    """Arguments that nothing can be started with, whatever the machine."""


class StartupError(SimulatorError):
    """The machine refused something the simulator needs: a port, a directory, a file."""


class ControlError(SimulatorError):
    """A call of a control API that fails with a vendor code and an HTTP status.

    Args:
        code: the vendor's.
        status: of the HTTP answer.
        message: what was wrong, where, and what was expected.
        details: what the body of the answer has beside them.
    """

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        details: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.details = details


class ParameterError(ControlError):
    """A parameter of a call that cannot be used.

    Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r for code, status and how the message
    begins; that it goes on to say what was expected is assumed.

    Args:
        parameter: its name, or the place in a body.
        problem: what follows the name in the message.
    """

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__("InvalidParameter", 400, f"Request param invalid: [{parameter}]{problem}")
        self.parameter = parameter
        self.problem = problem


@contextmanager
def within(place: str) -> Iterator[None]:
    """Let what the block says of a parameter be of one at a place of a body.

    Args:
        place: for example ``destConfig``, or ``targets[0]``.
    """
    try:
        yield
    except ParameterError as error:
        raise ParameterError(f"{place}.{error.parameter}", error.problem) from error


class _Nothing:
    """Not given, other than None."""


_NOTHING: Final = _Nothing()
_MAX_SHOWN: Final = 60


def invalid(parameter: str, expected: str, given: object = _NOTHING) -> ParameterError:
    """The error for a parameter of a call that cannot be used.

    Args:
        parameter: its name, or the place in a body.
        expected: what it should have been, or what is wrong with it.
        given: what it was, where that can be shown.
    """
    shown = "" if given is _NOTHING else f", not {_show(given)}"
    return ParameterError(parameter, f" {expected}{shown}")


def _show(given: object) -> str:
    """A value as JSON has it, the beginning of a long one."""
    cut = given[: _MAX_SHOWN + 1] if isinstance(given, str) else given
    text = json.dumps(cut, ensure_ascii=False, default=str).encode(errors="replace").decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


class SinkError(SimulatorError):
    """A flow log's destination did not take a batch."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class BackendError(SimulatorError):
    """A backend server could not be reached or started."""


class ProtocolError(SimulatorError):
    """Bytes that are not the HTTP they should be."""

    def __init__(self, message: str, *, status_hint: int) -> None:
        super().__init__(message)
        self.status_hint = status_hint


class ClientProtocolError(ProtocolError):
    """The client sent something that earns it a 4xx."""


class BackendProtocolError(ProtocolError):
    """The backend answered with something that is not HTTP."""
