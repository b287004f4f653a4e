"""Files over HTTP(S): a broken download resumes, and never yields anything but the file requested.

Requests are retried after a broken connection, a time-out, a short body or an answer that asks to retry later (RFC
9110: 429, 503, Retry-After), with exponential back-off and jitter, so that a thousand tasks don't retry at once. A
download resumes by Range with If-Range; if the server doesn't support ranges, it sends the whole file, and the bytes
that were read before are skipped. A file that changed meanwhile is an error. Proxies are those of the environment.
"""

import base64
import http.client
import io
import ipaddress
import random
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from swallow_spark.addresses import pool_of, proxy_of, shown
from swallow_spark.config.access import Access
from swallow_spark.errors import ChangedError, InputError, printable

_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_LONGEST_ASKED_SECONDS: Final = 600.0  # a longer Retry-After is a failure: leave it to the next `build`
_PROGRESS_BYTES: Final = 1 << 20  # a connection that delivered as much resets the count of failures
_CHUNK_BYTES: Final = 1 << 20
_MARKUP: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<")
_MARKUP_TYPES: Final = re.compile(r"text/html|application/xhtml|(?:text|application)/(?:[\w.-]+\+)?xml", re.IGNORECASE)
_ARCHIVE_START: Final = re.compile(  # gzip, zstd and its dictionary, zip, ARC, WARC
    rb"\x1f\x8b|\x28\xb5\x2f\xfd|\x5d\x2a\x4d\x18|PK\x03\x04|filedesc:|WARC/", re.IGNORECASE
)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Version(NamedTuple):
    """Identifies the content of a file at one moment."""

    bytes: int = -1  # -1: unknown
    etag: str | None = None
    modified_ns: int | None = None  # these two of local files, and never stored: a copy of the file has others
    inode: int | None = None

    def differs_from(self, other: "Version") -> str | None:
        """The difference in words; None if there is no known one."""
        if -1 not in (self.bytes, other.bytes) and self.bytes != other.bytes:
            return f"{other.bytes} bytes, and it had {self.bytes}"
        if self.etag and other.etag and self.etag.removeprefix("W/") != other.etag.removeprefix("W/"):
            return f"its ETag is {printable(other.etag)}, and it was {printable(self.etag)}"
        if None not in (self.modified_ns, other.modified_ns) and self.modified_ns != other.modified_ns:
            return "it was modified while it was read"
        if None not in (self.inode, other.inode) and self.inode != other.inode:
            return "another file took its place while it was read"
        return None


class _Pace:
    """Limits a rate of requests or bytes: each waits for its turn."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, amount: float) -> None:
        if not self._per_second:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + amount / self._per_second
        time.sleep(start - now)


class _BrokenError(Exception):
    """A failure to retry, after at least `after` seconds if the server asked for it; it counts as `weight` failures."""

    def __init__(self, why: str, after: float = 0, weight: int = 1) -> None:
        super().__init__(why)
        self.after = after
        self.weight = weight


class _PrivateAddressError(Exception):
    """A redirect to an address that isn't public."""


