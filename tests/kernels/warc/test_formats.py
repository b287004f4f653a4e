"""Files of other formats: zstd, ARC and WACZ give the records of the same WARC in gzip, others are named."""

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile

import pytest
import zstandard
from warcs import everything, outline, record, zipped

from swallow_spark.kernels.warc import wacz, zst
from swallow_spark.kernels.warc.warc import Damage, Record, read, unsupported

BODIES = [f"HTTP/1.1 200 OK\r\n\r\n<p>{number} とうふ".encode() * (number + 1) for number in range(12)]
RECORDS = [record(body, extra=b"X-Number: %d\r\n" % number) for number, body in enumerate(BODIES)]


def skippable(data: bytes, kind: int = 0x50) -> bytes:
    return struct.pack("<II", 0x184D2A00 + kind, len(data)) + data


def dictionary() -> zstandard.ZstdCompressionDict:
    rng = random.Random(1)
    samples = [record(b"%d " % n + rng.randbytes(40).hex().encode()) for n in range(2000)]
    return zstandard.train_dictionary(8 << 10, samples)


DICTIONARY = dictionary()


def frames(*parts: bytes, dictionary: zstandard.ZstdCompressionDict | None = None) -> list[bytes]:
    packer = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True)
    return [packer.compress(part) for part in parts]


def offsets_of(parts: list[bytes], start: int = 0) -> list[int]:
    return [start + sum(map(len, parts[:number])) for number in range(len(parts))]


def blocks(items: list[Record | Damage]) -> list[bytes]:
    assert all(isinstance(item, Record) for item in items), items
    return [item.block for item in items if isinstance(item, Record)]


