"""The spool: append-only segment files, one series per load balancer and service node.

Every access record lands here before anything else sees it, and stays on disk until all its
destinations have it. The room knows neither flow logs nor sinks.
"""

from simulator.spool.remote import (
    SERIES_CELLS,
    PublishedSeries,
    RemoteSeries,
    SeriesCells,
    SeriesWriter,
)
from simulator.spool.room import RoomCell, SpoolRoom, WhenFull
from simulator.spool.segment import SegmentInfo, list_segments, read_tail, segment_path
from simulator.spool.series import SpoolSeries
from simulator.spool.spool import Spool

__all__ = [
    "SERIES_CELLS",
    "PublishedSeries",
    "RemoteSeries",
    "RoomCell",
    "SegmentInfo",
    "SeriesCells",
    "SeriesWriter",
    "Spool",
    "SpoolRoom",
    "SpoolSeries",
    "WhenFull",
    "list_segments",
    "read_tail",
    "segment_path",
]
