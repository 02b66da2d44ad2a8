"""The threads in which BLS works, so that none of its kinds of work waits for another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from simulator.errors import ControlError

MAX_QUERIES: Final = 50
"""At once, those that wait for their turn included. Source: doc
https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07); another page says 15."""
_PULLS: Final = 4
_CHANGES: Final = 4


class Workers:
    """Threads for queries, for pulls, and for what writes."""

    def __init__(self) -> None:
        self.queries = ThreadPoolExecutor(MAX_QUERIES, thread_name_prefix="bls-query")
        """As many as there may be queries; which of them are at work is the engine's to say."""
        self.pulls = ThreadPoolExecutor(_PULLS, thread_name_prefix="bls-pull")
        self.changes = ThreadPoolExecutor(_CHANGES, thread_name_prefix="bls-change")
        self._query_count = 0

    @contextmanager
    def querying(self) -> Iterator[None]:
        """Count a query while the block runs. To be called on the event loop.

        Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r for the code; that it is this one
        which too many queries get is assumed.

        Raises:
            ControlError: RequestLimited when there are too many already.
        """
        if self._query_count >= MAX_QUERIES:
            raise ControlError(
                "RequestLimited",
                429,
                "Request frequency is too high, please slow down:"
                f" {MAX_QUERIES} queries are at work",
            )
        self._query_count += 1
        try:
            yield
        finally:
            self._query_count -= 1

    def close(self) -> None:
        """Let no more work begin; what has begun ends by itself."""
        for pool in (self.queries, self.pulls, self.changes):
            pool.shutdown(wait=False, cancel_futures=True)
