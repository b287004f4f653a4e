"""WARCs of all shapes, made up here, as warcio and FastWARC read them: the same records, offsets and digests, or a
reason why not."""

import base64
import gzip
import hashlib
import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed
from warcs import everything

from swallow_spark.kernels.warc import http
from swallow_spark.kernels.warc.warc import Damage, Record

HTTP_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
PAYLOADS = [
    *(b"", b"x", "<html><p>豆腐の話です。</p></html>".encode() * 40, b"\r\n" * 20, b"line\n\nWARC/ is no record\n"),
    *(bytes(range(256)) * 300, b"WARC/1.0", b"\0" * 5_000, b"\x1f\x8b\x08" * 9, b"end\r\n\r\n"),
]


class Seen(NamedTuple):
    """A record as a reader gives it."""

    offset: int
    kind: str
    url: str
    block: bytes


def digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def url_of(number: int) -> str:
    return f"https://tofu.example/{number}"


def block_of(number: int) -> bytes:
    return HTTP_HEAD + PAYLOADS[number]


def head_of(number: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"WARC-Type", b"response"),
        (b"WARC-Record-ID", b"<urn:uuid:00000000-0000-0000-0000-%012d>" % number),
        (b"WARC-Target-URI", url_of(number).encode()),
        (b"WARC-Date", b"2025-08-12T03:11:00Z"),
        (b"WARC-Block-Digest", digest(block_of(number)).encode()),
        (b"WARC-Payload-Digest", digest(PAYLOADS[number]).encode()),
        (b"Content-Type", b"application/http; msgtype=response"),
        (b"Content-Length", b"%d" % len(block_of(number))),
    ]


def written(
    number: int,
    version: bytes = b"WARC/1.0",
    field: Callable[[bytes, bytes], bytes] = lambda name, value: name + b": " + value,
    line_end: bytes = b"\r\n",
    tail: bytes = b"\r\n\r\n",
) -> bytes:
    lines = [version, *(field(name, value) for name, value in head_of(number)), b"", b""]
    return line_end.join(lines) + block_of(number) + tail


def with_url(number: int, form: bytes) -> bytes:
    url = url_of(number).encode()
    return written(number).replace(b"URI: " + url, b"URI: " + form % url)


# How the third, fourth and eighth record are written; the others are plain.
HEADS: dict[str, Callable[[int], bytes]] = {
    "plain": written,
    "WARC/1.1": lambda n: written(n, version=b"WARC/1.1"),
    "WARC/0.18": lambda n: written(n, version=b"WARC/0.18"),
    "version in lower case": lambda n: written(n, version=b"warc/1.0"),
    "blanks behind the version": lambda n: written(n, version=b"WARC/1.0 \t"),
    "LF": lambda n: written(n, line_end=b"\n"),
    "CR CR LF": lambda n: written(n, line_end=b"\r\r\n"),
    "names in capitals": lambda n: written(n, field=lambda name, value: name.upper() + b": " + value),
    "no blank behind the colon": lambda n: written(n, field=lambda name, value: name + b":" + value),
    "a blank before the colon": lambda n: written(n, field=lambda name, value: name + b" : " + value),
    "blanks behind values": lambda n: written(n, field=lambda name, value: name + b": " + value + b" \t"),
    "values on the next line": lambda n: written(n, field=lambda name, value: name + b":\r\n " + value),
    "values on the second line after": lambda n: written(n, field=lambda name, value: name + b": \r\n\t\r\n " + value),
    "URLs in angle brackets": lambda n: written(n).replace(
        b"URI: " + url_of(n).encode(), b"URI: <%b>" % url_of(n).encode()
    ),
    "zeros before Content-Length": lambda n: written(n).replace(b"Content-Length: ", b"Content-Length: 000"),
    "encoded words": lambda n: written(n).replace(
        b"URI: " + url_of(n).encode(), b"URI: =?utf-8?q?%b?=" % url_of(n).encode()
    ),
    "a year as date": lambda n: written(n).replace(b"2025-08-12T03:11:00Z", b"2025"),
    "UTF-8": lambda n: written(n).replace(b"\r\n", "\r\nX-名: 豆腐\r\n".encode(), 1),
    "nothing behind it": lambda n: written(n, tail=b""),
    "one line end behind it": lambda n: written(n, tail=b"\r\n"),
    "LFs behind it": lambda n: written(n, tail=b"\n\n"),
    "nine line ends behind it": lambda n: written(n, tail=b"\r\n" * 9),
    "zeros behind it": lambda n: written(n) + b"\0" * 512,
}
ODD = (2, 3, 7)


