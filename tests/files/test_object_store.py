"""Locations on an object store: a corpus root, inputs and their ranges; and a store that wants to be left alone."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawls import CRAWL, crawl_of
from misbehaving import Web, refusing, serving
from object_store import ObjectStore, object_store
from places import DEMO_WARCS

from swallow_spark.corpus.write import Outputs
from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files import storage
from swallow_spark.files.http import HttpClient, Version
from swallow_spark.files.inputs import Places, expand
from swallow_spark.files.ranges import Ranges
from swallow_spark.files.storage import Root, fetch, open_input, version_of
from swallow_spark.stages.ingest.index import CommonCrawlIndex
from swallow_spark.tables import LEDGER

DEMO = DEMO_WARCS[:1]
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store("store") as running:
        yield running
    storage._bucket.cache_clear()


def test_a_root(store: ObjectStore) -> None:
    root = Root("s3://store/あ b/corpus")
    assert not root.exists("x")
    assert root.files("") == []
    root.make_directory("")
    root.write_atomically("a/one.json", b"1")
    root.write_atomically("a/one.json", b"22")
    assert (root.read_bytes("a/one.json"), root.size("a/one.json")) == (b"22", 2)
    assert root.create_exclusively("lock", b"mine")
    assert not root.create_exclusively("lock", b"yours")
    root.move("lock", "aside")
    assert root.files("") == ["a/one.json", "aside"]
    assert root.directories("") == ["a"]
    assert root.listing() == ({"a/one.json": 2, "aside": 4}, ["a"])
    with pytest.raises(FileNotFoundError):  # by which a manifest that isn't there is told
        root.read_bytes("a/two.json")
    root.delete("a")
    root.delete("nothing")
    assert root.files("") == ["aside"]
    assert "あ b/corpus/aside".encode() in "\n".join(store.objects("store")).encode()
    assert not root.is_local
    assert not root.spark_reads


def test_tables_are_written_and_copied(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root("s3://store/tables")
    rows = pa.RecordBatch.from_pylist([{"file_no": 1, "outcome": "page", "num_records": 2}], LEDGER)
    with Outputs(root, {"ledger": LEDGER}, {"ledger": {1: "ledger/crawl=c/u"}}).open(0) as opened:
        opened.write("ledger", rows)
        (written,) = opened.written().to_pylist()
    assert root.size(written["path"]) == written["bytes"]
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    copy = root.local_copy(written["path"])
    assert pq.read_table(copy).to_pylist() == rows.to_pylist()
    assert root.local_copy(written["path"]) == copy
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a").write_bytes(b"a")
    root.upload(tmp_path / "up", "b/up")
    root.upload(tmp_path / "up" / "a", "b/c")
    assert (root.local_copy("b/up") / "a").read_bytes() == root.local_copy("b/c").read_bytes() == b"a"


def test_copies_of_what_is_gone_go_with_the_next(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    root = Root("s3://store/copies")
    for path in ("lookups/old/piece/doc_id.npy", "lookups/now/piece/doc_id.npy", "lookups/file", "models/m"):
        root.write_atomically(path, path.encode())
    old, now, file, model = (
        root.local_copy(p) for p in ("lookups/old/piece", "lookups/now/piece", "lookups/file", "models/m")
    )
    with (old / "doc_id.npy").open("rb") as opened:
        for path in ("lookups/old", "lookups/file", "models/m"):
            root.delete(path)
        root.write_atomically("lookups/next/piece/doc_id.npy", b"next")
        assert (root.local_copy("lookups/next/piece") / "doc_id.npy").read_bytes() == b"next"
        assert [path.exists() for path in (old, now, file, model)] == [False, True, False, True]
        assert opened.read() == b"lookups/old/piece/doc_id.npy", "who has it open keeps it"


def test_inputs_and_ranges(store: ObjectStore) -> None:
    content = random.Random(1).randbytes(100_000)
    store.put("store", "in/x", content)
    found = version_of("s3://store/in/x")
    assert found.bytes == len(content)
    with open_input("s3://store/in/x", expected=found) as stream:
        assert stream.read() == content
    ranges = Ranges("s3://store/in/x", web=HttpClient(), expected=Version())
    assert ranges.read(5, 10) == content[5:10]
    assert ranges.read(99_990, 100_500) == content[-10:]
    store.put("store", "in/x", content[::-1])
    with pytest.raises(ChangedError, match="ETag"):
        open_input("s3://store/in/x", expected=found)
    with pytest.raises(ChangedError, match="ETag"):
        Ranges("s3://store/in/x", web=HttpClient(), expected=found)
    with pytest.raises(InputError, match="can't be read"):
        fetch("s3://store/in/none")
    with pytest.raises(InputError, match="can't be read"):
        fetch("s3://no-such-bucket/in/none")


def test_a_crawl_in_a_bucket(store: ObjectStore) -> None:
    crawl = crawl_of(DEMO)
    for name, content in crawl.files.items():
        store.put("store", f"cc/{name}", content)
    found = expand([f"cc:{CRAWL}"], Places("s3://store/cc"))
    assert [(file.key, file.line) for file in found] == [(line, n) for n, line in enumerate(crawl.lines)]
    assert fetch(found[0].path) == DEMO[0].read_bytes()
    for options in (
        {"path": f"cc:{CRAWL}", "base_url": "s3://store/cc"},
        {"path": f"s3://store/cc/cc-index/table/cc-main/warc/crawl={CRAWL}"},
    ):
        source = CommonCrawlIndex(options)
        reader = source.reader(source.schema())
        read = [row for part in reader.partitions() for batch in reader.read(part) for row in batch.to_pylist()]
        assert sorted(row["warc_record_offset"] for row in read) == [c["warc_record_offset"] for c in crawl.captures]


def test_a_store_that_wants_to_be_left_alone_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"0123456789" * 1000
    with serving(Web(files={"/bkt/x": content}, etags={"/bkt/x": '"e"'})) as web:
        address = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_ENDPOINT_URL": web.url}
        with mock.patch.dict(os.environ, {**address, "AWS_EC2_METADATA_DISABLED": "true"}):
            storage._bucket.cache_clear()
            ranges = Ranges("s3://bkt/x", web=HttpClient(), expected=Version())
            web.orders["/bkt/x"] = [refusing(503, SLOW_DOWN, Content_Type="application/xml") for _ in range(2)]
            assert ranges.read(5, 10) == b"56789"
            assert len(web.ranges("/bkt/x")) >= 3
    storage._bucket.cache_clear()
