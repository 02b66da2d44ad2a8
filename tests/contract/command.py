"""``blbsim`` for tests: in this process, for what it says; in one of its own, to be signalled."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from simulator.cli import main

QUICKSTART = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"
PATIENCE_S = 100
"""For a process to end: it hangs, or the machine is busy beyond all measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command has said."""

    returncode: int
    stdout: str
    stderr: str


def blbsim(*arguments: object, env: dict[str, str] | None = None) -> Done:
    """A command's words and exit code, without the seconds that a process of its own takes."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, env or {}),
        redirect_stdout(out),
        redirect_stderr(err),
        _logging_of_its_own(),
    ):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Done(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@contextmanager
def _logging_of_its_own() -> Iterator[None]:
    """Warnings go where the command sends them, as in a process that has set nothing up yet."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    level = root.level
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)


def blbsim_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command as its user starts it, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "simulator", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def variant(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    """The quickstart with texts replaced."""
    text = QUICKSTART.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "variant.yaml"
    path.write_text(text)
    return path
