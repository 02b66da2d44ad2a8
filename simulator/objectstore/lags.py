"""Objects that a listing or a read does not show yet, though they have been put.

Source: assumed (eventual consistency, as older object stores documented it).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """From when on an object shows, Unix seconds of the simulated clock; 0: at once."""

    listed_at: float = 0.0
    readable_at: float = 0.0


class Lags:
    """The objects of one store that are behind. Safe from any thread; free when there is none."""

    def __init__(self) -> None:
        self.time: Callable[[], float] = _ignore
        self._lags: dict[tuple[str, str], Lag] = {}

    def set(self, bucket: str, key: str, lag: Lag | None) -> None:
        """Let an object show from its instants on; None: at once."""
        if lag is None:
            self._lags.pop((bucket, key), None)
        else:
            self._lags[bucket, key] = lag

    def clear(self) -> None:
        """Let everything show."""
        self._lags.clear()

    def is_listed(self, bucket: str, key: str) -> bool:
        """Whether a listing shows an object now."""
        lag = self._lag(bucket, key)
        return lag is None or lag.listed_at <= self.time()

    def is_readable(self, bucket: str, key: str) -> bool:
        """Whether a read finds an object now."""
        lag = self._lag(bucket, key)
        return lag is None or lag.readable_at <= self.time()

    def _lag(self, bucket: str, key: str) -> Lag | None:
        if not self._lags:
            return None
        lag = self._lags.get((bucket, key))
        if lag is not None and max(lag.listed_at, lag.readable_at) <= self.time():
            self._lags.pop((bucket, key), None)
            return None
        return lag


def _ignore() -> float:
    """No clock: nothing is ever behind."""
    return float("inf")