def records_by(head: str) -> list[bytes]:
    return [HEADS[head](n) if n in ODD else written(n) for n in range(len(PAYLOADS))]


def starts(parts: list[bytes]) -> list[int]:
    return [0, *itertools.accumulate(map(len, parts))][:-1]


class Shape(NamedTuple):
    data: bytes
    offsets: list[int]
    damages: list[tuple[str, str]]
    """Scope and reason."""


def shape_of(name: str) -> Shape:
    kind, _, detail = name.partition(": ")
    if kind == "plain":
        parts = records_by(detail)
    elif kind == "gzip":
        parts = [gzip.compress(part, mtime=0) for part in records_by(detail)]
    else:
        return PACKED[name]()
    return Shape(b"".join(parts), starts(parts), [("gap", "garbage")] * len(ODD) if detail == "zeros behind it" else [])


def bgzf(content: bytes, size: int) -> list[bytes]:
    """Blocks as htslib writes them (SAM specification, 4.1): the size of each is in its head, an empty one is last."""
    blocks = []
    for at in range(0, len(content) + size, size):
        deflater = zlib.compressobj(wbits=-15)
        deflated = deflater.compress(content[at : at + size]) + deflater.flush()
        head = struct.pack("<4BI2BH2B2H", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(deflated) + 25)
        tail = struct.pack("<2I", zlib.crc32(content[at : at + size]), len(content[at : at + size]))
        blocks.append(head + deflated + tail)
    return blocks


