"""The command ``blbsim``: arguments in, text and exit codes out."""

from simulator.cli.main import main

__all__ = ["main"]
