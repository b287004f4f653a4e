"""What surrounds the work of a command: configuration, lock, Spark session, monitoring, the record of the run, and the
output at its end. Commands that change a corpus use `running`, those that read one `reading`, others `monitored`."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyspark
from pyspark.sql import SparkSession

from swallow_spark import __version__
from swallow_spark.commands.options import DEFAULT_CONFIG, Call, OnCorpus
from swallow_spark.commands.tables import print_json, show_summary
from swallow_spark.config.load import Config, load, remembered
from swallow_spark.corpus.corpus import Corpus, Manifest, check_crawl
from swallow_spark.corpus.integrity import repair
from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import printable, root_cause
from swallow_spark.files.storage import Root, fetch
from swallow_spark.pipeline import STAGES
from swallow_spark.session.metrics import Exporter
from swallow_spark.session.notify import notify
from swallow_spark.session.progress import Progress
from swallow_spark.session.session import check_cluster, open_session
from swallow_spark.stages.run import Run, check_config, refuse_changes
from swallow_spark.tables import InputFile

Register = tuple[str, Callable[[Config], list[InputFile]]]
"""A crawl, and the function that finds its input files."""


@contextmanager
def running(
    call: OnCorpus, *, register: Register | None = None, preset: str | None = None, scores: bool = False
) -> Iterator[Run]:
    """A run that changes the corpus and leaves a record in it. The result is the summary.

    The configuration is checked first, with the models if the run `scores`; inputs are registered under the lock.
    `preset`: the configuration whose rules are used, for this run only.
    """
    if register:
        check_crawl(register[0])
    there = Corpus.open(call.corpus) if not register or Corpus.is_at(call.corpus) else None
    standing = settings = configuration(there, call.config, () if preset else call.overrides)
    if preset:
        settings = with_rules(standing, preset, call.overrides)
    check_config(settings, models=scores)
    inputs = register[1](settings) if register else []
    corpus = there or Corpus.open_or_create(call.corpus)
    started = datetime.now(UTC)
    with (
        monitored(call, settings, corpus, corpus.root) as progress,
        corpus.lock(lambda opened, found: repair(opened, found, register and register[0], STAGES.again, progress.say)),
    ):
        for limit in settings.rules.extremes()[1]:
            progress.say(f"Warning: {limit}")
        run = Run(corpus, settings, progress, STAGES, inputs)
        refuse_changes(run.lineage)
        if register:
            corpus.register(register[0], inputs)
        before = {manifest.id for manifest in _units(corpus)}
        yield run
        summary = summary_of(run)
        of_this_run = [manifest for manifest in _units(corpus) if manifest.id not in before]
        _record(run, standing, call.command, started, summary, of_this_run)
        call.result.update(summary)
        if of_this_run or not call.tables:  # otherwise the funnel is old, and the call's answer is another
            call.show(show_summary, summary, corpus)


@contextmanager
def reading(call: OnCorpus, *, writes: bool = False) -> Iterator[Run]:
    """Work on a corpus without a lock and without a record. `writes`: tasks write into the corpus, so all machines of a
    cluster must see it."""
    corpus = Corpus.open(call.corpus)
    settings = configuration(corpus, call.config, call.overrides)
    with monitored(call, settings, corpus, corpus.root if writes else None) as progress:
        yield Run(corpus, settings, progress, STAGES)


@contextmanager
def monitored(
    call: Call, settings: Config, corpus: Corpus | None = None, written: Root | None = None
) -> Iterator[Progress]:
    """Opens the Spark session when it is first needed, shows the progress, and finally prints what the call has
    collected. The outcome, also a failure, goes to the metrics and to `monitoring.notify`.

    written: where tasks write; all machines of a cluster must see it.
    """
    monitoring = settings.monitoring

    def session() -> SparkSession:
        opened = open_session(f"swallow-spark {call.command}", call.master, settings.spark)
        for problem in check_cluster(opened, str(written.local_path("")) if written and written.is_local else None):
            progress.say(problem)
        return opened

    number = _next_number(corpus) if corpus else 0
    progress = Progress(
        session,
        log=monitoring.log,
        run_id=f"{number:08}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}",
        exporter=Exporter(monitoring.metrics_file, monitoring.metrics_url, call.command),
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
            problems.append(notify(monitoring.notify, outcome))
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


def summary_of(run: Run) -> dict[str, Any]:
    rules, classifiers = run.config.rules, run.config.classifiers
    return summarise(run.corpus, rules.preset, classifiers, run.lineage.fingerprint("cuts"))


def with_rules(settings: Config, preset: str, overrides: Sequence[str] | None) -> Config:
    """The configuration, with the rules of another one."""
    return settings.model_copy(update={"rules": load(preset, overrides or (), fetch).rules})


def configuration(corpus: Corpus | None, name: str | None, overrides: Sequence[str] | None) -> Config:
    """The named configuration, or that of the corpus's last run, or the default."""
    if name or not corpus or not (runs := corpus.root.files("runs", ".json")):
        return load(name or DEFAULT_CONFIG, overrides or (), fetch)
    last = json.loads(corpus.root.read_bytes(runs[-1]))  # the highest number: clocks may step back
    return load(remembered(last, _place(corpus)), overrides or (), fetch)


def _place(corpus: Corpus) -> str:
    return str(corpus.root.local_path("")) if corpus.root.is_local else corpus.root.location


def _next_number(corpus: Corpus) -> int:
    numbers = [re.match(r"runs/(\d{8})-", path) for path in corpus.root.files("runs", ".json")]
    return max((int(number[1]) for number in numbers if number), default=0) + 1


def _units(corpus: Corpus) -> Iterator[Manifest]:
    """All finished units."""
    for directory in STAGES.directories:
        if directory != "report":  # which has no rows
            yield from corpus.manifests(directory)


def _record(
    run: Run, standing: Config, command: str, started: datetime, summary: dict[str, Any], of_this_run: list[Manifest]
) -> None:
    """Writes the run's manifest. `standing`: the configuration for later runs, without the rules of `decide --preset`.
    `of_this_run`: its units."""
    corpus, progress = run.corpus, run.progress
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
        "config": standing.model_dump(mode="json", exclude={"monitoring"}),  # may hold secret addresses
        "summary": summary,
    }
    corpus.root.write_atomically(
        f"runs/{progress.run_id}.json", json.dumps(content, indent=1, ensure_ascii=False).encode()
    )
