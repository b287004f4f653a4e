"""Local inputs that are other files of the same size by the time they have been read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files.http import Version
from swallow_spark.files.storage import open_input
from swallow_spark.files.unchanged import unchanged


def written_to(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"e")
    os.utime(path, ns=(0, 1_000_000_000_000_000_001))  # the clocks of file systems are coarse


def replaced(path: Path) -> None:
    """By a file that was written at the same time, as a copy may seem to be."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"efgh")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def lengthened(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"e")


def fail_after(change: Callable[[Path], None], path: Path) -> None:
    change(path)
    raise ValueError("what half of a file and half of another looks like")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (written_to, "it was modified while it was read"),
        (replaced, "another file took its place while it was read"),
        (lengthened, "5 bytes, and it had 4"),
        (Path.unlink, "it can't be found again: No such file or directory"),
    ],
)
def test_a_change_is_an_error_in_the_end(tmp_path: Path, change: Callable[[Path], None], told: str) -> None:
    path = tmp_path / "a b"
    for location in (str(path), path.as_uri()):
        path.write_bytes(b"abcd")
        with pytest.raises(ChangedError, match=f"a( |%20)b: has changed: {told}"), unchanged(location):
            change(path)
        path.write_bytes(b"abcd")
        with pytest.raises(ChangedError, match=told), unchanged(location):
            fail_after(change, path)


def test_what_is_only_read_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcd")
    with unchanged(str(path)) as version, open_input(str(path)) as stream:
        assert stream.read() == b"abcd"
    assert (version.bytes, version.modified_ns) == (4, path.stat().st_mtime_ns)
    with pytest.raises(ValueError, match="another"), unchanged(str(path)):
        raise ValueError("another error")


def test_who_opens_it_tells_that_it_is_not_there(tmp_path: Path) -> None:
    location = str(tmp_path / "none")
    with pytest.raises(InputError, match="can't be read: No such file"), unchanged(location), open_input(location):
        pass


def test_of_other_stores_nothing_is_asked() -> None:
    for location in ("http://localhost:1/x", "s3://none/x?region=us-east-1"):
        with unchanged(location) as version:
            assert version == (-1, None, None, None)


def test_who_opens_it_tells_of_a_place_that_cannot_be_reached() -> None:
    with unchanged("nosuch://bucket/a.warc.gz") as version:
        assert version == Version()
