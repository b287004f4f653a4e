"""The WARC reader: the records of warcio in intact files; all intact records and all damage in others."""

import gzip
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import warcio
from places import BROKEN, DEMO_WARCS
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter
from warcs import carefully, everything, outline, record, zipped

from swallow_spark.kernels.warc import members
from swallow_spark.kernels.warc.warc import Damage, Record

# fmt: off
EXPECTED = {
    "bad-crc-in-one-member.warc.gz": [
        (0, 357), (470, 4791), (2628, "record", "bad_crc"), (4885, 2235), (6216, 1211), (7322, 8095), (10303, 18051),
    ],
    "empty.warc.gz": [(0, "file", "empty")],
    "garbage-between-members.warc.gz": [
        (0, 357), (473, 925), (1422, 5101), (3238, "gap", "garbage"), (4015, 1034), (4962, 13436), (11205, 3303),
        (12843, 6310),
    ],
    "not-a-warc.warc.gz": [(0, "file", "unsupported_format")],
    "single-member.warc.gz": [
        (0, 357), (0, "file", "shared_gzip_member"), (1, 2885), (2, 5394), (3, 886), (4, 25063), (5, 3316), (6, 3743),
    ],
    "truncated-in-member.warc.gz": [
        (0, 357), (470, 20677), (5061, 8453), (8108, 5191), (10488, 4740), (12755, 665), (13497, "record", "truncated"),
    ],
    "uncompressed.warc": [
        (0, 357), (651, 8737), (9948, 3549), (14066, 8712), (23330, 664), (24522, 1428), (26503, 6341),
    ],
    "wrong-content-length.warc": [
        (0, 357), (659, 4489), (5693, "record", "wrong_content_length"), (16234, 4943), (21726, 874), (23200, 15381),
        (39131, 2418),
    ],
}
# fmt: on


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_broken_files(name: str, expected: list[tuple[int, ...]]) -> None:
    assert outline(everything((BROKEN / name).read_bytes())) == expected


def test_damage_says_what_is_wrong() -> None:
    gap = everything((BROKEN / "garbage-between-members.warc.gz").read_bytes())[3]
    assert isinstance(gap, Damage)
    assert gap.detail == "777 bytes up to the next record or the end of the file"


