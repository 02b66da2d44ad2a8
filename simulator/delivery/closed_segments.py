"""The closed segments in the spool, until every flow log has passed them."""

import logging
from collections import deque
from collections.abc import Sequence

from simulator.delivery.archive import Archive
from simulator.delivery.stores import LedgerRows
from simulator.delivery.worker import Worker
from simulator.spool import SegmentInfo, Spool

_log = logging.getLogger(__name__)


class ClosedSegments:
    """Knows what lies in the spool; moves what is passed to the archive, on the worker's thread.

    Args:
        archive: takes them; without one they are deleted.
        ledger: forgets what the archive has removed to keep its size.
    """

    def __init__(
        self, spool: Spool, worker: Worker, archive: Archive | None, ledger: LedgerRows
    ) -> None:
        self._spool = spool
        self._worker = worker
        self._archive = archive
        self._ledger = ledger
        self._by_series: dict[str, deque[SegmentInfo]] = {}

    def add(self, segment: SegmentInfo) -> None:
        """The next segment of its series was closed."""
        self._by_series.setdefault(segment.series_key, deque()).append(segment)

    def of(self, series_key: str) -> Sequence[SegmentInfo]:
        """Those of a series, in sequence."""
        return self._by_series.get(series_key, ())

    def retire(self, series_key: str, passed: int | None) -> None:
        """Let go of the segments of a series up to ``passed``.

        Args:
            passed: a sequence number; None: all, nobody takes them.
        """
        segments = self._by_series.get(series_key)
        done = []
        while segments and (passed is None or segments[0].seq <= passed):
            done.append(segments.popleft())
        if done:
            self._worker.submit(lambda: self._remove(done), lambda _: self._spool.on_removed())

    def _remove(self, segments: list[SegmentInfo]) -> None:
        """Move segments from the spool to the archive. On the thread."""
        if self._archive is not None:
            try:
                self._archive.keep(segments)
            except OSError as error:
                # They go all the same: a ledger with a gap is better than a spool that grows.
                _log.warning("the ledger cannot keep %d segments: %s", len(segments), error)
            try:
                for series_key, seq in self._archive.prune():
                    self._ledger.forget(series_key, seq)
            except Exception:
                # Rows without records are only untidy; they go with the next pack.
                _log.exception("the ledger cannot forget what it has removed")
        for segment in segments:
            try:
                self._spool.remove(segment)
            except OSError as error:
                _log.warning("%s: cannot be removed: %s", segment.path, error.strerror)