def _refuse_private(numeric: str) -> None:
    address = ipaddress.ip_address(numeric.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if not (mapped or address).is_global:
        raise _PrivateAddressError(str(address))


def _refuse_private_name(name: str) -> None:
    """Before a proxy connects: to what a name leads from here. One that is known only to the proxy passes."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return
    for *_, address in found:
        _refuse_private(str(address[0]))


class _PublicConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Checks the address after connecting and before anything is sent: a name can resolve to any address."""
        connected = super()._new_conn()
        try:
            _refuse_private(connected.getpeername()[0])
        except _PrivateAddressError:
            connected.close()
            raise
        return connected


class _PublicSecureConnection(_PublicConnection, HTTPSConnection):
    pass


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicSecurePool(HTTPSConnectionPool):
    ConnectionCls = _PublicSecureConnection


class HttpClient:
    """Sends requests. Threads may share one; each task creates its own."""

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self._requests = _Pace(self.access.requests_per_second)
        self.bytes = _Pace(self.access.bytes_per_second)
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}

    def open(self, url: str, start: int = 0, end: int | None = None, expected: Version | None = None) -> "Body":
        """The bytes of a file from `start` up to `end`. Raises InputError if it can't be read, ChangedError if it isn't
        `expected`."""
        return Body(self, url, start, end, expected or Version())

    def get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The response after all redirects, its body not read yet."""
        asked = urlsplit(url)
        at = url
        for _ in range(_MAX_REDIRECTS + 1):
            self._requests.take(1)
            parts = urlsplit(at)
            here = (parts.scheme, _host(parts)) == (asked.scheme, _host(asked))
            try:
                pool = self._pool(at, public=not here and not self.access.to_private_addresses)
                response = pool.request(
                    "GET",
                    urlunsplit(parts._replace(netloc=_host(parts), fragment="")),
                    headers={"Accept-Encoding": "identity", **headers, **(_authorization(asked) if here else {})},
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=urllib3.Timeout(connect=min(30, self.access.seconds), read=self.access.seconds),
                )
            except _PrivateAddressError as error:
                raise InputError(
                    f"{shown(url)}: redirected to {shown(at)}, at {error}, which is not a public address "
                    "(ingest.redirects_to_private_addresses allows it)"
                ) from None
            except (urllib3.exceptions.LocationValueError, UnicodeError) as error:
                raise InputError(f"{shown(url)}: not a valid address: {printable(str(error))}") from None
            if response.status not in _REDIRECTS:
                return response
            target = response.headers.get("Location", "")
            response.close()
            at = urljoin(at, target)
            if urlsplit(at).scheme not in ("http", "https") or not target:
                raise InputError(f"{shown(url)}: redirected to {shown(at)!r}, which is not an HTTP address")
        raise InputError(f"{shown(url)}: more than {_MAX_REDIRECTS} redirects")

    def _pool(self, url: str, public: bool) -> urllib3.PoolManager:
        """Connections for a URL, to public addresses only if it must be `public`."""
        proxy = proxy_of(url)
        if proxy and public:
            _refuse_private_name(urlsplit(url).hostname or "")
        if (pool := self._pools.get((proxy, public))) is None:
            pool = pool_of(proxy, num_pools=16, maxsize=16, retries=False)
            if public and not proxy:
                pool.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicSecurePool}
            self._pools[proxy, public] = pool
        return pool


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _authorization(parts: SplitResult) -> dict[str, str]:
    """The user and password in a URL as a header (RFC 7617)."""
    if "@" not in parts.netloc:
        return {}
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}


class Body(io.RawIOBase):
    """A file, or a range of it, read forwards. Reading raises InputError and ChangedError."""

    def __init__(self, client: HttpClient, url: str, start: int, end: int | None, expected: Version) -> None:
        self._client = client
        self._url = url
        self._is_range = end is not None
        self._position = start
        self._end = end
        self.version = expected
        self._modified: str | None = None
        self._failures = self._tries = 0
        self._response: urllib3.BaseHTTPResponse | None = None
        self._first = b""  # bytes read to check what the body is
        self._connect()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        while not (self._end is not None and self._position >= self._end):
            if self._response is None:
                self._connect()
                continue
            size = min(len(buffer), _CHUNK_BYTES)
            if self._end is not None:
                size = min(size, self._end - self._position)
            try:
                data = self._next(size)
                if not data and self._end is not None:
                    raise _BrokenError(f"the body ends at byte {self._position} of {self._end}")
            except _BrokenError as broken:
                self._pause(broken)
                continue
            self._position += len(data)
            self._gained += len(data)
            if self._gained >= _PROGRESS_BYTES:
                self._failures = self._tries = 0
            buffer[: len(data)] = data
            return len(data)
        return 0

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _next(self, size: int) -> bytes:
        """The next bytes of this connection; b"" at its end. Raises _BrokenError."""
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        assert self._response is not None
        if self._waited > self._client.access.seconds and self._received < 1 << 16:
            raise _BrokenError(f"{self._received} bytes in {self._waited:.0f} seconds")
        began = time.monotonic()
        try:
            data = self._response.read1(size)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise _BrokenError(printable(f"{type(error).__name__}: {error}")) from None
        self._waited += time.monotonic() - began
        self._received += len(data)
        self._client.bytes.take(len(data))
        return data

    def _connect(self) -> None:
        while self._response is None:
            try:
                self._ask()
            except _BrokenError as broken:
                self._pause(broken)

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response, self._first = None, b""

    def _pause(self, broken: _BrokenError) -> None:
        """Waits before the next connection. Raises InputError if there were too many."""
        self._hang_up()
        self._failures += broken.weight
        self._tries += 1
        if self._failures >= self._client.access.attempts or broken.after > _LONGEST_ASKED_SECONDS:
            later = f"; the server asks to wait {broken.after:.0f} seconds" if broken.after else ""
            raise InputError(f"{shown(self._url)}: can't be read after {self._tries} attempts: {broken}{later}")
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self._tries - 1))
        time.sleep(broken.after + random.uniform(longest / 2, longest))

    def _ask(self) -> None:
        headers = {}
        start = self._position
        if start or self._is_range:
            headers["Range"] = f"bytes={start}-{'' if self._end is None else self._end - 1}"
            if self.version.etag and not self.version.etag.startswith("W/"):
                headers["If-Range"] = self.version.etag
        try:
            response = self._client.get(self._url, headers)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            # Give up sooner on a server that doesn't exist than on a busy one: its name may be mistyped.
            weight = 2 if isinstance(error, urllib3.exceptions.NewConnectionError) else 1
            raise _BrokenError(printable(f"{type(error).__name__}: {error}"), weight=weight) from None
        self._received, self._waited, self._gained = 0, 0.0, 0
        self._response = response
        try:
            if response.status == 206 and headers:
                self._take_range(response)
            elif response.status == 200:
                self._take_whole(response)
            elif response.status in _RETRIED:
                raise _BrokenError(f"HTTP status {response.status}", retry_after(response) or 0)
            elif response.status == 416 and self.version.bytes >= 0:
                raise ChangedError(f"{shown(self._url)}: has changed: it ends before byte {self._position}")
            else:
                raise InputError(f"{shown(self._url)}: HTTP status {response.status}")
        except BaseException:
            self._hang_up()
            raise

    def _take_range(self, response: urllib3.BaseHTTPResponse) -> None:
        sent = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not sent or int(sent[1]) != self._position:
            raise _BrokenError("the server sent another range than requested")
        self._note(response, -1 if sent[3] == "*" else int(sent[3]))

    def _take_whole(self, response: urllib3.BaseHTTPResponse) -> None:
        if self._is_range:
            self._note(response, _content_length(response))
            raise InputError(f"{shown(self._url)}: the server doesn't support range requests")
        self._first = self._next(1 << 12)
        kind = response.headers.get("Content-Type", "")
        if _MARKUP.match(self._first) or (_MARKUP_TYPES.match(kind) and not _ARCHIVE_START.match(self._first)):
            raise _BrokenError(f"an HTML or XML page instead of the file ({printable(kind)})")
        self._note(response, _content_length(response))
        skipped = 0
        while skipped < self._position:
            data = self._next(min(_CHUNK_BYTES, self._position - skipped))
            if not data:
                raise _BrokenError(f"the body ends at byte {skipped} of {self._end or 'more'}")
            skipped += len(data)

    def _note(self, response: urllib3.BaseHTTPResponse, size: int) -> None:
        """Notes size, ETag and date of the file. Raises ChangedError if they differ from what is known."""
        found = Version(size, response.headers.get("ETag"))
        modified = response.headers.get("Last-Modified")
        difference = self.version.differs_from(found)
        if not difference and not found.etag and None not in (modified, self._modified) and modified != self._modified:
            difference = f"last modified {printable(str(modified))}, and it was {printable(str(self._modified))}"
        if difference:
            raise ChangedError(f"{shown(self._url)}: has changed: {difference}")
        self._modified = modified or self._modified
        self.version = Version(max(size, self.version.bytes), found.etag or self.version.etag)
        if self.version.bytes >= 0:
            self._end = self.version.bytes if self._end is None else min(self._end, self.version.bytes)


def _content_length(response: urllib3.BaseHTTPResponse) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else -1


def retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds to wait by Retry-After, a number or a date (RFC 9110, section 10.2.3); None without a valid one."""
    header = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header, re.ASCII):
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
