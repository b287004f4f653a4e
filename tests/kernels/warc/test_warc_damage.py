"""The WARC reader on truncated, corrupted and hostile files, and on streams that fail."""

import gzip
import io
import random
import tracemalloc
from collections.abc import Callable
from functools import partial

import pytest
import zstandard
from places import BROKEN
from warcs import everything, outline, record, zipped

from swallow_spark.kernels.warc import framing, warc
from swallow_spark.kernels.warc.members import WARC, Member, Window
from swallow_spark.kernels.warc.warc import Damage, Record, read, unsupported


@pytest.mark.parametrize("compressed", [True, False])
def test_cut_anywhere(compressed: bool) -> None:
    records = [record(b"%d" % i * 50) for i in range(4)]
    parts = [zipped(r) for r in records] if compressed else records
    data = b"".join(parts)
    ends = [len(b"".join(parts[: i + 1])) for i in range(4)]
    for size in range(1, len(data)):
        items = everything(data[:size])
        num_whole = sum(end <= size for end in ends)
        damages = [item for item in items if isinstance(item, Damage)]
        blocks = [item.block for item in items if isinstance(item, Record)]
        assert blocks[:num_whole] == [b"%d" % i * 50 for i in range(num_whole)]
        if size in ends:
            assert damages == []
        elif compressed or size < ends[num_whole] - 4:
            assert len(blocks) == num_whole
            assert len(damages) == 1
            assert damages[0].reason in ("truncated", "garbage", "not_a_warc", "empty")
        else:  # a plain record is complete without the line ends after it
            assert (len(blocks), damages) == (num_whole + 1, [])


def test_any_flipped_bit_costs_the_record_it_is_in_and_nothing_is_raised() -> None:
    rng = random.Random(3)
    bodies = [rng.randbytes(60) + b"%d" % i * 60 for i in range(6)]
    parts = [zipped(record(body)) for body in bodies]
    data = b"".join(parts)
    for _ in range(1_500):
        at = rng.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        items = everything(bytes(flipped))
        blocks = [item.block for item in items if isinstance(item, Record)]
        hit = next(i for i in range(6) if at < len(b"".join(parts[: i + 1])))
        # Some bits mean nothing: a member's time, the padding of its last byte.
        assert blocks in (bodies, bodies[:hit] + bodies[hit + 1 :])
        num_damages = sum(isinstance(item, Damage) for item in items)
        assert num_damages == (0 if blocks == bodies else 1)


def test_framed_record_of_a_broken_member_is_counted_whatever_else_is_wrong_with_it() -> None:
    for odd in (record(length=3), record(length=500), record(length=-1), record(tail=b"junk")):
        bad_crc = bytearray(zipped(odd))
        bad_crc[-5] ^= 1
        items = everything(zipped(record()) + bytes(bad_crc) + zipped(record()))
        assert outline(items)[1:2] == [(len(zipped(record())), "record", "bad_crc")]
        assert len(items) == 3


@pytest.mark.parametrize("pack", [zipped, lambda part: zstandard.ZstdCompressor().compress(part), bytes])
def test_a_type_of_an_encoded_word_without_a_letter(pack: Callable[[bytes], bytes]) -> None:
    odd = record(b"odd").replace(b": response", b": =?utf-8?q??=")
    items = everything(b"".join(map(pack, (record(b"1"), odd, record(b"2")))))
    assert [i.reason if isinstance(i, Damage) else i.block for i in items] == [b"1", "bad_header", b"2"]
    assert outline(everything(pack(odd))) == [(0, "record", "bad_header")]
    assert unsupported(io.BytesIO(pack(odd))) is None
    worded = everything(pack(record().replace(b": response", b": =?utf-8?q?response?=")))
    assert [isinstance(i, Record) and i.holds_http_response for i in worded] == [True]


