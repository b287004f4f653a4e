"""What is in a corpus, and what a run would do, from the manifests alone."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, SetOption, command
from swallow_spark.commands.running import configuration
from swallow_spark.commands.tables import print_line, print_result, print_table, size
from swallow_spark.errors import CorpusError

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.corpus import lock
    from swallow_spark.report import state
    from swallow_spark.stages import run as runs
    from swallow_spark.stages import stage as declared

if TYPE_CHECKING:
    from swallow_spark.corpus.corpus import Corpus
    from swallow_spark.stages.stage import Lineage


@command("status", "Look at a corpus", "--corpus my-corpus")
def status(
    corpus: CorpusOption, config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show what is in a corpus, and what `build` would do now. Shows its crawls, the sizes of its tables, and the state
    of each stage; with another --config or --set, what would change. Needs no Spark."""
    opened = corpora.Corpus.open(corpus)
    opened = opened.as_found(opened.stored())
    print_result(
        found(opened, declared.Lineage(pipeline.STAGES, configuration(opened, config, set_), opened)), as_json, show
    )


def found(corpus: "Corpus", lineage: "Lineage") -> dict[str, Any]:
    """The result of `status --json`."""
    crawls = [_crawl(corpus, name) for name in corpus.crawls().values()]
    pending = {crawl["name"]: crawl["files"] - crawl["files_done"] for crawl in crawls}
    stages = state.stages(lineage, sum(pending.values()))
    refused = None
    try:
        runs.refuse_changes(lineage)
    except CorpusError as error:
        refused = str(error)
    return {
        "corpus": corpus.root.location,
        "held_by": lock.holder(corpus.root),
        "preset": lineage.config.rules.preset,
        "crawls": crawls,
        "tables": _tables(corpus),
        "stages": [
            {"stage": one.name, "state": one.state, "units": one.units, "finished": one.finished} for one in stages
        ],
        "to_do": [f"read {number:,} files of {name}" for name, number in pending.items() if number]
        + [f"{one.name} ({one.state})" for one in stages if one.state != "done" and one.name != "ingest"],
        "refused": refused,
    }


def _crawl(corpus: "Corpus", name: str) -> dict[str, Any]:
    batches = corpus.manifests("ingest", f"crawl={name}/")
    inputs = corpus.inputs(name)
    return {
        "name": name,
        "files": len(inputs),
        "files_done": len(inputs) - len(corpus.pending(name)),
        "pages": sum(batch.rows("pages") for batch in batches),
        "characters": sum(batch.counts.get("chars", 0) for batch in batches),
        "finished": max((f"{batch.finished:%Y-%m-%d %H:%M}" for batch in batches), default=""),
    }


def _tables(corpus: "Corpus") -> dict[str, dict[str, int]]:
    """table -> its rows and bytes, of finished units."""
    rows, sizes = Counter[str](), Counter[str]()
    for directory in pipeline.STAGES.directories:
        for manifest in corpus.manifests(directory):
            for file in manifest.files:
                rows[file.table] += file.rows
                sizes[file.table] += file.bytes
    return {table: {"rows": rows[table], "bytes": sizes[table]} for table in sorted(rows)}


def show(console: Console, result: dict[str, Any]) -> None:
    """The result for people."""
    crawls = [
        (one["name"], f"{one['files_done']:,} of {one['files']:,}", one["pages"], one["characters"], one["finished"])
        for one in result["crawls"]
    ]
    print_table(console, ("crawl", "files read", "pages", "characters", "last read"), crawls, result["corpus"])
    tables = [(name, of["rows"], size(of["bytes"])) for name, of in result["tables"].items()]
    all_bytes = sum(of["bytes"] for of in result["tables"].values())
    print_table(console, ("table", "rows", "size"), [*tables, ("all", None, size(all_bytes))])
    stages = [(one["stage"], one["state"], one["units"], one["finished"]) for one in result["stages"]]
    print_table(console, ("stage", "state", "units", "finished"), stages, f"Rules: {result['preset']}")
    if result["held_by"]:
        print_line(console, f"In use: the lock is held by {result['held_by']}")
    if result["refused"]:
        print_line(console, f"`build` would refuse: {result['refused']}")
    else:
        print_line(console, f"`build` would now: {', '.join(result['to_do']) or 'do nothing, all is done'}")
