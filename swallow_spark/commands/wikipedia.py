"""Training text from Wikipedia."""

from pathlib import Path
from typing import Annotated

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import Call, command, option
from swallow_spark.commands.running import configuration, monitored
from swallow_spark.commands.tables import show_values
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark.files import storage
    from swallow_spark.training.wikipedia import step


@command(
    "wiki-positives",
    "Classifiers",
    "--pages jawiki-latest-pages-articles.xml.bz2 --categories roots.txt --output positives",
)
def wiki_positives(
    call: Call,
    pages: Annotated[Path, option("--pages", "FILE", "pages-articles .xml.bz2, or .parquet: text, title, categories.")],
    categories: Annotated[Path, option("--categories", "FILE", "Root categories, one per line.")],
    output: Annotated[str, option("--output", "DIR", "New directory or URI for the Parquet files.")],
    categorylinks: Annotated[
        Path | None, option("--categorylinks", "FILE", "The dump's categorylinks .sql.gz.")
    ] = None,
    linktarget: Annotated[
        Path | None, option("--linktarget", "FILE", "The dump's linktarget .sql.gz (from 2025 on).")
    ] = None,
    depth: Annotated[int, option("--depth", "N", "Levels of subcategories.", min=0, max=20)] = 0,
    min_chars: Annotated[int, option("--min-chars", "N", "Skip shorter articles.", min=1)] = 200,
) -> None:
    """Write Wikipedia articles as positive training examples. Takes those of given categories, for the wiki task."""
    dump = step.Dump(pages, categorylinks, linktarget)
    step.check(dump)
    roots = step.read_categories(categories)
    if depth and pages.suffix == ".parquet":
        raise UsageError("--depth: needs a dump; a Parquet file of articles has no category tree")
    settings, root = configuration(None, call.config, call.overrides), storage.Root(output)
    if root.files(""):
        raise UsageError(f"--output {output}: not empty; give a new or empty directory")
    with monitored(call, settings, written=root) as progress:
        root.make_directory("")
        try:
            with progress.stage(call.command):
                done = step.write_positives(progress.spark, dump, roots, depth, min_chars, root)
        except BaseException:
            root.delete("")
            raise
        call.result.update(done, output=output)
        call.show(show_values, call.result)
