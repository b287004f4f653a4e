"""Wikipedia: the articles of some categories, as training text."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.tables import TEXTS
from swallow_spark.training.wikipedia import dump as wikipedia

TABLE = "articles"
LICENSE = "CC-BY-SA-4.0"
POSITIVES = TEXTS.append(pa.field("label", pa.string(), nullable=False))
TITLES = pa.schema([("title", pa.string())])
SUBCATEGORIES = pa.schema([("category", pa.string()), ("title", pa.string())])


def in_namespace(elements: DataFrame, namespace: int) -> DataFrame:
    """The pieces (value) of a dump that are pages of a namespace, with their page_id: by a search in the XML without
    parsing, since most pages are not wanted. Markup in texts is escaped, so it can't match."""
    there = elements.where(F.col("value").contains(f"<ns>{namespace}</ns>"))
    return there.select("value", F.regexp_extract("value", r"<id>(\d+)</id>", 1).cast("long").alias("page_id"))


def pages(elements: DataFrame, with_text: bool) -> DataFrame:
    """Pages of a dump (page_id, namespace, title, redirect; wikitext is empty unless `with_text`) from its pieces
    (value)."""
    schema = "page_id long, namespace int, title string, redirect boolean, wikitext string"
    return elements.select("value").mapInArrow(partial(_parse_pages, with_text=with_text), schema)


def _parse_pages(batches: Iterator[pa.RecordBatch], with_text: bool) -> Iterator[pa.RecordBatch]:
    names = ("page_id", "namespace", "title", "redirect", "wikitext")
    types = (pa.int64(), pa.int32(), pa.string(), pa.bool_(), pa.string())
    for batch in batches:
        found = [page for value in batch.column("value").to_pylist() if (page := wikipedia.parse_page(value))]
        values = list(zip(*found, strict=True)) or [()] * len(names)
        if not with_text:
            values[-1] = ("",) * len(found)
        yield pa.RecordBatch.from_arrays([pa.array(v, t) for v, t in zip(values, types, strict=True)], names)


def links(lines: DataFrame, columns: Sequence[str], wanted: Sequence[str]) -> DataFrame:
    """The `wanted` columns, as strings, of a table from the lines (value) of its SQL dump."""
    places = [columns.index(name) for name in wanted]
    schema = ", ".join(f"{name} string" for name in wanted)
    work = partial(_parse_rows, names=tuple(wanted), places=places, width=len(columns))
    return lines.select(F.col("value").cast("binary")).mapInArrow(work, schema)


def _parse_rows(
    batches: Iterator[pa.RecordBatch], names: tuple[str, ...], places: list[int], width: int
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for line in batch.column("value").to_pylist():
            found: list[list[str]] = [[] for _ in names]
            for row in wikipedia.rows(line):
                if len(row) != width:
                    raise ValueError(f"a row has {len(row)} columns, not {width}")
                for values, place in zip(found, places, strict=True):
                    values.append(row[place].decode("utf-8", "replace"))
            yield pa.RecordBatch.from_arrays([pa.array(values, pa.string()) for values in found], names)


def subcategories(links: DataFrame, categories: DataFrame) -> DataFrame:
    """(category, title) for each direct subcategory, from links (page_id, category, type) and the pages that describe
    categories (page_id, title)."""
    return links.where(F.col("type") == "subcat").join(categories, "page_id").select(*SUBCATEGORIES.names)


def below(
    roots: DataFrame, subcategories: DataFrame, depth: int, keep: Callable[[DataFrame, pa.Schema], DataFrame]
) -> DataFrame:
    """The titles (title) of the root categories and of those below them, down to a depth. `keep` stores each level,
    since the next is computed from it."""
    found = level = roots.select("title").distinct()
    for _ in range(depth):
        above = level.select(F.col("title").alias("category"))
        level = subcategories.join(above, "category", "left_semi").select("title").distinct()
        level = keep(level.join(found, "title", "left_anti"), TITLES)
        found = found.union(level)
    return found


def members(links: DataFrame, categories: DataFrame) -> DataFrame:
    """The page_ids of the articles of the categories (title)."""
    of = categories.select(F.col("title").alias("category"))
    articles = links.where(F.col("type") == "page").join(of, "category", "left_semi")
    return articles.select("page_id").distinct()


def write_articles(found: DataFrame, min_chars: int, outputs: Outputs) -> DataFrame:
    """Writes articles (page_id, title, and wikitext or text) as POSITIVES with the page_id as doc_id. Gives a frame
    with the schema write.WRITTEN."""
    work = partial(_articles, min_chars=min_chars)
    return write_tables(found, ("page_id", "title", "wikitext", "text"), work, outputs)


def _articles(batches: Iterator[pa.RecordBatch], min_chars: int) -> Iterator[Rows]:
    for batch in batches:
        rows = []
        for row in batch.to_pylist():
            text = row["text"] or wikipedia.plain_text(row["title"], row["wikitext"])
            if len(text) >= min_chars:
                title = row["title"].replace("_", " ")
                url = f"https://ja.wikipedia.org/wiki/{row['title'].replace(' ', '_')}"
                about = {"doc_id": row["page_id"], "url": url, "source": f"Wikipedia: {title}"}
                rows.append(about | {"text": text, "license": LICENSE, "label": "positive"})
        if rows:
            yield Rows(TABLE, pa.RecordBatch.from_pylist(rows, POSITIVES))
