"""The configured subsets: cuts over the whole corpus, then the text of what lies between them, batch by batch."""

import json
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark import lookups
from swallow_spark.corpus import Manifest, Unit
from swallow_spark.sections.select import parse_band
from swallow_spark.stages import select as stage
from swallow_spark.stages.score import table_of
from swallow_spark.steps.run import Run, crawl_of, in_flight, scored
from swallow_spark.tables import PAGES, SCORES


def select(run: Run) -> None:
    """Finds the cuts of each classifier's bands, writes them down, and writes the subsets."""
    corpus, config = run.corpus, run.config
    if not config.subsets:
        _forget_subsets(run)
        return
    scores = {subset.classifier: scored(run, subset.classifier) for subset in config.subsets}
    due = run.lineage.cuts(manifest for manifests in scores.values() for manifest in manifests)
    if not due.is_done(corpus):
        with run.progress.stage("select"):
            cuts = _cuts(run, scores)
        corpus.commit(*due, [], details={"cuts": cuts})
    found = corpus.manifest(due.unit)
    assert found
    _write_subsets(run, found, scores)
    corpus.root.write_atomically("subsets/thresholds.json", json.dumps(thresholds(found), indent=1).encode())


def _forget_subsets(run: Run) -> None:
    """Where no subset is configured, none of an earlier configuration stays."""
    for manifest in run.corpus.manifests("select"):
        run.corpus.forget(Unit("select", manifest.unit))
    run.corpus.root.delete("subsets")


def thresholds(cuts: Manifest) -> dict[str, dict[str, dict[str, Any]]]:
    """classifier -> band -> the last document in it: its score and doc_id, and the number of documents down to it."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for cut in cuts.details["cuts"]:
        found.setdefault(cut["classifier"], {})[cut["band"]] = cut["lower"]
    return found


def _read_scores(run: Run, classifier: str, manifests: list[Manifest]) -> DataFrame:
    return run.corpus.read(run.spark, table_of(classifier), SCORES, manifests)


def _cuts(run: Run, scores: dict[str, list[Manifest]]) -> list[dict[str, Any]]:
    cuts = []
    for subset in run.config.subsets:
        manifests = scores[subset.classifier]
        rows = _read_scores(run, subset.classifier, manifests)
        total = sum(manifest.rows(table_of(subset.classifier)) for manifest in manifests)
        at: dict[int, stage.Cut | None] = {}
        for band in map(parse_band, subset.bands):
            numbers = [stage.num_above(share, total) for share in (band.start, band.end)]
            for number in numbers:
                if number not in at:
                    at[number] = stage.cut_after(rows, number)
            upper, lower = (at[number] for number in numbers)
            cuts.append(
                {
                    "classifier": subset.classifier,
                    "band": band.name,
                    "upper": upper._asdict() if upper else None,
                    "lower": lower._asdict() if lower else None,
                }
            )
    return cuts


def _write_subsets(run: Run, cuts: Manifest, scores: dict[str, list[Manifest]]) -> None:
    corpus = run.corpus
    pending = [pages for pages in corpus.manifests("ingest") if not run.lineage.subsets(pages, cuts).is_done(corpus)]
    tables = [f"subsets/{cut['classifier']}-{cut['band']}" for cut in cuts.details["cuts"]]
    if pending:
        for pages in pending:  # those of other cuts first: nobody shall read a mixture
            corpus.forget(Unit("select", pages.unit))
        corpus.root.delete("subsets/thresholds.json")
        with run.progress.stage("select"):
            rows = sum(manifest.rows(table_of(name)) for name, manifests in scores.items() for manifest in manifests)
            shipped = lookups.ship(_members(run, cuts, scores), corpus.root, "members", rows)
            in_flight(run, partial(_write_batch, run, cuts, shipped, tables, list(scores)), pending)
        corpus.root.delete(shipped.directory)
    for directory in corpus.root.directories("subsets"):
        if directory.count("/") == 1 and directory not in tables:
            corpus.root.delete(directory)  # of a subset that is no longer configured


def _members(run: Run, cuts: Manifest, scores: dict[str, list[Manifest]]) -> DataFrame:
    """doc_id, score_<classifier>…, and `subsets`, where bit i tells whether the page lies between the i-th cuts."""
    frames = []
    for classifier, manifests in scores.items():
        bits = [
            F.when(stage.is_above(_cut(cut["lower"])) & ~stage.is_above(_cut(cut["upper"])), 1 << bit).otherwise(0)
            for bit, cut in enumerate(cuts.details["cuts"])
            if cut["classifier"] == classifier
        ]
        mask = reduce(lambda a, b: a.bitwiseOR(b), bits).cast("long")
        rows = _read_scores(run, classifier, manifests)
        frames.append(rows.select("doc_id", F.col("score").alias(f"score_{classifier}"), mask.alias(f"_{classifier}")))
    joined = reduce(lambda a, b: a.join(b, "doc_id"), frames)
    subsets = reduce(lambda a, b: a.bitwiseOR(b), [F.col(f"_{classifier}") for classifier in scores])
    columns = [f"score_{classifier}" for classifier in scores]
    return joined.select("doc_id", subsets.alias("subsets"), *columns).where("subsets != 0")


def _cut(values: dict[str, Any] | None) -> stage.Cut | None:
    return stage.Cut(**values) if values else None


def _write_batch(
    run: Run,
    cuts: Manifest,
    members: lookups.Lookups,
    tables: list[str],
    classifiers: list[str],
    pages: Manifest,
) -> None:
    corpus, due = run.corpus, run.lineage.subsets(pages, cuts)
    outputs = corpus.outputs(due.unit, dict.fromkeys(tables, stage.subset_schema(classifiers)), crawl_of(run, pages))
    rows = corpus.read(run.spark, "pages", PAGES, [pages])
    scores = [f"score_{classifier}" for classifier in classifiers]
    bits = {table: bit for bit, table in enumerate(tables)}
    written = stage.write_subsets(rows, members, bits, scores, run.config.cleanup, outputs).collect()
    corpus.commit(*due, written)
