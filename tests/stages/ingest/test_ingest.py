"""Ingest and import, step by step: numbers, the ledger's sums, and what damage costs."""

import gzip
import json
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import MakeRun, table
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from swallow_spark.config.access import Access
from swallow_spark.corpus.corpus import NumberedFile
from swallow_spark.errors import LedgerError, SwallowSparkError
from swallow_spark.files.http import HttpClient
from swallow_spark.kernels.html.page import Limits
from swallow_spark.stages.ingest import step
from swallow_spark.stages.ingest import tasks as stage
from swallow_spark.stages.ingest.step import ingest
from swallow_spark.tables import pack_doc_id, unpack_doc_id

JAPANESE = (
    "<html lang=ja><title>題{n}</title><body><p>" + "これは{n}番目の日本語のページです。" * 20 + "</p></body></html>"
)
ENGLISH = (
    "<html lang=en><title>{n}</title><body><p>" + "This is a page in English, number {n}. " * 20 + "</p></body></html>"
)


def write_warc(path: Path, kinds: str, compressed: bool = True) -> None:
    """A WARC with a warcinfo record and one response for each letter: j(apanese), e(nglish), n(ot found), i(mage)."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=compressed)
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "test"}))
        for n, kind in enumerate(kinds):
            html = (JAPANESE if kind == "j" else ENGLISH).format(n=n)
            status = StatusAndHeaders(
                "404 Not Found" if kind == "n" else "200 OK",
                [("Content-Type", "image/png" if kind == "i" else "text/html; charset=utf-8")],
                protocol="HTTP/1.1",
            )
            url = f"http://{path.name[0]}.example/{n}"
            writer.write_record(writer.create_warc_record(url, "response", BytesIO(html.encode()), http_headers=status))


def offsets(path: Path) -> dict[str, int]:
    """URL -> offset of the record, by warcio."""
    with path.open("rb") as stream:
        records = ArchiveIterator(stream)
        found = {}
        for record in records:
            record.content_stream().read()
            found[record.rec_headers.get_header("WARC-Target-URI")] = records.get_record_offset()
        return found


def outcomes(rows: list[dict[str, Any]]) -> dict[int, Counter[str]]:
    found: dict[int, Counter[str]] = {}
    for row in rows:
        found.setdefault(row["file_no"], Counter())[row["outcome"]] += row["num_records"]
    return found


def test_records_are_accounted_for_file_by_file(tmp_path: Path, make_run: MakeRun) -> None:
    kinds = {"a": "jejnij", "b": "eeee", "c": "jjj", "d": ""}
    files = [tmp_path / f"{name}.warc.gz" for name in kinds]
    for path, letters in zip(files, kinds.values(), strict=True):
        write_warc(path, letters)
    write_warc(tmp_path / "e.warc", "jj", compressed=False)
    cut = files[2].read_bytes()
    files[2].write_bytes(cut[:-40])  # the last of its three pages
    run = make_run([*files, tmp_path / "e.warc"], overrides=["execution.files_per_batch=2"])
    ingest(run, "c")

    pages, ledger, failures = (table(run, name, "ingest") for name in ("pages", "ledger", "failures"))
    by_file = outcomes(ledger)
    assert by_file[0]["page"] == 3
    assert sum(by_file[0].values()) == 7
    assert by_file[1] == {"passed_over:not_a_response": 1, "passed_over:no_sign_of_japanese": 4}
    assert by_file[2] == {"page": 2, "passed_over:not_a_response": 1, "failure:truncated": 1}
    assert by_file[3] == {"passed_over:not_a_response": 1}
    assert by_file[4]["page"] == 2
    assert Counter(unpack_doc_id(page["doc_id"]).file_no for page in pages) == {0: 3, 2: 2, 4: 2}
    assert [(row["file_no"], row["scope"], row["reason"]) for row in failures] == [(2, "record", "truncated")]
    assert failures[0]["offset"] > max(unpack_doc_id(p["doc_id"]).offset for p in pages if p["host"] == "c.example")

    for file_no, path in enumerate([*files[:2], tmp_path / "e.warc"]):
        number = 4 if path.suffix == ".warc" else file_no
        where = offsets(path)
        for page in pages:
            if unpack_doc_id(page["doc_id"]).file_no == number:
                assert page["doc_id"] == pack_doc_id(1, number, where[page["url"]])
                assert page["title"] == f"題{page['url'].rpartition('/')[2]}"
    counts = Counter[str]()
    for manifest in run.corpus.manifests("ingest"):
        counts.update(manifest.counts)
    assert counts["records"] == sum(sum(outcome.values()) for outcome in by_file.values()) == 7 + 5 + 4 + 1 + 3
    assert counts["chars"] == sum(page["num_chars"] for page in pages) == sum(len(page["text"]) for page in pages)
    assert [manifest.covers for manifest in run.corpus.manifests("ingest")] == [((0, 1),), ((2, 3),), ((4, 4),)]
    assert run.corpus.pending("c") == []


def test_file_that_is_gone_or_another_one_costs_itself_alone(tmp_path: Path, make_run: MakeRun) -> None:
    files = [tmp_path / "a.warc.gz", tmp_path / "b.warc.gz"]
    for path in files:
        write_warc(path, "j")
    run = make_run(files)
    content = files[0].read_bytes()
    files[0].unlink()
    ingest(run, "c")
    (failure,) = table(run, "failures", "ingest")
    assert (failure["file_no"], failure["offset"], failure["scope"], failure["reason"]) == (0, 0, "file", "unreadable")
    assert str(files[0]) in failure["detail"]
    assert [page["host"] for page in table(run, "pages", "ingest")] == ["b.example"]
    (manifest,) = run.corpus.manifests("ingest")
    assert manifest.counts["file_failure:unreadable"] == 1
    assert not any(name.startswith("not_read") for name in manifest.counts)
    # Nothing of it was read, so it is tried again; then another one is there, which is not the one that was registered.
    assert [file.path for file in run.corpus.pending("c")] == [str(files[0])]
    write_warc(files[0], "jj")
    with pytest.raises(SwallowSparkError, match="none of the files can be read"):
        ingest(run, "c")
    assert sorted(row["reason"] for row in table(run, "failures", "ingest")) == ["changed", "unreadable"]
    assert [page["host"] for page in table(run, "pages", "ingest")] == ["b.example"]
    # Nothing of that was read either; then the first one is back.
    assert [file.path for file in run.corpus.pending("c")] == [str(files[0])]
    files[0].write_bytes(content)
    ingest(run, "c")
    assert sorted(page["host"] for page in table(run, "pages", "ingest")) == ["a.example", "b.example"]
    assert run.corpus.pending("c") == []


def test_no_file_that_can_be_read_fails_the_run(tmp_path: Path, make_run: MakeRun) -> None:
    files = [tmp_path / "a.warc.gz", tmp_path / "b.warc.gz"]
    for path in files:
        write_warc(path, "j")
    run = make_run(files)
    for path in files:
        path.unlink()
    with pytest.raises(SwallowSparkError, match="none of the files can be read"):
        ingest(run, "c")
    assert [file.path for file in run.corpus.pending("c")] == [str(path) for path in files]
    assert [row["reason"] for row in table(run, "failures", "ingest")] == ["unreadable", "unreadable"]


def test_an_error_of_writing_is_no_unreadable_input(tmp_path: Path) -> None:
    class Full:
        """Outputs on a disk that is full."""

        def write(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

    write_warc(tmp_path / "a.warc.gz", "j")
    into = stage.Into(1, Limits(), Full(), lambda _files, _pages: None, Access(), None)  # type: ignore[arg-type]
    ingested = stage._Ingested(stage.Source(0, str(tmp_path / "a.warc.gz")), into, Full(), HttpClient())  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left"):
        ingested.read()


def test_a_file_that_has_outgrown_its_numbers_stops_the_run() -> None:
    source = stage.Source(3, "big.warc", last_file_no=4)
    into = stage.Into(1, Limits(), None, lambda _files, _pages: None, Access(), None)  # type: ignore[arg-type]
    ingested = stage._Ingested(source, into, None, HttpClient())  # type: ignore[arg-type]
    assert ingested._file_no((1 << 32) + 5) == 4
    with pytest.raises(SwallowSparkError, match="larger than when it was registered"):
        ingested._file_no(2 << 32)


def test_import(tmp_path: Path, make_run: MakeRun) -> None:
    texts = {name: f"{name}の本文です。" for name in "abcdef"}
    lines = {name: json.dumps({"text": text, "url": f"http://{name}.example/"}) + "\n" for name, text in texts.items()}
    (tmp_path / "1.jsonl").write_text(lines["a"] + "no json\n" + '{"text": " "}\n' + lines["b"], encoding="utf-8")
    (tmp_path / "2.jsonl.gz").write_bytes(gzip.compress(lines["c"].encode()))
    (tmp_path / "3.jsonl.zst").write_bytes(pa.Codec("zstd").compress(lines["d"].encode(), asbytes=True))
    pq.write_table(pa.table({"text": [texts["e"], None, texts["f"]]}), tmp_path / "4.parquet")
    (tmp_path / "5.parquet").write_bytes(b"PAR1 cut")
    (tmp_path / "6.jsonl.gz").write_bytes(gzip.compress(lines["a"].encode() * 9)[:-20])
    run = make_run(sorted(tmp_path.glob("*.*")), text=True, overrides=["ingest.max_failed_fraction=0.5"])
    ingest(run, "c")

    pages = [page for page in table(run, "pages", "ingest") if unpack_doc_id(page["doc_id"]).file_no != 5]
    where = {unpack_doc_id(page["doc_id"])[1:]: page["text"] for page in pages}
    assert where == {
        (0, 0): texts["a"],
        (0, 3): texts["b"],
        (1, 0): texts["c"],
        (2, 0): texts["d"],
        (3, 0): texts["e"],
        (3, 2): texts["f"],
    }
    assert [page["host"] for page in pages if page["url"]] == [f"{name}.example" for name in "abcd"]
    failures = table(run, "failures", "ingest")
    assert {(row["file_no"], row["offset"], row["scope"], row["reason"]) for row in failures} == {
        (0, 1, "record", "not_json"),
        (3, 1, "record", "no_text_column"),
        (4, 0, "file", "unreadable"),
        (5, 0, "file", "unreadable"),
    }
    by_file = outcomes(table(run, "ledger", "ingest"))
    assert by_file[0] == {"page": 2, "failure:not_json": 1, "passed_over:no_text": 1}
    assert by_file[3] == {"page": 2, "failure:no_text_column": 1}


def test_ledger_that_does_not_add_up_stops_the_run(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_warc(tmp_path / "a.warc.gz", "jej")
    run = make_run([tmp_path / "a.warc.gz"])
    collect = step._check_ledger

    def lose_a_page(unit: Any, written: list[Any]) -> None:
        rows = [dict(row) for row in written]
        for row in rows:
            row["rows"] -= row["table"] == "pages"
        collect(unit, rows)

    monkeypatch.setattr(step, "_check_ledger", lose_a_page)
    with pytest.raises(LedgerError, match="4 records read, but 1 pages"):
        ingest(run, "c")
    assert run.corpus.manifests("ingest") == []


def test_tasks_share_files_by_size() -> None:
    files = [NumberedFile(n, f"{n}", size, "warc") for n, size in enumerate((100, 1, 1, 50, 49, 1, -1, -1))]
    for files_per_task, number in ((32, 2), (2, 4), (1, 8)):
        tasks = step._tasks(files, 1, files_per_task)
        assert len(tasks) == number
        assert sorted(source.file_no for task in tasks for source in task) == list(range(8))
        assert all([s.file_no for s in task] == sorted(s.file_no for s in task) for task in tasks)
    loads = [sum(max(1, files[s.file_no].bytes) for s in task) for task in step._tasks(files, 1, 32)]
    assert abs(loads[0] - loads[1]) <= 5