def in_members(size: int) -> Shape:
    records = [written(n) for n in range(len(PAYLOADS))]
    members = bgzf(b"".join(records), size)
    offsets: list[int] = []
    for start in starts(records):
        offsets.append(max(starts(members)[start // size], offsets[-1] + 1 if offsets else 0))
    return Shape(b"".join(members), offsets, [("file", "shared_gzip_member")])


def halved() -> Shape:
    parts = [gzip.compress(one[:300], mtime=0) + gzip.compress(one[300:], mtime=0) for one in map(written, range(10))]
    return Shape(b"".join(parts), starts(parts), [])


def filled(behind: bytes, compressed: bool) -> Shape:
    parts = [gzip.compress(written(n), mtime=0) if compressed else written(n) for n in range(10)]
    return Shape(b"".join(parts) + behind, starts(parts), [("gap", "garbage")])


def with_empty_members() -> Shape:
    parts = [gzip.compress(b"", mtime=0) + gzip.compress(written(n), mtime=0) for n in range(10)]
    return Shape(b"".join(parts), [start + len(gzip.compress(b"")) for start in starts(parts)], [])


PACKED: dict[str, Callable[[], Shape]] = {
    "one member": lambda: Shape(
        gzip.compress(b"".join(map(written, range(10)))), list(range(10)), [("file", "shared_gzip_member")]
    ),
    "members of 100 bytes": lambda: in_members(100),
    "members of 4096 bytes": lambda: in_members(4_096),
    "BGZF": lambda: in_members(65_280),
    "two members for each record": halved,
    "empty members": with_empty_members,
    "zeros at the end of a plain file": lambda: filled(b"\0" * 512, compressed=False),
    "zeros at the end of a compressed file": lambda: filled(b"\0" * 512, compressed=True),
    "junk at the end of a plain file": lambda: filled(b"junk\r\n", compressed=False),
    "junk at the end of a compressed file": lambda: filled(b"junk\r\n", compressed=True),
}
SHAPES = [*(f"{kind}: {head}" for kind in ("plain", "gzip") for head in HEADS), *PACKED]


def by_us(data: bytes) -> Iterator[Seen]:
    for item in everything(data):
        if isinstance(item, Record):
            yield Seen(item.offset, item.record_type, item.url or "", item.block)


def by_warcio(data: bytes) -> Iterator[Seen]:
    records = WarcioIterator(io.BytesIO(data), no_record_parse=True)
    for record in records:
        block = record.raw_stream.read()
        url = record.rec_headers.get_header("WARC-Target-URI")
        yield Seen(records.get_record_offset(), record.rec_type, url, block)


def by_fastwarc(data: bytes) -> Iterator[Seen]:
    for record in FastIterator(io.BytesIO(data), parse_http=False, quirks_mode=True):
        yield Seen(
            record.stream_pos, str(record.record_type), record.headers.get("WARC-Target-URI"), record.reader.read()
        )


Reader = Callable[[bytes], Iterator[Seen]]
PEERS: dict[str, Reader] = {"warcio": by_warcio, "FastWARC": by_fastwarc}

FOLDED = "does not join the lines of a value, or keeps blanks before it (ISO 28500, 4: LWS is a single blank)"
ENCODED = "does not decode encoded words (ISO 28500, 4)"
ENDS = "stops at what is not a record"
PER_RECORD = "refuses a file that is not compressed per record"
# Where a peer gives other records. Of a whole file, or of the head in plain and compressed ones.
OTHER_RECORDS = {
    ("FastWARC", "version in lower case"): "leaves the record out",
    ("FastWARC", "names in capitals"): "finds only some spellings of names, which are not case-sensitive",
    ("FastWARC", "URLs in angle brackets"): "gives the brackets too, which WARC/1.0 asks for by mistake",
    ("warcio", "values on the next line"): FOLDED,
    ("FastWARC", "values on the next line"): FOLDED,
    ("warcio", "values on the second line after"): FOLDED,
    ("FastWARC", "values on the second line after"): FOLDED,
    ("warcio", "encoded words"): ENCODED,
    ("FastWARC", "encoded words"): ENCODED,
    ("warcio", "plain: nothing behind it"): "takes the next line for the end of the record",
    ("warcio", "zeros behind it"): ENDS,
    ("warcio", "one member"): PER_RECORD,
    ("warcio", "members of 100 bytes"): PER_RECORD,
    ("warcio", "members of 4096 bytes"): PER_RECORD,
    ("warcio", "BGZF"): PER_RECORD,
    ("warcio", "two members for each record"): PER_RECORD,
    ("FastWARC", "empty members"): "takes an empty member for the end of the file",
}
# Where it gives the same records at other offsets.
OTHER_OFFSETS = {
    ("warcio", "empty members"): "the record is where the empty member before its own is",
    ("FastWARC", "one member"): "says how much was read; here: the member of the first, then made-up ones that ascend",
    ("FastWARC", "members of 4096 bytes"): "says how much was read; here: the member in which a record begins",
    ("FastWARC", "BGZF"): "says how much was read; here: the member in which a record begins",
}


def expected(shape: Shape) -> list[Seen]:
    return [Seen(offset, "response", url_of(n), block_of(n)) for n, offset in enumerate(shape.offsets)]


@pytest.mark.parametrize("name", SHAPES)
def test_all_shapes_are_read(name: str) -> None:
    shape = shape_of(name)
    assert list(by_us(shape.data)) == expected(shape)
    assert [(i.scope, i.reason) for i in everything(shape.data) if isinstance(i, Damage)] == shape.damages


def given(reader: Reader, data: bytes) -> list[Seen]:
    """The records up to the first error."""
    found = []
    records = reader(data)
    while True:
        try:
            found.append(next(records))
        except (StopIteration, OSError, ArchiveLoadFailed):
            return found


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", SHAPES)
def test_peers_give_the_same_or_there_is_a_reason(name: str, peer: str) -> None:
    shape = shape_of(name)
    found, ours = given(PEERS[peer], shape.data), expected(shape)
    of_head = name.partition(": ")[2]
    if (peer, name) in OTHER_OFFSETS:
        assert found != ours
        assert [record[1:] for record in found] == [record[1:] for record in ours]
    elif (peer, name) in OTHER_RECORDS or (peer, of_head) in OTHER_RECORDS:
        assert [record[1:] for record in found] != [record[1:] for record in ours], "the reason is gone"
    else:
        assert found == ours


@pytest.mark.parametrize("name", ["plain: plain", "gzip: plain", "BGZF"])
def test_digests(name: str) -> None:
    """Those in the headers, which are computed here, are found right by all three."""
    data = shape_of(name).data
    for record in everything(data):
        if isinstance(record, Record):
            assert record.headers["warc-block-digest"] == digest(record.block)
            body = http.body(http.parse(record.block), 1 << 20, 100).content
            assert record.headers["warc-payload-digest"] == digest(body)
    assert all(record.verify_block_digest() for record in FastIterator(io.BytesIO(data), parse_http=False))
    assert all(record.verify_payload_digest() for record in FastIterator(io.BytesIO(data), parse_http=True))
    if name != "BGZF":
        for record in WarcioIterator(io.BytesIO(data), check_digests="raise"):
            record.content_stream().read()
            assert record.digest_checker.passed


HTML = "<html><title>題名</title><p>本文です。</p></html>".encode() * 50
GZIPPED = gzip.compress(HTML, mtime=0)
DEFLATED = zlib.compress(HTML)
STATUS = b"HTTP/1.1 200 OK\r\n"


def arrow(codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(HTML)
    return bytes(sink.getvalue())


def chunks(body: bytes, size: bytes = b"%x", trailer: bytes = b"") -> bytes:
    parts = [body[: len(body) // 3], body[len(body) // 3 :], b""]
    return b"".join(size % len(part) + b"\r\n" + part + b"\r\n" for part in parts[:2]) + b"0\r\n" + trailer + b"\r\n"


def coded(body: bytes, *headers: bytes) -> bytes:
    return STATUS + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


GZIP, CHUNKED = b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"
MESSAGES = {
    "plain": coded(HTML, b"Content-Type: text/html"),
    "HTTP without a version": coded(HTML).replace(b"HTTP/1.1", b"HTTP"),
    "HTTP/1.x": coded(HTML).replace(b"HTTP/1.1", b"HTTP/1.x"),
    "CR CR LF": coded(b"", b"A: b").replace(b"\r\n", b"\r\r\n") + HTML,
    "an interim response": b"HTTP/1.1 100 Continue\r\n\r\n" + coded(HTML),
    "gzip": coded(GZIPPED, GZIP),
    "gzip in two members": coded(gzip.compress(HTML[:99]) + gzip.compress(HTML[99:]), GZIP),
    "deflate": coded(DEFLATED, b"Content-Encoding: deflate"),
    "deflate without a frame": coded(zlib.compress(HTML, wbits=-15), b"Content-Encoding: deflate"),
    "br": coded(arrow("brotli"), b"Content-Encoding: br"),
    "zstd": coded(arrow("zstd"), b"Content-Encoding: zstd"),
    "gzip that isn't": coded(HTML, GZIP),
    "gzip with a wrong checksum": coded(GZIPPED[:-8] + b"1234" + GZIPPED[-4:], GZIP),
    "gzip with something behind it": coded(GZIPPED + b"\r\n", GZIP),
    "chunks": coded(chunks(HTML), CHUNKED),
    "chunks with zeros before sizes": coded(chunks(HTML, b"%016x"), CHUNKED),
    "chunks with extensions": coded(chunks(HTML, b"%x;name=value"), CHUNKED),
    "chunks with a trailer": coded(chunks(HTML, trailer=b"Expires: 0\r\n"), CHUNKED),
    "chunks that aren't": coded(HTML, CHUNKED),
    "gzip in chunks": coded(chunks(GZIPPED), GZIP, CHUNKED),
    "gzip as transfer coding": coded(chunks(GZIPPED), b"Transfer-Encoding: gzip, chunked"),
}
INTERIM = "takes the interim response for the final one"
DECLARED = "raises, or gives nothing, where the body is not as declared"
OTHER_BODIES = {
    ("warcio", "an interim response"): INTERIM,
    ("FastWARC", "an interim response"): INTERIM,
    ("FastWARC", "deflate without a frame"): "knows deflate in zlib's frame only",
    ("warcio", "gzip in two members"): "stops behind the first",
    ("warcio", "chunks with a trailer"): "takes the trailer for a part of the body",
    ("warcio", "gzip with a wrong checksum"): DECLARED,
    ("FastWARC", "gzip with a wrong checksum"): DECLARED,
    ("FastWARC", "gzip that isn't"): DECLARED,
    ("FastWARC", "gzip with something behind it"): DECLARED,
    ("FastWARC", "chunks that aren't"): DECLARED,
    ("FastWARC", "chunks with extensions"): "does not know extensions of chunks",
    ("warcio", "br"): "needs a package that is not used here",
    ("warcio", "zstd"): "does not know the encoding",
    ("warcio", "gzip as transfer coding"): "knows chunks as transfer coding only",
}


def body_by_warcio(data: bytes) -> bytes:
    return bytes(next(iter(WarcioIterator(io.BytesIO(data)))).content_stream().read())


def body_by_fastwarc(data: bytes) -> bytes:
    records = FastIterator(io.BytesIO(data), parse_http=True, auto_decode="all", quirks_mode=True)
    return bytes(next(iter(records)).reader.read())


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", MESSAGES)
def test_bodies(name: str, peer: str) -> None:
    block = MESSAGES[name]
    data = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\n"
    data += b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n" % len(block)
    data += block + b"\r\n\r\n"
    (record,) = everything(data)
    assert isinstance(record, Record)
    assert http.body(http.parse(record.block), 1 << 20, 1000).content == HTML
    read = {"warcio": body_by_warcio, "FastWARC": body_by_fastwarc}[peer]
    if (peer, name) in OTHER_BODIES:
        with pytest.raises((AssertionError, AttributeError, OSError)):
            assert read(data) == HTML
    else:
        assert read(data) == HTML