class Dripping(io.RawIOBase):
    """A stream that returns a few bytes at a time and is not seekable."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1_009) if size > 0 else 1_009)

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(
    "name", ["garbage-between-members.warc.gz", "truncated-in-member.warc.gz", "uncompressed.warc"]
)
def test_how_the_stream_gives_its_bytes_does_not_matter(name: str) -> None:
    data = (BROKEN / name).read_bytes()
    assert list(read(Dripping(data))) == everything(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_good_reads", [0, 1, 3])
def test_errors_of_the_stream_are_passed_on(num_good_reads: int) -> None:
    class Failing(Dripping):
        reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads > num_good_reads:
                raise ConnectionResetError("gone")
            return super().read(size)

    with pytest.raises(ConnectionResetError, match="gone"):
        list(read(Failing(zipped(*[record(random.Random(1).randbytes(900))] * 20))))  # type: ignore[arg-type]


def test_base_offset_is_added() -> None:
    data = zipped(record(), record()) + b"junk"
    shifted = [item.offset - (1 << 33) for item in everything(data, base_offset=1 << 33)]
    assert shifted == [item.offset for item in everything(data)]


@pytest.mark.parametrize(
    "data",
    [
        zipped(record(), record(b"\0" * 40_000_000), record(b"behind")),
        zipped(record(), record() + b"\n" * 40_000_000, record(b"behind")),
        zipped(record(), record(tail=b"\r" * 40_000_000 + b"junk"), record(b"behind")),
        zipped(record(), record() + b"x" * 40_000_000, record(b"behind")),
        zipped(record(), b"WARC/1.0\r\n" + b"x" * 40_000_000, record(b"behind")),
    ],
    ids=[
        "large record",
        "line ends behind a record",
        "carriage returns behind a record",
        "junk behind a record",
        "head without an end",
    ],
)
def test_bombs_take_no_memory(data: bytes) -> None:
    tracemalloc.start()
    items = everything(data, max_record_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(items[-1], Record)
    assert items[-1].block == b"behind"
    assert sum(isinstance(item, Record) or item.scope == "record" for item in items) == 3
    assert peak < 8 << 20


def test_the_head_of_a_member_inside_a_member() -> None:
    """Stored blocks contain their bytes unchanged: data of a member may look like the next member."""
    inner = zipped(record(b"inner"))
    for body in (inner, inner * 3, b"\x1f\x8b\x08" * 50, inner[:30]):
        data = gzip.compress(record(body), 0) + zipped(record(b"next"))
        assert [i.block for i in everything(data) if isinstance(i, Record)] == [body, b"next"]
        assert not [i for i in everything(data) if isinstance(i, Damage)]


@pytest.mark.parametrize("cut", [1, 3, 10, 18, 40])
def test_records_of_one_size_with_the_head_of_one_destroyed(cut: int) -> None:
    """Bytes that end like the previous member are not taken for a part of it."""
    members = [zipped(record(b"%04d" % i)) for i in range(4)]
    items = everything(members[0] + b"?" * cut + members[1][cut:] + members[2] + members[3])
    assert [i.block for i in items if isinstance(i, Record)] == [b"0000", b"0002", b"0003"]
    assert [i for i in items if isinstance(i, Damage)]


EMPTY_BLOCKS = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\0\0\0\xff\xff" * 40


@pytest.mark.parametrize("decoy", [b"\x1f\x8b\x08", zipped(record())[:12], EMPTY_BLOCKS])
def test_decoys_are_tried_within_bounds(decoy: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that seem to begin a record everywhere are skipped in limited time."""
    before, behind = zipped(record()), zipped(record(b"behind"))
    data = before + decoy * 200 + b"?" + behind
    items = everything(data)
    gap = items[1]
    assert isinstance(gap, Damage)
    assert outline(items) == [(0, 5), (len(before), "gap", gap.reason), (len(data) - len(behind), 6)]

    tried: list[int] = []

    class Counted(Member):
        def __init__(self, window: Window, start: int, max_held_bytes: int) -> None:
            tried.append(start)
            super().__init__(window, start, max_held_bytes)

    counting = WARC._replace(member=Counted)
    monkeypatch.setattr(warc, "CarefulReader", partial(framing.CarefulReader, layout=counting))
    assert everything(data) == items
    assert len(tried) >= 200
    tried.clear()
    monkeypatch.setattr(framing, "MAX_TRIED_BYTES", 1 << 20)
    given_up = everything(data)
    assert outline(given_up) == outline(items)[:2]
    assert isinstance(given_up[1], Damage)
    assert given_up[1].detail.startswith(f"{len(data) - len(before)} bytes")
    assert len(tried) < 20
