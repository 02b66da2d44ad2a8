"""The object store in process, and what is left of it after a crash."""

import gc
import hashlib
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.errors import ControlError, StartupError
from simulator.objectstore import ObjectStore
from simulator.objectstore.lags import Lag
from simulator.objectstore.mirror import Mirror

AT = 1_772_323_380.25


def test_an_object_is_read_as_it_was_put() -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("shop-logs")
    store.create_bucket("shop-logs")
    assert store.has_bucket("shop-logs")
    assert not store.has_bucket("other")
    info = store.put_object("shop-logs", "a/b.log", b"12\n", "text/plain", last_modified=AT)
    assert store.object_info("shop-logs", "a/b.log") == info
    assert (info.size_bytes, info.content_type, info.last_modified) == (3, "text/plain", AT)
    assert info.etag == hashlib.md5(b"12\n").hexdigest()
    assert store.get_object("shop-logs", "a/b.log") == b"12\n"
    store.close()


def test_a_deleted_object_is_gone_for_good(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, region="bj")
    store.create_bucket("shop-logs")
    for key in ("a/1", "a/2"):
        store.put_object("shop-logs", key, b"12", last_modified=AT)
    for bucket, key in (("shop-logs", "a/1"), ("shop-logs", "a/1"), ("other", "a/2")):
        store.delete_object(bucket, key)
    assert store.list_keys("shop-logs") == ("a/2",)
    with pytest.raises(ControlError):
        store.get_object("shop-logs", "a/1")
    store.close()
    store = ObjectStore(tmp_path, region="bj")
    assert store.list_keys("shop-logs") == ("a/2",)
    store.close()


def test_a_key_has_a_bound() -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("shop-logs")
    store.put_object("shop-logs", "k" * 1024, b"")
    with pytest.raises(ControlError) as refused:
        store.put_object("shop-logs", "\u65e5" * 342, b"")
    assert refused.value.code == "KeyTooLongError"
    assert store.list_keys("shop-logs") == ("k" * 1024,)
    store.close()


def test_putting_again_replaces_and_frees_the_old() -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("shop-logs")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for body in (b"1", b"22"):
            store.put_object("shop-logs", "k", body)
        gc.collect()
        found = [thing for thing in gc.get_objects() if type(thing).__name__ == "FakeKey"]
        living = [thing for thing in found if not thing.disposed]
    assert caught == []
    assert len(living) == 1
    assert store.get_object("shop-logs", "k") == b"22"
    assert store.list_keys("shop-logs") == ("k",)
    store.close()


def test_keys_are_listed_in_order_by_prefix() -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("shop-logs")
    for key in ("b/2", "a/1", "b/1", "c"):
        store.put_object("shop-logs", key, b"")
    assert store.list_keys("shop-logs") == ("a/1", "b/1", "b/2", "c")
    assert store.list_keys("shop-logs", "b/") == ("b/1", "b/2")
    store.close()


def test_objects_are_removed_by_prefix_and_choice(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, region="bj", time=lambda: AT)
    store.create_bucket("shop-logs")
    for key in ("a/1", "a/2", "a/3", "b/1"):
        store.put_object("shop-logs", key, b"x", lag=Lag(listed_at=AT + 60, readable_at=AT + 60))
    store.delete_objects("shop-logs", "a/", lambda key: key != "a/2")
    store.delete_objects("nowhere", "a/", lambda _: True)
    store.put_object("shop-logs", "a/3", b"y")
    assert store.get_object("shop-logs", "a/3") == b"y", "nothing is left of how it showed"
    store.close()
    again = ObjectStore(tmp_path, region="bj")
    assert again.list_keys("shop-logs") == ("a/2", "a/3", "b/1")
    again.close()


