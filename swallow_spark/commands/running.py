"""What surrounds the work of a command: configuration, lock, Spark session, monitoring, the record of the run, and the
output at its end. Commands that change a corpus use `running`, those that read one `reading`, others `monitored`."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from swallow_spark import __version__
from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import DEFAULT_CONFIG, Call, OnCorpus, tell
from swallow_spark.commands.tables import print_json, show_summary, show_text_out
from swallow_spark.errors import UsageError, printable, root_cause

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.config import load as configs
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.corpus import integrity
    from swallow_spark.corpus import summary as summaries
    from swallow_spark.files import storage
    from swallow_spark.session import metrics, notify, session
    from swallow_spark.session import progress as progresses
    from swallow_spark.stages import run as runs
    from swallow_spark.stages.score import models
    from swallow_spark.stages.select import standing as subsets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from swallow_spark.config.load import Config
    from swallow_spark.corpus.corpus import Corpus, Manifest, Stored
    from swallow_spark.files.storage import Root
    from swallow_spark.session.progress import Progress
    from swallow_spark.stages.run import Run
    from swallow_spark.tables import InputFile

_SECONDS_BETWEEN_LINES: Final = 5.0

Register = tuple[str, Callable[["Config"], "list[InputFile]"]]
"""A crawl, and the function that finds its input files."""


@contextmanager
def running(
    call: OnCorpus,
    *,
    register: Register | None = None,
    preset: str | None = None,
    scores: bool = False,
    replaces: bool | None = None,
    stands: bool = True,
) -> Iterator["Run"]:
    """A run that changes the corpus and leaves a record in it. The result is the summary.

    The configuration is checked first, with the models if the run `scores`; inputs are registered under the lock.
    `preset`: the configuration whose rules are used, for this run only. `replaces`: whether the user agrees that
    subsets of another configuration go; None: the run writes no subsets. `stands`: whether the configuration becomes
    the corpus's, which later runs take by default.
    """
    if register:
        corpora.check_crawl(register[0])
    there = corpora.Corpus.open(call.corpus) if not register or corpora.Corpus.is_at(call.corpus) else None
    standing = settings = configuration(there, call.config, () if preset else call.overrides)
    if preset:
        settings = with_rules(standing, preset, call.overrides)
    if there and not stands:
        standing = configuration(there, None, ())
    runs.check_config(settings, models=False)
    inputs = register[1](settings) if register else []
    if scores:
        sums = _fetch_unpinned(settings)
        standing, settings = configs.with_sums(standing, sums), configs.with_sums(settings, sums)
        runs.check_config(settings, models=True)  # last: models may have to be fetched
    corpus = there or corpora.Corpus.open_or_create(call.corpus)
    started = datetime.now(UTC)
    with (
        monitored(call, settings, corpus, corpus.root) as progress,
        corpus.lock(partial(_repair, register and register[0], progress)),
    ):
        for limit in settings.rules.extremes()[1]:
            progress.say(f"Warning: {limit}")
        run = runs.Run(corpus, settings, progress, pipeline.STAGES, inputs)
        runs.refuse_changes(run.lineage)
        if replaces is False:
            made, earlier = _made_subsets(corpus)
            subsets.refuse_replacing(run, made, earlier)
        if register:
            corpus.register(register[0], inputs)
        before = {manifest.id for manifest in _units(corpus)}
        yield run
        summary = summary_of(run)
        of_this_run = [manifest for manifest in _units(corpus) if manifest.id not in before]
        _record(run, standing, call.config if stands else None, call.command, started, summary, of_this_run)
        call.result.update(summary)
        if of_this_run or not call.tables:  # otherwise the funnel is old, and the call's answer is another
            call.show(show_summary, summary, corpus)
        if "export" not in call.result and not preset:  # of a run's own preset, `export` would not give the pages
            call.show(show_text_out, summary, corpus)


def _repair(crawl: str | None, progress: "Progress", corpus: "Corpus", found: "Stored") -> None:
    integrity.repair(corpus, found, crawl, pipeline.STAGES.again, progress.say)


@contextmanager
def reading(call: OnCorpus, *, writes: bool = False) -> Iterator["Run"]:
    """Work on a corpus without a lock and without a record. `writes`: tasks write into the corpus, so all machines of a
    cluster must see it."""
    corpus = corpora.Corpus.open(call.corpus)
    settings = configuration(corpus, call.config, call.overrides)
    with monitored(call, settings, corpus, corpus.root if writes else None) as progress:
        yield runs.Run(corpus, settings, progress, pipeline.STAGES)


@contextmanager
def monitored(
    call: Call, settings: "Config", corpus: "Corpus | None" = None, written: "Root | None" = None
) -> Iterator["Progress"]:
    """Opens the Spark session when it is first needed, shows the progress, and finally prints what the call has
    collected. The outcome, also a failure, goes to the metrics and to `monitoring.notify`.

    written: where tasks write; all machines of a cluster must see it.
    """
    monitoring = settings.monitoring

    def opened() -> "SparkSession":
        spark = session.open_session(f"swallow-spark {call.command}", call.master, settings.spark)
        shared = str(written.local_path("")) if written and written.is_local else None
        for problem in session.check_cluster(spark, shared):
            progress.say(problem)
        return spark

    number = _next_number(corpus) if corpus else 0
    progress = progresses.Progress(
        opened,
        log=monitoring.log,
        run_id=f"{number:08}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}",
        exporter=metrics.Exporter(monitoring.metrics_file, monitoring.metrics_url, call.command),
    )
    outcome: dict[str, Any] = {"run": progress.run_id, "command": call.command, "status": "failed"}
    if corpus:
        outcome["corpus"] = corpus.root.location
    try:
        yield progress
        outcome["status"] = "done"
        if call.result:
            outcome["summary"] = call.result
    except KeyboardInterrupt:
        outcome["status"] = "stopped"
        raise
    except Exception as error:
        outcome["error"] = printable(root_cause(error))
        if monitoring.log == "json":
            progress.say(f"{call.command}: failed", error=outcome["error"])
        raise
    finally:
        problems = [progress.tell_end(failed=outcome["status"] == "failed")]
        if monitoring.notify:
            problems.append(notify.notify(monitoring.notify, outcome))
        for problem in filter(None, problems):
            progress.say(problem)
    if call.as_json and call.result:
        print_json(call.result)
    if monitoring.log == "json":
        progress.say(f"{call.command}: done", summary=call.result)
    else:
        for table in call.tables:
            table(progress.console)
    progress.tell_seconds()


def _fetch_unpinned(settings: "Config") -> dict[str, str]:
    """Fetches the models at URLs whose sha256 is not known; classifier -> sha256 of what came."""
    sums: dict[str, str] = {}
    for name, classifier in configs.unpinned(settings).items():
        url, told = str(classifier.path), time.monotonic()
        tell(f"classifiers.{name}: fetching {url}")

        def tell_size(size: int, name: str = name) -> None:
            nonlocal told
            if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                tell(f"classifiers.{name}: {size / 1e6:,.0f} MB fetched")

        found = models.fetch_model(url, tell=tell_size)
        sums[name] = found.name
        tell(
            f"classifiers.{name}: fetched {found.stat().st_size:,} bytes with sha256 {found.name}. This corpus keeps "
            f'to that file; for others, write sha256 = "{found.name}" into the configuration.'
        )
    return sums


def summary_of(run: "Run") -> dict[str, Any]:
    rules, classifiers = run.config.rules, run.config.classifiers
    return summaries.summarise(run.corpus, rules.preset, classifiers, run.lineage.fingerprint("cuts"))


def with_rules(settings: "Config", preset: str, overrides: Sequence[str] | None) -> "Config":
    """The configuration, with the rules of another one."""
    return settings.model_copy(update={"rules": configs.load(preset, overrides or (), storage.fetch).rules})


def configuration(corpus: "Corpus | None", name: str | None, overrides: Sequence[str] | None) -> "Config":
    """The named configuration, or that of the corpus's last run, or the default."""
    last = next(_records(corpus), None) if corpus else None
    if not corpus or not last:
        return configs.load(name or DEFAULT_CONFIG, overrides or (), storage.fetch)
    if not name:
        return configs.load(configs.remembered(last, _place(corpus)), overrides or (), storage.fetch)
    return configs.pinned(configs.load(name, overrides or (), storage.fetch), last)


