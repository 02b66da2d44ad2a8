"""A destination that keeps refusing ends a run instead of making it run for ever."""

from pathlib import Path

from command import blbsim, variant


def test_a_run_whose_bucket_cannot_be_written_ends_and_keeps_the_records(tmp_path: Path):
    path = variant(tmp_path, ("for: 10s", "for: 1s"))
    data = tmp_path / "data"
    # A directory stands where the mirror of the bucket writes its files before it names them.
    (data / "objects" / "shop-logs" / "+new").mkdir(parents=True)
    done = blbsim("run", path, "--free-ports", "--data-dir", data)
    assert done.returncode == 3
    assert "records cannot be delivered" in done.stderr
    assert len(done.stderr.splitlines()) < 10
    assert list((data / "spool").rglob("*.seg"))