def written_by_warcio(num_records: int, compressed: bool) -> bytes:
    rng = random.Random(7)
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=compressed)
    for i in range(num_records):
        kind = rng.choice(["response", "request", "metadata", "warcinfo", "resource", "conversion"])
        size = rng.choice([0, 1, 100, 5_000, 70_000, 300_000])
        payload = rng.randbytes(size // 2) + b"WARC/1.0\r\n\r\n" + b"a" * (size - size // 2)
        if kind == "warcinfo":
            writer.write_record(writer.create_warcinfo_record("x.warc.gz", {"software": "a test"}))
        else:
            http = (
                StatusAndHeaders("200 OK", [("A", "b")], protocol="HTTP/1.1")
                if kind in ("response", "request")
                else None
            )
            made = writer.create_warc_record(
                f"http://例え.example/{i}", kind, io.BytesIO(payload), len(payload), "text/plain", http_headers=http
            )
            writer.write_record(made)
    return out.getvalue()


def read_by_warcio(data: bytes) -> Iterator[tuple[int, int, str, str | None, bytes]]:
    records = warcio.ArchiveIterator(io.BytesIO(data), no_record_parse=True)
    for found in records:
        block = found.raw_stream.read()
        offset = records.get_record_offset()
        length = records.get_record_length()
        yield offset, length, found.rec_type, found.rec_headers.get_header("WARC-Target-URI"), block


@pytest.mark.parametrize("compressed", [True, False])
def test_same_records_as_warcio(compressed: bool) -> None:
    data = written_by_warcio(120, compressed)
    line_ends = 0 if compressed else 4  # which warcio leaves out
    found = [
        (r.offset, r.length - line_ends, r.record_type, r.url, r.block)
        for r in everything(data)
        if isinstance(r, Record)
    ]
    assert found == list(read_by_warcio(data))
    assert len(found) == 120


@pytest.mark.parametrize("path", DEMO_WARCS, ids=lambda path: path.stem)
def test_demo_pages_are_sound_and_read_alike_by_all_three(path: Path) -> None:
    data = path.read_bytes()
    fast = everything(data)
    assert fast == carefully(data)
    assert [(r.offset, r.length, r.record_type, r.url, r.block) for r in fast if isinstance(r, Record)] == list(
        read_by_warcio(data)
    )


def test_fields_of_a_record() -> None:
    (found,) = everything(
        zipped(record(extra=b"Content-Type: application/http;\r\n  msgtype=response\r\nWARC-Truncated: time\r\n"))
    )
    assert isinstance(found, Record)
    assert (found.record_type, found.url, found.headers["warc-truncated"]) == ("response", "http://a.example/", "time")
    assert found.content_type == "application/http; msgtype=response"
    assert found.date == datetime(2025, 8, 12, 3, 11, tzinfo=UTC)
    assert found.block == b"hello"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"2025-08-12T03:11:00.123456789Z", datetime(2025, 8, 12, 3, 11, 0, 123456, tzinfo=UTC)),
        (b"2025-08-12T03:11:00+09:00", datetime(2025, 8, 11, 18, 11, tzinfo=UTC)),
        (b"2025-08-12T03:11:00", datetime(2025, 8, 12, 3, 11, tzinfo=UTC)),
        (b"2025-08-12t03:11:00z", datetime(2025, 8, 12, 3, 11, tzinfo=UTC)),
        (b"2025-08-12T03:11Z", datetime(2025, 8, 12, 3, 11, tzinfo=UTC)),
        (b"2025-08-12T03Z", datetime(2025, 8, 12, 3, tzinfo=UTC)),
        (b"2025-08-12", datetime(2025, 8, 12, tzinfo=UTC)),
        (b"2025-08", datetime(2025, 8, 1, tzinfo=UTC)),
        (b"2025", datetime(2025, 1, 1, tzinfo=UTC)),
        (b"2025-13", None),
        (b"0001-01-01T00:00:00+23:00", None),
        (b"yesterday", None),
    ],
)
def test_dates(date: bytes, expected: datetime | None) -> None:
    (found,) = everything(record().replace(b"2025-08-12T03:11:00Z", date))
    assert isinstance(found, Record)
    assert found.date == expected


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (b"WARC-Target-URI:\r\n http://b.example/", "http://b.example/"),
        (b"WARC-Target-URI:\r\n\r\n"[:-2] + b"\t \r\n   <http://b.example/>  ", "http://b.example/"),
        (b"warc-TARGET-uri\t :http://b.example/", "http://b.example/"),
        ("WARC-Target-URI: http://b.example/猫".encode(), "http://b.example/猫"),
        (b"WARC-Target-URI: =?UTF-8?Q?http://b.example/=E7=8C=AB?=", "http://b.example/猫"),
        (b"WARC-Target-URI: =?utf-8?b?aHR0cDovL2I=?=\r\n =?us-ascii?q?.example/?=", "http://b.example/"),
        (b"WARC-Target-URI: http://b.example/=?iso-8859-1?q?=31?=", "http://b.example/=?iso-8859-1?q?=31?="),
        (b"WARC-Target-URI: =?no-charset?q?a?=", "=?no-charset?q?a?="),
        (b"WARC-Target-URI: =?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"WARC-Target-URI: =?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
    ],
)
def test_values_in_all_forms_of_the_standard(header: bytes, url: str) -> None:
    data = record(extra=header + b"\r\n").replace(b"WARC-Target-URI: http://a.example/\r\n", b"")
    for packed in (data, zipped(data)):
        (found,) = everything(packed)
        assert isinstance(found, Record)
        assert found.url == url


