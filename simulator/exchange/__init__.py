"""One request's life: what to do next, and the record of what was done.

No I/O, no clock: the socket driver (and any other) tells it what happened and when.
"""

from simulator.exchange.exchange import (
    CLIENT_CLOSED_REQUEST,
    REDIRECT,
    Exchange,
    Failure,
    Phase,
)

__all__ = ["CLIENT_CLOSED_REQUEST", "REDIRECT", "Exchange", "Failure", "Phase"]
