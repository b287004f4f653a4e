"""Positives out of a small dump in the format of Wikimedia's."""

import bz2
import gzip
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.storage import Root
from swallow_spark.training.examples import WIKI, read_examples
from swallow_spark.training.wikipedia import tasks as stage
from swallow_spark.training.wikipedia.step import Dump, check, read_categories, write_positives

PAGES = [  # id, namespace, title, redirect, categories
    (1, 0, "物理学", False, ["物理学"]),
    (2, 0, "力学", False, ["力学", "物理学"]),
    (3, 0, "量子 力学", False, ["量子力学"]),
    (4, 0, "野球", False, ["球技"]),
    (5, 0, "りきがく", True, ["物理学"]),
    (6, 1, "ノート:物理学", False, ["物理学"]),
    (7, 0, "短い", False, ["物理学"]),
    (11, 14, "Category:物理学", False, ["自然科学"]),
    (12, 14, "Category:力学", False, ["物理学"]),
    (13, 14, "Category:量子力学", False, ["力学"]),
    (14, 14, "Category:球技", False, ["スポーツ"]),
]
OLD = ["cl_from", "cl_to", "cl_sortkey", "cl_type"]
NEW = ["cl_from", "cl_sortkey", "cl_type", "cl_target_id"]


def text(title: str) -> str:
    return "短い。" if title == "短い" else f"'''{title}'''は[[学問]]の'''一分野'''である。" * 20


def create(table: str, columns: list[str]) -> bytes:
    lines = ",\n".join(f"  `{name}` varbinary(255) NOT NULL DEFAULT ''" for name in columns)
    return (
        f"-- MariaDB dump\nCREATE TABLE `{table}` (\n{lines},\n  KEY `x` (`{columns[0]}`)\n) ENGINE=InnoDB;\n".encode()
    )


def write_dump(directory: Path, new: bool) -> Dump:
    elements = "".join(
        f"  <page>\n    <title>{title}</title>\n    <ns>{ns}</ns>\n    <id>{number}</id>\n"
        + ('    <redirect title="力学" />\n' if redirect else "")
        + f"    <revision>\n      <id>9{number}</id>\n      <text>{text(title)}</text>\n    </revision>\n"
        + ("    <upload>&none;</upload>\n" if title == "野球" else "")  # no XML: nobody wants it, so nobody parses it
        + "  </page>\n"
        for number, ns, title, redirect, _ in PAGES
    )
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="ja">\n  <siteinfo></siteinfo>\n'
    pages = directory / "jawiki-pages-articles.xml.bz2"
    pages.write_bytes(bz2.compress(f"{head}{elements}</mediawiki>\n".encode()))
    kinds = {0: b"page", 1: b"page", 14: b"subcat"}
    titles = sorted({category for *_, categories in PAGES for category in categories})
    values = []
    for number, ns, _, _, categories in PAGES:
        for category in categories:
            cells = {
                "cl_from": b"%d" % number,
                "cl_to": b"'%s'" % category.encode(),
                "cl_sortkey": b"'\xe5\xff\\'),(9'",  # a sort key is no text
                "cl_type": b"'%s'" % kinds[ns],
                "cl_target_id": b"%d" % titles.index(category),
            }
            values.append(b"(%s)" % b",".join(cells[name] for name in (NEW if new else OLD)))
    half = len(values) // 2
    inserts = b"".join(
        b"INSERT INTO `categorylinks` VALUES %s;\n" % b",".join(v) for v in (values[:half], values[half:])
    )
    links = directory / "jawiki-categorylinks.sql.gz"
    links.write_bytes(gzip.compress(create("categorylinks", NEW if new else OLD) + inserts))
    if not new:
        return Dump(pages, links, None)
    targets = directory / "jawiki-linktarget.sql.gz"
    rows = b",".join(b"(%d,14,'%s'),(9%d,0,'%s')" % (i, t.encode(), i, t.encode()) for i, t in enumerate(titles))
    insert = b"INSERT INTO `linktarget` VALUES %s;\n" % rows
    targets.write_bytes(gzip.compress(create("linktarget", ["lt_id", "lt_namespace", "lt_title"]) + insert))
    return Dump(pages, links, targets)


