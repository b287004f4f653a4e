"""Reading parts of files: local, on object stores and over HTTP."""

import io
from typing import Any, Final

from swallow_spark.addresses import shown
from swallow_spark.errors import InputError
from swallow_spark.files.http import HttpClient, Version
from swallow_spark.files.storage import is_http, open_random_access, version_of, version_of_opened

_S3_LEAST_BYTES: Final = 4 << 10  # of a range: S3's client doesn't retry if the error's body is longer than the range


def open_parts(location: str, web: HttpClient | None = None) -> Any:
    """A file for random access: over HTTP, a request for each part that is read. Raises InputError."""
    if not is_http(location):
        return open_random_access(location)
    client = web or HttpClient()
    ranges = Ranges(location, web=client, expected=version_of(location, client))
    return io.BufferedReader(_Seekable(ranges), 1 << 16)


class Ranges:
    """Ranges of one input, for several threads. Raises InputError, and ChangedError if the input isn't `expected` or
    has changed since the first range was read."""

    def __init__(self, location: str, *, web: HttpClient, expected: Version) -> None:
        self.version = expected
        self._location = location
        self._web = web
        self._file = None
        if not is_http(location):
            self._file = open_random_access(location, expected=expected)
            self.version = version_of_opened(self._file)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, or to the end of the file."""
        if self._file is not None:
            try:
                data = bytes(self._file.read_at(max(end - start, _S3_LEAST_BYTES), start))[: end - start]
            except OSError as error:
                raise InputError(f"{shown(self._location)}: can't be read: {error.strerror or error}") from None
            self._web.bytes.take(len(data))
            return data
        with self._web.open(self._location, start, end, self.version) as body:
            pieces = bytearray()
            while piece := body.read(1 << 20):
                pieces += piece
            self.version = body.version
        return bytes(pieces)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Seekable(io.RawIOBase):
    """A file of known size as a raw stream over its ranges."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._ranges.version.bytes)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._ranges.version.bytes)
        data = self._ranges.read(self._position, end) if end > self._position else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
