"""Local inputs that are replaced by others of the same size while they are read: nothing of them stays."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swallow_spark.config.access import Access
from swallow_spark.corpus.write import Outputs
from swallow_spark.files.inputs import TEXT_FORMATS
from swallow_spark.files.storage import Root
from swallow_spark.kernels.html.page import Limits
from swallow_spark.stages.ingest import tasks as stage
from swallow_spark.stages.ingest.tasks import Source

PAGES = 4


def warc(letter: str) -> bytes:
    """Some pages, as members that are as long for every letter."""
    body = f"<title>{letter}</title><p>{letter}{'これは日本語のページです。' * 20}</p>".encode()
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nContent-Type: application/http\r\n"
    )
    record = head + b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(block), block)
    return gzip.compress(record, 0, mtime=0) * PAGES


def rows(letter: str) -> bytes:
    return "".join(json.dumps({"text": f"{letter}の本文です。{n}"}) + "\n" for n in range(PAGES)).encode()


def outputs(directory: Path) -> Outputs:
    return Outputs(Root(str(directory)), stage.TABLES, {table: {1: f"{table}/u"} for table in stage.TABLES})


def ingested(source: Source, directory: Path) -> list[dict[str, Any]]:
    """What the last attempt of a task wrote."""
    into = stage.Into(1, Limits(), outputs(directory), lambda _files, _pages: None, Access(), None)
    return [row for batch in stage._ingest_sources([source], into) for row in batch.to_pylist()]


def by_table(written: list[dict[str, Any]]) -> dict[str, int]:
    return {row["table"]: row["rows"] for row in written}


def replace_by(path: Path, content: bytes) -> None:
    assert len(content) == path.stat().st_size
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(0, path.stat().st_mtime_ns + 1))
    other.replace(path)


def after_one(work: Callable[..., Any], change: Callable[[], None]) -> Callable[..., Any]:
    """Does its work, and once, after its first page, changes a file."""
    left = [change]

    def changing(*arguments: Any, **named: Any) -> Any:
        found = work(*arguments, **named)
        if left:
            left.pop()()
        return found

    return changing


@pytest.mark.parametrize("kind", ["warc", "selected", "jsonl"])
def test_a_file_is_given_up_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    content = rows if kind == "jsonl" else warc
    path = tmp_path / "input"
    path.write_bytes(content("a"))
    source = Source(7, str(path), TEXT_FORMATS.get(kind))
    if kind == "selected":
        lengths = np.full(PAGES, len(warc("a")) // PAGES)
        source = source._replace(records=(np.cumsum(lengths) - lengths, lengths))
    for name in ("read_page", "page_columns"):
        monkeypatch.setattr(stage, name, after_one(getattr(stage, name), lambda: replace_by(path, content("b"))))
    written = ingested(source, tmp_path / "first")
    assert by_table(written) == {"failures": 1, "ledger": 0}
    (mark,) = (dict(row["sums"]) for row in written if row["table"] == "ledger")
    assert mark == {f"{stage.NOT_READ}changed:7": 1}, "it stays pending, and the same command tries it again"
    assert by_table(ingested(source, tmp_path / "second"))["pages"] == PAGES


def test_ranges_of_two_files_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(warc("a"))
    size = path.stat().st_size
    first, second = (Source(7, str(path), range=r) for r in ((0, size // 2), (size // 2, size)))
    before = ingested(first, tmp_path / "out")
    replace_by(path, warc("b"))
    root = Root(str(tmp_path / "out"))
    assert by_table(before)["pages"] == PAGES // 2
    assert stage.whole([*before, *ingested(second, tmp_path / "out")], outputs(tmp_path / "out")) is None
    assert root.files("") == []
    again = [*ingested(first, tmp_path / "out"), *ingested(second, tmp_path / "out")]
    found = stage.whole(again, outputs(tmp_path / "out"))
    assert found
    assert sum(row["rows"] for row in found if row["table"] == "pages") == PAGES


def test_a_range_of_a_file_that_changes_meanwhile_meets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(warc("a"))
    source = Source(7, str(path), range=(0, path.stat().st_size))
    monkeypatch.setattr(stage, "read_page", after_one(stage.read_page, lambda: replace_by(path, warc("b"))))
    written = ingested(source, tmp_path / "out")
    assert by_table(written) == {"span": 0}
    assert stage.whole(written, outputs(tmp_path / "out")) is None