@pytest.mark.parametrize(("new", "depth"), [(False, 0), (True, 0), (False, 1), (True, 2)])
def test_articles_of_categories_and_those_below(new: bool, depth: int, spark: SparkSession, tmp_path: Path) -> None:
    dump = write_dump(tmp_path, new)
    check(dump)
    output = tmp_path / "positives"
    done = write_positives(spark, dump, ["物理学"], depth, 100, Root(str(output)))
    expected = [["物理学", "力学"], ["物理学", "力学"], ["物理学", "力学", "量子 力学"]][depth]
    assert done == {"categories": 1 + depth, "articles": len(expected)}
    found = {row["source"]: row for row in pq.read_table(output).to_pylist()}
    assert set(found) == {f"Wikipedia: {title}" for title in expected}
    row = found["Wikipedia: 力学"]
    assert row["text"] == "力学\n" + "力学は学問の一分野である。" * 20
    assert (row["doc_id"], row["license"], row["label"]) == (2, "CC-BY-SA-4.0", "positive")
    assert len(read_examples(WIKI, [output])) == len(expected)
    assert [path for path in output.iterdir() if path.suffix != ".parquet"] == []


def test_pieces_of_a_dump_that_are_read_by_several_tasks(spark: SparkSession, tmp_path: Path) -> None:
    """Blocks of bzip2 are read side by side; where one ends, no page is lost or read twice."""
    pages = "".join(
        f"<page><title>{i}</title><ns>{14 * (i % 2)}</ns><id>{i}</id><revision><id>{i + 1}</id>"
        f"<text>{text}&lt;ns&gt;14&lt;/ns&gt;</text></revision></page>\n"
        for i, text in enumerate(random.Random(i).randbytes(2000).hex() for i in range(400))
    )
    (tmp_path / "dump.xml.bz2").write_bytes(bz2.compress(f"<mediawiki><siteinfo/>{pages}</mediawiki>".encode(), 1))
    spark.conf.set("spark.sql.files.maxPartitionBytes", "128k")
    try:
        elements = spark.read.text(str(tmp_path / "dump.xml.bz2"), lineSep="</page>")
        assert elements.rdd.getNumPartitions() > 4
        found = stage.in_namespace(elements, 14).select("page_id").collect()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert sorted(row.page_id for row in found) == list(range(1, 400, 2))


def test_articles_of_a_parquet_file(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        {"title": f"題{i}", "text": f"本文{i}。" * 50, "categories": ["量子 力学", "学"][: i % 3]} for i in range(9)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "articles.parquet")
    dump = Dump(tmp_path / "articles.parquet", None, None)
    check(dump)
    done = write_positives(spark, dump, ["量子_力学"], 0, 1, Root(str(tmp_path / "out")))
    assert done["articles"] == 6
    assert {row["text"] for row in pq.read_table(tmp_path / "out").to_pylist()} == {
        row["text"] for row in rows if row["categories"]
    }


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    dump = write_dump(tmp_path, new=True)
    with pytest.raises(UsageError, match="--linktarget FILE is needed"):
        check(Dump(dump.pages, dump.categorylinks, None))
    with pytest.raises(UsageError, match="--categorylinks FILE is needed"):
        check(Dump(dump.pages, None, None))
    with pytest.raises(InputError, match="not an SQL dump"):
        check(Dump(dump.pages, dump.pages, None))
    with pytest.raises(InputError, match="no such file"):
        check(Dump(tmp_path / "none.xml.bz2", dump.categorylinks, None))
    (tmp_path / "list.txt").write_text("# 見出し\nCategory:物理 学\n\n力学\n")
    assert read_categories(tmp_path / "list.txt") == ["物理_学", "力学"]
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match="no category"):
        read_categories(tmp_path / "list.txt")
