"""Around a command that works on a corpus: checks, lock, session, summary, the run's manifest."""

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
from swallow_spark.commands.options import DEFAULT_CONFIG, print_json
from swallow_spark.commands.tables import show_summary
from swallow_spark.config.load import Config, load
from swallow_spark.corpus.corpus import Corpus, Manifest, check_crawl
from swallow_spark.corpus.integrity import repair
from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import printable, root_cause
from swallow_spark.files.storage import fetch
from swallow_spark.pipeline import STAGES
from swallow_spark.session.metrics import Exporter
from swallow_spark.session.notify import notify
from swallow_spark.session.progress import Progress
from swallow_spark.session.session import check_cluster, open_session
from swallow_spark.stages.run import Run, check_config, refuse_changes
from swallow_spark.tables import InputFile


@contextmanager
def running(
    command: str,
    location: str,
    config: str | None,
    overrides: list[str] | None,
    master: str | None,
    as_json: bool,
    register: tuple[str, Callable[[Config], list[InputFile]]] | None = None,
    preset: str | None = None,
    also: dict[str, Any] | None = None,
    scores: bool = False,
) -> Iterator[Run]:
    """Everything around a step: checks first, of the models too if it `scores`; then the lock, the session, and at the
    end the summary, and what the step has put into `also`. Where the configuration says so, whoever waits is told how
    it ended."""
    if register:
        check_crawl(register[0])
    there = Corpus.open(location) if not register or Corpus.is_at(location) else None
    standing = settings = configuration(there, config, () if preset else overrides)
    if preset:
        settings = with_rules(standing, preset, overrides)
    check_config(settings, models=scores)
    inputs = register[1](settings) if register else []
    corpus = there or Corpus.open_or_create(location)
    started = datetime.now(UTC)
    run_id = f"{_next_number(corpus):08}-{started:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    monitoring = settings.monitoring

    def session() -> SparkSession:
        opened = open_session(f"swallow-spark {command}", master, settings.spark)
        for problem in check_cluster(opened, str(corpus.root.local_path("")) if corpus.root.is_local else None):
            progress.say(problem)
        return opened

    progress = Progress(
        session,
        log=monitoring.log,
        run_id=run_id,
        exporter=Exporter(monitoring.metrics_file, monitoring.metrics_url, command),
    )
    with (
        _telling(command, location, run_id, settings, progress) as outcome,
        corpus.lock(lambda opened, found: repair(opened, found, register and register[0], STAGES.again, progress.say)),
    ):
        run = Run(corpus, settings, progress, STAGES, inputs)
        refuse_changes(run.lineage)
        if register:
            corpus.register(register[0], inputs)
        before = {manifest.id for manifest in _units(corpus)}
        yield run
        summary = summarise(corpus, settings.rules.preset, settings.classifiers, run.lineage.fingerprint("cuts"))
        of_this_run = [manifest for manifest in _units(corpus) if manifest.id not in before]
        _record(run, standing, run_id, command, started, summary, of_this_run)
        outcome["summary"] = summary
    if as_json:
        print_json({**summary, **(also or {})})
    if also is not None:
        also.update(summary)
    if monitoring.log == "json":
        progress.say(f"{command}: done", summary=summary)
    else:
        show_summary(summary, corpus, progress.console)
    progress.tell_seconds()


@contextmanager
def _telling(
    command: str, location: str, run_id: str, settings: Config, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Tells how a run has ended, well or not, to `monitoring.notify` and in the metrics."""
    outcome: dict[str, Any] = {"run": run_id, "command": command, "corpus": location, "status": "failed"}
    try:
        yield outcome
        outcome["status"] = "done"
    except KeyboardInterrupt:
        outcome["status"] = "stopped"
        raise
    except Exception as error:
        outcome["error"] = printable(root_cause(error))
        if settings.monitoring.log == "json":
            progress.say(f"{command}: failed", error=outcome["error"])
        raise
    finally:
        problems = [progress.tell_end(failed=outcome["status"] == "failed")]
        if target := settings.monitoring.notify:
            problems.append(notify(target, outcome))
        for problem in filter(None, problems):
            progress.say(problem)


def with_rules(settings: Config, preset: str, overrides: Sequence[str] | None) -> Config:
    """The configuration with the rules of another one."""
    return settings.model_copy(update={"rules": load(preset, overrides or (), fetch).rules})


def configuration(corpus: Corpus | None, name: str | None, overrides: Sequence[str] | None) -> Config:
    """The configuration asked for, else that of the corpus's last run, else the default."""
    runs = corpus.root.files("runs", ".json") if corpus else []
    if name or not corpus or not runs:
        return load(name or DEFAULT_CONFIG, overrides or (), fetch)
    last = json.loads(corpus.root.read_bytes(runs[-1]))["config"]  # by number: clocks may step back
    return load(last, overrides or (), fetch)


def _next_number(corpus: Corpus) -> int:
    numbers = [re.match(r"runs/(\d{8})-", path) for path in corpus.root.files("runs", ".json")]
    return max((int(number[1]) for number in numbers if number), default=0) + 1


def _units(corpus: Corpus) -> Iterator[Manifest]:
    """All finished units."""
    for directory in STAGES.directories:
        yield from corpus.manifests(directory)


def _record(
    run: Run,
    standing: Config,
    run_id: str,
    command: str,
    started: datetime,
    summary: dict[str, Any],
    of_this_run: Sequence[Manifest],
) -> None:
    """Writes the run's manifest. `standing`: the configuration that later runs go on with; rules that were only tried
    (`decide --preset`) are no part of it. `of_this_run`: its units."""
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
        "config": standing.model_dump(mode="json", exclude={"monitoring"}),  # whose addresses may be secrets
        "summary": summary,
    }
    corpus.root.write_atomically(f"runs/{run_id}.json", json.dumps(content, indent=1, ensure_ascii=False).encode())
