"""Rows of text extracted by other tools, including all kinds of wrong ones."""

import gzip
import hashlib
import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swallow_spark import tables
from swallow_spark.errors import is_shortage
from swallow_spark.kernels.html import imported
from swallow_spark.kernels.html.imported import Row, page_columns
from swallow_spark.kernels.japanese import language_score

LIMIT = 1 << 20
READERS = {"jsonl": imported.json_lines, "parquet": imported.parquet}


def rows(content: bytes, format: str = "jsonl", limit: int = LIMIT) -> list[Row]:
    return list(READERS[format](pa.BufferReader(content), limit))


def json_lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **{"row_group_size": 2, **options})
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)  # type: ignore[no-any-return]


VALUES = [
    {"text": "一つ目", "url": "http://Example.jp/", "title": "題", "date": "2025-01-02T03:04:05+09:00", "more": [1]},
    {"text": "二つ目", "url": None},
    {"text": "三つ目\n改行"},
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_json_lines_whatever_they_are_packed_in(pack: Any) -> None:
    found = rows(pack(json_lines(*VALUES)))
    assert [(row.number, row.values["text"], row.problem) for row in found] == [
        (number, value["text"], None) for number, value in enumerate(VALUES)
    ]
    assert found[0].values["url"] == "http://Example.jp/"
    assert found[0].values["date"] == datetime(2025, 1, 1, 18, 4, 5, tzinfo=UTC)
    assert found[1].values["url"] is found[1].values["date"] is None


def test_members_and_frames_behind_each_other() -> None:
    for pack in (gzip.compress, zstd):
        content = b"".join(pack(json_lines(value)) for value in VALUES)
        assert [row.values["text"] for row in rows(content)] == [value["text"] for value in VALUES]


def test_parquet() -> None:
    table = pa.table(
        {
            "id": [1, 2, 3, 4],
            "text": ["一", "二", None, ""],
            "url": ["http://a.example/", None, None, None],
            "date": pa.array([datetime(2025, 1, 2, tzinfo=UTC)] * 4, pa.timestamp("us", "UTC")),
        }
    )
    found = rows(parquet(table), "parquet")
    assert [row.number for row in found] == [0, 1, 2, 3]
    assert [row.values.get("text") for row in found] == ["一", "二", None, ""]
    assert [row.problem and row.problem[0] for row in found] == [None, None, "no_text_column", None]
    assert found[0].values["date"] == datetime(2025, 1, 2, tzinfo=UTC)
    assert found[0].length == 3
    assert found[1].values["title"] is None


def test_parquet_without_text() -> None:
    assert [row.problem and row.problem[0] for row in rows(parquet(pa.table({"url": ["x"]})), "parquet")] == [
        "no_text_column"
    ]
    numbers = rows(parquet(pa.table({"text": [1, 2]})), "parquet")
    assert [row.problem and row.problem[0] for row in numbers] == ["no_text_column"] * 2


STRINGS = pa.array([b"a", b"\xff", None, b"", b"e"]).view(pa.string())
CATEGORIES = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2, 3], pa.int32()), STRINGS.drop_null())


BYTES = STRINGS.view(pa.binary())  # as of writers that don't mark strings


@pytest.mark.parametrize(
    "values",
    [
        *(STRINGS, STRINGS.cast(pa.large_string()), STRINGS.cast(pa.string_view()), CATEGORIES),
        *(BYTES, BYTES.cast(pa.large_binary()), BYTES.cast(pa.binary_view()), BYTES.dictionary_encode()),
    ],
    ids=range(8),
)
def test_strings_of_parquet_files(values: pa.Array) -> None:
    """For every storage type; invalid UTF-8 costs its row, or is null."""
    table = pa.table({"text": values})
    found = rows(parquet(table), "parquet")
    assert [row.values.get("text") for row in found] == ["a", None, None, "", "e"]
    assert [row.problem and row.problem[0] for row in found] == [None, "not_utf8", "no_text_column", None, None]
    assert [row.number for row in found] == [0, 1, 2, 3, 4]
    others = table.rename_columns(["url"]).append_column("text", pa.array(["x"] * 5))
    others = others.append_column("title", others["url"]).append_column("date", others["url"])
    found = rows(parquet(others), "parquet")
    assert [row.values for row in found] == [
        {"text": "x", "url": value, "title": value, "date": None} for value in ("a", None, None, "", "e")
    ]


