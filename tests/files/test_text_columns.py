"""What is found in files of text before any work, and said of those that no page can come of."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swallow_spark.errors import InputError
from swallow_spark.files.inputs import TEXT_FORMATS, expand
from swallow_spark.files.storage import open_random_access
from swallow_spark.files.text_columns import check_columns
from swallow_spark.tables import InputFile

GOOD = b'{"text": "a"}\n'


def write(path: Path, content: bytes | pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    return path


def checked(*arguments: Path | str, column: str = "text") -> list[InputFile]:
    names = [str(argument) for argument in arguments]
    return check_columns(expand(names, text=True, text_column=column), names)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.parquet",
            pa.table({"id": [1], "content": ["x"], "url": ["u"]}),
            "no column `text`; this parquet file has id (int64), content (string), url (string): give the one that "
            "holds the text, as --text-column content",
        ),
        ("a.parquet", pa.table({"text": [1, 2]}), "the column `text` is int64, not text; this parquet file has text"),
        ("a.parquet", pa.table({"url": ["u"]}), "no column holds text"),
        ("a.jsonl", b'{"txt": "x", "n": 1}\n' * 3, "no column `text`, did you mean txt?; this jsonl file has txt"),
        ("a.jsonl", b'{"title": "t", "body": "x"}\n', "--text-column body"),
        ("a.jsonl.gz", gzip.compress(b'{"text": 5}\n'), "the column `text` is number, not text"),
        ("a.json", b'[{"raw_content": "x", "text": {}}]', "is object, not text; .* --text-column raw_content"),
        ("a.csv", b"url,body\nu,x\n", "this csv file has url .string., body .string.: .* --text-column body"),
        ("a.csv", "id,text\n1,猫です\n2,犬です\n".encode("cp932"), "the column `text` is not UTF-8: convert the file"),
        ("a.csv", "番号,本文\n1,猫\n".encode("cp932"), "the names of its columns are not UTF-8: convert the file"),
        ("a.csv", "text,id\n猫、犬,1\n".encode("utf-16"), "the names of its columns are not UTF-8: convert the file"),
        ("a.jsonl", b"", "no rows: the file is empty"),
        ("a.jsonl", b"\n\n", "no rows"),
        ("a.json", b"[]", "no rows"),
        ("a.csv", b"text\n", "no rows"),
        ("a.parquet", pa.table({"text": pa.array([], pa.string())}), "no rows"),
    ],
)
def test_what_no_page_can_come_of_is_an_error(tmp_path: Path, name: str, content: bytes | pa.Table, said: str) -> None:
    good = write(tmp_path / "good.jsonl", GOOD)
    path = write(tmp_path / name, content)
    pattern = said if ".*" in said or ".string." in said else re.escape(said)
    with pytest.raises(InputError, match=pattern) as caught:
        checked(good, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_the_column_is_noted_with_the_format(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"url,body\nu,x\n")
    assert [file.format for file in checked(path, column="body")] == ["csv:body"]
    assert [file.format for file in checked(write(tmp_path / "b.jsonl", GOOD))] == ["jsonl"]
    with pytest.raises(InputError, match="no column `boby`, did you mean body"):
        checked(path, column="boby")


@pytest.mark.parametrize(
    "content", [b"<html>\n", b'"x"\n', b'{"a": 1', b'{"text": null, "body": "x"}\n', gzip.compress(GOOD)[:-9]]
)
def test_what_is_damaged_is_left_to_who_reads_it(tmp_path: Path, content: bytes) -> None:
    assert len(checked(write(tmp_path / "a.jsonl", content))) == 1
    assert len(checked(write(tmp_path / "a.parquet", content))) == 1


def test_directories(tmp_path: Path) -> None:
    names = ["b.jsonl", "deep/a.json", "deep/c.csv", "empty.jsonl"]
    for name in (*names, "_SUCCESS", ".b.jsonl.crc", "_old/x.jsonl", "notes.md", "a.warc.gz"):
        content = {"deep/a.json": b"[" + GOOD + b"]", "deep/c.csv": b"text\nx\n", "empty.jsonl": b""}.get(name, GOOD)
        write(tmp_path / "in" / name, content)
    found = [file.path for file in checked(tmp_path / "in")]
    assert found == [str(tmp_path / "in" / name) for name in names]  # one empty file among others is no fault
    assert [file.path for file in expand([str(tmp_path / "in")])] == [str(tmp_path / "in/a.warc.gz")]
    write(tmp_path / "other/x.md", b"")
    with pytest.raises(InputError, match=r"other: no file of \.jsonl, .* in this directory: it has \.md"):
        checked(tmp_path / "other")
    (tmp_path / "other/y.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"y\.jsonl: no rows"):
        checked(tmp_path / "other")


def test_a_key_of_a_later_row_counts(tmp_path: Path) -> None:
    rows = [{"id": 1}, {"id": 2, "text": None}, {"text": "x"}]
    assert checked(write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()))


def test_values_of_csv_that_are_separated_otherwise(tmp_path: Path) -> None:
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"text{mark}url\nあ{mark}い\n")
        with pytest.raises(InputError, match=f"separated by {name}: write the file with commas") as raised:
            check_columns(expand([str(path)], text=True), [str(path)])
        assert "--text-column" not in str(raised.value)


def test_csv_whose_header_is_not_utf8_is_damaged(tmp_path: Path) -> None:
    for number, content in enumerate(("本文,url\nあ,い\n".encode("cp932"), "text\nあ\n".encode("utf-16"))):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(content)
        with open_random_access(str(path)) as stream, pytest.raises(pa.ArrowInvalid, match="isn't UTF-8"):
            list(TEXT_FORMATS["csv"].rows(stream, 1 << 20))
