"""How many examples the tests beside evaluators of our own try."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

EXAMPLES: Final = int(os.environ.get("ORACLE_EXAMPLES", "0"))
"""More than the few that the suite has time for, and other ones each time; 0: those few."""
at_random: Final = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
)
