"""The configured subsets: cuts over the whole corpus, then the text of what lies between them, batch by batch."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial, reduce
from operator import and_, or_
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.select import (
    Part,
    Plan,
    parse_band,
    percent_of,
)
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import (
    Manifest,
    Unit,
)
from swallow_spark.corpus.lineage import Due
from swallow_spark.corpus.read import read_files
from swallow_spark.corpus.write import (
    Outputs,
    write,
)
from swallow_spark.errors import UsageError
from swallow_spark.kernels.order.cuts import Cut
from swallow_spark.stages.host_lines.step import ship_repeated
from swallow_spark.stages.remove.step import (
    find_removed,
    removed,
)
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    in_flight,
    scored,
)
from swallow_spark.stages.score.tasks import table_of
from swallow_spark.stages.select import cuts as stage
from swallow_spark.stages.select import tasks as writing
from swallow_spark.stages.tokens.step import (
    ACCEPTED,
    accepted_tokens,
)
from swallow_spark.tables import PAGES, SCORES, TOKENS

Scores = Mapping[str, Sequence[Manifest]]  # classifier -> the units of its scores
Rows = Callable[[str], DataFrame]  # ranking -> doc_id, score, and weight where documents don't count 1 each

_WEIGHED = pa.schema([*SCORES, pa.field("weight", pa.int64())])


def select(run: Run) -> None:
    """Finds the cuts of each ranking's bands, writes them down, and writes the subsets."""
    corpus, config = run.corpus, run.config
    if not config.subsets:
        _forget_subsets(run)
        return
    find_removed(run)
    plan = config.plan
    scores = {name: scored(run, name) for name in plan.classifiers}
    counted = accepted_tokens(run) if plan.counts("tokens") else []
    due = run.lineage.cuts([*(m for manifests in scores.values() for m in manifests), *counted])
    with _rankings(run, plan, scores, counted) as rows:
        if not due.is_done(corpus):
            with run.progress.stage("select"):
                details = {"cuts": _cuts(run, plan, scores, rows), "subsets": [one.name for one in plan.subsets]}
            corpus.commit(*due, [], details=details)
        found = corpus.manifest(due.unit)
        assert found
        _write_subsets(run, plan, found, scores, rows)
    corpus.root.write_atomically("subsets/thresholds.json", json.dumps(thresholds(found), indent=1).encode())


def selected(run: Run, names: Sequence[str]) -> Manifest:
    """The unit of the cuts, where the subsets of these names are there as configured. Raises UsageError else."""
    corpus, plan = run.corpus, run.config.plan
    there = [subset.name for subset in plan.subsets]
    if unknown := [name for name in names if name not in there]:
        raise UsageError(
            f"--subset {unknown[0]}: no such subset is configured (there is: {', '.join(there) or 'none'})"
        )
    cuts, tombs = corpus.manifest(Unit("select", "cuts")), corpus.manifests("tombstones")
    scores = {name: scored(run, name) for name in plan.classifiers}
    of_batch = _by_batch(scores)
    counted = corpus.manifests("tokens", f"{ACCEPTED}/") if plan.counts("tokens") else []
    if (
        not cuts
        or not run.lineage.cuts([*(m for manifests in scores.values() for m in manifests), *counted]).is_done(corpus)
        or (tombs and not all(run.lineage.remove(pages, tombs).is_done(corpus) for pages in corpus.manifests("ingest")))
        or not all(_due(run, pages, cuts, of_batch).is_done(corpus) for pages in corpus.manifests("ingest"))
    ):
        raise UsageError(f"{corpus.root.location}: the subsets first need `swallow-spark select`")
    return cuts


def _by_batch(scores: Scores) -> dict[str, list[Manifest]]:
    """The units of all classifiers' scores by that of the pages."""
    found: dict[str, list[Manifest]] = {}
    for manifest in (manifest for manifests in scores.values() for manifest in manifests):
        found.setdefault(manifest.unit.partition("/")[2], []).append(manifest)
    return found


def _due(run: Run, pages: Manifest, cuts: Manifest, scores: Mapping[str, Sequence[Manifest]]) -> Due:
    """`scores`: by the unit of the pages."""
    return run.lineage.subsets(pages, cuts, scores[pages.unit], run.corpus.manifest(Unit("remove", pages.unit)))


def _forget_subsets(run: Run) -> None:
    """Where no subset is configured, none of an earlier configuration stays."""
    for manifest in run.corpus.manifests("select"):
        run.corpus.forget(Unit("select", manifest.unit))
    run.corpus.root.delete("subsets")


