"""The run report of a corpus: one self-contained HTML page, and its figures as JSON and CSV beside it."""

import csv
import io
import json
import math
import platform
import re
from collections.abc import Mapping
from typing import Any, Final

import pyspark
from pyspark.sql import SparkSession

from swallow_spark import __version__
from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.corpus.summary import summarise
from swallow_spark.report import counts
from swallow_spark.report.change import change, last_report
from swallow_spark.report.contents import Bounded, Contents, Ledger, Rules, Step
from swallow_spark.report.finished import Finished, without_secrets
from swallow_spark.report.opening import opening
from swallow_spark.report.resources import resources
from swallow_spark.report.samples import Chosen
from swallow_spark.report.scans import hosts
from swallow_spark.report.scans.figures import Figures
from swallow_spark.report.scans.narrow import scan
from swallow_spark.report.scans.plan import narrow_parts, plan
from swallow_spark.report.sizes import overlaps, sizes
from swallow_spark.report.state import runs, stages
from swallow_spark.session.progress import Progress
from swallow_spark.stages.stage import Lineage
from swallow_spark.stages.tokens.tasks import put_tokenizer

VERSION: Final = 5  # raise it if the page of an unchanged corpus looks different
PATH: Final = "report/index.html"
FIGURES: Final = "report/report.json"
HISTOGRAMS: Final = "report/features.csv"
_TEXTS: Final = {"excerpt", "diff"}  # of pages: they are in the HTML alone
_SECRET: Final = re.compile(r"secret|passw|token|credential|access\.?key", re.IGNORECASE)


def write_report(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> str:
    """Writes the report of a corpus as far as it is built. Returns its path below the corpus root."""
    # Here because it imports Matplotlib, which takes most of a second.
    from swallow_spark.report.render import render

    root = lineage.corpus.root
    contents = gather(spark, lineage, progress)
    # A lone surrogate can't be written in UTF-8; none comes from Parquet, but a file's name may hold one.
    root.write_atomically(HISTOGRAMS, as_csv(contents.features).encode("utf-8", "replace"))
    of = lineage.everything()
    figures = {
        "of": of,
        "as_of": max((stage.finished for stage in contents.stages), default=""),
        "figures": _figures(contents.funnel, contents.ledger, contents.rules),
        "previous": _previous(lineage.corpus, of),
        **plain(contents),
    }
    content = json.dumps(figures, ensure_ascii=False, indent=1, default=str)
    root.write_atomically(FIGURES, content.encode("utf-8", "replace"))
    root.write_atomically(PATH, render(contents).encode("utf-8", "replace"))
    return PATH


def gather(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> Contents:
    """The contents of a corpus's report, as far as its stages are done; `progress` is that of the current run.

    Three queries: the narrow tables, each once; pages by host; the chosen pages, with their texts."""
    corpus, config = lineage.corpus, lineage.config
    have = Finished(spark, lineage)
    planned = plan(have)
    found = scan(spark, planned, narrow_parts(have))
    hosts_of = by_host(have)
    chosen = Chosen(have, planned, found, put_tokenizer(corpus.root, config.tokens) if config.tokens.counting else None)
    parts: dict[str, Any] = {
        "ledger": counts.ledger(have, found),
        "stages": stages(lineage, have.files_pending),
        "sources": counts.sources(have, found, hosts_of) if have.ingested else None,
        "dedup": counts.dedup(have, found, chosen.largest()) if have.deduplicated else None,
        "rules": counts.rules(have, found, hosts_of) if have.decided else None,
        "subsets": counts.subsets(have),
    }
    used = resources(lineage, *((progress.seconds, progress.resources) if progress else ({}, {})))
    funnel = counts.funnel(have)
    return Contents(
        **parts,
        corpus=without_secrets(corpus.root.location),
        funnel=funnel,
        configuration=_configuration(config),
        versions={
            "swallow-spark": __version__,
            "Spark": spark.version,
            "PySpark": pyspark.__version__,
            "Python": platform.python_version(),
        },
        runs=runs(corpus),
        scores=counts.scores(have, found),
        sizes=sizes(have, chosen) if have.ingested else None,
        overlaps=overlaps(have),
        samples=chosen.samples(have),
        sample_seed=config.report.seed,
        change=change(corpus, summarise(corpus, config.rules.preset, config.classifiers)),
        resources=used,
        features=counts.features(have, planned, found),
        hints=counts.hints(found) if have.ingested else None,
        of_reasons=chosen.of_reasons(have),
        beside=chosen.beside(have),
        of_subsets=chosen.of_subsets(),
        last_report=last_report(
            _previous(corpus, lineage.everything()), _figures(funnel, parts["ledger"], parts["rules"])
        ),
        opening=opening(used=used, **parts),
    )


def by_host(have: Finished) -> Figures:
    """The one query that joins tables."""
    if have.decided:
        features = have.features("doc_id", "host", "num_chars", "avg_sentence_length")
        return hosts.of_verdicts(features, have.verdicts())
    if not have.ingested:
        return Figures()
    return hosts.of_pages(have.pages("doc_id", "host", "num_chars"), have.groups() if have.deduplicated else None)


def _figures(funnel: tuple[Step, ...], ledger: Ledger, rules: Rules | None) -> dict[str, int]:
    """What is compared with the next report."""
    found = {("subset " * step.is_subset) + step.name: step.documents for step in funnel}
    found |= {f"failures: {reason}": number for reason, number in ledger.failures.items()}
    found |= {f"rejected: {rule.reason}": rule.rejected for rule in (rules.rules if rules else ())}
    return found


def _previous(corpus: Corpus, of: str) -> dict[str, Any] | None:
    """The figures of the last report on other units than those that `of` identifies, and what it was of."""
    try:
        last = json.loads(corpus.root.read_bytes(FIGURES))
        found = last["previous"] if last["of"] == of else {key: last[key] for key in ("as_of", "figures")}
        return found if found is None else {"as_of": str(found["as_of"]), "figures": dict(found["figures"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or it is of an earlier release


def plain(value: Any) -> Any:
    """The contents as JSON has them, without the texts of pages."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: plain(one) for key, one in value._asdict().items() if key not in _TEXTS}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(features: tuple[Bounded, ...]) -> str:
    """The features' histograms, a bar a line. The last line of a feature has no upper end."""
    sink = io.StringIO()
    lines = csv.writer(sink, lineterminator="\n")
    lines.writerow(("feature", "from", "below", "pages", "rejected"))
    for one in features:
        for bar in one.bars:
            high = bar.high if math.isfinite(bar.high) else ""
            lines.writerow((one.name, bar.low, high, bar.pages, str(bar.rejected).lower()))
        if one.beyond:
            lines.writerow((one.name, one.bars[-1].high, "", one.beyond, ""))
    return sink.getvalue()


def _configuration(config: Config) -> dict[str, Any]:
    """The configuration. Reports are passed around, so they leave out settings of Spark that are secrets."""
    shown = config.model_dump(mode="json", exclude_none=True, exclude={"monitoring"})  # may hold secret addresses
    sections = {key: value for key, value in shown.items() if value}
    if config.spark:
        sections["spark"] = {key: "(secret)" if _SECRET.search(key) else value for key, value in config.spark.items()}
    return sections
