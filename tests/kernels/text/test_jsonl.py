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
    class Small:
        def __init__(self) -> None:
            self.rest = b"\n".join(lines)

        def read(self, _: int) -> bytes:
            taken, self.rest = self.rest[:chunk], self.rest[chunk:]
            return taken

    expected = [None if len(line) > 8 else line for line in b"\n".join(lines).split(b"\n")]
    if expected[-1] == b"":
        expected.pop()
    assert list(jsonl._lines(Small(), 8)) == expected


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
