"""Adding each month's crawl: one command for schedulers."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import OnCorpus, ReplaceOption, command
from swallow_spark.commands.running import configuration, running, summary_of
from swallow_spark.commands.selection import as_override
from swallow_spark.commands.stages import OnWarcs
from swallow_spark.commands.tables import print_json, show_change
from swallow_spark.errors import InputError, UsageError, printable, root_cause

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.files import storage
    from swallow_spark.report import change as changes
    from swallow_spark.stages.select import step as selecting

_CRAWL: Final = re.compile(r"CC-MAIN-\d{4}-\d{2}", re.ASCII)


@command("add-crawl", "Build a corpus", "latest --corpus my-corpus")
def add_crawl(
    call: OnWarcs,
    crawl: Annotated[str, typer.Argument(metavar="CRAWL", help="CC-MAIN-YYYY-WW, or latest.", show_default=False)],
    replace_: ReplaceOption = False,
) -> None:
    """Add a crawl of Common Crawl to a corpus. Builds it with the top-k thresholds of the corpus, and reports what has
    changed. Run again, it does what is missing, or nothing. The last line on standard output is a JSON object, even if
    the command fails."""
    outcome: dict[str, Any] = {"status": "failed", "crawl": crawl}
    try:
        thresholds = _standing_thresholds(call.corpus, call.overrides or ())
        call = replace(call, overrides=[*thresholds, *(call.overrides or ())], as_json=False).with_base_url()
        name = outcome["crawl"] = _latest(call) if crawl == "latest" else crawl
        if not _CRAWL.fullmatch(name):
            raise UsageError(f"add-crawl {name}: give CC-MAIN-YYYY-WW or latest")
        selection, register = call.selection(), call.warcs(name, [f"cc:{name}"])
        with running(call, register=register, scores=True, replaces=replace_) as run:
            pipeline.build(run, name, selection)
            outcome["summary"] = summary_of(run)
            found = changes.change(run.corpus, outcome["summary"])
            outcome["change"] = {step: list(numbers) for step, numbers in found.documents.items()} if found else None
            if found:
                call.show(show_change, found)
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
    """The corpus's score thresholds of its top-k bands, as overrides for the new crawl, unless the user sets some. Read
    from the cuts: thresholds.json is deleted while subsets are written."""
    if not corpora.Corpus.is_at(location) or any(entry.startswith("selection.thresholds") for entry in overrides):
        return []
    cuts = corpora.Corpus.open(location).manifest(corpora.Unit("select", "cuts"))
    if not cuts or not all(cut["classifier"] and cut["lower"] for cut in cuts.details["cuts"]):
        return []  # ranks mean nothing for other pages
    return [as_override(json.dumps(selecting.thresholds(cuts)).encode())]


def _latest(call: OnCorpus) -> str:
    """The newest crawl on Common Crawl's list. Raises InputError if that can't be read."""
    there = corpora.Corpus.open(call.corpus) if corpora.Corpus.is_at(call.corpus) else None
    url = configuration(there, call.config, call.overrides).ingest.crawls_url
    try:
        names = [entry["id"] for entry in json.loads(storage.fetch(url))]
        return str(max(name for name in names if _CRAWL.fullmatch(name)))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{url}: not Common Crawl's list of its crawls: {error}") from None
