"""Permanent removal of pages on request."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import OnCorpus, OverwriteOption, command, option, refuse_existing
from swallow_spark.commands.running import running
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark.files import storage
    from swallow_spark.stages.remove import lists
    from swallow_spark.stages.remove import step as removing

if TYPE_CHECKING:
    from swallow_spark.kernels.text.tombstones import Kind


@command("remove", "Upkeep", "--corpus my-corpus --urls urls.txt")
def remove(
    call: OnCorpus,
    urls: Annotated[list[str] | None, option("--urls", "FILE", "URLs, one per line; repeatable.")] = None,
    hosts: Annotated[
        list[str] | None, option("--hosts", "FILE", "Hosts, one per line, with subdomains; repeatable.")
    ] = None,
    duplicates: Annotated[
        str | None,
        option(
            "--duplicates",
            "FILE",
            "Write the pages with the text of a removed page to this JSONL file; may be given alone.",
        ),
    ] = None,
    replace: OverwriteOption = False,
) -> None:
    """Remove pages by URL or host. Later ingests skip them, and subsets are written without them."""
    if not urls and not hosts and not duplicates:
        raise UsageError("remove: give --urls or --hosts; or --duplicates alone, to list those of earlier removals")
    if duplicates and ("://" in duplicates or not Path(duplicates).absolute().parent.is_dir()):
        raise UsageError(f"--duplicates {duplicates}: give a file in an existing directory of this machine")
    if duplicates:
        refuse_existing("--duplicates", duplicates, replace)
    listed: dict[Kind, list[str]] = {
        "url": [url for name in urls or () for url in lists.parse("url", storage.fetch(name))],
        "host": [host for name in hosts or () for host in lists.parse("host", storage.fetch(name))],
    }
    with running(call) as run:
        found = removing.remove(run, listed)
        if duplicates:
            removing.write_duplicates(run.corpus, duplicates)
        call.result["removal"] = found
        run.progress.say(_said(found))


def _said(found: dict[str, int]) -> str:
    return (
        f"{found['urls_added']:,} URLs and {found['hosts_added']:,} hosts added, {found['urls']:,} and "
        f"{found['hosts']:,} in all; they match {found['pages']:,} pages, and {found['duplicates']:,} more have the "
        "same text (--duplicates FILE lists them)"
    )
