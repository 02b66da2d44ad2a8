"""Segments: what an append leaves on disk, where one ends, what a crash leaves."""

import errno
import logging
import os
import resource
from pathlib import Path

import pytest

from simulator.clock import Clock, ManualClock, monotonic
from simulator.errors import StartupError
from simulator.spool import SegmentInfo, Spool, read_tail

START = 1_772_323_200.0
LB, NODE = "lb-00000001", "100.64.0.1"
KEY = f"{LB}_{NODE}"


def open_spool(
    directory: Path, clock: Clock, *, quantum_s: float = 1.0, max_segment_bytes: int = 8 << 20
) -> tuple[Spool, list[SegmentInfo]]:
    spool = Spool(directory, clock, quantum_s=quantum_s, max_segment_bytes=max_segment_bytes)
    closed: list[SegmentInfo] = []
    spool.on_closed = closed.append
    return spool, closed


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((directory / KEY).iterdir())}


def test_an_append_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    spool.series(LB, NODE).append(START + 0.25, b'{"a":1}')
    assert files(tmp_path) == {"00000001.seg": b'1772323200250\t{"a":1}\n'}
    assert closed == []
    assert spool.open_record_count(LB) == 1
    assert spool.open_record_count("lb-other") == 0


def test_a_segment_holds_one_second_and_tells_what_is_in_it(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    for at in (0.5, 0.1, 0.9, 1.0):
        series.append(START + at, b"x")
    assert closed == [
        SegmentInfo(
            series_key=KEY,
            load_balancer_id=LB,
            node_address=NODE,
            seq=1,
            directory=tmp_path / KEY,
            record_count=3,
            byte_count=3 * 16,
            first_at=START + 0.1,
            last_at=START + 0.9,
        )
    ]
    assert closed[0].path.read_bytes().count(b"\n") == 3
    assert series.open_info() is not None


async def test_the_clock_closes_the_last_segment_at_the_end_of_its_second(tmp_path: Path) -> None:
    clock = ManualClock(START + 0.2)
    clock.start()
    spool, closed = open_spool(tmp_path, clock)
    spool.series(LB, NODE).append(clock.time(), b"x")
    await clock.advance_to(START + 0.999)
    assert closed == []
    await clock.advance_to(START + 1)
    assert [segment.seq for segment in closed] == [1]
    assert clock.next_timer_at() is None, "nothing pending, no timer"


async def test_without_quantum_a_segment_lasts_one_turn_and_holds_the_clock(tmp_path: Path) -> None:
    clock = ManualClock(START)
    clock.start()
    spool, closed = open_spool(tmp_path, clock, quantum_s=0.0)
    series = spool.series(LB, NODE)
    series.append(START, b"x")
    series.append(START, b"y")
    assert closed == []
    assert clock._holds == 1
    await clock.advance(0)
    assert clock._holds == 0
    assert [segment.record_count for segment in closed] == [2]
    series.append(START, b"z")
    await clock.advance(0)
    assert [segment.record_count for segment in closed] == [2, 1]


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START), max_segment_bytes=40)
    for _ in range(7):
        spool.series(LB, NODE).append(START, b"x")
    assert [segment.record_count for segment in closed] == [3, 3]
    assert all(segment.byte_count == 48 for segment in closed)


def test_what_a_crash_leaves_is_recovered_up_to_the_last_whole_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool, _ = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    series.append(START + 0.5, b"one")
    series.append(START + 1.25, b"two")
    series.append(START + 1.5, b"three")
    with (tmp_path / KEY / "00000002.seg").open("ab") as file:
        file.write(b"1772323201700\tunfini")

    with caplog.at_level(logging.WARNING):
        again, _ = open_spool(tmp_path, ManualClock(START))
    first, second = again.recovered
    assert (first.seq, first.record_count, first.first_at) == (1, 1, START + 0.5)
    assert (second.seq, second.record_count) == (2, 2)
    assert (second.first_at, second.last_at) == (START + 1.25, START + 1.5)
    assert second.byte_count == second.path.stat().st_size
    assert second.path.read_bytes().endswith(b"three\n")
    assert "cut 20 bytes" in caplog.text


