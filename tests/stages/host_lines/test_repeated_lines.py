"""Lines that repeat across a host's accepted pages go from the subsets: a whole `select`, and the counts below it."""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from event_log import events_of, queries
from pyspark.sql import SparkSession
from runs import Built, reconfigured, table

from swallow_spark.config.load import load
from swallow_spark.corpus import lookups
from swallow_spark.corpus.summary import summarise
from swallow_spark.corpus.write import WRITTEN, Outputs
from swallow_spark.files.storage import Root
from swallow_spark.kernels.text import host_lines as kernel
from swallow_spark.report.state import stages
from swallow_spark.stages.host_lines import tasks as stage
from swallow_spark.stages.run import Run
from swallow_spark.tables import HOST_LINES, HOST_PAGES


def naive_repeated(pages: list[tuple[str | None, str]], min_pages: int, min_fraction: str) -> dict[str, set[str]]:
    """Of (host, text): host -> the lines that are on so many of its pages."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    of_host = Counter(host for host, _ in pages if host)
    for host, text in pages:
        if host:
            counts[host].update({line.strip() for line in text.split("\n") if len(line.strip()) >= 3})
    return {
        host: {
            line
            for line, number in counts[host].items()
            if number >= max(min_pages, math.ceil(Fraction(min_fraction) * of_host[host]))
        }
        for host in counts
    }


def naive_without(text: str, dropped: set[str]) -> str:
    every = text.split("\n")
    kept = [line for line in every if line.strip() not in dropped]
    return text if len(kept) == len(every) else "\n".join(kept).strip("\n")


@pytest.mark.parametrize("partitions", [1, 4])
def test_lines_that_reach_both_bounds(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int
) -> None:
    monkeypatch.setattr(stage, "_ROWS_AT_ONCE", 20)
    # Of ten pages: 3 have みっつ, 2 have ふたつ; たくさん is on two of a host with two.
    # The last two pages aren't among the accepted.
    pages: list[tuple[str | None, str]] = [
        ("ten", f"見出し\n本文{i}" + "\nみっつ" * (i < 3) + "\nふたつ" * (i < 2)) for i in range(10)
    ]
    pages += [
        ("two", "たくさん\n見出し"),
        ("two", "たくさん\nたくさん"),
        (None, "見出し\nみっつ"),
        (None, "見出し"),
        ("one", "見出し\n見出し"),
    ]
    pages += [("one", "見出し"), ("ten", "みっつ\nふたつ\nふたつ")]
    accepted = [i for i in range(len(pages)) if i < len(pages) - 2]
    root = Root(str(tmp_path))
    shipped = lookups.ship(spark.createDataFrame([(i,) for i in accepted], "doc_id long"), root, "accepted", 1)
    frame = spark.createDataFrame([(i, *page) for i, page in enumerate(pages)], "doc_id long, host string, text string")
    schemas = {"host_lines": HOST_LINES, "host_pages": HOST_PAGES}
    outputs = Outputs(root, schemas, {name: {0: f"{name}/crawl=a/x"} for name in schemas})
    written = stage.count_lines(frame.repartition(partitions, "doc_id"), shipped, outputs).collect()

    def rows(name: str) -> pa.Table:
        return pa.concat_tables(pq.read_table(root.local_path(r["path"])) for r in written if r["table"] == name)

    assert sum(rows("host_lines")["num_pages"].to_pylist()) == sum(dict(r["sums"]).get("lines", 0) for r in written)
    frames = [spark.createDataFrame(rows(name)) for name in schemas]
    counted = [pages[i] for i in accepted]
    for min_pages, min_fraction in ((2, "0.3"), (2, "0.31"), (3, "0"), (11, "0"), (2, "0.2"), (2, "1")):
        found = stage.repeated(*frames, min_pages, float(min_fraction)).collect()
        expected = set()
        for host, lines in naive_repeated(counted, min_pages, min_fraction).items():
            key = kernel.host_keys(pa.array([host]))
            expected |= {(int(kernel.lines(pa.array([line]), key).line[0]), int(key[0])) for line in lines}
        assert {tuple(row) for row in found} == expected
        assert len(found) == len(expected)


SETTINGS = [
    "cleanup.mode='off'",
    "cleanup.host_lines.min_pages=2",
    "cleanup.host_lines.min_fraction=0.05",
    "subsets=[{classifier='edu', bands=['top60', 'top60-100']}]",
]


def test_subsets_lack_the_lines_that_repeat_on_their_host(
    spark: SparkSession, event_log: Path, built: Built, tmp_path: Path
) -> None:
    runs: list[Run] = []
    events = events_of(spark, event_log, lambda: runs.append(reconfigured(built.run, tmp_path, SETTINGS)))
    (run,) = runs
    pages = {row["doc_id"]: (row["host"], row["text"]) for row in table(run, "pages", "ingest")}
    verdicts = table(run, f"verdicts/preset={run.config.rules.preset}", "decide")
    accepted = {row["doc_id"]: pages[row["doc_id"]] for row in verdicts if row["accepted"]}
    repeated = naive_repeated(list(accepted.values()), 2, "0.05")
    expected = {doc_id: naive_without(text, repeated.get(host, set())) for doc_id, (host, text) in accepted.items()}
    names = ("subsets/edu-top60", "subsets/edu-top60-100")
    found = {row["doc_id"]: row for name in names for row in table(run, name, "select")}
    assert {doc_id: row["text"] for doc_id, row in found.items()} == {d: text for d, text in expected.items() if text}
    assert all(row["num_chars"] == len(row["text"]) for row in found.values())
    assert any(expected[doc_id] != text for doc_id, (_, text) in accepted.items()), "the demo has such lines"

    states = {state.name: state.state for state in stages(run.lineage, 0)}
    assert states["host_lines"] == "done"
    assert "host_lines" not in {state.name for state in stages(built.run.lineage, 0)}
    subsets = summarise(run.corpus, run.config.rules.preset, run.config.classifiers)["subsets"].values()
    dropped = sum(
        line.strip() in repeated[host] for host, text in accepted.values() if host for line in text.split("\n")
    )
    assert sum(subset.get("host_lines", 0) for subset in subsets) == dropped > 0
    assert sum(subset["emptied"] for subset in subsets) == sum(not text for text in expected.values())

    ran, outside = queries(events)
    assert [query.exchanges for query in ran if query.exchanges_text] == []
    assert not any(query.reads_text for query in ran)
    given = [columns for query in ran for columns in query.of_reading_tasks()]
    assert len(given) >= 2, "counting and writing read text"
    assert all(columns <= set(WRITTEN.names) for columns in given)
    assert outside == 0
    assert not list((tmp_path / "corpus").glob("lookups/*"))

    # Other bounds take no count: the units stay; without the section, the subsets are those of the first build.
    before = run.corpus.manifests("host_lines")
    again = reconfigured(run, tmp_path / "again", [*SETTINGS, "cleanup.host_lines.min_fraction=0.9"])
    assert again.corpus.manifests("host_lines") == before
    assert again.lineage.fingerprint("cuts") != run.lineage.fingerprint("cuts")
    off = reconfigured(again, tmp_path / "off", [*SETTINGS, "cleanup.host_lines=false"])
    rows = {row["doc_id"]: row["text"] for name in names for row in table(off, name, "select")}
    assert rows == {doc_id: text for doc_id, (_, text) in accepted.items()}


def test_the_section_is_off_until_it_is_named() -> None:
    assert load("swallow-v2").cleanup.host_lines is None
    on = load("demo", ["cleanup.host_lines={}"])
    assert on.cleanup.host_lines
    assert load(on.model_dump(mode="json"), ["cleanup.host_lines=false"]).cleanup.host_lines is None
    dumped = load("demo").model_dump(mode="json")
    again = load(dumped, ["cleanup.host_lines.min_pages=7"]).cleanup.host_lines
    assert again
    assert again.min_pages == 7
