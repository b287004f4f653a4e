"""One file in byte ranges: the same records as in one piece, or a report that this is impossible."""

import gzip
import io
import random

import pytest
from places import DEMO_WARCS

from swallow_spark.kernels.warc.ranges import RangeReader, Span, cut, meet
from swallow_spark.kernels.warc.warc import Damage, Record, read

DEMO = DEMO_WARCS[0]
LIMIT = 1 << 22


def record(body: bytes) -> bytes:
    return b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (len(body), body)


def warc(*bodies: bytes, level: int = 6) -> bytes:
    return b"".join(gzip.compress(record(body), level, mtime=0) for body in bodies)


def in_ranges(data: bytes, borders: list[tuple[int, int]]) -> tuple[list[Record], list[Span]]:
    readers = [RangeReader(io.BytesIO(data), start, end, LIMIT) for start, end in borders]
    return [record for reader in readers for record in reader], [reader.span for reader in readers]


def whole(data: bytes) -> list[Record | Damage]:
    return list(read(io.BytesIO(data), max_record_bytes=LIMIT))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 40])
def test_same_records_exactly_once(number: int) -> None:
    data = DEMO.read_bytes()[:900_000]
    data = data[: whole(data)[-1].offset]  # up to the record that was cut
    records, spans = in_ranges(data, cut(len(data), 1, number))
    assert len(spans) == number
    assert meet(spans)
    assert records == whole(data)


def test_every_border() -> None:
    random.seed(3)
    data = warc(*(random.randbytes(random.randrange(200)) for _ in range(5)))
    expected = whole(data)
    for border in range(1, len(data)):
        records, spans = in_ranges(data, [(0, border), (border, len(data))])
        assert meet(spans)
        assert records == expected


def test_records_larger_than_ranges() -> None:
    data = warc(b"a", random.Random(1).randbytes(50_000), b"b")
    records, spans = in_ranges(data, cut(len(data), 1, 50))
    assert meet(spans)
    assert records == whole(data)
    assert sum(span.first is not None for span in spans) < 5


def test_ranges_of_what_was_there_before_do_not_meet() -> None:
    data = warc(*(b"%d" % i for i in range(9)))
    _, spans = in_ranges(data, cut(len(data), 1, 3))
    then = [span._replace(modified_ns=5) for span in spans]
    assert meet(then)
    assert not meet([*then[:2], then[2]._replace(modified_ns=6)])
    assert not meet([*then[:2], spans[2]])


def test_a_warc_inside_a_warc_does_not_meet_or_is_the_same() -> None:
    inner = warc(*(b"%d" % i * 300 for i in range(40)))
    data = gzip.compress(record(b"before"), 0) + gzip.compress(record(inner), 0) + gzip.compress(record(b"after"), 0)
    met = []
    for number in range(1, 30):
        records, spans = in_ranges(data, cut(len(data), 1, number))
        if meet(spans):
            assert records == whole(data)
            met.append(number)
    assert met == [1], "one range sees no border; each of more has one that lies in the stored WARC"


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_never_taken_for_sound(seed: int) -> None:
    """And sound ones never for damaged: before the damage, or where whole records have gone or come twice."""
    chosen = random.Random(seed)
    level = chosen.choice((0, 6))
    members = [warc(chosen.randbytes(chosen.randrange(1, 3_000)), level=level) for _ in range(12)]
    del members[chosen.randrange(12)]
    members.insert(chosen.randrange(11), members[chosen.randrange(11)])
    data = bytearray(b"".join(members))
    number = chosen.randrange(2, 9)
    records, spans = in_ranges(bytes(data), cut(len(data), 1, number))
    assert meet(spans)
    assert records == whole(bytes(data))
    for _ in range(chosen.randrange(1, 4)):
        at = chosen.randrange(len(data))
        match chosen.randrange(4):
            case 0:
                data[at] ^= 1 << chosen.randrange(8)
            case 1:
                del data[at : at + chosen.randrange(1, 500)]
            case 2:
                data[at:at] = chosen.randbytes(chosen.randrange(1, 100))
            case _:
                del data[at:]
    assert any(isinstance(item, Damage) for item in whole(bytes(data)))
    _, spans = in_ranges(bytes(data), cut(len(data), 1, number))
    assert not meet(spans)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b\x08" * 1_000,
        gzip.compress(record(b"a") + record(b"b"), mtime=0),
        record(b"a" * 500) + record(b"b" * 500),
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\0\0\0\xff\xff" * 500_000,  # a member of empty blocks
    ],
)
def test_what_can_not_be_split(data: bytes) -> None:
    _, spans = in_ranges(data, [(0, len(data) // 2), (len(data) // 2, len(data))])
    assert not meet(spans)


def test_cut() -> None:
    assert cut(100, 10, 4) == [(0, 25), (25, 50), (50, 75), (75, 100)]
    assert cut(100, 40, 4) == [(0, 50), (50, 100)]
    assert cut(10, 40, 4) == [(0, 10)]