@pytest.mark.parametrize(
    ("content_type", "is_http"),
    [
        *(("application/http;msgtype=response", True), ("Application/HTTP, msgtype=response", True)),
        *(("application/http msgtype=response", True), ("message/http", True), ("", True)),
        *(("application/http2", False), ("application/http+x", False), ("text/dns", False)),
    ],
)
def test_responses_that_are_http(content_type: str, is_http: bool) -> None:
    data = record(extra=b"Content-Type: %s\r\n" % content_type.encode())
    for packed in (data, zipped(data)):
        (found,) = everything(packed)
        assert isinstance(found, Record)
        assert found.holds_http_response == is_http


@pytest.mark.parametrize(
    "header",
    [
        *(b"X: a\r\n folded", b"no colon"),
        *(b"X: 1\r\nX: 2", b"X: 1\nY: 2", b"X: \xff\xfe", b"X :   b  ", b"X:", b"\tfoo", b"X\0: \0b"),
        *(
            b"X: \x0bq\x0c",
            "X: \xa0q\u2028".encode(),
            b"Content-Length: 3",
            b"Content-Length: +5",
            b"Content-Length: -1",
        ),
        *(b"WARC-Target-URI: <http://b.example/>", b"WARC-Type: Other", b"WARC-Type: ", b"X: " + b"y" * 40_000),
    ],
)
def test_odd_headers_are_read_alike_wherever_they_stand(header: bytes) -> None:
    data = zipped(record(), record(), record(extra=header + b"\r\n"), record(), record(), record())
    assert everything(data) == carefully(data)
    assert len(everything(data)) == 6


@pytest.mark.parametrize("pack", [zipped, lambda *records: b"".join(records)], ids=["gzip", "plain"])
@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (record(b"x" * 100, length=50), "wrong_content_length"),
        (record(b"x" * 100, length=300), "wrong_content_length"),
        (record(b"x" * 100, length=3_999), "wrong_content_length"),
        (record(tail=b"\r\njunk\r\n"), "wrong_content_length"),
        (record().replace(b"Content-Length", b"Content-Len"), "bad_header"),
        (record().replace(b"WARC-Type", b"WARC-Typ"), "bad_header"),
        (record(length=-5), "bad_header"),
        (record(length=10**30), "bad_header"),
        (record(b"x" * 5_000), "record_too_large"),
        (record(tail=b""), None),
        (record(tail=b"\n\n"), None),
        (record(tail=b"\r\n" * 9), None),
        (record().replace(b"\r\n", b"\n"), None),
        (record().replace(b"WARC/1.0", b"WARC/0.18"), None),
        (record().replace(b"WARC/1.0", b"warc/1.0"), None),
        (record().replace(b"WARC/1.0", b"Warc/1.1"), None),
        (record().replace(b"\r\n", b"\r\r\n"), None),
        (record().replace(b"Content-Length: ", b"Content-Length:\r\n\t"), None),
        (record().replace(b"WARC-Type: ", b"WARC-Type:\r\n   "), None),
        (record().replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5_000), None),
    ],
)
def test_odd_record_among_sound_ones(pack: object, odd: bytes, reason: str | None) -> None:
    sound = [record(b"%d" % i * 40) for i in range(9)]
    data = pack(*sound[:4], odd, *sound[4:])  # type: ignore[operator]
    items = everything(data, max_record_bytes=4_000)
    blocks = [item.block for item in items if isinstance(item, Record)]
    damages = [item for item in items if isinstance(item, Damage)]
    assert [block for block in blocks if block not in (b"hello", b"hello\r\n\r\n")] == [
        b"%d" % i * 40 for i in range(9)
    ]
    if reason is None:
        assert (len(items), damages) == (10, [])
    else:
        assert [(d.offset, d.scope, d.reason) for d in damages] == [(len(pack(*sound[:4])), "record", reason)]  # type: ignore[operator]
        assert len(items) == 10


def test_plain_record_too_large_by_a_wrong_length_swallows_to_the_end_and_says_so() -> None:
    items = everything(record() + record(length=1 << 40) + record(), max_record_bytes=1_000)
    assert outline(items) == [(0, 5), (len(record()), "record", "truncated")]


