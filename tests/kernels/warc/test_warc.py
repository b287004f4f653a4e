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
    "not-a-warc.warc.gz": [(0, "file", "not_a_warc")],
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
        (b"0001-01-01T00:00:00+23:00", None),
        (b"yesterday", None),
    ],
)
def test_dates(date: bytes, expected: datetime | None) -> None:
    (found,) = everything(record().replace(b"2025-08-12T03:11:00Z", date))
    assert isinstance(found, Record)
    assert found.date == expected


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
        (record(tail=b"\r\n\r\njunk\r\n"), "wrong_content_length"),
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
