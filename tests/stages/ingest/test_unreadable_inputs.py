"""Inputs that can't be read to their end: nothing of them stays, they are tried again, and a run bears some of them."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from misbehaving import Answer, Request, Web, good, refusing, serving
from runs import Built, MakeRun, table

from swallow_spark.config.ingest import Ingest
from swallow_spark.corpus.corpus import NumberedFile
from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import SwallowSparkError
from swallow_spark.files.inputs import expand
from swallow_spark.stages.ingest.step import _Budget, ingest
from swallow_spark.stages.run import Run
from swallow_spark.tables import unpack_doc_id


@pytest.fixture
def web(slices: list[Path]) -> Iterator[Web]:
    files = {f"/{name}.warc.gz": path.read_bytes() for name, path in zip("abc", slices, strict=True)}
    with serving(Web(files=files, etags=dict.fromkeys(files, '"1"'))) as running:
        yield running


def breaking_off(web: Web, path: str) -> list[Answer]:
    """For each attempt of the task: half of the file, and then the door."""
    return [good(cut=len(web.files[path]) // 2), refusing(403)] * 3


def by_file(rows: list[dict[str, Any]]) -> list[int]:
    numbers = [row["file_no"] if "file_no" in row else unpack_doc_id(row["doc_id"]).file_no for row in rows]
    return [numbers.count(number) for number in range(3)]


def told(run: Run) -> dict[str, int]:
    found: dict[str, int] = summarise(run.corpus, "none", ())["file_failures"]
    return found


def test_files_that_break_off_are_tried_again_whole(web: Web, make_run: MakeRun, built: Built) -> None:
    run = make_run([])
    run.corpus.register("c", expand([f"{web.url}/{name}.warc.gz" for name in "abc"]))
    for path in ("/a.warc.gz", "/c.warc.gz"):
        web.orders[path] = breaking_off(web, path)
    with pytest.raises(SwallowSparkError, match=r"2 of 3 files can't be read, and 1 may .*/a.warc.gz, .*/c.warc.gz;"):
        ingest(run, "c")
    assert web.orders["/a.warc.gz"] == web.orders["/c.warc.gz"] == []
    pages = table(run, "pages", "ingest")
    first, second, third = by_file(pages)
    assert (first, third) == (0, 0)
    assert second > 0
    failures = table(run, "failures", "ingest")
    assert [(row["file_no"], row["scope"], row["reason"]) for row in failures] == [
        (0, "file", "unreadable"),
        (2, "file", "unreadable"),
    ]
    assert all("HTTP status 403" in row["detail"] for row in failures)
    assert by_file(table(run, "ledger", "ingest"))[::2] == [0, 0]
    assert [file.file_no for file in run.corpus.pending("c")] == [0, 2]
    assert told(run) == {"unreadable": 2}

    # The batch of these two begins and ends like the first one, and does not take its place.
    ingest(run, "c")
    assert run.corpus.pending("c") == []
    assert told(run) == told(built.run)
    found = table(run, "pages", "ingest")
    assert [page for page in found if unpack_doc_id(page["doc_id"]).file_no == 1] == pages
    assert by_file(found) == by_file(table(built.run, "pages", "ingest"))
    assert {page["text"] for page in found} == {page["text"] for page in table(built.run, "pages", "ingest")}


def test_a_file_that_has_changed_says_so(web: Web, make_run: MakeRun) -> None:
    found = expand([f"{web.url}/{name}.warc.gz" for name in "ab"])
    run = replace(make_run([]), inputs=found)
    run.corpus.register("c", found)
    web.etags["/a.warc.gz"] = '"2"'
    ingest(run, "c")
    (failure,) = table(run, "failures", "ingest")
    assert (failure["file_no"], failure["reason"]) == (0, "changed")
    assert "has changed: its ETag is" in failure["detail"]
    assert [file.file_no for file in run.corpus.pending("c")] == [0]
    ingest(run, "c")
    assert told(run) == {"changed": 1}
    assert by_file(table(run, "pages", "ingest"))[0] == 0


def test_access_is_used_where_the_call_gives_it_and_stored_nowhere(web: Web, make_run: MakeRun, tmp_path: Path) -> None:
    def locked(request: Request) -> None:
        (good() if "Authorization" in request.headers else refusing(401))(request)

    for path in web.files:
        web.orders[path] = [locked] * 20
    found = expand([web.url.replace("http://", "http://me:secret@") + f"/{name}.warc.gz" for name in "ab"])
    run = make_run([])
    run.corpus.register("c", found)
    with pytest.raises(SwallowSparkError, match=r"none of the files .*: http://\*\*\*@127.*, http://\*\*\*@127"):
        ingest(run, "c")
    ingest(replace(run, inputs=found), "c")
    assert run.corpus.pending("c") == []
    assert all("secret" not in file.path for file in run.corpus.inputs("c"))
    assert all(b"secret" not in path.read_bytes() for path in (tmp_path / "corpus").rglob("*") if path.is_file())


def test_a_task_has_its_share_of_the_rates() -> None:
    access = Ingest(requests_per_second=100, bytes_per_second=1000).access(50)
    assert (access.requests_per_second, access.bytes_per_second) == (2, 20)
    assert Ingest().access(2).bytes_per_second is None


def test_the_budget() -> None:
    files = [NumberedFile(0, "x", -1, "warc")]
    for fraction, number, borne in ((0.0, 100, 0), (0.01, 10, 1), (0.01, 100, 1), (0.05, 100, 5), (1.0, 3, 2)):
        budget = _Budget(fraction, number)
        for _ in range(borne):
            budget.spend(files, {"unreadable"}, "")
        budget.spend([], set(), "")
        told = (
            rf"{borne + 1} of {number} files can't be read, and {borne} may" if borne < 2 or number > 3 else "none of"
        )
        with pytest.raises(SwallowSparkError, match=rf"{told} .*: x(, x)*( and 1 more)?; the same command"):
            budget.spend(files, {"unreadable"}, "")


@pytest.mark.parametrize("fraction", [0.0, 0.01, 1.0])
def test_all_files_are_never_borne(fraction: float) -> None:
    with pytest.raises(SwallowSparkError, match=r"none of the files can be read .*: x;") as raised:
        _Budget(fraction, 1).spend([NumberedFile(0, "x", -1, "warc")], {"unreadable"}, "")
    assert raised.value.exit_status == 1


def test_a_crawl_of_nothing_but_damage_is_an_error_each_time(make_run: MakeRun, tmp_path: Path) -> None:
    page = tmp_path / "page.warc.gz"
    page.write_bytes(b"gone")
    run = make_run([page])
    for _ in range(2):
        with pytest.raises(SwallowSparkError, match=r"not one record .* crawl c \(not_a_warc\): .*/page.warc.gz;"):
            ingest(run, "c")
    assert run.corpus.pending("c") == []


LONG31 = bytes.fromhex("28b52ffd 04a8 090000 78")  # zstd with a window of 2 GiB


@pytest.mark.parametrize(
    ("name", "content", "reason", "said"),
    [
        ("a.jsonl", b"<html>\n" * 300, "not_json", "Expecting value.*one JSON object on a line"),
        ("a.jsonl", b'{"body": "x"}\n', "no_text_column", "a string named `text`"),
        ("a.jsonl.gz", gzip.compress(b"\x28\xb5") + b"junk", "unreadable", "behind the last member"),
        ("a.jsonl.zst", LONG31, "unreadable", "--long=31.*SWALLOW_SPARK_ZSTD_LONG=31"),
    ],
)
def test_text_without_a_usable_row_is_an_error(
    make_run: MakeRun, tmp_path: Path, name: str, content: bytes, reason: str, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    run = make_run([tmp_path / name], text=True)
    for _ in range(2):
        with pytest.raises(
            SwallowSparkError, match=rf"none of the files can be read.*: .*/{name}; .*retries"
        ) as raised:
            ingest(run, "c")
        assert raised.value.exit_status == 1
    assert told(run) == {reason: 1}
    assert len(run.corpus.pending("c")) == 1


def test_text_without_a_usable_row_costs_itself_alone(make_run: MakeRun, tmp_path: Path) -> None:
    good = b'{"text": "\xe4\xb8\x80"}\n'
    for name, content in (("a", b"no\n"), ("b", good), ("c", good + b"no\n"), ("d", b""), ("e", b'{"text": ""}')):
        (tmp_path / f"{name}.jsonl").write_bytes(content)
    run = make_run(sorted(tmp_path.glob("*.jsonl")), text=True)
    ingest(run, "c")
    assert told(run) == {"not_json": 1}
    assert [row["num_records"] for row in table(run, "ledger", "ingest")] == [1, 1, 1, 1]
    failures = [(row["file_no"], row["scope"], row["reason"]) for row in table(run, "failures", "ingest")]
    assert failures == [(0, "file", "not_json"), (2, "record", "not_json")]
    assert [file.file_no for file in run.corpus.pending("c")] == [0]


def test_empty_text_files_are_an_error(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n")
    run = make_run([tmp_path / "a.jsonl"], text=True)
    with pytest.raises(SwallowSparkError, match=r"not one record .* \(no rows\)"):
        ingest(run, "c")


def test_damaged_text_keeps_its_rows(make_run: MakeRun, tmp_path: Path) -> None:
    lines = "".join(f'{{"text": "{number}行目の文です。"}}\n' for number in range(300)).encode()
    for name, content in (("a", gzip.compress(lines) + b"junk"), ("b", gzip.compress(lines) + bytes(999))):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(content)
    run = make_run(sorted(tmp_path.glob("*.jsonl.gz")), text=True)
    ingest(run, "c")
    assert by_file(table(run, "pages", "ingest"))[:2] == [300, 300]
    (failure,) = table(run, "failures", "ingest")
    assert (failure["file_no"], failure["scope"], failure["reason"]) == (0, "file", "unreadable")
    assert "behind the last member" in failure["detail"]
