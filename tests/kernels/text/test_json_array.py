"""The elements of JSON arrays, however they are cut into pieces, and where they are damaged."""

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.text import json_array, packed
from swallow_spark.kernels.text.packed import DamagedError

VALUES: list[Any] = [{"text": "あ\n"}, [], [1, {"a": ["]"]}], "x,]", -12.5, None, True, 12345, {}]


def values(content: bytes, limit: int = 1 << 20) -> list[Any]:
    return [line.value for line in json_array.read(io.BytesIO(content), max_bytes=limit)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_elements_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int, indent: int | None) -> None:
    monkeypatch.setattr(packed, "_PIECE_BYTES", size)
    content = json.dumps(VALUES, ensure_ascii=False, indent=indent).encode()
    assert values(content) == VALUES
    assert values(b"\xef\xbb\xbf \n" + content + b" \n\0") == VALUES
    assert values(gzip.compress(content)) == VALUES
    assert values(b"[ ]") == []


@given(st.lists(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))))
def test_any_array(given_values: list[Any]) -> None:
    assert values(json.dumps(given_values).encode()) == given_values


def test_lines_are_lines() -> None:
    lines = list(json_array.read(io.BytesIO(b'\n{"a": 1}\nno\n{"a": 2}\n'), max_bytes=99))
    assert [line.value for line in lines] == [{"a": 1}, None, {"a": 2}]
    assert values(b"") == []


@pytest.mark.parametrize(
    ("content", "before", "said"),
    [
        (b'[1, {"a":1}', 2, "damaged behind element 2: cut"),
        (b'[1, {"a":', 1, "damaged behind element 1"),
        (b"[1, ", 1, "damaged behind element 1: cut"),
        (b"[1 2]", 1, "no comma behind element 1"),
        (b"[1,]", 1, "damaged behind element 1"),
        (b"[,1]", 0, "damaged behind element 0"),
        (b"[1] 2", 1, "something else behind"),
        (b'[1, "\xff"]', 0, "not UTF-8"),
    ],
)
def test_damage_comes_behind_what_is_whole(content: bytes, before: int, said: str) -> None:
    found = []
    with pytest.raises(DamagedError, match=said):
        found += list(iterate(content, found))
    assert len(found) == before


def iterate(content: bytes, found: list[Any]) -> list[Any]:
    for line in json_array.read(io.BytesIO(content), max_bytes=1 << 20):
        found.append(line.value)
    return []


def test_elements_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps(["x" * 100, 2]).encode()
    lines = list(json_array.read(io.BytesIO(content), max_bytes=50))
    assert [line.problem and line.problem[0] for line in lines] == ["record_too_large", None]
    assert lines[1].value == 2
    monkeypatch.setattr(packed, "_PIECE_BYTES", 8)
    with pytest.raises(DamagedError, match="element 1 of the JSON array is damaged, or over 50 bytes"):
        values(content, 50)