def _records(corpus: "Corpus") -> Iterator[dict[str, Any]]:
    """The records of the corpus's runs, the last one first: that of the highest number, since clocks may step back."""
    for path in reversed(corpus.root.files("runs", ".json")):
        yield json.loads(corpus.root.read_bytes(path))


def _made_subsets(corpus: "Corpus") -> tuple[dict[str, Any] | None, "Config | None"]:
    """The record of the last run that wrote subsets, and its configuration; None where it can't be known."""
    made = next((record for record in _records(corpus) if "select" in record.get("written", ())), None)
    try:
        return made, configs.load(configs.remembered(made, _place(corpus)), (), storage.fetch) if made else None
    except UsageError:  # a file that it names is gone, or this release doesn't know a key
        return made, None


def _place(corpus: "Corpus") -> str:
    return str(corpus.root.local_path("")) if corpus.root.is_local else corpus.root.location


def _next_number(corpus: "Corpus") -> int:
    numbers = [re.match(r"runs/(\d{8})-", path) for path in corpus.root.files("runs", ".json")]
    return max((int(number[1]) for number in numbers if number), default=0) + 1


def _units(corpus: "Corpus") -> Iterator["Manifest"]:
    """All finished units."""
    for directory in pipeline.STAGES.directories:
        if directory != "report":  # which has no rows
            yield from corpus.manifests(directory)