def thresholds(cuts: Manifest) -> dict[str, dict[str, dict[str, Any] | None]]:
    """ranking -> band -> the last document in it: its score and doc_id, and the number of documents down to it; None
    for a band of no documents. Where a band begins at a share, the band that ends there is told too."""
    found: dict[str, dict[str, dict[str, Any] | None]] = {}
    for cut in cuts.details["cuts"]:
        of = found.setdefault(cut["ranking"], {})
        of[cut["band"]] = cut["lower"]
        if start := parse_band(cut["band"]).start:
            of.setdefault(f"top{percent_of(start)}", cut["upper"])
    return found


@contextmanager
def _rankings(run: Run, plan: Plan, scores: Scores, counted: Sequence[Manifest]) -> Iterator[Rows]:
    """The rankings as frames. What has to be joined for one is written below the corpus, once, and deleted at last."""
    corpus, written = run.corpus, list[str]()

    @cache
    def ranks(classifier: str) -> DataFrame:
        return stage.ranks(_read_scores(run, scores, classifier))

    @cache
    def rows(name: str) -> DataFrame:
        ranking = plan.rankings[name]
        if ranking.classifier:
            found = _read_scores(run, scores, ranking.classifier)
        else:
            ranked = {classifier: ranks(classifier) for classifier in ranking.ranks}
            found = stage.combined(ranked, ranking.ranks, _num_scored(scores))
        if ranking.by == "characters":
            narrow = pa.schema([PAGES.field(name) for name in ("doc_id", "num_chars")])
            lengths = corpus.read(run.spark, "pages", narrow, corpus.manifests("ingest"))
            weights = lengths.select("doc_id", F.col("num_chars").cast("long").alias("weight"))
        elif ranking.by == "tokens":
            tokens = corpus.read(run.spark, "tokens/accepted", TOKENS, counted)
            weights = tokens.select("doc_id", F.col("num_tokens").cast("long").alias("weight"))
        elif ranking.classifier:
            return found
        else:
            return keep(found, SCORES)
        return keep(found.join(weights, "doc_id", "left"), _WEIGHED)

    def keep(found: DataFrame, schema: pa.Schema) -> DataFrame:
        written.append(f"lookups/ranking-{uuid4().hex[:12]}")
        outputs = Outputs(corpus.root, {"ranking": schema}, {"ranking": {0: written[-1]}})
        files = write(found.select(*schema.names), "ranking", outputs)
        return read_files(run.spark, corpus.root, [row["path"] for row in files], schema)

    try:
        yield rows
    finally:
        for directory in written:
            corpus.root.delete(directory)


def _read_scores(run: Run, scores: Scores, classifier: str) -> DataFrame:
    return run.corpus.read(run.spark, table_of(classifier), SCORES, scores[classifier])


def _num_scored(scores: Scores) -> int:
    return max(sum(m.rows(table_of(name)) for m in manifests) for name, manifests in scores.items())


def _cuts(run: Run, plan: Plan, scores: Scores, rows: Rows) -> list[dict[str, Any]]:
    """The cuts of each band that a subset uses: those of a ranking are found together."""
    found = []
    for name, ranking in plan.rankings.items():
        bands = [part.band for part in plan.parts if part.ranking == name]
        shares = sorted({share for band in bands for share in (band.start, band.end)})
        at: dict[Any, Cut | None]
        if run.config.selection.thresholds:
            at = {share: _threshold(run, name, share, rows) for share in shares}
        else:
            _, total = stage.totals(rows(name))
            targets = [stage.num_above(share, total) for share in shares]
            at = dict(zip(shares, stage.cuts_after(rows(name), targets), strict=True))
        for band in bands:
            upper, lower = (_as_values(at[share], ranking.by) for share in (band.start, band.end))
            found.append(
                {
                    "ranking": name,
                    "classifier": ranking.classifier,
                    "band": band.name,
                    "by": ranking.by,
                    "upper": upper,
                    "lower": lower,
                    "documents": _num_scored(scores),
                }
            )
    return found


def _threshold(run: Run, ranking: str, share: Any, rows: Rows) -> Cut | None:
    """A cut at a score that is given, and what lies above it."""
    if not share:
        return None
    score = run.config.selection.threshold(ranking, share)
    assert score is not None, (ranking, percent_of(share))
    frame = rows(ranking)
    stage.totals(frame)  # refuses scores that are no numbers
    weight = F.col("weight") if "weight" in frame.columns else F.lit(1)
    reached = F.col("score") >= score
    sums = [F.count_if(reached), F.count_if(F.col("score") > score), F.sum(F.when(reached, weight))]
    documents, better, total = frame.agg(*sums).collect()[0]
    return Cut(documents, score, None, total or 0, better)


