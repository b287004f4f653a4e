"""The data source `commoncrawl-index`, and which of its rows are Japanese pages."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawls import CRAWL, Crawl, crawl_of, parquet
from misbehaving import Web, good, serving
from places import DEMO_WARCS
from pyspark.sql import SparkSession
from pyspark.sql.datasource import EqualTo, GreaterThan, In, IsNotNull, StringContains
from pyspark.sql.pandas.types import from_arrow_schema
from runs import new_run, settings

from swallow_spark.errors import InputError, SwallowSparkError
from swallow_spark.stages.ingest import by_index
from swallow_spark.stages.ingest.index import SCHEMA, CommonCrawlIndex, Selection, japanese, read_index

DEMO = DEMO_WARCS[:2]


@pytest.fixture(scope="module")
def crawl() -> Crawl:
    return crawl_of(DEMO)


def rows(location: str, columns: list[str] | None = None, *filters: Any, **options: str) -> list[dict[str, Any]]:
    schema = pa.schema([SCHEMA.field(name) for name in columns or SCHEMA.names])
    source = CommonCrawlIndex({"path": location, **options})
    reader = source.reader(from_arrow_schema(schema))
    assert list(reader.pushFilters(list(filters))) == [f for f in filters if isinstance(f, GreaterThan)]
    return [row for part in reader.partitions() for batch in reader.read(part) for row in batch.to_pylist()]


def expected(crawl: Crawl) -> list[dict[str, Any]]:
    ordered = crawl.captures[::2] + crawl.captures[1::2]
    return [{name: row[name] for name in SCHEMA.names} for row in ordered]


def test_all_ways_to_name_an_index(crawl: Crawl, tmp_path: Path) -> None:
    crawl.write(tmp_path)
    index = tmp_path / f"cc-index/table/cc-main/warc/crawl={CRAWL}"
    for location in (str(index), index.as_uri(), f"{index}/subset=warc/*.parquet", f"{index}/subset=w*/*"):
        assert rows(location) == expected(crawl), location
    assert rows(f"cc:{CRAWL}", base_url=str(tmp_path)) == expected(crawl)
    (tmp_path / "index.txt").write_text(f"{index}/subset=warc/part-1.gz.parquet\n")
    assert rows(str(tmp_path / "index.txt")) == expected(crawl)[len(crawl.captures[::2]) :]


def test_over_http_only_what_is_needed_is_read(crawl: Crawl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    url = f"/cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-0.gz.parquet"
    with serving(Web(files=crawl.served())) as web:
        assert rows(f"cc:{CRAWL}", base_url=web.url) == expected(crawl)
        web.orders[url] = [good(cut=5), good(), good(cut=3)]
        assert rows(f"{web.url}{url}", ["warc_record_offset"]) == [
            {"warc_record_offset": row["warc_record_offset"]} for row in crawl.captures[::2]
        ]
        assert all(asked is None or asked.startswith("bytes=") for asked in web.ranges(url))


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ([EqualTo(("fetch_status",), 200)], lambda row: row["fetch_status"] == 200),
        ([EqualTo(("fetch_status",), 404)], lambda row: row["fetch_status"] == 404),
        ([StringContains(("content_languages",), "jpn")], lambda row: "jpn" in (row["content_languages"] or "")),
        ([IsNotNull(("content_languages",))], lambda row: row["content_languages"] is not None),
        (
            [In(("content_mime_detected",), ("text/plain", None)), GreaterThan(("fetch_status",), 1)],
            lambda row: row["content_mime_detected"] == "text/plain",
        ),
        (
            [StringContains(("content_languages",), "eng"), EqualTo(("fetch_status",), 200)],
            lambda row: "eng" in (row["content_languages"] or "") and row["fetch_status"] == 200,
        ),
    ],
)
def test_filters(crawl: Crawl, tmp_path: Path, filters: list[Any], holds: Any) -> None:
    crawl.write(tmp_path)
    found = rows(f"cc:{CRAWL}", ["url", "warc_record_offset"], *filters, base_url=str(tmp_path))
    assert found == [
        {name: row[name] for name in ("url", "warc_record_offset")} for row in expected(crawl) if holds(row)
    ]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.binary(), pa.string_view(), "dictionary"], ids=str)
def test_other_types_of_the_same_columns(crawl: Crawl, tmp_path: Path, kind: Any) -> None:
    """As other programs write an index that they have filtered."""
    table = pa.Table.from_pylist(crawl.captures)
    for at, name in enumerate(table.column_names):
        strings = pa.types.is_string(table[name].type)
        if strings or name == "fetch_status":
            as_kind = (
                table[name].dictionary_encode() if kind == "dictionary" else table[name].cast(kind) if strings else None
            )
            table = table.set_column(at, name, as_kind if as_kind is not None else table[name])
    pq.write_table(table, tmp_path / "x.parquet")
    filters = [
        EqualTo(("fetch_status",), 200),
        StringContains(("content_languages",), "jpn"),
        In(("content_mime_detected",), ("text/html",)),
        IsNotNull(("warc_filename",)),
    ]
    found = rows(str(tmp_path / "x.parquet"), None, *filters)
    assert found
    assert found == [
        {name: row[name] for name in SCHEMA.names}
        for row in crawl.captures
        if row["fetch_status"] == 200
        and "jpn" in (row["content_languages"] or "")
        and row["content_mime_detected"] == "text/html"
    ]


def test_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no path"):
        rows("")
    with pytest.raises(InputError, match="no Parquet file of an index"):
        rows(str(tmp_path))
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="no column content_languages, content_mime_detected"):
        rows(str(tmp_path / "x.parquet"))
    for name in ("none.parquet", "none"):
        with pytest.raises(InputError, match=f"{name}: "):
            rows(str(tmp_path / name))


URLS = {
    "http://www.u.ac.jp/a": 0,
    "https://user@WWW.U.AC.JP:8080/blog/b?x": 1,
    "https://ac.jp/": 2,
    "https://evil.example/www.u.ac.jp/": 3,
    "https://u.ac.jp.example/": 4,
    "https://xac.jp/blog/": 5,
    "https://u.ac.jp?x=/blog/": 6,
    "not a url": 7,
    "https://ünicode.jp/\n/blog/z": 8,
}


@pytest.mark.parametrize(
    ("hosts", "urls", "expected"),
    [
        ((), (), [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (("*.ac.jp",), (), [0, 1, 6]),
        (("*.AC.jp", "ac.jp"), (), [0, 1, 2, 6]),
        (("u.ac.jp.example",), (), [4]),
        ((), ("https://*/blog/*",), [1, 5, 6, 8]),
        (("*.ac.jp",), ("*/blog/*", "*/a"), [0, 1, 6]),
        (("*.+",), (), []),
    ],
)
def test_japanese_pages_of_hosts_and_urls(
    spark: SparkSession, tmp_path: Path, hosts: Any, urls: Any, expected: list[int]
) -> None:
    good_row = {"fetch_status": 200, "content_mime_detected": "text/html", "content_languages": "eng,jpn"}
    place = {"warc_filename": "f", "warc_record_length": 9}
    captures = [{**good_row, **place, "url": url, "warc_record_offset": n} for url, n in URLS.items()]
    first = {**captures[0], "warc_record_offset": 100}
    captures += [
        {**first, "fetch_status": 404},
        {**first, "content_mime_detected": "application/pdf"},
        {**first, "content_languages": "eng,zho"},
        {**first, "content_languages": None},
        {**first, "fetch_status": None},
        {**first, "warc_record_offset": -1},
        {**first, "warc_record_length": 0},
    ]
    (tmp_path / "x.parquet").write_bytes(parquet(captures))
    found = japanese(read_index(spark, str(tmp_path)), Selection(str(tmp_path), hosts, urls))
    assert sorted(row.warc_record_offset for row in found.collect()) == expected
    assert pq.ParquetFile(io.BytesIO(parquet(captures))).num_row_groups > 1


@pytest.mark.parametrize("fails", [False, True])
def test_the_session_is_as_it_was_after_a_selection(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    setting = "spark.sql.python.filterPushdown.enabled"
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "x.parquet").write_bytes(parquet([]))
    (tmp_path / "a.warc.gz").write_bytes(b"")
    run = new_run(spark, tmp_path / "corpus", [tmp_path / "a.warc.gz"])
    seen = []

    def write(*_: object) -> list[dict[str, Any]]:
        seen.append(spark.conf.get(setting))
        if fails:
            raise InputError("broken")
        return []

    monkeypatch.setattr(by_index, "write", write)
    with settings(spark, {setting: "false"}):
        with pytest.raises(SwallowSparkError, match="broken" if fails else "no record of any file"):
            by_index.selected(run, "c", 1, Selection(str(tmp_path / "index")))
        assert (seen, spark.conf.get(setting)) == (["true"], "false")