MOMENTS = [
    (pa.date32(), 20090, datetime(2025, 1, 2, tzinfo=UTC)),
    (pa.date64(), 20090 * 86_400_000, datetime(2025, 1, 2, tzinfo=UTC)),
    (pa.timestamp("ms"), -1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    (pa.timestamp("us", "Asia/Tokyo"), 3, datetime(1970, 1, 1, 0, 0, 0, 3, tzinfo=UTC)),
    (pa.timestamp("us", "No/Where"), 3, datetime(1970, 1, 1, 0, 0, 0, 3, tzinfo=UTC)),
    (pa.timestamp("ns", "UTC"), 3_999, datetime(1970, 1, 1, 0, 0, 0, 3, tzinfo=UTC)),
    (pa.timestamp("us"), 2**62, None),
    (pa.timestamp("us"), -(2**62), None),
    (pa.date32(), 2**31 - 1, None),
    (pa.date64(), 86_400_000 * 10**10, None),
    (pa.timestamp("us"), None, None),
    (pa.time64("us"), 3, None),
    (pa.int64(), 20250102, None),
]


@pytest.mark.parametrize(("kind", "value", "expected"), MOMENTS, ids=str)
def test_dates_of_parquet_files(kind: pa.DataType, value: int | None, expected: datetime | None) -> None:
    integers = pa.array([value], pa.int32() if kind == pa.date32() else pa.int64())
    (row,) = rows(parquet(pa.table({"text": ["x"], "date": integers.view(kind)})), "parquet")
    assert row.values["date"] == expected


@pytest.mark.parametrize("store_schema", [False, True], ids=["strings", "dictionaries"])
def test_texts_that_are_one_large_entry_of_a_dictionary(store_schema: bool) -> None:
    """Together they are 64 times as large as the file, which takes no more memory than one of them."""
    text = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 128, pa.int32()), ["x" * LIMIT, "x" * LIMIT + "y"])
    content = parquet(pa.table({"text": text}), compression="zstd", row_group_size=256, store_schema=store_schema)
    assert len(content) < 10_000
    before, most, problems = pa.total_allocated_bytes(), 0, []
    for row in imported.parquet(pa.BufferReader(content), LIMIT):
        most = max(most, pa.total_allocated_bytes() - before)
        problems.append(row.problem and row.problem[0])
    assert problems == [None, "record_too_large"] * 128
    assert most < 16 * LIMIT


def test_the_strings_of_a_row_have_their_limit_together() -> None:
    table = pa.table({"text": ["x" * 50], "title": ["y" * 30], "url": ["z" * 20]})
    assert rows(parquet(table), "parquet", limit=100)[0].problem is None
    (row,) = rows(parquet(table), "parquet", limit=99)
    assert row == Row(0, {}, 100, ("record_too_large", "over 99 bytes"))


def test_two_columns_of_a_name_are_none() -> None:
    table = pa.table([["a"], ["b"], ["c"]], names=["text", "title", "title"])
    assert rows(parquet(table), "parquet")[0].values == {"text": "a", "url": None, "title": None, "date": None}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no json", "not_json"),
        (b'{"text": "cut', "not_json"),
        (b'{"text": "caf\xe9"}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"text": "x", "n": ' + b"9" * 9999 + b"}", "not_json"),
        (b"[]", "no_text_column"),
        (b'"text"', "no_text_column"),
        (b"{}", "no_text_column"),
        (b'{"text": null}', "no_text_column"),
        (b'{"text": ["x"]}', "no_text_column"),
        (b'{"text": "' + b"x" * LIMIT + b'"}', "record_too_large"),
        (b'{"text": "' + b"x" * 5 * LIMIT + b'"}', "record_too_large"),
    ],
    ids=range(12),
)
def test_bad_line_costs_itself_alone(line: bytes, reason: str) -> None:
    good = json_lines({"text": "前"}), json_lines({"text": "後"})
    for content in (good[0] + line + b"\n" + good[1], good[0] + line):
        found = rows(content)
        assert [row.number for row in found] == list(range(len(found)))
        assert [row.values.get("text") for row in found] == ["前", None, "後"][: len(found)]
        assert found[1].problem is not None
        assert found[1].problem[0] == reason
        assert len(found[1].problem[1]) <= 200
        assert len(found) == (3 if content.endswith(good[1]) else 2)


def test_blank_lines_are_no_rows_and_the_last_needs_no_end() -> None:
    found = rows(b'\n\r\n{"text": "a"}\r\n  \n\n{"text": "b"}')
    assert [(row.number, row.values["text"]) for row in found] == [(0, "a"), (1, "b")]
    assert rows(b"") == []


