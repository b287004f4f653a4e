"""Around a command that works on a corpus: checks, lock, session, summary, the run's manifest."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyspark

from swallow_spark import __version__
from swallow_spark.commands.options import DEFAULT_CONFIG, print_json
from swallow_spark.config import Config, load
from swallow_spark.corpus import Corpus, check_crawl
from swallow_spark.progress import Progress
from swallow_spark.report.summary import summarise
from swallow_spark.report.tables import show_summary
from swallow_spark.session import open_session
from swallow_spark.steps.run import Run, check_config
from swallow_spark.storage import fetch
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
) -> Iterator[Run]:
    """Everything around a step: checks first, then the lock, the session, and at the end the summary, and what the step
    has put into `also`."""
    if register:
        check_crawl(register[0])
    there = Corpus.open(location) if not register or Corpus.is_at(location) else None
    settings = configuration(there, config, () if preset else overrides)
    if preset:
        settings = with_rules(settings, preset, overrides)
    check_config(settings, there)
    inputs = register[1](settings) if register else []
    corpus = there or Corpus.open_or_create(location)
    started = datetime.now(UTC)
    with corpus.lock():
        if register:
            corpus.register(register[0], inputs)
        progress = Progress(lambda: open_session(f"swallow-spark {command}", master, settings.spark))
        run = Run(corpus, settings, progress, inputs)
        yield run
        summary = summarise(corpus, settings.rules.preset, settings.classifiers, run.lineage.prints.select)
        _record(run, command, started, summary)
    if as_json:
        print_json({**summary, **(also or {})})
    show_summary(summary, corpus, progress.console)


def with_rules(settings: Config, preset: str, overrides: Sequence[str] | None) -> Config:
    """The configuration with the rules of another one."""
    return settings.model_copy(update={"rules": load(preset, overrides or (), fetch).rules})


def configuration(corpus: Corpus | None, name: str | None, overrides: Sequence[str] | None) -> Config:
    """The configuration asked for, else that of the corpus's last run, else the default."""
    runs = corpus.root.files("runs", ".json") if corpus else []
    if name or not corpus or not runs:
        return load(name or DEFAULT_CONFIG, overrides or (), fetch)
    last = json.loads(corpus.root.read_bytes(runs[-1]))["config"]
    return load(last, overrides or (), fetch)


def _record(run: Run, command: str, started: datetime, summary: dict[str, Any]) -> None:
    """Writes the run's manifest."""
    manifest = {
        "command": command,
        "version": __version__,
        "spark": pyspark.__version__,
        "started": started.isoformat(),
        "finished": datetime.now(UTC).isoformat(),
        "seconds": run.progress.seconds,
        "config": run.config.model_dump(mode="json"),
        "summary": summary,
    }
    content = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    run.corpus.root.write_atomically(f"runs/{started:%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}.json", content)
