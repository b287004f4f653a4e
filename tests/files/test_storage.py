"""Paths below a root, on a local disk."""

import pickle
from functools import partial
from pathlib import Path

import pytest
from misbehaving import Web, good, serving

from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files import storage
from swallow_spark.files.http import Version
from swallow_spark.files.storage import Root, fetch, filesystem, is_uri, open_input, open_random_access, version_of


def test_writes_reads_lists_and_deletes(tmp_path: Path) -> None:
    root = Root(str(tmp_path / "new" / "corpus"))
    assert not root.exists("")
    assert root.files("") == root.directories("") == []
    root.write_atomically("a/b/one.json", b"1")
    root.write_atomically("a/two.txt", b"22")
    root.write_atomically("a/two.txt", b"333")
    assert root.read_bytes("a/two.txt") == b"333"
    assert root.size("a/two.txt") == 3
    assert root.files("") == ["a/b/one.json", "a/two.txt"]
    assert root.files("a", ".json") == ["a/b/one.json"]
    assert root.directories("") == ["a", "a/b"]
    root.delete("a/b")
    root.delete("a/nothing")
    assert root.files("") == ["a/two.txt"]
    root.delete("a/two.txt")
    assert not root.exists("a/two.txt")


def test_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(str(tmp_path))
    root.write_atomically("manifest.json", b"old")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        root.write_atomically("manifest.json", b"new")
    assert root.read_bytes("manifest.json") == b"old"


def test_creates_exclusively_once(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    assert root.create_exclusively("lock", b"mine")
    assert not root.create_exclusively("lock", b"yours")
    assert root.read_bytes("lock") == b"mine"


def test_crosses_into_tasks(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    root.write_atomically("x", b"x")
    assert pickle.loads(pickle.dumps(root)).read_bytes("x") == b"x"


def test_relative_location_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = Root("corpus/")
    root.write_atomically("x", b"x")
    assert (tmp_path / "corpus" / "x").read_bytes() == b"x"
    assert root.local_copy("x") == root.local_path("x") == tmp_path / "corpus" / "x"


def test_spark_takes_no_name_for_a_glob(tmp_path: Path) -> None:
    assert Root("/data/[a]{b}*?\\").spark_path("x") == "file:///data/\\[a\\]\\{b\\}\\*\\?\\\\/x"
    assert Root("/data/あ %20").spark_path("x") == "file:///data/あ %20/x"
    for name, is_read in (("a:b", True), ("a[b]", True), ("a[1] 12:00", False), ("a\\:", False), ("あ", True)):
        assert Root(f"/data/{name}").spark_reads == is_read


def test_inputs_are_read_as_they_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(b"\x1f\x8bstored")
    with open_input(str(path)) as stream:
        assert stream.read() == b"\x1f\x8bstored"
    with open_input(path.as_uri()) as stream:
        assert (stream.read(3), stream.read()) == (b"\x1f\x8bs", b"tored")
    with open_random_access(str(path)) as file:
        assert file.read_at(2, 3) == b"to"


def test_input_that_is_not_there(tmp_path: Path) -> None:
    for location in (str(tmp_path / "none"), (tmp_path / "none").as_uri()):
        for opened in (open_input, open_random_access):
            with pytest.raises(InputError, match="can't be read") as caught:
                opened(location)
            assert "none" in str(caught.value)


def test_uris() -> None:
    assert is_uri("s3://bucket/x")
    assert not is_uri("/data/x:y")


def test_http_bodies_are_read_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with serving(Web(files={"/f": b"0123456789" * 10})) as web:
        web.orders["/f"] = [good(cut=33)]
        with open_input(f"{web.url}/f") as stream:
            assert not stream.seekable()
            assert stream.read() == b"0123456789" * 10
        with open_random_access(f"{web.url}/f") as file:
            assert file.read_at(5, 95) == b"56789"
        assert version_of(f"{web.url}/f") == Version(100, None)
        for read in (fetch, open_random_access):
            web.orders["/f"] = [good(cut=10, ranges=False) for _ in range(9)]
            with pytest.raises(InputError, match="can't be read"):
                read(f"{web.url}/f")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_temporary_directory_is_no_fault_of_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.tempfile, "NamedTemporaryFile", partial(open, "/dev/full", "wb", buffering=0))
    with serving(Web(files={"/f": b"0123456789"})) as web, pytest.raises(OSError, match="No space") as raised:
        open_random_access(f"{web.url}/f")
    assert raised.value.filename == "/dev/full"


def test_an_input_is_held_against_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    for location in (str(path), path.as_uri()):
        for opened in (open_input, open_random_access):
            with opened(location, expected=Version(5, "any")) as stream:
                assert stream.read() == b"12345"
            with pytest.raises(ChangedError, match="has changed: 5 bytes, and it had 4"):
                opened(location, expected=Version(4, None))


def test_no_location_holds_credentials() -> None:
    with pytest.raises(InputError, match=r"s3://\*\*\*@bucket/x: credentials don't belong") as caught:
        filesystem("s3://key:secret@bucket/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="name the INPUT again"):
        open_input("https://***@host.example/x")
    with pytest.raises(InputError, match="name the INPUT again"):
        open_random_access("https://host.example/x?***")
