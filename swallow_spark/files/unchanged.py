"""Local inputs that become others of the same size while they are read: never a mixture, as over HTTP."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyarrow import fs

from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files.http import Version
from swallow_spark.files.storage import filesystem, is_http


@contextmanager
def unchanged(location: str) -> Iterator[Version]:
    """For who reads an input in this block; yields what is known of a local file before. Raises ChangedError at the
    end, also of a block that failed, where it is no longer that file.

    Of other stores nothing is asked: a body over HTTP sees for itself, and an object's ETag is looked at where it is
    opened.
    """
    try:
        before = _local_version(location)
    except (InputError, OSError):  # who opens it will tell
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
    """What tells a local file from another of its size, as it is now; nothing of a file elsewhere."""
    filesystem_, path = (None, "") if is_http(location) else filesystem(location)
    if not isinstance(filesystem_, fs.LocalFileSystem):
        return Version()
    found = os.stat(path)
    return Version(found.st_size, None, found.st_mtime_ns, found.st_ino)
