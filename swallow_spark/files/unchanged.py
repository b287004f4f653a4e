"""Detects local inputs that are replaced or modified while they are read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyarrow import fs

from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files.http import Version
from swallow_spark.files.storage import filesystem, is_http


@contextmanager
def unchanged(location: str) -> Iterator[Version]:
    """Read an input in this block. Yields the version of a local file; at the end, even if the block failed, raises
    ChangedError if the file has changed. Other stores need no check: HTTP bodies make it themselves, and objects'
    ETags are compared on opening."""
    try:
        before = _local_version(location)
    except (InputError, OSError):  # opening it will report the error
        before = Version()
    try:
        yield before
    except Exception:
        _check(location, before)
        raise
    _check(location, before)


def _check(location: str, before: Version) -> None:
    if before == Version():
        return
    try:
        difference = before.differs_from(_local_version(location))
    except OSError as error:
        difference = f"it can't be found again: {error.strerror}"
    if difference:
        raise ChangedError(f"{location}: has changed: {difference}")


def _local_version(location: str) -> Version:
    """The version of a local file now; an empty one for other locations."""
    filesystem_, path = (None, "") if is_http(location) else filesystem(location)
    if not isinstance(filesystem_, fs.LocalFileSystem):
        return Version()
    found = os.stat(path)
    return Version(found.st_size, None, found.st_mtime_ns, found.st_ino)