@pytest.mark.parametrize("pack", [zipped, lambda *records: b"".join(records)], ids=["gzip", "plain"])
@pytest.mark.parametrize("behind", [b"\0" * 512, b"junk", b"<p>junk</p>\r\n", b"\0\nWARC/", b"\0" * 100_000])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_bytes_behind_a_record_that_has_ended_cost_no_record(pack: object, behind: bytes, at: int) -> None:
    """Such as the zeros with which a file is filled up, once or where files were put together."""
    records = [record(b"%d" % i * 40) for i in range(5)]
    start = len(pack(*records[:at])) + (len(records[at]) if pack is not zipped else 0)  # type: ignore[operator]
    records[at] += behind
    items = everything(pack(*records))  # type: ignore[operator]
    assert [item.block for item in items if isinstance(item, Record)] == [b"%d" % i * 40 for i in range(5)]
    gaps = [(item.offset, item.scope, item.reason) for item in items if isinstance(item, Damage)]
    assert gaps == [(start, "gap", "garbage")]
    assert items[at + 1].offset == start  # behind its record


@pytest.mark.parametrize("tail", [b"", b"\r", b"\r\n"])
def test_zeros_instead_of_the_line_ends_behind_a_record(tail: bytes) -> None:
    data = record() + record(tail=tail)
    assert outline(everything(data + b"\0" * 600))[1:] == [(len(record()), 5), (len(data), "gap", "garbage")]
    cut = record() + record(b"hello" * 9)[:-20] + b"\0" * 600  # from within the block
    assert outline(everything(cut))[1:] == [(len(record()), "record", "wrong_content_length")]


def blocks_of(sizes: list[int]) -> list[bytes]:
    chance = random.Random(4)
    return [b"%d:" % number + chance.randbytes(size) for number, size in enumerate(sizes)]


SIZES = [0, 3_000, 1, 70_000, 5, 200, 200, 9_999, 40, 0]


def members_of(content: bytes, size: int) -> bytes:
    return zipped(*(content[at : at + size] for at in range(0, len(content), size)))


