"""Access to local files, object stores and HTTP: no other module distinguishes them.

A location is a local path or a URI that `pyarrow.fs` understands (`s3://`, `hdfs://`); inputs may also be `http(s)://`.
Credentials come from where the object stores' own tools take them, never from a location.
"""

import contextlib
import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from swallow_spark.addresses import is_masked, shown
from swallow_spark.errors import ChangedError, InputError, filling, is_shortage
from swallow_spark.files.http import HttpClient, Version

_HTTP: Final = ("http://", "https://")
_ZIP: Final = b"PK\x03\x04"
_S3_ATTEMPTS: Final = 8
_SPARK_READS: Final = ("hdfs://", "viewfs://")
_GLOB: Final = re.compile(r"[\\{}\[\]*?]")  # what Spark's readers expand


def can_seek(location: str) -> bool:
    """Whether `open_input` gives a stream that can start anywhere."""
    return not is_http(location)


def is_http(location: str) -> bool:
    return location.startswith(_HTTP)


def is_uri(location: str) -> bool:
    return "://" in location


def machine_cache() -> Path:
    """This user's directory for copies of remote files, shared by all processes of a machine."""
    cache = Path(tempfile.gettempdir()) / f"swallow-spark-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    found = cache.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise InputError(f"{cache}: must be a directory of this user that nobody else can write to; delete it")
    return cache


def filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a location, and the path in it. Raises InputError for an unusable URI."""
    if not is_uri(location):
        return fs.LocalFileSystem(), str(Path(location).absolute())
    if "@" in urlsplit(location).netloc and not location.startswith(_SPARK_READS):  # hdfs://user@host is no secret
        raise InputError(
            f"{shown(location)}: credentials don't belong in a location: give them by environment variables, "
            "a profile or the machine's role"
        )
    parts = urlsplit(location)
    try:
        if parts.scheme == "s3":  # one client per bucket: creating it asks for the bucket's region
            bucket = f"s3://{parts.netloc}{f'?{parts.query}' if parts.query else ''}"
            return _bucket(bucket), unquote(f"{parts.netloc}{parts.path}")
        return cast(tuple[fs.FileSystem, str], fs.FileSystem.from_uri(location))
    except (ValueError, OSError) as error:
        raise InputError(f"{shown(location)}: not a usable path or URI: {error}") from None


@lru_cache(maxsize=64)
def _bucket(uri: str) -> fs.FileSystem:
    """A client for a bucket, in its region, that retries. By default PyArrow's gives up at the first SlowDown."""
    given = dict(parse_qsl(urlsplit(uri).query))
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
    return fs.S3FileSystem(
        region=fs.FileSystem.from_uri(uri)[0].region,
        scheme=given.get("scheme", endpoint.scheme or None),
        endpoint_override=given.get("endpoint_override", endpoint.netloc or None),
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_S3_ATTEMPTS),
    )


class Listing(NamedTuple):
    """Everything below a root, by relative paths, sorted."""

    files: dict[str, int]
    """path -> bytes"""
    directories: list[str]


