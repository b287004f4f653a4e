"""Rows of CSV files, including wrong ones."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from swallow_spark.kernels.html import imported_csv
from swallow_spark.kernels.html.imported import Row


def rows(content: bytes, column: str = "text", limit: int = 1 << 20) -> list[Row]:
    return list(imported_csv.rows(pa.BufferReader(content), limit, column))


def problems(found: list[Row]) -> list[str | None]:
    return [row.problem and row.problem[0] for row in found]


def test_rows() -> None:
    content = '\ufefftext,url,date,more\r\n"一,\n""二""",http://a.example/,2025-01-02,x\r\n,,,\r\n'.encode()
    first, second = rows(content)
    values = {"url": "http://a.example/", "title": None, "date": datetime(2025, 1, 2, tzinfo=UTC)}
    assert (first.number, first.values, first.problem) == (0, {"text": '一,\n"二"', **values}, None)
    assert first.utf8.decode() == first.values["text"]
    assert (second.number, second.values["text"], second.problem) == (1, "", None)


def test_a_wrong_row_costs_itself_alone_and_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"text,url\nfew\na,b\n1,2,3\n\xff,b\nmany,\nfew\n" + b"x" * 40 + b",\n"
    expected = ["wrong_columns", None, "wrong_columns", "not_utf8", None, "wrong_columns", "record_too_large"]
    for block in (64, 16 << 20):
        monkeypatch.setattr(imported_csv, "_BLOCK_BYTES", block)
        found = rows(content, limit=39)
        assert problems(found) == expected
        assert [row.number for row in found] == list(range(7))


def test_the_column_of_the_text() -> None:
    content = b"body,text\nb,t\n"
    assert [rows(content, name)[0].values.get("text") for name in ("text", "body")] == ["t", "b"]
    assert problems(rows(content, "content")) == problems(rows(b"text,text\na,b\n")) == ["no_text_column"]
    assert rows(b"") == rows(b"text\n") == []


def test_a_quotation_mark_that_is_never_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported_csv, "_BLOCK_BYTES", 64)
    content = b"text\n" + b"b\n" * 60 + b'"' + b"c\n" * 99
    found: list[Row] = []
    with pytest.raises(pa.ArrowInvalid):
        found.extend(imported_csv.rows(pa.BufferReader(content), 99))
    assert found