@pytest.mark.parametrize("size", [1, 7, 100, 4_096, 65_280])
def test_records_across_members(size: int) -> None:
    """As BGZF: members are cut without regard to records."""
    blocks = blocks_of(SIZES if size > 1 else [0, 3, 40, 1])
    content = b"".join(map(record, blocks))
    items = everything(members_of(content, size) + zipped(b""))
    assert [item.block for item in items if isinstance(item, Record)] == blocks
    damages = [item for item in items if isinstance(item, Damage)]
    assert [(d.scope, d.reason) for d in damages] == [("file", "shared_gzip_member")] * (size > 7)
    places = [len(members_of(content[: content.index(record(block)) // size * size], size)) for block in blocks]
    offsets = [item.offset for item in items if isinstance(item, Record)]
    assert offsets == [max(place, (offsets[i - 1] if i else -1) + 1) for i, place in enumerate(places)]


@pytest.mark.parametrize("cut", [1, 4, 11, 60, 170, -5, -4, -1])
def test_each_record_in_members_of_its_own(cut: int) -> None:
    """Cut in the version, the head, the block and behind it: each is where its first member is, with its length."""
    records = [record(b"%d" % i * 300) for i in range(5)]
    parts = [zipped(one[:cut], b"", one[cut:]) for one in records]
    items = everything(b"".join(parts))
    offsets = [len(b"".join(parts[:i])) for i in range(5)]
    assert outline(items) == [(offset, 300) for offset in offsets]
    if cut not in (-4, -1):  # there a record is complete before its last member
        assert [item.length for item in items if isinstance(item, Record)] == [len(part) for part in parts]


@pytest.mark.parametrize("broken", [0, 3, 9, 17])
@pytest.mark.parametrize("at", [-6, 30])
def test_a_broken_member_costs_the_records_that_it_holds(broken: int, at: int) -> None:
    blocks = [b"%02d" % i * 500 for i in range(20)]
    content = b"".join(map(record, blocks))
    parts = [bytearray(zipped(content[at : at + 1_024])) for at in range(0, len(content), 1_024)]
    parts[broken][at] ^= 0x55
    items = everything(b"".join(parts))
    begins = [content.index(block) for block in blocks]
    hit = {i for i in range(20) if begins[i] + 1_000 > broken * 1_024 and begins[i] - 120 < (broken + 1) * 1_024}
    found = {blocks.index(item.block) for item in items if isinstance(item, Record)}
    assert found >= set(range(20)) - hit
    assert len(found) < 20
    assert [item for item in items if isinstance(item, Damage) and item.scope in ("record", "gap")]
    offsets = [item.offset for item in items if isinstance(item, Record)]
    assert offsets == sorted(set(offsets))


def test_a_record_in_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: where members begin is kept for a record. One that is too large is skipped without that."""
    monkeypatch.setattr(members, "MAX_MEMBERS", 50)
    data = members_of(record(b"x" * 1_000), 10) + zipped(record(b"behind"))
    assert [outline([item])[0][1:] for item in everything(data)] == [
        ("record", "wrong_content_length"),
        ("gap", "garbage"),
        (6,),
    ]
    (large, behind) = everything(data, max_record_bytes=500)
    assert outline([large, behind]) == [(0, "record", "record_too_large"), (behind.offset, 6)]


@pytest.mark.parametrize("at", range(8))
def test_member_with_two_records_among_others(at: int) -> None:
    members = [record(b"%d" % i * 3) for i in range(8)]
    members[at] += record(b"second")
    items = everything(zipped(*members))
    start = len(zipped(*members[:at]))
    assert [i.block for i in items if isinstance(i, Record)] == [
        block for k in range(8) for block in ([b"%d" % k * 3, b"second"] if k == at else [b"%d" % k * 3])
    ]
    assert [(i.offset, i.scope, i.reason) for i in items if isinstance(i, Damage)] == [
        (start, "file", "shared_gzip_member")
    ]
    offsets = [i.offset for i in items if isinstance(i, Record)]
    assert offsets == sorted(set(offsets))
    assert offsets[at : at + 2] == [start, start + 1]


def test_more_records_than_bytes_in_a_member_have_offsets_of_their_own() -> None:
    items = everything(zipped(record() * 5_000, record()))
    offsets = [item.offset for item in items if isinstance(item, Record)]
    assert len(set(offsets)) == 5_001
    assert offsets == sorted(offsets)


def test_empty_members_and_padding() -> None:
    data = zipped(record(), b"", record(), record(b"third"))
    assert [i.block for i in everything(data) if isinstance(i, Record)] == [b"hello", b"hello", b"third"]
    assert outline(everything(data + b"\0" * 512))[-1] == (len(data), "gap", "garbage")


@pytest.mark.parametrize(
    "garbage",
    [b"x", b"\x1f\x8b\x08", b"\x1f\x8b\x08" + b"\0" * 20, gzip.compress(b"no WARC", mtime=0), b"\nWARC/1.0\r\n"],
)
@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_garbage_anywhere(garbage: bytes, at: int) -> None:
    members = [zipped(record(b"%d" % i)) for i in range(5)]
    members.insert(at, garbage)
    items = everything(b"".join(members))
    assert [i.block for i in items if isinstance(i, Record)] == [b"%d" % i for i in range(5)]
    (gap,) = (item for item in items if isinstance(item, Damage))
    assert (gap.offset, gap.scope) == (len(b"".join(members[:at])), "gap")
    assert gap.detail.startswith(f"{len(garbage)} bytes")


def test_stored_warc_inside_a_record_is_not_read_for_records() -> None:
    inner = zipped(record(b"inner"), record(b"inner"))
    bad_crc = bytearray(gzip.compress(record(inner), compresslevel=0, mtime=0))
    bad_crc[-5] ^= 1
    items = everything(zipped(record()) + bytes(bad_crc) + zipped(record(b"behind")))
    assert [i.block for i in items if isinstance(i, Record)] == [b"hello", b"behind"]
    assert [i.reason for i in items if isinstance(i, Damage)] == ["bad_crc"]
