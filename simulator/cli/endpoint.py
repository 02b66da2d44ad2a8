"""Where a simulator is as long as nobody says anything else."""

from typing import Final

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:7400"