@dataclass(frozen=True)
class Root:
    """The root directory of a corpus or an export; paths are relative to it. Cheap to pickle into tasks."""

    location: str

    @cached_property
    def _place(self) -> tuple[fs.FileSystem, str]:
        return filesystem(self.location)

    def _path(self, relative: str) -> str:
        return f"{self._place[1].rstrip('/')}/{relative}".rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        return {"location": self.location}

    @property
    def is_local(self) -> bool:
        return isinstance(self._place[0], fs.LocalFileSystem)

    @property
    def spark_reads(self) -> bool:
        """Whether Spark's own readers reach it with the packages that come with PySpark. They can't expand globs in a
        path with a colon, even if the glob's characters are escaped."""
        if self.is_local:
            return not (":" in self._path("") and _GLOB.search(self._path("")))
        return self.location.startswith(_SPARK_READS)

    def spark_path(self, relative: str) -> str:
        """The path for Spark's own readers, which expand globs, but don't decode percent-encoding."""
        path = f"file://{self._path(relative)}" if self.is_local else f"{self.location.rstrip('/')}/{relative}"
        return _GLOB.sub(r"\\\g<0>", path)

    def local_path(self, relative: str) -> Path:
        """The local path; only for display if the root is remote."""
        return Path(self._path(relative))

    def exists(self, relative: str) -> bool:
        return bool(self._place[0].get_file_info(self._path(relative)).type != fs.FileType.NotFound)

    def size(self, relative: str) -> int:
        return int(self._place[0].get_file_info(self._path(relative)).size or 0)

    def make_directory(self, relative: str) -> None:
        self._place[0].create_dir(self._path(relative), recursive=True)

    def read_bytes(self, relative: str) -> bytes:
        with self.open_input(relative) as stream:
            return bytes(stream.read())

    def open_input(self, relative: str) -> Any:
        return self._place[0].open_input_file(self._path(relative))

    def local_copy(self, relative: str) -> Path:
        """A file or directory as a local path: itself if the root is local, else one copy per machine. Making a copy
        deletes the copies beside it whose originals are gone; processes that have one open keep it."""
        if self.is_local:
            return self.local_path(relative)
        cache = machine_cache()
        copies = cache / hashlib.sha256(self.location.encode()).hexdigest()[:32]
        copy = copies / relative
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            top = relative.partition("/")[0]
            for other in (copies / top).glob("*"):
                if self.exists(f"{top}/{other.name}"):
                    continue
                if other.is_dir():
                    shutil.rmtree(other, ignore_errors=True)  # another process may be deleting it
                else:
                    other.unlink(missing_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                fresh = Path(scratch) / "copy"
                if self._place[0].get_file_info(self._path(relative)).type == fs.FileType.Directory:
                    fresh.mkdir()
                with filling(copies):
                    fs.copy_files(self._path(relative), str(fresh), source_filesystem=self._place[0])
                with contextlib.suppress(OSError):  # another process was first
                    fresh.rename(copy)
        return copy

    def upload(self, source: Path, relative: str) -> None:
        """Copies a local file or directory below the root."""
        with filling(self._path(relative)):
            fs.copy_files(str(source), self._path(relative), destination_filesystem=self._place[0])

    def open_output(self, relative: str) -> Any:
        """A stream into a new file; creates the directory if needed."""
        path = self._path(relative)
        if self.is_local:  # other stores need no directories, or create them
            self._place[0].create_dir(path.rpartition("/")[0], recursive=True)
        return self._place[0].open_output_stream(path, compression=None)

    def write_atomically(self, relative: str, content: bytes) -> None:
        """Writes a file whole or not at all: object stores publish an object on close, a local file is renamed."""
        if not self.is_local:
            with self.open_output(relative) as stream:
                stream.write(content)
            return
        with replacing(self.local_path(relative)) as fresh, fresh.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def create_exclusively(self, relative: str, content: bytes) -> bool:
        """Creates a file; False if it exists. Best effort: of two concurrent callers, both may get True."""
        if self.exists(relative):
            return False
        self.write_atomically(relative, content)
        return self.read_bytes(relative) == content

    def move(self, relative: str, to: str) -> None:
        """Renames a file; exact on local file systems."""
        self._place[0].move(self._path(relative), self._path(to))

    def delete(self, relative: str) -> None:
        """Deletes a file, or a directory with its content, if it exists."""
        filesystem_, path = self._place[0], self._path(relative)
        kind = filesystem_.get_file_info(path).type
        if kind == fs.FileType.Directory:
            filesystem_.delete_dir(path)
        elif kind == fs.FileType.File:
            filesystem_.delete_file(path)

    def files(self, relative: str, suffix: str = "") -> list[str]:
        """All files below a directory, relative to the root, sorted."""
        found = self._infos(relative)
        return [path for path, info in found if info.type == fs.FileType.File and path.endswith(suffix)]

    def directories(self, relative: str) -> list[str]:
        """All directories below a directory, relative to the root, sorted."""
        return [path for path, info in self._infos(relative) if info.type == fs.FileType.Directory]

    def listing(self) -> Listing:
        """Everything below the root, by one request for many entries."""
        found = self._infos("")
        return Listing(
            {path: int(info.size) for path, info in found if info.type == fs.FileType.File},
            [path for path, info in found if info.type == fs.FileType.Directory],
        )

    def _infos(self, relative: str) -> list[tuple[str, fs.FileInfo]]:
        selector = fs.FileSelector(self._path(relative), recursive=True, allow_not_found=True)
        start = len(self._path("")) + 1
        found = ((info.path[start:], info) for info in self._place[0].get_file_info(selector))
        return sorted(found, key=lambda entry: entry[0])


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields where to write a file or directory that replaces `path` when the block ends: a file atomically, a
    directory after the old one is deleted. Creates the directory above it if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        with filling(path):
            yield fresh
            if path.is_dir():
                shutil.rmtree(path)
            fresh.replace(path)
    except BaseException:
        if fresh.is_dir():
            shutil.rmtree(fresh, ignore_errors=True)
        else:
            fresh.unlink(missing_ok=True)
        raise


class _Plain(io.RawIOBase):
    """A PyArrow stream as a raw file: some parsers call methods that PyArrow's don't support."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_input(location: str, *, web: HttpClient | None = None, expected: Version | None = None) -> BinaryIO:
    """An input as a stream of its stored bytes; over HTTP it can't seek, and reconnects by itself.

    Raises InputError if it can't be opened, ChangedError if it isn't `expected`. Reading raises OSError, or over HTTP
    these two.
    """
    refuse_masked(location)
    try:
        if is_http(location):
            return cast(BinaryIO, io.BufferedReader((web or _web()).open(location, expected=expected), 1 << 20))
        if is_uri(location):
            filesystem_, path = filesystem(location)
            opened = filesystem_.open_input_file(path)
            _compare(location, version_of_opened(opened), expected)
            return cast(BinaryIO, io.BufferedReader(_Plain(opened), 1 << 20))
        _compare(location, Version(os.stat(location).st_size), expected)
        return open(location, "rb", buffering=1 << 20)
    except OSError as error:
        raise _unreadable(location, error) from None


def open_warc(location: str, *, web: HttpClient | None = None, expected: Version | None = None) -> Any:
    """As `open_input`; but a WACZ file, whose list of entries is at its end, can seek: over HTTP it is a local copy."""
    stream: Any = open_input(location, web=web, expected=expected)
    if not can_seek(location) and stream.peek(len(_ZIP)).startswith(_ZIP):
        stream.close()
        return open_random_access(location, web=web, expected=expected)
    return stream


def fetch(location: str, web: HttpClient | None = None) -> bytes:
    """The whole content of an input. Raises InputError if it can't be read."""
    try:
        with open_input(location, web=web) as stream:
            return stream.read()
    except OSError as error:
        raise _unreadable(location, error) from None


def open_random_access(location: str, *, web: HttpClient | None = None, expected: Version | None = None) -> Any:
    """An input as a PyArrow file that can seek; over HTTP, a local copy. Raises InputError if it can't be opened,
    ChangedError if it isn't `expected`."""
    try:
        if is_http(location):
            with open_input(location, web=web, expected=expected) as stream, tempfile.NamedTemporaryFile() as copy:
                with filling(copy.name):
                    shutil.copyfileobj(stream, copy, 1 << 20)
                    copy.flush()
                return pa.OSFile(copy.name)  # an open file stays readable after its name is deleted
        refuse_masked(location)
        filesystem_, path = filesystem(location)
        opened = filesystem_.open_input_file(path)
        _compare(location, version_of_opened(opened), expected)
        return opened
    except OSError as error:
        raise _unreadable(location, error) from None


def version_of(location: str, web: HttpClient | None = None) -> Version:
    """Size and ETag of an input. Raises InputError if it can't be read."""
    if is_http(location):
        with (web or _web()).open(location) as body:
            return body.version
    with open_random_access(location) as opened:
        return version_of_opened(opened)


def version_of_opened(opened: Any) -> Version:
    """Size and ETag of a PyArrow file."""
    etag = (opened.metadata() or {}).get("ETag")
    return Version(opened.size(), etag.decode("ascii", "replace") if isinstance(etag, bytes) else etag)


def _compare(location: str, found: Version, expected: Version | None) -> None:
    if expected and (difference := expected.differs_from(found)):
        raise ChangedError(f"{shown(location)}: has changed: {difference}")


def refuse_masked(location: str) -> None:
    """Raises InputError for an address whose credentials were masked."""
    if is_masked(location):
        raise InputError(f"{location}: its user and password, or its query, are not stored: name the INPUT again")


def _unreadable(location: str, error: OSError) -> InputError | OSError:
    """The error to raise: InputError, or the error itself if this machine lacks memory, disk or open files."""
    if is_shortage(error):
        return error
    return InputError(f"{shown(location)}: can't be read: {error.strerror or error}")


@lru_cache(maxsize=1)
def _web() -> HttpClient:
    """For the single files that a driver reads."""
    return HttpClient()
