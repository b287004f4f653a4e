"""HTTP responses as crawlers store them: the head, and the body without its transfer and content codings.

Common Crawl stores decoded bodies and renames the headers of their encodings (X-Crawl-Content-Encoding). Other crawlers
store what came over the wire, and some store decoded bodies with headers that still declare an encoding. So a declared
encoding is tried, and a body that does not have it is used unchanged. Of a damaged body what can be decoded is used.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import pyarrow as pa

from swallow_spark.kernels.warc.heads import ABSENT, HeadSpans, names, scan_head

MAX_HEAD_BYTES: Final = 256 << 10
MAX_ENCODINGS: Final = 4  # in Transfer-Encoding and Content-Encoding; pages have one
_MAX_INTERIM: Final = 16  # responses before the final one
FIELDS: Final = names("content-type", "content-encoding", "transfer-encoding")
_ANY_RATIO_BYTES: Final = 1 << 20  # up to this size any ratio is allowed
_CHUNK_BYTES: Final = 64 << 10  # decoded at once
_PIECE_BYTES: Final = 16 << 10  # inflated at once
_SNIFF_BYTES: Final = 1445  # of a body, to see whether it is text (MIME Sniffing Standard, resource header)
_STATUS_LINE: Final = re.compile(rb"\s*(?:HTTP\S{0,16}(?:[ \t]+\d\.\d)?|ICY)[ \t]+(\d{3})(?![0-9])", re.IGNORECASE)
_CHUNK_SIZE: Final = re.compile(rb"[ \t]*0*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]{0,4096})?\r*\n")
_LOOKS_LIKE_HTML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]")
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BINARY: Final = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MEDIA_TYPE: Final = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+)\s*(?:;|\Z)", re.ASCII)
_BEGINS_WITH_HTML: Final = re.compile(r"""[\s"']*(text/html|application/xhtml\+xml)(?![\w.+-])""", re.I | re.A)
_CHARSET: Final = re.compile(r"""charset[ \t]*+=[ \t]*+["']?[ \t]*+([^\s"';,]+)""", re.IGNORECASE)
_VALUE: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+\\?"?|[^,"])++', re.DOTALL)  # one of several in a header


class BadHttpError(Exception):
    """A block that does not begin with the head of an HTTP response."""


