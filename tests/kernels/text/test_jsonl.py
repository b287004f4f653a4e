"""JSON lines, including too long and invalid ones."""

import gzip

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.text import jsonl


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 12))
def test_lines_as_split(lines: list[bytes], chunk: int) -> None:
    content = b"\n".join(lines)
    pieces = (content[at : at + chunk] for at in range(0, len(content), chunk))
    expected = [None if len(line) > 8 else line for line in b"\n".join(lines).split(b"\n")]
    if expected[-1] == b"":
        expected.pop()
    assert list(jsonl._lines(pieces, 8)) == expected


def test_lines_keep_their_numbers() -> None:
    content = b'{"a": 1}\n\n[2]\r\n{\n"' + b"x" * 30 + b'"\n3'
    found = list(jsonl.read(pa.BufferReader(gzip.compress(content)), max_line_bytes=20))
    assert [(line.number, line.value, line.problem and line.problem[0]) for line in found] == [
        (1, {"a": 1}, None),
        (3, [2], None),
        (4, None, "not_json"),
        (5, None, "record_too_large"),
        (6, 3, None),
    ]


@pytest.mark.parametrize(("line", "problem"), [(b"{", "line 2: "), (b"[]", "line 2: not a JSON object")])
def test_what_is_no_object_is_refused(line: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(jsonl.objects(pa.BufferReader(b"{}\n" + line)))


def test_padding_behind_the_last_line_is_no_line() -> None:
    assert [line.value for line in jsonl.read(pa.BufferReader(b'{"a": 1}\n' + bytes(5000)))] == [{"a": 1}]


@pytest.mark.parametrize(("rest", "kept"), [(b'{"a": 2}', True), (b'{"a": 2', False), (b"12", False)])
def test_a_line_that_damage_cuts_counts_if_only_its_end_is_missing(rest: bytes, kept: bool) -> None:
    packed = gzip.compress(b'{"a": 1}\n' + rest) + b"junk"
    lines = jsonl.read(pa.BufferReader(packed))
    assert next(lines).value == {"a": 1}
    if kept:
        assert next(lines).value == {"a": 2}
    with pytest.raises(OSError, match="behind the last member"):
        next(lines)