def _as_values(cut: Cut | None, by: str) -> dict[str, Any] | None:
    if not cut:
        return None
    values = {"documents": cut.documents, "score": cut.score, "doc_id": cut.doc_id}
    return values if by == "documents" else {**values, by: cut.weight}


def _write_subsets(run: Run, plan: Plan, cuts: Manifest, scores: Scores, rows: Rows) -> None:
    corpus, of_batch = run.corpus, _by_batch(scores)
    due = {pages.unit: _due(run, pages, cuts, of_batch) for pages in corpus.manifests("ingest")}
    pending = [pages for pages in corpus.manifests("ingest") if not due[pages.unit].is_done(corpus)]
    tables = [f"subsets/{subset.name}" for subset in plan.subsets]
    if pending:
        for pages in pending:  # those of other cuts first: nobody shall read a mixture
            corpus.forget(Unit("select", pages.unit))
        replaced = {pages.unit for pages in pending}
        for manifest in corpus.manifests("tokens"):
            of, _, batch = manifest.unit.partition("/")
            if of != ACCEPTED and batch in replaced:
                corpus.forget(Unit("tokens", manifest.unit))
        corpus.root.delete("subsets/thresholds.json")
        section = run.config.cleanup.host_lines
        repeated = ship_repeated(run, section) if section else None
        with run.progress.stage("select"):
            own = {
                name: [manifest for manifest in manifests if manifest.unit.partition("/")[2] in replaced]
                for name, manifests in scores.items()
            }
            shipped = lookups.ship(_members(run, plan, cuts, own, rows), corpus.root, "members", _num_scored(own))
            in_flight(run, partial(_write_batch, run, due, shipped, repeated, tables, plan.classifiers), pending)
        for lookup in (shipped, repeated):
            if lookup:
                corpus.root.delete(lookup.directory)
    for directory in corpus.root.directories("subsets"):
        if directory.count("/") == 1 and directory not in tables:
            corpus.root.delete(directory)  # of a subset that is no longer configured


def _members(run: Run, plan: Plan, cuts: Manifest, scores: Scores, rows: Rows) -> DataFrame:
    """doc_id, score_<classifier>…, and `subsets`, where bit i tells whether the page is in the i-th subset: of the
    pages that have these scores."""
    columns = [f"score_{classifier}" for classifier in plan.classifiers]
    frames = [
        _read_scores(run, scores, classifier).select("doc_id", F.col("score").alias(column))
        for classifier, column in zip(plan.classifiers, columns, strict=True)
    ]
    score_of = {name: F.col(f"score_{ranking.classifier}") for name, ranking in plan.rankings.items()}
    for number, (name, ranking) in enumerate(plan.rankings.items()):
        if not ranking.classifier:
            score_of[name] = F.col(f"_{number}")
            frames.append(rows(name).select("doc_id", F.col("score").alias(f"_{number}")))
    between = {(cut["ranking"], cut["band"]): (_cut(cut["upper"]), _cut(cut["lower"])) for cut in cuts.details["cuts"]}

    def is_in(part: Part) -> Column:
        upper, lower = between[part.ranking, part.band.name]
        score, doc_id = score_of[part.ranking], F.col("doc_id")
        return stage.is_above(lower, score, doc_id) & ~stage.is_above(upper, score, doc_id)

    bits = [
        F.when(reduce(and_ if subset.needs_all else or_, map(is_in, subset.parts)), 1 << bit).otherwise(0).cast("long")
        for bit, subset in enumerate(plan.subsets)
    ]
    joined = reduce(lambda a, b: a.join(b, "doc_id"), frames)
    mask = reduce(lambda a, b: a.bitwiseOR(b), bits)
    members = joined.select("doc_id", mask.alias("subsets"), *columns).where("subsets != 0")
    return members.join(removed(run), "doc_id", "left_anti")


def _cut(values: dict[str, Any] | None) -> Cut | None:
    return Cut(values["documents"], values["score"], values["doc_id"], 0, 0) if values else None


def _write_batch(
    run: Run,
    of: Mapping[str, Due],
    members: lookups.Lookups,
    repeated: lookups.Lookups | None,
    tables: list[str],
    classifiers: Sequence[str],
    pages: Manifest,
) -> None:
    corpus, due = run.corpus, of[pages.unit]
    outputs = corpus.outputs(due.unit, dict.fromkeys(tables, writing.subset_schema(classifiers)), crawl_of(run, pages))
    rows = corpus.scan(run.spark, "pages", PAGES, [pages])
    scores = [f"score_{classifier}" for classifier in classifiers]
    bits = {table: bit for bit, table in enumerate(tables)}
    written = writing.write_subsets(rows, members, bits, scores, run.config.cleanup, repeated, outputs).collect()
    corpus.commit(*due, written)