def test_a_recovered_segment_equals_the_one_that_was_closed(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    for step in range(300):
        series.append(START + step * 0.0123456, b"x" * step)
    series.close_segment()
    assert open_spool(tmp_path, ManualClock())[0].recovered == tuple(closed)


def test_sequence_numbers_never_start_again(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    for second in range(3):
        series.append(START + second, b"x")
    series.close_segment()
    for segment in closed:
        spool.remove(segment)
    assert files(tmp_path) == {"00000003.seg": b""}
    series.append(START + 3, b"x")
    assert list(files(tmp_path)) == ["00000004.seg"]
    series.close_segment()
    spool.remove(closed[-1])

    again, closed = open_spool(tmp_path, ManualClock(START))
    assert again.recovered == ()
    again.series(LB, NODE).append(START, b"y")
    again.series(LB, NODE).close_segment()
    assert closed[0].seq == 5
    assert list(files(tmp_path)) == ["00000005.seg"]


def test_a_disk_that_fills_up_drops_records_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(START)
    spool, closed = open_spool(tmp_path, clock)
    series = spool.series(LB, NODE)
    series.append(START, b"kept")
    real_write = os.write

    def write_half(fd: int, data: bytes) -> int:
        return real_write(fd, data[: len(data) // 2])

    def write_nothing(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with caplog.at_level(logging.WARNING):
        for broken in (write_half, write_nothing, write_half):
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", broken)
                series.append(START, b"lost lost lost")
        assert len(caplog.records) == 1, "one warning a minute"
        clock._anchor_sim += 600
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_nothing)
            series.append(START, b"lost")
            assert len(caplog.records) == 1, "a minute of whoever reads it"
            patch.setattr("simulator.spool.series.monotonic", lambda: monotonic() + 60)
            series.append(START, b"lost")
        assert len(caplog.records) == 2
    series.append(START, b"kept too")
    series.close_segment()
    assert series.dropped_count == spool.dropped_count == 5
    assert closed[0].record_count == 2
    lines = closed[0].path.read_bytes().splitlines()
    assert [line.partition(b"\t")[2] for line in lines] == [b"kept", b"kept too"]


def test_a_kernel_that_takes_half_a_record_leaves_whole_ones(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    series.append(START, b"first")
    size = series.open_info().byte_count
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        series.append(START, b"half of it fits")
        series.append(START, b"and this one neither")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    series.append(START, b"there is room again")
    series.close_segment()
    assert series.dropped_count == 2
    assert closed[0].record_count == 2
    lines = closed[0].path.read_bytes().splitlines()
    assert [line.partition(b"\t")[2] for line in lines] == [b"first", b"there is room again"]
    [recovered] = Spool(tmp_path, ManualClock()).recovered
    assert (recovered.record_count, recovered.byte_count) == (2, closed[0].byte_count)


def test_a_segment_that_cannot_be_opened_drops_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, _ = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        series.append(START, b"lost")
    series.append(START, b"kept")
    assert series.dropped_count == 1
    assert files(tmp_path) == {"00000001.seg": b"1772323200000\tkept\n"}


def test_a_directory_that_is_a_file_is_a_startup_error(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(StartupError, match="spool"):
        Spool(tmp_path / "spool", ManualClock())
    spool = Spool(tmp_path / "good", ManualClock())
    (tmp_path / "good" / KEY).write_text("")
    with pytest.raises(StartupError, match=LB):
        spool.series(LB, NODE)


def test_close_leaves_everything_for_the_next_run(tmp_path: Path) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    spool.series(LB, NODE).append(START, b"x")
    spool.close()
    spool.close()
    assert closed == []
    assert [segment.record_count for segment in Spool(tmp_path, ManualClock()).recovered] == [1]


def test_the_tail_of_a_segment_is_read_newest_first(tmp_path: Path) -> None:
    spool, _ = open_spool(tmp_path, ManualClock(START))
    series = spool.series(LB, NODE)
    for step in range(5):
        series.append(START + step / 10, b"%d" % step + b"." * 700_000)
    info = series.open_info()
    assert info is not None
    tail = read_tail(info.path, 2)
    assert [(at, record[:1]) for at, record in tail] == [(START + 0.4, b"4"), (START + 0.3, b"3")]
    assert len(read_tail(info.path, 99)) == 5


@pytest.mark.parametrize("made_before", [False, True])
def test_a_reserved_number_is_not_used_again(tmp_path: Path, made_before: bool) -> None:
    spool, closed = open_spool(tmp_path, ManualClock(START))
    if made_before:
        spool.series(LB, NODE)
    spool.reserve(KEY, 41)
    spool.reserve(KEY, 7)
    series = spool.series(LB, NODE)
    for second in range(2):
        series.append(START + second, b"x")
        series.close_segment()
    assert [segment.seq for segment in closed] == [42, 43]
    for segment in closed:
        spool.remove(segment)
    assert list(files(tmp_path)) == ["00000043.seg"]
