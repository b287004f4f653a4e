"""The configured subsets: cuts over the whole corpus, then the texts between them, batch by batch."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, reduce
from operator import and_, or_
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.load import Config, fingerprint
from swallow_spark.config.load import selection as select_section
from swallow_spark.config.select import BUILT_IN_SUBSETS, Part, Plan, parse_band, percent_of
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest, Unit
from swallow_spark.corpus.read import read_files
from swallow_spark.corpus.write import Outputs, write
from swallow_spark.errors import UsageError, meant
from swallow_spark.kernels.order.cuts import Cut
from swallow_spark.kernels.text import cleanup, host_lines, personal
from swallow_spark.stages.host_lines.step import ship_repeated
from swallow_spark.stages.remove.step import find_removed, removed, removed_of
from swallow_spark.stages.run import Batch, Run, each_batch
from swallow_spark.stages.score.tasks import table_of
from swallow_spark.stages.select import cuts as stage
from swallow_spark.stages.select import tasks
from swallow_spark.stages.select.standing import left_alone, standing
from swallow_spark.stages.stage import Source, Stage
from swallow_spark.stages.tokens.step import accepted_tokens
from swallow_spark.tables import PAGES, SCORES, TOKENS

Scores = Mapping[str, Sequence[Manifest]]  # classifier -> the units of its scores
Rows = Callable[[str], DataFrame]  # ranking -> doc_id, score, and weight unless documents count 1 each

_WEIGHED = pa.schema([*SCORES, pa.field("weight", pa.int64())])


def select(run: Run) -> None:
    """Finds and commits the cuts of each ranking's top-k bands, then writes the subsets."""
    corpus, config = run.corpus, run.config
    if not config.subsets:
        if there := standing(corpus):
            run.progress.say(left_alone(run, there))
        return
    find_removed(run)
    plan = config.plan
    scores = {name: run.lineage.finished("score", [name]) for name in plan.classifiers}
    counted = accepted_tokens(run) if plan.counts("tokens") else []
    (due,) = run.lineage.due("cuts")
    with _rankings(run, plan, scores, counted) as rows:
        if not due.is_done(corpus):
            with run.progress.stage("select"):
                details = {"cuts": _cuts(run, plan, scores, rows), "subsets": [one.name for one in plan.subsets]}
            due.commit(corpus, [], details=details)
        found = corpus.manifest(due.unit)
        assert found
        _write_subsets(run, plan, found, scores, rows)
    corpus.root.write_atomically("subsets/thresholds.json", json.dumps(thresholds(found), indent=1).encode())


def selected(run: Run, names: Sequence[str]) -> Manifest:
    """The unit of the cuts. Raises UsageError unless these subsets are configured and up to date."""
    corpus, plan = run.corpus, run.config.plan
    known = [subset.name for subset in plan.subsets]
    if unknown := [name for name in names if name not in known]:
        written = [one.name for one in standing(corpus)]
        there = ", ".join((*known, *BUILT_IN_SUBSETS))
        raise UsageError(
            f"--subset {unknown[0]}: no such subset is configured{meant(unknown[0], (*known, *BUILT_IN_SUBSETS))} "
            f"(there is: {there})"
            + (": it is one of another configuration (--config)" if unknown[0] in written else "")
        )
    for name in ("cuts", "subsets", *(["remove"] if corpus.manifests("tombstones") else [])):
        run.lineage.finished(name)
    cuts = corpus.manifest(Unit("select", "cuts"))
    assert cuts
    return cuts


def thresholds(cuts: Manifest) -> dict[str, dict[str, dict[str, Any] | None]]:
    """ranking -> top-k band -> the last document in it: its score and doc_id, and the number of documents down to it;
    None for an empty band. If a band starts at a share, the band that ends there is included."""
    found: dict[str, dict[str, dict[str, Any] | None]] = {}
    for cut in cuts.details["cuts"]:
        of = found.setdefault(cut["ranking"], {})
        of[cut["band"]] = cut["lower"]
        if start := parse_band(cut["band"]).start:
            of.setdefault(f"top{percent_of(start)}", cut["upper"])
    return found


@contextmanager
def _rankings(run: Run, plan: Plan, scores: Scores, counted: Sequence[Manifest]) -> Iterator[Rows]:
    """The rankings as frames. Those that take a join are written below the corpus once, and deleted at the end."""
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
    """The cuts of each top-k band that a subset uses: those of a ranking are found together."""
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
            cut = {"ranking": name, "classifier": ranking.classifier, "band": band.name, "by": ranking.by}
            found.append({**cut, "upper": upper, "lower": lower, "documents": _num_scored(scores)})
    return found


