"""Which files an index is of, however they are named."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawls import CRAWL, Crawl, crawl_of
from places import DEMO_WARCS
from runs import MakeRun, table

from swallow_spark.errors import SwallowSparkError
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.ingest.step import ingest

INDEX = f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-0.gz.parquet"


@pytest.fixture(scope="module")
def crawl() -> Crawl:
    return crawl_of(DEMO_WARCS[:2])


def test_local_files_are_those_of_the_index_from_crawl_data_on(crawl: Crawl, make_run: MakeRun, tmp_path: Path) -> None:
    directory = tmp_path / "crawl-data/copy"
    crawl.write(directory)
    run = make_run([directory / line for line in crawl.lines if line in crawl.files])
    ingest(run, "c", Selection(str(directory / INDEX)))
    rows = pq.read_table(directory / INDEX).to_pylist()
    wanted = [
        row
        for row in rows
        if "jpn" in (row["content_languages"] or "")
        and (row["content_mime_detected"], row["fetch_status"]) == ("text/html", 200)
    ]
    outcomes = [row["num_records"] for row in table(run, "ledger", "ingest")]
    assert sum(outcomes) == len(wanted) > 5
    assert len(table(run, "pages", "ingest")) > 5


def test_an_index_that_fits_no_file_is_an_error_each_time(crawl: Crawl, make_run: MakeRun, tmp_path: Path) -> None:
    crawl.write(tmp_path)
    other = tmp_path / "other.warc.gz"
    other.write_bytes(crawl.files[crawl.lines[0]])
    run = make_run([other])
    for _ in range(2):
        with pytest.raises(SwallowSparkError, match=rf"no record of any file .*{crawl.lines[0]}.*other.warc.gz") as e:
            ingest(run, "c", Selection(str(tmp_path / INDEX)))
        assert e.value.exit_status == 1
    assert len(run.corpus.pending("c")) == 1


def test_an_index_without_japanese_pages_of_a_file_is_none(crawl: Crawl, make_run: MakeRun, tmp_path: Path) -> None:
    crawl.write(tmp_path)
    rows = pq.read_table(tmp_path / INDEX)
    at = rows.column_names.index("content_languages")
    pq.write_table(rows.set_column(at, "content_languages", pa.array(["eng"] * len(rows))), tmp_path / "eng.parquet")
    run = make_run([tmp_path / crawl.lines[0]])
    ingest(run, "c", Selection(str(tmp_path / "eng.parquet")))
    assert run.corpus.pending("c") == []
    assert table(run, "pages", "ingest") == []
