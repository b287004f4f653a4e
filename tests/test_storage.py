"""Paths below a root, on a local disk."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from misbehaving import Web, good, serving

from swallow_spark.download import HttpClient, Version
from swallow_spark.errors import ChangedError, InputError
from swallow_spark.storage import (
    Ranges,
    Root,
    fetch,
    filesystem,
    is_uri,
    key_of,
    open_input,
    open_parts,
    open_random_access,
    version_of,
)


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


def test_an_input_is_held_against_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    for location in (str(path), path.as_uri()):
        for opened in (open_input, open_random_access):
            with opened(location, expected=Version(5, "any")) as stream:
                assert stream.read() == b"12345"
            with pytest.raises(ChangedError, match="has changed: 5 bytes, and it had 4"):
                opened(location, expected=Version(4, None))


def test_ranges_of_a_file_and_of_the_web(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(content)
    with serving(Web(files={"/x": content}, etags={"/x": '"1"'})) as web:
        for location in (str(tmp_path / "x"), (tmp_path / "x").as_uri(), f"{web.url}/x"):
            ranges = Ranges(location, web=HttpClient(), expected=Version())
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda start, of=ranges: of.read(start, start + 5000), range(0, 250_000, 999)))
            assert found == [content[start : start + 5000] for start in range(0, 250_000, 999)]
            assert ranges.read(len(content) - 1, len(content) + 9) == content[-1:]
            assert ranges.version.bytes == len(content)
            ranges.close()
        ranges = Ranges(f"{web.url}/x", web=HttpClient(), expected=Version())
        ranges.read(0, 10)
        web.etags["/x"] = '"2"'
        with pytest.raises(ChangedError, match="ETag"):
            ranges.read(10, 20)
    with pytest.raises(InputError, match="can't be read"):
        Ranges(str(tmp_path / "none"), web=HttpClient(), expected=Version())


def test_parts_of_a_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(content)
    with serving(Web(files={"/x": content})) as web:
        for location in (str(tmp_path / "x"), f"{web.url}/x"):
            with open_parts(location) as stream:
                assert stream.seek(100_000) == 100_000
                assert stream.read(10) == content[100_000:100_010]
                stream.seek(-5, 2)
                assert stream.read() == content[-5:]
                stream.seek(3)
                stream.seek(4, 1)
                assert (stream.tell(), stream.read(2)) == (7, content[7:9])
        assert len(web.ranges("/x")) <= 5


def test_no_location_holds_credentials() -> None:
    with pytest.raises(InputError, match=r"s3://\*\*\*@bucket/x: credentials don't belong") as caught:
        filesystem("s3://key:secret@bucket/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="name the INPUT again"):
        open_input("https://***@host.example/x")
    with pytest.raises(InputError, match="name the INPUT again"):
        open_random_access("https://host.example/x?***")


def test_keys() -> None:
    assert key_of("s3://commoncrawl/crawl-data/x") == key_of("https://u:p@h/crawl-data/x?sig=1") == "crawl-data/x"
    assert key_of("https://h/cc-index/table/x") == "cc-index/table/x"
    assert key_of("https://u:p@h:8080/x?page=1") == "h:8080/x?page=1"
    assert key_of("/data/../x") == "/x"
