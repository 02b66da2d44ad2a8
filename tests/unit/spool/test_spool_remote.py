"""A series written by one process and owned by another; both ends are in this process here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.clock import ManualClock
from simulator.spool import SERIES_CELLS, PublishedSeries, RemoteSeries, SegmentInfo, Spool

T = 1_772_323_200.0
KEY = "lb-0d29a3f6_100.64.3.9"


class Node:
    """Writes the series, and reports what it closes when it is asked to."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.cells = memoryview(bytearray(8 * SERIES_CELLS)).cast("q")
        self.clock = ManualClock(T)
        self.reports: list[SegmentInfo] = []
        self.remote: RemoteSeries = spool.remote_series(
            "lb-0d29a3f6", "100.64.3.9", cells=self.cells, writer=self
        )
        self.begin()

    def begin(self) -> None:
        """A new process."""
        self.series = PublishedSeries(
            cells=self.cells,
            load_balancer_id="lb-0d29a3f6",
            node_address="100.64.3.9",
            directory=self.remote.directory,
            next_seq=self.remote.next_seq,
            clock=self.clock,
            on_closed=self.reports.append,
            quantum_s=1.0,
            max_segment_bytes=1 << 20,
        )

    def report(self) -> None:
        """The reports arrive."""
        while self.reports:
            self.remote.reported(self.reports.pop(0))

    def close_ended(self, then: Callable[[], None]) -> None:
        self.series.close_segment()
        self.report()
        then()

    @property
    def written_until(self) -> float:
        return T + 3.0

    def cut(self, _: str, then: Callable[[], None]) -> None:
        self.close_ended(then)

    def append(self, at: float, *lines: bytes) -> None:
        for line in lines:
            self.series.append(T + at, line)


@pytest.fixture
def offered(tmp_path: Path):
    spool = Spool(tmp_path, ManualClock(T))
    found: list[SegmentInfo] = []
    spool.on_closed = found.append
    return Node(spool), found


def lines_of(*segments: SegmentInfo) -> list[bytes]:
    return [
        line.partition(b"\t")[2]
        for segment in segments
        for line in segment.path.read_bytes().splitlines()
    ]


def test_what_is_being_written_is_known_without_asking(offered):
    node, _ = offered
    assert node.remote.open_info() is None
    node.append(0.25, b"a", b"b")
    node.append(0.5, b"c")
    assert node.spool.open_record_count("lb-0d29a3f6") == 3
    info = node.remote.open_info()
    assert (info.seq, info.first_at, info.last_at) == (1, T + 0.25, T + 0.5)
    assert info.byte_count == info.path.stat().st_size
    assert lines_of(info) == [b"a", b"b", b"c"]


def test_a_record_is_counted_once_on_its_way_from_open_to_reported(offered):
    node, found = offered
    node.append(0.0, b"a", b"b")
    node.append(1.0, b"c")  # closes the first
    assert node.remote.open_record_count == 3
    # Whoever asks for the oldest that is open is not told of the second segment's.
    node.report()
    assert (len(found), node.remote.open_record_count) == (1, 1)
    assert found[0].record_count == 2


def test_nothing_open_is_dated_after_a_record_whose_report_is_on_its_way(offered):
    node, _ = offered
    node.append(0.0, b"a")
    node.append(1.0, b"b")
    node.append(2.0, b"c")
    node.report()
    node.append(3.0, b"d")
    node.append(4.0, b"e")
    assert node.remote.open_info().first_at <= T + 2.0


def test_what_a_dead_writer_left_is_read_back_once(offered):
    node, found = offered
    node.append(0.0, b"a")
    node.append(1.0, b"b")
    node.report()
    node.append(2.0, b"c")  # "b" is closed, its report lost; "c" is open
    with node.remote.open_info().path.open("ab") as file:
        file.write(b"1772323202000\ttorn")
    node.reports.clear()
    node.remote.read_back()
    assert lines_of(*found) == [b"a", b"b", b"c"]
    assert [segment.seq for segment in found] == [1, 2, 3]
    assert node.remote.open_record_count == 0
    node.remote.read_back()
    assert len(found) == 3


def test_the_next_writer_goes_on_where_the_dead_one_stopped(offered):
    node, found = offered
    node.append(0.0, b"a")
    node.remote.read_back()
    node.begin()
    node.append(0.5, b"b")
    assert node.remote.open_record_count == 1
    node.close_ended(lambda: None)
    assert [segment.seq for segment in found] == [1, 2]
    assert lines_of(*found) == [b"a", b"b"]


def test_the_newest_segment_keeps_the_sequence_until_there_is_another(offered):
    node, found = offered
    node.append(0.0, b"a")
    node.close_ended(lambda: None)
    node.spool.remove(found[0])
    assert found[0].path.stat().st_size == 0
    # A restart of all reads the number off the empty file.
    again = Spool(node.spool.directory, ManualClock(T))
    assert again.series("lb-0d29a3f6", "100.64.3.9").next_seq == 2
    node.append(1.0, b"b")
    node.close_ended(lambda: None)
    assert not found[0].path.exists()
    assert found[1].seq == 2


def test_a_segment_with_a_newer_one_behind_it_is_deleted(offered):
    node, found = offered
    node.append(0.0, b"a")
    node.append(1.0, b"b")
    node.report()
    node.spool.remove(found[0])
    assert not found[0].path.exists()


def test_it_takes_over_from_a_run_in_one_process(tmp_path: Path):
    first = Spool(tmp_path, ManualClock(T))
    series = first.series("lb-0d29a3f6", "100.64.3.9")
    series.append(T, b"a")
    series.close_segment()
    second = Spool(tmp_path, ManualClock(T))
    assert [segment.seq for segment in second.recovered] == [1]
    second.reserve(KEY, 7)
    node = Node(second)
    node.append(0.0, b"b")
    node.close_ended(lambda: None)
    assert node.remote.next_seq == 9
    assert node.remote in second.all_series()


async def test_a_cut_tells_the_last_segment_before_it(offered):
    node, found = offered
    node.append(0.0, b"a", b"b")
    assert await node.spool.cut("lb-0d29a3f6") == {KEY: 1}
    assert lines_of(*found) == [b"a", b"b"]
    node.append(0.5, b"c")
    assert node.remote.open_info().seq == 2


def test_it_is_complete_as_far_as_its_writer_has_said(offered):
    node, _ = offered
    assert node.remote.written_until(T + 2.0) == T + 2.0
    assert node.remote.written_until(T + 9.0) == T + 3.0


def test_dropped_records_of_dead_writers_are_counted(offered):
    node, _ = offered
    node.append(0.0, b"a")
    node.cells[5] = 3
    node.remote.read_back()
    assert node.spool.dropped_count == 3
    node.cells[5] = 2
    assert node.spool.dropped_count == 5


def test_what_a_dead_writer_counted_in_the_room_is_counted_in_its_place(tmp_path: Path):
    spool = Spool(tmp_path, ManualClock(T), max_bytes=1000)
    node = Node(spool)
    node.append(0.0, b"a")
    node.append(1.0, b"b")
    node.report()
    assert spool.room.used_bytes == 0, "as long as it lives it counts that itself"
    node.append(2.0, b"c")
    node.reports.clear()
    size = sum(path.stat().st_size for path in node.remote.directory.glob("*.seg"))
    node.remote.read_back()
    assert spool.room.used_bytes == size
    node.begin()
    node.append(3.0, b"d")
    node.remote.read_back()
    assert spool.room.used_bytes == size + size // 3
