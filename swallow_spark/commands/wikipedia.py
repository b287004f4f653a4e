"""Training text from Wikipedia."""

from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands.options import Call, command
from swallow_spark.commands.running import configuration, monitored
from swallow_spark.commands.tables import show_values
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import Root
from swallow_spark.training.wikipedia.step import Dump, check, read_categories, write_positives


@command("wiki-positives")
def wiki_positives(
    call: Call,
    pages: Annotated[
        Path,
        typer.Option("--pages", metavar="FILE", help="pages-articles .xml.bz2, or .parquet: text, title, categories."),
    ],
    categories: Annotated[Path, typer.Option("--categories", metavar="FILE", help="Root categories, one per line.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="New directory or URI for the Parquet files.")],
    categorylinks: Annotated[
        Path | None, typer.Option("--categorylinks", metavar="FILE", help="The dump's categorylinks .sql.gz.")
    ] = None,
    linktarget: Annotated[
        Path | None, typer.Option("--linktarget", metavar="FILE", help="The dump's linktarget .sql.gz (from 2025 on).")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", metavar="N", min=0, max=20, help="Levels of subcategories.")] = 0,
    min_chars: Annotated[int, typer.Option("--min-chars", metavar="N", min=1, help="Skip shorter articles.")] = 200,
) -> None:
    """Write Wikipedia articles as positive training examples. Takes those of given categories, for the wiki task."""
    dump = Dump(pages, categorylinks, linktarget)
    check(dump)
    roots = read_categories(categories)
    if depth and pages.suffix == ".parquet":
        raise UsageError("--depth: needs a dump; a Parquet file of articles has no category tree")
    settings, root = configuration(None, call.config, call.overrides), Root(output)
    if root.files(""):
        raise UsageError(f"--output {output}: not empty; give a new or empty directory")
    with monitored(call, settings, written=root) as progress:
        root.make_directory("")
        try:
            with progress.stage(call.command):
                done = write_positives(progress.spark, dump, roots, depth, min_chars, root)
        except BaseException:
            root.delete("")
            raise
        call.result.update(done, output=output)
        call.show(show_values, call.result)