def test_a_file_becomes_an_object_and_is_never_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.truncate(100 << 20)
        out.write(b"begins")
    store = ObjectStore(tmp_path / "objects", region="bj")
    store.create_bucket("logs")
    tracemalloc.start()
    info = store.put_object("logs", "k", file, "text/csv", last_modified=AT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 140 << 20  # what is small is kept in memory, and moved to a file once
    with file.open("rb") as read:
        digest = hashlib.file_digest(read, "md5").hexdigest()
    assert (info.size_bytes, info.etag, info.content_type) == (100 << 20, digest, "text/csv")
    assert (tmp_path / "objects" / "logs" / "k").read_bytes()[:7] == b"begins\0"
    store.close()


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("logs")
    with pytest.raises(FileNotFoundError):
        store.put_object("logs", "k", tmp_path / "none")
    assert store.list_keys("logs") == ()
    store.close()


def test_what_does_not_exist_has_the_vendors_code() -> None:
    store = ObjectStore(None, region="bj")
    store.create_bucket("shop-logs")
    for call in (
        lambda: store.put_object("none", "k", b""),
        lambda: store.get_object("none", "k"),
        lambda: store.list_keys("none"),
    ):
        with pytest.raises(ControlError) as caught:
            call()
        assert (caught.value.code, caught.value.status) == ("NoSuchBucket", 404)
    with pytest.raises(ControlError) as caught:
        store.object_info("shop-logs", "none")
    assert (caught.value.code, caught.value.status) == ("NoSuchKey", 404)
    with pytest.raises(ControlError) as caught:
        store.create_bucket("x")
    assert caught.value.code == "InvalidBucketName"
    store.close()


def test_no_object_is_lost_when_the_process_is(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, region="bj")
    store.create_bucket("shop-logs")
    store.create_bucket("empty")
    before = [
        store.put_object("shop-logs", "a.log", b"old", last_modified=AT - 60),
        store.put_object("shop-logs", "a.log", b"new", last_modified=AT),
        store.put_object("shop-logs", "a.log/b.gz", b"zip", "application/gzip", last_modified=AT),
        store.put_object("shop-logs", "c", b"text", "text/plain", last_modified=AT),
    ][1:]

    again = ObjectStore(tmp_path, region="bj")
    assert again.has_bucket("empty")
    assert again.list_keys("shop-logs") == ("a.log", "a.log/b.gz", "c")
    assert [again.object_info("shop-logs", info.key) for info in before] == before
    assert again.get_object("shop-logs", "a.log") == b"new"
    again.close()


def test_a_write_that_did_not_finish_leaves_the_old_object(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, region="bj")
    store.create_bucket("shop-logs")
    store.put_object("shop-logs", "k", b"whole")
    (tmp_path / "shop-logs" / "+new").write_bytes(b"ha")
    again = ObjectStore(tmp_path, region="bj")
    assert again.list_keys("shop-logs") == ("k",)
    again.close()


def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(tmp_path, region="bj")
    store.create_bucket("shop-logs")
    store.put_object("shop-logs", "k", b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with monkeypatch.context() as patch:
            patch.setattr(Mirror, "write", refuse)
            with pytest.raises(OSError, match="No space"):
                store.put_object("shop-logs", "k", b"new")
        gc.collect()
    assert caught == []
    assert store.get_object("shop-logs", "k") == b"old"
    store.close()


def test_a_directory_that_is_a_file_is_a_startup_error(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("")
    with pytest.raises(StartupError, match="objects"):
        ObjectStore(tmp_path / "objects", region="bj")


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=300)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(keys=st.sets(KEYS, max_size=8))
@example(keys={".", "..", "../../etc/passwd", "/", "a//b", "a/", "a", "+new", "a?type", "a%2Fb"})
@example(keys={"x" * length for length in (199, 200, 201, 400, 401, 1000)} | {"中" * 300})
def test_every_key_has_a_file_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str]
) -> None:
    mirror = Mirror(tmp_path_factory.mktemp("mirror"))
    mirror.add_bucket("bkt")
    for key in keys:
        mirror.write("bkt", key, key.encode(), "text/plain", AT)
    found = {kept.key: kept for kept in mirror.read("bkt")}
    assert {key: kept.body.decode() for key, kept in found.items()} == {key: key for key in keys}
    assert all(kept.content_type == "text/plain" for kept in found.values())
    assert mirror.buckets() == ["bkt"]