def _threshold(run: Run, ranking: str, share: Any, rows: Rows) -> Cut | None:
    """A cut at a configured score."""
    if not share:
        return None
    score = run.config.selection.threshold(ranking, share)
    assert score is not None, (ranking, percent_of(share))
    frame = rows(ranking)
    stage.totals(frame)  # refuses scores that are not finite numbers
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
    corpus = run.corpus
    due = [one for one in run.lineage.due("subsets") if not one.is_done(corpus)]
    tables = [f"subsets/{subset.name}" for subset in plan.subsets]
    if due:
        replaced = {one.pages.unit for one in due if one.pages}
        for one in due:  # those of other cuts first: no reader may see a mixture
            corpus.forget(one.unit)
        for manifest in corpus.manifests("tokens"):
            of, _, batch = manifest.unit.partition("/")
            if of != "accepted" and batch in replaced:
                corpus.forget(Unit("tokens", manifest.unit))
        corpus.root.delete("subsets/thresholds.json")
        section, columns = run.config.cleanup, [f"score_{classifier}" for classifier in plan.classifiers]
        repeated = ship_repeated(run, section.host_lines) if section.host_lines else None
        with run.progress.stage("select"):
            own = {
                name: [manifest for manifest in manifests if manifest.unit.partition("/")[2] in replaced]
                for name, manifests in scores.items()
            }
            found = _members(run, plan, cuts, own, rows)
            # A ranking by several classifiers is of all pages.
            members = lookups.ship(found, corpus.root, "members", _num_scored(own), _num_scored(scores))
        bits = {table: bit for bit, table in enumerate(tables)}

        def work(batch: Batch) -> DataFrame:
            return tasks.write_subsets(batch.rows, members, bits, columns, section, repeated, batch.outputs)

        each_batch(run, "select", due, work)
        for lookup in (members, repeated):
            if lookup:
                corpus.root.delete(lookup.directory)
    for directory in corpus.root.directories("subsets"):
        if directory.count("/") == 1 and directory not in tables and not corpus.root.files(directory):
            corpus.root.delete(directory)  # empty: of a subset that is no longer configured


def _members(run: Run, plan: Plan, cuts: Manifest, scores: Scores, rows: Rows) -> DataFrame:
    """(doc_id, subsets, score_<classifier>…) of the pages in any subset; bit i of `subsets`: in the i-th."""
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


def selects_by_the_corpus(config: Config) -> bool:
    """Whether a page's membership of subsets, or its text there, depends on all accepted pages of the corpus."""
    return bool(config.cleanup.host_lines) or any(ranking.ranks for ranking in config.plan.rankings.values())


def places_of(cuts: Manifest, _crawl: str) -> str:
    """Identifies the positions of the cuts."""
    edges = [
        [cut["ranking"], cut["band"], *((at and [at["score"], at["doc_id"]]) for at in (cut["upper"], cut["lower"]))]
        for cut in cuts.details["cuts"]
    ]
    return fingerprint({"cuts": edges}, {})


CUTS: Final = Stage(
    "cuts",
    directory="select",
    each="corpus",
    unit="cuts",
    sources=(
        Source("score", variants=lambda config: config.plan.classifiers),
        Source("tokens", in_fingerprint=False, when=lambda config: config.plan.counts("tokens")),
    ),
    command="select",
    wanted=lambda config, _: bool(config.subsets),
    meaning=lambda config, _: select_section(config),
    versions=lambda config, _: {
        "select": 2,
        "cleanup": cleanup.VERSION,
        "personal": personal.VERSION,
        **({"host_lines": host_lines.VERSION} if config.cleanup.host_lines else {}),
    },
)

SUBSETS: Final = Stage(
    "subsets",
    directory="select",
    each="batch",
    same_fingerprint_as="cuts",
    sources=(
        Source("ingest"),
        # Only the positions of the cuts count, so that configured thresholds leave old crawls' subsets up to date;
        # but ranks, and the lines that repeat on a host, depend on the whole corpus.
        Source("cuts", when=selects_by_the_corpus),
        Source("cuts", part=places_of, when=lambda config: not selects_by_the_corpus(config)),
        Source(
            "score",
            variants=lambda config: config.plan.classifiers,
            when=lambda config: not selects_by_the_corpus(config),
        ),
        Source("remove", part=removed_of, required=False, discards=False),
        # Which lines repeat is computed while subsets are written: without the counts, these are written again.
        Source("host_lines", part=lambda *_: None, in_fingerprint=False, required=False),
    ),
    command="select",
    run=select,
    wanted=lambda config, _: bool(config.subsets),
    tables=lambda config, _: dict.fromkeys(
        (f"subsets/{subset.name}" for subset in config.plan.subsets), tasks.subset_schema(config.plan.classifiers)
    ),
)
