"""What a build would take: files, bytes, hours, disk, shuffle and cost."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import OnCorpus
from swallow_spark.commands.running import Register, configuration
from swallow_spark.commands.tables import print_line, print_result, print_table, size

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.config import load as configs
    from swallow_spark.corpus import corpus as corpora
    from swallow_spark.files import storage
    from swallow_spark.stages import estimate as estimates
    from swallow_spark.stages import run as runs

if TYPE_CHECKING:
    from swallow_spark.corpus.corpus import Corpus

_DISK: Final = {
    "tables": "tables of the new pages",
    "between_passes": "between passes of dedup (temporary)",
    "exchanged_at_once": "shuffle's disk at a time",
    "exchanged": "shuffled in total",
}


def dry_run(call: OnCorpus, register: Register, price: float | None, until: str) -> None:
    """Prints what the call would take. Measures this machine for ten seconds, and writes nothing."""
    corpora.check_crawl(register[0])
    corpus = corpora.Corpus.open(call.corpus) if corpora.Corpus.is_at(call.corpus) else None
    if not corpus:
        corpora.Corpus.check_new(call.corpus)
    config = configuration(corpus, call.config, call.overrides)
    runs.check_config(config, models=False)
    inputs = register[1](config)
    crawl = register[0]
    done = _done(corpus, crawl)
    new = [file for file in inputs if file.key not in done]
    own = [Path(file.path) for file in new if Path(file.path).is_file()] if all(f.bytes >= 0 for f in new) else []
    files = own or sorted(configs.demo_pages().glob("*.warc.gz"))
    typer.echo(f"Measuring this machine for ten seconds, on {files[0] if own else 'the pages of `demo`'}", err=True)
    before = sum(batch.rows("pages") for batch in corpus.manifests("ingest")) if corpus else 0
    found = estimates.estimate(config, pipeline.STAGES, files, [file.bytes for file in new], before)
    ends = {pipeline.STAGES[stage].end for stage in pipeline.STAGES.needed(until)}
    found["core_hours"] = {stage: value for stage, value in found["core_hours"].items() if stage in ends}
    hours = sum(value or 0 for value in found["core_hours"].values())
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    result: dict[str, Any] = {
        "crawl": crawl,
        "files": len(new),
        "files_done": len(inputs) - len(new),
        **found,
        "cores": cores,
        "hours": hours / cores,
        "free": _free(call.corpus),
        "measured_on": "inputs" if own else "demo",
    }
    if price is not None:
        result["cost"] = hours * price
    print_result(result, call.as_json, show)


def _done(corpus: "Corpus | None", crawl: str) -> set[str]:
    """The keys of the crawl's files that the corpus has read."""
    if not corpus or crawl not in corpus.crawls().values():
        return set()
    pending = {file.file_no for file in corpus.pending(crawl)}
    return {file.key for file in corpus.inputs(crawl) if file.file_no not in pending}


def _free(location: str) -> int | None:
    """Free bytes where the corpus is or will be; None for an object store."""
    root = storage.Root(location)
    if not root.is_local:
        return None
    place = Path(root.local_path("")).absolute()
    return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free


def show(console: Console, result: dict[str, Any]) -> None:
    """The result for people."""
    said = f"{result['crawl']}: {result['files']:,} files to read, {size(result['bytes'])}"
    if result["files_of_assumed_size"]:
        said += f" ({result['files_of_assumed_size']:,} of them taken as 1 GB each, as Common Crawl's are)"
    if result["files_done"]:
        said += f"; {result['files_done']:,} are read already"
    print_line(console, said)
    print_line(console, f"About {result['pages']:,} Japanese pages, beside {result['pages_before']:,} in the corpus")
    cores, hours = result["cores"], result["core_hours"]
    rows = [
        (name, "model not on this machine", "") if value is None else (name, _time(value), _time(value / cores))
        for name, value in {**hours, "all": sum(value or 0 for value in hours.values())}.items()
    ]
    print_table(console, ("stage", "core time", f"on {cores} cores"), rows)
    print_table(console, ("disk", "size"), [(_DISK[name], size(value)) for name, value in result["disk"].items()])
    disk = result["disk"]
    needed = disk["tables"] + disk["between_passes"]
    if result["free"] is not None:
        enough = "enough" if result["free"] > needed else "NOT ENOUGH"
        print_line(console, f"Free at the corpus: {size(result['free'])}, {enough} for {size(needed)} of tables")
    if "cost" in result:
        print_line(console, f"Cost, by the price of a core-hour: {result['cost']:,.2f}")
    print_line(
        console,
        "Not counted: the network, `decide`, `select`, the report, the start of Spark. Scoring is counted as if the "
        "rules accepted all pages. Dedup's time is that of docs/scaling.md; the rest was measured now.",
    )


def _time(hours: float) -> str:
    for unit, name in ((1, "h"), (1 / 60, "min")):
        if hours >= unit:
            return f"{hours / unit:,.1f} {name}"
    return f"{hours * 3600:.1f} s"
