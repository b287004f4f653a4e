"""Tables written inside tasks: what is listed is there, whole, and where it belongs."""

import pickle
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swallow_spark import __version__
from swallow_spark.corpus import write as module
from swallow_spark.corpus.write import WRITTEN, Outputs
from swallow_spark.errors import VersionError
from swallow_spark.files.storage import Root
from swallow_spark.tables import pack_doc_id

SCHEMA = pa.schema([pa.field("doc_id", pa.int64(), nullable=False), ("word", pa.string())])
CRAWLS = {1: "t/crawl=a/u", 2: "t/crawl=b/u"}


def batch(*doc_ids: int, word: str = "x") -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"doc_id": d, "word": word} for d in doc_ids], SCHEMA)


def rows(root: Root, listed: list[dict[str, Any]]) -> dict[str, list[int]]:
    """The doc_ids of the listed files, checked against what the list says of them."""
    found: dict[str, list[int]] = {}
    for entry in listed:
        path = root.local_path(entry["path"])
        table = pq.read_table(path)
        assert table.schema.equals(SCHEMA)
        assert entry["rows"] == table.num_rows
        assert entry["bytes"] == path.stat().st_size
        assert entry["crc32"] == zlib.crc32(path.read_bytes())
        found.setdefault(entry["path"].rpartition("/")[0], []).extend(table["doc_id"].to_pylist())
    return found


def test_one_directory_takes_all(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    with Outputs(root, {"t": SCHEMA}, {"t": {7: "t/crawl=a/u"}}).open(3) as opened:
        opened.write("t", batch(5, 4), {"chars": 10})
        opened.write("t", batch(9).select(["word", "doc_id"]), {"chars": 1, "more": 2})
        written = opened.written()
    assert written.schema.equals(WRITTEN)
    (entry,) = written.to_pylist()
    assert rows(root, [entry]) == {"t/crawl=a/u": [5, 4, 9]}
    assert (entry["table"], dict(entry["sums"])) == ("t", {"chars": 11, "more": 2})
    assert Path(entry["path"]).name.startswith("part-00003-")


def test_rows_go_to_their_crawl_and_sums_count_once(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    with Outputs(root, {"t": SCHEMA}, {"t": CRAWLS}).open(0) as opened:
        first, second = ([pack_doc_id(crawl, 0, at) for at in (0, 8)] for crawl in (1, 2))
        opened.write("t", batch(second[0], first[0]), {"chars": 10})
        opened.write("t", batch(first[1]), {"chars": 1})
        opened.write("t", batch(second[1]), {"chars": 100})
        written = opened.written().to_pylist()
    assert rows(root, written) == {CRAWLS[1]: first, CRAWLS[2]: second}
    assert sum(dict(entry["sums"])["chars"] for entry in written) == 111


def test_row_of_a_crawl_that_is_not_written_is_an_error(tmp_path: Path) -> None:
    with Outputs(Root(str(tmp_path)), {"t": SCHEMA}, {"t": CRAWLS}).open(0) as opened, pytest.raises(KeyError):
        opened.write("t", batch(pack_doc_id(3, 0, 0)))


def test_files_roll_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROW_GROUP_BYTES", 1)
    monkeypatch.setattr(module, "FILE_BYTES", 2000)
    root = Root(str(tmp_path))
    with Outputs(root, {"t": SCHEMA}, {"t": CRAWLS}).open(0) as opened:
        for number in range(60):
            crawl = 1 + number % 2
            opened.write("t", batch(pack_doc_id(crawl, 0, number), word=f"{number}" * 99), {"chars": number})
        written = opened.written().to_pylist()
    assert len(written) > 6
    assert len({entry["path"] for entry in written}) == len(written)
    assert max(entry["rows"] for entry in written) < 12
    found = rows(root, written)
    assert {d: len(ids) for d, ids in found.items()} == {CRAWLS[1]: 30, CRAWLS[2]: 30}
    assert found[CRAWLS[1]] == [pack_doc_id(1, 0, number) for number in range(0, 60, 2)]
    assert sum(dict(entry["sums"])["chars"] for entry in written) == sum(range(60))


def test_attempts_write_files_of_their_own_and_a_failed_one_lists_none(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    outputs = Outputs(root, {"t": SCHEMA}, {"t": {1: "t"}})
    listed: list[dict[str, Any]] = []

    def attempt(fails: bool) -> None:
        with outputs.open(5) as opened:
            opened.write("t", batch(1, 2))
            if fails:
                raise OSError("the disk is gone")
            listed.extend(opened.written().to_pylist())

    with pytest.raises(OSError, match="disk"):
        attempt(fails=True)
    attempt(fails=False)
    assert len(root.files("t")) == 2  # what the first left behind is there, and on no list
    assert rows(root, listed) == {"t": [1, 2]}


def test_executors_of_another_version_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = pickle.dumps(Outputs(Root(str(tmp_path)), {"t": SCHEMA}, {"t": CRAWLS}))
    monkeypatch.setattr(module, "__version__", "0.0.9")
    with pytest.raises(VersionError, match=rf"spark 0\.0\.9 on .*, and {__version__} in the driver: .* release"):
        pickle.loads(sent).open(0)
    assert list(tmp_path.iterdir()) == []


def test_nothing_written_is_no_file(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    outputs = Outputs(root, {"t": SCHEMA}, {"t": CRAWLS})
    with outputs.open(0) as opened:
        assert opened.written().num_rows == 0
    assert root.files("") == []


def test_wrong_type_is_an_error(tmp_path: Path) -> None:
    wrong = pa.RecordBatch.from_pydict({"doc_id": ["no number"], "word": ["x"]})
    with Outputs(Root(str(tmp_path)), {"t": SCHEMA}, {"t": {1: "t"}}).open(0) as opened, pytest.raises(pa.ArrowInvalid):
        opened.write("t", wrong)
