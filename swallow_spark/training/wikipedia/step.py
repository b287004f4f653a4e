"""Positives of the Wiki task: the articles of some categories of a Wikipedia dump, as training text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.read import read_files
from swallow_spark.corpus.write import Outputs, write
from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.storage import Root
from swallow_spark.training.wikipedia import dump as wikipedia
from swallow_spark.training.wikipedia import tasks as stage

_HEAD_BYTES = 1 << 16  # of an SQL dump: they hold the table's columns
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Dump:
    """The files with articles and categories: pages-articles and categorylinks (and linktarget, if categorylinks has
    ids instead of titles), or one Parquet file of articles (text, title, categories)."""

    pages: Path
    categorylinks: Path | None
    linktarget: Path | None


def read_categories(path: Path) -> list[str]:
    """The titles in a list, one per line, with or without the namespace's prefix. Raises InputError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from None
    titles = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for prefix in ("Category:", "カテゴリ:"):
        titles = [title.removeprefix(prefix) for title in titles]
    if not titles:
        raise InputError(f"{path}: the list has no category")
    return [wikipedia.as_link(title) for title in titles]


def check(dump: Dump) -> None:
    """Raises InputError for missing files, UsageError for files that don't belong together."""
    for path in (dump.pages, dump.categorylinks, dump.linktarget):
        if path and not path.is_file():
            raise InputError(f"{path}: no such file")
    if dump.pages.suffix == ".parquet":
        if dump.categorylinks or dump.linktarget:
            raise UsageError("--pages FILE.parquet has its own categories: leave out --categorylinks and --linktarget")
    elif not dump.categorylinks:
        raise UsageError("--categorylinks FILE is needed with an XML dump")
    elif "cl_to" not in _columns(dump.categorylinks) and not dump.linktarget:
        raise UsageError(f"--linktarget FILE is needed: {dump.categorylinks} has ids of categories, no titles")


def write_positives(
    spark: SparkSession, dump: Dump, categories: Sequence[str], depth: int, min_chars: int, root: Root
) -> dict[str, int]:
    """Writes the articles as Parquet files into `root`, which must be empty; returns the numbers of `categories` and
    `articles`."""
    roots = spark.createDataFrame(pa.table({"title": pa.array(categories, pa.string())}))
    if dump.pages.suffix == ".parquet":
        found, number = _from_parquet(spark, dump.pages, roots), len(set(categories))
    else:
        found, number = _from_dump(spark, dump, roots, depth, root)
    outputs = Outputs(root, {stage.TABLE: stage.POSITIVES}, {stage.TABLE: {0: "."}})
    written = stage.write_articles(found, min_chars, outputs).collect()
    root.delete(_UNFINISHED)
    listed = {row["path"].removeprefix("./") for row in written}
    for path in root.files(""):
        if path.removeprefix("./") not in listed:  # written by a failed attempt
            root.delete(path)
    return {"categories": number, "articles": sum(row["rows"] for row in written)}


def _from_parquet(spark: SparkSession, path: Path, roots: DataFrame) -> DataFrame:
    articles = spark.read.parquet(_spark_path(path))
    if missing := {"text", "title", "categories"} - set(articles.columns):
        raise InputError(f"{path}: no column {', '.join(sorted(missing))}")
    page_id = F.col("page_id").cast("long") if "page_id" in articles.columns else F.xxhash64("title")
    named = articles.select(page_id.alias("page_id"), "title", F.lit("").alias("wikitext"), "text", "categories")
    each = named.select("page_id", F.explode("categories").alias("title"))
    wanted = each.withColumn("title", F.translate("title", " ", "_")).join(F.broadcast(roots), "title", "left_semi")
    return named.join(F.broadcast(wanted.select("page_id").distinct()), "page_id", "left_semi")


def _from_dump(spark: SparkSession, dump: Dump, roots: DataFrame, depth: int, root: Root) -> tuple[DataFrame, int]:
    """The articles, and the number of their categories. Frames that are used more than once are written below
    `root`."""
    assert dump.categorylinks

    def keep(found: DataFrame, schema: pa.Schema) -> DataFrame:
        outputs = Outputs(root, {"kept": schema}, {"kept": {0: f"{_UNFINISHED}/{uuid4().hex[:12]}"}})
        return read_files(spark, root, [row["path"] for row in write(found, "kept", outputs)], schema)

    elements = spark.read.text(_spark_path(dump.pages), lineSep="</page>")
    columns = _columns(dump.categorylinks)
    target = "cl_to" if "cl_to" in columns else "cl_target_id"
    lines = spark.read.text(_spark_path(dump.categorylinks))
    links = stage.links(lines, columns, ["cl_from", target, "cl_type"])
    links = links.toDF("page_id", "category", "type").withColumn("page_id", F.col("page_id").cast("long"))
    if target != "cl_to":
        assert dump.linktarget
        lines = spark.read.text(_spark_path(dump.linktarget))
        targets = stage.links(lines, _columns(dump.linktarget), ["lt_id", "lt_namespace", "lt_title"])
        targets = targets.where(F.col("lt_namespace") == str(wikipedia.CATEGORY)).select("lt_id", "lt_title")
        links = links.join(targets, F.col("category") == F.col("lt_id"))
        links = links.select("page_id", F.col("lt_title").alias("category"), "type")
    below = roots
    if depth:
        categories = stage.pages(stage.in_namespace(elements, wikipedia.CATEGORY), with_text=False)
        below = keep(stage.subcategories(links, categories.select("page_id", "title")), stage.SUBCATEGORIES)
    wanted = stage.below(roots, below, depth, keep)
    articles = stage.in_namespace(elements, wikipedia.ARTICLE)
    chosen = articles.join(F.broadcast(stage.members(links, wanted)), "page_id", "left_semi")
    found = stage.pages(chosen, with_text=True).where(~F.col("redirect"))
    return found.withColumn("text", F.lit("")), wanted.count()


def _spark_path(path: Path) -> str:
    directory = Root(str(path.parent))
    if not directory.spark_reads:
        raise InputError(f"{path}: Spark can't read below a directory with a colon and one of \\{{}}[]*? in its name")
    return directory.spark_path(path.name)


def _columns(path: Path) -> list[str]:
    try:
        with pa.input_stream(str(path)) as stream:  # .gz and .bz2 are decompressed
            found = wikipedia.columns(stream.read(_HEAD_BYTES))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't be read: {error}") from None
    if not found:
        raise InputError(f"{path}: not an SQL dump of a table")
    return found