def _record(
    run: "Run",
    standing: "Config",
    name: str | None,
    command: str,
    started: datetime,
    summary: dict[str, Any],
    of_this_run: "list[Manifest]",
) -> None:
    """Writes the run's manifest. `standing`: the configuration for later runs, without the rules of `decide --preset`;
    `name`: its name, if it was given now. `of_this_run`: its units."""
    import pyspark

    corpus, progress = run.corpus, run.progress
    last = {} if name else next(_records(corpus), {})
    python: dict[str, float] = {}
    written: dict[str, dict[str, int]] = {}
    for manifest in of_this_run:
        python[manifest.stage] = round(python.get(manifest.stage, 0) + manifest.cpu_seconds, 3)
        sums = written.setdefault(manifest.stage, {"units": 0, "rows": 0, "bytes": 0})
        sums["units"] += 1
        sums["rows"] += sum(file.rows for file in manifest.files)
        sums["bytes"] += sum(file.bytes for file in manifest.files)
    content = {
        "command": command,
        "version": __version__,
        "spark": pyspark.__version__,
        "started": started.isoformat(),
        "finished": datetime.now(UTC).isoformat(),
        "crawls": sorted(corpus.crawls().values()),
        "seconds": progress.seconds,
        "resources": progress.resources,
        "python_cpu_seconds": python,
        "written": written,
        "corpus": _place(corpus),
        "models": {name: classifier.content for name, classifier in standing.classifiers.items()},
        "config_name": name or last.get("config_name") or (None if last else DEFAULT_CONFIG),
        "config": standing.model_dump(mode="json", exclude={"monitoring"}),  # may hold secret addresses
        "summary": summary,
    }
    corpus.root.write_atomically(
        f"runs/{progress.run_id}.json", json.dumps(content, indent=1, ensure_ascii=False).encode()
    )