def test_each_record_in_a_zstd_frame() -> None:
    parts = frames(*RECORDS)
    items = everything(b"".join(parts))
    assert blocks(items) == BODIES
    assert [(i.offset, i.length) for i in items if isinstance(i, Record)] == list(
        zip(offsets_of(parts), map(len, parts), strict=True)
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_dictionary_in_the_file(packed: bool) -> None:
    data = DICTIONARY.as_bytes()
    first = skippable(zstandard.ZstdCompressor().compress(data) if packed else data, 0x5D)
    parts = frames(*RECORDS, dictionary=DICTIONARY)
    items = everything(first + b"".join(parts))
    assert blocks(items) == BODIES
    assert [item.offset for item in items] == offsets_of(parts, len(first))


def test_a_dictionary_that_cannot_be_used() -> None:
    parts = b"".join(frames(*RECORDS, dictionary=DICTIONARY))
    data = DICTIONARY.as_bytes()
    bomb = zstandard.ZstdCompressor().compress(bytes(zst.MAX_DICTIONARY_BYTES + 1))
    for first, why in (
        (b"", f"needs the dictionary {DICTIONARY.dict_id()}, "),
        (skippable(bomb, 0x5D), "over the limit"),
        (struct.pack("<II", 0x184D2A5D, zst.MAX_DICTIONARY_BYTES + 1), "over the limit"),
        (skippable(zstandard.ZstdCompressor().compress(data)[:-9], 0x5D), "damaged: it is cut"),
        (skippable(data[:30], 0x5D), "could not create decompression dict"),
    ):
        (damage,) = everything(first + parts)
        assert isinstance(damage, Damage)
        assert (damage.scope, damage.reason) == ("file", "unsupported_format")
        assert damage.detail.startswith("zstd: ")
        assert why in damage.detail
    (damage,) = everything(skippable(data, 0x5D)[:200])
    assert isinstance(damage, Damage)
    assert "ends inside of its dictionary" in damage.detail


def test_frames_in_other_ways() -> None:
    plain = b"".join(RECORDS)
    one, extension, empty = frames(plain)[0], skippable(b"WARC/1.0 \x28\xb5\x2f\xfd" * 9, 0x5E), frames(b"")[0]
    for data in (
        # frames of any other size, extensions and empty frames anywhere, padding in front as pzstd writes it
        b"".join(frames(*(plain[at : at + 100] for at in range(0, len(plain), 100)))),
        skippable(b"1234") + b"".join(part + extension for part in frames(*RECORDS)),
        empty + extension + b"".join(frames(*RECORDS)) + empty,
        # without the size of the content or a checksum
        b"".join(zstandard.ZstdCompressor(write_content_size=False).compress(part) for part in RECORDS),
    ):
        items = [item for item in everything(data) if isinstance(item, Record) or item.reason != "shared_gzip_member"]
        assert blocks(items) == BODIES
    items = everything(one)
    assert outline(items)[1] == (0, "file", "shared_gzip_member")
    assert blocks(items[:1] + items[2:]) == BODIES
    assert [item.offset for item in items[2:]] == list(range(1, 12))


def test_damage_in_zstd_loses_only_its_record() -> None:
    parts = frames(*RECORDS)
    offsets = offsets_of(parts)
    damaged = bytearray(b"".join(parts))
    damaged[offsets[4] + 30] ^= 0xFF
    items = everything(bytes(damaged))
    assert [item.block for item in items if isinstance(item, Record)] == BODIES[:4] + BODIES[5:]
    assert [(i.offset, i.reason) for i in items if isinstance(i, Damage)] == [(offsets[4], "bad_zstd")]
    items = everything(b"".join(parts)[:-5])
    assert outline(items)[-1] == (offsets[11], "gap", "truncated")
    items = everything(b"".join(parts) + bytes(1000))
    assert outline(items)[-1] == (len(b"".join(parts)), "gap", "garbage")


def test_a_zstd_bomb_is_a_large_record() -> None:
    bomb = zstandard.ZstdCompressor().compress(record(bytes(50 << 20)))
    items = everything(b"".join(frames(RECORDS[0])) + bomb + b"".join(frames(RECORDS[1])), max_record_bytes=1 << 20)
    assert [i.reason if isinstance(i, Damage) else i.block for i in items] == [
        BODIES[0], "record_too_large", BODIES[1],
    ]  # fmt: skip


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("connection reset")
        return super().read(100)


def test_an_error_of_reading_is_not_damage() -> None:
    with pytest.raises(OSError, match="connection reset"):
        list(read(Broken(b"".join(frames(*RECORDS)))))


ABOUT = (
    b"filedesc://a.arc 0 20080301120000 text/plain %d\n1 0 tofu\n"
    b"URL IP-address Archive-date Content-type Archive-length\n"
)


def arc_records(*, version: int = 1) -> list[bytes]:
    further = b" 200 abc - 0 a.arc" if version == 2 else b""
    lines = [
        b"http://a.example/%d?q=a b 192.0.2.1 2008030112%02d00 text/html; charset=x%s %d\n" % (n, n, further, len(body))
        for n, body in enumerate(BODIES)
    ]
    return [line + body + b"\n" for line, body in zip(lines, BODIES, strict=True)]


@pytest.mark.parametrize("length", [76, 10_000])  # 65 would be right
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_arc(length: int, version: int, packed: bool) -> None:
    parts = [ABOUT % length + b"\n", *arc_records(version=version)]
    parts = [gzip.compress(part) for part in parts] if packed else parts
    about, *responses = everything(b"".join(parts))
    assert isinstance(about, Record)
    assert about.record_type == "warcinfo"
    assert blocks(responses) == BODIES
    assert [item.offset for item in responses] == offsets_of(parts)[1:]
    for number, item in enumerate(responses):
        assert isinstance(item, Record)
        assert item.url == f"http://a.example/{number}?q=a b"
        assert item.date
        assert item.date.isoformat() == f"2008-03-01T12:{number:02}:00+00:00"
        assert item.holds_http_response


def test_arc_in_other_ways() -> None:
    metadata = b'<?xml version="1.0"?>\n<arcmetadata>\n\n<x/>\n</arcmetadata>\n'  # of version 1.1
    dns = b"dns:a.example 192.0.2.9 20080301120000 text/dns 7\n1.2.3.4\n"
    for data in (
        ABOUT % 999 + metadata + b"\n" + dns + b"".join(arc_records()) * 2,
        b"".join(map(gzip.compress, [ABOUT % 1 + metadata, dns, *arc_records(), ABOUT % 5, *arc_records()])),
        gzip.compress(ABOUT % 65 + b"\n" + dns + b"".join(arc_records()) * 2),
    ):
        items = [item for item in everything(data) if isinstance(item, Record)]
        assert [item.block for item in items if item.holds_http_response] == BODIES * 2
        assert [item.block for item in items if item.content_type == "text/dns"] == [b"1.2.3.4"]


def test_damage_in_an_arc() -> None:
    good = arc_records()
    cut = everything(ABOUT % 76 + b"".join(good)[:-30])
    assert outline(cut)[-1][1:] == ("record", "truncated")
    assert len(cut) == 13
    wrong = good[3].replace(b"%d\n" % len(BODIES[3]), b"%d\n" % (len(BODIES[3]) - 9), 1)
    items = everything(ABOUT % 76 + b"".join([*good[:3], wrong, *good[4:]]))
    assert [item.block for item in items[1:] if isinstance(item, Record)] == BODIES[:3] + BODIES[4:]
    assert [item.reason for item in items if isinstance(item, Damage)] == ["wrong_content_length"]
    members = [bytearray(gzip.compress(part)) for part in [ABOUT % 76, *good]]
    members[4][-6] ^= 1
    items = everything(b"".join(members))
    assert [item.reason for item in items if isinstance(item, Damage)] == ["bad_crc"]
    assert [item.block for item in items[1:] if isinstance(item, Record)] == BODIES[:3] + BODIES[4:]


def test_what_follows_a_record_of_an_arc_does_not_cost_it() -> None:
    good = arc_records()
    for tail in (b"junk" * 9, bytes(100)):
        items = everything(b"".join([ABOUT % 76, *good, tail]))
        assert [item.block for item in items[1:] if isinstance(item, Record)] == BODIES
        assert outline(items)[-1][1:] == ("gap", "garbage")
    odd = good[3].replace(b" 20080301120300 ", b" 0 ")
    items = everything(b"".join([ABOUT % 76, *good[:3], odd, *good[4:]]))
    assert [item.block for item in items[1:] if isinstance(item, Record)] == BODIES[:3] + BODIES[4:]
    assert [(i.scope, i.reason) for i in items if isinstance(i, Damage)] == [("gap", "garbage")]


@pytest.mark.parametrize("packed", [False, True])
def test_an_arc_without_the_record_about_it(packed: bool) -> None:
    first, *others = arc_records()
    for start in (first, first.replace(b"?q=", b"?q=" + b"x" * 5000)):
        parts = [start, *others]
        assert blocks(everything(b"".join(map(gzip.compress, parts) if packed else parts))) == BODIES
    members = [bytearray(gzip.compress(part)) for part in [ABOUT % 76, first, *others]]
    members[0][-6] ^= 1
    items = everything(b"".join(members))
    assert outline(items)[0] == (0, "gap", "bad_crc")
    assert blocks(items[1:]) == BODIES


def zipped_files(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as target:
        target.writestr("datapackage.json", b"{}")
        for name, content in files.items():
            target.writestr(name, content)
    return stream.getvalue()


FILES = {
    "archive/a.warc.gz": zipped(*RECORDS[:4]),
    "archive/b.warc": b"".join(RECORDS[4:6]),
    "archive/c.warc.zst": b"".join(frames(*RECORDS[6:9])),
    "indexes/index.cdx.gz": gzip.compress(b"x"),
    "archive/d.WARC.GZ": zipped(*RECORDS[9:]),
}


def test_wacz() -> None:
    data = zipped_files(FILES)
    items = everything(data)
    assert blocks(items) == BODIES
    for item in items:
        assert isinstance(item, Record)
        (again, *_) = everything(data[item.offset : item.offset + item.length])  # the address is that in the zip
        assert isinstance(again, Record)
        assert again.block == item.block
    deflated = everything(zipped_files(FILES, zipfile.ZIP_DEFLATED))
    assert blocks(deflated) == BODIES
    offsets = [item.offset for item in deflated]
    assert offsets == sorted(set(offsets))
    assert offsets[-1] < len(zipped_files(FILES, zipfile.ZIP_DEFLATED))


def test_many_records_in_few_deflated_bytes_have_addresses_of_their_own() -> None:
    items = everything(zipped_files({"a.warc": RECORDS[0] * 5000, "b.warc": RECORDS[1]}, zipfile.ZIP_DEFLATED))
    assert blocks(items) == BODIES[:1] * 5000 + BODIES[1:2]
    assert len({item.offset for item in items}) == 5001


def test_damage_in_a_wacz() -> None:
    data = zipped_files(FILES)
    start = data.index(b"\x1f\x8b")
    damaged = data[: start + 40] + b"\0" + data[start + 41 :]
    items = everything(damaged)
    assert [i.block for i in items if isinstance(i, Record)] == BODIES[1:]
    assert [(i.scope, i.reason) for i in items if isinstance(i, Damage)] == [("gap", "bad_crc"), ("gap", "bad_zip")]
    assert all("archive/a.warc.gz" in i.detail for i in items if isinstance(i, Damage))

    junk = everything(zipped_files({**FILES, "archive/e.warc.gz": lzma.compress(b"x")}))
    assert [(i.scope, i.reason) for i in junk if isinstance(i, Damage)] == [("gap", "garbage")]
    assert len(junk) == 13

    packed = everything(zipped_files(FILES, zipfile.ZIP_BZIP2))
    assert [(i.scope, i.reason) for i in packed if isinstance(i, Damage)] == [("gap", "bad_zip")] * 4

    entries = bytearray(data)  # each entry at the place of the first WARC
    at, place = data.index(b"PK\x01\x02"), data.index(b"PK\x03\x04", 4)
    while (at := data.find(b"PK\x01\x02", at + 1)) > 0:
        entries[at + 42 : at + 46] = place.to_bytes(4, "little")
    assert sum("shares bytes" in i.detail for i in everything(bytes(entries)) if isinstance(i, Damage)) == 3


def listed(data: bytes, name: bytes, packed: int | None = None, place: int | None = None) -> bytes:
    """The zip, in whose list an entry has another packed size, and another place (of 64 bits)."""
    at = data.rindex(b"PK\1\2", 0, data.rindex(name))
    old_packed, unpacked = struct.unpack_from("<II", data, at + 20)
    (old_place,) = struct.unpack_from("<I", data, at + 42)
    extra = struct.pack("<HHQQQ", 1, 24, unpacked, packed or old_packed, place or old_place)
    entry = data[at : at + 20] + b"\xff" * 8 + data[at + 28 : at + 30] + struct.pack("<H", len(extra))
    entry += data[at + 32 : at + 42] + b"\xff" * 4 + name + extra
    data = data[:at] + entry + data[at + 46 + len(name) :]
    end = data.rindex(b"PK\5\6")
    (size,) = struct.unpack_from("<I", data, end + 12)
    return data[: end + 12] + struct.pack("<I", size + len(extra)) + data[end + 16 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_of_a_wacz_beyond_its_end(method: int) -> None:
    data = zipped_files(FILES, method)
    name = b"archive/d.WARC.GZ"
    assert blocks(everything(listed(data, name))) == BODIES
    for place in (1 << 40, 1 << 63, (1 << 64) - 1):
        far = listed(data, name, place=place)
        *records, gap = everything(far)
        assert blocks(records) == BODIES[:9]
        assert (gap.offset, outline([gap])[0][1:]) == (len(far) - 1, ("gap", "bad_zip"))
        assert unsupported(io.BytesIO(far)) is None
    for size in (1 << 40, (1 << 64) - 1):
        long = listed(data, name, packed=size)
        items = everything(long)
        assert [i.block for i in items if isinstance(i, Record)] == BODIES
        assert outline(items)[-1][1:] == ("gap", "bad_zip")
        assert all(i.offset < len(long) for i in items)


def named(data: bytes) -> str:
    (damage,) = everything(data)
    assert isinstance(damage, Damage)
    assert (damage.offset, damage.scope, damage.reason) == (0, "file", "unsupported_format"), damage
    assert unsupported(io.BytesIO(data)) == damage.detail
    return damage.detail.partition(";")[0]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x04\x22\x4d\x18\x64\x40\xa7" + b"".join(RECORDS), "lz4"),  # lz4 stores what it can't pack
        (bz2.compress(b"".join(RECORDS)), "bzip2"),
        (lzma.compress(b"".join(RECORDS)), "xz"),
        (b"7z\xbc\xaf\x27\x1c" + b"".join(RECORDS), "7z"),
        (zipped_files({"a.txt": b"x"}), "zip without a WARC in it"),
        (b"PAR1" + bytes(100), "Parquet"),
        (b"\n<!DOCTYPE html><p>x", "HTML"),
        (b"\xef\xbb\xbf<HTML><p>x", "HTML"),
        (b'{"text": "x"}\n', "JSON"),
        (b'[{"text": "x"}]\n', "JSON"),
        (gzip.compress(b'{"text": "x"}\n'), "JSON in gzip"),
        (zstandard.ZstdCompressor().compress(b'{"text": "x"}\n'), "zstd"),
        (b" CDX N b a m s k r M S V g\njp,a)/ 20250101000000 http://a.jp/", "CDX, an index"),
        (bytes(257) + b"ustar\x0000" + bytes(300), "tar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # gzip and zip hold the time
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    assert named(data) == name


def test_records_behind_something_else_are_read() -> None:
    for start in (b"<html>junk\n", b'{"x": 1}\n', bytes(257) + b"ustar\x0000" + bytes(248)):
        assert [i.block for i in everything(start + b"".join(RECORDS)) if isinstance(i, Record)] == BODIES
        assert unsupported(io.BytesIO(start + b"".join(RECORDS))) is None


def of_kind(kind: bytes, media_type: bytes) -> bytes:
    return b"WARC/1.0\r\nWARC-Type: %s\r\nContent-Type: %s\r\nContent-Length: 2\r\n\r\n{}\r\n\r\n" % (kind, media_type)


def test_wet_and_wat() -> None:
    info = of_kind(b"warcinfo", b"application/warc-fields")
    wet, wat = of_kind(b"conversion", b"text/plain"), of_kind(b"metadata", b"application/json")
    other = of_kind(b"metadata", b"application/warc-fields")
    for members, name in (
        ([info, *[wet] * 20], "WET"),
        ([info, *[wat] * 3], "WAT"),
        ([info, wet], "WET"),
        ([info], None),
        ([info, other], None),
        ([info, wet, RECORDS[0]], None),
        (RECORDS, None),
        ([], None),
    ):
        found = unsupported(io.BytesIO(zipped(*members)))
        assert (found and found.partition(";")[0]) == name
    assert unsupported(io.BytesIO(zipped_files(FILES))) is None
    assert unsupported(io.BytesIO(record(bytes(2 << 20)))) is None


def test_a_response_behind_text_or_metadata() -> None:
    wet, wat = of_kind(b"conversion", b"text/plain"), of_kind(b"metadata", b"application/json")
    large, noise = record(bytes(2 << 20)), of_kind(b"warcinfo", b"x") + random.Random(1).randbytes(2 << 20)
    texts = zipped(*[wet] * 20)
    for data in (
        texts + zipped(RECORDS[0]),
        zipped(wat, large),
        wat + large,
        zipped(*[wet] * 20, noise, RECORDS[0]),
        zipped_files({"archive/a.warc.gz": texts, "archive/b.warc.gz": zipped(RECORDS[0])}),
        zipped_files({"archive/a.warc.gz": texts, "archive/b.warc.gz": zipped(noise, RECORDS[0])}),
    ):
        assert unsupported(io.BytesIO(data)) is None
    assert (unsupported(io.BytesIO(zipped_files({"archive/a.warc.gz": texts}))) or "").startswith("WET; ")


def test_a_list_of_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wacz, "MAX_LIST_BYTES", 1 << 10)
    (damage,) = everything(zipped_files({f"{n:0200}.warc": b"" for n in range(100)}))
    assert isinstance(damage, Damage)
    assert "the list of entries has more than 1024 bytes" in damage.detail