class TooLargeError(Exception):
    """A body over a limit, as stored or decoded; `reason`: inflated_size or inflated_ratio."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(slots=True)
class Response:
    """An HTTP response."""

    status: int
    block: bytes
    """As stored, with its head."""
    spans: HeadSpans
    """Positions of head, body, Content-Type, Content-Encoding and Transfer-Encoding."""

    @property
    def stored_body(self) -> bytes:
        """The body, still encoded."""
        return self.block[self.spans.body :]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """(lower-case name, value) in order."""
        headers: list[tuple[str, str]] = []
        folded: defaultdict[int, list[str]] = defaultdict(list)  # further lines of a header, by its place
        for line in self.block[: self.spans.end].decode("latin-1").split("\n")[1:]:
            name, colon, value = line.partition(":")
            if line[:1] in (" ", "\t") and headers:
                folded[len(headers) - 1].append(line.strip())
            elif colon:
                headers.append((name.rstrip().lower(), value.strip()))
        for at, lines in folded.items():
            name, value = headers[at]
            headers[at] = (name, " ".join(filter(None, (value, *lines))))
        return headers

    def values(self, name: str) -> list[str]:
        """The values of a header, by lower-case name, without empty ones."""
        return [value for key, value in self.headers if key == name and value]

    @property
    def content_type(self) -> str | None:
        """The Content-Type: a single valid one as it stands, otherwise that of the Fetch Standard ("extract a MIME
        type"). None if there is none, or none can be made out."""
        spans = self.spans
        if spans.first_start == ABSENT:
            return None
        if spans.first_start >= 0:  # nearly always
            value = self.block[spans.first_start : spans.first_end].decode("latin-1").strip()
            if "," not in value and _MEDIA_TYPE.match(value):
                return value
        return _extracted_type(self.values("content-type"))


def _extracted_type(values: list[str]) -> str | None:
    """The last valid type of all values, with the charset of an earlier one of the same type. Beyond the standard, what
    begins as HTML's is HTML's whatever follows, and a charset counts that has no valid type before it: `text/html
    charset=x`, `text/html, charset=x`."""
    essence = charset = stray_charset = begun = None
    for value in _VALUE.findall(", ".join(values)):
        valid, named = _MEDIA_TYPE.match(value), _CHARSET.search(value)
        if valid is None:
            begins = _BEGINS_WITH_HTML.match(value)
            begun = begins[1].lower() if begins else begun
            stray_charset = named[1] if named else stray_charset
        elif valid[1] != "*/*":
            if essence != valid[1].lower():
                essence, charset = valid[1].lower(), None
            charset = named[1] if named else charset
    essence, charset = essence or begun, charset or stray_charset
    return f"{essence}; charset={charset}" if essence and charset else essence


def media_type(content_type: str) -> str:
    """`text/html` of `Text/HTML; charset=x`."""
    return content_type.partition(";")[0].strip().lower()


def parse(block: bytes) -> Response:
    """The response in a WARC record's block, or BadHttpError. Accepts any HTTP version or none, bare LF line ends,
    folded and malformed header lines and a head without an end. Interim responses (1xx) before it are left out."""
    status, spans = _head(block)
    for _ in range(_MAX_INTERIM):
        if not 100 <= status < 200 or spans.end < 0 or not _STATUS_LINE.match(block, spans.body):
            break
        block = block[spans.body :]
        status, spans = _head(block)
    if spans.end < 0:
        if len(block) > MAX_HEAD_BYTES:
            raise BadHttpError(f"the HTTP head does not end within {MAX_HEAD_BYTES} bytes")
        spans = spans._replace(end=len(block), body=len(block))
    return Response(status, block, spans)


def _head(block: bytes) -> tuple[int, HeadSpans]:
    """The status and the head of a response."""
    status_line = _STATUS_LINE.match(block, 0, 1024)
    if status_line is None:
        raise BadHttpError(f"no HTTP status line: {block[:40]!r}")
    return int(status_line[1]), scan_head(block, status_line.end(), MAX_HEAD_BYTES, FIELDS)


class Body(NamedTuple):
    """A body without its codings."""

    content: bytes
    damage: str | None = None
    """What is wrong with how it was encoded: the content may be incomplete."""
    is_undecodable: bool = False
    """Whether a part, or all of it, can't be decoded."""


def body(response: Response, max_bytes: int, max_ratio: int) -> Body:
    """The body without chunks and codings (gzip, deflate, br, zstd): at most `max_bytes`, and if over a mebibyte, at
    most `max_ratio` times as long as stored.

    A damaged body is decoded as far as possible. Raises TooLargeError without decoding more than the limit, and
    BadHttpError for more than `MAX_ENCODINGS`.
    """
    found = Body(response.stored_body)
    if response.spans.second_start != ABSENT or response.spans.third_start != ABSENT:
        transfer, content = _codings(response, "transfer-encoding"), _codings(response, "content-encoding")
        ratio_bytes = max(max_ratio * len(found.content), _ANY_RATIO_BYTES)
        if any("chunked" in coding for coding in transfer):  # always the last one (RFC 9112, 6.1)
            found = _without_chunks(found.content)
        encodings = [e.removeprefix("x-") for e in content + transfer if e.removeprefix("x-") in _DECODERS]
        if len(encodings) > MAX_ENCODINGS:
            raise BadHttpError(f"{len(encodings)} encodings")
        for encoding in reversed(encodings):
            outer, found = found, _decoded(found.content, encoding, max_bytes, ratio_bytes)
            if outer.damage:
                found = Body(found.content, outer.damage, found.is_undecodable or outer.is_undecodable)
    if len(found.content) > max_bytes:
        raise TooLargeError("inflated_size", f"{len(found.content)} bytes, over the limit of {max_bytes}")
    return found


def _codings(response: Response, name: str) -> list[str]:
    """The codings that a header lists, in the order in which they were applied."""
    return [coding.strip().lower() for value in response.values(name) for coding in value.split(",")]


def _without_chunks(data: bytes) -> Body:
    """The joined chunks; `data` itself if it does not begin with a chunk."""
    parts: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(data, at):
        length = min(int(size[1], 16), len(data))
        if length == 0:
            return Body(b"".join(parts))
        parts.append(data[size.end() : size.end() + length])
        at = size.end() + length
        if data[at : at + 2] == b"\r\n":
            at += 2
        elif data[at : at + 1] == b"\n":
            at += 1
        elif at < len(data):  # no chunk ends here: these are not sizes
            if len(parts) == 1:
                return Body(data)
            break
    return Body(b"".join(parts), "cut: no last chunk") if at else Body(data)


def _decoded(data: bytes, encoding: str, max_bytes: int, ratio_bytes: int) -> Body:
    """`data` decoded, or unchanged if it does not have this encoding."""
    parts: list[bytes] = []
    size = 0
    damage, is_undecodable = None, False
    try:
        for part in _DECODERS[encoding](data):
            size += len(part)
            if size > min(max_bytes, ratio_bytes):
                reason = "inflated_size" if size > max_bytes else "inflated_ratio"
                limit = min(max_bytes, ratio_bytes)
                raise TooLargeError(reason, f"over {limit} bytes once decoded ({encoding}, {len(data)} stored)")
            parts.append(part)
    except MemoryError:  # Arrow's is an ArrowException too
        raise
    except (zlib.error, OSError, pa.ArrowException) as error:
        # Truncated, damaged or never encoded: any output so far is kept, unless the data is text itself.
        if _LOOKS_LIKE_HTML.match(data) or not (size or _BINARY.search(data, 0, _SNIFF_BYTES)):
            return Body(data)
        damage, is_undecodable = f"{encoding}: {error}", not isinstance(error, _BehindError)
    return Body(b"".join(parts) if size or not damage else data, damage, is_undecodable)


class _BehindError(zlib.error):
    """Something that isn't encoded behind the end of what is."""


def _inflate(data: bytes, raw: bool = False) -> Iterator[bytes]:
    """Deflate in the frame of gzip or zlib, whatever is declared; `raw`: or in none, as some servers send it. Raises
    zlib.error after all that can be inflated, also if only the checksum is wrong."""
    at = 0
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    is_raw = raw and not is_zlib and not data.startswith(_GZIP_MAGIC)
    while at < len(data):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else 32 + zlib.MAX_WBITS)
        while not inflater.eof:
            piece = inflater.unconsumed_tail
            if not piece:
                piece = data[at : at + _PIECE_BYTES]
                at += len(piece)
            before = inflater.copy()
            try:
                part = inflater.decompress(piece, _CHUNK_BYTES)
            except zlib.error:
                for i in range(len(piece)):  # zlib returns nothing of a piece with an error
                    yield before.decompress(piece[i : i + 1])
                raise
            if not part and not piece and not inflater.eof:
                raise zlib.error("cut")
            yield part
        at -= len(inflater.unused_data)
        if not data.startswith(_GZIP_MAGIC, at):  # gzip may have several members
            break
    if at < len(data):
        raise _BehindError(f"{len(data) - at} bytes behind its end")