def test_longest_line_that_is_taken() -> None:
    line = json_lines({"text": "x" * 100})[:-1]
    assert rows(line + b"\n" + line, limit=len(line))[1].problem is None
    problems = [row.problem and row.problem[0] for row in rows(line + b"\n" + line, limit=len(line) - 1)]
    assert problems == ["record_too_large"] * 2


@pytest.mark.parametrize(
    ("given_date", "expected"),
    [
        ("2025-01-02", datetime(2025, 1, 2, tzinfo=UTC)),
        ("2025-01-02T03:04:05Z", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2025, 1, 2), datetime(2025, 1, 2, tzinfo=UTC)),
        (date(2025, 1, 2), datetime(2025, 1, 2, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (20250102, None),
        (None, None),
        ({}, None),
    ],
)
def test_dates(given_date: Any, expected: datetime | None) -> None:
    assert imported._date(given_date) == expected


def test_dates_at_the_ends_of_time_fit_the_table() -> None:
    for text in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        (row,) = rows(json_lines({"text": "x", "date": text}))
        columns = page_columns(row)
        assert columns
        pa.RecordBatch.from_pylist([{"doc_id": 1, **columns}], tables.PAGES)


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_cut_or_damaged_file_gives_what_came_before_and_an_error(pack: Any) -> None:
    lines = json_lines(*({"text": hashlib.sha256(b"%d" % n).hexdigest() * 50} for n in range(3000)))
    packed = pack(lines)
    assert len(packed) > 100_000
    found: list[Row] = []
    with pytest.raises((OSError, pa.ArrowException)):
        found.extend(imported.json_lines(pa.BufferReader(packed[:-1000]), LIMIT))
    assert all(row.problem is None for row in found)
    assert len(found) > 1000
    with pytest.raises((OSError, pa.ArrowException)):
        rows(b"PAR1 is no Parquet file", "parquet")


def test_flipped_bits_of_parquet_files_cost_rows_or_the_file() -> None:
    """It never fails the run, and is never taken for a lack of resources."""
    zone = pa.timestamp("us", "Asia/Tokyo")
    values = {"text": ["一つ目", "二つ目"], "title": ["題", None], "date": pa.array([datetime(2025, 1, 2)] * 2, zone)}
    table, draw, outcomes = pa.table(values), random.Random(1), set()
    for content in (parquet(table), parquet(table, use_dictionary=False, store_schema=False)):
        for bit in draw.sample(range(8 * len(content)), 1500):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                found = rows(bytes(flipped), "parquet")
            except (OSError, pa.ArrowException) as error:
                outcomes.add("shortage" if is_shortage(error) else "file")
            else:
                pages = [
                    {"doc_id": 1, **columns} for row in found if not row.problem and (columns := page_columns(row))
                ]
                pa.RecordBatch.from_pylist(pages, tables.PAGES)
                outcomes.update(row.problem[0] if row.problem else "row" for row in found)
    assert outcomes == {"file", "row", "not_utf8", "no_text_column"}


def test_columns_of_a_page(tmp_path: Path) -> None:
    (row,) = rows(json_lines(VALUES[0]))
    columns = page_columns(row)
    assert columns == {
        "url": "http://Example.jp/",
        "host": "example.jp",
        "date": datetime(2025, 1, 1, 18, 4, 5, tzinfo=UTC),
        "title": "題",
        "text": "一つ目".encode(),
        "charset": "utf-8",
        "language_score": language_score("一つ目"),
        "num_chars": 3,
        "record_length": len(json_lines(VALUES[0])) - 1,
        "payload_sha1": hashlib.sha1("一つ目".encode()).hexdigest(),
        "robots": None,
        "truncated": None,
    }
    assert ["doc_id", *columns] == tables.PAGES.names


def test_text_that_is_none_and_text_that_is_not_unicode() -> None:
    for text in ("", " \n　"):
        (row,) = rows(json_lines({"text": text}))
        assert page_columns(row) is None
    (row,) = rows(b'{"text": "a\\ud800b\\ud83d\\ude00", "title": "\\udfff", "url": 7}')
    assert (row.values["text"], row.values["title"], row.values["url"]) == ("a?b😀", "?", None)
    pa.RecordBatch.from_pylist([{"doc_id": 1, **(page_columns(row) or {})}], tables.PAGES)
