"""A new crawl each month: one command for schedulers."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import (
    BaseUrlOption,
    ConfigOption,
    CorpusOption,
    FilesOption,
    HostsOption,
    IndexOption,
    MasterOption,
    SetOption,
    UrlsOption,
    print_json,
)
from swallow_spark.commands.running import configuration, running
from swallow_spark.commands.selection import as_override
from swallow_spark.commands.stages import selection_of, warcs, with_base_url
from swallow_spark.commands.tables import show_change
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import InputError, UsageError, printable, root_cause
from swallow_spark.files.storage import fetch
from swallow_spark.report.change import change
from swallow_spark.stages.select.step import thresholds

app = typer.Typer()

_CRAWL: Final = re.compile(r"CC-MAIN-\d{4}-\d{2}", re.ASCII)


@app.command("add-crawl")
def add_crawl(
    crawl: Annotated[str, typer.Argument(metavar="CRAWL", help="CC-MAIN-YYYY-WW, or latest.", show_default=False)],
    corpus: CorpusOption,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    files: FilesOption = None,
    index: IndexOption = None,
    hosts: HostsOption = None,
    urls: UrlsOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
) -> None:
    """All that a new crawl of Common Crawl needs: build, with the scores that the corpus's subsets have had as the bar,
    and a report of what has changed. Again: nothing, or what is missing. The last line on standard output is a JSON
    object, whatever happens."""
    outcome: dict[str, Any] = {"status": "failed", "crawl": crawl}
    try:
        overrides = with_base_url([*_standing_thresholds(corpus, set_ or ()), *(set_ or ())], base_url)
        name = outcome["crawl"] = _latest(corpus, config, overrides) if crawl == "latest" else crawl
        if not _CRAWL.fullmatch(name):
            raise UsageError(f"add-crawl {name}: write CC-MAIN-YYYY-WW, or latest")
        register = warcs(name, [f"cc:{name}"], files)
        with running("add-crawl", corpus, config, overrides, master, False, register=register, scores=True) as run:
            pipeline.build(run, name, selection_of(index, hosts, urls))
            settings = run.config
            outcome["summary"] = summarise(
                run.corpus, settings.rules.preset, settings.classifiers, run.lineage.fingerprint("cuts")
            )
            found = change(run.corpus, outcome["summary"])
            outcome["change"] = {step: list(numbers) for step, numbers in found.documents.items()} if found else None
            if found:
                show_change(found, run.progress.console)
        outcome["status"] = "done"
    except KeyboardInterrupt:
        outcome["status"] = "stopped"
        raise
    except Exception as error:
        outcome["error"] = printable(root_cause(error))
        raise
    finally:
        print_json(outcome)


def _standing_thresholds(location: str, overrides: Sequence[str]) -> list[str]:
    """The scores that the corpus's bands begin at, as the bar for the new crawl's pages, unless the user sets one. They
    are those of the cuts: the file that tells them is gone while subsets are written."""
    if not Corpus.is_at(location) or any(entry.startswith("selection.thresholds") for entry in overrides):
        return []
    cuts = Corpus.open(location).manifest(Unit("select", "cuts"))
    if not cuts or not all(cut["classifier"] and cut["lower"] for cut in cuts.details["cuts"]):
        return []  # ranks have no meaning beyond the pages that they were given to
    return [as_override(json.dumps(thresholds(cuts)).encode())]


def _latest(location: str, config: str | None, overrides: list[str]) -> str:
    """The newest crawl on Common Crawl's list. Raises InputError where that can't be read."""
    there = Corpus.open(location) if Corpus.is_at(location) else None
    url = configuration(there, config, overrides).ingest.crawls_url
    try:
        names = [entry["id"] for entry in json.loads(fetch(url))]
        return str(max(name for name in names if _CRAWL.fullmatch(name)))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{url}: not Common Crawl's list of its crawls: {error}") from None
