"""The archive: nothing twice, nothing torn, never more than its bound."""

from pathlib import Path

import pytest

from simulator.delivery import Archive
from simulator.errors import StartupError
from simulator.spool import SegmentInfo, segment_path

SERIES = "lb-00000001_100.64.0.1"


def segment(spool: Path, seq: int, *, pad: int = 10, at: float | None = None) -> SegmentInfo:
    at = float(seq) if at is None else at
    data = b"%d\t%s\n" % (at * 1000, b"x" * pad)
    directory = spool / SERIES
    directory.mkdir(parents=True, exist_ok=True)
    segment_path(directory, seq).write_bytes(data)
    return SegmentInfo(
        series_key=SERIES,
        load_balancer_id="lb-00000001",
        node_address="100.64.0.1",
        seq=seq,
        directory=directory,
        record_count=1,
        byte_count=len(data),
        first_at=at,
        last_at=at,
    )


def kept(archive: Archive) -> list[tuple[int, bytes]]:
    return [(found.seq, found.read()) for found in archive.segments(SERIES)]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_small_segments_share_a_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "ledger", 1 << 30)
    segments = [segment(tmp_path, seq) for seq in range(1, 5000)]
    archive.keep(segments[:3])
    archive.keep(segments[3:])
    expected = [(one.seq, one.path.read_bytes()) for one in segments]
    assert kept(archive) == expected
    assert files(tmp_path / "ledger") == ["00000001.index", "00000001.pack"]
    assert kept(Archive(tmp_path / "ledger", 1 << 30)) == expected


def test_a_large_segment_is_not_copied(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "ledger", 1 << 30)
    segments = [segment(tmp_path, 1), segment(tmp_path, 2, pad=2 << 20), segment(tmp_path, 3)]
    archive.keep(segments)
    assert segments[1].path.stat().st_nlink == 2
    assert kept(archive) == [(one.seq, one.path.read_bytes()) for one in segments]
    assert segments[1].path.stat().st_size == segments[1].byte_count, "nothing was appended to it"


def test_where_files_cannot_be_linked_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    archive = Archive(tmp_path / "ledger", 1 << 30)
    large = segment(tmp_path, 1, pad=2 << 20)
    archive.keep([large])
    assert large.path.stat().st_nlink == 1
    assert kept(archive) == [(1, large.path.read_bytes())]


def test_what_is_kept_already_is_not_kept_again(tmp_path: Path) -> None:
    segments = [segment(tmp_path, seq, pad=100 if seq != 2 else 2 << 20) for seq in range(1, 5)]
    Archive(tmp_path / "ledger", 1 << 30).keep(segments[:3])
    again = Archive(tmp_path / "ledger", 1 << 30)
    again.keep(segments)
    assert [seq for seq, _ in kept(again)] == [1, 2, 3, 4]


@pytest.mark.parametrize("pad", [10, 2 << 20])
@pytest.mark.parametrize("cut", ["index missing", "index torn", "pack torn", "pack missing"])
def test_killed_while_it_was_written(tmp_path: Path, cut: str, pad: int) -> None:
    """Whatever is unfinished is done anew: the segment is still in the spool then."""
    ledger = tmp_path / "ledger"
    first, second = segment(tmp_path, 1, pad=pad), segment(tmp_path, 2, pad=pad)
    Archive(ledger, 1 << 30).keep([first])
    before = {path: path.read_bytes() for path in (ledger / SERIES).iterdir()}
    Archive(ledger, 1 << 30).keep([second])
    for path in sorted((ledger / SERIES).iterdir()):
        data, old = path.read_bytes(), before.get(path, b"")
        if data == old:
            continue
        path.unlink()  # the file of a linked pack is the segment in the spool
        if cut == f"{path.suffix[1:]} missing":
            if old:
                path.write_bytes(old)
        elif cut == f"{path.suffix[1:]} torn":
            path.write_bytes(data[: (len(old) + len(data)) // 2])
        else:
            path.write_bytes(data)
    archive = Archive(ledger, 1 << 30)
    assert [seq for seq, _ in kept(archive)] == [1]
    archive.keep([first, second])
    assert kept(archive) == [(one.seq, one.path.read_bytes()) for one in (first, second)]


def test_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "ledger", 3 << 20)
    archive.keep([segment(tmp_path, seq, pad=1 << 20) for seq in range(1, 6)])
    assert archive.prune() == ((SERIES, 1), (SERIES, 2), (SERIES, 3))
    assert [seq for seq, _ in kept(archive)] == [4, 5]
    assert archive.size <= 3 << 20
    again = Archive(tmp_path / "ledger", 3 << 20)
    for each in (archive, again):
        assert each.removed_count == 3
        assert each.complete_since == 3.0
        assert each.prune() == ()


def test_a_reader_outlives_what_it_reads(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "ledger", 0)
    archive.keep([segment(tmp_path, seq, pad=1 << 20) for seq in (1, 2)])
    walk = archive.segments(SERIES)
    assert next(walk).seq == 1
    archive.prune()
    assert [found.seq for found in walk] == []


def test_by_number_and_time(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "ledger", 1 << 30)
    archive.keep([segment(tmp_path, seq, pad=(seq % 3) << 20) for seq in range(1, 20)])
    found = archive.segments(SERIES, first_seq=4, last_seq=15, first_at=3.0, last_at=6.0)
    assert [one.seq for one in found] == [4, 5, 6]
    assert list(archive.segments("lb-other_1.2.3.4")) == []


def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(tmp_path / "ledger", 1 << 30)
    segments = [segment(tmp_path, seq) for seq in (1, 2, 3)]
    archive.keep(segments[:1])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(OSError, match="No space"):
            archive.keep(segments[1:])
    assert [seq for seq, _ in kept(archive)] == [1]
    archive.keep(segments)
    assert [seq for seq, _ in kept(archive)] == [1, 2, 3]


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("")
    with pytest.raises(StartupError, match="ledger"):
        Archive(tmp_path / "ledger", 1)
    (tmp_path / "ledger").unlink()
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "removed.json").write_text("{")
    with pytest.raises(StartupError, match="damaged"):
        Archive(tmp_path / "ledger", 1)
