"""Gzip and zstd in all the ways that files come: in parts, padded, cut, damaged."""

import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.errors import InputError
from swallow_spark.kernels.text import packed

CONTENT = "".join(f"{number}行目の文。{number * 7919 % 104729}\n" for number in range(30_000)).encode()
NOISE = random.Random(1).randbytes(300_000)
Pack = Callable[[bytes], bytes]


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def raw_zstd(content: bytes) -> bytes:
    """A frame whose size is not in its head, with a window."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush()


def skippable(content: bytes, kind: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + kind, len(content)) + content


def unpack(content: bytes) -> tuple[bytes, str]:
    """All that could be read, and the error."""
    found = bytearray()
    try:
        for piece in packed.unpacked(io.BytesIO(content)):
            assert len(piece) <= 1 << 20
            found += piece
    except OSError as error:
        return bytes(found), str(error)
    return bytes(found), ""


PACKS: list[Pack] = [gzip.compress, zstd, raw_zstd]


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("content", [b"", b"x", b"x" * 3_000_000, CONTENT, NOISE], ids=lambda c: str(len(c)))
def test_whatever_is_packed(pack: Pack, content: bytes) -> None:
    assert unpack(pack(content)) == (content, "")
    assert unpack(pack(content) * 2) == (content * 2, "")


def test_plain() -> None:
    for content in (b"", b"\x1f", b"\0\0", b"P*M", CONTENT):
        assert unpack(content) == (content, "")


@pytest.mark.parametrize("pack", PACKS)
def test_parts_of_all_kinds(pack: Pack) -> None:
    parts = [skippable(b"\1\2\3\4"), pack(b"a"), bytes(5), zstd(b"b"), gzip.compress(b"c"), skippable(NOISE, 15)]
    assert unpack(b"".join(parts)) == (b"abc", "")
    assert unpack(pack(CONTENT) + bytes(3_000_000)) == (CONTENT, "")
    assert unpack(pack(CONTENT) + bytes(3_000_000) + pack(b"x")) == (CONTENT + b"x", "")


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("behind", [b"junk", b"\n", b"\0\0x", b"\x1f", b"<html>" * 99])
def test_what_stands_behind_takes_nothing_away(pack: Pack, behind: bytes) -> None:
    found, error = unpack(pack(CONTENT) + behind)
    assert found == CONTENT
    assert error


@settings(max_examples=60)
@given(st.data())
def test_cut_or_damaged_keeps_what_comes_before(data: st.DataObject) -> None:
    """As much as a decoder gives that is fed byte by byte (gzip), or up to the block before (zstd)."""
    pack = data.draw(st.sampled_from(PACKS))
    content = bytearray(pack(CONTENT))
    at = data.draw(st.integers(20, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    found, error = unpack(bytes(content))
    if pack is not gzip.compress:
        before = content[:at]
        assert found[: 128 << 10] == CONTENT[: 128 << 10] or len(before) < 64 << 10
        return
    inflater, expected = zlib.decompressobj(31), bytearray()
    try:
        for byte in content:
            expected += inflater.decompress(bytes([byte]))
        assert bool(error) == (not inflater.eof or bool(inflater.unused_data))
    except zlib.error:
        assert error
    assert found.startswith(expected)
    assert len(found) - len(expected) < 8 * 258  # what the last byte, in which the error is, held before it


def test_all_whole_blocks_of_a_cut_frame() -> None:
    frame = raw_zstd(NOISE)  # in blocks of 128 KiB, as they are
    assert unpack(frame[:-1]) == (NOISE[: 256 << 10], "cut: the file ends inside a gzip member or zstd frame")
    assert unpack(frame[:200_000])[0] == NOISE[: 128 << 10]


def test_a_wrong_checksum_is_told_behind_the_content() -> None:
    for pack in (gzip.compress, zstd):
        content = bytearray(pack(CONTENT))
        content[-5 if pack is gzip.compress else -1] ^= 1
        found, error = unpack(bytes(content))
        assert found == CONTENT
        assert error.startswith("damaged ")


def test_the_text_of_a_list() -> None:
    for pack in (bytes, *PACKS):
        assert packed.text_of(pack(b"\xef\xbb\xbfa\xff\n")) == "a\ufffd\n"
    with pytest.raises(InputError, match="can't read a list: cut"):
        packed.text_of(gzip.compress(CONTENT)[:-9])


def test_a_large_window_by_option(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = packer.compress(b"x") + packer.flush()
    found, error = unpack(content)
    assert found == b""
    assert "zstd --long=31" in error
    assert "SWALLOW_SPARK_ZSTD_LONG=31" in error
    monkeypatch.setenv("SWALLOW_SPARK_ZSTD_LONG", "30")
    assert "over the limit of 1,073,741,824" in unpack(content)[1]
    monkeypatch.setenv("SWALLOW_SPARK_ZSTD_LONG", "31")
    assert unpack(content) == (b"x", "")
