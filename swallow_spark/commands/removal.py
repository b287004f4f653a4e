"""Taking pages out of a corpus for good, on request."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, MasterOption, SetOption
from swallow_spark.commands.running import running
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import fetch
from swallow_spark.kernels.text.tombstones import Kind
from swallow_spark.stages.remove.lists import parse
from swallow_spark.stages.remove.step import remove as remove_pages
from swallow_spark.stages.remove.step import write_duplicates

app = typer.Typer()


@app.command()
def remove(
    corpus: CorpusOption,
    urls: Annotated[
        list[str] | None, typer.Option("--urls", metavar="FILE", help="A list of URLs, one a line; repeatable.")
    ] = None,
    hosts: Annotated[
        list[str] | None, typer.Option("--hosts", metavar="FILE", help="A list of hosts, with all below them.")
    ] = None,
    duplicates: Annotated[
        str | None,
        typer.Option(
            "--duplicates",
            metavar="FILE",
            help="Where to list the pages that have the text of removed ones, as JSON lines; may be given alone.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Removes pages by URL or host: later ingests pass them over, and subsets are written without them."""
    if not urls and not hosts and not duplicates:
        raise UsageError("remove: give --urls, --hosts or both; or --duplicates alone, to list what was found before")
    if duplicates and ("://" in duplicates or not Path(duplicates).absolute().parent.is_dir()):
        raise UsageError(f"--duplicates {duplicates}: the directory must be there, on this machine")
    listed: dict[Kind, list[str]] = {
        "url": [url for name in urls or () for url in parse("url", fetch(name))],
        "host": [host for name in hosts or () for host in parse("host", fetch(name))],
    }
    also: dict[str, Any] = {}
    with running("remove", corpus, config, set_, master, as_json, also=also) as run:
        also["removal"] = remove_pages(run, listed)
        if duplicates:
            write_duplicates(run.corpus, duplicates)
        run.progress.say(_told(also["removal"]))


def _told(found: dict[str, int]) -> str:
    return (
        f"{found['urls_added']:,} URLs and {found['hosts_added']:,} hosts added: {found['urls']:,} and "
        f"{found['hosts']:,} now; {found['pages']:,} pages lie under them, and {found['duplicates']:,} more have their "
        "text (--duplicates FILE lists them)"
    )
