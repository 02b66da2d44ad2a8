"""``python -m simulator`` is the command ``blbsim``.

Ctrl-C may come while modules are imported, so nothing is imported here that takes time.
"""

import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command; returns its exit code."""
    try:
        from simulator.cli import main as command  # noqa: PLC0415  inside the try

        return command()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