def _by_arrow(data: bytes, codec: str) -> Iterator[bytes]:
    """Raises what Arrow raises after all that can be decoded."""
    size = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            while part := stream.read(_CHUNK_BYTES):
                size += len(part)
                yield part
    except (OSError, pa.ArrowInvalid):
        again = data
        if data.startswith(_ZSTD_MAGIC) and len(data) > 4:  # without a checksum (RFC 8878, 3.1.1.1.1): it may be wrong
            again = data[:4] + bytes([data[4] & 0xFB]) + data[5:]
        with pa.CompressedInputStream(pa.BufferReader(again), codec) as stream:
            for skipped in range(0, size, _CHUNK_BYTES):
                stream.read(min(size - skipped, _CHUNK_BYTES))
            try:
                while part := stream.read(1):  # Arrow returns nothing of a read with an error
                    yield part
            except (OSError, pa.ArrowInvalid):
                trimmed = data.rstrip(b"\r\n\0 ")
                if len(trimmed) < len(data) and _is_whole(trimmed, codec):
                    raise _BehindError(f"{len(data) - len(trimmed)} bytes behind its end") from None
                raise


def _is_whole(data: bytes, codec: str) -> bool:
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            while stream.read(_CHUNK_BYTES):
                pass
    except (OSError, pa.ArrowInvalid):
        return False
    return True


_DECODERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "gzip": _inflate,
    "deflate": partial(_inflate, raw=True),
    "br": partial(_by_arrow, codec="brotli"),
    "zstd": partial(_by_arrow, codec="zstd"),
}
