"""Inputs in other formats than WARC.gz: read, or named with their format, and an error where they are too many."""

import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest
import zstandard
from misbehaving import Web, serving
from runs import MakeRun, table

from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import SwallowSparkError
from swallow_spark.files.inputs import expand
from swallow_spark.kernels.warc.warc import Record, read
from swallow_spark.report.explain import Explained
from swallow_spark.stages.ingest.step import ingest
from swallow_spark.tables import unpack_doc_id

BORNE = ["ingest.max_failed_fraction=0.5"]


@pytest.fixture(scope="session")
def files(slices: list[Path]) -> dict[str, bytes]:
    """The same pages in all formats that are read."""
    content = slices[0].read_bytes()
    records = [item for item in read(io.BytesIO(content)) if isinstance(item, Record)]
    plain = [gzip.decompress(content[record.offset : record.offset + record.length]) for record in records]
    responses = [record for record in records if record.record_type == "response"]
    lines = [f"{r.url} 192.0.2.1 {r.date:%Y%m%d%H%M%S} text/html {r.block_bytes}\n".encode() for r in responses]
    about = b"filedesc://a.arc 0.0.0.0 20250101000000 text/plain 76\n1 0 x\nURL IP-address Archive-date\n\n"
    arc = [about, *(line + record.block + b"\n" for line, record in zip(lines, responses, strict=True))]
    wacz = io.BytesIO()
    with zipfile.ZipFile(wacz, "w") as target:
        target.writestr("datapackage.json", "{}")
        target.writestr("archive/data.warc.gz", content)
    return {
        "a.warc.gz": content,
        "b.warc.zst": b"".join(map(zstandard.ZstdCompressor().compress, plain)),
        "c.arc": b"".join(arc),
        "d.arc.gz": b"".join(map(gzip.compress, arc)),
        "e.wacz": wacz.getvalue(),
    }


def wet() -> bytes:
    head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n"
    return gzip.compress(head + "文字".encode() + b"\r\n\r\n") * 20


def unread() -> dict[str, bytes]:
    return {"f.warc.xz": lzma.compress(b"x"), "g.warc.wet.gz": wet()}


def write(directory: Path, files: dict[str, bytes]) -> list[Path]:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in files]


def test_each_format_gives_the_same_pages(files: dict[str, bytes], make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(write(tmp_path, files | unread()), overrides=BORNE)
    ingest(run, "c")
    texts: list[list[tuple[str, str, str]]] = [[] for _ in files]
    for page in table(run, "pages", "ingest"):
        texts[unpack_doc_id(page["doc_id"]).file_no].append((page["url"], str(page["date"]), page["text"]))
    assert len(texts[0]) > 1
    assert all(sorted(found) == sorted(texts[0]) for found in texts)

    blocks = {item.url: item.block for item in read(io.BytesIO(files["c.arc"])) if isinstance(item, Record)}
    paths = [file.path for file in run.corpus.inputs("c")]
    for page in table(run, "pages", "ingest"):  # each has an address that leads back to it
        where = unpack_doc_id(page["doc_id"])
        raw = Explained({"url": page["url"]}, paths[where.file_no], where.offset).raw_record()
        assert raw.startswith(b"WARC/1.")
        assert raw.endswith(b"\r\n\r\n" + blocks[page["url"]] + b"\r\n\r\n")

    failures = table(run, "failures", "ingest")
    assert [(row["file_no"], row["scope"], row["reason"]) for row in failures] == [
        (5, "file", "unsupported_format"),
        (6, "file", "unsupported_format"),
    ]
    assert [row["detail"].partition(";")[0] for row in failures] == ["xz", "WET"]
    summary = summarise(run.corpus, "none", ())
    assert summary["file_failures"] == {"unsupported_format": 2}
    names = {Path(path).name: format for path, format in summary["files_not_read"].items()}
    assert names == {"f.warc.xz": "xz", "g.warc.wet.gz": "WET"}
    assert [file.file_no for file in run.corpus.pending("c")] == [5, 6]


def test_too_many_are_refused_before_work(files: dict[str, bytes], make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(write(tmp_path, {"a.warc.gz": files["a.warc.gz"]} | unread()))
    told = r"2 of 3 files can't be read, and 1 may .*: \S+/f.warc.xz \(xz\), \S+/g.warc.wet.gz \(WET\); .*name"
    for _ in range(2):
        with pytest.raises(SwallowSparkError, match=told) as raised:
            ingest(run, "c")
    assert raised.value.exit_status == 1
    assert run.corpus.manifests("ingest") == []


def test_over_http_the_tasks_look(files: dict[str, bytes], make_run: MakeRun) -> None:
    with serving(Web(files={f"/{name}": content for name, content in (files | unread()).items()})) as web:
        run = make_run([])
        run.corpus.register("c", expand([f"{web.url}/e.wacz"]))
        ingest(run, "c")
        assert table(run, "pages", "ingest")
        run.corpus.register("d", expand([f"{web.url}/{name}" for name in unread()]))
        told = r"none of the files can be read: \S+/f.warc.xz \(xz\), \S+/g.warc.wet.gz \(WET\); .*name"
        with pytest.raises(SwallowSparkError, match=told):
            ingest(run, "d")


def test_too_many_files_of_nothing_known(files: dict[str, bytes], make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(write(tmp_path, {"a.warc.gz": files["a.warc.gz"], "b.warc.gz": b"?", "c.warc.gz": b"?"}))
    for _ in range(2):
        with pytest.raises(SwallowSparkError, match=r"2 of 3 files of crawl c are no WARC, and 1 may"):
            ingest(run, "c")
